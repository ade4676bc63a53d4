"""Keras' optimizer, where its definition of an option is not the one that training needs."""

import math
import re
from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from keras_albert.errors import InputError
from keras_albert.optimizers import replicated


class BaseOptimizer(keras.optimizers.Optimizer):
    """What our optimizers do otherwise than Keras'.

    With `gradient_accumulation_steps=k` the weights move once in k batches. Here the schedule and
    the moving average of `use_ema` count these updates; Keras' would count batches. As in Keras,
    an update sees the mean of the k gradients, which is clipped after it was taken.

    A gradient that TensorFlow keeps as rows gathered from a table is summed to the table's before
    anything else, so that clipping, accumulation and loss scaling mean the same on every backend
    and however a row is looked up; only with `norm_of_gathered_rows` it is not.

    Under a strategy the replicas' gradients are summed before they are clipped or accumulated, so
    that an update is the same for any number of replicas; Keras clips each replica's own. Workers
    exchange the rows of a large table that were looked up, where these are less than the table.

    Args and errors: see `AdamW`.
    """

    def __init__(
        self,
        learning_rate: Any,
        *,
        rate_multipliers: Sequence[tuple[str, float]] = (),
        norm_of_gathered_rows: bool = False,
        **kwargs: Any,
    ):
        super().__init__(learning_rate=learning_rate, **kwargs)
        self.rate_multipliers = _multipliers(rate_multipliers)
        self.norm_of_gathered_rows = norm_of_gathered_rows
        if norm_of_gathered_rows:
            self._check_gathered_rows()
        if self.gradient_accumulation_steps and self.ema_overwrite_frequency:
            # Keras would also overwrite before the update that is due.
            raise InputError(
                "Weights are overwritten by their average at the end of an accumulated training, "
                f"not within. Received: ema_overwrite_frequency={self.ema_overwrite_frequency}, "
                f"gradient_accumulation_steps={self.gradient_accumulation_steps}"
            )

    def _check_gathered_rows(self) -> None:
        if keras.backend.backend() != "tensorflow":
            raise InputError(
                "Only TensorFlow's gradients keep gathered rows apart. "
                f"Received: norm_of_gathered_rows=True, backend={keras.backend.backend()}"
            )
        if not self.global_clipnorm or self.gradient_accumulation_steps or self.loss_scale_factor:
            raise InputError(
                "The norm of gathered rows is one for global_clipnorm, without accumulation and "
                f"loss_scale_factor. Received: global_clipnorm={self.global_clipnorm}, "
                f"gradient_accumulation_steps={self.gradient_accumulation_steps}, "
                f"loss_scale_factor={self.loss_scale_factor}"
            )

    def build(self, variables: list[keras.Variable]) -> None:
        super().build(variables)
        # Settled here because in a distributed update the variables have lost their paths.
        self._multiplier_of = tuple(
            next((f for pattern, f in self.rate_multipliers if found([pattern], variable)), 1.0)
            for variable in variables
        )

    def apply(self, grads: list[Any], trainable_variables: Any = None) -> None:
        if not self.norm_of_gathered_rows:
            kept: set[int] = set()  # as gathered rows, until the replicas' are summed
            if replicated.is_distributed() and self.loss_scale_factor is None:
                kept = replicated.cheaper_in_rows(
                    grads, trainable_variables or self._trainable_variables
                )
            grads = [each if i in kept else dense(each) for i, each in enumerate(grads)]
        super().apply(grads, trainable_variables)

    def _clip_gradients(self, grads: list[Any]) -> list[Any]:
        # Keras' formula in TensorFlow's one fused operation, which leaves gathered rows apart.
        if self.global_clipnorm and keras.backend.backend() == "tensorflow":
            import tensorflow as tf

            # One norm in float32, for a half-precision model's gradients come in several types.
            wide = [tf.cast(gradient, "float32") for gradient in grads if gradient is not None]
            norm = tf.linalg.global_norm(wide)
            return tf.clip_by_global_norm(grads, self.global_clipnorm, use_norm=norm)[0]
        return super()._clip_gradients(grads)

    def _backend_apply_gradients(self, grads: list[Any], trainable_variables: list[Any]) -> None:
        if not replicated.is_distributed():
            super()._backend_apply_gradients(grads, trainable_variables)
            return
        rate = self.learning_rate
        steps = self.gradient_accumulation_steps

        def update(gradients: list[Any], variables: list[Any]) -> None:
            self._update_replica(self._clip_gradients(gradients), variables, rate)

        def apply(strategy: Any, gradients: list[Any]) -> None:
            if not steps:
                replicated.in_each(strategy, update, gradients, trainable_variables)
                return
            replicated.accumulate_or_update(
                strategy,
                gradients,
                trainable_variables,
                [
                    self._accumulated_gradients[self._get_variable_index(variable)]
                    for variable in trainable_variables
                ],
                (self._iterations + 1) % steps == 0,
                steps,
                update,
            )

        sums = replicated.summed(grads)
        if not self.norm_of_gathered_rows:
            sums = [dense(each) for each in sums]
        replicated.merged(apply, sums)
        if self.use_ema:
            self._update_model_variables_moving_average(self._trainable_variables)
            if self.ema_overwrite_frequency:
                replicated.merged(self._overwrite_if_due, [])

    def _all_reduce_sum_gradients(self, grads_and_vars: list[Any]) -> list[Any]:
        # Called where no strategy runs. Keras' sum over the one replica would be a custom gradient
        # to TensorFlow, which keeps the step's graph, and with it the weights, for ever.
        return grads_and_vars

    def _update_replica(self, gradients: list[Any], variables: list[Any], rate: Any) -> None:
        """Moves one replica's variables, by summed and clipped gradients."""
        for gradient, variable in zip(gradients, variables, strict=True):
            self.update_step(gradient, variable.value, rate)

    def _overwrite_if_due(self, strategy: Any, _: list[Any]) -> None:
        ops.cond(
            (self.iterations + 1) % self.ema_overwrite_frequency == 0,
            lambda: self._overwrite_model_variables_with_average_value(self._trainable_variables),
            lambda: None,
        )

    def _rate_of(self, variable: Any, learning_rate: Any) -> Any:
        """The variable's own learning rate, in its dtype."""
        rate = ops.cast(learning_rate, variable.dtype)
        multiplier = self._multiplier_of[self._get_variable_index(variable)]
        return rate if multiplier == 1.0 else multiplier * rate

    def _get_current_learning_rate(self) -> Any:
        schedule = self._learning_rate
        if isinstance(schedule, keras.optimizers.schedules.LearningRateSchedule):
            return schedule(self.iterations)  # updates; Keras' own passes the batches
        return super()._get_current_learning_rate()

    def _update_model_variables_moving_average(self, trainable_variables: list[Any]) -> None:
        steps = self.gradient_accumulation_steps
        if not steps:
            super()._update_model_variables_moving_average(trainable_variables)
            return
        # Computed in every batch, for JAX has no conditional assignment; kept where nothing moved.
        moved = ops.equal((self._iterations + 1) % steps, 0)
        first = ops.equal(self.iterations, 0)
        momentum = ops.where(moved, ops.where(first, 0.0, self.ema_momentum), 1.0)
        for variable, average in zip(
            trainable_variables, self._model_variables_moving_average, strict=True
        ):
            kept = ops.cast(momentum, variable.dtype)
            average.assign(kept * average + (1 - kept) * variable)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "rate_multipliers": [list(pair) for pair in self.rate_multipliers],
            "norm_of_gathered_rows": self.norm_of_gathered_rows,
        }


def dense(gradient: Any) -> Any:
    """The gradient as one tensor, with the gathered rows of each id summed."""
    if gradient is None or keras.backend.backend() != "tensorflow":
        return gradient
    import tensorflow as tf

    return tf.convert_to_tensor(gradient)


def patterns(name: str, value: Sequence[str]) -> tuple[str, ...]:
    """The regular expressions in argument `name`, given as anything but one bare string."""
    if isinstance(value, str):
        raise InputError(
            f"{name} is a list of regular expressions, not a string. Received: {name}={value!r}"
        )
    for expression in value:
        try:
            re.compile(expression)
        except (re.error, TypeError) as error:
            raise InputError(
                f"{name} holds regular expressions: {error}. Received: {expression!r}"
            ) from error
    return tuple(value)


def found(expressions: Sequence[str], variable: Any) -> bool:
    """Whether one of the expressions occurs in the variable's path."""
    path = getattr(variable, "path", variable.name)
    return any(re.search(expression, path) for expression in expressions)


def _multipliers(pairs: Sequence[tuple[str, float]]) -> tuple[tuple[str, float], ...]:
    for pair in pairs:
        if (
            isinstance(pair, str)
            or len(pair) != 2
            or isinstance(pair[1], bool)
            or not isinstance(pair[1], int | float)
            or not (math.isfinite(pair[1]) and pair[1] >= 0)
        ):
            raise InputError(
                "rate_multipliers holds pairs of a regular expression and a factor of at least 0. "
                f"Received: {pair!r}"
            )
    expressions = patterns("rate_multipliers", [pattern for pattern, _ in pairs])
    return tuple(zip(expressions, (float(factor) for _, factor in pairs), strict=True))
