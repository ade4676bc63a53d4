"""The report as one JSON document: everything that the pages show."""

import datetime
import math
import platform
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from keras_albert.errors import InputError
from keras_albert.report.history import curves, read_history
from keras_albert.report.mistakes import mistakes
from keras_albert.training.metric_inputs import class_inputs, finite, label_inputs
from keras_albert.training.metrics import (
    classification_metrics,
    multi_label_metrics,
    regression_metrics,
    reliability,
)
from keras_albert.versions import versions

SCHEMA = 1
TASK_KINDS = ("classification", "multi_label", "regression")
# Of each kind of task, the metrics that sum a run up: the first is the one to look at.
HEADLINES = {
    "classification": ("accuracy", "f1", "macro_f1", "mcc", "log_loss", "ece"),
    "multi_label": (
        "micro_f1",
        "macro_f1",
        "macro_average_precision",
        "subset_accuracy",
        "log_loss",
        "ece",
    ),
    "regression": ("pearson", "spearman", "mse", "mae"),
}
_SCORE_BINS = 20
_MOST_POINTS = 2000  # of a scatter plot


def contents(
    *,
    title: str,
    task_kind: str,
    names: Sequence[str],
    labels: Any,
    predictions: Any,
    texts: Sequence[str | Sequence[str]],
    places: Sequence[Any] | None,
    history: str | Path | None,
    settings: Mapping[str, Any],
    data: Mapping[str, Any],
    baselines: Mapping[str, Mapping[str, Any]] | None,
    threshold: float,
) -> dict[str, Any]:
    """The report; arguments as of `write_report`.

    Returns:
        `keras_albert_report` (the schema), `title`, `created`, `task`, `data`, `settings`,
        `environment`, `metrics`, `baselines`, `curves`, `calibration` and `distribution` (not for
        regression), `points` (for regression) and `mistakes`.
    """
    if task_kind not in TASK_KINDS:
        raise InputError(f"task_kind is one of {TASK_KINDS}. Received: task_kind={task_kind!r}")
    rows = len(texts)
    if not len(labels) == len(predictions) == rows == len(texts if places is None else places):
        raise InputError(
            "Texts, labels, predictions and places are of the same rows. Received: "
            f"{rows} texts, {len(labels)} labels, {len(predictions)} predictions, "
            f"{'no' if places is None else len(places)} places"
        )
    labels, predictions, metrics = _measured(task_kind, labels, predictions, names, threshold)
    report: dict[str, Any] = {
        "keras_albert_report": SCHEMA,
        "title": title,
        "created": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "task": {
            "kind": task_kind,
            "labels": list(names),
            "segments": 1 if not rows or isinstance(texts[0], str) else len(texts[0]),
        },
        "data": data,
        "settings": settings,
        "environment": versions() | {"platform": platform.platform()},
        "metrics": metrics,
        "baselines": baselines or {},
        "curves": {} if history is None else curves(read_history(history)),
    }
    if task_kind == "regression":
        step = -(-rows // _MOST_POINTS)
        pairs = np.stack([labels, predictions], axis=-1)[::step]
        report["points"] = pairs.tolist()
    else:
        report["calibration"] = {"ece": metrics["ece"], "bins": reliability(labels, predictions)}
        report["distribution"] = _distribution(task_kind, labels, predictions, names)
    report["mistakes"] = mistakes(task_kind, names, labels, predictions, texts, places, threshold)
    return _ready(report)


def headlines(report: Mapping[str, Any]) -> list[str]:
    """The names of the metrics that sum this report up, those that it has."""
    return [
        name
        for name in HEADLINES[report["task"]["kind"]]
        if report["metrics"].get(name) is not None
    ]


def _measured(
    task_kind: str, labels: Any, predictions: Any, names: Sequence[str], threshold: float
) -> tuple[np.ndarray, np.ndarray, dict[str, Any]]:
    """Checked labels and predictions, and their metrics."""
    if task_kind == "regression":
        labels, predictions = finite("labels", labels), finite("predictions", predictions)
        return labels, predictions, regression_metrics(labels, predictions)
    if task_kind == "multi_label":
        labels, predictions = label_inputs(labels, predictions)
        metrics = multi_label_metrics(labels, predictions, names, threshold)
        return labels, predictions, metrics
    labels, predictions = class_inputs(labels, predictions)
    return labels, predictions, classification_metrics(labels, predictions, names)


def _distribution(
    task_kind: str, labels: np.ndarray, predictions: np.ndarray, names: Sequence[str]
) -> dict[str, Any]:
    """How often which score occurs: counts in bins of equal width from 0 to 1, by series.

    With two classes the score is the second one's probability, and the series are the labels;
    with more it is the predicted class's, with several labels every single one's.
    """
    if task_kind == "multi_label":
        score, of = predictions.ravel(), "the probability of each label"
        has = labels.ravel() == 1
        series = {"rows without the label": score[~has], "rows with the label": score[has]}
    elif len(names) == 2:
        score, of = predictions[:, 1], f"the probability of {names[1]}"
        series = {name: score[labels == index] for index, name in enumerate(names)}
    else:
        score, of = predictions.max(axis=-1), "the probability of the predicted class"
        right = predictions.argmax(axis=-1) == labels
        series = {"right": score[right], "wrong": score[~right]}
    edges = np.linspace(0, 1, _SCORE_BINS + 1)
    counts = {name: np.histogram(part, edges)[0].tolist() for name, part in series.items()}
    return {"of": of, "edges": edges.tolist(), "counts": counts}


def _ready(value: Any) -> Any:
    """The same for JSON: what it has no word for as text, and numbers that are not finite as null.

    Half a surrogate pair, which no file can hold, becomes a question mark.
    """
    if isinstance(value, Mapping):
        return {_ready(str(key)): _ready(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_ready(item) for item in value]
    if isinstance(value, np.ndarray | np.generic):
        return _ready(value.tolist())
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if value is None or isinstance(value, bool | int):
        return value
    return str(value).encode("utf-8", "replace").decode("utf-8")
