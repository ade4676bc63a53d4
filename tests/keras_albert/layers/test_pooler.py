"""The pooler: tanh of a dense layer on the first token."""

import numpy as np
from keras import ops

from keras_albert import layers
from tests.layer_check import run_layer_check

X = np.random.default_rng(0).normal(size=(2, 5, 12)).astype("float32")


def test_pooler_passes_the_layer_check(tmp_path):
    run_layer_check(lambda **kwargs: layers.Pooler(hidden_dim=8, **kwargs), {"x": X}, tmp_path)


def test_pooler_reads_the_first_token_alone():
    pooler = layers.Pooler(hidden_dim=8, name="pool")
    y = ops.convert_to_numpy(pooler(X))
    assert [weight.path for weight in pooler.weights] == ["pool/kernel", "pool/bias"]
    pooler.bias.assign(np.linspace(-1, 1, 8))
    y = ops.convert_to_numpy(pooler(X))
    kernel = ops.convert_to_numpy(pooler.kernel)
    np.testing.assert_allclose(y, np.tanh(X[:, 0] @ kernel + np.linspace(-1, 1, 8)), atol=1e-6)
    np.testing.assert_array_equal(y, pooler(X[:, :1]))
