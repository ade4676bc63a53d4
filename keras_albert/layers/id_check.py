"""One check of ids against a table's size, on every backend, where it can be made."""

from typing import Any

import keras
import numpy as np
from keras import ops

from keras_albert.errors import InputError


def check_ids(ids: Any, size: Any, rule: str, name: str) -> Any:
    """`ids`, checked to lie in 0 <= id < size.

    Eager calls raise at once. TensorFlow graphs carry one assertion, which XLA drops: compiled
    code cannot raise. JAX traces are not checked.

    Args:
        ids: Integer tensor of any shape.
        size: Number of rows, an integer or an integer tensor.
        rule: What must hold, for the message.
        name: What the ids are called in the message.

    Returns:
        `ids`; in a TensorFlow graph, those that wait for the assertion.

    Raises:
        InputError: An id outside, in an eager call. A TensorFlow graph raises
            `tf.errors.InvalidArgumentError` with the same message when it runs.
    """
    message = f"{rule}. Received: {name}="
    if _is_concrete(ids) and _is_concrete(size):
        values = ops.convert_to_numpy(ids)
        outside = values[(values < 0) | (values >= int(size))]
        if outside.size:
            raise InputError(f"{message}{outside[0]}")
        return ids
    if keras.backend.backend() == "tensorflow":
        return _assert_in_graph(ids, size, message)
    return ids


def _assert_in_graph(ids: Any, size: Any, message: str) -> Any:
    import tensorflow as tf

    ids = tf.convert_to_tensor(ids)
    # int64: the size may be beyond the ids' own type.
    values = tf.cast(ids, "int64")
    smallest, largest = tf.reduce_min(values), tf.reduce_max(values)
    inside = (smallest >= 0) & (largest < tf.cast(size, "int64"))
    first = tf.cast(tf.where(smallest < 0, smallest, largest), "int32")
    with tf.control_dependencies([tf.debugging.Assert(inside, [message, first])]):
        return tf.identity(ids)


def _is_concrete(value: Any) -> bool:
    """Whether the value is known now, and not a placeholder of some trace."""
    if isinstance(value, int | np.integer | np.ndarray):
        return True
    backend = keras.backend.backend()
    if backend == "tensorflow":
        import tensorflow as tf

        return tf.executing_eagerly() and not isinstance(value, keras.KerasTensor)
    if backend == "jax":
        import jax

        return not isinstance(value, jax.core.Tracer)
    return value.device.type != "meta"
