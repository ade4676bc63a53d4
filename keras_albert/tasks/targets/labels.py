"""Several labels a text, or none."""

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np

from keras_albert.data.messages import shown
from keras_albert.errors import InputError
from keras_albert.tasks.rows import Rows
from keras_albert.tasks.targets.named import Named, by_name
from keras_albert.tasks.targets.protocol import required
from keras_albert.training.metrics import multi_label_metrics
from keras_albert.training.running_metrics import LabelMetrics


class Labels(Named):
    """Several labels a text, or none."""

    monitor = "val_micro_f1"

    def __init__(self, names: Sequence[str]):
        super().__init__(names, fewest=1)

    def encode(self, rows: Rows) -> np.ndarray:
        """float32 [rows, labels] of 0 and 1, from lists of labels or from such rows."""
        labels = required(rows)
        encoded = np.zeros((len(labels), self.outputs), "float32")
        for row, given in enumerate(labels):
            if isinstance(given, np.ndarray) and given.dtype.kind in "fbiu":
                encoded[row] = self._indicators(given, rows.place(row))
                continue
            if isinstance(given, str | bytes) or not hasattr(given, "__iter__"):
                raise InputError(
                    "A text has a list of labels (label_separator reads one from a column), "
                    f"at {rows.place(row)}. Received: {shown(given)}"
                )
            for label in given:
                encoded[row, self.index(label, rows.place(row))] = 1
        return encoded

    def encode_tensor(self, labels: Any) -> Any:
        """float32 of indicators, as they are in a dataset."""
        import tensorflow as tf

        from keras_albert.data.in_graph import require

        if labels.dtype == tf.string or labels.shape[-1] not in (None, self.outputs):
            raise InputError(
                f"Several labels in a dataset are 0 and 1, [rows, {self.outputs}]. "
                f"Received: {labels.dtype.name} {labels.shape}"
            )
        labels = tf.cast(labels, tf.float32)
        wrong = tf.reduce_any((labels != 0) & (labels != 1))
        require(~wrong, "Several labels are 0 and 1", "labels", labels[:1])
        return labels

    def for_loss(self, labels: Any, label_smoothing: float) -> Any:
        """As they are."""
        return labels

    def loss(self, label_smoothing: float) -> Any:
        """Mean binary cross-entropy of the labels, in nats."""
        return keras.losses.BinaryCrossentropy(from_logits=True, label_smoothing=label_smoothing)

    def running_metrics(self) -> list[Any]:
        """Micro and macro F1."""
        return [LabelMetrics(self.outputs)]

    def probabilities(self, logits: np.ndarray, temperature: float) -> np.ndarray:
        """[rows, labels], each by itself."""
        return 0.5 * (1 + np.tanh(0.5 * logits.astype("float64") / temperature))

    def answers(self, logits: np.ndarray, temperature: float, threshold: float) -> list[Any]:
        """`labels` whose probability reaches the threshold, and the `scores` of all."""
        return [
            {
                "labels": [n for n, p in zip(self.names, row, strict=True) if p >= threshold],
                "scores": by_name(self.names, row),
            }
            for row in self.probabilities(logits, temperature)
        ]

    def metrics(self, labels: np.ndarray, probabilities: np.ndarray, threshold: float) -> Any:
        """See `multi_label_metrics`."""
        return multi_label_metrics(labels, probabilities, self.names, threshold)

    def class_weights(self, weights: Any, labels: np.ndarray) -> np.ndarray:
        """The largest weight of each row's labels; 1 for a row that has none."""
        return np.where(labels > 0, self.weights_of(weights), 0).max(axis=-1) + (
            labels.sum(axis=-1) == 0
        )

    def _indicators(self, values: np.ndarray, place: str) -> np.ndarray:
        if values.shape != (self.outputs,) or not np.isin(values, (0, 1)).all():
            raise InputError(
                f"Several labels are {self.outputs} values of 0 and 1, at {place}. "
                f"Received: {shown(values.tolist())}"
            )
        return values
