"""AdamW exactly as Google trained BERT."""

import math
from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from keras_albert.errors import InputError
from keras_albert.optimizers.base import found, patterns
from keras_albert.optimizers.compiled import CompiledUpdate


@keras.saving.register_keras_serializable(package="keras_albert")
class AdamW(CompiledUpdate):
    """Adam with decoupled weight decay and without bias correction.

    For parameter p with gradient g, moments m and v, rate r and decay d::

        m = beta_1 * m + (1 - beta_1) * g
        v = beta_2 * v + (1 - beta_2) * g**2
        p = p - r * (m / (sqrt(v) + epsilon) + d * p)

    This differs from `keras.optimizers.AdamW` in four ways: there is no bias correction, epsilon is
    1e-6, gathered rows of a table are summed before they are squared, and what is exempt from decay
    is found in the variable's whole path. Every row of an embedding table moves in every step.
    BERT also clips the gradients' global norm: that is Keras' `global_clipnorm=1.0`.
    With `gradient_accumulation_steps` the schedule and the average of `use_ema` count updates of
    the weights, where Keras' own optimizers count batches.

    Source: google-research/bert, optimization.py, `AdamWeightDecayOptimizer`.

    Args:
        learning_rate: Float or schedule. BERT fine-tunes with 2e-5 to 5e-5.
        weight_decay: d, times the learning rate (Google's `weight_decay_rate`).
        beta_1: Decay of the first moment.
        beta_2: Decay of the second moment.
        epsilon: Added to the root of v, not under it.
        decay_exclusions: Regular expressions (Google's `exclude_from_weight_decay`). A variable
            whose path one of them finds, anywhere in it, is not decayed.
        rate_multipliers: (regular expression, factor) pairs, as `layer_wise_rates` makes them. A
            variable's rate r is the learning rate times the factor of the first expression that
            its path contains; 1 without one.
        norm_of_gathered_rows: Take the norm for `global_clipnorm` as Google's code does on CPU and
            GPU: over the rows gathered from a table, each by itself. By default, and on the TPUs
            that BERT and ALBERT were trained on, the rows of one id are summed first. The two
            differ in fine-tuning alone, where nothing else uses the token table, by up to a few
            percent. Google's ALBERT gathers the segment table as well, our `SegmentEmbedding` does
            not: its part of the norm is that of the sum.
        name: Name of the optimizer.
        **kwargs: Keras' other optimizer arguments: `clipnorm`, `global_clipnorm`, `use_ema`, …

    Raises:
        InputError: if `decay_exclusions` is no list of regular expressions, `weight_decay` is
            negative, `rate_multipliers` holds anything but pairs with a factor of at least 0,
            `norm_of_gathered_rows` comes without `global_clipnorm`, with accumulation, with
            `loss_scale_factor` or on another backend than TensorFlow, or `ema_overwrite_frequency`
            with accumulation.

    Example:

    >>> from keras_albert.optimizers import AdamW, PolynomialDecayWithWarmup
    >>> schedule = PolynomialDecayWithWarmup(5e-5, total_steps=1000, warmup_steps=100)
    >>> optimizer = AdamW(schedule, global_clipnorm=1.0)
    """

    def __init__(
        self,
        learning_rate: Any = 5e-5,
        weight_decay: float = 0.01,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-6,
        decay_exclusions: Sequence[str] = ("layer_norm", "bias"),
        rate_multipliers: Sequence[tuple[str, float]] = (),
        norm_of_gathered_rows: bool = False,
        name: str = "adamw",
        **kwargs: Any,
    ):
        # Keras' own decay would search each variable's name instead of its path.
        super().__init__(
            learning_rate=learning_rate,
            weight_decay=None,
            rate_multipliers=rate_multipliers,
            norm_of_gathered_rows=norm_of_gathered_rows,
            name=name,
            **kwargs,
        )
        if not 0 <= weight_decay < math.inf:
            raise InputError(
                "Weight decay is a finite number, at least 0. "
                f"Received: weight_decay={weight_decay!r}"
            )
        self.weight_decay_rate = weight_decay
        self.beta_1 = beta_1
        self.beta_2 = beta_2
        self.epsilon = epsilon
        self.decay_exclusions = patterns("decay_exclusions", decay_exclusions)

    def build(self, variables: list[keras.Variable]) -> None:
        """Create the two moments of each variable, and settle which variables are decayed."""
        if self.built:
            return
        super().build(variables)
        self._momentums, self._velocities = self.add_optimizer_variables(
            variables, ["momentum", "velocity"]
        )
        self._decays = tuple(
            self.weight_decay_rate
            if self._use_weight_decay(variable) and not found(self.decay_exclusions, variable)
            else 0.0
            for variable in variables
        )

    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        """Move one variable and its moments by one step."""
        direction = self._direction(gradient, variable)
        rate = self._rate_of(variable, learning_rate)
        self.assign_sub(variable, ops.multiply(rate, direction))

    def _direction(self, gradient: Any, variable: Any) -> Any:
        """Advance the moments; what remains is to subtract the rate times the returned tensor."""
        index = self._get_variable_index(variable)
        momentum, velocity = self._momentums[index], self._velocities[index]
        # The reshaping sums the rows that TensorFlow keeps apart in a gathered table's gradient.
        gradient = ops.cast(ops.reshape(gradient, variable.shape), variable.dtype)
        next_momentum = self.beta_1 * momentum + (1.0 - self.beta_1) * gradient
        next_velocity = self.beta_2 * velocity + (1.0 - self.beta_2) * ops.square(gradient)
        self.assign(momentum, next_momentum)
        self.assign(velocity, next_velocity)
        direction = next_momentum / (ops.sqrt(next_velocity) + self.epsilon)
        if decay := self._decays[index]:
            direction = direction + decay * ops.convert_to_tensor(variable)
        return direction

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "weight_decay": self.weight_decay_rate,
            "beta_1": self.beta_1,
            "beta_2": self.beta_2,
            "epsilon": self.epsilon,
            "decay_exclusions": list(self.decay_exclusions),
        }
