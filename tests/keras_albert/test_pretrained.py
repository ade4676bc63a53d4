"""The single door: every source and task, what starts fresh, what is refused, there and back."""

import json
import shutil
import tarfile
import zipfile

import keras
import numpy as np
import pytest
from keras import ops, tree

import keras_albert as ka
from checkpoints_tools.convert import convert
from keras_albert.errors import InputError
from keras_albert.heads import TASKS
from tests.checkpoints_tools.cases import load_case
from tests.checkpoints_tools.folders import (
    CHECKPOINTS,
    HUB,
    make_folder,
)
from tests.paths import REFERENCE

# Task -> a case that has its head, whatever that is called.
SUITABLE = {
    "encoder": "bert_tiny",
    "pretraining": "albert_zh_preln",
    "masked_lm": "albert_groups",
    "classification": "bert_classifier",
    "token_classification": "bert_classifier",
    "question_answering": "bert_squad",
    "question_answering_v2": "albert_squad_v2",
    "multiple_choice": "albert_race",
}
CASE = "albert_race"  # the smallest


def numbers(outputs):
    return tree.map_structure(ops.convert_to_numpy, outputs)


def assert_same_bits(found, expected):
    tree.map_structure(np.testing.assert_array_equal, numbers(found), numbers(expected))


def inputs_for(name, task):
    """Input of the case for a task, [batch, choices, length] for multiple choice alone."""
    case = load_case(name)
    inputs = case.inputs(case.ragged, task)
    if case.task == "multiple_choice" != task:
        inputs = {key: value[:, 0] for key, value in inputs.items()}
    return inputs


def refusal(*arguments, **options):
    """The one line with which a load is refused."""
    with pytest.raises(InputError) as caught:
        ka.load_model(*arguments, **options)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.fixture
def warned(caplog):
    """What was logged as a warning so far."""

    def messages():
        return [r.getMessage() for r in caplog.records if r.levelname == "WARNING"]

    return messages


# Tasks


def test_every_task_has_a_case():
    assert set(SUITABLE) == set(TASKS)


@pytest.mark.parametrize(("task", "name"), SUITABLE.items())
def test_every_task_loads_and_comes_back_bit_for_bit(task, name, tmp_path, warned):
    model = ka.load_model(REFERENCE / name, task)
    assert warned() == []
    assert (model.task, model.encoder_config) == (task, load_case(name).config)
    inputs = inputs_for(name, task)
    outputs = model(inputs)
    ka.save_pretrained(model, tmp_path / "saved")
    again = ka.load_model(tmp_path / "saved")
    assert warned() == []
    assert (again.task, again.task_options) == (task, model.task_options)
    assert again.encoder_config == model.encoder_config
    assert_same_bits(again(inputs), outputs)


def test_the_task_is_what_the_checkpoint_was_made_for():
    cases = ("bert_tiny", "bert_classifier", "bert_squad", "albert_squad_v2")
    assert [ka.load_model(REFERENCE / name).task for name in cases] == [
        "pretraining",
        "classification",
        "question_answering",
        "question_answering_v2",
    ]


def test_load_encoder_gives_the_outputs_that_are_asked_for():
    outputs = ("embedding_output", "encoder_outputs", "pooled_output")
    encoder = ka.load_encoder(REFERENCE / CASE, outputs=outputs)
    found = encoder({"token_ids": [[2, 7, 3]]})
    assert list(found) == list(outputs)
    assert len(found["encoder_outputs"]) == 2
    assert list(ka.load_encoder(REFERENCE / CASE).output) == ["sequence_output", "pooled_output"]


def test_settings_of_a_task_are_taken():
    model = ka.load_model(REFERENCE / "albert_squad_v2", start_n_top=2, end_n_top=3, dropout=0.0)
    assert model.task_options == {"start_n_top": 2, "end_n_top": 3, "dropout": 0.0}
    found = model(inputs_for("albert_squad_v2", "question_answering_v2"))
    assert found["end_top_index"].shape[1] == 6


def test_a_policy_reaches_every_layer():
    model = ka.load_model(REFERENCE / CASE, "encoder", dtype="mixed_bfloat16")
    assert model({"token_ids": [[2, 7, 3]]})["sequence_output"].dtype == "bfloat16"
    assert {weight.dtype for weight in model.weights} == {"float32"}


# Heads


@pytest.mark.parametrize(
    ("name", "task", "head", "layer"),
    [
        ("bert_squad", "classification", "classifier", "classifier"),
        ("bert_squad", "token_classification", "classifier", "classifier"),
        ("bert_classifier", "question_answering", "answer span", "span"),
        ("albert_race", "question_answering_v2", "answer span with answerability", "answer_span"),
        ("albert_race", "masked_lm", "masked language model", "masked_lm"),
    ],
)
def test_a_head_that_the_source_lacks_starts_fresh_and_a_warning_names_it(
    name, task, head, layer, warned
):
    model = ka.load_model(REFERENCE / name, task)
    assert warned() == [f"{REFERENCE / name}: the {head} starts fresh"]
    drawn = [w for w in model.get_layer(layer).weights if w.path.endswith("kernel")]
    assert all(np.std(ops.convert_to_numpy(weight)) > 0 for weight in drawn)
    encoder = ka.load_encoder(REFERENCE / name, outputs=("sequence_output",))
    for weight in encoder.weights:
        same = next(one for one in model.weights if one.path == weight.path)
        assert_same_bits(same, weight)


def test_every_head_that_starts_fresh_is_named(warned):
    ka.load_model(REFERENCE / "bert_squad", "pretraining")
    assert warned() == [
        f"{REFERENCE / 'bert_squad'}: the {head} starts fresh"
        for head in ("masked language model", "sentence relation")
    ]


def test_a_checkpoint_without_pooler_says_that_it_starts_fresh(tmp_path, warned):
    gone = dict.fromkeys(("bert/pooler/dense/kernel", "bert/pooler/dense/bias"))
    folder = make_folder(tmp_path / "source", CASE, gone)
    encoder = ka.load_encoder(folder)
    assert warned() == [f"{folder}: the pooler starts fresh"]
    assert np.std(ops.convert_to_numpy(encoder.get_layer("pool").kernel)) > 0
    ka.load_encoder(folder, outputs=("sequence_output",))
    assert len(warned()) == 1


def test_another_number_of_labels_names_both_shapes():
    assert refusal(REFERENCE / "bert_classifier", "classification", num_labels=5) == (
        "classifier/kernel has another shape in the weights (fresh_head=True starts a classifier "
        "anew). Received: [40, 3], the model has [40, 5]"
    )


def test_a_fresh_head_may_have_another_number_of_labels(warned):
    source = REFERENCE / "bert_classifier"
    model = ka.load_model(source, "classification", num_labels=5, fresh_head=True)
    assert model.output["logits"].shape[-1] == 5
    assert warned() == [f"{source}: the classifier starts fresh"]
    assert ka.load_model(source, fresh_head=True).output["logits"].shape[-1] == 2


@pytest.mark.parametrize(
    ("name", "heads"),
    [
        ("bert_squad", ["answer span"]),
        ("albert_squad_v2", ["answer span with answerability"]),
        ("bert_tiny", ["masked language model", "sentence relation"]),
    ],
)
def test_a_fresh_head_is_any_task_s_own_and_leaves_the_pooler(name, heads, warned):
    ka.load_model(REFERENCE / name, fresh_head=True)
    assert warned() == [f"{REFERENCE / name}: the {head} starts fresh" for head in heads]


def test_an_unknown_task_is_refused():
    assert "task must be one of ('encoder'," in refusal(REFERENCE / CASE, "translation")


def test_a_setting_that_the_task_does_not_have_is_refused():
    message = refusal(REFERENCE / CASE, "encoder", num_labels=2)
    assert message.endswith("Received: task='encoder', options=['num_labels']")


# Configurations


def test_overrides_take_the_place_of_the_file_s_fields():
    overrides = {"dropout": 0.25, "attention_dropout": 0.5, "activation": "gelu"}
    model = ka.load_model(REFERENCE / CASE, overrides=overrides)
    config = model.encoder_config
    assert {field: getattr(config, field) for field in overrides} == overrides
    assert model.get_layer("embedding_dropout").rate == 0.25
    inputs = {"token_ids": [[2, 7, 3]]}
    erf, tanh = (numbers(m(inputs)) for m in (model, ka.load_model(REFERENCE / CASE)))
    assert 0 < np.abs(erf["logits"] - tanh["logits"]).max() < 0.1


@pytest.mark.parametrize("source", ["checkpoint", "directory"])
def test_an_override_of_no_field_is_refused(source, tmp_path):
    path = REFERENCE / CASE
    if source == "directory":
        ka.save_pretrained(ka.load_model(path), tmp_path / "saved")
        path = tmp_path / "saved"
        assert ka.load_model(path, overrides={"dropout": 0.5}).encoder_config.dropout == 0.5
    message = refusal(path, overrides={"drop": 0.5, "dropout": 0.5})
    assert message == "overrides are fields of EncoderConfig. Received: ['drop']"


@pytest.mark.parametrize("value", [None, ""])
def test_without_ln_type_post_ln_is_assumed_with_a_warning(tmp_path, warned, value):
    source = make_folder(tmp_path / "source", "albert_zh_postln", config={"ln_type": value})
    model = ka.load_model(source)
    assert model.encoder_config.norm_position == "post"
    (message,) = warned()
    assert "names no ln_type" in message
    assert "norm_position='pre' (--ln-type preln)" in message
    inputs = inputs_for("albert_zh_postln", "pretraining")
    assert_same_bits(model(inputs), ka.load_model(REFERENCE / "albert_zh_postln")(inputs))


def test_where_ln_type_is_absent_it_can_be_given(tmp_path, warned):
    source = make_folder(tmp_path / "source", "albert_zh_preln", config={"ln_type": None})
    inputs = inputs_for("albert_zh_preln", "pretraining")
    right = ka.load_model(REFERENCE / "albert_zh_preln")(inputs)
    found = ka.load_model(source, overrides={"norm_position": "pre"})(inputs)
    assert warned() == []
    assert_same_bits(found, right)


@pytest.mark.parametrize("name", ["albert_base_v2", "albert_base/2", "albert-v2/model.ckpt"])
def test_albert_v2_with_dropout_is_followed_with_a_warning_and_can_be_overridden(
    tmp_path, warned, name
):
    rates = {"hidden_dropout_prob": 0.1, "attention_probs_dropout_prob": 0.1}
    folder = name.removesuffix("/model.ckpt")
    make_folder(tmp_path / folder, CASE, config=rates)
    assert ka.load_model(tmp_path / name).encoder_config.dropout == 0.1
    (message,) = warned()
    assert "ALBERT v2 was trained without dropout, but the configuration says 0.1" in message
    assert "--dropout 0" in message
    rates = {"dropout": 0.0, "attention_dropout": 0.0}
    model = ka.load_model(tmp_path / name, overrides=rates)
    assert model.encoder_config.dropout == 0
    assert len(warned()) == 1


@pytest.mark.parametrize("name", ["albert_base_v1", "conv2d", "albert_base_v21", "2/albert"])
def test_albert_of_another_version_may_have_dropout(tmp_path, warned, name):
    ka.load_encoder(make_folder(tmp_path / name, CASE, config={"hidden_dropout_prob": 0.1}))
    assert warned() == []


def test_an_unknown_key_is_refused_unless_it_is_named(tmp_path):
    source = make_folder(tmp_path / "source", CASE, config={"colour": "blue"})
    assert "unknown key" in refusal(source)
    assert "'colour'='blue'" in refusal(source)
    model = ka.load_model(source, ignore_keys=["colour"])
    assert model.encoder_config == load_case(CASE).config


def test_a_vocabulary_of_another_length_is_refused(tmp_path):
    source = make_folder(tmp_path / "source", CASE, vocabulary=291)
    assert refusal(source).endswith("Received: 291 entries, vocab_size=290")


@pytest.mark.parametrize(
    ("name", "config_of", "message"),
    [
        ("bert_tiny", "albert_tiny", "contradicts a config of the bert family"),
        ("albert_tiny", "bert_tiny", "a albert config needs the keys ['embedding_size']"),
        ("albert_tiny", "albert_zh_postln", "contradicts a config of the albert family"),
    ],
)
def test_a_configuration_of_another_architecture_is_refused(name, config_of, message):
    _, config_path = CHECKPOINTS[config_of]
    assert message in refusal(CHECKPOINTS[name][0], config_path=config_path)


def test_a_configuration_of_other_sizes_is_refused_with_the_list():
    with pytest.raises(InputError, match="do not match") as caught:
        ka.load_model(CHECKPOINTS["bert_tiny"][0], config_path=CHECKPOINTS["bert_squad"][1])
    lines = str(caught.value).splitlines()[1:]
    assert len([line for line in lines if line.startswith("  - bert/encoder/layer_3/")]) == 16
    assert (
        "  ! bert/embeddings/word_embeddings: [523, 36] by the configuration, "
        "[331, 48] in the checkpoint"
    ) in lines


# Sources


def pack(folder, path):
    if path.suffix == ".zip":
        with zipfile.ZipFile(path, "w") as archive:
            for file in folder.iterdir():
                archive.write(file, f"{folder.name}/{file.name}")
    else:
        with tarfile.open(path, "w:gz") as archive:
            archive.add(folder, folder.name)
    return path


@pytest.fixture(scope="module")
def sources(tmp_path_factory):
    """The same model in every form that people have it in."""
    top = tmp_path_factory.mktemp("sources")
    folder = make_folder(top / "model", CASE, vocabulary=290)
    convert(folder, top / "converted", verify=False)
    alone = top / "alone"
    alone.mkdir()
    for path in folder.glob("model.ckpt.*"):
        shutil.copyfile(path, alone / path.name)
    hub = top / "hub"
    (hub / "variables").mkdir(parents=True)
    (hub / "assets").mkdir()
    (hub / "saved_model.pb").touch()
    for path in folder.glob("model.ckpt.*"):
        shutil.copyfile(path, hub / "variables" / path.name.replace("model.ckpt", "variables"))
    for name in ("albert_config.json", "vocab.txt"):
        shutil.copyfile(folder / name, hub / "assets" / name)
    return {
        "folder": (folder, {}),
        "prefix": (folder / "model.ckpt", {}),
        "prefix, config elsewhere": (
            alone / "model.ckpt",
            {"config_path": folder / "albert_config.json"},
        ),
        "text path": (str(folder), {"vocabulary_path": str(folder / "vocab.txt")}),
        "zip": (pack(folder, top / "model.zip"), {}),
        "tar.gz": (pack(folder, top / "model.tar.gz"), {}),
        "hub": (hub, {}),
        "converted": (top / "converted", {}),
        "zip of the converted": (pack(top / "converted", top / "converted.zip"), {}),
    }


@pytest.mark.parametrize(
    "form",
    [
        "prefix",
        "prefix, config elsewhere",
        "text path",
        "zip",
        "tar.gz",
        "hub",
        "converted",
        "zip of the converted",
    ],
)
def test_every_form_of_a_source_gives_the_same_model(form, sources):
    inputs = {"token_ids": [[2, 7, 9, 3], [2, 3, 0, 0]]}
    (folder, _), (source, options) = sources["folder"], sources[form]
    model = ka.load_model(source, **options)
    assert_same_bits(model(inputs), ka.load_model(folder)(inputs))
    assert model.task == "classification"
    assert model.files == {"vocab.txt": (folder / "vocab.txt").read_bytes()}


def test_a_hub_module_s_sentencepiece_model_comes_along(tmp_path):
    path = REFERENCE / HUB / "module" / "assets" / "30k-clean.model"
    model = ka.load_encoder(REFERENCE / HUB / "module")
    ka.save_pretrained(model, tmp_path / "saved")
    assert (tmp_path / "saved" / path.name).read_bytes() == path.read_bytes()
    assert ka.load_encoder(tmp_path / "saved").files == {path.name: path.read_bytes()}


def test_weights_that_are_not_finite_are_refused_unless_allowed(tmp_path):
    bias = np.full(32, np.nan, np.float32)
    source = make_folder(tmp_path / "source", CASE, {"bert/pooler/dense/bias": bias})
    assert "weights must be finite" in refusal(source)
    model = ka.load_model(source, allow_nonfinite=True)
    assert np.isnan(ops.convert_to_numpy(model.get_layer("pool").bias)).all()
    ka.load_encoder(source, outputs=("sequence_output",))  # what is not asked for is not read


def test_a_source_that_is_not_there_is_refused():
    assert "no such file or folder; nothing is downloaded" in refusal("bert-base-uncased")


# Saving


def test_what_is_saved_holds_the_given_provenance_and_the_weights_sum(tmp_path):
    model = ka.load_model(REFERENCE / CASE)
    ka.save_pretrained(model, tmp_path / "saved", provenance={"accuracy": 0.9})
    provenance = json.loads((tmp_path / "saved" / "provenance.json").read_text())
    assert provenance["accuracy"] == 0.9
    assert len(provenance["weights_sha256"]) == 64


def test_a_compiled_and_trained_model_is_saved_without_its_optimizer(tmp_path):
    model = ka.load_model(REFERENCE / CASE)
    inputs = {"token_ids": np.array([[2, 7, 3]])}
    model.compile("adam", loss={"logits": "mse"}, run_eagerly=True)
    model.train_on_batch(inputs, {"logits": np.ones((1, 1))})
    ka.save_pretrained(model, tmp_path / "saved")
    keys = json.loads((tmp_path / "saved" / "config.json").read_text())["weights"]
    assert not any("optimizer" in key for key in keys.values())
    assert_same_bits(ka.load_model(tmp_path / "saved")(inputs), model(inputs))


def test_a_folder_that_is_not_empty_is_refused_without_force(tmp_path):
    (tmp_path / "mine").touch()
    model = ka.load_model(REFERENCE / CASE)
    with pytest.raises(FileExistsError, match="must be new or empty"):
        ka.save_pretrained(model, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]
    ka.save_pretrained(model, tmp_path, force=True)
    assert not (tmp_path / "mine").exists()


def test_a_plain_model_is_saved_with_a_configuration_and_a_vocabulary(tmp_path):
    source = make_folder(tmp_path / "source", CASE, vocabulary=290)
    encoder = ka.load_encoder(source)
    plain = keras.Model(encoder.input, encoder.output)
    with pytest.raises(InputError, match="a plain model needs config="):
        ka.save_pretrained(plain, tmp_path / "saved")
    with pytest.raises(FileNotFoundError, match="absent"):
        ka.save_pretrained(
            plain, tmp_path / "saved", config=encoder.encoder_config, tokenizer="absent.txt"
        )
    assert not (tmp_path / "saved").exists()
    ka.save_pretrained(
        plain,
        tmp_path / "saved",
        config=encoder.encoder_config,
        tokenizer=source / "vocab.txt",
    )
    again = ka.load_model(tmp_path / "saved")
    assert again.task == "encoder"
    assert again.files == encoder.files
    inputs = {"token_ids": [[2, 7, 9, 3], [2, 3, 0, 0]]}
    assert_same_bits(again(inputs), encoder(inputs))


def test_what_was_saved_for_one_task_loads_for_another(tmp_path, warned):
    ka.save_pretrained(ka.load_model(REFERENCE / "bert_classifier"), tmp_path / "saved")
    inputs = inputs_for("bert_classifier", "encoder")
    assert_same_bits(
        ka.load_encoder(tmp_path / "saved")(inputs),
        ka.load_encoder(REFERENCE / "bert_classifier")(inputs),
    )
    tokens = ka.load_model(tmp_path / "saved", "token_classification")
    assert tokens.task_options["num_labels"] == 3
    assert warned() == []
    ka.load_model(tmp_path / "saved", "question_answering")
    assert warned() == [f"{tmp_path / 'saved'}: the answer span starts fresh"]


def test_a_directory_without_a_variable_of_the_encoder_is_refused(tmp_path):
    model = ka.load_model(REFERENCE / CASE, "encoder", outputs=("embedding_output",))
    ka.save_pretrained(model, tmp_path / "saved")
    with pytest.raises(InputError, match=r"the weights lack a variable\. Received: no embedding_p"):
        ka.load_model(tmp_path / "saved", "classification")
