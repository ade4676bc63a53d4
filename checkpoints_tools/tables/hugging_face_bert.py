"""Hugging Face's BERT: transformers models/bert/modeling_bert.py."""

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

_BLOCK = "bert.encoder.layer.{block}"
_PREDICTIONS = "cls.predictions"

HUGGING_FACE_BERT = Table(
    family="bert",
    marks="bert.encoder.layer.0.attention.self.query.weight",
    renames=renames("bert"),
    buffers=buffers("bert"),
    ties=ties("bert", _PREDICTIONS),
    parts={
        "embeddings": embeddings("bert"),
        "blocks": (
            *linear("attention/query", f"{_BLOCK}.attention.self.query", "H", "H"),
            *linear("attention/key", f"{_BLOCK}.attention.self.key", "H", "H"),
            *linear("attention/value", f"{_BLOCK}.attention.self.value", "H", "H"),
            *linear("attention/output", f"{_BLOCK}.attention.output.dense", "H", "H"),
            *layer_norm("attention_layer_norm", f"{_BLOCK}.attention.output.LayerNorm", "H"),
            *linear("intermediate", f"{_BLOCK}.intermediate.dense", "I", "H"),
            *linear("output", f"{_BLOCK}.output.dense", "H", "I"),
            *layer_norm("output_layer_norm", f"{_BLOCK}.output.LayerNorm", "H"),
        ),
        "pooler": linear("pool", "bert.pooler.dense", "H", "H"),
        "masked_lm": (
            *linear("masked_lm/transform", f"{_PREDICTIONS}.transform.dense", "E", "H"),
            *layer_norm("masked_lm/layer_norm", f"{_PREDICTIONS}.transform.LayerNorm", "E"),
            Row("masked_lm/bias", f"{_PREDICTIONS}.bias", "V"),
        ),
        "sentence_relation": linear("sentence_relation", "cls.seq_relationship", "2", "H"),
        **TASK_HEADS,
    },
)
