"""What Keras' TensorFlow trainer does not do, or not right, under `tf.distribute`.

- Loss and gradients: Keras takes each replica's mean, and the mean of these. Where a batch does not
  divide among the replicas, the rows of the smaller part would weigh more. Here every row of the
  global batch weighs the same, also where weights (of copies that fill a batch, say) are unequal.
  The loss that is shown counts weights, too, not rows; on JAX as well.
- `MultiWorkerMirroredStrategy` (keras#20585): `fit` reduces a distributed batch eagerly to find
  shapes, which fails, and reduces the scalars that a step returns along their axis 0, which they do
  not have.
- `predict_on_batch` gives every replica the whole batch, and returns it once for each.

`tests/keras_albert/test_replicas.py` and `tests/test_worker_faults.py` tell when Keras needs none
of it any more.
"""

import contextlib
from typing import Any

import keras
from keras import ops, tree


class ReplicatedTraining:
    """To mix into a `keras.Model`, before it."""

    def train_step(self, *args: Any) -> Any:
        if not self._counts_otherwise():
            return super().train_step(*args)  # type: ignore[misc]
        import tensorflow as tf

        x, y, sample_weight = keras.utils.unpack_x_y_sample_weight(*args)
        share = self._share(x, sample_weight)
        with tf.GradientTape() as tape:
            y_pred = self(x, training=True)  # type: ignore[operator]
            loss = self._tracked_loss(x, y, y_pred, sample_weight, share, training=True)
            loss = self.optimizer.scale_loss(loss)  # type: ignore[attr-defined]
        variables = self.trainable_weights  # type: ignore[attr-defined]
        gradients = tape.gradient(loss, variables)
        if variables and isinstance(self.optimizer, keras.optimizers.LossScaleOptimizer):  # type: ignore[attr-defined]
            gradients = _finite_in_all(gradients)
        self.optimizer.apply(gradients, variables)  # type: ignore[attr-defined]
        return self._results(x, y, y_pred, sample_weight)

    def test_step(self, *args: Any) -> Any:
        if not self._counts_otherwise():
            return super().test_step(*args)  # type: ignore[misc]
        x, y, sample_weight = keras.utils.unpack_x_y_sample_weight(*args)
        y_pred = self(x, training=False)  # type: ignore[operator]
        share = self._share(x, sample_weight)
        self._tracked_loss(x, y, y_pred, sample_weight, share, training=False)
        return self._results(x, y, y_pred, sample_weight)

    def _counts_otherwise(self) -> bool:
        """Whether Keras' own step would not weigh rows as it should."""
        if keras.backend.backend() != "tensorflow":
            return False
        import tensorflow as tf

        return tf.distribute.get_strategy().num_replicas_in_sync > 1 or self._has_weighted_mean

    @property
    def _has_weighted_mean(self) -> bool:
        """Whether the loss is divided by the sum of the weights, and not by the number of rows."""
        loss = self._compile_loss  # type: ignore[attr-defined]
        losses = [] if loss is None else tree.flatten(loss._user_loss)
        reductions = [getattr(each, "reduction", None) for each in losses]
        return reductions == ["mean_with_sample_weight"]

    def _share(self, x: Any, sample_weight: Any) -> tuple[Any, Any]:
        """What this replica's part of the batch weighs, and by what its mean loss counts."""
        import tensorflow as tf

        if self._has_weighted_mean and sample_weight is not None:
            weights = [tf.cast(each, tf.float32) for each in tree.flatten(sample_weight)]
            mine = tf.add_n([tf.reduce_sum(each) for each in weights])
        else:
            mine = tf.cast(tf.shape(tree.flatten(x)[0])[0], tf.float32)
        context = tf.distribute.get_replica_context()
        if context.num_replicas_in_sync == 1:
            return mine, tf.ones([])
        total = context.all_reduce(tf.distribute.ReduceOp.SUM, mine)
        return mine, tf.math.divide_no_nan(mine * context.num_replicas_in_sync, total)

    def _tracked_loss(
        self, x: Any, y: Any, y_pred: Any, sample_weight: Any, share: Any, training: bool
    ) -> Any:
        """This replica's part of the loss, by which the replicas' parts sum to the batch's."""
        import tensorflow as tf

        loss = self.compute_loss(x, y, y_pred, sample_weight, training=training)  # type: ignore[attr-defined]
        weight, factor = share
        replicas = tf.distribute.get_strategy().num_replicas_in_sync
        self._loss_tracker.update_state(loss * replicas, sample_weight=weight)  # type: ignore[attr-defined]
        return loss * tf.cast(factor, loss.dtype)

    def _results(self, x: Any, y: Any, y_pred: Any, sample_weight: Any) -> Any:
        import tensorflow as tf

        results = self.compute_metrics(x, y, y_pred, sample_weight=sample_weight)  # type: ignore[attr-defined]
        if has_workers(tf.distribute.get_strategy()):
            # Keras takes their means along axis 0.
            return tree.map_structure(lambda value: tf.expand_dims(value, 0), results)
        return results

    def _update_metrics_variables(
        self, metrics_variables: Any, loss: Any, x: Any, y: Any, y_pred: Any, sample_weight: Any
    ) -> Any:
        """Of JAX's trainer, whose steps are without side effects."""
        if not self._has_weighted_mean or sample_weight is None:
            return super()._update_metrics_variables(  # type: ignore[misc]
                metrics_variables, loss, x, y, y_pred, sample_weight
            )
        variables = self.metrics_variables  # type: ignore[attr-defined]
        with keras.StatelessScope(zip(variables, metrics_variables, strict=True)) as scope:
            weights = [ops.sum(ops.cast(each, "float32")) for each in tree.flatten(sample_weight)]
            self._loss_tracker.update_state(loss, sample_weight=sum(weights))  # type: ignore[attr-defined]
            logs = self.compute_metrics(x, y, y_pred, sample_weight)  # type: ignore[attr-defined]
        values = [scope.get_current_value(variable) for variable in variables]
        return logs, [
            variable.value if value is None else value
            for variable, value in zip(variables, values, strict=True)
        ]

    def _maybe_symbolic_build(self, iterator: Any = None, data_batch: Any = None) -> None:
        strategy = getattr(self, "_distribute_strategy", None)
        if strategy is None or iterator is None:
            super()._maybe_symbolic_build(iterator=iterator, data_batch=data_batch)  # type: ignore[misc]
            return
        for _, _, batches in iterator:
            data_batch = tree.map_structure(
                lambda value: strategy.experimental_local_results(value)[0], next(batches)
            )
            break
        with strategy.scope():
            self._symbolic_build(data_batch=data_batch)  # type: ignore[attr-defined]

    def predict_on_batch(self, x: Any) -> Any:
        strategy = getattr(self, "_distribute_strategy", None)
        is_alone = strategy is None or strategy.num_replicas_in_sync == 1
        if is_alone or keras.backend.backend() != "tensorflow":
            return super().predict_on_batch(x)  # type: ignore[misc]
        return _predicted_by_own_replicas(self, strategy, x)


def scope_of(model: Any) -> Any:
    """The context of the strategy that a model was made under, for what is made for it later."""
    strategy = getattr(model, "_distribute_strategy", None)
    return contextlib.nullcontext() if strategy is None else strategy.scope()


def has_workers(strategy: Any) -> bool:
    """Whether several processes train together."""
    import tensorflow as tf

    return (
        isinstance(strategy, tf.distribute.MultiWorkerMirroredStrategy)
        and strategy.extended._in_multi_worker_mode()
    )


def replica_number() -> Any:
    """The number of the replica that runs this; None where there are not several."""
    if keras.backend.backend() != "tensorflow":
        return None
    import tensorflow as tf

    context = tf.distribute.get_replica_context()
    if context is None or context.num_replicas_in_sync == 1:
        return None
    return context.replica_id_in_sync_group


def _finite_in_all(gradients: list[Any]) -> list[Any]:
    """Gradients, not finite in this replica if they are not so in another one.

    Each replica decides by its own whether the loss scale was too large, and all must decide alike.
    """
    import tensorflow as tf

    found = [each for each in gradients if each is not None]
    is_finite = tf.reduce_all(
        [tf.reduce_all(tf.math.is_finite(tf.convert_to_tensor(each))) for each in found]
    )
    context = tf.distribute.get_replica_context()
    wrong = context.all_reduce(tf.distribute.ReduceOp.SUM, tf.cast(~is_finite, tf.float32))
    spoilt = tf.where(wrong > 0, float("nan"), 0.0)
    return [
        each if each is None else tf.convert_to_tensor(each) + tf.cast(spoilt, each.dtype)
        for each in gradients
    ]


def _predicted_by_own_replicas(model: Any, strategy: Any, x: Any) -> Any:
    """The outputs for a batch, NumPy arrays, by this process' replicas, each with its part."""
    import tensorflow as tf

    if has_workers(strategy):
        # The others know nothing of this batch.
        if getattr(model, "_own_predict_function", None) is None:
            model._own_predict_function = tf.function(
                lambda x: model.predict_step((x,)), reduce_retracing=True
            )
        outputs = model._own_predict_function(tree.map_structure(tf.convert_to_tensor, x))
        return tree.map_structure(lambda value: value.numpy(), outputs)
    rows = len(tree.flatten(x)[0])
    size = -(-rows // strategy.num_replicas_in_sync)

    def part(context: Any) -> Any:
        start = context.replica_id_in_sync_group * size
        # A replica that is left without rows computes the first again.
        return tree.map_structure(
            lambda value: tf.convert_to_tensor(
                value[start : start + size] if start < rows else value[:1]
            ),
            x,
        )

    model.make_predict_function()
    outputs = model.predict_function(
        [(strategy.experimental_distribute_values_from_function(part),)]
    )
    return tree.map_structure(lambda value: value.numpy()[:rows], outputs)
