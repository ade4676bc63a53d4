"""Initializers of fresh weights."""

from typing import Any

import keras


def get(initializer: Any) -> Any:
    """`initializer` as Keras understands it; BERT's truncated normal, 0.02, where it is None."""
    if initializer is None:
        return keras.initializers.TruncatedNormal(stddev=0.02)
    return keras.initializers.get(initializer)


def clone(initializer: Any) -> Any:
    """A new initializer of the same kind.

    An initializer without a seed draws the same values every time it is called, so two weights
    of one shape would start equal.
    """
    if isinstance(initializer, keras.initializers.Initializer):
        return initializer.clone()
    return initializer
