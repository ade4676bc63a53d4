"""What metrics take, checked; and what they return, in Python's own types."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from keras_albert.data.messages import shown
from keras_albert.errors import InputError

_SUM_TOLERANCE = 1e-2  # probabilities of many classes in bfloat16 sum to 1 no better
_ROUNDING = 1e-6  # a softmax in float32 may exceed 1 by this

Array = npt.ArrayLike


def class_inputs(labels: Array, probabilities: Array) -> tuple[np.ndarray, np.ndarray]:
    """Class indices and distributions, these in float64 and summing to exactly 1.

    Raises:
        InputError: Shapes disagree, a label is no class, a row is no distribution.
    """
    probabilities = _probabilities(probabilities)
    labels = class_indices(labels, probabilities)
    sums = probabilities.sum(axis=-1, keepdims=True)
    row = int(np.abs(sums - 1).argmax())
    if abs(sums[row, 0] - 1) > _SUM_TOLERANCE:
        raise InputError(
            "The classes' probabilities sum to 1 in every row. "
            f"Received: sum={sums[row, 0]:.6g}, row={row}"
        )
    return labels, probabilities / sums


def label_inputs(labels: Array, probabilities: Array) -> tuple[np.ndarray, np.ndarray]:
    """Indicators of several labels and their probabilities, these in float64.

    Raises:
        InputError: Shapes disagree, a label is not 0 or 1, a probability not within [0, 1].
    """
    probabilities = _probabilities(probabilities)
    return indicators(labels, probabilities), probabilities


def class_indices(labels: Array, scores: np.ndarray) -> np.ndarray:
    """Labels as indices, int [rows], of the classes of the scores [rows, classes].

    Raises:
        InputError: Shapes disagree, or a label is no class.
    """
    labels = finite("labels", labels)
    if labels.ndim != 1 or scores.ndim != 2 or len(labels) != len(scores) or not labels.size:
        raise InputError(
            "Labels are [rows] and scores [rows, classes], of at least one row. "
            f"Received: shapes={labels.shape}, {scores.shape}"
        )
    classes = scores.shape[1]
    wrong = (labels < 0) | (labels >= classes) | (labels % 1 != 0)
    if wrong.any() or classes < 2:
        raise InputError(
            "A label is the index of one of two classes or more. "
            f"Received: label={labels[wrong.argmax()]:g}, classes={classes}"
        )
    return labels.astype(int)


def indicators(labels: Array, scores: np.ndarray) -> np.ndarray:
    """Labels as 0 and 1, int [rows, labels], of the shape of the scores.

    Raises:
        InputError: Shapes disagree, or a label is not 0 or 1.
    """
    labels = finite("labels", labels)
    if labels.ndim != 2 or labels.shape != scores.shape or not labels.size:
        raise InputError(
            "Several labels and their scores are [rows, labels], of at least one row. "
            f"Received: shapes={labels.shape}, {scores.shape}"
        )
    if (wrong := labels[(labels != 0) & (labels != 1)]).size:
        raise InputError(f"Of several labels, each is 0 or 1. Received: label={wrong[0]:g}")
    return labels.astype(int)


def _probabilities(values: Array) -> np.ndarray:
    array = finite("probabilities", values)
    if (wrong := array[(array < 0) | (array > 1 + _ROUNDING)]).size:
        raise InputError(f"A probability lies within [0, 1]. Received: probability={wrong[0]:g}")
    return np.minimum(array, 1.0)


def finite(name: str, values: Array) -> np.ndarray:
    """The values in float64; `name` is what an error calls them.

    Raises:
        InputError: They are no numbers, or not finite.
    """
    try:
        array = np.asarray(values, dtype="float64")
    except (TypeError, ValueError) as error:
        raise InputError(
            f"{name} are an array of numbers. Received: {shown(str(error))}"
        ) from error
    if not (is_finite := np.isfinite(array)).all():
        place = tuple(np.argwhere(~is_finite)[0].tolist())
        where = ", ".join(map(str, place))
        raise InputError(f"Every number is finite. Received: {name}[{where}]={array[place]}")
    return array


def check_names(names: Sequence[str], probabilities: np.ndarray) -> None:
    """Raises `InputError` unless every column of the probabilities has a name of its own."""
    different, columns = len(set(names)), probabilities.shape[1]
    if not different == len(names) == columns:
        raise InputError(
            "Every class has a name of its own. "
            f"Received: names={shown(list(names))}, classes={columns}"
        )


def plain(value: Any) -> Any:
    """NumPy's values, also within dicts and lists, as Python's own."""
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [plain(item) for item in value]
    return value.tolist() if isinstance(value, np.ndarray | np.generic) else value
