"""One class a text."""

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np

from keras_albert.tasks.rows import Rows
from keras_albert.tasks.targets.named import Named, by_name
from keras_albert.tasks.targets.protocol import required
from keras_albert.training.metrics import classification_metrics
from keras_albert.training.running_metrics import ClassMetrics


class Classes(Named):
    """One class a text."""

    monitor = "val_accuracy"

    def __init__(self, names: Sequence[str]):
        super().__init__(names, fewest=2)

    def encode(self, rows: Rows) -> np.ndarray:
        """int32 [rows]."""
        labels = required(rows)
        return np.array([self.index(label, rows.place(i)) for i, label in enumerate(labels)], "i4")

    def encode_tensor(self, labels: Any) -> Any:
        """int32 of the labels' shape."""
        return self.indices(labels)

    def for_loss(self, labels: Any, label_smoothing: float) -> Any:
        """As they are, or one-hot: Keras smooths these alone."""
        if not label_smoothing:
            return labels
        return np.eye(self.outputs, dtype="float32")[np.asarray(labels)]

    def loss(self, label_smoothing: float) -> Any:
        """Cross-entropy in nats."""
        if not label_smoothing:
            return keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        return keras.losses.CategoricalCrossentropy(
            from_logits=True, label_smoothing=label_smoothing
        )

    def running_metrics(self) -> list[Any]:
        """Accuracy, macro F1, MCC."""
        return [ClassMetrics(self.outputs)]

    def probabilities(self, logits: np.ndarray, temperature: float) -> np.ndarray:
        """[rows, classes], each row summing to 1."""
        scaled = logits.astype("float64") / temperature
        powers = np.exp(scaled - scaled.max(axis=-1, keepdims=True))
        return powers / powers.sum(axis=-1, keepdims=True)

    def answers(self, logits: np.ndarray, temperature: float, threshold: float) -> list[Any]:
        """`label`, and `scores` by class."""
        return [
            {"label": self.names[int(row.argmax())], "scores": by_name(self.names, row)}
            for row in self.probabilities(logits, temperature)
        ]

    def metrics(self, labels: np.ndarray, probabilities: np.ndarray, threshold: float) -> Any:
        """See `classification_metrics`."""
        return classification_metrics(labels, probabilities, self.names)

    def class_weights(self, weights: Any, labels: np.ndarray) -> np.ndarray:
        """The weight of each row's class; 1 for a class that has none."""
        return self.weights_of(weights)[labels]
