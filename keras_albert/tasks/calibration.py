"""The temperature of a classifier's probabilities, with a word where the rows do not settle it."""

import numpy as np
from absl import logging

from keras_albert.training.metrics import TEMPERATURES, fit_temperature

_NEAR = 1.01  # the search ends close to a bound, not on it


def temperature_for(logits: np.ndarray, numbers: np.ndarray) -> float:
    """As `fit_temperature`; a warning where an end of the range, `TEMPERATURES`, is the best.

    So it is where all of a few rows are right: the lower the temperature, the better.

    Args:
        logits: [rows, classes], or [rows, labels].
        numbers: Class indices [rows], or 0 and 1 [rows, labels].
    """
    temperature = fit_temperature(logits, numbers)
    lowest, highest = TEMPERATURES
    is_inside = lowest * _NEAR < temperature < highest / _NEAR
    if _all_right(logits, numbers) or not is_inside:
        logging.warning(
            "The best temperature of the probabilities is an end of the range from %g to %g, and "
            "%.3g is taken: %d validation rows may be too few to calibrate by",
            lowest,
            highest,
            temperature,
            len(numbers),
        )
    return temperature


def _all_right(logits: np.ndarray, numbers: np.ndarray) -> bool:
    if numbers.ndim == 2:
        return bool(((logits > 0) == (numbers == 1)).all())
    return bool((logits.argmax(axis=-1) == numbers).all())
