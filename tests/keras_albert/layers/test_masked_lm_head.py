"""The masked-LM head: transform, norm, tied table, bias."""

import numpy as np
import pytest
from keras import ops

from keras_albert import layers
from tests.layer_check import on_tensorflow, run_layer_check

RNG = np.random.default_rng(0)
SEQUENCE = RNG.normal(size=(2, 5, 12)).astype("float32")
POSITIONS = np.array([[4, 0], [1, 1]], "int32")
TABLE = RNG.normal(size=(11, 6)).astype("float32")
PROJECTION = RNG.normal(size=(6, 12)).astype("float32")


def _head(**kwargs):
    return layers.MaskedLMHead(**kwargs)


@pytest.mark.parametrize(
    "optional",
    [
        {},
        {"masked_positions": POSITIONS},
        {"projection": PROJECTION},
        {"masked_positions": POSITIONS, "projection": PROJECTION},
    ],
)
def test_head_passes_the_layer_check(optional, tmp_path):
    run_layer_check(
        _head,
        {"sequence_output": SEQUENCE, "table": TABLE, **optional},
        tmp_path,
        whole=("table", "projection"),
        output_dtype="float32",
    )


@pytest.mark.parametrize("projection", [None, PROJECTION])
def test_head_is_transform_norm_tied_table_bias(projection):
    head = _head(activation="tanh", name="masked_lm")
    head(SEQUENCE, TABLE, projection=projection)
    width = 6 if projection is None else 12
    shapes = {weight.path: tuple(weight.shape) for weight in head.weights}
    assert shapes == {
        "masked_lm/bias": (11,),
        "masked_lm/transform/kernel": (12, width),
        "masked_lm/transform/bias": (width,),
        "masked_lm/layer_norm/gamma": (width,),
        "masked_lm/layer_norm/beta": (width,),
    }
    w = {path.split("/", 1)[1]: RNG.normal(size=shape) for path, shape in shapes.items()}
    for weight in head.weights:
        weight.assign(w[weight.path.split("/", 1)[1]])

    h = np.tanh(SEQUENCE @ w["transform/kernel"] + w["transform/bias"])
    h = (h - h.mean(-1, keepdims=True)) / h.std(-1, keepdims=True)
    h = h * w["layer_norm/gamma"] + w["layer_norm/beta"]
    if projection is not None:
        h = h @ projection.T
    logits = h @ TABLE.T + w["bias"]

    every = head(SEQUENCE, TABLE, projection=projection)
    np.testing.assert_allclose(every, logits, rtol=1e-4, atol=1e-4)
    chosen = head(SEQUENCE, TABLE, masked_positions=POSITIONS, projection=projection)
    expected = np.take_along_axis(logits, POSITIONS[..., None], axis=1)
    np.testing.assert_allclose(chosen, expected, rtol=1e-4, atol=1e-4)


def test_transform_dim_widens_the_transform_before_a_projection():
    head = _head(transform_dim=7)
    projection = RNG.normal(size=(6, 7)).astype("float32")
    head(SEQUENCE, TABLE, projection=projection)
    assert head.transform_dense.kernel.shape == (12, 7)


@pytest.mark.parametrize("bad", [-1, 5])
def test_a_position_outside_the_sequence_raises(bad):
    positions = np.array([[4, 0], [1, bad]])
    with pytest.raises(ValueError, match=rf"below the sequence's length=5.*position={bad}"):
        _head()(SEQUENCE, TABLE, masked_positions=positions)


@on_tensorflow
def test_a_position_outside_the_sequence_raises_in_a_graph():
    """Flat indices would read the next row of the batch without a word."""
    import tensorflow as tf

    head = _head()
    specs = [tf.TensorSpec((None, None, 12)), tf.TensorSpec((None, None), "int32")]
    graph = tf.function(lambda x, p: head(x, TABLE, masked_positions=p), input_signature=specs)
    np.testing.assert_allclose(
        graph(SEQUENCE, POSITIONS), head(SEQUENCE, TABLE, masked_positions=POSITIONS), atol=1e-6
    )
    with pytest.raises(tf.errors.InvalidArgumentError, match=r"masked_position=\] \[5\]"):
        graph(SEQUENCE, POSITIONS + 1)


def test_logits_are_float32_in_half_precision():
    head = _head(dtype="mixed_float16")
    logits = head(ops.cast(SEQUENCE, "float16"), ops.cast(TABLE, "float16"))
    assert ops.convert_to_numpy(logits).dtype == np.float32
