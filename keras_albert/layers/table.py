"""What the embedding layers have in common: one table, `<name>/embeddings`."""

from typing import Any

import keras
import numpy as np
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

    def check(self, ids: Any, rule: str, name: str) -> Any:
        """`ids` as int32, checked by `check_ids`."""
        ids = check_ids(ops.convert_to_tensor(ids), self.rows, rule, name)
        return ops.cast(ids, "int32")

    def save_own_variables(self, store):
        # A view, of which Keras makes one copy on the way to the file; of a variable it makes two,
        # and a table is a model's largest.
        store["0"] = np.asarray(ops.stop_gradient(ops.convert_to_tensor(self.embeddings)))

    def compute_output_shape(self, input_shape):
        return (*input_shape, self.embedding_dim)

    def get_config(self):
        return super().get_config() | {
            "embedding_dim": self.embedding_dim,
            "embeddings_initializer": keras.initializers.serialize(self.embeddings_initializer),
        }
