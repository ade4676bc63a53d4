"""The check that every layer of the package passes, on the backend that Keras runs on."""

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from keras import ops, tree

BACKEND = keras.backend.backend()
on_tensorflow = pytest.mark.skipif(BACKEND != "tensorflow", reason="tests TensorFlow's graphs")

# Largest difference between two ways to run one layer in float32, for outputs of size 1.
CLOSE = 2e-5


def run_layer_check(
    make: Callable[..., keras.Layer],
    inputs: Mapping[str, np.ndarray],
    directory: Path,
    *,
    arguments: Mapping[str, Any] | None = None,
    whole: Sequence[str] = (),
    output_dtype: str | None = None,
    no_gradient: Sequence[str] = (),
) -> None:
    """Checks a layer from building to compiled code.

    Args:
        make: Makes a fresh layer from `dtype` and `name`.
        inputs: Call arguments that are tensors, in the order of `call`; floats come as float32.
        directory: Where to save a model.
        arguments: Call arguments that are not tensors.
        whole: Inputs whose shape is always known (weights of other layers); all others are
            [batch, length, ...] with both unknown in the checks of unknown shapes.
        output_dtype: Where it is not the compute dtype.
        no_gradient: Ends of the paths of weights whose gradient is zero in exact arithmetic.
    """
    check = _LayerCheck(make, inputs, arguments or {}, whole, output_dtype)
    check.build_creates_every_weight()
    for policy in ("float32", "mixed_float16", "mixed_bfloat16"):
        check.dtype_policy(policy)
    check.symbolic_shapes()
    check.config_round_trip()
    check.saved_model(directory)
    check.gradients(no_gradient)
    check.compiled()
    if BACKEND == "tensorflow":
        check.dynamic_shapes_in_a_graph()


class _LayerCheck:
    def __init__(self, make, inputs, arguments, whole, output_dtype):
        self.make = make
        self.inputs = inputs
        self.arguments = arguments
        self.whole = whole
        self.output_dtype = output_dtype
        self.layer = make(dtype="float32", name="layer")
        self.outputs = self.run(self.layer)

    def run(self, layer, **inputs):
        return tree.flatten(layer(**(inputs or self.inputs), **self.arguments))

    def build_creates_every_weight(self):
        layer = self.make(dtype="float32", name="layer")
        symbolic = self.symbolic_inputs(unknown=False)
        layer(**symbolic, **self.arguments)
        paths = [weight.path for weight in layer.weights]
        assert paths == [weight.path for weight in self.layer.weights]
        assert len(set(paths)) == len(paths), f"two weights share a path: {paths}"
        assert all(path.startswith("layer/") for path in paths), paths
        shapes = [tuple(weight.shape) for weight in layer.weights]
        assert shapes == [tuple(weight.shape) for weight in self.layer.weights]

    def dtype_policy(self, policy):
        layer = self.make(dtype=policy, name="layer")
        dtype = layer.compute_dtype
        inputs = {name: _as_float(value, dtype) for name, value in self.inputs.items()}
        for output in self.run(layer, **inputs):
            assert not isinstance(output, keras.Variable), "a variable is no result"
            assert keras.backend.standardize_dtype(output.dtype) == (self.output_dtype or dtype)
            assert np.isfinite(_numpy(output)).all(), f"{policy}: not finite"
        for weight in layer.trainable_weights:
            assert weight.dtype == "float32", f"{policy}: {weight.path} is {weight.dtype}"
        for sublayer in layer._flatten_layers():
            assert sublayer.dtype_policy.name == policy, f"{sublayer.path} has its own policy"

    def symbolic_inputs(self, unknown):
        """KerasTensors for the inputs, with unknown batch and length if `unknown`."""
        symbolic = {}
        for name, value in self.inputs.items():
            shape = list(value.shape)
            if unknown and name not in self.whole:
                shape[:2] = [None] * len(shape[:2])
            symbolic[name] = keras.Input(batch_shape=shape, dtype=str(value.dtype), name=name)
        return symbolic

    def symbolic_shapes(self):
        for unknown in (False, True):
            layer = self.make(dtype="float32", name="layer")
            specs = self.run(layer, **self.symbolic_inputs(unknown))
            assert len(specs) == len(self.outputs)
            for spec, output in zip(specs, self.outputs, strict=True):
                assert spec.dtype == keras.backend.standardize_dtype(output.dtype)
                _assert_shapes_agree(spec.shape, output.shape, unknown)
            self.computed_shape(layer)

    def computed_shape(self, layer):
        """compute_output_shape gives the first output's shape from those of the first inputs."""
        shapes = {f"{name}_shape": value.shape for name, value in self.inputs.items()}
        shapes.pop("mask_shape", None)
        accepted = layer.compute_output_shape.__code__.co_varnames[1:]
        if "input_shape" in accepted:
            shape = layer.compute_output_shape(next(iter(shapes.values())))
        else:
            chosen = {name: shape for name, shape in shapes.items() if name in accepted}
            shape = layer.compute_output_shape(**chosen)
        flags = [value for value in self.arguments.values() if value is True]
        if not flags or len(self.outputs) > 1:
            assert tuple(shape) == tuple(self.outputs[0].shape)

    def config_round_trip(self):
        config = self.layer.get_config()
        json.dumps(config)
        again = type(self.layer).from_config(config)
        assert again.get_config() == config
        keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(self.layer))

    def saved_model(self, directory):
        symbolic = self.symbolic_inputs(unknown=True)
        layer = self.make(dtype="float32", name="layer")
        model = keras.Model(symbolic, layer(**symbolic, **self.arguments))
        expected = tree.flatten(model(dict(self.inputs)))
        model.save(directory / "model.keras")
        again = keras.models.load_model(directory / "model.keras")
        for one, other in zip(expected, tree.flatten(again(dict(self.inputs))), strict=True):
            np.testing.assert_array_equal(_numpy(one), _numpy(other))

    def gradients(self, no_gradient):
        weights = self.layer.trainable_weights
        for weight, gradient in zip(weights, self.weight_gradients(), strict=True):
            if weight.path.endswith(tuple(no_gradient)):
                continue
            assert gradient is not None, f"no gradient reaches {weight.path}"
            assert np.isfinite(gradient).all(), f"gradient of {weight.path} is not finite"
            assert np.abs(gradient).max() > 1e-6, f"gradient of {weight.path} is zero"

    def weight_gradients(self):
        """Gradients of a random projection of all outputs, one a trainable weight."""
        rng = np.random.default_rng(0)
        directions = [rng.normal(size=output.shape).astype("float32") for output in self.outputs]

        def loss(outputs):
            pairs = zip(tree.flatten(outputs), directions, strict=True)
            return sum(ops.sum(output * direction) for output, direction in pairs)

        if BACKEND == "tensorflow":
            import tensorflow as tf

            with tf.GradientTape() as tape:
                value = loss(self.run(self.layer))
            gradients = tape.gradient(value, self.layer.trainable_weights)
            return [None if g is None else tf.convert_to_tensor(g).numpy() for g in gradients]

        import jax

        def stateless(trainable):
            fixed = [weight.value for weight in self.layer.non_trainable_variables]
            outputs, _ = self.layer.stateless_call(
                trainable, fixed, **self.inputs, **self.arguments
            )
            return loss(outputs)

        trainable = [weight.value for weight in self.layer.trainable_weights]
        return [np.asarray(g) for g in jax.grad(stateless)(trainable)]

    def compiled(self):
        names = list(self.inputs)

        def call(*values):
            return self.run(self.layer, **dict(zip(names, values, strict=True)))

        if BACKEND == "tensorflow":
            import tensorflow as tf

            outputs = tf.function(call, jit_compile=True)(*map(tf.constant, self.inputs.values()))
        else:
            import jax

            outputs = jax.jit(call)(*self.inputs.values())
        self.assert_same_outputs(outputs)

    def dynamic_shapes_in_a_graph(self):
        import tensorflow as tf

        names = list(self.inputs)

        def call(*values):
            return self.run(self.layer, **dict(zip(names, values, strict=True)))

        signature = [
            tf.TensorSpec(symbol.shape, symbol.dtype)
            for symbol in self.symbolic_inputs(unknown=True).values()
        ]
        self.assert_same_outputs(
            tf.function(call, input_signature=signature)(*self.inputs.values())
        )

    def assert_same_outputs(self, outputs):
        for one, other in zip(self.outputs, tree.flatten(outputs), strict=True):
            assert tuple(one.shape) == tuple(other.shape)
            np.testing.assert_allclose(_numpy(one), _numpy(other), atol=CLOSE, rtol=CLOSE)


def _as_float(value, dtype):
    return ops.cast(value, dtype) if np.issubdtype(value.dtype, np.floating) else value


def _numpy(tensor):
    """float32 for what NumPy has no type for."""
    if keras.backend.standardize_dtype(tensor.dtype) == "bfloat16":
        tensor = ops.cast(tensor, "float32")
    return ops.convert_to_numpy(tensor)


def _assert_shapes_agree(symbolic, eager, unknown):
    assert len(symbolic) == len(eager), f"{symbolic} is not {tuple(eager)}"
    for known, size in zip(symbolic, eager, strict=True):
        assert known == size or (unknown and known is None), f"{symbolic} is not {tuple(eager)}"
