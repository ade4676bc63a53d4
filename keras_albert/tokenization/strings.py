"""Strings on their way into TensorFlow, and functions of them as graphs."""

import re
from collections.abc import Callable
from typing import Any

from keras_albert.errors import InputError

# In the place of half a surrogate pair, which UTF-8 cannot hold: a character that both kinds of
# tokenizers drop.
NO_CHARACTER = "\x01"


def as_graph(function: Callable[..., Any]) -> Callable[..., Any]:
    """A function of strings [batch], compiled to a graph for eager calls: some fifty times faster.

    What comes back is a plain function: Keras would save a compiled one with the layer.
    """
    graphs: dict[int, Any] = {}

    def run(*texts: Any) -> Any:
        import tensorflow as tf

        if not tf.executing_eagerly():
            return function(*texts)
        count = len(texts)
        if count not in graphs:
            signature = [tf.TensorSpec([None], tf.string)] * count
            # Without autograph, which wraps our errors in its own.
            graph = tf.function(function, signature, autograph=False)
            graphs[count] = graph.get_concrete_function()
        return graphs[count](*texts)

    return run


def as_strings(texts: Any) -> Any:
    """Texts as a string tensor [batch].

    Raises:
        InputError: They are not strings.
    """
    import tensorflow as tf

    if isinstance(texts, str | bytes):
        raise InputError(f"Texts are a batch; one text is [text]. Received: texts={texts[:60]!r}")
    if not tf.is_tensor(texts):
        texts = [encoded(text) for text in texts]
        # An empty list would be one of floats.
        texts = tf.constant(texts, tf.string, shape=[len(texts)])
    if texts.dtype != tf.string:
        raise InputError(f"Texts are strings. Received: dtype={texts.dtype.name}")
    return texts


def encoded(text: Any) -> bytes:
    """A text in UTF-8; half a surrogate pair becomes a character that the tokenizers drop."""
    if isinstance(text, bytes):
        return text
    if not isinstance(text, str):
        raise InputError(f"Texts are strings. Received: {text!r:.60} ({type(text).__name__})")
    try:
        return text.encode("utf-8")
    except UnicodeEncodeError:
        return re.sub("[\ud800-\udfff]", NO_CHARACTER, text).encode("utf-8")


def count_characters(texts: Any, rows: Any, starts: Any, ends: Any) -> Any:
    """How many characters lie between bytes of texts; a text is not copied for each of its parts.

    Args:
        texts: Strings [batch] in UTF-8.
        rows: Of which text each part is, int64 [parts].
        starts: The first byte of each part, int64 [parts].
        ends: The byte after the last one, likewise.

    Returns:
        int32 [parts].
    """
    import tensorflow as tf

    content = tf.io.decode_raw(tf.strings.reduce_join(texts), tf.uint8)
    begins = tf.bitwise.bitwise_and(content, 0xC0) != 0x80  # of a character
    before = tf.concat([[0], tf.cumsum(tf.cast(begins, tf.int32))], 0)
    lengths = tf.cast(tf.strings.length(texts), tf.int64)
    first = tf.gather(tf.cumsum(lengths, exclusive=True), rows)  # byte of each part's text
    return tf.gather(before, first + ends) - tf.gather(before, first + starts)


def require_tensorflow_text() -> None:
    """Raises `ImportError`, in a line that says what to do, where tensorflow-text is missing."""
    try:
        import tensorflow  # noqa: F401
        import tensorflow_text  # noqa: F401
    except ImportError as error:
        raise ImportError(
            "Tokenization needs the tensorflow-text of TensorFlow's minor version: "
            "pip install tensorflow-text; elsewhere, `keras-albert tokenize --to FILE.tfrecord` "
            "makes files that need none"
        ) from error
