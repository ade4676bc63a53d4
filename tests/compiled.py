"""Models and losses compiled as a whole by XLA, on the backend that Keras runs on."""

from functools import cache

import keras
import numpy as np

BACKEND = keras.backend.backend()


def call_compiled(model, inputs):
    """The outputs of `model(inputs)` from one compiled computation."""
    return _compiled(model)(*_state(model), inputs)


def loss_and_gradients_compiled(model, inputs, loss):
    """The loss of the outputs and one gradient a trainable variable, on JAX."""
    import jax

    def run(trainable, fixed, given):
        return loss(model.stateless_call(trainable, fixed, given)[0])

    value, gradients = jax.jit(jax.value_and_grad(run))(*_state(model), inputs)
    return float(value), [np.asarray(gradient) for gradient in gradients]


@cache
def _compiled(model):
    if BACKEND == "jax":
        import jax

        return jax.jit(lambda *arguments: model.stateless_call(*arguments)[0])
    import tensorflow as tf

    return tf.function(lambda *arguments: model(arguments[-1]), jit_compile=True)


def _state(model):
    """The variables as arguments: as constants JAX would fold them into the computation."""
    if BACKEND != "jax":
        return ()
    return tuple(
        [variable.value for variable in variables]
        for variables in (model.trainable_variables, model.non_trainable_variables)
    )
