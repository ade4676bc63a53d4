"""What Google's families share: the heads' names, cls/…, output_weights, cls/squad/…"""

from checkpoints_tools.tables.rules import Row

# TF-Hub modules, and classifiers fine-tuned from one.
HUB_MODULE = ((r"^module/", ""),)

POOLER = (
    Row("pool/kernel", "bert/pooler/dense/kernel", "H H"),
    Row("pool/bias", "bert/pooler/dense/bias", "H"),
)

# run_pretraining.py: the transform ends at the token table's width.
MASKED_LM = (
    Row("masked_lm/transform/kernel", "cls/predictions/transform/dense/kernel", "H E"),
    Row("masked_lm/transform/bias", "cls/predictions/transform/dense/bias", "E"),
    Row("masked_lm/layer_norm/gamma", "cls/predictions/transform/LayerNorm/gamma", "E"),
    Row("masked_lm/layer_norm/beta", "cls/predictions/transform/LayerNorm/beta", "E"),
    Row("masked_lm/bias", "cls/predictions/output_bias", "V"),
)

SENTENCE_RELATION = (
    Row("sentence_relation/kernel", "cls/seq_relationship/output_weights", "2 H", True),
    Row("sentence_relation/bias", "cls/seq_relationship/output_bias", "2"),
)

TASK_HEADS = {
    # run_classifier.py, classifier_utils.py; race_utils.py with one row.
    "classifier": (
        Row("classifier/kernel", "output_weights", "L H", True),
        Row("classifier/bias", "output_bias", "L"),
    ),
    # run_squad.py, squad_utils.py create_v1_model
    "span": (
        Row("span/kernel", "cls/squad/output_weights", "2 H", True),
        Row("span/bias", "cls/squad/output_bias", "2"),
    ),
}

# squad_utils.py create_v2_model; W is twice the hidden width.
ANSWER_SPAN = (
    Row("answer_span/start/kernel", "start_logits/dense/kernel", "H 1"),
    Row("answer_span/start/bias", "start_logits/dense/bias", "1"),
    Row("answer_span/end_hidden/kernel", "end_logits/dense_0/kernel", "W H"),
    Row("answer_span/end_hidden/bias", "end_logits/dense_0/bias", "H"),
    Row("answer_span/end_layer_norm/gamma", "end_logits/LayerNorm/gamma", "H"),
    Row("answer_span/end_layer_norm/beta", "end_logits/LayerNorm/beta", "H"),
    Row("answer_span/end/kernel", "end_logits/dense_1/kernel", "H 1"),
    Row("answer_span/end/bias", "end_logits/dense_1/bias", "1"),
    Row("answer_span/answerable_hidden/kernel", "answer_class/dense_0/kernel", "W H"),
    Row("answer_span/answerable_hidden/bias", "answer_class/dense_0/bias", "H"),
    Row("answer_span/answerable/kernel", "answer_class/dense_1/kernel", "H 1"),
)

# brightmart/albert_zh run_classifier.py, for pre-LN only.
POOLED_LAYER_NORM = (
    Row("pooled_layer_norm/gamma", "loss/LayerNorm/gamma", "H"),
    Row("pooled_layer_norm/beta", "loss/LayerNorm/beta", "H"),
)
