"""MaskedLMHead: scores of every token at masked positions."""

import keras
from keras import ops

from keras_albert import activations
from keras_albert.layers import initializers, sublayers
from keras_albert.layers.id_check import check_ids


@keras.saving.register_keras_serializable(package="keras_albert")
class MaskedLMHead(keras.Layer):
    """Dense, activation, LayerNorm, then a product with the token table that the head is tied to.

    Weights: `<name>/transform/kernel` [hidden_dim, transform_dim] and `bias`,
    `<name>/layer_norm/gamma` and `beta`, `<name>/bias` [vocab_size].

    Args:
        activation: A function, or a name `activations.get` knows.
        layer_norm_epsilon: Of the norm.
        transform_dim: Width of the dense layer; where it is not given, the width that the
            product needs: the projection's output where there is one, else the table's.
        kernel_initializer: Of the dense layer; truncated normal 0.02 by default.

    Call arguments:
        sequence_output: [batch, length, hidden_dim].
        table: [vocab_size, embedding_dim], from `TokenEmbedding(...)(ids, table_only=True)`.
        masked_positions: Integers [batch, predictions], 0 <= position < length; every position
            where it is not given.
        projection: [embedding_dim, transform_dim], from `TokenProjection(...)(x,
            kernel_only=True)`: goes between the transform and the table (albert_zh).

    Returns:
        Logits [batch, predictions, vocab_size], float32 in every dtype policy.

    Raises:
        InputError: A position outside the sequence, in an eager call; see `TokenEmbedding`.

    References:
        google-research/bert and google-research/albert run_pretraining.py, brightmart/albert_zh
        run_pretraining.py: `get_masked_lm_output`.

    Example:
    ```python
    embedding = keras_albert.layers.TokenEmbedding(vocab_size=100, embedding_dim=8)
    token_ids = np.array([[2, 7, 3]])
    head = keras_albert.layers.MaskedLMHead()
    logits = head(embedding(token_ids), embedding(token_ids, table_only=True))  # [1, 3, 100]
    ```
    """

    def __init__(
        self,
        activation="gelu_tanh",
        layer_norm_epsilon=1e-12,
        transform_dim=None,
        kernel_initializer=None,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.activation = activations.get(activation)
        self.layer_norm_epsilon = layer_norm_epsilon
        self.transform_dim = transform_dim
        self.kernel_initializer = initializers.get(kernel_initializer)
        self.supports_masking = True

    def build(
        self,
        sequence_output_shape,
        table_shape,
        masked_positions_shape=None,
        projection_shape=None,
    ):
        width = self.transform_dim or (projection_shape or table_shape)[-1]
        self.transform_dense = sublayers.dense(
            "transform",
            width,
            sequence_output_shape,
            kernel_initializer=self.kernel_initializer,
            dtype=self.dtype_policy,
        )
        self.layer_norm = sublayers.layer_norm(
            "layer_norm",
            (*sequence_output_shape[:-1], width),
            epsilon=self.layer_norm_epsilon,
            dtype=self.dtype_policy,
        )
        self.bias = self.add_weight(
            shape=(table_shape[0],), initializer="zeros", name="bias", autocast=False
        )

    def call(self, sequence_output, table, masked_positions=None, projection=None):
        x = sequence_output
        if masked_positions is not None:
            x = _gather_positions(x, masked_positions)
        x = self.layer_norm(self.activation(self.transform_dense(x)))
        if projection is not None:
            x = ops.matmul(x, ops.transpose(projection))
        logits = ops.matmul(x, ops.transpose(table))
        return ops.cast(logits, "float32") + ops.cast(self.bias, "float32")

    def compute_output_shape(
        self,
        sequence_output_shape,
        table_shape,
        masked_positions_shape=None,
        projection_shape=None,
    ):
        return (*(masked_positions_shape or sequence_output_shape[:2]), table_shape[0])

    def compute_output_spec(self, sequence_output, table, masked_positions=None, projection=None):
        rows = sequence_output if masked_positions is None else masked_positions
        return keras.KerasTensor((*rows.shape[:2], table.shape[0]), dtype="float32")

    def compute_mask(self, sequence_output, previous_mask=None):
        """None: the predictions are other positions than the sequence's."""

    def get_config(self):
        return super().get_config() | {
            "activation": activations.serialize(self.activation),
            "layer_norm_epsilon": self.layer_norm_epsilon,
            "transform_dim": self.transform_dim,
            "kernel_initializer": keras.initializers.serialize(self.kernel_initializer),
        }


def _gather_positions(x, positions):
    """Rows [batch, predictions, width] of x [batch, length, width]."""
    length = ops.shape(x)[1]
    rule = f"Masked positions must be at least 0 and below the sequence's length={x.shape[1]}"
    positions = check_ids(ops.cast(positions, "int32"), length, rule, "masked_position")
    # One gather from all rows of the batch, as Google's gather_indexes: cheaper than along an axis.
    rows = ops.arange(ops.shape(x)[0], dtype="int32")[:, None] * length + positions
    return ops.take(ops.reshape(x, (-1, x.shape[-1])), rows, axis=0)
