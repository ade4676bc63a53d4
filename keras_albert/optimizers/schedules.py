"""The learning rate of BERT's and ALBERT's `create_optimizer`."""

from typing import Any

import keras
from keras import ops

from keras_albert.errors import InputError


@keras.saving.register_keras_serializable(package="keras_albert")
class PolynomialDecayWithWarmup(keras.optimizers.schedules.LearningRateSchedule):
    """Polynomial decay to zero over all steps, and a linear warm-up at its beginning.

    For step s of `total_steps`, peak rate r, power p, w warm-up steps beginning at step b::

        s <  b + w:  r * (s - b) / w
        s >= b + w:  r * (1 - min(s, total_steps) / total_steps) ** p

    As in the original, the decay counts from step 0, not from the end of the warm-up, so that the
    rate falls by r * w / total_steps where the warm-up ends; with a warm-up from step 0 the first
    rate is 0, and from `total_steps` on it is 0. A warm-up as long as all steps or longer takes the
    rate up to the end and never reaches r; a run of one step that is all warm-up learns nothing.
    Before `start_warmup_step` the rate is negative, as Google's formula has it: start there only
    where no earlier step is taken.

    Source: google-research/bert and google-research/albert, optimization.py, `create_optimizer`.

    Args:
        learning_rate: r, the rate from which the decay starts.
        total_steps: Positive integer, the steps of the decay (Google's `num_train_steps`).
        warmup_steps: w, 0 for none (Google's `num_warmup_steps`).
        power: p, 1 for BERT's linear decay (ALBERT's `poly_power`), 0 for a constant rate.
        start_warmup_step: b (ALBERT's `start_warmup_step`).

    Raises:
        InputError: if `total_steps` is not positive or `warmup_steps` is negative.

    Example:

    >>> from keras_albert.optimizers import PolynomialDecayWithWarmup
    >>> schedule = PolynomialDecayWithWarmup(5e-5, total_steps=100, warmup_steps=10)
    >>> [round(float(schedule(step)) * 1e6, 3) for step in (0, 5, 10, 50, 100)]
    [0.0, 25.0, 45.0, 25.0, 0.0]
    """

    def __init__(
        self,
        learning_rate: float,
        total_steps: int,
        warmup_steps: int = 0,
        power: float = 1.0,
        start_warmup_step: int = 0,
    ):
        super().__init__()
        if total_steps <= 0:
            raise InputError(
                "A PolynomialDecayWithWarmup decays over at least one step. "
                f"Received: total_steps={total_steps!r}"
            )
        if warmup_steps < 0:
            raise InputError(
                "A PolynomialDecayWithWarmup warms up over zero or more steps. "
                f"Received: warmup_steps={warmup_steps!r}"
            )
        self.learning_rate = learning_rate
        self.total_steps = total_steps
        self.warmup_steps = warmup_steps
        self.power = power
        self.start_warmup_step = start_warmup_step

    def __call__(self, step: Any) -> Any:
        """The rate of `step`, counted from 0, as a scalar tensor of Keras' float type."""
        step = ops.cast(step, keras.config.floatx())
        remaining = 1.0 - ops.minimum(step, self.total_steps) / self.total_steps
        rate = self.learning_rate * ops.power(remaining, self.power)
        if not self.warmup_steps:
            return rate
        warm = (step - self.start_warmup_step) / self.warmup_steps
        return ops.where(warm < 1.0, self.learning_rate * warm, rate)

    def get_config(self) -> dict[str, Any]:
        return {
            "learning_rate": self.learning_rate,
            "total_steps": self.total_steps,
            "warmup_steps": self.warmup_steps,
            "power": self.power,
            "start_warmup_step": self.start_warmup_step,
        }
