"""What encoder and decoder blocks have in common: settings, norms, dropout, feed-forward part."""

import keras

from keras_albert import activations
from keras_albert.errors import InputError
from keras_albert.layers import initializers, sublayers
from keras_albert.layers.dropout import Dropout
from keras_albert.layers.masks import attached_mask
from keras_albert.layers.multi_head_attention import MultiHeadAttention


class TransformerBlock(keras.Layer):
    """Base of `TransformerEncoderBlock` and `TransformerDecoderBlock`, which document it."""

    def __init__(
        self,
        num_heads,
        intermediate_dim,
        activation="gelu_tanh",
        dropout=0.1,
        attention_dropout=0.1,
        norm_position="post",
        layer_norm_epsilon=1e-12,
        kernel_initializer=None,
        **kwargs,
    ):
        super().__init__(**kwargs)
        if norm_position not in ("post", "pre"):
            raise InputError(
                f"norm_position must be 'post' or 'pre'. Received: norm_position={norm_position!r}"
            )
        self.num_heads = num_heads
        self.intermediate_dim = intermediate_dim
        self.activation = activations.get(activation)
        self.dropout = dropout
        self.attention_dropout = attention_dropout
        self.norm_position = norm_position
        self.layer_norm_epsilon = layer_norm_epsilon
        self.kernel_initializer = initializers.get(kernel_initializer)
        self.supports_masking = True
        self.dropout_layer = Dropout(dropout, dtype=self.dtype_policy, name="dropout")

    def _attention(self, name, query_shape, value_shape):
        layer = MultiHeadAttention(
            self.num_heads,
            dropout=self.attention_dropout,
            kernel_initializer=initializers.clone(self.kernel_initializer),
            dtype=self.dtype_policy,
            name=name,
        )
        layer.build(query_shape, value_shape)
        return layer

    def _layer_norm(self, name, shape):
        return sublayers.layer_norm(
            name, shape, epsilon=self.layer_norm_epsilon, dtype=self.dtype_policy
        )

    def _dense(self, name, units, input_shape):
        return sublayers.dense(
            name,
            units,
            input_shape,
            kernel_initializer=self.kernel_initializer,
            dtype=self.dtype_policy,
        )

    def _build_feed_forward(self, shape):
        self.intermediate_dense = self._dense("intermediate", self.intermediate_dim, shape)
        inner_shape = (*shape[:-1], self.intermediate_dim)
        self.output_dense = self._dense("output", shape[-1], inner_shape)
        self.output_layer_norm = self._layer_norm("output_layer_norm", shape)

    def _add_feed_forward(self, x, training):
        """Feed-forward part with residual and norm."""
        pre = self.norm_position == "pre"
        hidden = self.output_layer_norm(x) if pre else x
        hidden = self.output_dense(self.activation(self.intermediate_dense(hidden)))
        y = x + self.dropout_layer(hidden, training=training)
        return y if pre else self.output_layer_norm(y)

    def compute_mask(self, x, previous_mask=None):
        """The mask attached to `x`: an attention mask says nothing about the results."""
        return attached_mask(x)

    def get_config(self):
        return super().get_config() | {
            "num_heads": self.num_heads,
            "intermediate_dim": self.intermediate_dim,
            "activation": activations.serialize(self.activation),
            "dropout": self.dropout,
            "attention_dropout": self.attention_dropout,
            "norm_position": self.norm_position,
            "layer_norm_epsilon": self.layer_norm_epsilon,
            "kernel_initializer": keras.initializers.serialize(self.kernel_initializer),
        }
