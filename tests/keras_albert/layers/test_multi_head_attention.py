"""Attention against Google's, its masks, and its arithmetic in half precision."""

import keras
import numpy as np
import pytest
from keras import ops

from keras_albert import layers
from tests.layer_check import run_layer_check
from tests.paths import REFERENCE

RNG = np.random.default_rng(0)
X = RNG.normal(size=(2, 5, 12)).astype("float32")
OTHER = RNG.normal(size=(2, 7, 9)).astype("float32")
MASK = np.array([[1, 1, 1, 0, 1, 0, 0], [1, 0, 1, 1, 1, 1, 1]], "int32")


def _attention(**kwargs):
    return layers.MultiHeadAttention(num_heads=3, dropout=0.1, **kwargs)


@pytest.fixture(scope="module")
def golden():
    with np.load(REFERENCE / "formulas" / "attention.npz") as file:
        return dict(file)


def _googles(golden):
    """Google's attention has no output layer: an identity stands for it."""
    attention = layers.MultiHeadAttention(num_heads=3, head_dim=4, output_dim=12)
    attention.build(golden["from_tensor"].shape, golden["to_tensor"].shape)
    for name in ("query", "key", "value"):
        dense = getattr(attention, f"{name}_dense")
        dense.kernel.assign(golden[f"variable/{name}/kernel"])
        dense.bias.assign(golden[f"variable/{name}/bias"])
    attention.output_dense.kernel.assign(np.eye(12))
    return attention


@pytest.mark.parametrize("mask", ["to_mask", "attention_mask", None])
def test_attention_is_googles(golden, mask):
    """Two widths, two lengths, and a row whose keys are all masked."""
    suffix = "" if mask else "_without_mask"
    y, scores = _googles(golden)(
        golden["from_tensor"],
        golden["to_tensor"],
        mask=golden[mask] if mask else None,
        return_scores=True,
    )
    np.testing.assert_allclose(y, golden[f"context{suffix}"], rtol=0, atol=5e-6)
    np.testing.assert_allclose(scores, golden[f"attention_probs{suffix}"], rtol=0, atol=5e-6)


def test_a_fully_masked_row_attends_as_without_a_mask(golden):
    attention = _googles(golden)
    mask = np.zeros((3, 7), "int32")
    y = attention(golden["from_tensor"], golden["to_tensor"], mask=mask)
    # -10000 leaves float32 scores about three digits.
    np.testing.assert_allclose(y, golden["context_without_mask"], rtol=0, atol=2e-2)


@pytest.mark.parametrize(
    ("inputs", "arguments"),
    [
        ({"query": X}, {}),
        ({"query": X}, {"causal": True, "return_scores": True}),
        ({"query": X, "value": OTHER}, {}),
        ({"query": X, "value": OTHER, "mask": MASK}, {"return_scores": True}),
        ({"query": X, "value": OTHER, "key": OTHER[..., :4], "mask": MASK.astype(bool)}, {}),
    ],
)
def test_attention_passes_the_layer_check(inputs, arguments, tmp_path):
    run_layer_check(_attention, inputs, tmp_path, arguments=arguments, no_gradient=("key/bias",))


def test_weights_are_named_as_the_architecture():
    attention = layers.MultiHeadAttention(num_heads=3, head_dim=4, output_dim=6, name="attention")
    attention(X, OTHER)
    shapes = {weight.path: tuple(weight.shape) for weight in attention.trainable_weights}
    assert shapes == {
        "attention/query/kernel": (12, 12),
        "attention/query/bias": (12,),
        "attention/key/kernel": (9, 12),
        "attention/key/bias": (12,),
        "attention/value/kernel": (9, 12),
        "attention/value/bias": (12,),
        "attention/output/kernel": (12, 6),
        "attention/output/bias": (6,),
    }


def test_fresh_kernels_differ_from_each_other():
    attention = _attention()
    attention(X)
    kernels = [ops.convert_to_numpy(w) for w in attention.weights if w.path.endswith("kernel")]
    for i, kernel in enumerate(kernels):
        assert kernel.std() == pytest.approx(0.02, rel=0.25)
        assert not any(np.array_equal(kernel, other) for other in kernels[:i])


@pytest.mark.parametrize("mask", [None, np.array([[1, 0, 1, 1, 1], [1, 1, 1, 1, 0]])])
def test_causal_attention_sees_no_later_and_no_masked_key(mask):
    _, scores = _attention()(X, mask=mask, causal=True, return_scores=True)
    scores = ops.convert_to_numpy(scores)
    keep = np.tril(np.ones((5, 5)))[None] * (1 if mask is None else mask[:, None, :])
    allowed = np.broadcast_to(keep[:, None] > 0, scores.shape)
    assert (scores[~allowed] == 0).all()
    assert (scores[allowed] > 0.01).all()
    np.testing.assert_allclose(scores.sum(-1), 1, rtol=1e-6)


def test_scores_are_the_probabilities_before_dropout():
    attention = layers.MultiHeadAttention(num_heads=3, dropout=0.5)
    _, scores = attention(X, return_scores=True, training=False)
    _, training_scores = attention(X, return_scores=True, training=True)
    np.testing.assert_array_equal(scores, training_scores)
    assert not np.allclose(attention(X, training=True), attention(X, training=False))


@pytest.mark.parametrize("dtype", ["mixed_float16", "mixed_bfloat16"])
def test_half_precision_neither_overflows_nor_gives_nan(dtype):
    """Scores of 40 * 40 * 64: float16 ends at 65504, and its sum with -10000 would be coarse."""
    attention = layers.MultiHeadAttention(num_heads=1, dtype=dtype)
    x = 40 * np.sign(RNG.normal(size=(2, 5, 64)))
    attention.build(x.shape)
    for dense in (attention.query_dense, attention.key_dense):
        dense.kernel.assign(np.eye(64))
    mask = np.array([[1, 1, 0, 1, 0], [0, 0, 0, 0, 0]])
    y, scores = attention(ops.cast(x, attention.compute_dtype), mask=mask, return_scores=True)
    scores = ops.convert_to_numpy(ops.cast(scores, "float32"))
    assert np.isfinite(ops.convert_to_numpy(ops.cast(y, "float32"))).all()
    np.testing.assert_allclose(scores.sum(-1), 1, atol=1e-2)
    # Key 2 is the query's own, 12800 above most others: more than the mask takes away.
    assert (scores[0, 0, [0, 1, 3], 2] == 0).all()
    assert (scores[0, 0, :, 4][:4] == 0).all()


@pytest.mark.parametrize(
    "shape", [(2,), (2, 6), (2, 7, 5), (2, 4, 7), (2, 5, 5), (2, 1, 5, 7), (2, 3, 5, 7)]
)
def test_a_mask_of_another_shape_is_refused(shape):
    message = r"mask must have the shape .* from=5 and to=7\. Received: mask\.shape=\(2,"
    with pytest.raises(ValueError, match=message):
        _attention()(X, OTHER, mask=np.ones(shape))
    with pytest.raises(ValueError, match="mask must have the shape"):
        _attention()(
            keras.Input(X.shape[1:]), keras.Input(OTHER.shape[1:]), mask=keras.Input(shape[1:])
        )


def test_a_width_that_the_heads_do_not_divide_is_refused():
    with pytest.raises(ValueError, match=r"multiple of num_heads.*width=12, num_heads=5"):
        layers.MultiHeadAttention(num_heads=5)(X)


def test_the_mask_that_keras_attaches_is_used():
    ids = np.array([[3, 1, 0, 0, 2]])
    embedding = keras.layers.Embedding(4, 12, mask_zero=True)
    attention = _attention()
    y = attention(attention(embedding(ids)))
    plain = ops.array(ops.convert_to_numpy(embedding(ids)))
    mask = ids > 0
    expected = attention(attention(plain, mask=mask), mask=mask)
    np.testing.assert_allclose(y, expected, rtol=1e-5, atol=1e-7)

    inputs = keras.Input((None,), dtype="int32")
    model = keras.Model(inputs, attention(attention(embedding(inputs))))
    np.testing.assert_allclose(model.predict(ids, verbose=0), expected, rtol=1e-5, atol=1e-7)


def test_an_attention_mask_is_not_attached_to_the_result():
    """Keras would leave masked positions out of the loss."""
    y = _attention()(X, OTHER, mask=MASK)
    assert getattr(y, "_keras_mask", None) is None
