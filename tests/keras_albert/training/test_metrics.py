"""Metrics against cases computed by hand; the arithmetic stands beside each."""

import json
import math

import numpy as np
import pytest

from keras_albert.errors import InputError
from keras_albert.training.metrics import (
    classification_metrics,
    expected_calibration_error,
    fit_temperature,
    multi_label_metrics,
    regression_metrics,
    reliability,
)

NAMES = ["negative", "positive"]
# Labels 1 1 1 0 0 0 0 0, predictions 1 1 0 1 0 0 0 0: TP 2, FN 1, FP 1, TN 4.
LABELS = [1, 1, 1, 0, 0, 0, 0, 0]
POSITIVE = np.array([0.9, 0.8, 0.4, 0.7, 0.1, 0.2, 0.3, 0.4])
PROBABILITIES = np.stack([1 - POSITIVE, POSITIVE], axis=-1)


def test_two_classes_are_counted_as_by_hand():
    found = classification_metrics(LABELS, PROBABILITIES, NAMES)
    assert found["rows"] == 8
    assert found["confusion"] == [[4, 1], [1, 2]]
    assert found["accuracy"] == found["micro_f1"] == 6 / 8
    assert found["f1"] == pytest.approx(2 / 3)  # 2·2 / (2·2 + 1 + 1)
    assert found["macro_f1"] == pytest.approx((2 / 3 + 4 / 5) / 2)  # the other: 2·4 / (8 + 1 + 1)
    assert found["mcc"] == pytest.approx((2 * 4 - 1 * 1) / math.sqrt(3 * 3 * 5 * 5))
    right = [0.9, 0.8, 0.4, 0.3, 0.9, 0.8, 0.7, 0.6]  # the probability of what was right
    assert found["log_loss"] == pytest.approx(-sum(map(math.log, right)) / 8)
    assert found["per_class"] == {
        "negative": pytest.approx({"precision": 4 / 5, "recall": 4 / 5, "f1": 0.8, "support": 5}),
        "positive": pytest.approx({"precision": 2 / 3, "recall": 2 / 3, "f1": 2 / 3, "support": 3}),
    }


def test_three_classes_have_macro_and_micro_f1_and_no_positive_one():
    # Predictions 0 1 2 1 for 0 0 2 2: class 0 P 1, R 1/2; class 1 P 0, R 0; class 2 P 1, R 1/2.
    probabilities = [[0.8, 0.1, 0.1], [0.2, 0.5, 0.3], [0.1, 0.2, 0.7], [0.0, 0.6, 0.4]]
    found = classification_metrics([0, 0, 2, 2], probabilities, ["a", "b", "c"])
    assert found["confusion"] == [[1, 1, 0], [0, 0, 0], [0, 1, 1]]
    assert found["macro_f1"] == pytest.approx((2 / 3 + 0 + 2 / 3) / 3)
    assert found["micro_f1"] == found["accuracy"] == 0.5
    assert found["per_class"]["b"] == {"precision": 0, "recall": 0, "f1": 0, "support": 0}
    assert "f1" not in found


def test_a_class_that_nobody_has_or_predicts_is_not_in_macro_f1():
    probabilities = [[0.9, 0.1, 0.0], [0.2, 0.8, 0.0]]
    found = classification_metrics([0, 1], probabilities, ["a", "b", "c"])
    assert found["macro_f1"] == 1.0
    assert found["per_class"]["c"]["support"] == 0


def test_one_class_alone_has_no_correlation():
    found = classification_metrics([1, 1], [[0.1, 0.9], [0.3, 0.7]], NAMES)
    assert (found["accuracy"], found["mcc"]) == (1.0, 0.0)


def test_several_labels_are_counted_as_by_hand():
    labels = [[1, 0, 0], [1, 1, 0], [0, 1, 0], [0, 0, 0]]
    probabilities = [[0.9, 0.6, 0.1], [0.4, 0.8, 0.2], [0.2, 0.7, 0.1], [0.1, 0.2, 0.5]]
    found = multi_label_metrics(labels, probabilities, ["a", "b", "c"])
    # a: TP 1, FN 1. b: TP 2, FP 1. c: FP 1, for 0.5 reaches the threshold.
    assert found["per_label"]["a"] == pytest.approx(
        {"precision": 1, "recall": 1 / 2, "f1": 2 / 3, "support": 2, "average_precision": 1}
    )
    # b by falling score: row 2 is right, 3 is right, 1 is not: precision 1 at both recalls.
    assert found["per_label"]["b"] == pytest.approx(
        {"precision": 2 / 3, "recall": 1, "f1": 4 / 5, "support": 2, "average_precision": 1}
    )
    nothing = {"precision": 0, "recall": 0, "f1": 0, "support": 0, "average_precision": None}
    assert found["per_label"]["c"] == nothing
    assert found["micro_f1"] == pytest.approx(2 * 3 / (2 * 3 + 1 + 2))
    assert found["macro_f1"] == pytest.approx((2 / 3 + 4 / 5 + 0) / 3)
    assert found["subset_accuracy"] == 1 / 4
    assert found["hamming_loss"] == pytest.approx(3 / 12)
    assert found["macro_average_precision"] == 1.0
    right = [0.9, 0.4, 0.9, 0.4, 0.8, 0.8, 0.8, 0.7, 0.9, 0.9, 0.8, 0.5]
    assert found["log_loss"] == pytest.approx(-sum(map(math.log, right)) / 12)


def test_average_precision_sums_precision_over_the_steps_of_recall():
    # By falling score: right (1/1), wrong, right (2/3); each right one is half the recall.
    found = multi_label_metrics([[1], [0], [1]], [[0.9], [0.8], [0.3]], ["a"])
    assert found["macro_average_precision"] == pytest.approx((1 + 2 / 3) / 2)
    assert found["micro_f1"] == found["macro_f1"] == pytest.approx(1 / 2)


def test_labels_of_which_none_occurs_have_no_average_precision():
    found = multi_label_metrics([[0, 0]], [[0.1, 0.2]], ["a", "b"], threshold=0.15)
    assert found["macro_average_precision"] is None
    assert (found["threshold"], found["hamming_loss"]) == (0.15, 0.5)


def test_regression_is_counted_as_by_hand():
    # Deviations -1.5 -0.5 0.5 1.5 and -1 -2 1 2 of the ranks' order 2 1 3 4.
    found = regression_metrics([1, 2, 3, 4], [2, 1, 4, 5])
    assert found["pearson"] == pytest.approx(6 / math.sqrt(5 * 10))
    assert found["spearman"] == pytest.approx(1 - 6 * 2 / (4 * 15))
    assert (found["rows"], found["mse"], found["mae"]) == (4, 1.0, 1.0)
    assert "note" not in found


@pytest.mark.parametrize(
    ("targets", "predictions", "note"),
    [
        ([1, 2, 3], [2, 2, 2], "correlation with a constant has no value"),
        ([2, 2, 2], [1, 2, 3], "correlation with a constant has no value"),
        ([1e9, 1e9, 1e9 + 1e-6], [1, 2, 3], "correlation with a constant has no value"),
        ([1], [2], "correlation needs two rows"),
    ],
)
def test_correlation_with_a_constant_is_null_with_a_note(targets, predictions, note):
    found = regression_metrics(targets, predictions)
    assert (found["pearson"], found["spearman"], found["note"]) == (None, None, note)


def test_reliability_puts_each_row_into_the_bin_that_its_confidence_closes():
    # Confidence 0.6 and 0.8 close their bins of width 0.2; 0.9 lies in the last.
    probabilities = [[0.6, 0.4], [0.2, 0.8], [0.9, 0.1], [0.9, 0.1]]
    found = reliability([1, 1, 0, 1], probabilities, bins=5)
    assert [row["count"] for row in found] == [0, 0, 1, 1, 2]
    assert [row["accuracy"] for row in found] == [None, None, 0.0, 1.0, 0.5]
    assert [row["confidence"] for row in found] == [
        None,
        None,
        *map(pytest.approx, (0.6, 0.8, 0.9)),
    ]
    assert (found[0]["low"], found[-1]["high"]) == (0.0, 1.0)
    # (1·|0 - 0.6| + 1·|1 - 0.8| + 2·|0.5 - 0.9|) / 4
    error = expected_calibration_error([1, 1, 0, 1], probabilities, bins=5)
    assert error == pytest.approx((0.6 + 0.2 + 0.8) / 4)


def test_calibration_of_several_labels_is_of_single_decisions():
    labels, probabilities = [[1, 0], [1, 0]], [[1.0, 0.0], [0.7, 0.3]]
    found = reliability(labels, probabilities, bins=2)
    assert [(row["count"], row["accuracy"]) for row in found] == [(2, 0.0), (2, 1.0)]
    # Means of the probabilities: 0.15 where none has the label, 0.85 where both have.
    error = expected_calibration_error(labels, probabilities, bins=2)
    assert error == pytest.approx(0.15)


def test_temperature_brings_confidence_to_accuracy():
    # Four equal rows, three right: the least log loss has sigmoid(4/T) = 3/4, so T = 4 / ln 3.
    logits = [[0.0, 4.0]] * 4
    assert fit_temperature(logits, [1, 1, 1, 0]) == pytest.approx(4 / math.log(3), rel=1e-4)
    several = [[4.0], [4.0], [4.0], [4.0]]
    labels = [[1], [1], [1], [0]]
    assert fit_temperature(several, labels) == pytest.approx(4 / math.log(3), rel=1e-4)


def test_temperature_sharpens_what_is_too_unsure_and_stays_in_its_range():
    # Nine of ten right: sigmoid(0.5/T) = 0.9.
    sharp = fit_temperature([[0.0, 0.5]] * 10, [1] * 9 + [0])
    assert sharp == pytest.approx(0.5 / math.log(9), rel=1e-4)
    # Without a right or a wrong row there is no least log loss: near the end of the range.
    assert 0.1 <= fit_temperature([[0.0, 4.0]] * 3, [1, 1, 1]) < 0.2
    assert 9 < fit_temperature([[0.0, 4.0]] * 3, [0, 0, 0]) <= 10


@pytest.mark.parametrize(
    "metrics",
    [
        classification_metrics(np.array(LABELS), PROBABILITIES.astype("float32"), NAMES),
        multi_label_metrics(np.eye(2), np.eye(2, dtype="float32"), NAMES),
        regression_metrics(np.arange(3.0), np.arange(3, dtype="float32")),
        {"bins": reliability(np.array(LABELS), PROBABILITIES)},
    ],
)
def test_metrics_are_ready_for_json(metrics):
    assert json.loads(json.dumps(metrics, allow_nan=False)) == metrics


def test_probabilities_of_float32_may_exceed_one_by_rounding():
    probabilities = np.array([[1.0000001, 0.0], [0.25, 0.75]], "float32")
    assert classification_metrics([0, 1], probabilities, NAMES)["accuracy"] == 1.0


@pytest.mark.parametrize(
    ("labels", "probabilities", "message"),
    [
        ([0], [[0.5, 0.5]] * 2, "shapes=(1,), (2, 2)"),
        ([], np.zeros((0, 2)), "shapes=(0,), (0, 2)"),
        ([2], [[0.5, 0.5]], "label=2, classes=2"),
        ([0.5], [[0.5, 0.5]], "label=0.5, classes=2"),
        ([0], [[1.0]], "label=0, classes=1"),
        (["a"], [[0.5, 0.5]], "labels are an array of numbers"),
        ([0], [[0.5, 0.2]], "sum=0.7, row=0"),
        ([0], [[1.5, -0.5]], "probability=1.5"),
        ([0], [[0.5, math.nan]], "probabilities[0, 1]=nan"),
    ],
)
def test_classes_that_cannot_be_counted_are_refused_in_one_line(labels, probabilities, message):
    with pytest.raises(InputError) as error:
        classification_metrics(labels, probabilities, NAMES)
    assert message in str(error.value)
    assert "\n" not in str(error.value)


def test_other_inputs_that_cannot_be_counted_are_refused():
    with pytest.raises(InputError, match=r"Received: label=2"):
        multi_label_metrics([[2, 0]], [[0.5, 0.5]], NAMES)
    with pytest.raises(InputError, match=r"shapes=\(1, 1\), \(1, 2\)"):
        multi_label_metrics([[1]], [[0.5, 0.5]], NAMES)
    with pytest.raises(InputError, match=r"names=\['a', 'a'\], classes=2"):
        classification_metrics([0], [[0.5, 0.5]], ["a", "a"])
    with pytest.raises(InputError, match=r"shapes=\(2,\), \(3,\)"):
        regression_metrics([1, 2], [1, 2, 3])
    with pytest.raises(InputError, match="bins=0"):
        reliability([0], [[0.5, 0.5]], bins=0)
