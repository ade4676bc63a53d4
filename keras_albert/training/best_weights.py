"""The weights of the best epoch, and stopping when none gets better."""

from collections.abc import Mapping
from typing import Any

import keras
import numpy as np

from keras_albert.data.messages import listed
from keras_albert.errors import InputError
from keras_albert.training.averages import AveragedWeights

MODES = ("auto", "min", "max")
_SMALLER_IS_BETTER = frozenset(
    {"loss", "error", "ece", "mae", "mse", "rmse", "mape", "msle", "perplexity", "divergence"}
)


def direction(monitor: str, mode: str = "auto") -> str:
    """Whether the best value of a metric is its "min" or its "max".

    By its name: losses and errors are to be small, everything else to be large.
    """
    if mode != "auto":
        return mode
    words = monitor.lower().replace("/", "_").split("_")
    return "min" if words[-1] in _SMALLER_IS_BETTER else "max"


class BestWeights(keras.callbacks.EarlyStopping):
    """Keras' EarlyStopping, which a run can save and go on with.

    At the end the model has the weights of the best epoch; with `use_ema` their averages, which
    are what was validated. An epoch without validation counts as none.

    Args:
        monitor: The validation's metric, such as "val_accuracy".
        mode: "min", "max", or "auto" for `direction`.
        patience: Validations in a row that are no better, after which to stop; None for never.
        averages: What puts the averages in the weights' place; None without `use_ema`.
    """

    def __init__(
        self,
        monitor: str,
        mode: str = "auto",
        patience: int | None = None,
        averages: AveragedWeights | None = None,
    ):
        super().__init__(
            monitor=monitor,
            mode=direction(monitor, mode),
            patience=np.inf if patience is None else patience,
            restore_best_weights=True,
        )
        self._averages = averages
        self._saved: tuple[Mapping[str, Any], list[np.ndarray]] | None = None

    def set_state(self, state: Mapping[str, Any], weights: list[np.ndarray]) -> None:
        """What `state` and `best_weights` were, from when the training begins."""
        self._saved = state, weights

    def state(self) -> dict[str, Any]:
        """What JSON holds, all but `best_weights`."""
        best = None if self.best is None else float(self.best)
        return {
            "best": best,
            "best_epoch": self.best_epoch,
            "wait": self.wait,
            "stopped_epoch": self.stopped_epoch,
        }

    def on_train_begin(self, logs: Any = None) -> None:
        """Begins as Keras does, or where a run was."""
        super().on_train_begin(logs)
        if self._saved is not None:
            state, weights = self._saved
            for name, value in state.items():
                setattr(self, name, value)
            self.best_weights = weights or None

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Keeps the weights if they are the best, and stops if that is long ago."""
        logs = logs or {}
        if not any(name.startswith("val_") for name in logs):
            return
        if self.monitor not in logs:
            raise InputError(
                f"monitor is one of the validation's metrics: {listed(logs)}. "
                f"Received: monitor={self.monitor!r}"
            )
        if self._averages is None:
            super().on_epoch_end(epoch, logs)
            return
        self._averages.put_in()
        super().on_epoch_end(epoch, logs)
        self._averages.take_out()
