"""Validation with the moving average of the weights, which is what a training ends with."""

from typing import Any

import keras


class AveragedWeights(keras.callbacks.Callback):
    """Validates with the averages of an optimizer with `use_ema`, within fit.

    Keras puts them in the weights' place at the end of fit, but validates with the weights before.
    """

    def __init__(self) -> None:
        super().__init__()
        self._weights: list[Any] | None = None

    def put_in(self) -> None:
        """The averages take the weights' place."""
        weights = self.model.trainable_variables
        self._weights = [keras.ops.copy(weight) for weight in weights]
        self.model.optimizer.finalize_variable_values(weights)

    def take_out(self) -> None:
        """The weights have their place again, bit for bit; does nothing where they have."""
        if self._weights is not None:
            for weight, value in zip(self.model.trainable_variables, self._weights, strict=True):
                weight.assign(value)
            self._weights = None

    def on_test_begin(self, logs: Any = None) -> None:
        """Before a validation."""
        self.put_in()

    def on_test_end(self, logs: Any = None) -> None:
        """After it."""
        self.take_out()
