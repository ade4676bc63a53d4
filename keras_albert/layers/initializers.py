"""Initializers of fresh weights."""

import contextlib
from collections.abc import Iterator
from contextvars import ContextVar
from typing import Any

import keras
from keras import ops

_WEIGHTS_FOLLOW: ContextVar[dict[Any, Any] | None] = ContextVar("weights_follow", default=None)


@contextlib.contextmanager
def weights_follow() -> Iterator[None]:
    """Encoders built in this block are assigned stored weights next, so they start with zeros.

    Drawing the random numbers is most of the time that building a large encoder takes. And where
    a tensor is never written to in place, weights of one shape share their zeros, so that memory
    grows only as the stored weights come in.
    """
    token = _WEIGHTS_FOLLOW.set({})
    try:
        yield
    finally:
        _WEIGHTS_FOLLOW.reset(token)


@keras.saving.register_keras_serializable(package="keras_albert")
class EncoderInitializer(keras.initializers.TruncatedNormal):
    """BERT's truncated normal, not drawn where stored weights follow."""

    def __call__(self, shape, dtype=None):
        zeros = _WEIGHTS_FOLLOW.get()
        if zeros is None:
            return super().__call__(shape, dtype)
        if keras.backend.backend() not in ("tensorflow", "jax"):
            return ops.zeros(shape, dtype)
        key = (tuple(shape), dtype)
        if key not in zeros:
            zeros[key] = ops.zeros(shape, dtype)
        return zeros[key]


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
