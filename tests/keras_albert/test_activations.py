"""Activations against Google's, and by name."""

import keras
import numpy as np
import pytest
from keras import ops

from keras_albert import activations
from tests.layer_check import BACKEND
from tests.paths import REFERENCE

NAMES = ("gelu_tanh", "gelu", "relu", "tanh", "linear")


@pytest.fixture(scope="module")
def golden():
    with np.load(REFERENCE / "formulas" / "gelu.npz") as file:
        return dict(file)


def test_gelu_tanh_is_googles_gelu(golden):
    y = ops.convert_to_numpy(activations.gelu_tanh(ops.array(golden["x"])))
    np.testing.assert_allclose(y, golden["google_gelu"], rtol=0, atol=2e-6)


def test_gelu_tanh_has_the_gradient_of_googles_gelu(golden):
    gradient = _gradient(activations.gelu_tanh, golden["x"])
    # Around |x| = 5 one bit of tanh moves the gradient by 4e-6.
    np.testing.assert_allclose(gradient, golden["google_gelu_gradient"], rtol=0, atol=6e-6)


def test_gelu_is_the_erf_form_that_google_does_not_use(golden):
    y = ops.convert_to_numpy(activations.gelu(ops.array(golden["x"])))
    np.testing.assert_allclose(y, golden["erf_gelu_float64"], rtol=0, atol=2e-6)
    assert np.abs(y - golden["google_gelu"]).max() > 4e-4


@pytest.mark.parametrize("name", NAMES)
def test_activations_and_their_gradients_stay_finite_in_float16(name):
    x = np.linspace(-140, 140, 281).astype("float16")
    assert np.isfinite(ops.convert_to_numpy(activations.get(name)(ops.array(x)))).all()
    assert np.isfinite(_gradient(activations.get(name), x)).all()


@pytest.mark.parametrize(
    ("name", "expected"),
    [("relu", [0, 0, 2]), ("tanh", np.tanh([-1, 0, 2])), ("linear", [-1, 0, 2])],
)
def test_plain_activations_compute_what_their_names_say(name, expected):
    y = activations.get(name)(ops.array([-1.0, 0.0, 2.0]))
    np.testing.assert_allclose(ops.convert_to_numpy(y), expected, rtol=1e-6)


@pytest.mark.parametrize("name", NAMES)
def test_names_functions_and_serialized_forms_are_interchangeable(name):
    function = activations.get(name)
    assert function is getattr(activations, name)
    assert activations.get(function) is function
    assert activations.get(activations.serialize(function)) is function
    assert activations.get(keras.saving.serialize_keras_object(function)) is function
    assert keras.saving.get_registered_name(function) == f"keras_albert>{name}"


def test_a_foreign_registered_function_survives_serialization():
    @keras.saving.register_keras_serializable(package="tests")
    def twice(x):
        return 2 * x

    assert activations.get(activations.serialize(twice)) is twice


@pytest.mark.parametrize("name", ["swish", "gelu_new", "", None])
def test_an_unknown_activation_is_named_in_the_error(name):
    with pytest.raises(ValueError, match=rf"one of \('gelu_tanh', .*Received: activation={name!r}"):
        activations.get(name)


def _gradient(function, x):
    if BACKEND == "tensorflow":
        import tensorflow as tf

        x = tf.constant(x)
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = function(x)
        return tape.gradient(y, x).numpy()
    import jax

    return np.asarray(jax.vmap(jax.grad(function))(x))
