"""EncoderConfig: Google's JSON in and out, the schedule, the published sizes."""

import dataclasses
import json

import pytest

from keras_albert.config import EncoderConfig
from keras_albert.config_json import read_json, write_json
from keras_albert.errors import InputError
from keras_albert.published import PUBLISHED
from tests.paths import REFERENCE, SHARED, needs_shared

BERT = {
    "vocab_size": 331,
    "hidden_size": 48,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "intermediate_size": 111,
    "hidden_act": "gelu",
    "max_position_embeddings": 64,
    "type_vocab_size": 2,
    "hidden_dropout_prob": 0.1,
    "attention_probs_dropout_prob": 0.1,
    "initializer_range": 0.02,
}
ALBERT = BERT | {"embedding_size": 24, "num_hidden_groups": 1, "inner_group_num": 1}
ALBERT_ZH = BERT | {"embedding_size": 24, "ln_type": "postln"}

REFERENCE_CONFIGS = sorted(REFERENCE.glob("*/*_config.json"))


@pytest.mark.parametrize("path", REFERENCE_CONFIGS, ids=lambda path: path.parent.name)
def test_reference_json_comes_back_key_for_key(path, tmp_path):
    config = EncoderConfig.from_json(path)
    config.to_json(tmp_path / "config.json")
    assert json.loads((tmp_path / "config.json").read_text()) == json.loads(path.read_text())


@needs_shared
def test_real_json_comes_back_key_for_key():
    paths = sorted((SHARED / "real").glob("**/*config*.json"))
    assert len(paths) >= 9
    for path in paths:
        assert EncoderConfig.from_json(path).to_dict() == json.loads(path.read_text()), path


@pytest.mark.parametrize(
    ("values", "family", "activation"),
    [
        (BERT, "bert", "gelu_tanh"),
        (ALBERT, "albert", "gelu_tanh"),
        (ALBERT_ZH, "albert_zh", "gelu_tanh"),
    ],
)
def test_keys_tell_the_family(values, family, activation):
    config = EncoderConfig.from_dict(values)
    assert (config.family, config.activation) == (family, activation)


def test_google_names_of_activations():
    table = json.loads((REFERENCE / "formulas" / "get_activation.json").read_text())
    for name, function in table.items():
        values = BERT | {"hidden_act": name}
        if function is not None and function.startswith("ValueError"):
            with pytest.raises(InputError, match="hidden_act must be one of"):
                EncoderConfig.from_dict(values)
            continue
        expected = {"gelu": "gelu_tanh", None: "linear"}.get(function, function)
        assert EncoderConfig.from_dict(values).activation == expected, name


def test_schedule_is_google_s_for_every_listed_pair():
    table = json.loads((REFERENCE / "formulas" / "albert_group_of_layer.json").read_text())
    for row in table["table"]:
        assert list(_albert(row).schedule) == row["group_of_layer"]
    for row in table["differs_from_integer_division_up_to_48_layers"]:
        assert list(_albert(row).schedule) == row["google"]
        assert row["google"] != row["integer_arithmetic"]


def _albert(row):
    return EncoderConfig(
        vocab_size=9,
        num_layers=row["num_hidden_layers"],
        num_groups=row["num_hidden_groups"],
        family="albert",
    )


def test_bert_has_a_block_for_every_layer_where_albert_s_formula_would_miss_one():
    assert EncoderConfig(vocab_size=9, num_layers=22).schedule == tuple(range(22))


def test_inner_layers_run_one_after_another_within_their_group():
    config = EncoderConfig(vocab_size=9, num_layers=4, num_groups=2, inner_layers=2)
    assert config.schedule == (0, 1, 0, 1, 2, 3, 2, 3)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"hidden_dim": 50}, "multiple of num_heads"),
        ({"num_layers": 0}, "num_layers must be a positive integer"),
        ({"vocab_size": 3.5}, "vocab_size must be a positive integer"),
        ({"num_heads": True}, "num_heads must be a positive integer"),
        ({"dropout": 1.0}, "dropout must be a rate"),
        ({"attention_dropout": float("nan")}, "attention_dropout must be a rate"),
        ({"initializer_range": 0}, "initializer_range must be a positive number"),
        ({"layer_norm_epsilon": -1e-12}, "layer_norm_epsilon must be a positive number"),
        ({"activation": "swish"}, "activation must be one of"),
        ({"norm_position": "both"}, "norm_position must be one of"),
        ({"family": "roberta"}, "family must be one of"),
        ({"num_groups": 13}, "num_groups cannot exceed num_layers"),
        ({"family": "bert", "num_groups": 1}, "BERT shares no weights"),
        ({"family": "albert_zh", "num_groups": 2}, "one shared block"),
    ],
)
def test_a_broken_rule_is_named_with_the_value(change, message):
    with pytest.raises(InputError, match=message) as caught:
        EncoderConfig(**({"vocab_size": 9, "hidden_dim": 48, "num_heads": 4} | change))
    assert "Received: " in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({**BERT, "hiden_size": 48}, "did you mean 'hidden_size'"),
        ({**BERT, "flash_attention": 1}, "ignore-config-key"),
        ({**BERT, "num_hidden_groups": 1}, "needs the keys .'embedding_size'"),
        ({**ALBERT, "ln_type": "postln"}, "contradicts"),
        ({**ALBERT_ZH, "ln_type": "sandwich"}, "ln_type must be one of"),
        ({**ALBERT, "net_structure_type": 1}, "another graph"),
        ({**ALBERT, "down_scale_factor": 2}, "another graph"),
        ({**ALBERT, "layers_to_keep": [1]}, "another graph"),
        ({**BERT, "pooler_type": "mean"}, "another graph"),
        ({**BERT, "directionality": "left"}, "another graph"),
        ({key: value for key, value in BERT.items() if key != "vocab_size"}, "needs the keys"),
        (
            {key: value for key, value in ALBERT.items() if key != "embedding_size"},
            "needs the keys",
        ),
        ({**BERT, "hidden_size": "48"}, "hidden_dim must be a positive integer"),
    ],
)
def test_bad_json_is_refused_by_name(values, message, tmp_path):
    path = tmp_path / "bert_config.json"
    path.write_text(json.dumps(values))
    with pytest.raises(InputError, match=message) as caught:
        EncoderConfig.from_json(path)
    assert str(path) in str(caught.value)


def test_an_unknown_key_is_dropped_only_by_name():
    values = BERT | {"flash_attention": 1}
    config = EncoderConfig.from_dict(values, ignore_keys=["flash_attention"])
    assert config == EncoderConfig.from_dict(BERT)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "a config is JSON"),
        ("[1]", "a config is a JSON object"),
        ('{"vocab_size": 1, "vocab_size": 2}', "each key may stand once"),
        (b"\xff\xfe\x00", "a config is JSON"),
    ],
)
def test_what_is_not_a_json_object_is_refused(text, message, tmp_path):
    path = tmp_path / "config.json"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(InputError, match=message):
        EncoderConfig.from_json(path)


def test_what_google_s_files_cannot_say_is_not_written():
    config = EncoderConfig.from_dict(BERT)
    for change, field in (
        ({"activation": "gelu"}, "activation"),
        ({"layer_norm_epsilon": 1e-6}, "layer_norm_epsilon"),
        ({"norm_position": "pre"}, "norm_position"),
    ):
        with pytest.raises(InputError, match=field):
            dataclasses.replace(config, **change).to_dict()


def test_our_own_fields_come_back_through_json():
    for values in (BERT, ALBERT | {"layers_to_keep": []}, ALBERT_ZH | {"pooler_fc_size": 768}):
        config = EncoderConfig.from_dict(values)
        assert EncoderConfig.from_config(json.loads(json.dumps(config.get_config()))) == config
        assert config.to_dict() == values
    with pytest.raises(InputError, match="fields of EncoderConfig"):
        EncoderConfig.from_config({"vocab_size": 3, "depth": 2})


def test_a_config_is_frozen_and_hashable():
    config = EncoderConfig.from_dict(ALBERT | {"layers_to_keep": []})
    with pytest.raises(dataclasses.FrozenInstanceError):
        config.vocab_size = 3
    assert len({config, EncoderConfig.from_dict(ALBERT | {"layers_to_keep": []})}) == 1


# The encoder with its pooler, from the papers: Devlin et al. 2018 section 3, Lan et al. 2019
# section 3.1. Heads are left out.
def _by_formula(v, e, h, layers, i, *, shared, projected_tokens=False, p=512, s=2):
    attention = 4 * (h * h + h)
    feed_forward = h * i + i + i * h + h
    block = attention + feed_forward + 2 * 2 * h
    pooler = h * h + h
    if projected_tokens:
        embeddings = v * e + e * h + (p + s + 2) * h
    else:
        embeddings = (v + p + s + 2) * e + (e * h + h if e != h else 0)
    return embeddings + block * (1 if shared else layers) + pooler


KNOWN = {  # FACTS and the published descriptions
    "bert-base-uncased": 109_482_240,
    "albert-base-v1": 11_683_584,
    "albert-base-v2": 11_683_584,
    "albert-large-v2": 17_683_968,
    "albert-xlarge-v2": 58_724_864,
    "albert-xxlarge-v2": 222_595_584,
    "bert-uncased-L-2-H-128": 4_385_920,
    "bert-uncased-L-8-H-512": 41_373_184,
}


@pytest.mark.parametrize("name", PUBLISHED)
def test_published_sizes_have_the_known_parameter_counts(name):
    from checkpoints_tools.describe import parameter_count

    config = EncoderConfig.published(name)
    expected = _by_formula(
        config.vocab_size,
        config.embedding_dim,
        config.hidden_dim,
        config.num_layers,
        config.intermediate_dim,
        shared=config.family != "bert",
        projected_tokens=config.family == "albert_zh",
    )
    assert parameter_count(config) == expected
    assert KNOWN.get(name, expected) == expected


def test_all_published_families_are_there():
    assert len([name for name in PUBLISHED if name.startswith("bert-uncased-L-")]) == 24
    for name in (
        "bert-large-cased",
        "bert-base-multilingual-cased",
        "bert-base-chinese",
        "bert-large-uncased-whole-word-masking",
        "albert-xxlarge-v1",
        "albert-base-zh",
        "albert-tiny-zh",
        "albert-small-zh-google",
    ):
        assert EncoderConfig.published(name).vocab_size > 20_000
    with pytest.raises(InputError, match=r"near: .*albert-base-v2"):
        EncoderConfig.published("albert-base-v3")


@needs_shared
@pytest.mark.parametrize(
    ("name", "folder"),
    [
        ("bert-base-chinese", "bert_base_chinese"),
        ("bert-medium", "bert_medium_uncased"),
        ("albert-base-zh", "albert_base_zh_google"),
        ("albert-tiny-zh", "albert_tiny_zh_489k"),
    ],
)
def test_published_sizes_equal_the_real_configurations(name, folder):
    (path,) = (SHARED / "real" / "index_only" / folder).glob("*config*.json")
    real = EncoderConfig.from_json(path)
    assert dataclasses.replace(real, inert=()) == EncoderConfig.published(name)


def test_json_keeps_letters_and_the_bytes_of_a_path_that_is_no_text(tmp_path):
    content = {"标签": "好", "source": "r\udce9sum\udce9"}
    write_json(tmp_path / "a.json", content)
    written = (tmp_path / "a.json").read_bytes()
    assert "标签".encode() in written and rb"r\udce9sum" in written
    assert read_json(tmp_path / "a.json") == content
