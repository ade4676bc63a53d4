"""An update under `tf.distribute`: the replicas' gradients are summed first, then used as one.

Keras clips each replica's own gradients and sums what is left, so that the update depends on how
many replicas there are; and its accumulation enters the cross-replica context within a condition,
which TensorFlow refuses (keras#20582).
"""

from collections.abc import Callable
from typing import Any

import keras
from keras import ops

from keras_albert.replicas import has_workers

_TOKENS = 4096  # that a replica's batch has at most, as a rule: 32 rows of 128


def is_distributed() -> bool:
    """Whether a strategy runs this, be it with one replica."""
    if keras.backend.backend() != "tensorflow":
        return False
    import tensorflow as tf

    return tf.distribute.has_strategy()


def cheaper_in_rows(gradients: list[Any], variables: list[Any]) -> set[int]:
    """Of which gradients workers should exchange the rows there are, and not the whole table.

    Each worker receives every row that was looked up, or twice the table (less an n-th of it): with
    batches of at most `_TOKENS` the rows are less up to 14 replicas for BERT's 30,522 entries.
    """
    import tensorflow as tf

    strategy = tf.distribute.get_strategy()
    if not has_workers(strategy):
        return set()
    rows = strategy.num_replicas_in_sync * _TOKENS
    return {
        index
        for index, (gradient, variable) in enumerate(zip(gradients, variables, strict=False))
        if isinstance(gradient, tf.IndexedSlices) and rows <= 2 * variable.shape[0]
    }


def summed(gradients: list[Any]) -> list[Any]:
    """The sums of the replicas' gradients, in each replica; of gathered rows, all their rows."""
    import tensorflow as tf

    context = tf.distribute.get_replica_context()
    return context.all_reduce(tf.distribute.ReduceOp.SUM, gradients)


def merged(function: Callable[..., None], gradients: list[Any]) -> None:
    """`function(strategy, gradients)` in the cross-replica context, where the strategy has one."""
    import tensorflow as tf

    tf.__internal__.distribute.interim.maybe_merge_call(
        function, tf.distribute.get_strategy(), gradients
    )


def accumulate_or_update(
    strategy: Any,
    gradients: list[Any],
    variables: list[Any],
    accumulators: list[Any],
    is_due: Any,
    steps: int,
    update: Callable[[list[Any], list[Any]], None],
) -> None:
    """Adds gradients to the accumulators, or updates by their mean and sets these to 0.

    Args:
        strategy: As `merged` passes it.
        gradients: Summed ones.
        variables: `keras.Variable`s.
        accumulators: Likewise, of the gradients since the last update.
        is_due: Whether this is the last of `steps`.
        steps: Batches of an update.
        update: Called with a replica's mean gradients, and the variables.
    """

    def add(gradients: list[Any], accumulators: list[Any]) -> None:
        for accumulator, gradient in zip(accumulators, gradients, strict=True):
            accumulator.value.assign_add(ops.cast(gradient, accumulator.dtype))

    def move(gradients: list[Any], variables: list[Any]) -> None:
        update(
            [(each + sum_) / steps for each, sum_ in zip(gradients, accumulators, strict=True)],
            variables,
        )
        for accumulator in accumulators:
            accumulator.value.assign(ops.zeros_like(accumulator))

    ops.cond(
        is_due,
        lambda: in_each(strategy, move, gradients, variables),
        lambda: in_each(strategy, add, gradients, accumulators),
    )


def in_each(
    strategy: Any,
    function: Callable[[list[Any], list[Any]], None],
    gradients: list[Any],
    variables: list[Any],
) -> None:
    """`function(gradients, variables)` on every replica's device, with its own gradients."""
    import tensorflow as tf

    if tf.distribute.in_cross_replica_context():
        strategy.extended.update(
            variables[0].value, lambda _, mine: function(mine, variables), args=(gradients,)
        )
    else:
        function(gradients, variables)
