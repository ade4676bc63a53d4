"""Multiple choice: one text of several is the right one."""

from typing import Any

import keras
from keras import ops

from keras_albert.config import EncoderConfig
from keras_albert.encoders import encode, symbolic_inputs
from keras_albert.heads.classification import HEAD_DROPOUT, classify_pooled
from keras_albert.model import TransformerModel


def multiple_choice(
    config: EncoderConfig, *, dropout: float = HEAD_DROPOUT, dtype: Any = None
) -> TransformerModel:
    """Scores of the choices: inputs [batch, choices, length], `logits` [batch, choices], float32.

    References:
        google-research/albert race_utils.py `create_model`.
    """
    inputs = symbolic_inputs(shape=(None, None))
    flat = {
        name: FlattenChoices(name=f"flat_{name}", dtype=dtype)(value)
        for name, value in inputs.items()
    }
    encoded = encode(config, inputs=flat, outputs=("pooled_output",), dtype=dtype)
    scores = classify_pooled(config, encoded["pooled_output"], 1, dropout, dtype)
    logits = UnflattenChoices(name="choices", dtype="float32")(scores, inputs["token_ids"])
    return TransformerModel(
        inputs,
        {"logits": logits},
        name="multiple_choice",
        dtype=dtype,
        encoder_config=config,
        task="multiple_choice",
        task_options={"dropout": dropout},
    )


@keras.saving.register_keras_serializable(package="keras_albert")
class FlattenChoices(keras.Layer):
    """[batch, choices, length] to [batch * choices, length], so that one encoder reads them."""

    def call(self, inputs):
        return ops.reshape(inputs, (-1, ops.shape(inputs)[2]))

    def compute_output_spec(self, inputs):
        return keras.KerasTensor((None, inputs.shape[2]), dtype=inputs.dtype)


@keras.saving.register_keras_serializable(package="keras_albert")
class UnflattenChoices(keras.Layer):
    """Scores [batch * choices, 1] to [batch, choices], sizes taken from a [batch, choices, …]."""

    def call(self, scores, like):
        return ops.reshape(scores, ops.shape(like)[:2])

    def compute_output_spec(self, scores, like):
        return keras.KerasTensor(like.shape[:2], dtype=self.compute_dtype)
