"""TokenEmbedding: the table of token vectors."""

import keras
from keras import ops

from keras_albert.layers.table import Table


@keras.saving.register_keras_serializable(package="keras_albert")
class TokenEmbedding(Table):
    """A vector for every token, and the table itself for a head that is tied to it.

    Weights: `<name>/embeddings` [vocab_size, embedding_dim].

    Args:
        vocab_size: Number of tokens.
        embedding_dim: Width of a vector.
        embeddings_initializer: Of the table; truncated normal 0.02 by default.

    Call arguments:
        token_ids: Integers [batch, length] (any shape), 0 <= id < vocab_size.
        table_only: Return the table and look nothing up.

    Returns:
        [batch, length, embedding_dim]; with `table_only` [vocab_size, embedding_dim], which a
        functional model passes to `MaskedLMHead`.

    Raises:
        InputError: An id outside the table, in an eager call; a TensorFlow graph without XLA
            raises `tf.errors.InvalidArgumentError` instead. Compiled code cannot raise.

    References:
        google-research/bert modeling.py `embedding_lookup`.

    Example:
    ```python
    embedding = keras_albert.layers.TokenEmbedding(vocab_size=100, embedding_dim=8)
    vectors = embedding(np.array([[2, 7, 3]]))  # [1, 3, 8]
    table = embedding(np.array([[2, 7, 3]]), table_only=True)  # [100, 8]
    ```
    """

    def __init__(self, vocab_size, embedding_dim, embeddings_initializer=None, **kwargs):
        super().__init__(vocab_size, embedding_dim, embeddings_initializer, **kwargs)
        self.vocab_size = vocab_size

    def call(self, token_ids, table_only=False):
        if table_only:
            return ops.cast(self.embeddings, self.compute_dtype)
        rule = f"Token ids must be at least 0 and below vocab_size={self.vocab_size}"
        token_ids = self.check(token_ids, rule, "token_id")
        return ops.cast(ops.take(self.embeddings, token_ids, axis=0), self.compute_dtype)

    def compute_output_spec(self, token_ids, table_only=False):
        shape = (self.vocab_size,) if table_only else token_ids.shape
        return keras.KerasTensor((*shape, self.embedding_dim), dtype=self.compute_dtype)

    def get_config(self):
        return super().get_config() | {"vocab_size": self.vocab_size}
