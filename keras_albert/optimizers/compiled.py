"""The update of a whole model in one pass over memory."""

import math
from typing import Any

import keras

from keras_albert.optimizers.base import BaseOptimizer, dense
from keras_albert.replicas import has_workers

# Below this many weights compiling, about 10 ms a variable, costs more than short runs win back.
WORTH_COMPILING = 1_000_000


class CompiledUpdate(BaseOptimizer):
    """Base of optimizers whose whole update XLA may fuse, in TensorFlow on a CPU.

    Each of an update's fifteen or so operations otherwise reads and writes every weight once. Where
    a GPU, another backend or several replicas of one process run the update, Keras' own way is
    kept. TensorFlow keeps what it compiled until the process ends: some 65 MB for each training of
    a model of 22 million weights.
    """

    compiles = True

    def build(self, variables: list[keras.Variable]) -> None:
        super().build(variables)
        self._compiled_update: Any = None
        self._large = sum(math.prod(v.shape) for v in variables) >= WORTH_COMPILING

    def _backend_update_step(
        self, grads: list[Any], trainable_variables: list[Any], learning_rate: Any
    ) -> None:
        if not (self.compiles and self._large and compilable()):
            super()._backend_update_step(grads, trainable_variables, learning_rate)
            return
        self._update_compiled(grads, trainable_variables, learning_rate)

    def _update_replica(self, gradients: list[Any], variables: list[Any], rate: Any) -> None:
        if self.compiles and self._large and is_one_of_workers():
            self._update_compiled(gradients, variables, rate)
        else:
            super()._update_replica(gradients, variables, rate)

    def _update_compiled(self, grads: list[Any], variables: list[Any], rate: Any) -> None:
        import tensorflow as tf

        if self._compiled_update is None:
            self._compiled_update = tf.function(self._update_all, jit_compile=True, autograph=False)
        # Dense gradients and a plain tensor for the rate: a gathered table's gradient has as many
        # rows as the batch has tokens, and each new shape would be compiled anew.
        self._compiled_update(
            [dense(gradient) for gradient in grads],
            tuple(self._get_variable_index(variable) for variable in variables),
            tf.identity(rate),
        )

    def _update_all(self, gradients: list[Any], indices: tuple[int, ...], rate: Any) -> None:
        for gradient, index in zip(gradients, indices, strict=True):
            self.update_step(gradient, self._trainable_variables[index].value, rate)


def compilable() -> bool:
    """Whether the update runs in TensorFlow, on the CPU, for one replica outside any strategy."""
    if keras.backend.backend() != "tensorflow":
        return False
    import tensorflow as tf

    return not tf.distribute.has_strategy() and not tf.config.get_visible_devices("GPU")


def is_one_of_workers() -> bool:
    """Whether this process is one of several, each with one CPU for all its devices."""
    import tensorflow as tf

    strategy = tf.distribute.get_strategy()
    return (
        has_workers(strategy)
        and len(strategy.extended.worker_devices) == 1
        and not tf.config.get_visible_devices("GPU")
    )
