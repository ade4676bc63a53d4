"""TransformerDecoderBlock: causal self-attention, attention to the encoder, feed-forward part."""

import keras

from keras_albert.layers.block import TransformerBlock
from keras_albert.layers.masks import attached_mask


@keras.saving.register_keras_serializable(package="keras_albert")
class TransformerDecoderBlock(TransformerBlock):
    """One layer of a Transformer decoder: row i sees rows 0 to i of itself, and all the encoder's.

    Post-LN (the paper): `x1 = LN(x + self_attention(x)); x2 = LN(x1 + cross_attention(x1,
    encoder_output)); y = LN(x2 + ffn(x2))`. Pre-LN: each part reads the norm of its input, and
    nothing is normalised after it.

    Weights: `<name>/self_attention/...` and `<name>/cross_attention/...` (see
    `MultiHeadAttention`), `<name>/self_attention_layer_norm`, `<name>/cross_attention_layer_norm`,
    `<name>/intermediate`, `<name>/output`, `<name>/output_layer_norm` as in
    `TransformerEncoderBlock`.

    Args:
        num_heads: Heads of both attentions; divides the input's width.
        intermediate_dim: Width of the feed-forward part.
        activation: Of the feed-forward part: a function, or a name `activations.get` knows.
        dropout: Rate on the output of each of the three parts, in training.
        attention_dropout: Rate on the attention probabilities, in training.
        norm_position: `"post"` or `"pre"`.
        layer_norm_epsilon: Of the three norms.
        kernel_initializer: Of all kernels; truncated normal 0.02 by default.

    Call arguments:
        x: [batch, length, hidden_dim].
        encoder_output: [batch, encoder_length, encoder_dim].
        mask: [batch, length] or [batch, length, length], 1 or True for the keys of `x` to attend
            to, besides causality. Where it is not given, the mask that Keras attached to `x`.
        encoder_mask: [batch, encoder_length] or [batch, length, encoder_length], the same for
            `encoder_output`.
        return_scores: Return the attention probabilities too.
        training: Whether dropout is on.

    Returns:
        [batch, length, hidden_dim]; with `return_scores` also the softmax probabilities before
        dropout of both attentions, [batch, num_heads, length, length] and
        [batch, num_heads, length, encoder_length].

    References:
        Vaswani et al. 2017, section 3.1 and figure 1.

    Example:
    ```python
    block = keras_albert.layers.TransformerDecoderBlock(num_heads=2, intermediate_dim=32)
    x, encoder_output = np.ones((1, 3, 8), "float32"), np.ones((1, 5, 8), "float32")
    y = block(x, encoder_output)  # [1, 3, 8]
    ```
    """

    def build(self, x_shape, encoder_output_shape):
        self.self_attention = self._attention("self_attention", x_shape, x_shape)
        self.self_attention_layer_norm = self._layer_norm("self_attention_layer_norm", x_shape)
        self.cross_attention = self._attention("cross_attention", x_shape, encoder_output_shape)
        self.cross_attention_layer_norm = self._layer_norm("cross_attention_layer_norm", x_shape)
        self._build_feed_forward(x_shape)

    def call(
        self,
        x,
        encoder_output,
        mask=None,
        encoder_mask=None,
        return_scores=False,
        training=None,
    ):
        mask = attached_mask(x) if mask is None else mask
        encoder_mask = attached_mask(encoder_output) if encoder_mask is None else encoder_mask
        pre = self.norm_position == "pre"

        query = self.self_attention_layer_norm(x) if pre else x
        attended, self_scores = self.self_attention(
            query, mask=mask, causal=True, return_scores=True, training=training
        )
        y = x + self.dropout_layer(attended, training=training)
        y = y if pre else self.self_attention_layer_norm(y)

        query = self.cross_attention_layer_norm(y) if pre else y
        attended, cross_scores = self.cross_attention(
            query, encoder_output, mask=encoder_mask, return_scores=True, training=training
        )
        y = y + self.dropout_layer(attended, training=training)
        y = y if pre else self.cross_attention_layer_norm(y)

        y = self._add_feed_forward(y, training)
        return (y, self_scores, cross_scores) if return_scores else y

    def compute_output_shape(self, x_shape, encoder_output_shape):
        return x_shape

    def compute_output_spec(
        self,
        x,
        encoder_output,
        mask=None,
        encoder_mask=None,
        return_scores=False,
        training=None,
    ):
        y = keras.KerasTensor(x.shape, dtype=self.compute_dtype)
        if not return_scores:
            return y
        batch, length = x.shape[:2]
        scores = [
            keras.KerasTensor((batch, self.num_heads, length, keys), dtype=self.compute_dtype)
            for keys in (length, encoder_output.shape[1])
        ]
        return (y, *scores)
