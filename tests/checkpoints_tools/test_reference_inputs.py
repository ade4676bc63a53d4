"""The reference's interface: streaming, defaults, what a checkpoint lacks, and bad input."""

import tracemalloc
from collections import Counter

import numpy as np
import pytest

from checkpoints_tools.reference import forward, forward_many
from keras_albert.config import EncoderConfig
from keras_albert.errors import InputError

SIZES = {
    "vocab_size": 50,
    "hidden_dim": 8,
    "num_layers": 3,
    "num_heads": 2,
    "intermediate_dim": 16,
    "max_sequence_length": 10,
}
BERT = EncoderConfig(**SIZES)
ALBERT = EncoderConfig(**SIZES, num_groups=1, embedding_dim=4)
PRE_LN = EncoderConfig(
    **SIZES, num_groups=1, embedding_dim=4, family="albert_zh", norm_position="pre"
)


def shapes(config, **heads):
    """Google's names and shapes for `config`, and those in `heads` ("__" stands for "/")."""
    width, narrow, wide = config.hidden_dim, config.embedding_dim, config.intermediate_dim
    rows = width if config.family == "albert_zh" else narrow
    found = {
        "bert/embeddings/word_embeddings": (config.vocab_size, narrow),
        "bert/embeddings/token_type_embeddings": (config.num_segments, rows),
        "bert/embeddings/position_embeddings": (config.max_sequence_length, rows),
    }
    found |= norm("bert/embeddings/LayerNorm", rows)
    if config.family == "albert":
        found |= kernel("bert/encoder/embedding_hidden_mapping_in", narrow, width)
        scopes = ["bert/encoder/transformer/group_0/inner_group_0"]
        attention, feed_forward, output = "attention_1", "ffn_1/", "ffn_1/intermediate/output"
        norms = ("LayerNorm", "LayerNorm_1")
    else:
        scopes = [f"bert/encoder/layer_{layer}" for layer in range(config.num_layers)]
        attention, feed_forward, output = "attention", "", "output"
        norms = ("attention/output/LayerNorm", "output/LayerNorm")
    if config.family == "albert_zh":
        scopes = ["bert/encoder/layer_shared"]
        found["bert/embeddings/word_embeddings_2"] = (narrow, width)
    for scope in scopes:
        for part in ("self/query", "self/key", "self/value", "output/dense"):
            found |= kernel(f"{scope}/{attention}/{part}", width, width)
        found |= kernel(f"{scope}/{feed_forward}intermediate/dense", width, wide)
        found |= kernel(f"{scope}/{output}/dense", wide, width)
        for name in norms:
            found |= norm(f"{scope}/{name}", width)
    found |= kernel("bert/pooler/dense", width, width)
    return found | {name.replace("__", "/"): shape for name, shape in heads.items()}


def kernel(scope, size_in, size_out):
    return {f"{scope}/kernel": (size_in, size_out), f"{scope}/bias": (size_out,)}


def norm(scope, width):
    return {f"{scope}/gamma": (width,), f"{scope}/beta": (width,)}


class Weights:
    """Random float32 variables, made when read; `reads` counts how often each was."""

    def __init__(self, shapes):
        self.shapes = shapes
        self.names = set(shapes)
        self.reads = Counter()

    def read(self, name):
        self.reads[name] += 1
        seed = sorted(self.names).index(name)
        return np.random.default_rng(seed).standard_normal(self.shapes[name], np.float32)


def mlm_shapes(config):
    back = config.embedding_dim if config.family == "albert" else config.hidden_dim
    return (
        kernel("cls/predictions/transform/dense", config.hidden_dim, back)
        | norm("cls/predictions/transform/LayerNorm", back)
        | {"cls/predictions/output_bias": (config.vocab_size,)}
    )


def sets(*shapes):
    random = np.random.default_rng(1)
    return [{"token_ids": random.integers(1, 50, shape)} for shape in shapes]


@pytest.mark.parametrize("config", [BERT, ALBERT, PRE_LN])
def test_many_sets_give_what_each_gives_alone(config):
    weights = Weights(shapes(config))
    batches = sets((2, 5), (1, 10), (3, 1))
    together = forward_many(config, weights.read, weights.names, batches)
    for batch, ours in zip(batches, together, strict=True):
        alone = forward(config, weights.read, weights.names, batch)
        assert list(ours) == list(alone)
        for name in ours:
            np.testing.assert_array_equal(ours[name], alone[name])


@pytest.mark.parametrize("config", [BERT, ALBERT, PRE_LN])
def test_a_variable_is_read_once_however_many_sets_and_layers_use_it(config):
    weights = Weights(shapes(config) | mlm_shapes(config))
    inputs = [
        batch | {"masked_positions": batch["token_ids"] * 0} for batch in sets((2, 5), (1, 3))
    ]
    forward_many(config, weights.read, weights.names, inputs, "pretraining")
    twice = {"bert/embeddings/word_embeddings"}  # for the embeddings, and for the MLM head
    if config.family == "albert_zh":
        twice.add("bert/embeddings/word_embeddings_2")
    assert weights.reads == {name: 2 if name in twice else 1 for name in weights.names}


def test_a_deep_model_is_never_in_memory_whole():
    config = EncoderConfig(
        vocab_size=50, hidden_dim=64, num_layers=24, num_heads=2, intermediate_dim=256
    )
    weights = Weights(shapes(config))
    one_layer = 8 * (4 * 64 * 64 + 2 * 64 * 256)  # bytes of its kernels in float64
    tracemalloc.start()
    try:
        forward_many(config, weights.read, weights.names, sets((1, 3), (1, 3)))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 6 * one_layer


def test_progress_counts_embeddings_every_block_run_and_the_head():
    seen = []
    weights = Weights(shapes(ALBERT))
    forward_many(
        ALBERT, weights.read, weights.names, sets((2, 3)), progress=lambda *args: seen.append(args)
    )
    block = "bert/encoder/transformer/group_0/inner_group_0"
    names = ["bert/embeddings", block, block, block, "encoder"]
    assert seen == [(done, 5, name) for done, name in enumerate(names, start=1)]


def test_outputs_have_the_documented_names_and_shapes():
    weights = Weights(shapes(ALBERT))
    (batch,) = sets((2, 5))
    ours = forward(ALBERT, weights.read, weights.names, batch)
    assert ours.pop("embedding_output").shape == (2, 5, 4)
    assert [x.shape for x in ours.pop("encoder_outputs")] == [(2, 5, 8)] * 3
    scores = ours.pop("attention_scores")
    assert [x.shape for x in scores] == [(2, 2, 5, 5)] * 3
    np.testing.assert_allclose([x.sum(axis=-1) for x in scores], 1)
    assert {name: x.shape for name, x in ours.items()} == {
        "sequence_output": (2, 5, 8),
        "pooled_output": (2, 8),
    }


def test_segments_default_to_zero_and_padding_to_token_zero():
    weights = Weights(shapes(BERT))
    ids = np.array([[4, 9, 7, 0, 0], [3, 0, 5, 6, 2]])
    short = forward(BERT, weights.read, weights.names, {"token_ids": ids})
    full = {"token_ids": ids, "segment_ids": ids * 0, "padding_mask": ids != 0}
    explicit = forward(BERT, weights.read, weights.names, full)
    np.testing.assert_array_equal(short["sequence_output"], explicit["sequence_output"])
    assert np.all(short["attention_scores"][0][0, :, :, 3:] == 0)


def test_masked_lm_predicts_every_position_by_default():
    weights = Weights(shapes(ALBERT) | mlm_shapes(ALBERT))
    (batch,) = sets((2, 5))
    all_logits = forward(ALBERT, weights.read, weights.names, batch, "masked_lm")["mlm_logits"]
    assert all_logits.shape == (2, 5, 50)
    some = batch | {"masked_positions": [[4, 0], [1, 1]]}
    logits = forward(ALBERT, weights.read, weights.names, some, "masked_lm")["mlm_logits"]
    picked = np.stack([all_logits[0, [4, 0]], all_logits[1, [1, 1]]])
    np.testing.assert_allclose(logits, picked, rtol=1e-12, atol=1e-12)


def test_without_pooler_or_sentence_head_their_outputs_are_absent():
    pooler = set(kernel("bert/pooler/dense", 8, 8))
    weights = Weights(shapes(BERT) | mlm_shapes(BERT))
    batch = sets((2, 5))[0] | {"masked_positions": np.zeros((2, 1), int)}
    ours = forward(BERT, weights.read, weights.names - pooler, batch, "pretraining")
    assert "mlm_logits" in ours
    assert not {"pooled_output", "sentence_relation_logits"} & set(ours)


def test_a_classifier_without_pooler_is_refused():
    weights = Weights(shapes(BERT, output_weights=(3, 8), output_bias=(3,)))
    names = weights.names - set(kernel("bert/pooler/dense", 8, 8))
    with pytest.raises(InputError, match="needs the pooler"):
        forward(BERT, weights.read, names, {"token_ids": [[1]]}, "classification")


def test_pre_ln_classifier_normalises_the_pooled_output_where_the_norm_is_stored():
    head = {"output_weights": (3, 8), "output_bias": (3,)}
    weights = Weights(shapes(PRE_LN, **head) | norm("loss/LayerNorm", 8))
    (batch,) = sets((2, 5))
    ours = forward(PRE_LN, weights.read, weights.names, batch, "classification")
    x = ours["pooled_output"]
    x = (x - x.mean(-1, keepdims=True)) / x.std(-1, keepdims=True)
    x = x * weights.read("loss/LayerNorm/gamma") + weights.read("loss/LayerNorm/beta")
    expected = x @ weights.read("output_weights").T + weights.read("output_bias")
    np.testing.assert_allclose(ours["logits"], expected, rtol=1e-9, atol=1e-9)
    plain = weights.names - set(norm("loss/LayerNorm", 8))
    without = forward(PRE_LN, weights.read, plain, batch, "classification")
    assert np.abs(without["logits"] - expected).max() > 0.1


def test_token_classifier_is_the_classifier_on_every_token():
    weights = Weights(shapes(BERT, output_weights=(3, 8), output_bias=(3,)))
    (batch,) = sets((2, 5))
    ours = forward(BERT, weights.read, weights.names, batch, "token_classification")
    kernel_, bias = weights.read("output_weights").T, weights.read("output_bias")
    for token in range(5):
        expected = ours["sequence_output"][:, token] @ kernel_ + bias
        np.testing.assert_allclose(ours["logits"][:, token], expected, rtol=1e-12, atol=1e-12)


BAD_INPUTS = [
    ("encoder", {}, "token_ids must be given"),
    ("encoder", {"token_ids": [1, 2]}, "token_ids must have 2 axes"),
    ("multiple_choice", {"token_ids": [[1, 2]]}, "token_ids must have 3 axes"),
    ("encoder", {"token_ids": [[1.0, 2.0]]}, "token_ids must be integers"),
    ("encoder", {"token_ids": [[1, 50]]}, "token_ids must be from 0 to 49"),
    ("encoder", {"token_ids": [[1, -1]]}, "token_ids must be from 0 to 49"),
    ("encoder", {"token_ids": [[1] * 11]}, "longer than max_sequence_length=10"),
    ("encoder", {"token_ids": [[1]], "segment_ids": [[2]]}, "segment_ids must be from 0 to 1"),
    ("encoder", {"token_ids": [[1]], "padding_mask": [1]}, "padding_mask must have shape"),
    ("encoder", {"token_ids": [[1]], "input_mask": [[1]]}, "inputs of task encoder are"),
    ("encoder", {"token_ids": [[1]], "masked_positions": [[0]]}, "inputs of task encoder are"),
    ("pretraining", {"token_ids": [[1]]}, "needs masked_positions"),
    ("masked_lm", {"token_ids": [[1]], "masked_positions": [[1]]}, "must be from 0 to 0"),
    ("masked_lm", {"token_ids": [[1]], "masked_positions": [0]}, "must have shape"),
    ("question_answering_v2", {"token_ids": [[1]], "start_positions": [-2]}, "from -1 to 0"),
    ("classification", {"token_ids": [[1]]}, "variable='output_weights'"),
    ("translation", {"token_ids": [[1]]}, "task must be one of encoder, "),
]


@pytest.mark.parametrize("task,inputs,message", BAD_INPUTS)
def test_bad_input_is_refused_in_one_line(task, inputs, message):
    weights = Weights(shapes(BERT))
    with pytest.raises(InputError) as caught:
        forward(BERT, weights.read, weights.names, inputs, task)
    assert message in str(caught.value)
    assert "Received: " in str(caught.value)
    assert "\n" not in str(caught.value)


V2_HEAD = (
    kernel("start_logits/dense", 8, 1)
    | kernel("end_logits/dense_0", 16, 8)
    | norm("end_logits/LayerNorm", 8)
    | kernel("end_logits/dense_1", 8, 1)
    | kernel("answer_class/dense_0", 16, 8)
    | {"answer_class/dense_1/kernel": (8, 1)}
)


def test_end_logits_follow_the_given_start_and_else_the_best():
    weights = Weights(shapes(BERT) | V2_HEAD)
    batch = sets((2, 6))[0] | {"answer_mask": [[0, 1, 1, 1, 1, 1], [0, 0, 1, 1, 1, 0]]}
    ours = forward(BERT, weights.read, weights.names, batch, "question_answering_v2")
    for beam in range(5):
        given = batch | {"start_positions": ours["start_top_index"][:, beam]}
        told = forward(BERT, weights.read, weights.names, given, "question_answering_v2")
        np.testing.assert_allclose(told["end_logits"], ours["end_beam_logits"][:, beam], atol=1e-12)
    best = forward(
        BERT,
        weights.read,
        weights.names,
        batch | {"start_positions": [-1, -1]},
        "question_answering_v2",
    )
    np.testing.assert_allclose(best["end_logits"], ours["end_beam_logits"][:, 0], atol=1e-12)
    np.testing.assert_array_equal(best["end_logits"], ours["end_logits"])


def test_more_beams_than_positions_are_refused():
    weights = Weights(shapes(BERT) | V2_HEAD)
    for options in ({"start_n_top": 4}, {"end_n_top": 4}, {"start_n_top": 0, "end_n_top": 1}):
        with pytest.raises(InputError, match="must be from 1 to the length 3"):
            options = {"start_n_top": 1, "end_n_top": 1} | options
            (batch,) = sets((1, 3))
            forward(BERT, weights.read, weights.names, batch, "question_answering_v2", **options)


def test_heads_without_options_refuse_them():
    weights = Weights(shapes(BERT) | mlm_shapes(BERT))
    with pytest.raises(TypeError, match="start_n_top"):
        forward(BERT, weights.read, weights.names, sets((1, 3))[0], "masked_lm", start_n_top=2)
