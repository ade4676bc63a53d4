"""LearnedPositionEmbedding: a trained vector for every position."""

import keras
import numpy as np
from keras import ops

from keras_albert.layers.id_check import check_ids
from keras_albert.layers.table import Table


@keras.saving.register_keras_serializable(package="keras_albert")
class LearnedPositionEmbedding(Table):
    """A trained vector for every position of a sequence, to be added to the tokens'.

    Weights: `<name>/embeddings` [max_length, embedding_dim].

    Args:
        max_length: Number of positions.
        embedding_dim: Width of a vector.
        embeddings_initializer: Of the table; truncated normal 0.02 by default.

    Call arguments:
        x: [batch, length, ...]; only its length is read.
        start: Position of the first column of `x`, an integer or an integer scalar tensor.

    Returns:
        [length, embedding_dim], the vectors of the positions start to start + length: `x + ...`
        broadcasts them over the batch.

    Raises:
        InputError: A position beyond `max_length`, where length and start are known; a TensorFlow
            graph without XLA raises `tf.errors.InvalidArgumentError` when it runs.

    References:
        google-research/bert modeling.py `embedding_postprocessor`.

    Example:
    ```python
    positions = keras_albert.layers.LearnedPositionEmbedding(max_length=512, embedding_dim=8)
    x = np.ones((2, 3, 8), "float32")
    y = x + positions(x)  # [2, 3, 8]
    ```
    """

    def __init__(self, max_length, embedding_dim, embeddings_initializer=None, **kwargs):
        super().__init__(max_length, embedding_dim, embeddings_initializer, **kwargs)
        self.max_length = max_length

    def call(self, x, start=0):
        length = ops.shape(x)[1]
        start = self._check(start, length)
        table = ops.cast(self.embeddings, self.compute_dtype)
        return ops.slice(table, (start, 0), (length, self.embedding_dim))

    def _check(self, start, length):
        """`start`, once start and start + length - 1 are known to be positions."""
        rule = f"A sequence has at most max_length={self.max_length} positions, counted from 0"
        # Python integers become no tensor, so that a trace raises at once.
        static = isinstance(start, int) and isinstance(length, int)
        ends = (np.array if static else ops.stack)([start, start + length - 1])
        return check_ids(ends, self.max_length, rule, "position")[0]

    def compute_output_spec(self, x, start=0):
        length = x.shape[1]
        if isinstance(start, int) and length is not None:
            self._check(start, length)
        return keras.KerasTensor((length, self.embedding_dim), dtype=self.compute_dtype)

    def compute_output_shape(self, x_shape):
        return (x_shape[1], self.embedding_dim)

    def compute_mask(self, x, previous_mask=None):
        """None: the rows belong to no batch entry."""

    def get_config(self):
        return super().get_config() | {"max_length": self.max_length}
