"""What every kind of target can do."""

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np

from keras_albert.errors import InputError
from keras_albert.tasks.rows import Rows


class Targets(Protocol):
    """One kind of target.

    Attributes:
        names: The labels' names; none for a number.
        outputs: Logits of a text.
        monitor: The metric of a validation by which weights are compared.
    """

    names: tuple[str, ...]
    outputs: int
    monitor: str

    def encode(self, rows: Rows) -> np.ndarray:
        """The labels of rows as numbers; raises InputError with the place of a bad one."""
        ...

    def encode_tensor(self, labels: Any) -> Any:
        """The same of a tensor of labels, in TensorFlow's graph."""
        ...

    def for_loss(self, labels: Any, label_smoothing: float) -> Any:
        """Encoded labels as the loss takes them."""
        ...

    def loss(self, label_smoothing: float) -> Any: ...

    def running_metrics(self) -> list[Any]:
        """Keras metrics, for training."""
        ...

    def probabilities(self, logits: np.ndarray, temperature: float) -> np.ndarray:
        """float64, of each class or label; of a number itself."""
        ...

    def answers(self, logits: np.ndarray, temperature: float, threshold: float) -> list[Any]:
        """One dict a row."""
        ...

    def metrics(self, labels: np.ndarray, probabilities: np.ndarray, threshold: float) -> Any: ...

    def class_weights(self, weights: Any, labels: np.ndarray) -> np.ndarray:
        """A weight a row, of weights by class."""
        ...


def required(rows: Rows) -> Sequence[Any]:
    """The labels, which there must be."""
    if rows.labels is None:
        raise InputError("Every text needs a label here. Received: labels=None")
    return rows.labels
