"""Sines and cosines against the paper's formula."""

import numpy as np
import pytest
from keras import ops

from keras_albert import layers
from tests.layer_check import on_tensorflow, run_layer_check
from tests.paths import REFERENCE


def _golden():
    with np.load(REFERENCE / "formulas" / "sinusoidal_positions.npz") as file:
        return {name: file[name] for name in file if name.startswith("interleaved")}


@pytest.mark.parametrize("name", sorted(_golden()))
def test_encoding_is_the_papers_formula(name):
    expected = _golden()[name]
    x = np.zeros((2, *expected.shape), "float32")
    encoding = ops.convert_to_numpy(layers.SinusoidalPositionEncoding()(x))
    np.testing.assert_allclose(encoding, expected, rtol=0, atol=1e-6)


@pytest.mark.parametrize("start", [11, np.int32(11)])
def test_encoding_begins_at_start(start):
    """A start that is an array may be part of a trace and goes another way."""
    expected = _golden()["interleaved_T50_d16"]
    if not isinstance(start, int):
        start = ops.array(start)
    x = np.zeros((2, 20, 16), "float32")
    encoding = ops.convert_to_numpy(layers.SinusoidalPositionEncoding()(x, start=start))
    np.testing.assert_allclose(encoding, expected[11:31], rtol=0, atol=2e-6)


@on_tensorflow
def test_far_positions_are_exact_in_a_graph_of_unknown_length():
    import tensorflow as tf

    layer = layers.SinusoidalPositionEncoding()
    graph = tf.function(layer, input_signature=[tf.TensorSpec((None, None, 8))])
    x = np.zeros((1, 5000, 8), "float32")
    np.testing.assert_allclose(graph(x), layer(x), rtol=0, atol=1e-6)


@pytest.mark.parametrize("width", [1, 7, 8])
def test_encoding_passes_the_layer_check(width, tmp_path):
    x = np.zeros((2, 3, width), "float32")
    run_layer_check(
        lambda **kwargs: layers.SinusoidalPositionEncoding(max_wavelength=100, **kwargs),
        {"x": x},
        tmp_path,
        arguments={"start": 4},
    )
