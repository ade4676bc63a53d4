"""Encoder and decoder blocks: the order of their parts, and who sees what."""

import keras
import numpy as np
import pytest
from keras import ops

from keras_albert import layers
from tests.layer_check import run_layer_check

RNG = np.random.default_rng(0)
X = RNG.normal(size=(2, 5, 12)).astype("float32")
ENCODED = RNG.normal(size=(2, 7, 10)).astype("float32")
MASK = np.array([[1, 1, 1, 0, 0], [1, 0, 1, 1, 1]], "int32")
ENCODER_MASK = np.array([[1, 1, 1, 0, 0, 0, 0], [1, 1, 1, 1, 1, 1, 0]], "int32")
NO_GRADIENT = ("attention/key/bias",)


def _encoder(norm_position="post", **kwargs):
    return layers.TransformerEncoderBlock(
        num_heads=3, intermediate_dim=20, norm_position=norm_position, **kwargs
    )


def _decoder(norm_position="post", **kwargs):
    return layers.TransformerDecoderBlock(
        num_heads=3, intermediate_dim=20, norm_position=norm_position, **kwargs
    )


def _randomized(block, *inputs):
    """The block with weights that all matter: gammas and biases too."""
    block(*inputs)
    for weight in block.trainable_weights:
        weight.assign(RNG.normal(size=weight.shape, scale=0.5))
    return block


@pytest.mark.parametrize("norm_position", ["post", "pre"])
@pytest.mark.parametrize(
    ("inputs", "arguments"),
    [
        ({"x": X}, {}),
        ({"x": X, "mask": MASK}, {"return_scores": True}),
        ({"x": X, "mask": MASK, "queries": X[:, :1]}, {"return_scores": True}),
    ],
)
def test_encoder_block_passes_the_layer_check(norm_position, inputs, arguments, tmp_path):
    run_layer_check(
        lambda **kwargs: _encoder(norm_position, **kwargs),
        inputs,
        tmp_path,
        arguments=arguments,
        no_gradient=NO_GRADIENT,
    )


@pytest.mark.parametrize("norm_position", ["post", "pre"])
@pytest.mark.parametrize(
    ("inputs", "arguments"),
    [
        ({"x": X, "encoder_output": ENCODED}, {}),
        (
            {"x": X, "encoder_output": ENCODED, "mask": MASK, "encoder_mask": ENCODER_MASK},
            {"return_scores": True},
        ),
    ],
)
def test_decoder_block_passes_the_layer_check(norm_position, inputs, arguments, tmp_path):
    run_layer_check(
        lambda **kwargs: _decoder(norm_position, **kwargs),
        inputs,
        tmp_path,
        arguments=arguments,
        no_gradient=NO_GRADIENT,
    )


def test_encoder_weights_are_named_as_the_architecture():
    x = keras.Input((None, 12))
    model = keras.Model(x, _encoder(name="encoder_block_0")(x))
    paths = [weight.path for weight in model.trainable_weights]
    attention = [
        f"encoder_block_0/attention/{part}/{weight}"
        for part in ("query", "key", "value", "output")
        for weight in ("kernel", "bias")
    ]
    assert paths == [
        *attention,
        "encoder_block_0/attention_layer_norm/gamma",
        "encoder_block_0/attention_layer_norm/beta",
        "encoder_block_0/intermediate/kernel",
        "encoder_block_0/intermediate/bias",
        "encoder_block_0/output/kernel",
        "encoder_block_0/output/bias",
        "encoder_block_0/output_layer_norm/gamma",
        "encoder_block_0/output_layer_norm/beta",
    ]


def test_decoder_weights_are_named_as_the_architecture():
    block = _decoder(name="decoder_block_0")
    block(X, ENCODED)
    parts = {weight.path.rsplit("/", 1)[0] for weight in block.trainable_weights}
    attentions = ("self_attention", "cross_attention")
    dense = ("query", "key", "value", "output")
    assert parts == {f"decoder_block_0/{name}/{part}" for name in attentions for part in dense} | {
        f"decoder_block_0/{name}"
        for name in (
            "self_attention_layer_norm",
            "cross_attention_layer_norm",
            "intermediate",
            "output",
            "output_layer_norm",
        )
    }


def test_post_norm_encoder_block_normalises_after_each_residual():
    block = _randomized(_encoder("post"), X)
    x1 = block.attention_layer_norm(X + block.attention(X, mask=MASK))
    expected = block.output_layer_norm(x1 + _feed_forward(block, x1))
    np.testing.assert_allclose(block(X, mask=MASK), expected, rtol=1e-5, atol=1e-5)


def test_pre_norm_encoder_block_normalises_before_each_part():
    block = _randomized(_encoder("pre"), X)
    x1 = X + block.attention(block.attention_layer_norm(X), mask=MASK)
    expected = x1 + _feed_forward(block, block.output_layer_norm(x1))
    np.testing.assert_allclose(block(X, mask=MASK), expected, rtol=1e-5, atol=1e-5)


def test_post_norm_decoder_block_is_the_papers():
    block = _randomized(_decoder("post"), X, ENCODED)
    x1 = block.self_attention_layer_norm(X + block.self_attention(X, mask=MASK, causal=True))
    attended = block.cross_attention(x1, ENCODED, mask=ENCODER_MASK)
    x2 = block.cross_attention_layer_norm(x1 + attended)
    expected = block.output_layer_norm(x2 + _feed_forward(block, x2))
    y = block(X, ENCODED, mask=MASK, encoder_mask=ENCODER_MASK)
    np.testing.assert_allclose(y, expected, rtol=1e-5, atol=1e-5)


def test_pre_norm_decoder_block_normalises_before_each_part():
    block = _randomized(_decoder("pre"), X, ENCODED)
    normed = block.self_attention_layer_norm(X)
    x1 = X + block.self_attention(normed, mask=MASK, causal=True)
    normed = block.cross_attention_layer_norm(x1)
    x2 = x1 + block.cross_attention(normed, ENCODED, mask=ENCODER_MASK)
    expected = x2 + _feed_forward(block, block.output_layer_norm(x2))
    y = block(X, ENCODED, mask=MASK, encoder_mask=ENCODER_MASK)
    np.testing.assert_allclose(y, expected, rtol=1e-5, atol=1e-5)


def _feed_forward(block, x):
    return block.output_dense(block.activation(block.intermediate_dense(x)))


@pytest.mark.parametrize("norm_position", ["post", "pre"])
def test_asked_for_some_queries_a_block_gives_those_rows(norm_position):
    block = _randomized(_encoder(norm_position), X)
    y, scores = block(X, mask=MASK, return_scores=True)
    first, first_scores = block(X, mask=MASK, queries=X[:, :2], return_scores=True)
    np.testing.assert_allclose(first, y[:, :2], rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(first_scores, scores[:, :, :2], rtol=1e-5, atol=1e-6)


def test_masked_keys_change_no_other_row():
    block = _randomized(_encoder(), X)
    changed = np.where(MASK[..., None] == 1, X, 9.0)
    y, other = block(X, mask=MASK), block(changed, mask=MASK)
    keep = MASK == 1
    np.testing.assert_allclose(
        ops.convert_to_numpy(y)[keep], ops.convert_to_numpy(other)[keep], rtol=1e-5, atol=1e-6
    )


def test_later_rows_change_no_earlier_row_of_a_decoder_block():
    block = _randomized(_decoder(), X, ENCODED)
    changed = X.copy()
    changed[:, 3:] += 1
    y, other = (ops.convert_to_numpy(block(x, ENCODED)) for x in (X, changed))
    np.testing.assert_array_equal(y[:, :3], other[:, :3])
    assert np.abs(y[:, 3:] - other[:, 3:]).min(axis=-1).max() > 1e-3


@pytest.mark.parametrize("rate", ["dropout", "attention_dropout"])
@pytest.mark.parametrize("make", [_encoder, _decoder])
def test_dropout_works_in_training_alone(make, rate):
    rates = {"dropout": 0.0, "attention_dropout": 0.0, rate: 0.5}
    inputs = (X,) if make is _encoder else (X, ENCODED)
    block = _randomized(make(**rates), *inputs)
    np.testing.assert_array_equal(block(*inputs, training=False), block(*inputs))
    assert not np.allclose(block(*inputs, training=True), block(*inputs), atol=1e-3)


def test_a_block_called_twice_shares_its_weights():
    x = keras.Input((None, 12))
    block = _encoder()
    model = keras.Model(x, block(block(x)))
    assert len(model.trainable_weights) == len(block.trainable_weights) == 16
    np.testing.assert_allclose(model(X), block(block(X)), rtol=1e-6, atol=1e-6)


def test_the_mask_that_keras_attaches_reaches_every_block():
    ids = np.array([[3, 1, 0, 0, 2]])
    embedding = keras.layers.Embedding(4, 12, mask_zero=True)
    block = _encoder()
    decoder = _decoder()
    y = decoder(block(block(embedding(ids))), block(embedding(ids)))
    plain = ops.array(ops.convert_to_numpy(embedding(ids)))
    mask = ids > 0
    once = block(plain, mask=mask)
    expected = decoder(block(once, mask=mask), once, mask=mask, encoder_mask=mask)
    np.testing.assert_allclose(y, expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("make", [_encoder, _decoder])
def test_an_unknown_norm_position_is_refused(make):
    with pytest.raises(ValueError, match=r"'post' or 'pre'\. Received: norm_position='sandwich'"):
        make("sandwich")


@pytest.mark.parametrize("make", [_encoder, _decoder])
def test_every_norm_has_the_epsilon_that_is_asked_for(make):
    block = make(layer_norm_epsilon=0.5)
    block(*((X,) if make is _encoder else (X, ENCODED)))
    norms = [layer for layer in block._layers if "norm" in layer.name]
    assert len(norms) == (2 if make is _encoder else 3)
    assert all(norm.epsilon == 0.5 for norm in norms)
