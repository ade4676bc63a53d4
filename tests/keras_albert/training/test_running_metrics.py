"""Metrics added up batch by batch, against scikit-learn's and SciPy's on all rows at once."""

import keras
import numpy as np
import pytest
from scipy import stats
from sklearn import metrics

from keras_albert.training.running_metrics import ClassMetrics, LabelMetrics, NumberMetrics

RNG = np.random.default_rng(3)
ROWS = 203
LOGITS = RNG.normal(size=(ROWS, 4)).astype("float32")
WEIGHTS = RNG.uniform(0, 3, ROWS).astype("float32")


def added_up(metric, true, predicted, weights=None):
    """The result after batches of different sizes."""
    for start, end in ((0, 50), (50, 51), (51, ROWS)):
        part = None if weights is None else weights[start:end]
        metric.update_state(true[start:end], predicted[start:end], part)
    return {name: float(value) for name, value in metric.result().items()}


@pytest.mark.parametrize("weights", [None, WEIGHTS], ids=["equal", "weighted"])
def test_classes_are_counted_as_scikit_learn_does(weights):
    true = RNG.integers(0, 3, ROWS)  # the fourth class never occurs, but is predicted
    predicted = LOGITS.argmax(axis=-1)
    expected = {
        "accuracy": metrics.accuracy_score(true, predicted, sample_weight=weights),
        "macro_f1": metrics.f1_score(
            true, predicted, average="macro", sample_weight=weights, zero_division=0
        ),
        "mcc": metrics.matthews_corrcoef(true, predicted, sample_weight=weights),
    }
    assert added_up(ClassMetrics(4), true, LOGITS, weights) == pytest.approx(expected, abs=1e-5)
    one_hot = np.eye(4, dtype="float32")[true]
    assert added_up(ClassMetrics(4), one_hot, LOGITS, weights) == pytest.approx(expected, abs=1e-5)


def test_a_class_that_does_not_occur_does_not_count():
    true, logits = np.array([0, 1, 0]), np.eye(3, dtype="float32")[[0, 1, 1]]
    metric = ClassMetrics(3)
    metric.update_state(true, logits)
    expected = metrics.f1_score(true, [0, 1, 1], average="macro")
    assert float(metric.result()["macro_f1"]) == pytest.approx(expected)


def test_several_labels_are_counted_as_scikit_learn_does():
    true = RNG.integers(0, 2, (ROWS, 4))
    predicted = LOGITS >= 0
    found = added_up(LabelMetrics(4), true, LOGITS)
    for average in ("micro", "macro"):
        expected = metrics.f1_score(true, predicted, average=average)
        assert found[f"{average}_f1"] == pytest.approx(expected, abs=1e-6)


def test_numbers_far_from_zero_keep_their_correlation():
    true = 1000 + RNG.normal(size=ROWS).astype("float32")
    predicted = (true + RNG.normal(size=ROWS))[:, None].astype("float32")
    found = added_up(NumberMetrics(), true, predicted)
    expected = stats.pearsonr(true.astype("f8"), predicted[:, 0].astype("f8")).statistic
    assert found["pearson"] == pytest.approx(expected, abs=1e-4)
    expected = np.abs(true.astype("f8") - predicted[:, 0]).mean()
    assert found["mae"] == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("metric", [ClassMetrics(4), LabelMetrics(4), NumberMetrics()])
def test_a_metric_forgets_when_reset_and_survives_its_config(metric):
    true = np.ones((5, 4)) if isinstance(metric, LabelMetrics) else np.array([0, 1, 2, 0, 1])
    logits = LOGITS[:, :1] if isinstance(metric, NumberMetrics) else LOGITS

    def result(metric):
        return {name: float(value) for name, value in metric.result().items()}

    metric.update_state(true, logits[:5])
    first = result(metric)
    metric.reset_state()
    metric.update_state(true, logits[5:10])
    assert result(metric) != first
    metric.reset_state()
    metric.update_state(true, logits[:5])
    assert result(metric) == first
    again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(metric))
    again.update_state(true, logits[:5])
    assert result(again) == first


def test_what_does_not_vary_correlates_with_nothing():
    metric = NumberMetrics()
    metric.update_state(np.ones(4), np.arange(4.0)[:, None])
    assert float(metric.result()["pearson"]) == 0
