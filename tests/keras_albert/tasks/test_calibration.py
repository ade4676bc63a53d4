"""The temperature, and what is said of it."""

import numpy as np
import pytest
from absl import logging

from keras_albert.tasks.calibration import temperature_for


@pytest.fixture
def said(monkeypatch):
    lines = []
    monkeypatch.setattr(logging, "warning", lambda form, *values: lines.append(form % values))
    return lines


@pytest.mark.parametrize(
    ("logits", "labels", "lowest", "highest"),
    [
        ([[0.0, 0.4]] * 3, [1, 1, 1], 0.1, 0.101),
        ([[0.0, 40.0]] * 3, [1, 1, 1], 0.1, 1.0),  # no log loss to speak of at any of them
        ([[0.0, 4.0]] * 3, [0, 0, 0], 9.9, 10.0),
        ([[2.0, -2.0]] * 3, [[1, 0]] * 3, 0.1, 1.0),
        ([[2.0, -2.0]] * 3, [[0, 1]] * 3, 9.9, 10.0),
    ],
    ids=["right", "sure and right", "wrong", "several labels, right", "several labels, wrong"],
)
def test_rows_that_are_all_right_or_all_wrong_leave_a_warning(
    logits, labels, lowest, highest, said
):
    found = temperature_for(np.array(logits), np.array(labels))
    assert lowest <= found <= highest
    assert said == [
        "The best temperature of the probabilities is an end of the range from 0.1 to 10, and "
        f"{found:.3g} is taken: 3 validation rows may be too few to calibrate by"
    ]


def test_a_temperature_within_the_range_is_taken_silently(said):
    logits = np.array([[0.0, 4.0]] * 4)
    temperature = temperature_for(logits, np.array([1, 1, 1, 0]))
    assert temperature == pytest.approx(4 / np.log(3), rel=1e-4)
    assert said == []
