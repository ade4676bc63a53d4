"""Heads of pre-training: masked tokens, and the relation of two sentences."""

from typing import Any

import keras

from keras_albert import activations, layers
from keras_albert.config import EncoderConfig
from keras_albert.encoders import build_encoder
from keras_albert.heads.classification import output_layer
from keras_albert.model import TransformerModel


def pretraining(config: EncoderConfig, *, dtype: Any = None) -> TransformerModel:
    """Masked tokens and next-sentence (BERT) or sentence-order (ALBERT) prediction.

    Returns:
        A model with the further input `masked_positions` [batch, predictions] and the outputs
        `mlm_logits` [batch, predictions, vocab_size] and `sentence_relation_logits` [batch, 2],
        float32.

    References:
        run_pretraining.py `get_masked_lm_output` with `get_next_sentence_output` (BERT) or
        `get_sentence_order_output` (ALBERT).
    """
    encoder = build_encoder(config, outputs=("sequence_output", "pooled_output"), dtype=dtype)
    inputs = encoder.input | _masked_positions()
    relation = output_layer(config, 2, "sentence_relation")(encoder.output["pooled_output"])
    return TransformerModel(
        inputs,
        {
            "mlm_logits": _masked_lm_logits(config, encoder, inputs, dtype),
            "sentence_relation_logits": relation,
        },
        name="pretraining",
        dtype=dtype,
        encoder_config=config,
        task="pretraining",
    )


def masked_lm(config: EncoderConfig, *, dtype: Any = None) -> TransformerModel:
    """Masked tokens alone; without `masked_positions` every position is predicted.

    Returns:
        A model with the output `mlm_logits` [batch, predictions, vocab_size], float32.
    """
    encoder = build_encoder(config, outputs=("sequence_output",), dtype=dtype)
    inputs = encoder.input | _masked_positions()
    return TransformerModel(
        inputs,
        {"mlm_logits": _masked_lm_logits(config, encoder, inputs, dtype)},
        name="masked_lm",
        dtype=dtype,
        encoder_config=config,
        task="masked_lm",
    )


def _masked_positions() -> dict[str, Any]:
    return {"masked_positions": keras.Input((None,), dtype="int32", name="masked_positions")}


def _masked_lm_logits(
    config: EncoderConfig, encoder: TransformerModel, inputs: dict[str, Any], dtype: Any
) -> Any:
    """The head shares the token table, and albert_zh's projection, through the graph."""
    token_ids = inputs["token_ids"]
    token_embedding = encoder.get_layer("token_embedding")
    tied = {"table": token_embedding(token_ids, table_only=True)}
    if config.family == "albert_zh":
        projection = encoder.get_layer("token_projection")
        tied["projection"] = projection(tied["table"], kernel_only=True)
    return layers.MaskedLMHead(
        activation=activations.get(config.activation),
        layer_norm_epsilon=config.layer_norm_epsilon,
        kernel_initializer=keras.initializers.TruncatedNormal(stddev=config.initializer_range),
        dtype=dtype,
        name="masked_lm",
    )(
        encoder.output["sequence_output"],
        masked_positions=inputs["masked_positions"],
        **tied,
    )
