"""What a source is said to hold: sizes, work per token, every variable; and what was published."""

import json

import pytest

import keras_albert as ka
from checkpoints_tools.describe import (
    describe,
    flops_per_token,
    parameter_count,
    published,
    render,
    render_published,
)
from keras_albert.errors import InputError
from keras_albert.published import PUBLISHED
from tests.checkpoints_tools.folders import (
    CASES,
    CHECKPOINTS,
    HUB,
    copy_case,
    make_folder,
    read_variables,
)
from tests.paths import REFERENCE

# Known numbers of parameters without heads (FACTS; google-research/albert, README).
PARAMETERS = {
    "bert-base-uncased": 109_482_240,
    "albert-base-v2": 11_683_584,
    "albert-large-v2": 17_683_968,
    "albert-xlarge-v2": 58_724_864,
    "albert-xxlarge-v2": 222_595_584,
}


@pytest.mark.parametrize("name", CHECKPOINTS)
def test_every_variable_is_listed_with_its_shape_and_what_claims_it(name):
    prefix, config_path = CHECKPOINTS[name]
    arrays = read_variables(prefix)
    description = describe(prefix, config_path=config_path)
    shapes = {variable["name"]: variable["shape"] for variable in description["variables"]}
    assert shapes == {name: list(array.shape) for name, array in arrays.items()}
    claimed = {variable["name"]: variable["claimed_by"] for variable in description["variables"]}
    assert {key for key, by in claimed.items() if by == "(optimizer slot)"} == {
        key for key in arrays if key.endswith(("/adam_m", "/adam_v"))
    }
    assert {key for key, by in claimed.items() if by == "(training counter)"} == {
        key for key in arrays if key == "global_step"
    }
    total = sum(arrays[key].size for key, by in claimed.items() if not by.startswith("("))
    assert description["parameters"]["total"] == total


@pytest.mark.parametrize("name", CASES)
def test_the_encoder_s_parameters_are_those_of_the_keras_model(name):
    description = describe(REFERENCE / name)
    encoder = ka.load_encoder(REFERENCE / name)
    assert description["parameters"]["encoder"] == encoder.count_params()
    assert parameter_count(encoder.encoder_config) == encoder.count_params()


def test_the_description_is_json_and_its_keys_are_these():
    description = describe(REFERENCE / HUB / "module")
    assert json.loads(json.dumps(description, allow_nan=False)) == description
    assert set(description) == {
        "source", "kind", "family", "task", "config", "parameters", "flops_per_token",
        "variables", "absent_parts", "files", "notes",
    }  # fmt: skip
    assert description["kind"] == "tf_hub"
    assert description["files"] == {
        "config": "albert_config.json",
        "checkpoint": "variables",
        "vocabulary": "30k-clean.model",
        "data_missing": [],
    }
    config = ka.EncoderConfig.from_config(description["config"])
    assert config.to_dict() == json.loads(
        (REFERENCE / HUB / "albert_config.json").read_text(encoding="utf-8")
    )


def test_what_is_left_behind_is_a_note():
    prefix, config_path = CHECKPOINTS[f"{HUB}/finetuned/model.ckpt"]
    (note,) = describe(prefix, config_path=config_path)["notes"]
    assert note == "left behind: 54 optimizer slots, global_step"


def test_what_a_checkpoint_lacks_is_said(tmp_path):
    names = read_variables(CHECKPOINTS["bert_tiny"][0])
    gone = {name: None for name in names if name.startswith(("bert/pooler", "cls/seq"))}
    folder = make_folder(tmp_path / "source", "bert_tiny", gone)
    description = describe(folder)
    assert description["absent_parts"] == ["pooler", "sentence_relation"]
    assert description["task"] == "masked_lm"
    text = render(description)
    assert "  not in it: pooler\n  not in it: sentence_relation\n" in text


def test_an_index_without_data_is_enough_and_the_text_says_what_is_missing(tmp_path):
    folder = copy_case(tmp_path / "source", "albert_tiny")
    whole = describe(folder)
    (folder / "model.ckpt.data-00000-of-00001").unlink()
    description = describe(folder)
    assert description["files"].pop("data_missing") == ["model.ckpt.data-?????-of-?????"]
    whole["files"].pop("data_missing")
    assert description == whole
    assert "missing data: model.ckpt.data-?????-of-?????" in render(describe(folder))


def test_the_text_shows_architecture_files_and_each_variable():
    description = describe(REFERENCE / "albert_groups")
    lines = render(description).splitlines()
    assert lines[0] == f"{REFERENCE / 'albert_groups'}: albert, for pretraining"
    assert "layers 6, width 40, heads 4, feed-forward 74, embedding 20, groups 2 x 2" in lines[1]
    assert "activation relu, post-LN, dropout 0" in lines[2]
    assert "operations per token 0.4 million at length 64" in lines[4]
    for variable in description["variables"]:
        (line,) = [one for one in lines if one.split()[:1] == [variable["name"]]]
        assert line.endswith(f"  {variable['claimed_by']}")


def counted_flops(config, length):
    """Two operations for each multiply-add, product by product, as the papers write them."""
    width, heads = config.hidden_dim, config.num_heads
    size = width // heads
    per_token = 0
    for _ in range(config.num_layers * config.inner_layers):
        for _ in ("query", "key", "value", "output"):
            per_token += 2 * width * width
        for _ in range(heads):
            per_token += 2 * size * length  # scores with every token
            per_token += 2 * length * size  # the mean of every token's values
        per_token += 2 * width * config.intermediate_dim
        per_token += 2 * config.intermediate_dim * width
    if config.family == "albert_zh" or config.embedding_dim != config.hidden_dim:
        per_token += 2 * config.embedding_dim * width
    return per_token


@pytest.mark.parametrize("name", ["bert-tiny", "albert-xxlarge-v2", "albert-tiny-zh"])
def test_operations_per_token_are_those_counted_by_hand(name):
    config = ka.EncoderConfig.published(name)
    assert flops_per_token(config) == {
        "128": counted_flops(config, 128),
        "512": counted_flops(config, 512),
    }


def test_sharing_saves_parameters_and_no_operations():
    bert = ka.EncoderConfig.published("bert-base-uncased")
    albert = ka.EncoderConfig.published("albert-base-v2")
    assert parameter_count(bert) > 9 * parameter_count(albert)
    projection = 2 * 128 * 768
    assert flops_per_token(albert)["128"] == flops_per_token(bert)["128"] + projection


def test_operations_of_a_short_model_are_given_for_its_length_alone():
    description = describe(REFERENCE / "albert_groups")
    config = ka.EncoderConfig.from_config(description["config"])
    assert description["flops_per_token"] == {"64": counted_flops(config, 64)}


def test_every_published_checkpoint_has_a_row():
    rows = published()
    assert [row["name"] for row in rows] == list(PUBLISHED)
    assert json.loads(json.dumps(rows)) == rows
    for row in rows:
        assert row["address"].startswith("https://storage.googleapis.com/")
        assert row["address"].endswith((".zip", ".tar.gz"))
        assert row["config"].endswith(".json")
        assert row["vocabulary"].endswith((".txt", ".model"))
        assert isinstance(row["lower_case"], bool)
        assert row["parameters"] > 1_000_000


@pytest.mark.parametrize("name", PARAMETERS)
def test_published_parameters_are_the_known_numbers(name):
    (row,) = published(name)
    assert (row["name"], row["parameters"]) == (name, PARAMETERS[name])


def test_the_published_rows_as_text():
    assert render_published(published("bert-base-cased")) == (
        "bert-base-cased\n"
        "  https://storage.googleapis.com/bert_models/2018_10_18/cased_L-12_H-768_A-12.zip\n"
        "  folder cased_L-12_H-768_A-12, config bert_config.json, vocabulary vocab.txt, cased, "
        "108,310,272 parameters"
    )


def test_a_name_that_was_not_published_is_refused_with_near_ones():
    with pytest.raises(InputError, match="near: albert-base-v2"):
        published("albert-base-v3")
