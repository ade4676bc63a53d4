"""TransformerEncoderBlock: self-attention and feed-forward part, each with residual and norm."""

import keras

from keras_albert.layers.block import TransformerBlock
from keras_albert.layers.masks import attached_mask


@keras.saving.register_keras_serializable(package="keras_albert")
class TransformerEncoderBlock(TransformerBlock):
    """One layer of a Transformer encoder; called several times, it shares its weights.

    Post-LN (the papers): `x1 = LN1(x + attention(x)); y = LN2(x1 + ffn(x1))`.
    Pre-LN: `x1 = x + attention(LN1(x)); y = x1 + ffn(LN2(x1))`.

    Weights: `<name>/attention/...` (see `MultiHeadAttention`), `<name>/attention_layer_norm/gamma`
    and `beta`, `<name>/intermediate/kernel` [hidden_dim, intermediate_dim] and `bias`,
    `<name>/output/kernel` [intermediate_dim, hidden_dim] and `bias`,
    `<name>/output_layer_norm/gamma` and `beta`.

    Args:
        num_heads: Attention heads; divides the input's width.
        intermediate_dim: Width of the feed-forward part.
        activation: Of the feed-forward part: a function, or a name `activations.get` knows.
        dropout: Rate on the outputs of attention and feed-forward part, in training.
        attention_dropout: Rate on the attention probabilities, in training.
        norm_position: `"post"` or `"pre"`.
        layer_norm_epsilon: Of both norms.
        kernel_initializer: Of all kernels; truncated normal 0.02 by default.

    Call arguments:
        x: [batch, length, hidden_dim].
        mask: [batch, length] or [batch, queries, length], 1 or True for keys to attend to. Where
            it is not given, the mask that Keras attached to `x`.
        queries: [batch, queries, hidden_dim], rows of `x`: only these are computed, with keys and
            values from the whole of `x`. All rows where it is not given.
        return_scores: Return the attention probabilities too.
        training: Whether dropout is on.

    Returns:
        [batch, queries, hidden_dim]; with `return_scores` also the softmax probabilities before
        dropout, [batch, num_heads, queries, length].

    References:
        Vaswani et al. 2017, section 3.1; google-research/bert modeling.py `transformer_model`;
        pre-LN: brightmart/albert_zh modeling.py `prelln_transformer_model`.

    Example:
    ```python
    block = keras_albert.layers.TransformerEncoderBlock(num_heads=2, intermediate_dim=32)
    x = np.ones((1, 3, 8), "float32")
    y = block(x, mask=np.array([[1, 1, 0]]))  # [1, 3, 8]
    first = block(x, queries=x[:, :1])  # [1, 1, 8]
    ```
    """

    def build(self, x_shape, queries_shape=None):
        self.attention = self._attention("attention", x_shape, x_shape)
        self.attention_layer_norm = self._layer_norm("attention_layer_norm", x_shape)
        self._build_feed_forward(x_shape)

    def call(self, x, mask=None, queries=None, return_scores=False, training=None):
        mask = attached_mask(x) if mask is None else mask
        rows = x if queries is None else queries
        query, value = rows, x
        if self.norm_position == "pre":
            value = self.attention_layer_norm(x)
            query = value if queries is None else self.attention_layer_norm(queries)
        attended, scores = self.attention(
            query, value, mask=mask, return_scores=True, training=training
        )
        y = rows + self.dropout_layer(attended, training=training)
        if self.norm_position == "post":
            y = self.attention_layer_norm(y)
        y = self._add_feed_forward(y, training)
        return (y, scores) if return_scores else y

    def compute_output_shape(self, x_shape, queries_shape=None):
        return queries_shape or x_shape

    def compute_output_spec(self, x, mask=None, queries=None, return_scores=False, training=None):
        rows = x if queries is None else queries
        y = keras.KerasTensor(rows.shape, dtype=self.compute_dtype)
        if not return_scores:
            return y
        shape = (rows.shape[0], self.num_heads, rows.shape[1], x.shape[1])
        return y, keras.KerasTensor(shape, dtype=self.compute_dtype)
