"""Pooler: one vector for a whole sequence."""

import keras

from keras_albert.layers import initializers


@keras.saving.register_keras_serializable(package="keras_albert")
class Pooler(keras.layers.Dense):
    """The first token's vector through a dense layer and tanh.

    Weights: `<name>/kernel` [input_dim, hidden_dim], `<name>/bias` [hidden_dim].

    Args:
        hidden_dim: Width of the result.
        kernel_initializer: Truncated normal 0.02 by default.

    Call arguments:
        x: [batch, length, input_dim].

    Returns:
        [batch, hidden_dim].

    References:
        google-research/bert modeling.py `BertModel`, scope "pooler".

    Example:
    ```python
    pooled = keras_albert.layers.Pooler(hidden_dim=8)(np.ones((2, 3, 8), "float32"))  # [2, 8]
    ```
    """

    def __init__(self, hidden_dim, kernel_initializer=None, **kwargs):
        kernel_initializer = initializers.get(kernel_initializer)
        super().__init__(
            hidden_dim, activation="tanh", kernel_initializer=kernel_initializer, **kwargs
        )
        self.hidden_dim = hidden_dim

    def call(self, x, training=None):
        return super().call(x[:, 0], training=training)

    def compute_output_shape(self, input_shape):
        return (input_shape[0], self.hidden_dim)

    def compute_mask(self, inputs, previous_mask=None):
        """None: the result has no positions left to mask."""

    def get_config(self):
        config = super().get_config()
        del config["units"], config["activation"]
        return config | {"hidden_dim": self.hidden_dim}
