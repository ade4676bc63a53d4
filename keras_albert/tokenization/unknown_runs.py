"""Long stretches of characters that a SentencePiece model does not know, made short.

SentencePiece joins unknown characters that follow each other, in time that grows with the square of
their number: a megabyte of Chinese takes an English model a quarter of a minute. No piece holds an
unknown character, so that all but the first and the last of a stretch can be left out without any
other token, or another place of one.
"""

from collections.abc import Callable
from typing import Any

# Bytes of a text below which it does not matter.
LONG_TEXT = 2**14
# Letters of Korean, which SentencePiece puts together again before it looks for them.
_JAMO = (0x1100, 0x11FF)


def shorten(texts: Any, is_known: Callable[[Any], Any]) -> tuple[Any, Any]:
    """Leaves out the middle of unknown stretches, if there is a long text among the texts.

    Args:
        texts: Strings [batch] of UTF-8.
        is_known: Strings of one character each -> bool [characters].

    Returns:
        The texts, and whether each of their characters was kept, flat.
    """
    import tensorflow as tf

    def shortened() -> tuple[Any, Any]:
        codes = tf.strings.unicode_decode(texts, "UTF-8")
        different, which = tf.unique(codes.flat_values)
        known = is_known(tf.strings.unicode_encode(different[:, tf.newaxis], "UTF-8"))
        known |= (different >= _JAMO[0]) & (different <= _JAMO[1])
        unknown = tf.gather(~known, which)
        row = codes.value_rowids()
        both = unknown[1:] & unknown[:-1] & (row[1:] == row[:-1])
        edge = tf.fill([tf.minimum(tf.size(unknown), 1)], False)
        middle = tf.concat([edge, both], 0) & tf.concat([both, edge], 0)
        kept = tf.ragged.boolean_mask(codes, codes.with_flat_values(~middle))
        return tf.strings.unicode_encode(kept, "UTF-8"), ~middle

    def unchanged() -> tuple[Any, Any]:
        characters = tf.reduce_sum(tf.strings.length(texts, unit="UTF8_CHAR"))
        return texts, tf.fill([characters], True)

    return tf.cond(tf.reduce_any(tf.strings.length(texts) > LONG_TEXT), shortened, unchanged)
