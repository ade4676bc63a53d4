"""google-research/albert: ALBERT v1 and v2, Google's Chinese ALBERT, TF-Hub modules."""

from checkpoints_tools.tables.google_bert import EMBEDDINGS
from checkpoints_tools.tables.heads import (
    ANSWER_SPAN,
    HUB_MODULE,
    MASKED_LM,
    POOLER,
    SENTENCE_RELATION,
    TASK_HEADS,
)
from checkpoints_tools.tables.rules import Row, Table

_BLOCK = "bert/encoder/transformer/group_{group}/inner_group_{inner}"
_PROJECTION = "bert/encoder/embedding_hidden_mapping_in"

GOOGLE_ALBERT = Table(
    family="albert",
    marks="bert/encoder/transformer/group_0/inner_group_0/attention_1/self/query/kernel",
    renames=HUB_MODULE,
    parts={
        "embeddings": EMBEDDINGS,
        # Exactly when the widths differ (modeling.py, dense_layer_2d).
        "embedding_projection": (
            Row("embedding_projection/kernel", f"{_PROJECTION}/kernel", "E H"),
            Row("embedding_projection/bias", f"{_PROJECTION}/bias", "H"),
        ),
        "blocks": (
            Row("attention/query/kernel", f"{_BLOCK}/attention_1/self/query/kernel", "H H"),
            Row("attention/query/bias", f"{_BLOCK}/attention_1/self/query/bias", "H"),
            Row("attention/key/kernel", f"{_BLOCK}/attention_1/self/key/kernel", "H H"),
            Row("attention/key/bias", f"{_BLOCK}/attention_1/self/key/bias", "H"),
            Row("attention/value/kernel", f"{_BLOCK}/attention_1/self/value/kernel", "H H"),
            Row("attention/value/bias", f"{_BLOCK}/attention_1/self/value/bias", "H"),
            Row("attention/output/kernel", f"{_BLOCK}/attention_1/output/dense/kernel", "H H"),
            Row("attention/output/bias", f"{_BLOCK}/attention_1/output/dense/bias", "H"),
            Row("attention_layer_norm/gamma", f"{_BLOCK}/LayerNorm/gamma", "H"),
            Row("attention_layer_norm/beta", f"{_BLOCK}/LayerNorm/beta", "H"),
            Row("intermediate/kernel", f"{_BLOCK}/ffn_1/intermediate/dense/kernel", "H I"),
            Row("intermediate/bias", f"{_BLOCK}/ffn_1/intermediate/dense/bias", "I"),
            Row("output/kernel", f"{_BLOCK}/ffn_1/intermediate/output/dense/kernel", "I H"),
            Row("output/bias", f"{_BLOCK}/ffn_1/intermediate/output/dense/bias", "H"),
            Row("output_layer_norm/gamma", f"{_BLOCK}/LayerNorm_1/gamma", "H"),
            Row("output_layer_norm/beta", f"{_BLOCK}/LayerNorm_1/beta", "H"),
        ),
        "pooler": POOLER,
        "masked_lm": MASKED_LM,
        "sentence_relation": SENTENCE_RELATION,
        **TASK_HEADS,
        "answer_span": ANSWER_SPAN,
    },
)
