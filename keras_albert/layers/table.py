"""What the embedding layers have in common: one table, `<name>/embeddings`."""

from typing import Any

import keras
from keras import ops

from keras_albert.layers import initializers
from keras_albert.layers.id_check import check_ids


class Table(keras.Layer):
    """A table of `rows` vectors of width `embedding_dim`, at `<name>/embeddings`."""

    def __init__(self, rows, embedding_dim, embeddings_initializer=None, **kwargs):
        super().__init__(**kwargs)
        self.rows = rows
        self.embedding_dim = embedding_dim
        self.embeddings_initializer = initializers.get(embeddings_initializer)
        self.supports_masking = True

    def build(self, input_shape=None):
        self.embeddings = self.add_weight(
            shape=(self.rows, self.embedding_dim),
            initializer=self.embeddings_initializer,
            name="embeddings",
            # The rows are cast after they are taken: far fewer than there are.
            autocast=False,
        )

    def gather(self, ids: Any, rule: str, name: str) -> Any:
        """Rows of the table at ids of any shape, in the compute dtype, after checking the ids."""
        ids = ops.convert_to_tensor(ids)
        if not keras.backend.is_int_dtype(ids.dtype):
            ids = ops.cast(ids, "int32")
        ids = check_ids(ids, self.rows, rule, name)
        return ops.cast(ops.take(self.embeddings, ids, axis=0), self.compute_dtype)

    def compute_output_shape(self, input_shape):
        return (*input_shape, self.embedding_dim)

    def get_config(self):
        return super().get_config() | {
            "embedding_dim": self.embedding_dim,
            "embeddings_initializer": keras.initializers.serialize(self.embeddings_initializer),
        }
