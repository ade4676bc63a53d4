"""A number, to regress to."""

from typing import Any

import keras
import numpy as np

from keras_albert.data.messages import shown
from keras_albert.errors import InputError
from keras_albert.tasks.rows import Rows
from keras_albert.tasks.targets.protocol import required
from keras_albert.training.metrics import regression_metrics
from keras_albert.training.running_metrics import NumberMetrics

_LARGEST = float(np.finfo("float32").max)


class Number:
    """A number, to regress to."""

    names: tuple[str, ...] = ()
    outputs = 1
    monitor = "val_pearson"

    def encode(self, rows: Rows) -> np.ndarray:
        """float32 [rows]."""
        numbers = []
        for row, label in enumerate(required(rows)):
            is_number = isinstance(label, int | float | np.number) and not isinstance(label, bool)
            if not is_number or not abs(label) <= _LARGEST:
                raise InputError(
                    f"A number to regress to is finite, at {rows.place(row)}. "
                    f"Received: label={shown(label)}"
                )
            numbers.append(float(label))
        return np.array(numbers, "float32")

    def encode_tensor(self, labels: Any) -> Any:
        """float32 of the labels' shape."""
        import tensorflow as tf

        from keras_albert.data.in_graph import require

        labels = tf.cast(labels, tf.float32)
        finite = tf.reduce_all(tf.math.is_finite(labels))
        require(finite, "A number to regress to is finite", "labels", labels)
        return labels

    def for_loss(self, labels: Any, label_smoothing: float) -> Any:
        """As they are."""
        return labels

    def loss(self, label_smoothing: float) -> Any:
        """Mean squared error."""
        if label_smoothing:
            raise InputError(f"Numbers are not smoothed. Received: {label_smoothing=}")
        return keras.losses.MeanSquaredError()

    def running_metrics(self) -> list[Any]:
        """Pearson correlation and mean absolute error."""
        return [NumberMetrics()]

    def probabilities(self, logits: np.ndarray, temperature: float) -> np.ndarray:
        """The predicted numbers, [rows]."""
        return logits[:, 0].astype("float64")

    def answers(self, logits: np.ndarray, temperature: float, threshold: float) -> list[Any]:
        """`score`."""
        return [{"score": float(value)} for value in logits[:, 0]]

    def metrics(self, labels: np.ndarray, probabilities: np.ndarray, threshold: float) -> Any:
        """See `regression_metrics`."""
        return regression_metrics(labels, probabilities)

    def class_weights(self, weights: Any, labels: np.ndarray) -> np.ndarray:
        """Raises InputError: there are no classes."""
        raise InputError(f"Numbers have no classes. Received: class_weight={shown(weights)}")
