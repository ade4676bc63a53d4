"""Which characters of a text a token comes from, through everything that was done to the text.

An offset is [start, end) in characters (code points) of the text as it was given: start is the
first character that contributes to the token, end the last one plus 1. What is deleted (control
characters, accents) contributes nothing, and neither does white space, which only separates. An
unknown word is covered as a whole. Everything runs in TensorFlow's graph on whole batches.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from keras_albert.tokenization.normalization import valid_utf8

_WHITE = np.array([chr(code).isspace() for code in range(0x3002)])


class CharacterMap:
    """The way back from the bytes of normalized texts to the characters of the texts.

    Each character contributes the same number of characters wherever it stands, so that cleaning
    every different one by itself tells how all texts were taken apart.

    Args:
        texts: Strings [batch].
        normalized: Strings [batch], the same cleaned up.
        clean: The clean-up, of any strings; where `single_spaces`, without that of white space.
        single_spaces: Whether the clean-up made every stretch of white space one space, and
            removed it at both ends.
        kept: Which characters of the cleaned-up texts are in `normalized`, flat; all by default.
    """

    def __init__(
        self,
        texts: Any,
        normalized: Any,
        clean: Callable[[Any], Any],
        *,
        single_spaces: bool,
        kept: Any = None,
    ):
        import tensorflow as tf

        codes = tf.strings.unicode_decode(valid_utf8(texts), "UTF-8")
        different, which = tf.unique(codes.flat_values)
        alone = tf.strings.unicode_encode(different[:, tf.newaxis], "UTF-8")
        counts = tf.gather(tf.strings.length(clean(alone), unit="UTF8_CHAR"), which)
        if single_spaces:
            white = _is_white(codes.flat_values)
            spaces = _last_between_words(codes.with_flat_values(white))
            counts = tf.where(white, tf.cast(spaces, counts.dtype), counts)
        position = tf.ragged.range(codes.row_lengths(), dtype=tf.int64).flat_values
        self._source = tf.gather(position, _repeated(counts))
        if kept is not None:
            self._source = tf.boolean_mask(self._source, kept)

        result, starts = tf.strings.unicode_decode_with_offsets(normalized, "UTF-8")
        tf.debugging.assert_equal(tf.size(self._source), tf.size(result.flat_values))
        lengths = tf.cast(tf.strings.length(normalized), tf.int64)
        self._bytes_before = tf.cumsum(lengths, exclusive=True)  # each text
        row = starts.value_rowids()
        self._bytes = starts.flat_values + tf.gather(self._bytes_before, row)
        self._words = tf.where(~_is_white(result.flat_values))[:, 0]
        # A last one that belongs to no text, for searches that find nothing.
        self._word_source = tf.concat([tf.gather(self._source, self._words), [0]], 0)
        self._word_row = tf.concat([tf.gather(row, self._words), [-1]], 0)

    def spans(self, starts: Any, ends: Any) -> tuple[Any, Any]:
        """Byte spans in the normalized texts as character spans in the texts.

        A span without a character that contributes is empty, before the next one that does.

        Args:
            starts: `tf.RaggedTensor` of int64 [batch, (tokens)], ascending.
            ends: Likewise.

        Returns:
            The same for characters, int32; both ascend along a text.
        """
        import tensorflow as tf

        row = starts.value_rowids()
        before = tf.gather(self._bytes_before, row)
        # From bytes to characters, and from those to words': the next one, and the one before.
        first = tf.searchsorted(self._bytes, starts.flat_values + before, out_type=tf.int64)
        after = tf.searchsorted(self._bytes, ends.flat_values + before, out_type=tf.int64)
        first = tf.searchsorted(self._words, first, out_type=tf.int64)
        last = tf.searchsorted(self._words, after, out_type=tf.int64) - 1
        last = tf.where(last < 0, tf.size(self._words, tf.int64), last)

        end = tf.where(
            tf.gather(self._word_row, last) == row, tf.gather(self._word_source, last) + 1, 0
        )
        start = tf.where(
            tf.gather(self._word_row, first) == row, tf.gather(self._word_source, first), end
        )
        return tuple(
            starts.with_flat_values(tf.cast(value, tf.int32))
            for value in (start, tf.maximum(start, end))
        )


def _is_white(codes: Any) -> Any:
    """Whether code points are what str.split takes for white space; nothing above U+3000 is."""
    import tensorflow as tf

    return tf.gather(_WHITE, tf.minimum(codes, 0x3001))


def _last_between_words(white: Any) -> Any:
    """Of each stretch of white space between two words, the last character; flat booleans.

    Args:
        white: `tf.RaggedTensor` of bool [batch, (characters)].
    """
    import tensorflow as tf

    flat, row = white.flat_values, white.value_rowids()
    words = tf.cast(~flat, tf.int64)
    before = tf.cumsum(words, exclusive=True)
    here = tf.gather(tf.concat([before, [0]], 0), tf.gather(white.row_starts(), row))
    word_next = tf.concat([(row[1:] == row[:-1]) & ~flat[1:], tf.fill([1], False)], 0)
    return flat & (before > here) & word_next[: tf.size(flat)]


def _repeated(counts: Any) -> Any:
    """Each index of `counts` as many times as it says there."""
    import tensorflow as tf

    ends = tf.cumsum(counts)
    return tf.searchsorted(ends, tf.range(tf.reduce_sum(counts)), side="right")
