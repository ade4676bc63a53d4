"""Sums to the last digit of Google's programs."""

import functools
import operator
from collections.abc import Iterable


def added(numbers: Iterable[float]) -> float:
    """The sum, rounded after every number, from the first to the last.

    Python's own `sum` did so, too, until 3.12; since then it makes up for what rounding takes.
    """
    return functools.reduce(operator.add, numbers, 0.0)
