"""Embeddings, blocks and pooler of the three graphs, block by block over all inputs.

BERT: Devlin et al. 2018, section 3, and bert/modeling.py. ALBERT: Lan et al. 2019, section 3.1,
and albert/modeling.py. albert_zh: modeling.py of brightmart/albert_zh.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from checkpoints_tools.reference.formulas import (
    ACTIVATIONS,
    attention,
    dense,
    layer_norm,
    mask_bias,
)
from checkpoints_tools.reference.weights import Weights

if TYPE_CHECKING:
    from keras_albert.config import EncoderConfig

Block = dict[str, tuple[np.ndarray, np.ndarray]]

EMBEDDINGS = "bert/embeddings"
WORD_TABLE = f"{EMBEDDINGS}/word_embeddings"
WORD_PROJECTION = f"{EMBEDDINGS}/word_embeddings_2"  # albert_zh's, [embedding, hidden]
MAPPING = "bert/encoder/embedding_hidden_mapping_in"  # ALBERT's
POOLER = "bert/pooler/dense"


class Names(NamedTuple):
    """Where a graph keeps its blocks, and the parts within a block."""

    block: str
    dense: dict[str, str]
    norm: dict[str, str]


_BERT_DENSE = {
    "query": "attention/self/query",
    "key": "attention/self/key",
    "value": "attention/self/value",
    "attention_output": "attention/output/dense",
    "intermediate": "intermediate/dense",
    "output": "output/dense",
}
_BERT_NORM = {"attention_norm": "attention/output/LayerNorm", "output_norm": "output/LayerNorm"}
_ALBERT_DENSE = {
    "query": "attention_1/self/query",
    "key": "attention_1/self/key",
    "value": "attention_1/self/value",
    "attention_output": "attention_1/output/dense",
    "intermediate": "ffn_1/intermediate/dense",
    "output": "ffn_1/intermediate/output/dense",
}
_ALBERT_NORM = {"attention_norm": "LayerNorm", "output_norm": "LayerNorm_1"}
_FAMILIES = {
    "bert": Names("bert/encoder/layer_{block}", _BERT_DENSE, _BERT_NORM),
    "albert": Names(
        "bert/encoder/transformer/group_{group}/inner_group_{inner}", _ALBERT_DENSE, _ALBERT_NORM
    ),
    "albert_zh": Names("bert/encoder/layer_shared", _BERT_DENSE, _BERT_NORM),
}


def encode(
    config: "EncoderConfig",
    weights: Weights,
    batches: list[dict[str, np.ndarray]],
    tick: Callable[[str], None],
) -> list[dict[str, Any]]:
    """Embeddings and all blocks: a dict of outputs for each batch (see `forward_many`)."""
    hidden, outputs = _embed(config, weights, batches)
    tick(EMBEDDINGS)
    biases = [mask_bias(batch["padding_mask"], weights.dtype) for batch in batches]
    schedule = config.schedule
    held: dict[int, Block] = {}
    for step, index in enumerate(schedule):
        if index not in held:
            held[index] = _read_block(config, weights, index)
        for row, output in enumerate(outputs):
            hidden[row], scores = _run_block(config, held[index], hidden[row], biases[row])
            output["encoder_outputs"].append(hidden[row])
            output["attention_scores"].append(scores)
        if index not in schedule[step + 1 :]:
            del held[index]
        tick(_block_scope(config, index))
    for row, output in enumerate(outputs):
        output["sequence_output"] = hidden[row]
    return outputs


def add_pooled_output(weights: Weights, outputs: list[dict[str, Any]]) -> None:
    """Adds `pooled_output`, a tanh dense layer on the first token, where there is a pooler."""
    if f"{POOLER}/kernel" not in weights.names:
        return
    pooler = weights.dense(POOLER)
    for output in outputs:
        output["pooled_output"] = np.tanh(dense(output["sequence_output"][:, 0], *pooler))


def _embed(
    config: "EncoderConfig", weights: Weights, batches: list[dict[str, np.ndarray]]
) -> tuple[list[np.ndarray], list[dict[str, Any]]]:
    """What enters the first block, and the outputs begun, for each batch."""
    table = weights.raw(WORD_TABLE)  # rows are gathered before the cast: the table may be large
    words = [table[batch["token_ids"]].astype(weights.dtype) for batch in batches]
    del table
    if config.family == "albert_zh":  # projected first: all else happens at hidden width
        projection = weights(WORD_PROJECTION)
        words = [word @ projection for word in words]
    segments = weights(f"{EMBEDDINGS}/token_type_embeddings")
    positions = weights(f"{EMBEDDINGS}/position_embeddings")
    norm = weights.norm(f"{EMBEDDINGS}/LayerNorm")
    hidden = []
    for word, batch in zip(words, batches, strict=True):
        total = word + segments[batch["segment_ids"]] + positions[: word.shape[1]]
        hidden.append(layer_norm(total, *norm, config.layer_norm_epsilon))
    outputs: list[dict[str, Any]] = [
        {"embedding_output": x, "encoder_outputs": [], "attention_scores": []} for x in hidden
    ]
    if config.family == "albert" and config.embedding_dim != config.hidden_dim:
        mapping = weights.dense(MAPPING)
        hidden = [dense(x, *mapping) for x in hidden]
    return hidden, outputs


def _block_scope(config: "EncoderConfig", index: int) -> str:
    group, inner = divmod(index, config.inner_layers)
    return _FAMILIES[config.family].block.format(block=index, group=group, inner=inner)


def _read_block(config: "EncoderConfig", weights: Weights, index: int) -> Block:
    names, scope = _FAMILIES[config.family], _block_scope(config, index)
    block = {part: weights.dense(f"{scope}/{name}") for part, name in names.dense.items()}
    return block | {part: weights.norm(f"{scope}/{name}") for part, name in names.norm.items()}


def _run_block(
    config: "EncoderConfig", block: Block, x: np.ndarray, bias: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """One block: x [batch, length, hidden] to the same shape, and the attention scores.

    Post-LN, as in the papers, normalises each sum x + f(x); pre-LN the input of f alone, and
    nothing at the end of the stack.
    """

    def attend(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        query, key, value = (dense(x, *block[part]) for part in ("query", "key", "value"))
        context, scores = attention(query, key, value, config.num_heads, bias)
        return dense(context, *block["attention_output"]), scores

    def feed_forward(x: np.ndarray) -> np.ndarray:
        return dense(activation(dense(x, *block["intermediate"])), *block["output"])

    def norm(part: str, x: np.ndarray) -> np.ndarray:
        return layer_norm(x, *block[part], config.layer_norm_epsilon)

    activation = ACTIVATIONS[config.activation]
    if config.norm_position == "pre":
        change, scores = attend(norm("attention_norm", x))
        x = x + change
        return x + feed_forward(norm("output_norm", x)), scores
    change, scores = attend(x)
    x = norm("attention_norm", x + change)
    return norm("output_norm", x + feed_forward(x)), scores
