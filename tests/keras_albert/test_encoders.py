"""bert_encoder and albert_encoder: sharing, lengths, outputs, names, precision."""

from itertools import chain, combinations

import keras
import numpy as np
import pytest

import keras_albert as ka
from keras_albert.encoders import OUTPUTS, build_encoder
from keras_albert.heads import build_model
from tests.keras_albert.tiny import (
    ALBERT,
    ALBERT_ZH,
    ALL_TASKS,
    BERT,
    CONFIGS,
    HEADS,
    MASK,
    SEGMENTS,
    TOKENS,
    assert_same,
    inputs_of,
    numbers,
    options_of,
    spread,
)
from tests.layer_check import on_tensorflow

POLICIES = ("mixed_bfloat16", "mixed_float16", "bfloat16")
LONGEST = BERT.max_sequence_length


@pytest.fixture(scope="module")
def encoders():
    """An encoder of each family with all outputs, and weights that show."""
    return {
        family: spread(build_encoder(config, outputs=OUTPUTS)) for family, config in CONFIGS.items()
    }


def block_names(model):
    return [layer.name for layer in model.layers if layer.name.startswith("encoder_block")]


# Sharing over depth


@pytest.mark.parametrize(
    ("sizes", "schedule"),
    [
        ({"num_layers": 3, "num_groups": 1}, (0, 0, 0)),
        ({"num_layers": 4, "num_groups": 2}, (0, 0, 1, 1)),
        ({"num_layers": 3, "num_groups": 2}, (0, 0, 1)),
        ({"num_layers": 2, "num_groups": 1, "inner_layers": 2}, (0, 1, 0, 1)),
        ({"num_layers": 4, "num_groups": 2, "inner_layers": 2}, (0, 1, 0, 1, 2, 3, 2, 3)),
    ],
)
def test_albert_blocks_share_weights_across_depth(sizes, schedule):
    config = ka.EncoderConfig(
        vocab_size=50, embedding_dim=6, hidden_dim=8, num_heads=2, intermediate_dim=12, **sizes
    )
    encoder = ka.albert_encoder(config, outputs=("encoder_outputs",))
    assert block_names(encoder) == [f"encoder_block_{index}" for index in range(max(schedule) + 1)]
    runs = [output._keras_history.operation for output in encoder.output["encoder_outputs"]]
    assert [run.name for run in runs] == [f"encoder_block_{index}" for index in schedule]
    assert all(run is encoder.get_layer(run.name) for run in runs)
    embeddings = 3 + 2 + 2  # tables, norm, projection
    assert len(encoder.weights) == embeddings + 16 * len(set(schedule))


def test_bert_has_a_block_of_its_own_for_every_layer():
    sizes = BERT.get_config() | {"num_layers": 5, "num_groups": 5}
    encoder = ka.bert_encoder(ka.EncoderConfig.from_config(sizes))
    assert block_names(encoder) == [f"encoder_block_{index}" for index in range(5)]
    assert len(encoder.weights) == 3 + 2 + 5 * 16 + 2


# Lengths and ids


@pytest.mark.parametrize("family", CONFIGS)
@pytest.mark.parametrize("length", [1, 7, LONGEST])
def test_any_length_up_to_the_maximum_runs(encoders, family, length):
    tokens = np.arange(2 * length).reshape(2, length) % 49 + 1
    encoder = encoders[family]
    found = encoder(tokens)
    assert found["sequence_output"].shape == (2, length, 8)
    assert found["attention_scores"][-1].shape == (2, 2, length, length)
    if length == LONGEST:
        assert_same(encoder.predict(tokens, verbose=0), found, atol=1e-4)


def test_a_longer_sequence_is_an_error_in_an_eager_call_and_in_predict(encoders):
    tokens = np.ones((2, LONGEST + 1), "int32")
    rule = (
        f"A sequence has at most max_length={LONGEST} positions, counted from 0. "
        f"Received: position={LONGEST}"
    )
    with pytest.raises(ka.InputError, match=rule):
        encoders["bert"](tokens)
    with pytest.raises(ka.InputError, match=rule):
        # An error in predict costs a Keras model its weights on JAX: not the shared one's.
        ka.bert_encoder(BERT).predict(tokens, verbose=0)
    with pytest.raises(ka.InputError, match=rule):
        encoders["bert"](keras.Input((LONGEST + 1,), dtype="int32"))


@pytest.mark.parametrize(
    ("inputs", "rule"),
    [
        ({"token_ids": TOKENS + 20}, r"Token ids .* below vocab_size=50\. Received: token_id=50"),
        ({"token_ids": TOKENS - 3}, r"Token ids must be at least 0 .* Received: token_id=-1"),
        (
            {"token_ids": TOKENS, "segment_ids": SEGMENTS + 1},
            r"Segment ids .* below num_segments=2\. Received: segment_id=2",
        ),
        (
            {"token_ids": TOKENS, "segment_ids": -SEGMENTS},
            r"Segment ids must be at least 0 .* Received: segment_id=-1",
        ),
    ],
    ids=["token too large", "token negative", "segment too large", "segment negative"],
)
def test_an_id_outside_its_table_is_an_error_in_an_eager_call(encoders, inputs, rule):
    with pytest.raises(ka.InputError, match=rule):
        encoders["albert"](inputs)


@on_tensorflow
def test_ids_and_lengths_are_checked_in_a_graph_of_unknown_sizes(encoders):
    import tensorflow as tf

    unknown = tf.TensorSpec([None, None], "int32")
    run = tf.function(
        lambda token_ids, segment_ids: encoders["albert"](
            {"token_ids": token_ids, "segment_ids": segment_ids}
        )["pooled_output"],
        input_signature=[unknown, unknown],
    )
    expected = encoders["albert"]({"token_ids": TOKENS, "segment_ids": SEGMENTS})
    assert_same(run(TOKENS, SEGMENTS), expected["pooled_output"], atol=1e-5)
    long = np.ones((2, LONGEST + 1), "int32")
    for tokens, segments, rule in (
        (TOKENS + 20, SEGMENTS, r"below vocab_size=50\. Received: token_id="),
        (TOKENS - 3, SEGMENTS, r"at least 0 and below vocab_size=50\. Received: token_id="),
        (TOKENS, SEGMENTS + 1, r"below num_segments=2\. Received: segment_id="),
        (long, 0 * long, rf"max_length={LONGEST}\b.* Received: position="),
    ):
        with pytest.raises(tf.errors.InvalidArgumentError, match=rule):
            run(tokens, segments)


@on_tensorflow
def test_predict_checks_token_ids(encoders):
    import tensorflow as tf

    with pytest.raises(tf.errors.InvalidArgumentError, match="below vocab_size=50"):
        encoders["bert"].predict(TOKENS + 20, verbose=0)


# Outputs


@pytest.mark.parametrize("family", CONFIGS)
def test_shapes_and_widths_are_the_documented_ones(encoders, family):
    config = CONFIGS[family]
    found = encoders[family](TOKENS)
    batch, length = TOKENS.shape
    # albert_zh widens the tokens before positions and segments are added.
    width = config.embedding_dim if family == "albert" else config.hidden_dim
    assert list(found) == list(OUTPUTS)
    assert found["embedding_output"].shape == (batch, length, width)
    assert [x.shape for x in found["encoder_outputs"]] == [(batch, length, 8)] * 2
    assert [x.shape for x in found["attention_scores"]] == [(batch, 2, length, length)] * 2
    assert found["sequence_output"].shape == (batch, length, 8)
    assert found["pooled_output"].shape == (batch, 8)
    assert_same(found["sequence_output"], found["encoder_outputs"][-1])
    for scores in numbers(found["attention_scores"]):
        np.testing.assert_allclose(scores.sum(-1), 1.0, atol=1e-6)
        assert np.abs(scores[0, :, :, 4:]).max() == 0.0  # padding


SUBSETS = tuple(chain.from_iterable(combinations(OUTPUTS, size) for size in range(1, 5)))


@pytest.mark.parametrize("outputs", SUBSETS, ids="+".join)
def test_every_choice_of_outputs_gives_the_same_numbers(encoders, outputs):
    full = encoders["albert"]
    encoder = ka.albert_encoder(ALBERT, outputs=outputs)
    weights = {weight.path: weight for weight in full.weights}
    for weight in encoder.weights:
        weight.assign(weights[weight.path])
    found = encoder(TOKENS)
    assert tuple(found) == outputs
    assert ("pool/kernel" in weights.keys() - {w.path for w in encoder.weights}) == (
        "pooled_output" not in outputs
    )
    everything = full(TOKENS)
    assert_same(found, {name: everything[name] for name in outputs}, atol=1e-6)


def test_the_default_outputs_are_sequence_and_pooled_output():
    assert tuple(ka.bert_encoder(BERT).output) == ("sequence_output", "pooled_output")


def test_one_output_may_be_named_without_a_tuple():
    assert tuple(ka.bert_encoder(BERT, outputs="pooled_output").output) == ("pooled_output",)


@pytest.mark.parametrize("outputs", [(), ("pooled_output", "logits"), "sequence"])
def test_an_unknown_output_is_an_error(outputs):
    with pytest.raises(ka.InputError, match=r"outputs are some of .* Received: outputs=") as caught:
        ka.bert_encoder(BERT, outputs=outputs)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("family", CONFIGS)
def test_pooled_output_alone_needs_only_the_first_row_of_the_last_block(encoders, family):
    encoder = build_encoder(CONFIGS[family], outputs=("pooled_output",))
    weights = {weight.path: weight for weight in encoders[family].weights}
    for weight in encoder.weights:
        weight.assign(weights[weight.path])
    entering = keras.Model(encoder.input, encoder.get_layer("pool").input)
    everything = {"token_ids": TOKENS, "segment_ids": 0 * TOKENS, "padding_mask": MASK}
    assert entering(everything).shape == (2, 1, 8)
    for inputs in ({"token_ids": TOKENS}, {"token_ids": TOKENS, "segment_ids": SEGMENTS}):
        expected = encoders[family](inputs)["pooled_output"]
        assert_same(encoder(inputs)["pooled_output"], expected, atol=1e-6)


@pytest.mark.parametrize("family", CONFIGS)
@pytest.mark.parametrize(
    "mask", [MASK, np.array([[1, 0, 1, 1, 0, 1], [1, 1, 0, 0, 1, 1]])], ids=["padding", "holes"]
)
def test_tokens_under_the_mask_do_not_influence_the_others(encoders, family, mask):
    def run(tokens):
        found = numbers(encoders[family]({"token_ids": tokens, "padding_mask": mask}))
        return found["sequence_output"][mask == 1], found["pooled_output"]

    other = np.where(mask, TOKENS, (TOKENS + 17) % 50)
    assert (other != TOKENS).any()
    assert_same(run(other), run(TOKENS), atol=1e-6)


@pytest.mark.parametrize("family", CONFIGS)
def test_more_padding_changes_nothing(encoders, family):
    padded = np.pad(TOKENS, [(0, 0), (0, 5)])
    longer = numbers(encoders[family](padded)["sequence_output"])[:, : TOKENS.shape[1]]
    assert_same(longer, encoders[family](TOKENS)["sequence_output"], atol=1e-5)


def test_each_function_builds_its_own_family():
    with pytest.raises(
        ka.InputError,
        match=r"^bert_encoder takes a configuration of the family bert\. "
        r"Received: family='albert'$",
    ):
        ka.bert_encoder(ALBERT)
    with pytest.raises(
        ka.InputError,
        match=r"^albert_encoder takes a configuration of the family albert or albert_zh\. "
        r"Received: family='bert'$",
    ):
        ka.albert_encoder(BERT)


# Names: what layout maps, tables, LAMB and converted directories rest on

_EMBEDDINGS = {
    "token_embedding/embeddings": (50, 8),
    "segment_embedding/embeddings": (2, 8),
    "position_embedding/embeddings": (16, 8),
    "embedding_layer_norm/gamma": (8,),
    "embedding_layer_norm/beta": (8,),
}
_BLOCK = {
    "attention/query/kernel": (8, 8),
    "attention/query/bias": (8,),
    "attention/key/kernel": (8, 8),
    "attention/key/bias": (8,),
    "attention/value/kernel": (8, 8),
    "attention/value/bias": (8,),
    "attention/output/kernel": (8, 8),
    "attention/output/bias": (8,),
    "attention_layer_norm/gamma": (8,),
    "attention_layer_norm/beta": (8,),
    "intermediate/kernel": (8, 12),
    "intermediate/bias": (12,),
    "output/kernel": (12, 8),
    "output/bias": (8,),
    "output_layer_norm/gamma": (8,),
    "output_layer_norm/beta": (8,),
}
_BLOCK_0 = {f"encoder_block_0/{path}": shape for path, shape in _BLOCK.items()}
_BLOCK_1 = {f"encoder_block_1/{path}": shape for path, shape in _BLOCK.items()}
_BODIES = {
    "bert": _EMBEDDINGS | _BLOCK_0 | _BLOCK_1,
    "albert": {
        "token_embedding/embeddings": (50, 6),
        "segment_embedding/embeddings": (2, 6),
        "position_embedding/embeddings": (16, 6),
        "embedding_layer_norm/gamma": (6,),
        "embedding_layer_norm/beta": (6,),
        "embedding_projection/kernel": (6, 8),
        "embedding_projection/bias": (8,),
    }
    | _BLOCK_0,
    "albert_zh": _EMBEDDINGS
    | {"token_embedding/embeddings": (50, 6), "token_projection/kernel": (6, 8)}
    | _BLOCK_0,
}
_POOL = {"pool/kernel": (8, 8), "pool/bias": (8,)}
_HEADS = {
    "encoder": _POOL,
    "masked_lm": {
        "masked_lm/transform/kernel": (8, 8),
        "masked_lm/transform/bias": (8,),
        "masked_lm/layer_norm/gamma": (8,),
        "masked_lm/layer_norm/beta": (8,),
        "masked_lm/bias": (50,),
    },
    "classification": _POOL | {"classifier/kernel": (8, 3), "classifier/bias": (3,)},
    "token_classification": {"classifier/kernel": (8, 4), "classifier/bias": (4,)},
    "question_answering": {"span/kernel": (8, 2), "span/bias": (2,)},
    "question_answering_v2": {
        "answer_span/start/kernel": (8, 1),
        "answer_span/start/bias": (1,),
        "answer_span/end_hidden/kernel": (16, 8),
        "answer_span/end_hidden/bias": (8,),
        "answer_span/end_layer_norm/gamma": (8,),
        "answer_span/end_layer_norm/beta": (8,),
        "answer_span/end/kernel": (8, 1),
        "answer_span/end/bias": (1,),
        "answer_span/answerable_hidden/kernel": (16, 8),
        "answer_span/answerable_hidden/bias": (8,),
        "answer_span/answerable/kernel": (8, 1),
    },
    "multiple_choice": _POOL | {"classifier/kernel": (8, 1), "classifier/bias": (1,)},
}
_HEADS["pretraining"] = (
    _POOL
    | _HEADS["masked_lm"]
    | {"sentence_relation/kernel": (8, 2), "sentence_relation/bias": (2,)}
)
_PRE_LN = {"pooled_layer_norm/gamma": (8,), "pooled_layer_norm/beta": (8,)}
_NARROW = {  # ALBERT's MLM head works at the table's width.
    "masked_lm/transform/kernel": (8, 6),
    "masked_lm/transform/bias": (6,),
    "masked_lm/layer_norm/gamma": (6,),
    "masked_lm/layer_norm/beta": (6,),
}


def contract(family, task):
    """The documented paths with their shapes, for the tiny configurations."""
    head = _HEADS[task]
    if family == "albert" and task in ("masked_lm", "pretraining"):
        head = head | _NARROW
    if family == "albert_zh" and task in ("classification", "multiple_choice"):
        head = head | _PRE_LN
    return _BODIES[family] | head


@pytest.mark.parametrize("task", ALL_TASKS)
@pytest.mark.parametrize("family", CONFIGS)
def test_variable_paths_are_the_documented_contract(family, task):
    options = {} if task == "encoder" else options_of(task)
    model = build_model(CONFIGS[family], task, **options)
    found = [(weight.path, tuple(weight.shape)) for weight in model.weights]
    assert dict(found) == contract(family, task)
    assert len(found) == len(dict(found))


# FACTS: parameters without heads, of Google's checkpoints.
COUNTS = {
    "albert-base-v2": 11_683_584,
    "albert-large-v2": 17_683_968,
    "albert-xlarge-v2": 58_724_864,
    "albert-xxlarge-v2": 222_595_584,
    "bert-base-uncased": 109_482_240,
}


@pytest.mark.parametrize(
    "name",
    ["albert-base-v2", *(pytest.param(n, marks=pytest.mark.slow) for n in list(COUNTS)[1:])],
)
def test_a_published_size_has_its_known_number_of_parameters(name):
    encoder = build_encoder(ka.EncoderConfig.published(name), outputs=("pooled_output",))
    assert encoder.count_params() == COUNTS[name]


# Fresh weights


@pytest.mark.parametrize("family", CONFIGS)
def test_fresh_weights_are_drawn_as_google_draws_them(family):
    sizes = CONFIGS[family].get_config() | {
        "vocab_size": 200,
        "hidden_dim": 48,
        "intermediate_dim": 96,
        "initializer_range": 0.1,
    }
    if family == "bert":
        sizes["embedding_dim"] = 48
    models = [
        build_model(ka.EncoderConfig.from_config(sizes), task) for task in ("pretraining", *HEADS)
    ]
    for weight in chain.from_iterable(model.weights for model in models):
        values = numbers(weight)
        if weight.path.endswith(("kernel", "embeddings")):
            assert np.abs(values).max() <= 0.2, weight.path
            if values.size >= 1000:
                # A normal cut at two standard deviations has 0.8796 of its deviation left.
                assert values.std() == pytest.approx(0.08796, rel=0.06), weight.path
            assert values.std() > 0, weight.path
        else:
            constant = 1.0 if weight.path.endswith("gamma") else 0.0
            np.testing.assert_array_equal(values, constant, err_msg=weight.path)


@pytest.mark.parametrize("family", CONFIGS)
def test_no_two_fresh_weights_start_equal(family):
    model = build_model(CONFIGS[family], "pretraining")
    kernels = [w for w in model.weights if w.path.endswith(("kernel", "embeddings"))]
    assert len(kernels) >= 9
    for one, other in combinations(kernels, 2):
        if one.shape == other.shape:
            assert not np.array_equal(numbers(one), numbers(other)), (one.path, other.path)


# Precision


def policies_of(model):
    """Path of a layer -> its policy, without inputs and the model itself."""
    return {
        layer.path: layer.dtype_policy.name
        for layer in model._flatten_layers(include_self=False)
        if not isinstance(layer, keras.layers.InputLayer)
    }


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize("family", CONFIGS)
def test_a_policy_reaches_every_layer_of_an_encoder(encoders, family, policy):
    encoder = build_encoder(CONFIGS[family], outputs=OUTPUTS, dtype=policy)
    assert set(policies_of(encoder).values()) == {policy}
    assert encoder.dtype_policy.name == policy
    variable_dtype = "bfloat16" if policy == "bfloat16" else "float32"
    assert {weight.dtype for weight in encoder.weights} == {variable_dtype}
    for weight, wide in zip(encoder.weights, encoders[family].weights, strict=True):
        weight.assign(wide)
    found = encoder({"token_ids": TOKENS, "segment_ids": SEGMENTS})
    compute_dtype = "float16" if "float16" in policy.split("_") else "bfloat16"
    for value in (found["sequence_output"], found["pooled_output"], *found["attention_scores"]):
        assert keras.backend.standardize_dtype(value.dtype) == compute_dtype
        assert np.isfinite(numbers(value)).all()


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize("task", HEADS)
def test_logits_are_float32_in_every_policy_and_near_those_of_float32(task, policy):
    options = options_of(task)
    wide = spread(build_model(ALBERT, task, **options), scale=0.2)
    model = build_model(ALBERT, task, dtype=policy, **options)
    for weight, other in zip(model.weights, wide.weights, strict=True):
        weight.assign(other)
    assert model.dtype_policy.name == policy
    others = {path: other for path, other in policies_of(model).items() if other != policy}
    assert set(others.values()) <= {"float32"}
    assert set(others) <= {  # the layers that give logits
        "classifier",
        "choices",
        "span",
        "answer_span/start",
        "answer_span/end",
        "answer_span/answerable",
        "sentence_relation",
    }
    expected = numbers(wide(inputs_of(task)))
    for name, value in model(inputs_of(task)).items():
        if name.endswith("index"):
            continue
        assert keras.backend.standardize_dtype(value.dtype) == "float32", name
        value = numbers(value)
        assert np.isfinite(value).all(), name
        if "top" not in name:  # beams may change places
            distance = np.abs(value - expected[name]).max()
            bar = 2e-3 if policy == "mixed_float16" else 2e-2
            assert distance <= bar * max(1.0, np.abs(expected[name]).max()), (name, distance)


def test_a_global_policy_is_that_of_every_layer():
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        encoder = ka.albert_encoder(ALBERT_ZH)
    finally:
        keras.config.set_dtype_policy(before)
    assert set(policies_of(encoder).values()) == {"mixed_bfloat16"}
    assert encoder.dtype_policy.name == "mixed_bfloat16"


@pytest.mark.parametrize("policy", [None, *POLICIES])
def test_a_fully_masked_row_is_finite(policy):
    encoder = ka.bert_encoder(BERT, dtype=policy)
    found = encoder({"token_ids": TOKENS, "padding_mask": 0 * TOKENS})
    assert np.isfinite(numbers(found["sequence_output"])).all()


def test_ids_that_int32_cannot_hold_do_not_wrap_around_to_ones_that_exist(encoders):
    for outside, dtype in ((2**32 + 3, "int64"), (-(2**40), "int64"), (2**32 + 3, "uint64")):
        with pytest.raises(ka.InputError, match="Token ids must be at least 0"):
            encoders["bert"]({"token_ids": np.array([[outside]], dtype)})
