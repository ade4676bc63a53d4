"""What users do with an optimizer in Keras."""

import gc
import subprocess
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_albert.errors import InputError
from keras_albert.optimizers import LAMB, AdamW, PolynomialDecayWithWarmup, compiled
from tests.paths import ROOT

BOTH = pytest.mark.parametrize("optimizer_class", [AdamW, LAMB])
INPUTS = np.random.default_rng(0).integers(0, 7, (32, 5)).astype("int32")
TARGETS = (INPUTS.sum(-1) % 2).astype("float32")[:, None]


def small_model(dtype="float32"):
    """Token ids to one logit, with a gathered table, a kernel, a bias and a layer norm."""
    keras.utils.set_random_seed(1)
    inputs = keras.Input((5,), dtype="int32")
    x = keras.layers.Embedding(7, 8, name="table", dtype=dtype)(inputs)
    x = keras.layers.Flatten(dtype=dtype)(x)
    x = keras.layers.LayerNormalization(name="first_layer_norm", dtype=dtype)(x)
    return keras.Model(inputs, keras.layers.Dense(1, name="out", dtype=dtype)(x))


def fitted(optimizer, dtype="float32", jit_compile=False, run_eagerly=False, epochs=4):
    model = small_model(dtype)
    loss = keras.losses.BinaryCrossentropy(from_logits=True)
    model.compile(optimizer, loss, jit_compile=jit_compile, run_eagerly=run_eagerly)
    history = model.fit(INPUTS, TARGETS, batch_size=8, epochs=epochs, verbose=0, shuffle=False)
    return model, history.history["loss"]


def weights(model):
    return np.concatenate([np.ravel(w) for w in model.get_weights()])


@BOTH
def test_layer_norms_and_biases_are_not_decayed_by_default(optimizer_class):
    model = small_model()
    optimizer = optimizer_class(learning_rate=1.0, weight_decay=0.5)
    before = {v.path: v.numpy() + 1.0 for v in model.trainable_variables}
    for variable in model.trainable_variables:
        variable.assign(before[variable.path])
    zeros = [np.zeros(v.shape, "float32") for v in model.trainable_variables]
    optimizer.apply([tf.constant(z) for z in zeros], model.trainable_variables)
    moved = {v.path for v in model.trainable_variables if (v.numpy() != before[v.path]).any()}
    assert moved == {"table/embeddings", "out/kernel"}


@BOTH
def test_kerass_own_way_to_exclude_from_decay_is_heard_too(optimizer_class):
    model = small_model()
    kernel = model.get_layer("out").kernel
    optimizer = optimizer_class(learning_rate=1.0, weight_decay=0.5)
    optimizer.exclude_from_weight_decay(var_list=[kernel])
    before = kernel.numpy()
    zeros = [tf.zeros(v.shape) for v in model.trainable_variables]
    optimizer.apply(zeros, model.trainable_variables)
    np.testing.assert_array_equal(kernel.numpy(), before)


@BOTH
def test_rows_gathered_twice_are_summed_before_they_are_squared(optimizer_class):
    table = keras.Variable(np.ones((3, 2), "float32"), name="table")
    optimizer = optimizer_class(learning_rate=0.1)
    rows = tf.IndexedSlices(tf.constant([[1.0, 2.0], [3.0, 4.0]]), [1, 1], [3, 2])
    optimizer.apply([rows], [table])
    velocity = next(v for v in optimizer.variables if v.name.endswith("velocity"))
    np.testing.assert_allclose(velocity.numpy(), [[0, 0], [0.016, 0.036], [0, 0]], rtol=1e-6)


@pytest.mark.parametrize(
    ("arguments", "norm"),
    [
        ({}, np.sqrt(7**2 + 24**2)),  # of the gradient: the rows of id 1 are summed
        ({"norm_of_gathered_rows": True}, np.sqrt(3**2 + 4**2 + 24**2)),  # Google's on CPU, GPU
    ],
    ids=str,
)
def test_global_clipnorm_is_over_the_gradient_unless_over_gathered_rows(arguments, norm):
    table = keras.Variable(np.ones((3, 2), "float32"), name="table")
    kernel = keras.Variable(np.ones(2, "float32"), name="kernel")
    rows = tf.IndexedSlices(tf.constant([[3.0, 0.0], [4.0, 0.0]]), [1, 1], [3, 2])
    optimizer = AdamW(0.1, beta_1=0.0, global_clipnorm=5.0, **arguments)
    optimizer.apply([rows, tf.constant([24.0, 0.0])], [table, kernel])
    # Without memory, the moments are the clipped gradients.
    clipped = {v.name: v.numpy() for v in optimizer.variables if v.name.endswith("momentum")}
    scale = 5.0 / norm
    np.testing.assert_allclose(
        clipped["table_momentum"], [[0, 0], [7 * scale, 0], [0, 0]], rtol=1e-6
    )
    np.testing.assert_allclose(clipped["kernel_momentum"], [24 * scale, 0], rtol=1e-6)


@BOTH
def test_a_saved_model_goes_on_exactly_where_it_stopped(optimizer_class, tmp_path):
    optimizer = optimizer_class(PolynomialDecayWithWarmup(0.05, 40, 4), global_clipnorm=1.0)
    model, _ = fitted(optimizer)
    model.save(tmp_path / "model.keras")
    again = keras.models.load_model(tmp_path / "model.keras")
    assert type(again.optimizer) is optimizer_class
    assert again.optimizer.get_config() == optimizer.get_config()
    for ours, theirs in zip(again.optimizer.variables, optimizer.variables, strict=True):
        np.testing.assert_array_equal(ours.numpy(), theirs.numpy())
    for each in (model, again):
        each.fit(INPUTS, TARGETS, batch_size=8, verbose=0, shuffle=False)
    np.testing.assert_array_equal(weights(again), weights(model))


@BOTH
def test_every_argument_is_in_the_config(optimizer_class):
    arguments = {
        "learning_rate": 0.25,
        "weight_decay": 0.02,
        "beta_1": 0.8,
        "beta_2": 0.95,
        "epsilon": 1e-3,
        "decay_exclusions": ["query"],
        "rate_multipliers": [["table", 0.5]],
        "norm_of_gathered_rows": True,
        "global_clipnorm": 2.0,
        "use_ema": True,
        "name": "own",
    }
    if optimizer_class is LAMB:
        arguments["adaptation_exclusions"] = ["table"]
    config = optimizer_class(**arguments).get_config()
    assert {key: config[key] for key in arguments} == arguments
    assert optimizer_class.from_config(config).get_config() == config


@BOTH
@pytest.mark.parametrize(
    "arguments",
    [
        {"clipnorm": 1.0},
        {"global_clipnorm": 1.0},
        {"use_ema": True},
        {"gradient_accumulation_steps": 2},
    ],
    ids=str,
)
def test_a_model_learns_with_each_of_kerass_options(optimizer_class, arguments):
    _, losses = fitted(optimizer_class(0.02, **arguments), epochs=8)
    assert losses[-1] < 0.8 * losses[0]


@BOTH
def test_a_model_learns_in_mixed_precision_with_a_scaled_loss(optimizer_class):
    optimizer = keras.optimizers.LossScaleOptimizer(optimizer_class(0.02))
    _, losses = fitted(optimizer, dtype="mixed_float16")
    assert losses[-1] < 0.8 * losses[0]


def graphs_of_steps():
    """How many graphs of training steps are in memory."""
    gc.collect()
    graphs = [each for each in gc.get_objects() if type(each).__name__ == "FuncGraph"]
    return sum("step" in graph.name for graph in graphs)


@BOTH
def test_the_graph_of_a_step_goes_with_its_model(optimizer_class):
    before = graphs_of_steps()
    model, _ = fitted(optimizer_class(0.02), epochs=1)
    assert graphs_of_steps() > before
    del model
    assert graphs_of_steps() == before


def test_keras_own_optimizers_still_keep_the_graph_of_a_step_for_ever():
    # Once they do not, `BaseOptimizer._all_reduce_sum_gradients` can go.
    before = graphs_of_steps()
    fitted(keras.optimizers.AdamW(0.02, global_clipnorm=1.0), epochs=1)
    assert graphs_of_steps() > before


@pytest.mark.parametrize(
    ("arguments", "run_eagerly"),
    [
        ({}, True),
        ({"global_clipnorm": 1.0}, False),
        ({"use_ema": True}, False),
        ({"gradient_accumulation_steps": 2}, False),
        ({"rate_multipliers": [("table", 0.1)]}, False),
    ],
    ids=str,
)
def test_the_compiled_update_is_the_plain_one(arguments, run_eagerly, monkeypatch):
    plain, _ = fitted(AdamW(0.02, **arguments), run_eagerly=run_eagerly)
    monkeypatch.setattr(compiled, "WORTH_COMPILING", 1)
    optimizer = AdamW(0.02, **arguments)
    compiled_model, _ = fitted(optimizer, run_eagerly=run_eagerly)
    assert optimizer._compiled_update.experimental_get_tracing_count() == 1
    np.testing.assert_allclose(weights(compiled_model), weights(plain), atol=2e-6)


def test_the_compiled_update_may_lie_inside_of_a_compiled_step(monkeypatch):
    plain, _ = fitted(AdamW(0.02))
    monkeypatch.setattr(compiled, "WORTH_COMPILING", 1)
    compiled_model, _ = fitted(AdamW(0.02), jit_compile=True)
    np.testing.assert_allclose(weights(compiled_model), weights(plain), atol=2e-6)


def test_the_compiled_update_scales_mixed_precisions_loss(monkeypatch):
    monkeypatch.setattr(compiled, "WORTH_COMPILING", 1)
    optimizer = AdamW(0.02)
    wrapped = keras.optimizers.LossScaleOptimizer(optimizer)
    _, losses = fitted(wrapped, dtype="mixed_float16")
    assert optimizer._compiled_update is not None
    assert losses[-1] < 0.8 * losses[0]


@pytest.mark.slow
def test_two_replicas_take_one_replicas_steps():
    program = """
import numpy as np, tensorflow as tf
cpu = tf.config.list_physical_devices("CPU")[0]
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
from keras_albert.optimizers import AdamW, compiled
from tests.keras_albert.optimizers.test_with_keras import fitted, weights
compiled.WORTH_COMPILING = 1
one, _ = fitted(AdamW(0.02))
with tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"]).scope():
    two, _ = fitted(AdamW(0.02))
assert one.optimizer._compiled_update and not two.optimizer._compiled_update
np.testing.assert_allclose(weights(two), weights(one), atol=1e-5)
"""
    subprocess.run([sys.executable, "-c", program], check=True, cwd=ROOT)


@pytest.mark.parametrize("name", ["decay_exclusions", "adaptation_exclusions"])
def test_one_bare_string_is_not_taken_for_a_list_of_letters(name):
    with pytest.raises(InputError, match=f"Received: {name}='bias'"):
        LAMB(**{name: "bias"})


@BOTH
def test_negative_decay_is_refused(optimizer_class):
    with pytest.raises(InputError, match="Received: weight_decay=-1"):
        optimizer_class(weight_decay=-1)
