"""Metrics that Keras adds up batch by batch; several from one count.

Their definitions are those of `metrics`, which has all rows at once.
"""

from typing import Any

import keras
from keras import ops

_EPSILON = 1e-12  # where nothing was counted, 0 / 0 is 0


class _Counts(keras.metrics.Metric):
    """Sums in one variable, of the rows' values times their weights."""

    def __init__(self, shape: tuple[int, ...], name: str):
        super().__init__(name=name)
        # float32 counts exactly to 16.7 million.
        self.counts = self.add_variable(shape, initializer="zeros", name="counts")

    def reset_state(self) -> None:
        """Forgets everything."""
        self.counts.assign(ops.zeros(self.counts.shape))


def _row_weights(values: Any, sample_weight: Any) -> Any:
    if sample_weight is None:
        return ops.ones((ops.shape(values)[0],))
    return ops.reshape(ops.cast(sample_weight, "float32"), (-1,))


@keras.saving.register_keras_serializable(package="keras_albert")
class ClassMetrics(_Counts):
    """`accuracy`, `macro_f1` and `mcc` of one class a row, from the confusion matrix.

    Args:
        classes: How many there are.
        name: Name of the metric.
    """

    def __init__(self, classes: int, name: str = "classes"):
        super().__init__((classes, classes), name)
        self.classes = classes

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        """Counts classes, int [rows] or one-hot [rows, classes], against logits."""
        if len(y_true.shape) == 2 and y_true.shape[-1] == self.classes:
            y_true = ops.argmax(y_true, axis=-1)
        true = ops.one_hot(ops.reshape(ops.cast(y_true, "int32"), (-1,)), self.classes)
        predicted = ops.one_hot(ops.argmax(y_pred, axis=-1), self.classes)
        weights = _row_weights(predicted, sample_weight)
        self.counts.assign_add(ops.matmul(ops.transpose(true * weights[:, None]), predicted))

    def result(self) -> dict[str, Any]:
        """Each as a number."""
        counts = self.counts
        rows, right = ops.sum(counts), ops.trace(counts)
        true, predicted = ops.sum(counts, axis=1), ops.sum(counts, axis=0)
        # Over the classes that occur; of the others true + predicted is 0.
        f1 = 2 * ops.diagonal(counts) / ops.maximum(true + predicted, _EPSILON)
        occurring = ops.sum(ops.cast(true + predicted > 0, "float32"))
        covariance = right * rows - ops.sum(true * predicted)
        spread = (rows**2 - ops.sum(true**2)) * (rows**2 - ops.sum(predicted**2))
        return {
            "accuracy": right / ops.maximum(rows, _EPSILON),
            "macro_f1": ops.sum(f1) / ops.maximum(occurring, 1.0),
            "mcc": covariance / ops.maximum(ops.sqrt(spread), _EPSILON),
        }

    def get_config(self) -> dict[str, Any]:
        """The arguments."""
        return {"classes": self.classes, "name": self.name}


@keras.saving.register_keras_serializable(package="keras_albert")
class LabelMetrics(_Counts):
    """`micro_f1` and `macro_f1` of several labels a row, those of probability 0.5 or more.

    Args:
        labels: How many there are.
        name: Name of the metric.
    """

    def __init__(self, labels: int, name: str = "labels"):
        super().__init__((3, labels), name)
        self.labels = labels

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        """Counts 0 and 1 against logits, both [rows, labels]."""
        true, predicted = ops.cast(y_true, "float32"), ops.cast(y_pred >= 0, "float32")
        weights = _row_weights(predicted, sample_weight)[:, None]
        sums = [ops.sum(value * weights, axis=0) for value in (true * predicted, true, predicted)]
        self.counts.assign_add(ops.stack(sums))

    def result(self) -> dict[str, Any]:
        """Each as a number."""
        both, true, predicted = self.counts[0], self.counts[1], self.counts[2]
        return {
            "micro_f1": 2 * ops.sum(both) / ops.maximum(ops.sum(true + predicted), _EPSILON),
            "macro_f1": ops.mean(2 * both / ops.maximum(true + predicted, _EPSILON)),
        }

    def get_config(self) -> dict[str, Any]:
        """The arguments."""
        return {"labels": self.labels, "name": self.name}


@keras.saving.register_keras_serializable(package="keras_albert")
class NumberMetrics(_Counts):
    """`pearson` and `mae`, from sums around the first row, where float32 loses the least.

    Args:
        name: Name of the metric.
    """

    def __init__(self, name: str = "numbers"):
        super().__init__((7,), name)
        self.origin = self.add_variable((2,), initializer="zeros", name="origin")

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        """Adds numbers [rows] and predictions [rows, 1]."""
        true = ops.reshape(ops.cast(y_true, "float32"), (-1,))
        predicted = ops.reshape(ops.cast(y_pred, "float32"), (-1,))
        is_first = ops.cast(self.counts[0] == 0, "float32")
        first = ops.stack([true[0], predicted[0]])
        self.origin.assign(is_first * first + (1 - is_first) * self.origin)
        weights = _row_weights(true, sample_weight)
        errors = ops.abs(true - predicted)
        x, y = true - self.origin[0], predicted - self.origin[1]
        terms = (ops.ones_like(x), x, y, x * x, y * y, x * y, errors)
        self.counts.assign_add(ops.stack([ops.sum(weights * term) for term in terms]))

    def result(self) -> dict[str, Any]:
        """Each as a number; a correlation with what does not vary is 0."""
        rows, x, y, xx, yy, xy, errors = ops.unstack(ops.convert_to_tensor(self.counts), 7)
        rows = ops.maximum(rows, _EPSILON)
        covariance = xy - x * y / rows
        spread = ops.maximum(xx - x * x / rows, 0.0) * ops.maximum(yy - y * y / rows, 0.0)
        return {
            "pearson": covariance / ops.maximum(ops.sqrt(spread), _EPSILON),
            "mae": errors / rows,
        }

    def reset_state(self) -> None:
        """Forgets everything."""
        super().reset_state()
        self.origin.assign(ops.zeros(self.origin.shape))

    def get_config(self) -> dict[str, Any]:
        """The arguments."""
        return {"name": self.name}
