"""Tables of vectors: tokens, segments, positions, and the projection behind them."""

import keras
import numpy as np
import pytest
from keras import ops

from keras_albert import layers
from tests.layer_check import BACKEND, on_tensorflow, run_layer_check

IDS = np.array([[0, 4, 2], [1, 3, 0]], "int32")
X = np.random.default_rng(0).normal(size=(2, 3, 8)).astype("float32")


def _tokens(**kwargs):
    return layers.TokenEmbedding(vocab_size=5, embedding_dim=8, **kwargs)


def _segments(**kwargs):
    return layers.SegmentEmbedding(num_segments=5, embedding_dim=8, **kwargs)


def _positions(**kwargs):
    return layers.LearnedPositionEmbedding(max_length=6, embedding_dim=8, **kwargs)


@pytest.mark.parametrize("make", [_tokens, _segments])
def test_embeddings_pass_the_layer_check(make, tmp_path):
    argument = "token_ids" if make is _tokens else "segment_ids"
    run_layer_check(make, {argument: IDS}, tmp_path)


def test_token_table_passes_the_layer_check(tmp_path):
    run_layer_check(_tokens, {"token_ids": IDS}, tmp_path, arguments={"table_only": True})


@pytest.mark.parametrize("kernel_only", [False, True])
def test_token_projection_passes_the_layer_check(kernel_only, tmp_path):
    def make(**kwargs):
        return layers.TokenProjection(output_dim=4, **kwargs)

    run_layer_check(make, {"x": X}, tmp_path, arguments={"kernel_only": kernel_only})


@pytest.mark.parametrize("start", [0, 2])
def test_learned_positions_pass_the_layer_check(start, tmp_path):
    run_layer_check(_positions, {"x": X}, tmp_path, arguments={"start": start})


@pytest.mark.parametrize("make", [_tokens, _segments])
def test_an_id_gets_the_row_of_the_table(make):
    layer = make(name="embedding")
    rows = ops.convert_to_numpy(layer(IDS))
    assert [weight.path for weight in layer.weights] == ["embedding/embeddings"]
    np.testing.assert_array_equal(rows, ops.convert_to_numpy(layer.embeddings)[IDS])


@pytest.mark.parametrize(
    ("make", "rule"),
    [(_tokens, r"Token ids .* below vocab_size=5"), (_segments, r"Segment ids .* num_segments=5")],
)
@pytest.mark.parametrize("bad", [-1, 5, 99])
def test_an_id_outside_the_table_raises_in_an_eager_call(make, rule, bad):
    layer = make()
    layer(IDS)
    ids = IDS.copy()
    ids[1, 1] = bad
    with pytest.raises(ValueError, match=rf"{rule}\. Received: (token|segment)_id={bad}"):
        layer(ids)


@on_tensorflow
@pytest.mark.parametrize("bad", [-1, 5])
def test_an_id_outside_the_table_raises_in_a_graph(bad):
    import tensorflow as tf

    layer = _tokens()
    ids = np.where(IDS == 4, bad, IDS)
    graph = tf.function(layer, input_signature=[tf.TensorSpec((None, None), "int32")])
    np.testing.assert_array_equal(graph(IDS), layer(IDS))
    with pytest.raises(
        tf.errors.InvalidArgumentError, match=rf"vocab_size=5\. Received: token_id=\] \[{bad}\]"
    ):
        graph(ids)


@on_tensorflow
def test_a_graph_takes_ids_of_a_type_too_small_for_the_tables_size():
    import tensorflow as tf

    layer = layers.TokenEmbedding(vocab_size=300, embedding_dim=2)
    ids = np.array([[0, 200]], "uint8")
    graph = tf.function(layer, input_signature=[tf.TensorSpec((None, None), "uint8")])
    np.testing.assert_array_equal(graph(ids), layer(ids))


@on_tensorflow
def test_an_id_outside_the_table_raises_in_predict():
    import tensorflow as tf

    ids = keras.Input((None,), dtype="int32")
    model = keras.Model(ids, _tokens()(ids))
    model.compile(jit_compile=False)
    with pytest.raises(tf.errors.InvalidArgumentError, match=r"Received: token_id=\] \[7\]"):
        model.predict(np.array([[1, 7]], "int32"), verbose=0)


@on_tensorflow
def test_xla_compiles_the_id_check_away():
    import tensorflow as tf

    layer = _tokens()
    compiled = tf.function(layer, jit_compile=True)
    np.testing.assert_array_equal(compiled(tf.constant(IDS)), layer(IDS))
    assert compiled(tf.constant(IDS + 9)).shape == (2, 3, 8)


@pytest.mark.parametrize("dtype", ["int64", "uint8", "float32"])
def test_ids_of_any_number_type_are_taken(dtype):
    layer = _tokens()
    np.testing.assert_array_equal(layer(IDS.astype(dtype)), layer(IDS))


def test_empty_batches_have_no_bad_ids():
    assert _tokens()(np.zeros((0, 3), "int32")).shape == (0, 3, 8)


def test_the_table_reaches_a_head_through_the_graph():
    ids = keras.Input((None,), dtype="int32")
    embedding = _tokens(name="token_embedding")
    table = embedding(ids, table_only=True)
    assert table.shape == (5, 8)
    model = keras.Model(ids, ops.matmul(embedding(ids), ops.transpose(table)))
    weights = ops.convert_to_numpy(embedding.embeddings)
    np.testing.assert_allclose(model(IDS), weights[IDS] @ weights.T, rtol=1e-5, atol=1e-6)


def test_token_projection_has_no_bias():
    layer = layers.TokenProjection(output_dim=4, name="token_projection")
    y = layer(X)
    assert [weight.path for weight in layer.weights] == ["token_projection/kernel"]
    kernel = ops.convert_to_numpy(layer(X, kernel_only=True))
    np.testing.assert_allclose(ops.convert_to_numpy(y), X @ kernel, rtol=1e-5, atol=1e-6)


def test_positions_begin_at_start():
    layer = _positions(name="position_embedding")
    table = ops.convert_to_numpy(layer(np.ones((1, 6, 1))))
    assert [weight.path for weight in layer.weights] == ["position_embedding/embeddings"]
    np.testing.assert_array_equal(table, ops.convert_to_numpy(layer.embeddings))
    np.testing.assert_array_equal(layer(X, start=2), table[2:5])
    np.testing.assert_array_equal(layer(X, start=ops.array(3, "int32")), table[3:6])


@pytest.mark.parametrize("make", [_positions, layers.SinusoidalPositionEncoding])
def test_position_layers_take_a_masked_input_and_pass_no_mask_on(make):
    x = keras.layers.Embedding(5, 8, mask_zero=True)(IDS)
    assert getattr(make()(x), "_keras_mask", None) is None


def test_positions_beyond_the_table_raise():
    with pytest.raises(ValueError, match=r"positions, counted from 0\. Received: position=6"):
        _positions()(np.ones((2, 7, 8)))
    with pytest.raises(ValueError, match=r"positions, counted from 0\. Received: position=8"):
        _positions()(np.ones((2, 6, 8)), start=3)
    with pytest.raises(ValueError, match=r"positions, counted from 0\. Received: position=-1"):
        _positions()(np.ones((2, 6, 8)), start=-1)


def test_positions_beyond_the_table_raise_when_a_model_is_built():
    with pytest.raises(ValueError, match=r"positions, counted from 0\. Received: position=6"):
        _positions()(keras.Input((7, 8)))


@on_tensorflow
def test_positions_beyond_the_table_raise_in_a_graph_of_unknown_length():
    import tensorflow as tf

    layer = _positions()
    graph = tf.function(layer, input_signature=[tf.TensorSpec((None, None, 8))])
    np.testing.assert_array_equal(graph(X), layer(X))
    with pytest.raises(
        tf.errors.InvalidArgumentError, match=r"from 0\. Received: position=\] \[6\]"
    ):
        graph(np.ones((2, 7, 8), "float32"))


@pytest.mark.skipif(BACKEND != "jax", reason="tests JAX's traces")
def test_a_traced_start_works_under_jit():
    import jax

    layer = _positions()
    expected = layer(X, start=2)
    np.testing.assert_array_equal(jax.jit(lambda s: layer(X, start=s))(2), expected)
