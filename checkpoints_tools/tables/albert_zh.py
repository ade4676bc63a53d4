"""brightmart/albert_zh: one shared block; the same names whether it is post-LN or pre-LN."""

from checkpoints_tools.tables.google_bert import block
from checkpoints_tools.tables.heads import (
    HUB_MODULE,
    MASKED_LM,
    POOLED_LAYER_NORM,
    POOLER,
    SENTENCE_RELATION,
    TASK_HEADS,
)
from checkpoints_tools.tables.rules import Row, Table

_BLOCK = "bert/encoder/layer_shared"

ALBERT_ZH = Table(
    family="albert_zh",
    marks=f"{_BLOCK}/attention/self/query/kernel",
    renames=HUB_MODULE,
    parts={
        # Tokens are projected first, so everything after them has the encoder's width.
        "embeddings": (
            Row("token_embedding/embeddings", "bert/embeddings/word_embeddings", "V E"),
            Row("token_projection/kernel", "bert/embeddings/word_embeddings_2", "E H"),
            Row("segment_embedding/embeddings", "bert/embeddings/token_type_embeddings", "S H"),
            Row("position_embedding/embeddings", "bert/embeddings/position_embeddings", "P H"),
            Row("embedding_layer_norm/gamma", "bert/embeddings/LayerNorm/gamma", "H"),
            Row("embedding_layer_norm/beta", "bert/embeddings/LayerNorm/beta", "H"),
        ),
        "blocks": block(_BLOCK),
        "pooler": POOLER,
        # The transform stays at the encoder's width; the projection is shared on the way out.
        "masked_lm": tuple(row._replace(shape=row.shape.replace("E", "H")) for row in MASKED_LM),
        "sentence_relation": SENTENCE_RELATION,
        "pooled_layer_norm": POOLED_LAYER_NORM,
        **TASK_HEADS,
    },
)
