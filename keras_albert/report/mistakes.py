"""The rows that a model is most wrong about, with their text."""

from collections.abc import Sequence
from typing import Any

import numpy as np

MOST = 50
LONGEST_TEXT = 600  # characters of a segment

Text = str | Sequence[str]


def mistakes(
    task_kind: str,
    names: Sequence[str],
    labels: np.ndarray,
    predictions: np.ndarray,
    texts: Sequence[Text],
    places: Sequence[Any] | None,
    threshold: float,
) -> list[dict[str, Any]]:
    """At most 50 wrong rows, the worst first.

    The worst of a class is what gave the label the least probability, of several labels the
    greatest sum over the wrong ones of how far their probability lies from 0 or 1, of numbers the
    greatest absolute error.

    Returns:
        Of each row `row` (from 1), `place` where it is known, `texts` (long ones cut), `label`,
        `predicted`, and: `label_probability` and `predicted_probability`; `probabilities` of the
        wrong labels by name; or `error`, the prediction minus the label.
    """
    describe, badness = {
        "classification": _of_classes,
        "multi_label": _of_labels,
        "regression": _of_numbers,
    }[task_kind](names, labels, predictions, threshold)
    worst = np.argsort(-badness, kind="stable")[:MOST]
    found = []
    for row in worst[badness[worst] > 0].tolist():
        text = texts[row]
        segments = (text,) if isinstance(text, str) else text
        place = {} if places is None else {"place": str(places[row])}
        found.append(
            {"row": row + 1, **place, "texts": [_cut(segment) for segment in segments]}
            | describe(row)
        )
    return found


def _of_classes(names: Any, labels: Any, predictions: Any, _threshold: float) -> Any:
    predicted = predictions.argmax(axis=-1)
    of_label = np.take_along_axis(predictions, labels[:, None], axis=-1)[:, 0]

    def describe(row: int) -> dict[str, Any]:
        return {
            "label": names[labels[row]],
            "predicted": names[predicted[row]],
            "label_probability": float(of_label[row]),
            "predicted_probability": float(predictions[row, predicted[row]]),
        }

    return describe, np.where(predicted == labels, 0.0, 1.0 - of_label)


def _of_labels(names: Any, labels: Any, predictions: Any, threshold: float) -> Any:
    predicted = predictions >= threshold
    wrong = predicted != (labels == 1)

    def describe(row: int) -> dict[str, Any]:
        return {
            "label": [names[index] for index in np.flatnonzero(labels[row])],
            "predicted": [names[index] for index in np.flatnonzero(predicted[row])],
            "probabilities": {
                names[index]: float(predictions[row, index]) for index in np.flatnonzero(wrong[row])
            },
        }

    return describe, (wrong * np.abs(predictions - labels)).sum(axis=-1)


def _of_numbers(_names: Any, labels: Any, predictions: Any, _threshold: float) -> Any:
    def describe(row: int) -> dict[str, Any]:
        label, predicted = float(labels[row]), float(predictions[row])
        return {"label": label, "predicted": predicted, "error": predicted - label}

    return describe, np.abs(predictions - labels)


def _cut(text: str) -> str:
    return text[:LONGEST_TEXT] + ("…" if len(text) > LONGEST_TEXT else "")
