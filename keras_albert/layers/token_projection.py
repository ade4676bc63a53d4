"""TokenProjection: from the token table's width to the encoder's, without a bias."""

import keras
from keras import ops

from keras_albert.layers import initializers


@keras.saving.register_keras_serializable(package="keras_albert")
class TokenProjection(keras.Layer):
    """A bias-free dense layer, and its kernel for a head that is tied to it.

    Weights: `<name>/kernel` [input_dim, output_dim].

    Args:
        output_dim: Width of the result.
        kernel_initializer: Truncated normal 0.02 by default.

    Call arguments:
        x: [..., input_dim].
        kernel_only: Return the kernel and multiply nothing.

    Returns:
        [..., output_dim]; with `kernel_only` [input_dim, output_dim], which a functional model
        passes to `MaskedLMHead`.

    References:
        brightmart/albert_zh modeling.py `embedding_lookup_factorized`.

    Example:
    ```python
    projection = keras_albert.layers.TokenProjection(output_dim=16)
    x = np.ones((2, 3, 8), "float32")
    wide = projection(x)  # [2, 3, 16]
    kernel = projection(x, kernel_only=True)  # [8, 16]
    ```
    """

    def __init__(self, output_dim, kernel_initializer=None, **kwargs):
        super().__init__(**kwargs)
        self.output_dim = output_dim
        self.kernel_initializer = initializers.get(kernel_initializer)
        self.supports_masking = True

    def build(self, input_shape):
        self.kernel = self.add_weight(
            shape=(input_shape[-1], self.output_dim),
            initializer=self.kernel_initializer,
            name="kernel",
        )

    def call(self, x, kernel_only=False):
        if kernel_only:
            return ops.cast(self.kernel, self.compute_dtype)
        return ops.matmul(x, self.kernel)

    def compute_output_shape(self, input_shape):
        return (*input_shape[:-1], self.output_dim)

    def compute_output_spec(self, x, kernel_only=False):
        leading = (x.shape[-1],) if kernel_only else x.shape[:-1]
        return keras.KerasTensor((*leading, self.output_dim), dtype=self.compute_dtype)

    def get_config(self):
        return super().get_config() | {
            "output_dim": self.output_dim,
            "kernel_initializer": keras.initializers.serialize(self.kernel_initializer),
        }
