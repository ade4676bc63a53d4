"""Where a training stands."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Position:
    """How much of a training is done.

    Attributes:
        epoch: The current epoch, counted from 0.
        batch: Batches of it that are done.
        step: Batches that are done in all.
    """

    epoch: int = 0
    batch: int = 0
    step: int = 0

    def after(self, batches: int) -> "Position":
        """So many batches later in the same epoch."""
        return Position(self.epoch, self.batch + batches, self.step + batches)

    def next_epoch(self) -> "Position":
        """The beginning of the following epoch."""
        return Position(self.epoch + 1, 0, self.step)
