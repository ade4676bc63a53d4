"""Heads that give logits for a sequence or for each of its tokens."""

from typing import Any

import keras
from keras import layers as keras_layers

from keras_albert.config import EncoderConfig
from keras_albert.encoders import build_encoder
from keras_albert.layers.dropout import Dropout
from keras_albert.model import TransformerModel

# Google's fine-tuning code drops 0.1 before its output layers, whatever the configuration says
# (run_classifier.py, classifier_utils.py; race_utils.py by default).
HEAD_DROPOUT = 0.1


def classification(
    config: EncoderConfig, *, num_labels: int = 2, dropout: float = HEAD_DROPOUT, dtype: Any = None
) -> TransformerModel:
    """A label for a text or a pair: `logits` [batch, num_labels], float32.

    Args:
        config: The encoder's configuration.
        num_labels: Number of classes; 1 for regression.
        dropout: Rate on the pooled output.
        dtype: A dtype policy for every layer.

    References:
        google-research/bert run_classifier.py, google-research/albert classifier_utils.py, and,
        for pre-LN albert_zh, brightmart/albert_zh run_classifier.py `create_model`.
    """
    encoder = build_encoder(config, outputs=("pooled_output",), dtype=dtype)
    logits = classify_pooled(config, encoder.output["pooled_output"], num_labels, dropout, dtype)
    return TransformerModel(
        encoder.input,
        {"logits": logits},
        name="classification",
        dtype=dtype,
        encoder_config=config,
        task="classification",
        task_options={"num_labels": num_labels, "dropout": dropout},
    )


def token_classification(
    config: EncoderConfig, *, num_labels: int = 2, dropout: float = HEAD_DROPOUT, dtype: Any = None
) -> TransformerModel:
    """A label for every token: `logits` [batch, length, num_labels], float32.

    Arguments as `classification`. References: Devlin et al. 2018, section 5.3.
    """
    encoder = build_encoder(config, outputs=("sequence_output",), dtype=dtype)
    x = _dropout(dropout, dtype)(encoder.output["sequence_output"])
    return TransformerModel(
        encoder.input,
        {"logits": output_layer(config, num_labels, "classifier")(x)},
        name="token_classification",
        dtype=dtype,
        encoder_config=config,
        task="token_classification",
        task_options={"num_labels": num_labels, "dropout": dropout},
    )


def classify_pooled(
    config: EncoderConfig, x: Any, num_labels: int, dropout: float, dtype: Any
) -> Any:
    """Pooled output [batch, hidden_dim] to logits [batch, num_labels]."""
    if config.norm_position == "pre":
        # The stack of pre-LN blocks ends without a norm; albert_zh's classifier adds one here.
        x = keras_layers.LayerNormalization(
            epsilon=config.layer_norm_epsilon, dtype=dtype, name="pooled_layer_norm"
        )(x)
    x = _dropout(dropout, dtype)(x)
    return output_layer(config, num_labels, "classifier")(x)


def output_layer(config: EncoderConfig, units: int, name: str) -> keras.Layer:
    """The last dense layer of a head; logits are float32 in every policy."""
    return keras_layers.Dense(
        units,
        kernel_initializer=keras.initializers.TruncatedNormal(stddev=config.initializer_range),
        dtype="float32",
        name=name,
    )


def _dropout(rate: float, dtype: Any) -> keras.Layer:
    return Dropout(rate, dtype=dtype, name="classifier_dropout")
