"""A run: where it stands, and what happens after a step, an epoch and a validation."""

import collections
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import keras
import numpy as np

from keras_albert.distribute.workers import anywhere, is_chief, worker_count
from keras_albert.training.averages import AveragedWeights
from keras_albert.training.best_weights import BestWeights
from keras_albert.training.checkpoints import Checkpoint, Checkpoints
from keras_albert.training.errors import Interrupted
from keras_albert.training.flat_loss import FlatLoss
from keras_albert.training.metrics_log import FILE, MetricsLog
from keras_albert.training.non_finite import NonFiniteGuard
from keras_albert.training.position import Position
from keras_albert.training.saved_state import Named, arrays_of, assign, name_of, values_in
from keras_albert.training.stopping import StopSignals
from keras_albert.training.values import sync

CHECKPOINTS = "checkpoints"

Progress = Callable[[int, int | None, str], None]


class Run(keras.callbacks.Callback):
    """The last of fit's callbacks: all that the others changed is in what it saves.

    Of several workers only the chief writes; the others still read what it saves, for some of it is
    the sum of what each has.

    Attributes:
        position: Where the run stands.
        begun: Whether fit trains already.
        averages: Puts averaged weights in for validations; None without `use_ema`.
        best: Finds the best weights; None without `monitor`.
        guard: Looks at the loss.
        history: Keras' History, which the run goes on with.

    Args:
        folder: Where checkpoints and metrics.jsonl are; None writes nothing.
        fingerprint: What must be the same to go on.
        epochs: Of the whole run.
        steps_per_epoch: None where nobody knows.
        save_every: Steps between checkpoints; None for those after epochs alone.
        log_every: Steps between lines of metrics.jsonl.
        progress: Called with (done, total or None, label).
        averages: See above.
        best: See above.
        signals: Signals to obey.
    """

    def __init__(
        self,
        folder: Path | None,
        fingerprint: Mapping[str, Any],
        *,
        epochs: int,
        steps_per_epoch: int | None,
        save_every: int | None,
        log_every: int,
        progress: Progress | None,
        averages: AveragedWeights | None,
        best: BestWeights | None,
        signals: StopSignals,
    ):
        super().__init__()
        self.position = Position()
        self.begun = False
        self.averages = averages
        self.best = best
        self.guard = NonFiniteGuard()
        self.history = keras.callbacks.History()
        self._epochs = epochs
        self._steps_per_epoch = steps_per_epoch
        self._steps = None if steps_per_epoch is None else epochs * steps_per_epoch
        self._fingerprint = fingerprint
        self._checkpoints = None if folder is None else Checkpoints(folder / CHECKPOINTS)
        self._save_every = save_every
        self._progress = progress
        self._signals = signals
        self._writes = is_chief()
        log = folder / FILE if folder is not None and self._writes else None
        self._log = MetricsLog(log, log_every)
        self._flat_loss = FlatLoss(self._steps)
        self._shares = worker_count() > 1
        self._saved: Position | None = None
        # Before and after the latest steps.
        self._steps_done: tuple[Position, Position] | None = None
        self._past_epochs: list[int] = []
        # The metrics of the epoch, while a validation uses them.
        self._metrics: list[Named] | None = None
        self._log_state: Mapping[str, Any] | None = None

    def restore(self, checkpoint: Checkpoint, model: Any) -> None:
        """Goes on from a checkpoint, but for the metrics: `restore_metrics`."""
        state = checkpoint.state
        assign(checkpoint, "model", model.variables)
        assign(checkpoint, "optimizer", model.optimizer.variables)
        self.position = self._saved = Position(**state["position"])
        self.history.history = state["history"]
        self._past_epochs = self.history.epoch = state["epochs"]
        self._flat_loss.losses = state["losses"]
        self._log_state = state["log"]
        if self.best is not None:
            self.best.set_state(state["best"], values_in(checkpoint, "best"))

    def save(self, *, complete: bool = False) -> None:
        """Writes a checkpoint, if the run has a folder and this is not saved yet.

        Raises `NonFiniteGuard.Found` instead where the weights are none to go on from.
        """
        if self._checkpoints is None or (self._saved == self.position and not complete):
            return
        sync(self.model)
        if not complete:
            self._check_weights()
        state = {
            "position": vars(self.position),
            "complete": complete,
            "stopped": bool(self.model.stop_training),
            "fingerprint": self._fingerprint,
            "history": self.history.history,
            "epochs": self.history.epoch,
            "losses": self._flat_loss.losses,
            "log": self._log.state(),
            "best": None if self.best is None else self.best.state(),
        }
        if self._writes:
            self._checkpoints.save(self.position.step, self._arrays(), state)
        else:
            collections.deque(self._arrays(), maxlen=0)
        self._saved = self.position

    def _check_weights(self) -> None:
        if self._steps_done is not None:
            self.guard.before_saving(*self._steps_done, self.model)

    def _arrays(self) -> Iterator[Named]:
        yield from arrays_of("model", self.model.variables)
        yield from arrays_of("optimizer", self.model.optimizer.variables)
        if self._metrics is not None:
            yield from self._metrics
        elif self.position.batch:
            yield from arrays_of("metrics", self.model.metrics_variables)
        if self.best is not None:
            for index, weight in enumerate(self.best.best_weights or ()):
                yield name_of("best", index), weight

    def close(self) -> None:
        """Closes the file of metrics."""
        self._log.close()

    def on_train_begin(self, logs: Any = None) -> None:
        """Begins, or goes on."""
        self.begun = True
        self.history.epoch = list(self._past_epochs)
        self.guard.begin(self.model, self.position.step)
        self._log.open(self._log_state)

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        """After the steps of one execution; those passed over in resuming are none."""
        # The last execution of an epoch may be shorter than Keras numbers it.
        done = min(batch + 1, self._steps_per_epoch or batch + 1)
        before = self.position
        if done <= before.batch:
            return
        self.position = after = before.after(done - before.batch)
        self._steps_done = before, after
        self.guard.after_steps(before, after, logs, self.model)
        if self._log.due(after, done - before.batch, done == self._steps_per_epoch):
            sync(self.model)
            self._flat_loss.after_line(after.step, self._log.after_steps(after, logs, self.model))
        if self._progress is not None:
            self._progress(after.step, self._steps, "fine-tuning")
        every = self._save_every
        if every is not None and after.step // every > before.step // every:
            self.save()
        self._stop_if_told()

    def on_test_begin(self, logs: Any = None) -> None:
        """Keeps the epoch's metrics, which the validation will use."""
        if self._checkpoints is not None:
            variables = self.model.metrics_variables
            self._metrics = [(k, np.array(v)) for k, v in arrays_of("metrics", variables)]

    def on_test_batch_end(self, batch: int, logs: Any = None) -> None:
        """Stops within a validation, which is then done anew."""
        signal = self._signal()
        if signal is not None:
            sync(self.model)
            if self.averages is not None:
                self.averages.take_out()
            self._stop(signal)

    def on_test_end(self, logs: Any = None) -> None:
        """After a validation."""
        self._metrics = None

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """After an epoch and its validation."""
        self.guard.after_validation(self.position, logs or {})
        self._log.after_validation(self.position, logs or {})
        self.position = self.position.next_epoch()
        self.save()
        if self.position.epoch < self._epochs:
            self._stop_if_told()

    def on_train_end(self, logs: Any = None) -> None:
        """At the end of a training, unless an error ends it."""
        sync(self.model)
        self._check_weights()

    def _signal(self) -> str | None:
        """The signal to obey; one that any worker got, so that all stop after the same step."""
        mine = self._signals.received
        told = anywhere(self.model.distribute_strategy, mine is not None) if self._shares else mine
        return mine or ("a signal to another worker" if told else None)

    def _stop_if_told(self) -> None:
        signal = self._signal()
        if signal is not None:
            self._stop(signal)

    def _stop(self, signal: str) -> None:
        self.save()
        message = (
            f"{signal}: stopped after step {self.position.step}"
            f"{'' if self._steps is None else f' of {self._steps}'}, and saved; "
            "resume=True (--resume) goes on"
        )
        raise KeyboardInterrupt(message) if signal == "Ctrl-C" else Interrupted(message)
