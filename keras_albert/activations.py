"""Activations by name, as BERT and ALBERT compute them."""

from collections.abc import Callable
from typing import Any

import keras
from keras import ops

from keras_albert.errors import InputError


@keras.saving.register_keras_serializable(package="keras_albert")
def gelu(x: Any) -> Any:
    """`x * Phi(x)`, Phi the normal distribution function: the exact GELU, by erf.

    Google's checkpoints do not use it; Hugging Face's "gelu" does.

    References:
        Hendrycks & Gimpel 2016, "Gaussian Error Linear Units", section 2.

    Example:
    ```python
    keras_albert.activations.gelu(keras.ops.array([-1.0, 0.0, 1.0]))  # [-0.1587, 0.0, 0.8413]
    ```
    """
    return ops.gelu(x, approximate=False)


@keras.saving.register_keras_serializable(package="keras_albert")
def gelu_tanh(x: Any) -> Any:
    """`0.5 x (1 + tanh(sqrt(2 / pi) (x + 0.044715 x^3)))`: what Google's files call "gelu".

    References:
        Hendrycks & Gimpel 2016, section 2; google-research/bert and google-research/albert
        modeling.py `gelu`.

    Example:
    ```python
    keras_albert.activations.gelu_tanh(keras.ops.array([-1.0, 0.0, 1.0]))  # [-0.1588, 0.0, 0.8412]
    ```
    """
    # Written out with ops, the formula takes 1.00 of this time on TensorFlow's CPU forward and
    # 1.00 with the gradient ([1024, 3072]); TensorFlow can fuse this one with a dense layer.
    return ops.gelu(x, approximate=True)


@keras.saving.register_keras_serializable(package="keras_albert")
def relu(x: Any) -> Any:
    """`max(x, 0)`."""
    return ops.relu(x)


@keras.saving.register_keras_serializable(package="keras_albert")
def tanh(x: Any) -> Any:
    """The hyperbolic tangent."""
    return ops.tanh(x)


@keras.saving.register_keras_serializable(package="keras_albert")
def linear(x: Any) -> Any:
    """`x` itself."""
    return x


_BY_NAME: dict[str, Callable[[Any], Any]] = {
    "gelu_tanh": gelu_tanh,
    "gelu": gelu,
    "relu": relu,
    "tanh": tanh,
    "linear": linear,
}


def get(activation: Any) -> Callable[[Any], Any]:
    """The function for a name, for what `serialize` returned, or the function itself.

    Args:
        activation: `"gelu_tanh"`, `"gelu"` (erf), `"relu"`, `"tanh"`, `"linear"`, a function of
            one tensor, or a serialized registered function.

    Raises:
        InputError: Any other value.

    Example:
    ```python
    assert keras_albert.activations.get("relu") is keras_albert.activations.relu
    ```
    """
    if isinstance(activation, str) and activation in _BY_NAME:
        return _BY_NAME[activation]
    if isinstance(activation, dict):
        activation = keras.saving.deserialize_keras_object(activation)
    if callable(activation):
        return activation
    raise InputError(
        f"activation must be a function or one of {tuple(_BY_NAME)}. "
        f"Received: activation={activation!r}"
    )


def serialize(activation: Callable[[Any], Any]) -> Any:
    """What `get` makes the same function of: its name here, or Keras' serialized form."""
    for name, function in _BY_NAME.items():
        if function is activation:
            return name
    return keras.saving.serialize_keras_object(activation)
