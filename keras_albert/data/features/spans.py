"""From a stretch of characters to the tokens that it touches."""

from collections.abc import Sequence
from typing import Any

import numpy as np


def tokens_between(
    offsets: Sequence[tuple[int, int]] | Any, start: int, end: int
) -> tuple[int, int] | None:
    """First and last token that overlap the characters `start` to `end - 1`; None if none does.

    Args:
        offsets: Where each token lies, [start, end) in characters, as `encode` gives them.
        start: The first character.
        end: Behind the last one.

    Example:

    >>> tokens_between([(0, 2), (2, 6), (7, 8)], 5, 7)
    (1, 1)
    """
    starts, ends = np.reshape(np.asarray(offsets, np.int64), (-1, 2)).T
    touched = np.flatnonzero((starts < end) & (ends > start) & (start < end))
    return (int(touched[0]), int(touched[-1])) if len(touched) else None
