"""Keras' LayerNormalization is Google's layer_norm: the layers use it as it is."""

import keras
import numpy as np
import pytest
from keras import ops

from tests.paths import REFERENCE

# Rows whose spread is small beside their offset: float32 itself departs from float64 there.
BADLY_CONDITIONED = [1, 2, 5, 6, 14]


@pytest.fixture(scope="module")
def golden():
    with np.load(REFERENCE / "formulas" / "layer_norm.npz") as file:
        return dict(file)


def _norm(golden, **kwargs):
    norm = keras.layers.LayerNormalization(epsilon=1e-12, **kwargs)
    norm.build(golden["x"].shape)
    norm.gamma.assign(golden["gamma"])
    norm.beta.assign(golden["beta"])
    return norm


def test_layer_norm_is_googles(golden):
    y = ops.convert_to_numpy(_norm(golden)(golden["x"]))
    error = np.abs(y - golden["y"]).max(axis=-1)
    well = np.setdiff1d(np.arange(len(y)), BADLY_CONDITIONED)
    assert error[well].max() < 1e-6
    assert np.isfinite(y).all()
    # Google's own float32 is as far from float64 on these rows.
    own = np.abs(golden["y"] - golden["y_float64"]).max(axis=-1)
    assert (error[BADLY_CONDITIONED] <= 2 * own[BADLY_CONDITIONED] + 1e-3).all()


@pytest.mark.parametrize("dtype", ["mixed_float16", "mixed_bfloat16"])
def test_layer_norm_computes_in_float32_under_half_precision(golden, dtype):
    """Squares of 300 leave float16."""
    x = golden["x"][7:8] / np.abs(golden["x"][7:8]).max() * 300
    norm = _norm(golden, dtype=dtype)
    half = ops.cast(x, norm.compute_dtype)
    y = ops.convert_to_numpy(ops.cast(norm(half), "float32"))
    expected = ops.convert_to_numpy(_norm(golden)(ops.cast(half, "float32")))
    eps = 1e-3 if dtype == "mixed_float16" else 1e-2
    np.testing.assert_allclose(y, expected, rtol=eps, atol=eps)
