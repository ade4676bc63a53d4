"""A loss or weights that are no numbers end a training, with the last good weights and the rows."""

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
_LOSS = "The loss is a finite number"

Describe = Callable[[np.ndarray], list[str]]


class _FoundError(Exception):
    """Leaves Keras' fit, for `NonFiniteGuard.error`.

    Attributes:
        rule: What does not hold, and where: "{}" stands for the step.
        received: What was found.
        before: The position before the step; None where no step is to blame.
        after: The position after it.
    """

    def __init__(self, rule: str, received: str, before: Position | None, after: Position):
        super().__init__(rule, received, before, after)
        self.rule, self.received, self.before, self.after = rule, received, before, after


class NonFiniteGuard:
    """Looks at the loss after every step, and keeps a copy of the weights in memory.

    The weights themselves are looked at before they are saved, and at the end. Gradients are not:
    with mixed_float16 one that overflows is part of finding the scale, and the optimizer leaves
    that step out.
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
            raise self.Found(f"{_LOSS}; in {{}} it was not", f"{loss=}", before, after)
        if after.step - self._kept_step >= _INTERVAL:
            self._keep(model, after.step)

    def after_validation(self, position: Position, logs: Mapping[str, float]) -> None:
        """Raises `Found` where a validation's loss is none; the last step's was taken before it."""
        loss = float(logs.get("val_loss", 0.0))
        if not math.isfinite(loss):
            rule = f"{_LOSS}; in the validation after {{}} it was not"
            raise self.Found(rule, f"val_{loss=}", None, position)

    def before_saving(self, before: Position, after: Position, model: Any) -> None:
        """Raises `Found` where the latest steps have left weights that are no numbers."""
        for variable in model.trainable_variables:
            if not _is_finite(value_of(variable)):
                rule = "Weights are finite numbers; after {} some were not"
                raise self.Found(rule, variable.path, before, after)

    def _keep(self, model: Any, step: int) -> None:
        sync(model)
        weights = [np.array(value_of(weight)) for weight in model.weights]
        # The loss was that of the weights before the step.
        if step == 0 or all(map(_is_finite, weights)):
            self._weights, self._kept_step = weights, step

    def error(
        self, found: _FoundError, model: Any, batches: Callable[..., Any], describe: Describe
    ) -> NonFiniteLossError:
        """Gives the model its last good weights; returns the error that says so."""
        for weight, value in zip(model.weights, self._weights, strict=True):
            weight.assign(value)
        before, after = found.before, found.after
        steps = f"step {after.step}"
        rows, hint = np.array([], "int64"), ""
        if before is not None:
            rows = _rows(batches, before, after.step - before.step)
            if after.step - before.step > 1:
                steps = f"one of the steps {before.step + 1} to {after.step}"
            places = ", ".join(describe(rows[:_MOST_ROWS]))
            more = f" and {len(rows) - _MOST_ROWS} more" if len(rows) > _MOST_ROWS else ""
            hint = f", or look for a bad row in the batch: {places}{more}"
        kept = f"after step {self._kept_step}" if self._kept_step else "before the first step"
        return NonFiniteLossError(
            f"{found.rule.format(f'{steps} (epoch {after.epoch + 1})')}. "
            f"The model again has the weights that it had {kept}. Try a lower learning rate{hint}. "
            f"Received: {found.received}",
            step=after.step,
            epoch=after.epoch + 1,
            kept_step=self._kept_step,
            rows=rows.tolist(),
        )


def _is_finite(weight: np.ndarray) -> bool:
    # In float64 the sum of finite float32 numbers is finite.
    return bool(np.isfinite(weight.astype("float64").sum()))


def _rows(batches: Callable[..., Any], before: Position, count: int) -> np.ndarray:
    """Where the rows of so many batches after a position stand in the data."""
    with input_errors():
        found = batches(first_epoch=before.epoch, row_index=True).skip(before.batch).take(count)
        rows = np.concatenate([indices.numpy() for _, indices in found])
    return rows[rows >= 0]  # the others are copies that fill a batch
