"""Functions in `tf.data`: what must hold there, and its failure as an InputError of one line."""

import contextlib
import re
from collections.abc import Callable, Iterator
from typing import Any

from keras_albert.errors import InputError

_ASSERTION = re.compile(r"assertion failed: \[(.*?)\] \[(.*?)\]")
_INTERNAL = re.compile(
    r"\{\{.*?\}\} ?|\[\[.*?\]\]|\[Op:\w+\]( name:)?"
    r"|Error in user-defined function .*? with iterator: \S+: "
)
_LONGEST_DETAIL = 300  # characters of a message that is TensorFlow's


def as_written(function: Callable[..., Any]) -> Callable[..., Any]:
    """The function for a dataset to trace without AutoGraph, which it does not need; faster."""
    import tensorflow as tf

    return tf.autograph.experimental.do_not_convert(function)


def require(condition: Any, rule: str, name: str, value: Any) -> None:
    """Asserts that a rule holds: at once in eager code, in a graph when it runs.

    Args:
        condition: Boolean tensor of one value.
        rule: What must hold, without a full stop.
        name: What the received value is called.
        value: Tensor of one value, to be shown.

    Raises:
        InputError: if not, in eager code.
        tf.errors.InvalidArgumentError: if not, in a graph; `input_errors` makes the former of it.
    """
    import tensorflow as tf

    message = f"{rule}. Received: {name}="
    if not tf.executing_eagerly():
        # Not tf.debugging.Assert, which traces a branch to build the message in.
        tf.raw_ops.Assert(condition=condition, data=[message, value])
    elif not condition:
        raise InputError(f"{message}{value.numpy()}")


@contextlib.contextmanager
def input_errors() -> Iterator[None]:
    """Turns what `tf.data` raises on bad data into an InputError of one line.

    Example:

    >>> import tensorflow as tf
    >>> def check(length):
    ...     require(length > 0, "A row has a token", "tokens", length)
    ...     return length
    >>> with input_errors():
    ...     list(tf.data.Dataset.range(3).map(check))
    Traceback (most recent call last):
    ...
    keras_albert.errors.InputError: A row has a token. Received: tokens=0
    """
    import tensorflow as tf

    try:
        yield
    except (tf.errors.InvalidArgumentError, tf.errors.DataLossError) as error:
        found = _ASSERTION.search(str(error))
        if found:
            message = found[1] + found[2]
        else:
            message = f"The data cannot be read. Received: {one_line(error)}"
        raise InputError(message) from error


def one_line(error: Exception) -> str:
    """The message of an error of TensorFlow's, without the names within its graph."""
    message = _INTERNAL.sub("", getattr(error, "message", str(error)))
    return " ".join(message.split())[:_LONGEST_DETAIL]
