"""The values of a model's variables, wherever they are."""

from typing import Any

import keras
import numpy as np


def value_of(variable: Any) -> np.ndarray:
    """A Keras variable's value; of one that each replica has a part of, the sum."""
    value = variable.value
    return np.asarray(value.numpy() if hasattr(value, "numpy") else value)


def sync(model: Any) -> None:
    """Lets the model's variables have their values, which JAX holds elsewhere during fit."""
    if keras.backend.backend() == "jax":
        model.jax_state_sync()
