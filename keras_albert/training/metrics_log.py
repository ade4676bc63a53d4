"""metrics.jsonl: how a training goes, a line every few steps, flushed as it is written."""

import json
import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from absl import logging

from keras_albert.training.position import Position
from keras_albert.training.values import value_of

FILE = "metrics.jsonl"


class MetricsLog:
    """Lines on a training, and the file of them.

    Every `log_every` steps, and after each epoch's last, there is a line with

    - `step`: steps done in all; `epoch`: counted from 1;
    - `loss`: the mean over the rows since the line before, or since the epoch began;
    - the other metrics: over the rows since the epoch began, as Keras shows them;
    - `learning_rate`: the schedule's at that step;
    - `rows_per_second`: since the line before; `seconds`: of the whole training, this run's and
      those that it goes on from.

    After a validation there is one with `step`, `epoch`, `"validation": true` and its metrics.

    Args:
        path: The file; None writes nothing.
        log_every: Steps between lines.
    """

    def __init__(self, path: Path | None, log_every: int):
        self._path = path
        self._log_every = log_every
        self._file: Any = None
        self._before = (0.0, 0.0)  # of the loss's tracker, at the line before: sum, rows
        self._epoch = -1
        self._seconds = 0.0
        self._began = self._line_time = 0.0

    def open(self, state: Mapping[str, Any] | None) -> None:
        """Begins the file, or goes on with it where `state` was; the clock runs from now."""
        self._began = self._line_time = time.monotonic()
        if state is not None:
            self._before = (state["loss_sum"], state["loss_rows"])
            self._epoch = state["epoch"]
            self._seconds = state["seconds"]
        if self._path is None:
            return
        size = 0 if state is None else state["size"]
        self._path.parent.mkdir(parents=True, exist_ok=True)
        self._file = open(self._path, "ab")  # noqa: SIM115 (as long as the training)
        if self._file.tell() < size:
            logging.warning("%s has lost lines since the last checkpoint", self._path)
        else:
            self._file.truncate(size)

    def close(self) -> None:
        """Closes the file."""
        if self._file is not None:
            self._file.close()

    def state(self) -> dict[str, Any]:
        """What `open` needs to go on; the lines up to here are on the disk."""
        size = 0
        if self._file is not None:
            os.fsync(self._file.fileno())
            size = self._file.tell()
        loss_sum, loss_rows = self._before
        return {
            "size": size,
            "loss_sum": loss_sum,
            "loss_rows": loss_rows,
            "epoch": self._epoch,
            "seconds": self._elapsed(),
        }

    def due(self, position: Position, batches: int, is_last: bool) -> bool:
        """Whether these batches end with a line."""
        return is_last or position.step // self._log_every > (
            (position.step - batches) // self._log_every
        )

    def after_steps(self, position: Position, logs: Mapping[str, float], model: Any) -> float:
        """Writes a line; returns its loss."""
        if position.epoch != self._epoch:
            self._epoch, self._before = position.epoch, (0.0, 0.0)
        tracker = next(metric for metric in model.metrics if metric.name == "loss")
        after = float(value_of(tracker.total)), float(value_of(tracker.count))
        if getattr(model, "_distribute_strategy", None) is not None:
            logs = _of_all_replicas(model)
        rows = after[1] - self._before[1]
        loss = (after[0] - self._before[0]) / rows
        self._before = after
        now = time.monotonic()
        self._write(
            {
                "step": position.step,
                "epoch": position.epoch + 1,
                "loss": loss,
                **{name: float(value) for name, value in logs.items() if name != "loss"},
                "learning_rate": float(model.optimizer.learning_rate),
                "rows_per_second": round(rows / max(now - self._line_time, 1e-9), 3),
                "seconds": round(self._elapsed(), 3),
            }
        )
        self._line_time = now
        return loss

    def after_validation(self, position: Position, logs: Mapping[str, float]) -> None:
        """Writes the line of a validation, whose metrics are named `val_…`."""
        metrics = {
            name.removeprefix("val_"): float(value)
            for name, value in logs.items()
            if name.startswith("val_")
        }
        if metrics:
            head = {"step": position.step, "epoch": position.epoch + 1, "validation": True}
            self._write(head | metrics)
        self._line_time = time.monotonic()

    def _elapsed(self) -> float:
        return self._seconds + time.monotonic() - self._began

    def _write(self, line: Mapping[str, Any]) -> None:
        if self._file is not None:
            self._file.write((json.dumps(line) + "\n").encode())
            self._file.flush()


def _of_all_replicas(model: Any) -> dict[str, Any]:
    """The metrics of the epoch so far; what Keras gives callbacks is the mean of the replicas'."""
    found: dict[str, Any] = {}
    for name, value in model.get_metrics_result().items():
        found.update(value if isinstance(value, dict) else {name: value})
    return found
