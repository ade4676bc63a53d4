"""The reference's single formulas against Google's, on awkward numbers."""

import json
import math
import re

import numpy as np
import pytest

from checkpoints_tools.reference import formulas
from checkpoints_tools.reference.formulas import (
    ACTIVATIONS,
    attention,
    dense,
    layer_norm,
    mask_bias,
)
from keras_albert.config import EncoderConfig
from tests.paths import REFERENCE

FOLDER = REFERENCE / "formulas"
BAR = 1e-6  # single float32 operations of Google's against float64

pytestmark = pytest.mark.skipif(
    not FOLDER.is_dir(), reason="needs the golden formulas of the reference"
)


def load(name):
    with np.load(FOLDER / name) as arrays:
        return dict(arrays)


@pytest.fixture
def norm():
    arrays = load("layer_norm.npz")
    described = json.loads((FOLDER / "index.json").read_text())["layer_norm.npz"]
    # index.json lists, a row each, what float32 loses by rounding; it prints two digits.
    lost = [float(x) for x in re.findall(r"'([\d.e+-]+)'", described)]
    assert len(lost) == len(arrays["x"])
    return arrays, np.array(lost) * 1.05


def test_google_s_gelu_is_the_tanh_form():
    g = load("gelu.npz")
    x = g["x"].astype(np.float64)
    np.testing.assert_allclose(formulas.gelu_tanh(x), g["tanh_gelu_float64"], rtol=0, atol=1e-14)
    scale = np.maximum(1, np.abs(x))
    assert np.max(np.abs(formulas.gelu_tanh(x) - g["google_gelu"]) / scale) < BAR
    assert np.max(np.abs(formulas.gelu_erf(x) - g["google_gelu"]) / scale) > 100 * BAR


def test_erf_gelu_is_exact():
    g = load("gelu.npz")
    x = g["x"].astype(np.float64)
    np.testing.assert_allclose(formulas.gelu_erf(x), g["erf_gelu_float64"], rtol=0, atol=1e-14)
    assert formulas.gelu_erf(g["x"]).dtype == np.float32


@pytest.mark.parametrize("google", ["relu", "tanh", "gelu", "linear"])
def test_activations_are_those_that_get_activation_gives(google):
    chosen = json.loads((FOLDER / "get_activation.json").read_text())[google]
    x = np.linspace(-3, 3, 13)
    expected = {
        "relu": x * (x > 0),
        "tanh": np.array([math.tanh(v) for v in x]),
        "gelu": formulas.gelu_tanh(x),
        None: x,
    }[chosen]
    ours = {"gelu": "gelu_tanh"}.get(google, google)
    np.testing.assert_allclose(ACTIVATIONS[ours](x), expected, rtol=1e-15)


def test_layer_norm_in_float64_is_exact_on_awkward_rows(norm):
    arrays, _ = norm
    x = arrays["x"].astype(np.float64)
    ours = layer_norm(x, arrays["gamma"], arrays["beta"], 1e-12)
    np.testing.assert_allclose(ours, arrays["y_float64"], rtol=0, atol=1e-12)


def test_layer_norm_is_google_s_up_to_what_float32_loses(norm):
    arrays, lost = norm
    x = arrays["x"].astype(np.float64)
    ours = layer_norm(x, arrays["gamma"], arrays["beta"], 1e-12)
    difference = np.abs(ours - arrays["y"]).max(axis=-1)
    assert np.all(difference <= np.maximum(BAR, lost)), difference
    assert np.sum(lost > BAR) < len(lost) / 2  # most rows are held to the tight bar


@pytest.mark.parametrize("epsilon", [1e-6, 1e-9, 0.0])
def test_another_epsilon_shows_on_rows_of_tiny_spread(norm, epsilon):
    arrays, lost = norm
    x = arrays["x"].astype(np.float64)
    with np.errstate(invalid="ignore"):  # without epsilon a constant row divides 0 by 0
        ours = layer_norm(x, arrays["gamma"], arrays["beta"], epsilon)
    close = np.abs(ours - arrays["y"]).max(axis=-1) <= np.maximum(BAR, lost)
    assert not close.all()


def test_layer_norm_takes_the_biased_variance(norm):
    arrays, lost = norm
    x = arrays["x"].astype(np.float64)
    unbiased = (x - x.mean(-1, keepdims=True)) / np.sqrt(x.var(-1, ddof=1, keepdims=True) + 1e-12)
    ours = unbiased * arrays["gamma"] + arrays["beta"]
    assert np.max(np.abs(ours - arrays["y"])[lost < BAR]) > 0.01


def attend(arrays, mask=None):
    def project(part, x):
        kernel, bias = (arrays[f"variable/{part}/{kind}"] for kind in ("kernel", "bias"))
        return dense(x.astype(np.float64), kernel, bias)

    query = project("query", arrays["from_tensor"])
    key, value = (project(part, arrays["to_tensor"]) for part in ("key", "value"))
    bias = 0.0 if mask is None else mask_bias(mask, np.dtype(np.float64))
    return attention(query, key, value, num_heads=3, bias=bias)


def test_mask_is_one_value_a_key_whatever_the_query():
    arrays = load("attention.npz")
    ours = mask_bias(arrays["to_mask"], np.dtype(np.float64))
    google = (1 - arrays["attention_mask"].astype(np.float64)) * -10000  # [batch, from, to]
    np.testing.assert_array_equal(np.broadcast_to(ours[:, 0], google.shape), google)


def test_attention_between_different_widths_and_lengths_is_google_s():
    arrays = load("attention.npz")
    context, scores = attend(arrays)
    np.testing.assert_allclose(context, arrays["context_without_mask"], rtol=0, atol=BAR)
    np.testing.assert_allclose(scores, arrays["attention_probs_without_mask"], rtol=0, atol=BAR)
    context, scores = attend(arrays, arrays["to_mask"])
    rows = arrays["to_mask"].any(axis=-1)
    np.testing.assert_allclose(context[rows], arrays["context"][rows], rtol=0, atol=BAR)
    np.testing.assert_allclose(scores[rows], arrays["attention_probs"][rows], rtol=0, atol=BAR)


def test_a_fully_masked_row_attends_as_if_there_were_no_mask():
    arrays = load("attention.npz")
    (row,) = np.flatnonzero(~arrays["to_mask"].any(axis=-1))
    context, scores = attend(arrays, arrays["to_mask"])
    free_context, free_scores = attend(arrays)
    np.testing.assert_allclose(context[row], free_context[row], rtol=0, atol=1e-10)
    np.testing.assert_allclose(scores[row], free_scores[row], rtol=0, atol=1e-10)
    # Google's float32 scores beside -10000 are multiples of 2**-10, half of which is lost.
    lost = 2.0**-11
    np.testing.assert_allclose(scores[row], arrays["attention_probs"][row], rtol=2 * lost)
    scale = np.abs(arrays["context"][row]).max()
    assert np.abs(context[row] - arrays["context"][row]).max() <= 2 * lost * scale


def test_top_k_takes_the_lower_index_of_equals():
    values, index = formulas.top_k(np.array([[1.0, 3.0, 3.0, 2.0, 3.0], [0, 0, 0, 0, 0]]), 3)
    assert index.tolist() == [[1, 2, 4], [0, 1, 2]]
    assert values.tolist() == [[3, 3, 3], [0, 0, 0]]


def test_schedule_groups_layers_as_google_s_floating_point_does():
    table = json.loads((FOLDER / "albert_group_of_layer.json").read_text())
    rows = [(row, row["group_of_layer"]) for row in table["table"]]
    odd = table["differs_from_integer_division_up_to_48_layers"]
    rows += [(row, row["google"]) for row in odd]
    assert len(odd) == 11
    for row, groups in rows:
        config = EncoderConfig(
            vocab_size=1,
            hidden_dim=2,
            num_heads=1,
            num_layers=row["num_hidden_layers"],
            num_groups=row["num_hidden_groups"],
            inner_layers=2,
            family="albert",
        )
        expected = [group * 2 + inner for group in groups for inner in (0, 1)]
        assert list(config.schedule) == expected, row
