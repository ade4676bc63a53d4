"""LAMB exactly as Google trained ALBERT."""

from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from keras_albert.optimizers.adamw import AdamW
from keras_albert.optimizers.base import found, patterns


@keras.saving.register_keras_serializable(package="keras_albert")
class LAMB(AdamW):
    """AdamW's step, scaled for each variable by its trust ratio (You et al., arXiv:1904.00962).

    With AdamW's direction u, which holds the weight decay, and L2 norms over a whole variable::

        u = m / (sqrt(v) + epsilon) + d * p
        p = p - r * |p| / |u| * u

    The ratio is 1 where either norm is 0 and where the variable is exempt; nothing bounds it. This
    differs from `keras.optimizers.Lamb`, which corrects the bias of the moments and decays outside
    the ratio. ALBERT also clips the gradients' global norm: that is Keras' `global_clipnorm=1.0`.

    Source: google-research/albert, lamb_optimizer.py, `LAMBOptimizer`.

    Args:
        learning_rate: Float or schedule. ALBERT was pre-trained with 0.00176.
        weight_decay: d (Google's `weight_decay_rate`).
        beta_1: Decay of the first moment.
        beta_2: Decay of the second moment.
        epsilon: Added to the root of v, not under it.
        decay_exclusions: Regular expressions (Google's `exclude_from_weight_decay`). A variable
            whose path one of them finds, anywhere in it, is not decayed.
        adaptation_exclusions: Regular expressions (Google's `exclude_from_layer_adaptation`) for
            the variables whose ratio is 1. `None` means `decay_exclusions`.
        name: Name of the optimizer.
        **kwargs: `rate_multipliers` and `norm_of_gathered_rows` as `AdamW` has them, and Keras'
            other optimizer arguments: `clipnorm`, `global_clipnorm`, `use_ema`, …

    Raises:
        InputError: as `AdamW` does.
    """

    # The norms: XLA reduces on one thread, and 23M weights took 225 ms instead of 107.
    compiles = False

    def __init__(
        self,
        learning_rate: Any = 0.00176,
        weight_decay: float = 0.01,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-6,
        decay_exclusions: Sequence[str] = ("layer_norm", "bias"),
        adaptation_exclusions: Sequence[str] | None = None,
        name: str = "lamb",
        **kwargs: Any,
    ):
        super().__init__(
            learning_rate=learning_rate,
            weight_decay=weight_decay,
            beta_1=beta_1,
            beta_2=beta_2,
            epsilon=epsilon,
            decay_exclusions=decay_exclusions,
            name=name,
            **kwargs,
        )
        self.adaptation_exclusions = (
            None
            if adaptation_exclusions is None
            else patterns("adaptation_exclusions", adaptation_exclusions)
        )

    def build(self, variables: list[keras.Variable]) -> None:
        """Create the moments, and settle which variables' steps are scaled by the ratio."""
        if self.built:
            return
        super().build(variables)
        exclusions = (
            self.decay_exclusions
            if self.adaptation_exclusions is None
            else self.adaptation_exclusions
        )
        self._adapts = tuple(not found(exclusions, variable) for variable in variables)

    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        """Move one variable and its moments by one step."""
        direction = self._direction(gradient, variable)
        rate = self._rate_of(variable, learning_rate)
        if self._adapts[self._get_variable_index(variable)]:
            rate = rate * trust_ratio(ops.convert_to_tensor(variable), direction)
        self.assign_sub(variable, ops.multiply(rate, direction))

    def get_config(self) -> dict[str, Any]:
        exclusions = self.adaptation_exclusions
        return {
            **super().get_config(),
            "adaptation_exclusions": None if exclusions is None else list(exclusions),
        }


def trust_ratio(parameter: Any, direction: Any) -> Any:
    """|parameter| / |direction| as a scalar, or 1 where either is zero."""
    parameter_norm = ops.sqrt(ops.sum(ops.square(parameter)))
    direction_norm = ops.sqrt(ops.sum(ops.square(direction)))
    # Where the division is not used it may be 0 / 0.
    both = ops.logical_and(parameter_norm > 0, direction_norm > 0)
    safe = ops.where(both, direction_norm, ops.ones_like(direction_norm))
    return ops.where(both, parameter_norm / safe, ops.ones_like(safe))
