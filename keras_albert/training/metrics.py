"""Metrics of classification, several labels at once and regression, ready for JSON.

The definitions are scikit-learn's and SciPy's wherever they have one. Every value is a plain
Python number, list or dict; where a metric has no value, it is None.
"""

import math
import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np

from keras_albert.errors import InputError
from keras_albert.training.metric_inputs import (
    Array,
    check_names,
    class_indices,
    class_inputs,
    finite,
    indicators,
    label_inputs,
    plain,
)

BINS = 15  # of the calibration error, as in Guo et al. (2017)
TEMPERATURES = (0.1, 10.0)  # the range of `fit_temperature`; a model without errors has no least T


def classification_metrics(
    labels: Array, probabilities: Array, names: Sequence[str]
) -> dict[str, Any]:
    """Metrics where each row has exactly one class.

    The most probable class is the prediction; of equal ones, the first.

    Args:
        labels: Class indices, int [rows].
        probabilities: Of every class, [rows, classes]; each row sums to 1.
        names: The classes' names, in the order of their indices.

    Returns:
        `rows`, `accuracy`, `macro_f1` (over the classes that occur among labels or predictions,
        as scikit-learn has it by default), `micro_f1`, `mcc` (Matthews correlation), `log_loss`
        in nats, `ece` (see `expected_calibration_error`), with two classes `f1` of the second, the
        positive one; `confusion` (rows: labels, columns: predictions) and `per_class`: precision,
        recall, f1 (0 where a denominator is 0) and support by name.

    Raises:
        InputError: Shapes disagree, a label is no class, a row is no distribution.
    """
    from sklearn import metrics

    labels, probabilities = class_inputs(labels, probabilities)
    check_names(names, probabilities)
    classes = range(len(names))
    predictions = probabilities.argmax(axis=-1)
    scores = metrics.precision_recall_fscore_support(
        labels, predictions, labels=classes, zero_division=0
    )
    per_class = {
        name: dict(zip(("precision", "recall", "f1", "support"), values, strict=True))
        for name, *values in zip(names, *scores, strict=True)
    }
    several = len(np.union1d(labels, predictions)) > 1
    positive = {"f1": per_class[names[1]]["f1"]} if len(names) == 2 else {}
    return plain(
        {
            "rows": len(labels),
            "accuracy": metrics.accuracy_score(labels, predictions),
            **positive,
            "macro_f1": metrics.f1_score(labels, predictions, average="macro", zero_division=0),
            "micro_f1": metrics.f1_score(labels, predictions, average="micro", zero_division=0),
            # scikit-learn gives 0 there, too, with a warning.
            "mcc": metrics.matthews_corrcoef(labels, predictions) if several else 0.0,
            "log_loss": metrics.log_loss(labels, probabilities, labels=classes),
            "ece": expected_calibration_error(labels, probabilities),
            "confusion": metrics.confusion_matrix(labels, predictions, labels=classes),
            "per_class": per_class,
        }
    )


def multi_label_metrics(
    labels: Array, probabilities: Array, names: Sequence[str], threshold: float = 0.5
) -> dict[str, Any]:
    """Metrics where each row has any number of labels.

    Args:
        labels: 1 where the row has the label, else 0, [rows, labels].
        probabilities: Of each label on its own, [rows, labels].
        names: The labels' names.
        threshold: From this probability on, a label counts as predicted.

    Returns:
        `rows`, `threshold`, `micro_f1`, `macro_f1` (over all labels), `subset_accuracy` (share of
        rows with every label right), `hamming_loss` (share of single decisions that are wrong),
        `macro_average_precision` (over the labels that occur), `log_loss` in nats a decision,
        `ece` over single decisions, and `per_label`: precision, recall, f1 (0 where a denominator
        is 0), support and average_precision (None where the label does not occur) by name.

    Raises:
        InputError: Shapes disagree, a label is not 0 or 1, a probability not in [0, 1].
    """
    from sklearn import metrics

    labels, probabilities = label_inputs(labels, probabilities)
    check_names(names, probabilities)
    predictions = (probabilities >= threshold).astype(int)
    per_label: dict[str, dict[str, Any]] = {}
    for name, truth, predicted, scores in zip(
        names, labels.T, predictions.T, probabilities.T, strict=True
    ):
        precision, recall, f1, _ = metrics.precision_recall_fscore_support(
            truth, predicted, average="binary", zero_division=0
        )
        per_label[name] = {"precision": precision, "recall": recall, "f1": f1}
        per_label[name]["support"] = truth.sum()
        per_label[name]["average_precision"] = (
            metrics.average_precision_score(truth, scores) if truth.any() else None
        )
    precisions = [row["average_precision"] for row in per_label.values() if row["support"]]
    right = labels == predictions
    return plain(
        {
            "rows": len(labels),
            "threshold": threshold,
            "micro_f1": metrics.f1_score(labels.ravel(), predictions.ravel(), zero_division=0),
            "macro_f1": np.mean([row["f1"] for row in per_label.values()]),
            "subset_accuracy": right.all(axis=-1).mean(),
            "hamming_loss": 1 - right.mean(),
            "macro_average_precision": np.mean(precisions) if precisions else None,
            "log_loss": metrics.log_loss(labels.ravel(), probabilities.ravel(), labels=(0, 1)),
            "ece": expected_calibration_error(labels, probabilities),
            "per_label": per_label,
        }
    )


def regression_metrics(targets: Array, predictions: Array) -> dict[str, Any]:
    """Metrics of numbers, [rows] each.

    Returns:
        `rows`, `pearson`, `spearman`, `mse`, `mae`. Correlation with a constant has no value: then
        it is None, and `note` says why.

    Raises:
        InputError: Shapes disagree, or a value is not finite.
    """
    from scipy import stats

    targets, predictions = finite("targets", targets), finite("predictions", predictions)
    if targets.ndim != 1 or targets.shape != predictions.shape or not targets.size:
        raise InputError(
            "Targets and predictions are as many numbers, at least one. "
            f"Received: shapes={targets.shape}, {predictions.shape}"
        )
    errors = predictions - targets
    found: dict[str, Any] = {"rows": len(targets), "pearson": None, "spearman": None}
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", stats.DegenerateDataWarning)
            if len(targets) < 2:
                found["note"] = "correlation needs two rows"
            else:
                found |= {
                    "pearson": stats.pearsonr(targets, predictions).statistic,
                    "spearman": stats.spearmanr(targets, predictions).statistic,
                }
    except stats.DegenerateDataWarning:
        found["note"] = "correlation with a constant has no value"
    return plain(found | {"mse": np.mean(errors**2), "mae": np.mean(np.abs(errors))})


def reliability(labels: Array, probabilities: Array, bins: int = BINS) -> list[dict[str, Any]]:
    """How often predictions of about the same confidence are right.

    The confidence is the predicted class's probability. With several labels it is the probability
    of every single one, which counts as right where the row has the label. The bins (low, high]
    have equal width; 0 belongs to the first.

    Source: Naeini, Cooper and Hauskrecht (2015); Guo et al. (2017), section 2.

    Args:
        labels: Class indices [rows], or 0 and 1 [rows, labels].
        probabilities: [rows, classes], or [rows, labels].
        bins: How many.

    Returns:
        Of each bin `low`, `high`, `count`, and the means `confidence` and `accuracy`, which are
        None in an empty bin.

    Raises:
        InputError: As `classification_metrics` or `multi_label_metrics`; there is no bin.
    """
    if bins < 1:
        raise InputError(f"Calibration needs at least one bin. Received: bins={bins}")
    if np.ndim(labels) == 2:
        labels, probabilities = label_inputs(labels, probabilities)
        confidence, right = probabilities.ravel(), labels.ravel()
    else:
        labels, probabilities = class_inputs(labels, probabilities)
        confidence, right = probabilities.max(axis=-1), probabilities.argmax(axis=-1) == labels
    edges = np.linspace(0.0, 1.0, bins + 1)
    places = np.digitize(confidence, edges[1:-1], right=True)
    found = []
    for place in range(bins):
        inside = places == place
        count = int(inside.sum())
        found.append(
            {
                "low": edges[place],
                "high": edges[place + 1],
                "count": count,
                "confidence": confidence[inside].mean() if count else None,
                "accuracy": right[inside].mean() if count else None,
            }
        )
    return plain(found)


def expected_calibration_error(labels: Array, probabilities: Array, bins: int = BINS) -> float:
    """The mean distance of confidence from accuracy over `reliability`'s bins, weighed by rows.

    Source: Guo et al. (2017), equation 3.
    """
    filled = [row for row in reliability(labels, probabilities, bins) if row["count"]]
    distances = [row["count"] * abs(row["accuracy"] - row["confidence"]) for row in filled]
    return sum(distances) / sum(row["count"] for row in filled)


def fit_temperature(logits: Array, labels: Array) -> float:
    """The temperature T for which `softmax(logits / T)` has the least log loss on these rows.

    With several labels it is `sigmoid(logits / T)`. Fit it on validation rows, and judge it by
    others. It lies within `TEMPERATURES`.

    Source: Guo et al. (2017), section 4.2.

    Args:
        logits: [rows, classes], or [rows, labels].
        labels: Class indices [rows], or 0 and 1 [rows, labels].

    Raises:
        InputError: Shapes disagree, a label is no class, a logit is not finite.
    """
    from scipy import optimize, special

    logits = finite("logits", logits)
    if np.ndim(labels) == 2:
        signs = 1 - 2 * indicators(labels, logits)

        def log_loss(log_temperature: float) -> float:
            return float(np.logaddexp(0, signs * logits / math.exp(log_temperature)).mean())
    else:
        truth = class_indices(labels, logits)[:, None]

        def log_loss(log_temperature: float) -> float:
            log_probabilities = special.log_softmax(logits / math.exp(log_temperature), axis=-1)
            return -float(np.take_along_axis(log_probabilities, truth, axis=-1).mean())

    # Convex in 1/T, so that there is one minimum.
    bounds = tuple(map(math.log, TEMPERATURES))
    return math.exp(optimize.minimize_scalar(log_loss, bounds=bounds, method="bounded").x)
