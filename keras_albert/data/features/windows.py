"""A context that is too long for the model, seen through overlapping windows."""

from typing import NamedTuple

import numpy as np


class Window(NamedTuple):
    """The tokens `start` to `start + length - 1` of a context."""

    start: int
    length: int


def windows(count: int, room: int, stride: int) -> list[Window]:
    """Windows of at most `room` tokens that cover `count` tokens.

    Each begins `stride` tokens after the one before, and never past its end, so that a stride
    wider than the room only means that nothing overlaps. No tokens have no window.

    Source: google-research/bert, run_squad.py, `convert_examples_to_features`.
    """
    step = min(stride, room)
    # The last window is the first one that reaches the end.
    more = max(0, -(-(count - room) // step)) if count else -1
    return [Window(k * step, min(room, count - k * step)) for k in range(more + 1)]


def max_context(spans: list[Window]) -> list[np.ndarray]:
    """For each window, which of its tokens have their widest context there: bool [length].

    A token's context in a window is the smaller of what stands to its left and to its right, plus
    a hundredth of the window's length; of equal ones the first window counts.

    Source: google-research/bert, run_squad.py, `_check_is_max_context`.
    """
    count = max((start + length for start, length in spans), default=0)
    widest = np.full(count, -1.0)
    owner = np.empty(count, np.int32)
    for index, (start, length) in enumerate(spans):
        left = np.arange(length)
        context = np.minimum(left, left[::-1]) + 0.01 * length
        here = slice(start, start + length)
        wider = context > widest[here]
        widest[here][wider] = context[wider]
        owner[here][wider] = index
    return [owner[start : start + length] == index for index, (start, length) in enumerate(spans)]
