"""Dropout that every replica draws for itself."""

from typing import Any

import keras
from keras import layers as keras_layers
from keras import ops

from keras_albert.replicas import replica_number


@keras.saving.register_keras_serializable(package="keras_albert")
class Dropout(keras_layers.Dropout):
    """`keras.layers.Dropout`, with masks of its own in each replica of a `tf.distribute` strategy.

    Keras keeps one state of the random numbers in all replicas, so that the i-th row of each would
    lose the same units. On JAX the whole batch is drawn for, wherever its rows lie.

    Args: see `keras.layers.Dropout`.
    """

    def call(self, inputs, training=False):
        if training and self.rate > 0 and (replica := replica_number()) is not None:
            return keras.random.dropout(
                inputs,
                self.rate,
                noise_shape=self.noise_shape,
                seed=_SeedOfReplica(self.seed_generator, replica),
            )
        return super().call(inputs, training=training)


class _SeedOfReplica(keras.random.SeedGenerator):
    """The seeds of a generator, others in every replica."""

    def __init__(self, generator: keras.random.SeedGenerator, replica: Any):
        # A view: without a state of its own.
        self._generator = generator
        self._replica = replica

    def next(self, ordered: bool = True) -> Any:
        seed = self._generator.next(ordered)
        number = ops.cast(self._replica, seed.dtype)
        return seed + ops.stack([number, ops.zeros_like(number)])
