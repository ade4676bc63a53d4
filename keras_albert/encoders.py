"""BERT and ALBERT, assembled from layers: embeddings, blocks in an order, outputs.

The two differ in data, not in code: which blocks exist, the order in which they run
(`EncoderConfig.schedule`), and where the token table's width becomes the encoder's.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import keras
from keras import layers as keras_layers

from keras_albert import activations, layers
from keras_albert.config import EncoderConfig
from keras_albert.errors import InputError
from keras_albert.layers.dropout import Dropout
from keras_albert.layers.initializers import EncoderInitializer
from keras_albert.model import TransformerModel

OUTPUTS = (
    "embedding_output",
    "encoder_outputs",
    "attention_scores",
    "sequence_output",
    "pooled_output",
)
DEFAULT_OUTPUTS = ("sequence_output", "pooled_output")


def bert_encoder(
    config: EncoderConfig,
    *,
    outputs: Sequence[str] = DEFAULT_OUTPUTS,
    dtype: Any = None,
    name: str = "bert_encoder",
) -> TransformerModel:
    """BERT's encoder as a functional Keras model.

    Args:
        config: An `EncoderConfig` of the family `"bert"`.
        outputs: Which outputs to return, of `embedding_output` [batch, length, hidden_dim],
            `encoder_outputs` (a list, one [batch, length, hidden_dim] per block run),
            `attention_scores` (a list, [batch, num_heads, length, length] per block run),
            `sequence_output` [batch, length, hidden_dim] and `pooled_output`
            [batch, hidden_dim].
        dtype: A dtype policy for every layer; the global one where it is not given.
        name: Name of the model.

    Returns:
        A `TransformerModel`: dict in (`token_ids`, optional `segment_ids` and `padding_mask`,
        each [batch, length] of any length up to `max_sequence_length`), dict out.

    Raises:
        InputError: An unknown output, or a configuration of another family.

    References:
        Devlin et al. 2018, "BERT"; google-research/bert modeling.py `BertModel`.

    Example:
    ```python
    config = keras_albert.EncoderConfig(
        vocab_size=1000, hidden_dim=64, num_layers=2, num_heads=4, intermediate_dim=128
    )
    encoder = keras_albert.bert_encoder(config)
    encoder({"token_ids": [[2, 7, 9, 3]]})["sequence_output"]  # [1, 4, 64]
    ```
    """
    _check_family("bert_encoder", config, ("bert",))
    return _model(bert_tensors, config, outputs, dtype, name)


def albert_encoder(
    config: EncoderConfig,
    *,
    outputs: Sequence[str] = DEFAULT_OUTPUTS,
    dtype: Any = None,
    name: str = "albert_encoder",
) -> TransformerModel:
    """ALBERT's encoder as a functional Keras model; arguments and returns as `bert_encoder`.

    `embedding_output` is [batch, length, embedding_dim] (at hidden width for albert_zh), and
    there are `num_layers * inner_layers` block runs.

    References:
        Lan et al. 2019, "ALBERT"; google-research/albert modeling.py `AlbertModel`; for the
        family `"albert_zh"` brightmart/albert_zh modeling.py.

    Example:
    ```python
    config = keras_albert.EncoderConfig(
        vocab_size=1000, embedding_dim=16, hidden_dim=64, num_layers=4, num_heads=4,
        intermediate_dim=128, num_groups=1
    )
    encoder = keras_albert.albert_encoder(config)  # four runs of one block
    ```
    """
    _check_family("albert_encoder", config, ("albert", "albert_zh"))
    return _model(albert_tensors, config, outputs, dtype, name)


def build_encoder(config: EncoderConfig, **arguments: Any) -> TransformerModel:
    """`bert_encoder` or `albert_encoder`, as the configuration's family says."""
    build = bert_encoder if config.family == "bert" else albert_encoder
    return build(config, **arguments)


def encode(config: EncoderConfig, **arguments: Any) -> dict[str, Any]:
    """`bert_tensors` or `albert_tensors`, as the configuration's family says."""
    return (bert_tensors if config.family == "bert" else albert_tensors)(config, **arguments)


def bert_tensors(
    config: EncoderConfig,
    inputs: Mapping[str, Any],
    outputs: Sequence[str],
    dtype: Any = None,
) -> dict[str, Any]:
    """The graph of BERT from symbolic inputs: Devlin et al. 2018, figures 1 and 2."""
    tokens = _token_embedding(config, dtype)(inputs["token_ids"])
    x = _embed(config, tokens, inputs["segment_ids"], dtype)
    return _run_blocks(config, x, x, inputs["padding_mask"], outputs, dtype)


def albert_tensors(
    config: EncoderConfig,
    inputs: Mapping[str, Any],
    outputs: Sequence[str],
    dtype: Any = None,
) -> dict[str, Any]:
    """The graph of ALBERT from symbolic inputs: Lan et al. 2019, section 3.1.

    The narrow table is widened after the embeddings' LayerNorm, exactly when the widths differ;
    albert_zh widens the tokens before positions and segments are added.
    """
    tokens = _token_embedding(config, dtype)(inputs["token_ids"])
    if config.family == "albert_zh":
        tokens = layers.TokenProjection(
            config.hidden_dim,
            kernel_initializer=_initializer(config),
            dtype=dtype,
            name="token_projection",
        )(tokens)
    embedded = _embed(config, tokens, inputs["segment_ids"], dtype)
    x = embedded
    if embedded.shape[-1] != config.hidden_dim:
        x = keras_layers.Dense(
            config.hidden_dim,
            kernel_initializer=_initializer(config),
            dtype=dtype,
            name="embedding_projection",
        )(embedded)
    return _run_blocks(config, embedded, x, inputs["padding_mask"], outputs, dtype)


def _token_embedding(config: EncoderConfig, dtype: Any) -> keras.Layer:
    return layers.TokenEmbedding(
        config.vocab_size,
        config.embedding_dim,
        embeddings_initializer=_initializer(config),
        dtype=dtype,
        name="token_embedding",
    )


def _embed(config: EncoderConfig, tokens: Any, segment_ids: Any, dtype: Any) -> Any:
    """Tokens + segments + positions, LayerNorm, dropout."""
    width = tokens.shape[-1]
    segments = layers.SegmentEmbedding(
        config.num_segments,
        width,
        embeddings_initializer=_initializer(config),
        dtype=dtype,
        name="segment_embedding",
    )(segment_ids)
    positions = layers.LearnedPositionEmbedding(
        config.max_sequence_length,
        width,
        embeddings_initializer=_initializer(config),
        dtype=dtype,
        name="position_embedding",
    )(tokens)
    x = keras_layers.LayerNormalization(
        epsilon=config.layer_norm_epsilon, dtype=dtype, name="embedding_layer_norm"
    )(tokens + segments + positions)
    return Dropout(config.dropout, dtype=dtype, name="embedding_dropout")(x)


def _run_blocks(
    config: EncoderConfig,
    embedded: Any,
    x: Any,
    padding_mask: Any,
    outputs: Sequence[str],
    dtype: Any,
) -> dict[str, Any]:
    """The blocks in the order of the schedule, then the pooler; only what `outputs` names."""
    blocks = {
        index: layers.TransformerEncoderBlock(
            num_heads=config.num_heads,
            intermediate_dim=config.intermediate_dim,
            activation=activations.get(config.activation),
            dropout=config.dropout,
            attention_dropout=config.attention_dropout,
            norm_position=config.norm_position,
            layer_norm_epsilon=config.layer_norm_epsilon,
            kernel_initializer=_initializer(config),
            dtype=dtype,
            name=f"encoder_block_{index}",
        )
        for index in sorted(set(config.schedule))
    }
    results: dict[str, Any] = {"embedding_output": embedded}
    encoder_outputs, attention_scores = [], []
    return_scores = "attention_scores" in outputs
    # Only the first row of the last block is looked at when nothing but the pooler is asked for.
    only_first = not {"sequence_output", "encoder_outputs", "attention_scores"}.intersection(
        outputs
    )
    last = len(config.schedule) - 1
    for step, index in enumerate(config.schedule):
        arguments: dict[str, Any] = {"mask": padding_mask}
        if only_first and step == last:
            arguments["queries"] = x[:, :1]
        if return_scores:
            x, scores = blocks[index](x, return_scores=True, **arguments)
            attention_scores.append(scores)
        else:
            x = blocks[index](x, **arguments)
        encoder_outputs.append(x)
    results["encoder_outputs"] = encoder_outputs
    results["attention_scores"] = attention_scores
    results["sequence_output"] = x
    if "pooled_output" in outputs:
        results["pooled_output"] = layers.Pooler(
            config.hidden_dim,
            # Some checkpoints have no pooler: theirs is always drawn.
            kernel_initializer=keras.initializers.TruncatedNormal(stddev=config.initializer_range),
            dtype=dtype,
            name="pool",
        )(x)
    return {name: results[name] for name in outputs}


def symbolic_inputs(
    *extra: tuple[str, tuple[int | None, ...]], shape: tuple[int | None, ...] = (None,)
) -> dict[str, Any]:
    """`token_ids`, `segment_ids` and `padding_mask` [batch, *shape], and extra (name, shape)."""
    names = [(name, shape) for name in ("token_ids", "segment_ids", "padding_mask")]
    return {
        name: keras.Input(shape=size, dtype="int32", name=name) for name, size in (*names, *extra)
    }


def _model(
    tensors: Callable[..., dict[str, Any]],
    config: EncoderConfig,
    outputs: Sequence[str],
    dtype: Any,
    name: str,
) -> TransformerModel:
    outputs = (outputs,) if isinstance(outputs, str) else tuple(outputs)
    unknown = [output for output in outputs if output not in OUTPUTS]
    if unknown or not outputs:
        raise InputError(f"outputs are some of {OUTPUTS}. Received: outputs={outputs}")
    inputs = symbolic_inputs()
    results = tensors(config, inputs, outputs, dtype)
    return TransformerModel(
        inputs,
        results,
        name=name,
        dtype=dtype,
        encoder_config=config,
        task="encoder",
        task_options={"outputs": list(outputs)},
    )


def _check_family(function: str, config: EncoderConfig, families: tuple[str, ...]) -> None:
    if config.family not in families:
        raise InputError(
            f"{function} takes a configuration of the family {' or '.join(families)}. "
            f"Received: family={config.family!r}"
        )


def _initializer(config: EncoderConfig) -> keras.initializers.Initializer:
    return EncoderInitializer(stddev=config.initializer_range)
