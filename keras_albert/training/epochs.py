"""What Keras' fit iterates over, so that each epoch has its own order, also after a resume."""

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import keras

from keras_albert.data.in_graph import as_written


def counted(dataset: Any, probe: Any = None, has_begun: Callable[[], bool] = lambda: True) -> Any:
    """The dataset, whose iterations count when they are read, and not when they are made.

    `tf.data` shuffles anew for every iterator, and `fit` makes more than it reads: another one at
    the end of every epoch, where the number of batches is known. So it would leave out every other
    order, and a run that is resumed would have other orders. Where fit reads a batch before the
    training (`looks_ahead`), it is given one of another dataset.

    Args:
        dataset: The batches.
        probe: What is read before the training; None where nothing is.
        has_begun: Whether the training has begun.
    """
    import tensorflow as tf

    @as_written
    def epoch(_: Any) -> Any:
        if probe is None:
            return dataset
        # 0 or 1, from Python: a strategy could not copy a variable into its dataset.
        begun = tf.numpy_function(lambda: int(has_begun()), [], tf.int64)
        begun.set_shape(())
        return probe.take(1 - begun).concatenate(dataset.take(-begun))

    epochs = tf.data.Dataset.from_tensors(0).flat_map(epoch)
    steps = dataset.cardinality()
    if steps >= 0:
        epochs = epochs.apply(tf.data.experimental.assert_cardinality(steps))
    return epochs.with_options(dataset.options())


def looks_ahead(model: Any) -> bool:
    """Whether fit reads a batch before the training: on JAX, and under a strategy."""
    # Keras' own condition: a strategy of one replica counts, too.
    has_strategy = getattr(model, "_distribute_strategy", None) is not None
    return has_strategy or keras.backend.backend() != "tensorflow"


class PassedOver(keras.callbacks.Callback):
    """Lets fit pass over the batches of its first epoch that were trained on before.

    Keras counts them, so that its callbacks number the batches as ever; none is computed with.
    Call fit within `installed`.

    Args:
        batches: How many.
        restore_metrics: Sets the metrics to what they were after the last of them.
    """

    def __init__(self, batches: int, restore_metrics: Callable[[], None]):
        super().__init__()
        self.left = batches
        self._restore_metrics = restore_metrics
        self._logs: dict[str, Any] = {}

    @contextlib.contextmanager
    def installed(self, model: Any) -> Iterator[None]:
        """Within, it takes the place of the model's train function for these batches."""
        model.make_train_function(force=True)
        train = model.train_function

        def function(*arguments: Any) -> Any:
            if not self.left:
                return train(*arguments)
            *state, iterator = arguments  # JAX has its variables in the first
            for _ in range(min(self.left, model.steps_per_execution)):
                next(iterator)
                self.left -= 1
            return (self._logs, *state) if state else self._logs

        model.train_function = function
        try:
            yield
        finally:
            model.train_function = train

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        """Restores the metrics, which Keras has just reset."""
        if self.left:
            self._restore_metrics()
            self._logs = self.model.get_metrics_result()
