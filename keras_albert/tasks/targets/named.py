"""What targets with names have in common."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from keras_albert.data.messages import listed, shown
from keras_albert.errors import InputError


class Named:
    """What kinds with names have in common."""

    def __init__(self, names: Sequence[str], fewest: int):
        self.names = tuple(str(name) for name in names)
        if len(self.names) < fewest or len(set(self.names)) < len(self.names):
            raise InputError(
                f"There are at least {fewest} labels, each once. Received: {shown(list(names))}"
            )
        self.outputs = len(self.names)
        self._indices = {name: index for index, name in enumerate(self.names)}

    def index(self, label: Any, place: str) -> int:
        """Of a label's name, or of its number."""
        if isinstance(label, bytes):
            label = label.decode("utf-8", "replace")
        if isinstance(label, str) and label in self._indices:
            return self._indices[label]
        if isinstance(label, int | np.integer | bool | np.bool_) and 0 <= label < self.outputs:
            return int(label)
        raise InputError(
            f"A label is one of {listed(self.names)}, or its number from 0, at {place}. "
            f"Received: label={shown(label)}"
        )

    def indices(self, labels: Any) -> Any:
        """Of names, or of numbers, in a tensor."""
        import tensorflow as tf

        from keras_albert.data.in_graph import require

        rule = f"A label is one of {listed(self.names)}, or its number from 0"
        shape, labels = tf.shape(labels), tf.reshape(labels, [-1])
        if labels.dtype == tf.string:
            table = tf.lookup.StaticHashTable(
                tf.lookup.KeyValueTensorInitializer(
                    tf.constant(self.names), tf.range(self.outputs)
                ),
                -1,
            )
            found = table.lookup(labels)
            unknown = tf.boolean_mask(labels, found < 0)
        else:
            found = tf.cast(labels, tf.int32)
            is_whole = tf.cast(found, labels.dtype) == labels
            unknown = tf.boolean_mask(labels, ~is_whole | (found < 0) | (found >= self.outputs))
        require(tf.size(unknown) == 0, rule, "label", unknown[:1])
        return tf.reshape(found, shape)

    def weights_of(self, weights: Any) -> np.ndarray:
        """A weight for each class, of a dict by name or number."""
        if not isinstance(weights, dict):
            raise InputError(f"class_weight is a dict by class. Received: {shown(weights)}")
        found = np.ones(self.outputs, "float32")
        for name, weight in weights.items():
            if not isinstance(weight, int | float) or not 0 <= weight < float("inf"):
                raise InputError(
                    f"A class weight is a finite number, at least 0. Received: {name!r}: {weight!r}"
                )
            found[self.index(name, "class_weight")] = weight
        return found


def by_name(names: tuple[str, ...], values: np.ndarray) -> dict[str, float]:
    """Values with their labels' names."""
    return dict(zip(names, values.tolist(), strict=True))
