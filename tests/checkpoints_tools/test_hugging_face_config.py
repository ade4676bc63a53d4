"""Hugging Face's config.json: every key means something, changes nothing, or is refused."""

import json

import pytest

import keras_albert as ka
from checkpoints_tools.hugging_face_config import read_description, write_description
from keras_albert.errors import InputError
from tests.checkpoints_tools.hugging_face_folders import ALBERT, BERT, MADE

SIZES = {
    "vocab_size": 60,
    "hidden_dim": 16,
    "num_layers": 4,
    "num_heads": 2,
    "intermediate_dim": 24,
    "max_sequence_length": 20,
}
# What transformers 4 wrote into config.json of published models; none of it changes the graph.
PUBLISHED_EXTRAS = {
    "_name_or_path": "bert-base-uncased",
    "_num_labels": 2,
    "classifier_dropout": None,
    "directionality": "bidi",
    "dtype": "float32",
    "finetuning_task": "mrpc",
    "gradient_checkpointing": False,
    "label2id": {"LABEL_0": 0, "LABEL_1": 1},
    "max_length": 20,
    "num_beams": 1,
    "output_past": True,
    "pad_token_id": 0,
    "pooler_fc_size": 768,
    "pooler_num_attention_heads": 12,
    "pooler_num_fc_layers": 3,
    "pooler_size_per_head": 128,
    "pooler_type": "first_token_transform",
    "position_embedding_type": "absolute",
    "problem_type": "single_label_classification",
    "pruned_heads": {},
    "torch_dtype": "float32",
    "transformers_version": "4.30.0",
    "use_cache": True,
    # ALBERT's
    "down_scale_factor": 1,
    "gap_size": 0,
    "net_structure_type": 0,
    "num_memory_blocks": 0,
    "layers_to_keep": [],
    "bos_token_id": 2,
    "eos_token_id": 3,
}


@pytest.fixture
def read(tmp_path):
    """Reads the config.json that transformers made with other keys, None to leave one out."""

    def call(name=BERT, ignore_keys=(), **changes):
        keys = json.loads((MADE / name / "config.json").read_text()) | changes
        path = tmp_path / "config.json"
        path.write_text(json.dumps({k: v for k, v in keys.items() if v is not ...}))
        return read_description(path, ignore_keys)

    return call


@pytest.fixture
def refused(read, tmp_path):
    def call(*arguments, **changes):
        with pytest.raises(InputError) as caught:
            read(*arguments, **changes)
        message = str(caught.value)
        assert message.startswith(f"{tmp_path / 'config.json'}: ")
        assert "\n" not in message
        return message

    return call


def test_sizes_and_rates_are_taken(read):
    assert read().config == ka.EncoderConfig(**SIZES, activation="gelu")
    assert read(ALBERT).config == ka.EncoderConfig(
        **SIZES,
        embedding_dim=8,
        num_groups=2,
        inner_layers=2,
        dropout=0.0,
        attention_dropout=0.0,
    )
    other = read(layer_norm_eps=1e-5, hidden_dropout_prob=0.3, initializer_range=0.05).config
    found = (other.layer_norm_epsilon, other.dropout, other.initializer_range)
    assert found == (1e-5, 0.3, 0.05)


@pytest.mark.parametrize(
    ("theirs", "ours"),
    [
        ("gelu", "gelu"),
        ("gelu_python", "gelu"),
        ("gelu_new", "gelu_tanh"),
        ("gelu_fast", "gelu_tanh"),
        ("gelu_pytorch_tanh", "gelu_tanh"),
        ("relu", "relu"),
        ("tanh", "tanh"),
    ],
)
def test_activations_are_what_transformers_computes_under_their_names(read, theirs, ours):
    assert read(hidden_act=theirs).config.activation == ours


@pytest.mark.parametrize("name", [BERT, ALBERT])
def test_what_published_files_hold_besides_changes_nothing(read, name):
    assert read(name, **PUBLISHED_EXTRAS).config == read(name).config


def test_what_albert_leaves_out_is_transformers_default(read):
    config = read(ALBERT, num_hidden_groups=..., inner_group_num=..., layer_norm_eps=None).config
    assert (config.num_groups, config.inner_layers, config.layer_norm_epsilon) == (1, 1, 1e-12)


@pytest.mark.parametrize("name", [BERT, ALBERT])
def test_a_file_from_before_model_type_goes_by_its_keys(read, name):
    assert read(name, model_type=...).config == read(name).config


@pytest.mark.parametrize(
    ("name", "changes", "rate"),
    [
        (BERT, {}, 0.1),  # null: hidden_dropout_prob
        (BERT, {"hidden_dropout_prob": 0.3}, 0.3),
        (BERT, {"classifier_dropout": 0.0}, 0.0),
        (ALBERT, {}, 0.1),
        (ALBERT, {"classifier_dropout_prob": 0.4}, 0.4),
        (ALBERT, {"classifier_dropout_prob": ...}, 0.1),
    ],
)
def test_the_dropout_of_the_head(read, name, changes, rate):
    assert read(name, **changes).head_dropout == rate


@pytest.mark.parametrize(
    ("architectures", "task"),
    [
        (["BertForMaskedLM"], "masked_lm"),
        (["BertModel"], "encoder"),
        (["BertForRetrieval"], None),
        (["AlbertModel"], None),
        ([], None),
        (None, None),
        ([3], None),
    ],
)
def test_the_first_class_gives_the_task(read, architectures, task):
    assert read(architectures=architectures).task == task


def test_labels_come_in_the_order_of_their_ids(read):
    labels = {str(index): f"class {index}" for index in range(12)}
    shuffled = dict(sorted(labels.items(), reverse=True))
    assert read(id2label=shuffled).labels == tuple(labels.values())
    assert read(id2label={"0": "LABEL_0", "1": "LABEL_1"}).labels is None
    assert read().labels is None


@pytest.mark.parametrize("labels", [{"1": "a"}, {"0": "a", "2": "b"}, {"0": 3}, ["a"], {}])
def test_labels_that_name_no_classes_are_refused(refused, labels):
    assert "id2label names the classes 0, 1, 2" in refused(id2label=labels)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("position_embedding_type", "relative_key"),
        ("is_decoder", True),
        ("add_cross_attention", True),
        ("pruned_heads", {"0": [1]}),
        ("quantization_config", {"bits": 4}),
    ],
)
def test_another_graph_is_refused(refused, key, value):
    assert "is another graph, which is not built here" in refused(**{key: value})


@pytest.mark.parametrize("model_type", ["distilbert", "roberta", 7, ["bert"]])
def test_another_model_is_refused(refused, model_type):
    message = refused(model_type=model_type)
    assert "bert and albert are read. Received: model_type=" in message


def test_unknown_keys_are_refused_with_a_hint_and_dropped_when_named(read, refused):
    assert refused(hidden_sise=3).endswith(
        "unknown key; did you mean 'hidden_size'?. Received: 'hidden_sise'=3"
    )
    assert "name it in ignore_keys (--ignore-config-key)" in refused(rotary=True)
    assert read(ignore_keys=["rotary"], rotary=True).config == read().config
    # BERT has no groups.
    assert "unknown key" in refused(num_hidden_groups=1)


@pytest.mark.parametrize("missing", [..., None])
def test_a_size_that_is_missing_is_named(refused, missing):
    message = refused(hidden_act=missing, vocab_size=missing)
    assert message.endswith("needs these keys. Received: no vocab_size, hidden_act")
    assert refused(ALBERT, embedding_size=missing).endswith("Received: no embedding_size")


@pytest.mark.parametrize(
    "changes",
    [
        {"hidden_act": "silu"},
        {"hidden_act": 3},
        {"hidden_size": "16"},
        {"num_attention_heads": 3},
        {"classifier_dropout": "half"},
        {"classifier_dropout": 1.0},
        {"layer_norm_eps": -1},
    ],
)
def test_values_that_break_a_rule_are_refused(refused, changes):
    assert " Received: " in refused(**changes)


def test_layers_that_transformers_groups_otherwise_are_refused(read, refused):
    """Of 18 layers in 14 groups, rounding in another order shares other layers."""
    assert read(ALBERT, num_hidden_layers=18, num_hidden_groups=6).config.num_groups == 6
    message = refused(ALBERT, num_hidden_layers=18, num_hidden_groups=14)
    assert message.endswith("Received: num_hidden_layers=18, num_hidden_groups=14")
    config = ka.EncoderConfig(**SIZES | {"num_layers": 18}, num_groups=14)
    with pytest.raises(InputError, match="they round differently"):
        write_description(config, "encoder", None, None)


@pytest.mark.parametrize("name", [BERT, ALBERT])
def test_what_is_written_is_what_transformers_wrote(read, name):
    theirs = json.loads((MADE / name / "config.json").read_text())
    found = write_description(read(name).config, "pretraining", None, None)
    assert {key: theirs[key] for key in found} == found


@pytest.mark.parametrize("name", [BERT, ALBERT])
@pytest.mark.parametrize("activation", ["gelu", "gelu_tanh", "relu", "tanh", "linear"])
def test_what_is_written_reads_back(tmp_path, read, name, activation):
    fields = read(name).config.get_config()
    changed = fields | {"activation": activation, "layer_norm_epsilon": 1e-6, "dropout": 0.2}
    config = ka.EncoderConfig.from_config(changed)
    written = write_description(config, "token_classification", ["a", "b", "c"], 0.25)
    path = tmp_path / "written.json"
    path.write_text(json.dumps(written))
    assert read_description(path) == (config, "token_classification", ("a", "b", "c"), 0.25)


@pytest.mark.parametrize(
    ("fields", "task"),
    [
        ({"family": "albert_zh", "num_groups": 1}, "encoder"),
        ({"num_groups": 1, "norm_position": "pre"}, "encoder"),
        ({"num_groups": 1}, "question_answering_v2"),
    ],
)
def test_what_transformers_has_no_class_for_is_not_written(fields, task):
    config = ka.EncoderConfig(**SIZES, embedding_dim=8, **fields)
    with pytest.raises(InputError, match="transformers has no class for this"):
        write_description(config, task, None, None)
