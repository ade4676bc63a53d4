"""Hugging Face's ALBERT: transformers models/albert/modeling_albert.py."""

from checkpoints_tools.tables.hugging_face import (
    TASK_HEADS,
    buffers,
    embeddings,
    layer_norm,
    linear,
    renames,
    ties,
)
from checkpoints_tools.tables.rules import Row, Table

_ENCODER = "albert.encoder"
_BLOCK = f"{_ENCODER}.albert_layer_groups.{{group}}.albert_layers.{{inner}}"

HUGGING_FACE_ALBERT = Table(
    family="albert",
    marks=f"{_ENCODER}.albert_layer_groups.0.albert_layers.0.attention.query.weight",
    renames=renames("albert"),
    buffers=buffers("albert"),
    ties=ties("albert", "predictions"),
    always_projects=True,
    parts={
        "embeddings": embeddings("albert"),
        "embedding_projection": linear(
            "embedding_projection", f"{_ENCODER}.embedding_hidden_mapping_in", "H", "E"
        ),
        "blocks": (
            *linear("attention/query", f"{_BLOCK}.attention.query", "H", "H"),
            *linear("attention/key", f"{_BLOCK}.attention.key", "H", "H"),
            *linear("attention/value", f"{_BLOCK}.attention.value", "H", "H"),
            *linear("attention/output", f"{_BLOCK}.attention.dense", "H", "H"),
            *layer_norm("attention_layer_norm", f"{_BLOCK}.attention.LayerNorm", "H"),
            *linear("intermediate", f"{_BLOCK}.ffn", "I", "H"),
            *linear("output", f"{_BLOCK}.ffn_output", "H", "I"),
            *layer_norm("output_layer_norm", f"{_BLOCK}.full_layer_layer_norm", "H"),
        ),
        "pooler": linear("pool", "albert.pooler", "H", "H"),
        "masked_lm": (
            *linear("masked_lm/transform", "predictions.dense", "E", "H"),
            *layer_norm("masked_lm/layer_norm", "predictions.LayerNorm", "E"),
            Row("masked_lm/bias", "predictions.bias", "V"),
        ),
        "sentence_relation": linear("sentence_relation", "sop_classifier.classifier", "2", "H"),
        **TASK_HEADS,
    },
)
