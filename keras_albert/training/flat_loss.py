"""A word of warning where nothing is learnt."""

from typing import Any

from absl import logging

_FEWEST = 10  # lines of the first third; fewer say nothing
_FALL = 0.02  # by which share the loss falls at least


class FlatLoss:
    """Warns once if, after a third of the steps, the loss is what it was at the beginning.

    Compared are the means over the first and over the last fifth of that third.

    Args:
        steps: Of the whole training; None, where that is not known, never warns.
    """

    def __init__(self, steps: int | None):
        self._until = 0 if steps is None else steps // 3
        self.losses: list[float] = []

    def after_line(self, step: int, loss: float) -> None:
        """Takes the mean loss since the line before, after so many steps."""
        if step <= self._until:
            self.losses.append(loss)
        elif self.losses:
            self._compare()
            self.losses = []

    def _compare(self) -> None:
        size = len(self.losses) // 5
        if len(self.losses) < _FEWEST:
            return
        beginning, end = _mean(self.losses[:size]), _mean(self.losses[-size:])
        if end > beginning - _FALL * abs(beginning):
            logging.warning(
                "After a third of the training the loss is %.4g, and it began with %.4g. Usual "
                "reasons: the learning rate is too high for a model of this size, or far too low; "
                "the labels do not depend on the texts, or are all but one the same; what should "
                "learn is frozen.",
                end,
                beginning,
            )


def _mean(values: list[Any]) -> float:
    return sum(values) / len(values)
