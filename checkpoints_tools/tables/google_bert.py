"""google-research/bert: BERT, multilingual, Chinese, whole-word masking, the miniatures."""

from checkpoints_tools.tables.heads import MASKED_LM, POOLER, SENTENCE_RELATION, TASK_HEADS
from checkpoints_tools.tables.rules import Row, Table

_BLOCK = "bert/encoder/layer_{block}"

GOOGLE_BERT = Table(
    family="bert",
    marks="bert/encoder/layer_0/attention/self/query/kernel",
    parts={
        "embeddings": (
            Row("token_embedding/embeddings", "bert/embeddings/word_embeddings", "V E"),
            Row("segment_embedding/embeddings", "bert/embeddings/token_type_embeddings", "S E"),
            Row("position_embedding/embeddings", "bert/embeddings/position_embeddings", "P E"),
            Row("embedding_layer_norm/gamma", "bert/embeddings/LayerNorm/gamma", "E"),
            Row("embedding_layer_norm/beta", "bert/embeddings/LayerNorm/beta", "E"),
        ),
        "blocks": (
            Row("attention/query/kernel", f"{_BLOCK}/attention/self/query/kernel", "H H"),
            Row("attention/query/bias", f"{_BLOCK}/attention/self/query/bias", "H"),
            Row("attention/key/kernel", f"{_BLOCK}/attention/self/key/kernel", "H H"),
            Row("attention/key/bias", f"{_BLOCK}/attention/self/key/bias", "H"),
            Row("attention/value/kernel", f"{_BLOCK}/attention/self/value/kernel", "H H"),
            Row("attention/value/bias", f"{_BLOCK}/attention/self/value/bias", "H"),
            Row("attention/output/kernel", f"{_BLOCK}/attention/output/dense/kernel", "H H"),
            Row("attention/output/bias", f"{_BLOCK}/attention/output/dense/bias", "H"),
            Row("attention_layer_norm/gamma", f"{_BLOCK}/attention/output/LayerNorm/gamma", "H"),
            Row("attention_layer_norm/beta", f"{_BLOCK}/attention/output/LayerNorm/beta", "H"),
            Row("intermediate/kernel", f"{_BLOCK}/intermediate/dense/kernel", "H I"),
            Row("intermediate/bias", f"{_BLOCK}/intermediate/dense/bias", "I"),
            Row("output/kernel", f"{_BLOCK}/output/dense/kernel", "I H"),
            Row("output/bias", f"{_BLOCK}/output/dense/bias", "H"),
            Row("output_layer_norm/gamma", f"{_BLOCK}/output/LayerNorm/gamma", "H"),
            Row("output_layer_norm/beta", f"{_BLOCK}/output/LayerNorm/beta", "H"),
        ),
        "pooler": POOLER,
        "masked_lm": MASKED_LM,
        "sentence_relation": SENTENCE_RELATION,
        **TASK_HEADS,
    },
)
