"""MultiHeadAttention: scaled dot-product attention by several heads."""

import math

import keras
from keras import ops

from keras_albert.errors import InputError
from keras_albert.layers import initializers, sublayers
from keras_albert.layers.dropout import Dropout
from keras_albert.layers.masks import attached_mask, check_mask_shape, score_adder


@keras.saving.register_keras_serializable(package="keras_albert")
class MultiHeadAttention(keras.Layer):
    """softmax(Q K^T / sqrt(head_dim) + mask) V, by heads, between dense layers.

    Scores and softmax are float32 in every dtype policy. A masked key gets -10000 added to its
    score, so that a row whose keys are all masked attends as without a mask.

    Weights: `kernel` and `bias` of `<name>/query`, `<name>/key`, `<name>/value`
    [input_dim, num_heads * head_dim] and of `<name>/output` [num_heads * head_dim, output_dim].

    Args:
        num_heads: Number of heads.
        head_dim: Width of a head; the query's width / num_heads where it is not given.
        output_dim: Width of the result; the query's width where it is not given.
        dropout: Rate on the attention probabilities, in training.
        kernel_initializer: Of the four kernels; truncated normal 0.02 by default.
        bias_initializer: Of the four biases.

    Call arguments:
        query: [batch, from, query_dim].
        value: [batch, to, value_dim]; `query` where it is not given.
        key: [batch, to, key_dim]; `value` where it is not given.
        mask: [batch, to] or [batch, from, to], 1 or True where to attend. Where it is not given,
            the mask that Keras attached to `value`.
        causal: Query i attends to the keys 0 to i alone.
        return_scores: Return the attention probabilities too.
        training: Whether dropout is on.

    Returns:
        [batch, from, output_dim]; with `return_scores` also the softmax probabilities before
        dropout, [batch, num_heads, from, to].

    Raises:
        InputError: A mask of another shape; a width that `num_heads` does not divide.

    References:
        Vaswani et al. 2017, section 3.2; google-research/bert modeling.py `attention_layer`.

    Example:
    ```python
    attention = keras_albert.layers.MultiHeadAttention(num_heads=2)
    x = np.ones((1, 3, 8), "float32")
    y, scores = attention(x, mask=np.array([[1, 1, 0]]), return_scores=True)
    assert y.shape == (1, 3, 8) and scores.shape == (1, 2, 3, 3)
    ```
    """

    def __init__(
        self,
        num_heads,
        head_dim=None,
        output_dim=None,
        dropout=0.0,
        kernel_initializer=None,
        bias_initializer="zeros",
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.num_heads = num_heads
        self.head_dim = head_dim
        self.output_dim = output_dim
        self.dropout = dropout
        self.kernel_initializer = initializers.get(kernel_initializer)
        self.bias_initializer = initializers.get(bias_initializer)
        self.supports_masking = True
        self.dropout_layer = Dropout(dropout, dtype=self.dtype_policy, name="dropout")

    def build(self, query_shape, value_shape=None, key_shape=None):
        value_shape = value_shape or query_shape
        key_shape = key_shape or value_shape
        self._head_dim = self.head_dim or self._head_dim_from(query_shape[-1])
        width = self.num_heads * self._head_dim
        self.query_dense = self._dense("query", width, query_shape)
        self.key_dense = self._dense("key", width, key_shape)
        self.value_dense = self._dense("value", width, value_shape)
        # `output` is taken: every Keras layer has a property of that name.
        self.output_dense = self._dense(
            "output", self.output_dim or query_shape[-1], (*query_shape[:-1], width)
        )

    def _head_dim_from(self, width):
        if width % self.num_heads:
            raise InputError(
                "The query's width must be a multiple of num_heads where head_dim is not given. "
                f"Received: width={width}, num_heads={self.num_heads}"
            )
        return width // self.num_heads

    def _dense(self, name, units, input_shape):
        return sublayers.dense(
            name,
            units,
            input_shape,
            kernel_initializer=self.kernel_initializer,
            bias_initializer=self.bias_initializer,
            dtype=self.dtype_policy,
        )

    def call(
        self,
        query,
        value=None,
        key=None,
        mask=None,
        causal=False,
        return_scores=False,
        training=None,
    ):
        value = query if value is None else value
        key = value if key is None else key
        mask = attached_mask(value) if mask is None else mask
        adder = score_adder(mask, causal, ops.shape(query)[1], ops.shape(key)[1])

        # Transposes and matrix products take 0.95 of einsum's time on TensorFlow's CPU and 0.72 of
        # ops.dot_product_attention's (forward and backward, [8, 128, 12, 64]).
        q = self._split_heads(self._scale(self.query_dense(query)), (0, 2, 1, 3))
        k = self._split_heads(self.key_dense(key), (0, 2, 3, 1))
        v = self._split_heads(self.value_dense(value), (0, 2, 1, 3))
        scores = ops.cast(ops.matmul(q, k), "float32")
        if adder is not None:
            scores = scores + adder
        scores = ops.cast(self._softmax(scores), self.compute_dtype)
        context = ops.matmul(self.dropout_layer(scores, training=training), v)
        y = self.output_dense(self._join_heads(context))
        return (y, scores) if return_scores else y

    def _softmax(self, scores):
        # A single key gets all the attention; Keras' softmax would warn of an axis of one.
        return ops.ones_like(scores) if scores.shape[-1] == 1 else ops.softmax(scores, axis=-1)

    def _scale(self, query):
        # Before the product: half precision could not hold the scores without it.
        return query * (1.0 / math.sqrt(self._head_dim))

    def _split_heads(self, x, axes):
        """[batch, length, heads * head_dim] as [batch, length, heads, head_dim], transposed."""
        x = ops.reshape(x, (-1, ops.shape(x)[1], self.num_heads, self._head_dim))
        return ops.transpose(x, axes)

    def _join_heads(self, x):
        """[batch, heads, length, head_dim] to [batch, length, heads * head_dim]."""
        x = ops.transpose(x, (0, 2, 1, 3))
        return ops.reshape(x, (-1, ops.shape(x)[1], self.num_heads * self._head_dim))

    def compute_output_shape(self, query_shape, value_shape=None, key_shape=None):
        return (*query_shape[:-1], self.output_dim or query_shape[-1])

    def compute_output_spec(
        self,
        query,
        value=None,
        key=None,
        mask=None,
        causal=False,
        return_scores=False,
        training=None,
    ):
        value = query if value is None else value
        key = value if key is None else key
        from_length, to_length = query.shape[1], key.shape[1]
        if mask is not None:
            check_mask_shape(mask, from_length, to_length)
        y = keras.KerasTensor(self.compute_output_shape(query.shape), dtype=self.compute_dtype)
        if not return_scores:
            return y
        shape = (query.shape[0], self.num_heads, from_length, to_length)
        return y, keras.KerasTensor(shape, dtype=self.compute_dtype)

    def compute_mask(self, query, previous_mask=None):
        """The mask attached to the query: an attention mask says nothing about the queries."""
        return attached_mask(query)

    def get_config(self):
        return super().get_config() | {
            "num_heads": self.num_heads,
            "head_dim": self.head_dim,
            "output_dim": self.output_dim,
            "dropout": self.dropout,
            "kernel_initializer": keras.initializers.serialize(self.kernel_initializer),
            "bias_initializer": keras.initializers.serialize(self.bias_initializer),
        }
