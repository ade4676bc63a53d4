"""Which characters of a text are which characters of its cleaned-up form."""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

# A context of which a smaller part is found again in its pieces yields no features.
_FOUND = 0.8


class Alignment(NamedTuple):
    """Partners of characters, -1 for those without: int32 [original] and [cleaned]."""

    to_cleaned: np.ndarray
    to_original: np.ndarray


def align(original: str, cleaned: str, alone: Mapping[str, str]) -> Alignment | None:
    """Pair the characters of a text with those of its cleaned-up form.

    The pairs are a longest common subsequence along the diagonal, within a band as wide as the
    lengths differ, and twice as wide if that finds too little.

    Source: google-research/albert, squad_utils.py, `convert_examples_to_features`.

    Args:
        original: The text.
        cleaned: Its cleaned-up form.
        alone: What the clean-up makes of each of the text's characters alone, white space kept;
            two characters are equal if the one becomes the other.

    Returns:
        The partners, or None where fewer than 80 % of the original's characters have one.
    """
    n, m = len(original), len(cleaned)
    if not n or not m or m < _FOUND * n:
        return None
    codes = {c: ord(alone[c]) if len(alone[c]) == 1 else -1 for c in set(original)}
    rows = np.array([codes[c] for c in original], np.int32)
    columns = np.array([ord(c) for c in cleaned], np.int32)

    # The usual case, a mark before the first piece and nothing else: where the first characters
    # differ, no other path through the table is as good as this one.
    if m == n + 1 and rows[0] != columns[0] and np.array_equal(rows, columns[1:]):
        return Alignment(np.arange(1, m, dtype=np.int32), np.arange(-1, n, dtype=np.int32))

    width = abs(n - m) + 5
    for band in (width, 2 * width):
        lengths, equal = _subsequences(rows, columns, band)
        found = lengths[n, m - n + band + 1]
        if found > _FOUND * n:
            break
    if not found or found < _FOUND * n:
        return None
    return _partners(lengths, equal, band, m)


def nearest(
    partners: np.ndarray, positions: np.ndarray, length: int | None = None, *, start: bool
) -> np.ndarray:
    """The partners of characters, or for those without, of the gap that they lie in.

    Source: google-research/albert, squad_utils.py, `_convert_index`.

    Args:
        partners: int [characters], -1 for none; at least one has a partner.
        positions: Indices of characters, of any shape.
        length: How many characters the other side has, if what follows the last pair counts as a
            gap.
        start: Whether the beginning of the gap is meant, or its end.
    """
    order = np.arange(len(partners))
    known = partners >= 0
    before = np.maximum.accumulate(np.where(known, order, -1))[positions]
    after = np.minimum.accumulate(np.where(known, order, len(order))[::-1])[::-1][positions]
    first, last = before < 0, after == len(order)
    left = np.where(first, -1, partners[before])
    right = np.where(last, left + 1 if length is None else length, partners[after - last])
    gap = right > left + 1
    if start:
        return np.where(gap, left + 1, np.where(last, left, right))
    return np.where(gap, right - 1, np.where(first, right, left))


def _subsequences(
    rows: np.ndarray, columns: np.ndarray, band: int
) -> tuple[np.ndarray, np.ndarray]:
    """Lengths of the longest common subsequences of all prefixes, inside the band.

    Returns:
        Lengths [rows + 1, 2 * band + 2], where [i + 1, k + 1] belongs to the prefixes that end
        with row i and column i - band + k, and zeros surround them; and which of these two
        characters are equal, bool [rows, 2 * band].
    """
    n = len(rows)
    padding = np.full(band + n, -2, np.int32)
    padded = np.concatenate([padding[:band], columns, padding])
    equal = np.lib.stride_tricks.sliding_window_view(padded, 2 * band)[:n] == rows[:, None]
    lengths = np.zeros((n + 1, 2 * band + 2), np.int32)
    for i in range(n):
        above = lengths[i]
        best = np.maximum(above[2:], (above[1:-1] + 1) * equal[i])
        np.maximum.accumulate(best, out=lengths[i + 1, 1:-1])
    return lengths, equal


def _partners(lengths: np.ndarray, equal: np.ndarray, band: int, m: int) -> Alignment:
    """Walk back from the ends of both texts: up where nothing is better, else left, else pair."""
    n = len(equal)
    up, left, paired = lengths[:-1, 2:], lengths[1:, :-2], lengths[:-1, 1:-1] + 1
    leftwards = left > up
    pairs = equal & (paired > np.maximum(up, left))
    alignment = Alignment(np.full(n, -1, np.int32), np.full(m, -1, np.int32))
    i, j = n - 1, m - 1
    while i >= 0 and j >= 0 and j - i < band:
        k = j - i + band
        if pairs[i, k]:
            alignment.to_cleaned[i], alignment.to_original[j] = j, i
            i, j = i - 1, j - 1
        elif leftwards[i, k]:
            j -= 1
        else:
            i -= 1
    return alignment
