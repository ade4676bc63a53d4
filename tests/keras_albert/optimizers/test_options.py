"""Keras' options with our optimizers, held to their definitions; on every backend."""

import os
import subprocess
import sys

import keras
import numpy as np
import pytest
from keras import ops

from keras_albert.errors import InputError
from keras_albert.optimizers import LAMB, AdamW, PolynomialDecayWithWarmup, compiled
from tests.paths import ROOT

ON_TENSORFLOW = keras.backend.backend() == "tensorflow"
BOTH = pytest.mark.parametrize("optimizer_class", [AdamW, LAMB])
RNG = np.random.default_rng(0)
INPUTS = RNG.integers(0, 7, (32, 5)).astype("int32")
TARGETS = (INPUTS.sum(-1) % 3).astype("int32")
CROSS_ENTROPY = keras.losses.SparseCategoricalCrossentropy(from_logits=True)


class Watch(keras.callbacks.Callback):
    """The weights and the rate after every batch."""

    def __init__(self):
        super().__init__()
        self.weights, self.rates = [], []

    def on_train_batch_end(self, batch, logs=None):
        # JAX keeps the weights outside of the model while it trains.
        if hasattr(self.model, "jax_state_sync"):
            self.model.jax_state_sync()
        self.weights.append([v.numpy() for v in self.model.trainable_variables])
        self.rates.append(float(self.model.optimizer.learning_rate))


def classifier():
    """Token ids to three logits, with a gathered table, a kernel, biases and a layer norm."""
    keras.utils.set_random_seed(1)
    inputs = keras.Input((5,), dtype="int32")
    x = keras.layers.Embedding(7, 8, name="table")(inputs)
    x = keras.layers.Flatten()(x)
    x = keras.layers.LayerNormalization(name="first_layer_norm")(x)
    return keras.Model(inputs, keras.layers.Dense(3, name="out")(x))


def fitted(optimizer, batch_size=8, epochs=4, model=None, loss=CROSS_ENTROPY):
    model = model or classifier()
    watch = Watch()
    model.compile(optimizer, loss, jit_compile=not ON_TENSORFLOW)
    model.fit(
        INPUTS,
        TARGETS,
        batch_size=batch_size,
        epochs=epochs,
        verbose=0,
        shuffle=False,
        callbacks=[watch],
    )
    return model, watch


def assert_same_weights(one, other, atol):
    for ours, theirs in zip(one.get_weights(), other.get_weights(), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=0, atol=atol)


@BOTH
def test_accumulated_batches_are_one_large_batch(optimizer_class):
    def optimizer(**arguments):
        schedule = PolynomialDecayWithWarmup(0.01, total_steps=6, warmup_steps=2)
        return optimizer_class(schedule, global_clipnorm=0.1, **arguments)

    whole, _ = fitted(optimizer(), batch_size=32, epochs=5)
    parts, _ = fitted(optimizer(gradient_accumulation_steps=4), batch_size=8, epochs=5)
    assert_same_weights(parts, whole, atol=1e-6)


@pytest.mark.parametrize("steps", [None, 2], ids=["every batch", "accumulated"])
def test_gradients_of_several_types_are_clipped_by_their_common_norm(steps):
    low = keras.Variable([0.0, 0.0], dtype="bfloat16", name="low")
    high = keras.Variable([0.0], dtype="float32", name="high")
    # Without memory, the moments are the clipped gradients.
    optimizer = AdamW(0.1, beta_1=0.0, global_clipnorm=1.0, gradient_accumulation_steps=steps)
    for _ in range(steps or 1):
        gradients = [ops.array([3.0, 4.0], dtype="bfloat16"), ops.array([12.0], dtype="float32")]
        optimizer.apply(gradients, [low, high])
    moments = {v.name: v for v in optimizer.variables if v.name.endswith("momentum")}
    clipped = ops.convert_to_numpy(ops.cast(moments["low_momentum"], "float32"))
    np.testing.assert_allclose(clipped, [3 / 13, 4 / 13], rtol=2**-7)  # two roundings to 8 bits
    np.testing.assert_allclose(moments["high_momentum"].numpy(), [12 / 13], rtol=1e-6)
    assert (low.dtype, high.dtype) == ("bfloat16", "float32")


@BOTH
def test_the_schedule_counts_updates(optimizer_class):
    schedule = PolynomialDecayWithWarmup(1.0, total_steps=8)
    _, watch = fitted(optimizer_class(schedule, gradient_accumulation_steps=2), epochs=2)
    steps = np.arange(1, 9) // 2
    np.testing.assert_allclose(watch.rates, 1.0 - steps / 8, rtol=1e-6)


@pytest.mark.parametrize("accumulation", [None, 2])
@BOTH
def test_training_ends_with_the_moving_average_of_the_updated_weights(
    optimizer_class, accumulation
):
    optimizer = optimizer_class(
        0.02, use_ema=True, ema_momentum=0.75, gradient_accumulation_steps=accumulation
    )
    model, watch = fitted(optimizer)
    updated = watch.weights[(accumulation or 1) - 1 :: accumulation or 1]
    for index, variable in enumerate(model.trainable_variables):
        average = updated[0][index]
        for weights in updated[1:]:
            average = 0.75 * average + 0.25 * weights[index]
        np.testing.assert_allclose(variable.numpy(), average, atol=1e-6)
        assert np.abs(average - updated[-1][index]).max() > 1e-4


@pytest.mark.parametrize("compiles", [False, True])
@BOTH
def test_frozen_layers_keep_their_weights_and_get_no_moments(
    optimizer_class, compiles, monkeypatch
):
    if compiles:
        monkeypatch.setattr(compiled, "WORTH_COMPILING", 1)
    model = classifier()
    for name in ("table", "first_layer_norm"):
        model.get_layer(name).trainable = False
    before = {v.path: v.numpy() for v in model.weights}
    optimizer = optimizer_class(0.02, weight_decay=0.5)
    fitted(optimizer, model=model)
    moved = {v.path for v in model.weights if (v.numpy() != before[v.path]).any()}
    assert moved == {"out/kernel", "out/bias"}
    assert sum(v.name.endswith("momentum") for v in optimizer.variables) == 2


@BOTH
def test_label_smoothing_mixes_the_labels_with_the_uniform_distribution(optimizer_class):
    model = classifier()
    loss = keras.losses.CategoricalCrossentropy(from_logits=True, label_smoothing=0.3)
    model.compile(optimizer_class(0.02), loss, jit_compile=not ON_TENSORFLOW)
    labels = np.eye(3, dtype="float32")[TARGETS]
    logits = ops.convert_to_numpy(model(INPUTS))
    log_probs = logits - np.log(np.exp(logits).sum(-1, keepdims=True))
    expected = -((0.7 * labels + 0.1) * log_probs).sum(-1).mean()
    assert model.evaluate(INPUTS, labels, verbose=0) == pytest.approx(expected, abs=1e-6)
    model.fit(INPUTS, labels, batch_size=8, epochs=8, verbose=0)
    assert model.evaluate(INPUTS, labels, verbose=0) < expected


@BOTH
def test_a_constant_loss_scale_changes_nothing(optimizer_class):
    plain, _ = fitted(optimizer_class(0.02))
    scaled, _ = fitted(optimizer_class(0.02, loss_scale_factor=1024.0))
    assert_same_weights(scaled, plain, atol=1e-6)


@BOTH
def test_a_dynamic_loss_scale_halves_and_skips_the_step_where_a_gradient_overflows(
    optimizer_class,
):
    variable = keras.Variable(np.ones(3, "float32"), name="kernel")
    inner = optimizer_class(0.1)
    optimizer = keras.optimizers.LossScaleOptimizer(inner, initial_scale=8.0)
    optimizer.build([variable])
    state = [v.value for v in optimizer.variables]

    def step(gradient):
        gradients = [ops.convert_to_tensor(np.array(gradient, "float32"))]
        if ON_TENSORFLOW:
            optimizer.apply(gradients)
            return
        weights, state[:] = optimizer.stateless_apply(state, gradients, [variable.value])
        variable.assign(weights[0])
        for kept, value in zip(optimizer.variables, state, strict=True):
            kept.assign(value)

    step([np.inf, 1.0, 1.0])
    np.testing.assert_array_equal(variable.numpy(), 1.0)
    assert (float(optimizer.dynamic_scale), int(inner.iterations)) == (4.0, 0)
    step([4.0, 8.0, -4.0])
    alone = keras.Variable(np.ones(3, "float32"), name="kernel")
    optimizer_class(0.1).apply([ops.convert_to_tensor(np.array([1, 2, -1], "float32"))], [alone])
    np.testing.assert_allclose(variable.numpy(), alone.numpy(), rtol=1e-6)
    assert int(inner.iterations) == 1


@BOTH
def test_the_first_pattern_found_multiplies_the_rate_decay_included(optimizer_class):
    pairs = [("out/kernel", 0.25), ("out/", 0.5), ("table", 0.0)]

    def moves(**arguments):
        model = classifier()
        before = {v.path: v.numpy() for v in model.trainable_variables}
        optimizer = optimizer_class(0.01, weight_decay=0.5, **arguments)
        optimizer.build(model.trainable_variables)
        optimizer.apply([ops.ones(v.shape) for v in model.trainable_variables])
        return {v.path: v.numpy() - before[v.path] for v in model.trainable_variables}

    plain, multiplied = moves(), moves(rate_multipliers=pairs)
    factors = {"table/embeddings": 0.0, "out/kernel": 0.25, "out/bias": 0.5}
    for path, move in plain.items():
        expected = factors.get(path, 1.0) * move
        np.testing.assert_allclose(multiplied[path], expected, rtol=1e-4, atol=1e-7)


@pytest.mark.parametrize(
    "arguments",
    [
        {"rate_multipliers": ["table"]},
        {"rate_multipliers": [("table", -1.0)]},
        {"rate_multipliers": [("table", float("nan"))]},
        {"rate_multipliers": [("(", 1.0)]},
        {"rate_multipliers": [("table",)]},
        {"decay_exclusions": ["("]},
        {"norm_of_gathered_rows": True},
        {
            "norm_of_gathered_rows": True,
            "global_clipnorm": 1.0,
            "gradient_accumulation_steps": 2,
        },
        {"norm_of_gathered_rows": True, "global_clipnorm": 1.0, "loss_scale_factor": 2.0},
        {"use_ema": True, "ema_overwrite_frequency": 2, "gradient_accumulation_steps": 2},
    ],
    ids=str,
)
@BOTH
def test_what_cannot_be_meant_is_refused_in_one_line(optimizer_class, arguments):
    with pytest.raises(InputError, match="Received: ") as error:
        optimizer_class(0.1, **arguments)
    assert "\n" not in str(error.value)


def test_only_tensorflow_keeps_gathered_rows_apart(monkeypatch):
    monkeypatch.setattr(keras.backend, "backend", lambda: "jax")
    with pytest.raises(InputError, match="Received: norm_of_gathered_rows=True, backend=jax"):
        AdamW(0.1, norm_of_gathered_rows=True, global_clipnorm=1.0)


@pytest.mark.slow
@pytest.mark.skipif(not ON_TENSORFLOW, reason="starts JAX from TensorFlow's process")
def test_all_of_this_holds_on_jax():
    pytest.importorskip("jax")
    ran = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", __file__],
        cwd=ROOT,
        capture_output=True,
        text=True,
        env={**os.environ, "KERAS_BACKEND": "jax", "JAX_PLATFORMS": "cpu"},
        check=False,
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
