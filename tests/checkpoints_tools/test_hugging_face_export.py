"""Out in Hugging Face's layout, and back without a bit lost."""

import errno
import json
import stat

import keras
import ml_dtypes
import numpy as np
import pytest
from safetensors import SafetensorError
from safetensors.numpy import load_file

import keras_albert as ka
from checkpoints_tools import hugging_face_export as export_module
from checkpoints_tools.convert import convert
from checkpoints_tools.hugging_face_export import export_hugging_face, is_lower_cased
from keras_albert.errors import InputError
from keras_albert.heads import build_model
from tests.checkpoints_tools.cases import BAR
from tests.checkpoints_tools.folders import CHECKPOINTS, make_folder, read_variables, same_bits
from tests.checkpoints_tools.hugging_face_folders import (
    ALBERT,
    BERT,
    MADE,
    VOCAB_SIZE,
    assert_same,
    largest_difference,
    make,
    tensors_of,
    values_of,
    with_head,
)
from tests.keras_albert import tiny
from tests.paths import REFERENCE, SHARED, needs_shared

TASKS = [task for task in tiny.ALL_TASKS if task != "question_answering_v2"]
ONE_WIDTH = ka.EncoderConfig(**tiny._SIZES, num_groups=1)
GROUPS = ka.EncoderConfig(**tiny._SHARED | {"num_groups": 2}, inner_layers=2, activation="gelu")
CONFIGS = {"bert": tiny.BERT, "albert": tiny.ALBERT, "groups": GROUPS, "one width": ONE_WIDTH}


def content(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


# There and back


@pytest.mark.parametrize("name", CONFIGS)
@pytest.mark.parametrize("task", TASKS)
def test_every_task_comes_back_bit_for_bit(tmp_path, name, task):
    options = {"num_labels": 3, "dropout": 0.3} if "classification" in task else {}
    model = tiny.spread(build_model(CONFIGS[name], task, **options))
    report = export_hugging_face(model, tmp_path / "out")
    assert report["directory"] == str(tmp_path / "out")
    again = ka.load_model(tmp_path / "out")
    assert (again.task, again.encoder_config) == (task, model.encoder_config)
    assert again.task_options == model.task_options
    inputs = tiny.inputs_of(task)
    tiny.assert_same(again(inputs), model(inputs))
    expected = {v.path: keras.ops.convert_to_numpy(v) for v in model.weights}
    assert_same(values_of(tmp_path / "out"), expected)


@pytest.mark.parametrize("name", [BERT, ALBERT])
def test_what_transformers_made_goes_through_keras_and_comes_out_as_it_was(tmp_path, name):
    convert(MADE / name, tmp_path / "keras", verify=False)
    progress = []
    report = export_hugging_face(
        tmp_path / "keras", tmp_path / "out", progress=lambda *step: progress.append(step)
    )
    assert report["architecture"] == name.partition("-")[0]
    assert report["variables"] == len(tensors_of(name)) == len(progress)
    assert_same(load_file(tmp_path / "out" / "model.safetensors"), tensors_of(name))
    assert largest_difference(ka.load_model(tmp_path / "out"), MADE / name) <= BAR


def test_types_come_back_also_where_the_directory_has_others(tmp_path):
    tensors = {key: array.astype(ml_dtypes.bfloat16) for key, array in tensors_of(BERT).items()}
    source = make(tmp_path / "source", tensors=tensors)
    convert(source, tmp_path / "keras", verify=False)
    for start in (source, tmp_path / "keras"):
        export_hugging_face(start, tmp_path / "out", force=True)
        assert_same(load_file(tmp_path / "out" / "model.safetensors"), tensors)
        description = json.loads((tmp_path / "out" / "config.json").read_text())
        assert description["torch_dtype"] == "bfloat16"


@pytest.mark.parametrize("case", ["bert_squad", "albert_race", "albert_tiny"])
def test_googles_checkpoint_goes_straight_to_transformers_names(tmp_path, case):
    prefix, config_path = CHECKPOINTS[case]
    export_hugging_face(prefix, tmp_path / "out", config_path=config_path)
    names = {v.path for v in ka.load_model(tmp_path / "out").weights}
    assert names == {v.path for v in ka.load_model(prefix, config_path=config_path).weights}
    found = load_file(tmp_path / "out" / "model.safetensors")
    family = case.partition("_")[0]
    table = read_variables(prefix)["bert/embeddings/word_embeddings"]
    assert same_bits(found[f"{family}.embeddings.word_embeddings.weight"], table)
    description = json.loads((tmp_path / "out" / "config.json").read_text())
    assert description["hidden_act"] == "gelu_new"  # Google's "gelu"


def test_a_bare_encoder_is_saved_without_the_name_of_its_model(tmp_path):
    export_hugging_face(build_model(tiny.BERT, "encoder"), tmp_path / "out")
    names = load_file(tmp_path / "out" / "model.safetensors")
    assert {name.partition(".")[0] for name in names} == {"embeddings", "encoder", "pooler"}


def test_half_precision_in_memory_stays_half(tmp_path):
    model = build_model(tiny.BERT, "masked_lm", dtype="bfloat16")
    export_hugging_face(model, tmp_path / "out")
    found = load_file(tmp_path / "out" / "model.safetensors")
    assert {str(array.dtype) for array in found.values()} == {"bfloat16"}


def test_mixed_types_are_loaded_in_float32(tmp_path):
    # Logits are float32 in every policy.
    export_hugging_face(build_model(tiny.BERT, "pretraining", dtype="bfloat16"), tmp_path / "out")
    assert json.loads((tmp_path / "out" / "config.json").read_text())["torch_dtype"] == "float32"


# What lies beside the weights


def classifier(tmp_path):
    config = {"architectures": ["BertForSequenceClassification"]}
    config |= {"id2label": {"0": "no", "1": "maybe", "2": "yes"}}
    return make(tmp_path / "source", tensors=with_head(BERT, "classifier", 3), config=config)


def test_labels_are_kept_given_or_numbered(tmp_path):
    source = classifier(tmp_path)
    convert(source, tmp_path / "keras", verify=False)
    for start in (source, tmp_path / "keras"):
        export_hugging_face(start, tmp_path / "out", force=True)
        description = json.loads((tmp_path / "out" / "config.json").read_text())
        assert description["id2label"] == {"0": "no", "1": "maybe", "2": "yes"}
        assert description["label2id"] == {"no": 0, "maybe": 1, "yes": 2}
    export_hugging_face(source, tmp_path / "out", labels=["a", "b", "c"], force=True)
    description = json.loads((tmp_path / "out" / "config.json").read_text())
    assert description["id2label"] == {"0": "a", "1": "b", "2": "c"}
    export_hugging_face(ka.load_model(source), tmp_path / "out", force=True)
    description = json.loads((tmp_path / "out" / "config.json").read_text())
    assert description["id2label"] == {"0": "LABEL_0", "1": "LABEL_1", "2": "LABEL_2"}


@pytest.mark.parametrize("labels", [["a", "b"], ["a", "b", "a"]])
def test_labels_name_each_class_once(tmp_path, labels):
    with pytest.raises(InputError, match="labels name each class of the classifier once"):
        export_hugging_face(classifier(tmp_path), tmp_path / "out", labels=labels)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("tokens", "lower_case", "expected"),
    [
        (["[PAD]", "[UNK]", "the", "##s"], None, True),
        (["[PAD]", "[UNK]", "the", "The"], None, False),
        (["[PAD]", "[UNK]", "the", "The"], True, True),
        (["[PAD]", "[UNK]", "the", "##s"], False, False),
    ],
)
def test_the_tokenizer_lower_cases_as_the_vocabulary_does_or_as_told(
    tmp_path, tokens, lower_case, expected
):
    source = make(tmp_path / "source")
    (source / "vocab.txt").write_text("\n".join(tokens) + "\n")
    export_hugging_face(source, tmp_path / "out", lower_case=lower_case)
    settings = json.loads((tmp_path / "out" / "tokenizer_config.json").read_text())
    assert settings["do_lower_case"] is expected
    assert (settings["tokenizer_class"], settings["model_max_length"]) == ("BertTokenizer", 20)
    assert (tmp_path / "out" / "vocab.txt").read_bytes() == (source / "vocab.txt").read_bytes()


@needs_shared
@pytest.mark.parametrize(
    ("name", "lower"),
    [
        ("uncased_30522.txt", True),
        ("chinese_21128.txt", True),
        ("cased_28996.txt", False),
        ("multi_cased_119547.txt", False),
    ],
)
def test_published_vocabularies_tell_whether_they_are_lower_cased(name, lower):
    assert is_lower_cased((SHARED / "real" / "vocab" / name).read_bytes()) is lower


def test_the_sources_own_settings_of_the_tokenizer_are_kept(tmp_path):
    source = make(tmp_path / "source", vocabulary=VOCAB_SIZE)
    settings = {"do_lower_case": False, "strip_accents": True, "tokenizer_class": "Own"}
    (source / "tokenizer_config.json").write_text(json.dumps(settings))
    convert(source, tmp_path / "keras", verify=False)
    ka.save_pretrained(ka.load_model(tmp_path / "keras"), tmp_path / "saved")
    for start in (source, tmp_path / "keras", tmp_path / "saved", ka.load_model(source)):
        export_hugging_face(start, tmp_path / "out", force=True)
        found = json.loads((tmp_path / "out" / "tokenizer_config.json").read_text())
        assert settings.items() <= found.items()
        assert found["mask_token"] == "[MASK]"  # and what the source leaves open
    export_hugging_face(source, tmp_path / "out", lower_case=True, force=True)
    found = json.loads((tmp_path / "out" / "tokenizer_config.json").read_text())
    assert found["do_lower_case"] is True


def test_a_sentencepiece_model_gets_alberts_tokenizer(tmp_path):
    source = REFERENCE / "albert_hub" / "module"
    export_hugging_face(source, tmp_path / "out")
    settings = json.loads((tmp_path / "out" / "tokenizer_config.json").read_text())
    assert (settings["tokenizer_class"], settings["do_lower_case"]) == ("AlbertTokenizer", True)
    assert (settings["unk_token"], settings["pad_token"]) == ("<unk>", "<pad>")
    pieces = source / "assets" / "30k-clean.model"
    assert (tmp_path / "out" / "spiece.model").read_bytes() == pieces.read_bytes()
    assert ka.load_model(tmp_path / "out").task == "pretraining"


def test_chinese_albert_has_wordpiece(tmp_path):
    source = make_folder(tmp_path / "source", "albert_race", vocabulary=290)
    (source / "vocab.txt").rename(source / "vocab_chinese.txt")
    export_hugging_face(source, tmp_path / "out")
    settings = json.loads((tmp_path / "out" / "tokenizer_config.json").read_text())
    assert settings["tokenizer_class"] == "BertTokenizer"
    assert (tmp_path / "out" / "vocab.txt").is_file()


def test_the_card_has_front_matter_and_says_where_it_is_from(tmp_path):
    report = export_hugging_face(classifier(tmp_path), tmp_path / "out")
    card = (tmp_path / "out" / "README.md").read_text()
    assert card.startswith("---\nlibrary_name: transformers\npipeline_tag: text-classification\n")
    assert "from `source`" in card
    assert "BertForSequenceClassification.from_pretrained" in card
    assert sorted(report["files"]) == sorted(str(path) for path in (tmp_path / "out").iterdir())


def test_whoever_may_read_the_rest_may_read_the_weights(tmp_path):
    export_hugging_face(MADE / BERT, tmp_path / "out")
    modes = {stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "out").iterdir()}
    assert len(modes) == 1


# Refused, and nothing left


def test_what_is_there_is_only_replaced_with_force(tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine").write_text("old")
    with pytest.raises(FileExistsError, match="--force"):
        export_hugging_face(MADE / BERT, tmp_path / "out")
    assert content(tmp_path / "out") == {"mine": b"old"}
    export_hugging_face(MADE / BERT, tmp_path / "out", force=True)
    assert sorted(content(tmp_path / "out")) == ["README.md", "config.json", "model.safetensors"]


def test_the_source_is_not_written_over(tmp_path):
    source = make(tmp_path / "source")
    before = content(source)
    with pytest.raises(InputError, match="OUT must not hold what is converted"):
        export_hugging_face(source, source, force=True)
    assert content(source) == before


@pytest.mark.parametrize("case", ["albert_zh_postln", "albert_zh_preln", "albert_squad_v2"])
def test_what_transformers_cannot_compute_is_not_exported(tmp_path, case):
    with pytest.raises(InputError, match="transformers has no class for this"):
        export_hugging_face(REFERENCE / case, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_variable_of_ones_own_is_not_exported(tmp_path):
    encoder = ka.bert_encoder(tiny.BERT)
    adapter = keras.layers.Dense(2, name="adapter")(encoder.output["pooled_output"])
    ka.save_pretrained(keras.Model(encoder.input, adapter), tmp_path / "in", config=tiny.BERT)
    with pytest.raises(InputError, match=r"no name in a bert checkpoint.*adapter/kernel"):
        export_hugging_face(tmp_path / "in", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_model_needs_its_configuration(tmp_path):
    model = ka.bert_encoder(tiny.BERT)
    model.encoder_config = None
    with pytest.raises(InputError, match="a model is exported with its encoder_config"):
        export_hugging_face(model, tmp_path / "out")


@pytest.mark.parametrize("error", [SafetensorError("No space left"), OSError(errno.ENOSPC, "full")])
def test_a_full_disk_leaves_what_was_there(tmp_path, monkeypatch, error):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine").write_text("old")

    def full(tensors, path, metadata):
        path.write_bytes(b"half")
        raise error

    monkeypatch.setattr(export_module, "save_file", full)
    with pytest.raises(OSError, match=r"No space left|full"):
        export_hugging_face(MADE / BERT, tmp_path / "out", force=True)
    assert content(tmp_path / "out") == {"mine": b"old"}


def test_metadata_says_what_transformers_asks_for(tmp_path):
    export_hugging_face(MADE / BERT, tmp_path / "out")
    head = (tmp_path / "out" / "model.safetensors").read_bytes()
    size = int(np.frombuffer(head[:8], "<u8")[0])
    assert json.loads(head[8 : 8 + size])["__metadata__"] == {"format": "pt"}
