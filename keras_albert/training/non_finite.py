"""A loss that is no number ends a training, with the last good weights and the rows to look at."""

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from keras_albert.data.in_graph import input_errors
from keras_albert.training.errors import NonFiniteLossError
from keras_albert.training.position import Position
from keras_albert.training.values import sync, value_of

_INTERVAL = 100  # steps between copies of the weights
_MOST_ROWS = 5  # that the message shows

Describe = Callable[[np.ndarray], list[str]]


class _FoundError(Exception):
    """Leaves Keras' fit, for `NonFiniteGuard.error`; without `before` a validation found it."""

    def __init__(self, loss: float, before: Position | None, after: Position):
        super().__init__(loss, before, after)
        self.loss, self.before, self.after = loss, before, after


class NonFiniteGuard:
    """Looks at the loss after every step, and keeps a copy of the weights in memory.

    Only the loss counts: with mixed_float16 a gradient that overflows is part of finding the scale,
    and the optimizer leaves that step out.
    """

    Found = _FoundError

    def __init__(self) -> None:
        self._weights: list[np.ndarray] = []
        self._kept_step = 0

    def begin(self, model: Any, step: int) -> None:
        """Copies the weights that the training begins with, or goes on from."""
        self._keep(model, step)

    def after_steps(
        self, before: Position, after: Position, logs: Mapping[str, float], model: Any
    ) -> None:
        """Raises `Found` where the loss of these steps is no finite number."""
        loss = float(logs["loss"])
        if not math.isfinite(loss):
            raise self.Found(loss, before, after)
        if after.step - self._kept_step >= _INTERVAL:
            self._keep(model, after.step)

    def after_validation(self, position: Position, logs: Mapping[str, float]) -> None:
        """Raises `Found` where a validation's loss is none; the last step's was taken before it."""
        loss = float(logs.get("val_loss", 0.0))
        if not math.isfinite(loss):
            raise self.Found(loss, None, position)

    def _keep(self, model: Any, step: int) -> None:
        sync(model)
        weights = [np.array(value_of(weight)) for weight in model.weights]
        # The loss was that of the weights before the step.
        if step == 0 or all(np.isfinite(w.astype("float64").sum()) for w in weights):
            self._weights, self._kept_step = weights, step

    def error(
        self, found: _FoundError, model: Any, batches: Callable[..., Any], describe: Describe
    ) -> NonFiniteLossError:
        """Gives the model its last good weights; returns the error that says so."""
        for weight, value in zip(model.weights, self._weights, strict=True):
            weight.assign(value)
        before, after = found.before, found.after
        steps = f"step {after.step}"
        rows, where, hint = np.array([], "int64"), "in the validation after", ""
        if before is not None:
            rows, where = _rows(batches, before, after.step - before.step), "in"
            if after.step - before.step > 1:
                steps = f"one of the steps {before.step + 1} to {after.step}"
            places = ", ".join(describe(rows[:_MOST_ROWS]))
            more = f" and {len(rows) - _MOST_ROWS} more" if len(rows) > _MOST_ROWS else ""
            hint = f", or look for a bad row in the batch: {places}{more}"
        kept = f"after step {self._kept_step}" if self._kept_step else "before the first step"
        return NonFiniteLossError(
            f"The loss is a finite number; {where} {steps} (epoch {after.epoch + 1}) it was not. "
            f"The model again has the weights that it had {kept}. Try a lower learning rate{hint}. "
            f"Received: {'loss' if before else 'val_loss'}={found.loss}",
            step=after.step,
            epoch=after.epoch + 1,
            kept_step=self._kept_step,
            rows=rows.tolist(),
        )


def _rows(batches: Callable[..., Any], before: Position, count: int) -> np.ndarray:
    """Where the rows of so many batches after a position stand in the data."""
    with input_errors():
        found = batches(first_epoch=before.epoch, row_index=True).skip(before.batch).take(count)
        rows = np.concatenate([indices.numpy() for _, indices in found])
    return rows[rows >= 0]  # the others are copies that fill a batch
