"""google-research/bert: BERT, multilingual, Chinese, whole-word masking, the miniatures."""

from checkpoints_tools.tables.heads import (
    HUB_MODULE,
    MASKED_LM,
    POOLER,
    SENTENCE_RELATION,
    TASK_HEADS,
)
from checkpoints_tools.tables.rules import Row, Table

EMBEDDINGS = (
    Row("token_embedding/embeddings", "bert/embeddings/word_embeddings", "V E"),
    Row("segment_embedding/embeddings", "bert/embeddings/token_type_embeddings", "S E"),
    Row("position_embedding/embeddings", "bert/embeddings/position_embeddings", "P E"),
    Row("embedding_layer_norm/gamma", "bert/embeddings/LayerNorm/gamma", "E"),
    Row("embedding_layer_norm/beta", "bert/embeddings/LayerNorm/beta", "E"),
)


def block(prefix: str) -> tuple[Row, ...]:
    """The rows of one block below `prefix`."""
    return (
        Row("attention/query/kernel", f"{prefix}/attention/self/query/kernel", "H H"),
        Row("attention/query/bias", f"{prefix}/attention/self/query/bias", "H"),
        Row("attention/key/kernel", f"{prefix}/attention/self/key/kernel", "H H"),
        Row("attention/key/bias", f"{prefix}/attention/self/key/bias", "H"),
        Row("attention/value/kernel", f"{prefix}/attention/self/value/kernel", "H H"),
        Row("attention/value/bias", f"{prefix}/attention/self/value/bias", "H"),
        Row("attention/output/kernel", f"{prefix}/attention/output/dense/kernel", "H H"),
        Row("attention/output/bias", f"{prefix}/attention/output/dense/bias", "H"),
        Row("attention_layer_norm/gamma", f"{prefix}/attention/output/LayerNorm/gamma", "H"),
        Row("attention_layer_norm/beta", f"{prefix}/attention/output/LayerNorm/beta", "H"),
        Row("intermediate/kernel", f"{prefix}/intermediate/dense/kernel", "H I"),
        Row("intermediate/bias", f"{prefix}/intermediate/dense/bias", "I"),
        Row("output/kernel", f"{prefix}/output/dense/kernel", "I H"),
        Row("output/bias", f"{prefix}/output/dense/bias", "H"),
        Row("output_layer_norm/gamma", f"{prefix}/output/LayerNorm/gamma", "H"),
        Row("output_layer_norm/beta", f"{prefix}/output/LayerNorm/beta", "H"),
    )


GOOGLE_BERT = Table(
    family="bert",
    marks="bert/encoder/layer_0/attention/self/query/kernel",
    renames=HUB_MODULE,
    parts={
        "embeddings": EMBEDDINGS,
        "blocks": block("bert/encoder/layer_{block}"),
        "pooler": POOLER,
        "masked_lm": MASKED_LM,
        "sentence_relation": SENTENCE_RELATION,
        **TASK_HEADS,
    },
)
