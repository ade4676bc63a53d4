"""Sublayers with their weights already made, so that a layer's `build` creates all of its own."""

from typing import Any

import keras

from keras_albert.layers import initializers


def dense(
    name: str,
    units: int,
    input_shape: tuple[int | None, ...],
    *,
    kernel_initializer: Any,
    dtype: Any,
    bias_initializer: Any = "zeros",
) -> keras.layers.Dense:
    """A built dense layer; the initializer is cloned, so that equal shapes start different."""
    layer = keras.layers.Dense(
        units,
        kernel_initializer=initializers.clone(kernel_initializer),
        bias_initializer=initializers.clone(bias_initializer),
        dtype=dtype,
        name=name,
    )
    layer.build(input_shape)
    return layer


def layer_norm(
    name: str, input_shape: tuple[int | None, ...], *, epsilon: float, dtype: Any
) -> keras.layers.LayerNormalization:
    """A built LayerNorm. Keras' computes Google's formula, in float32 under every policy."""
    layer = keras.layers.LayerNormalization(epsilon=epsilon, dtype=dtype, name=name)
    layer.build(input_shape)
    return layer
