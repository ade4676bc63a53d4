"""Many words to their pieces, each word tokenized once and all of them in one call."""

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np


class WordPieces:
    """The pieces of every different word among `words`.

    Args:
        words: Words, repeated or not. White space inside of one separates nothing.
        tokenizer: What makes their pieces, each word by itself.
        longest: Most pieces of a word, the first of them; None for all.
        never_none: Whether a word of which the tokenizer leaves nothing is an unknown one.
    """

    def __init__(
        self,
        words: Iterable[str],
        tokenizer: Any,
        *,
        longest: int | None = None,
        never_none: bool = False,
    ):
        self._rows = {word: row for row, word in enumerate(dict.fromkeys(words))}
        pieces = tokenizer.token_ids(list(self._rows))
        self._ids = pieces.flat_values.numpy()
        self._starts = pieces.row_starts().numpy()
        self._lengths = np.minimum(pieces.row_lengths().numpy(), longest or len(self._ids))
        if never_none:
            nothing = self._lengths == 0
            self._starts[nothing], self._lengths[nothing] = len(self._ids), 1
            self._ids = np.append(self._ids, np.int32(tokenizer.unk_id))

    def of(self, words: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
        """The ids of a text's words, one after the other, and the index of each piece's word."""
        rows = np.array([self._rows[word] for word in words], np.int64)
        lengths = self._lengths[rows]
        owners = np.repeat(np.arange(len(rows)), lengths)
        before = np.cumsum(lengths) - lengths
        places = np.arange(len(owners)) + (self._starts[rows] - before)[owners]
        return self._ids[places], owners
