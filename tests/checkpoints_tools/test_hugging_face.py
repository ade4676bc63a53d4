"""Hugging Face's layout: transformers' numbers, every name it uses, and every kind of damage."""

import json
import os
import shutil
import subprocess
import sys

import keras
import ml_dtypes
import numpy as np
import pytest
from keras import ops
from safetensors.numpy import load_file, save_file

import keras_albert as ka
from checkpoints_tools.convert import convert, export
from checkpoints_tools.describe import describe
from checkpoints_tools.hugging_face import HuggingFaceWeights
from checkpoints_tools.source import locate
from checkpoints_tools.verify import render, verify
from keras_albert.errors import InputError
from keras_albert.pretrained import open_weights
from tests.checkpoints_tools.cases import BAR
from tests.checkpoints_tools.folders import CHECKPOINTS, read_variables, same_bits
from tests.checkpoints_tools.hugging_face_folders import (
    ALBERT,
    BERT,
    HIDDEN,
    MADE,
    VOCAB_SIZE,
    assert_same,
    encoder_of,
    largest_difference,
    make,
    shard,
    tensors_of,
    values_of,
    with_head,
)
from tests.paths import ROOT

WORDS = "bert.embeddings.word_embeddings.weight"


def refusal(source, **reading):
    """The one line with which a source is refused, when all of it is read."""
    with pytest.raises(InputError) as caught:
        values_of(source, **reading)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def complaints(source):
    with pytest.raises(InputError) as caught:
        values_of(source)
    return [line.strip() for line in str(caught.value).splitlines()[1:]]


# What transformers made


@pytest.mark.parametrize("name", [BERT, ALBERT])
def test_outputs_are_those_of_transformers(name):
    model = ka.load_model(MADE / name)
    assert model.task == "pretraining"
    assert largest_difference(model, MADE / name) <= BAR


def test_gelu_is_the_erf_form_here_and_gelu_new_googles():
    assert ka.load_encoder(MADE / BERT).encoder_config.activation == "gelu"
    assert ka.load_encoder(MADE / ALBERT).encoder_config.activation == "gelu_tanh"
    tanh = ka.load_model(MADE / BERT, overrides={"activation": "gelu_tanh"})
    assert largest_difference(tanh, MADE / BERT) > 10 * BAR


@pytest.mark.parametrize("name", [BERT, ALBERT])
def test_every_variable_comes_bit_for_bit_with_kernels_transposed(name):
    tensors = tensors_of(name)
    with open_weights(MADE / name) as (weights, located):
        assert (weights.kind, located.kind) == ("hugging_face", "hugging_face")
        assert sorted(weights.names.values()) == sorted(tensors)
        for path, theirs in weights.names.items():
            array = tensors[theirs].T if path.endswith("kernel") else tensors[theirs]
            assert same_bits(*map(np.ascontiguousarray, (weights.read(path), array))), path


@pytest.mark.parametrize("name", [BERT, ALBERT])
def test_verify_goes_by_googles_graph(name):
    found = verify(MADE / name)
    assert found["passed"], render(found)
    assert found["task"] == "pretraining"
    assert "sentence_relation_logits" in found["outputs"]


def test_describe_says_what_claims_every_tensor(tmp_path):
    extra = {
        "bert.embeddings.position_ids": np.arange(20)[None],
        "cls.predictions.decoder.weight": tensors_of(BERT)[WORDS],
    }
    found = describe(make(tmp_path / "bert", tensors=tensors_of(BERT) | extra, vocabulary=60))
    assert (found["kind"], found["family"], found["task"]) == (
        "hugging_face",
        "bert",
        "pretraining",
    )
    assert found["files"]["checkpoint"] == "model.safetensors"
    assert found["files"]["vocabulary"] == "vocab.txt"
    claimed = {variable["name"]: variable["claimed_by"] for variable in found["variables"]}
    assert set(claimed) == {*tensors_of(BERT), *extra}
    assert claimed["bert.embeddings.position_ids"] == "(buffer)"
    assert claimed["cls.predictions.decoder.weight"] == f"(the same as {WORDS})"
    assert claimed[WORDS] == "token_embedding/embeddings"


def test_converting_and_going_on_to_google_keeps_every_bit(tmp_path):
    source = make(tmp_path / "albert", ALBERT, vocabulary=VOCAB_SIZE)
    (source / "tokenizer_config.json").write_text('{"do_lower_case": false}')
    report = convert(source, tmp_path / "keras")
    assert (report["kind"], report["task"], report["fresh"]) == ("hugging_face", "pretraining", [])
    assert report["parity"]["passed"]
    assert list(report["sha256"]) == ["model.safetensors"]
    assert (tmp_path / "keras" / "tokenizer_config.json").is_file()
    assert_same(values_of(tmp_path / "keras"), values_of(source))
    export(tmp_path / "keras", tmp_path / "google" / "model.ckpt")
    assert "bert/pooler/dense/kernel" in read_variables(tmp_path / "google" / "model.ckpt")
    assert_same(values_of(tmp_path / "google"), values_of(source))


def test_googles_export_of_the_erf_gelu_is_refused(tmp_path):
    convert(MADE / BERT, tmp_path / "keras", verify=False)
    with pytest.raises(InputError, match="activation has no name in Google's files"):
        export(tmp_path / "keras", tmp_path / "google" / "model.ckpt")


def test_an_archive_of_a_folder_is_read(tmp_path):
    path = shutil.make_archive(tmp_path / "bert", "zip", MADE, BERT)
    assert_same(values_of(path), values_of(MADE / BERT))


def test_jax_reads_it_without_tensorflow(tmp_path):
    pytest.importorskip("jax")
    source = make(tmp_path / "albert", ALBERT)
    pieces = CHECKPOINTS["albert_hub/module/variables/variables"][0].parents[1] / "assets"
    shutil.copyfile(pieces / "30k-clean.model", source / "spiece.model")
    (source / "config.json").write_text(
        (source / "config.json").read_text().replace('"vocab_size": 60', '"vocab_size": 420')
    )
    tensors = load_file(source / "model.safetensors")
    words = "albert.embeddings.word_embeddings.weight"
    tensors |= {words: np.ones((420, 8), "float32"), "predictions.bias": np.ones(420, "float32")}
    save_file(tensors, source / "model.safetensors")
    code = """
import sys
sys.modules["tensorflow"] = sys.modules["tensorflow_text"] = None
import keras, keras_albert.pretrained
assert keras.backend.backend() == "jax"
with keras_albert.pretrained.open_weights(sys.argv[1]) as (weights, located):
    print(located.vocabulary_path.name, weights.value("token_embedding/embeddings").shape)
"""
    ran = subprocess.run(
        [sys.executable, "-c", code, str(source)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        env=os.environ | {"KERAS_BACKEND": "jax", "JAX_PLATFORMS": "cpu"},
        check=False,
    )
    assert ran.stdout == "spiece.model (420, 8)\n", ran.stderr


# Names


@pytest.mark.parametrize("name", [BERT, ALBERT])
def test_a_bare_encoder_has_no_name_before_its_parts(tmp_path, name):
    family = name.partition("For")[0].lower()
    with_name = encoder_of(name)
    bare = {key.removeprefix(f"{family}."): array for key, array in with_name.items()}
    config = {"architectures": [f"{family.capitalize()}Model"]}
    found = values_of(make(tmp_path / "bare", name, bare, config))
    assert_same(found, values_of(make(tmp_path / "named", name, with_name, config)))
    assert ka.load_model(tmp_path / "bare").task == "encoder"


def test_layer_norms_may_have_tensorflows_names(tmp_path):
    old = {
        key.replace("LayerNorm.weight", "LayerNorm.gamma").replace(
            "LayerNorm.bias", "LayerNorm.beta"
        ): array
        for key, array in tensors_of(BERT).items()
    }
    assert any(key.endswith("gamma") for key in old)
    assert_same(values_of(make(tmp_path / "old", tensors=old)), values_of(MADE / BERT))


@pytest.mark.parametrize(
    ("name", "decoder", "rows", "bias"),
    [
        (BERT, "cls.predictions.decoder", WORDS, "cls.predictions.bias"),
        (
            ALBERT,
            "predictions.decoder",
            "albert.embeddings.word_embeddings.weight",
            "predictions.bias",
        ),
    ],
)
def test_the_decoder_may_stand_beside_what_it_repeats_or_for_it(
    tmp_path, name, decoder, rows, bias
):
    tensors = tensors_of(name)
    repeated = {f"{decoder}.weight": tensors[rows], f"{decoder}.bias": tensors[bias]}
    expected = values_of(MADE / name)
    assert_same(values_of(make(tmp_path / "both", name, tensors | repeated)), expected)
    alone = {key: array for key, array in tensors.items() if key not in (rows, bias)} | repeated
    assert_same(values_of(make(tmp_path / "alone", name, alone)), expected)


def test_a_decoder_of_its_own_is_refused(tmp_path):
    tensors = tensors_of(BERT)
    own = {"cls.predictions.decoder.weight": tensors[WORDS] + 1}
    message = refusal(make(tmp_path / "own", tensors=tensors | own))
    assert f"cls.predictions.decoder.weight and {WORDS} are one variable here" in message
    other = {"cls.predictions.decoder.weight": np.zeros((61, HIDDEN), "float32")}
    assert complaints(make(tmp_path / "other", tensors=tensors | other)) == [
        f"! cls.predictions.decoder.weight: [60, 16] as {WORDS}, [61, 16] here"
    ]


def test_missing_unclaimed_and_misshapen_tensors_are_listed(tmp_path):
    tensors = tensors_of(BERT)
    del tensors["bert.pooler.dense.bias"]
    changes = {WORDS: np.zeros((61, HIDDEN), "float32"), "adapter\n.weight": np.zeros(3, "float32")}
    assert complaints(make(tmp_path / "wrong", tensors=tensors | changes)) == [
        f"! {WORDS}: [60, 16] by the configuration, [61, 16] in the checkpoint",
        "+ 'adapter\\n.weight' [3]",
        "- bert.pooler.dense.bias [16]",
    ]


def test_a_tensor_under_two_names_is_unclaimed_once(tmp_path):
    tensors = tensors_of(BERT)
    tensors["pooler.dense.bias"] = tensors["bert.pooler.dense.bias"]
    (line,) = complaints(make(tmp_path / "twice", tensors=tensors))
    assert line.startswith("+ ")
    assert "pooler.dense.bias [16] beside " in line


def test_a_projection_to_the_same_width_must_be_the_identity(tmp_path):
    projection = "albert.encoder.embedding_hidden_mapping_in"
    tensors = encoder_of(ALBERT)
    wide = {
        key: np.pad(array, [(0, 0)] * (array.ndim - 1) + [(0, 8)])
        for key, array in tensors.items()
        if ".embeddings." in key
    }
    wide |= {f"{projection}.weight": np.eye(HIDDEN, dtype="float32")}
    wide |= {f"{projection}.bias": np.zeros(HIDDEN, "float32")}
    config = {"embedding_size": HIDDEN, "architectures": ["AlbertModel"]}
    source = make(tmp_path / "identity", ALBERT, tensors | wide, config)
    assert "embedding_projection/kernel" not in values_of(source)
    claimed = {v["name"]: v["claimed_by"] for v in describe(source)["variables"]}
    assert claimed[f"{projection}.weight"] == "(the identity)"
    wide[f"{projection}.bias"] += 1
    message = refusal(make(tmp_path / "other", ALBERT, tensors | wide, config))
    assert f"{projection}.bias projects the embeddings to their own width" in message
    del wide[f"{projection}.bias"], tensors[f"{projection}.bias"]
    assert complaints(make(tmp_path / "none", ALBERT, tensors | wide, config)) == [
        f"- {projection}.bias [16]"
    ]


# Tasks


LABELS = {"0": "no", "1": "maybe", "2": "yes"}


@pytest.mark.parametrize("name", [BERT, ALBERT])
@pytest.mark.parametrize(
    ("architecture", "head", "rows", "task", "options"),
    [
        ("ForSequenceClassification", "classifier", 3, "classification", {"num_labels": 3}),
        ("ForTokenClassification", "classifier", 3, "token_classification", {"num_labels": 3}),
        ("ForMultipleChoice", "classifier", 1, "multiple_choice", {}),
        ("ForQuestionAnswering", "qa_outputs", 2, "question_answering", None),
    ],
)
def test_the_class_decides_on_the_task_and_its_settings(
    tmp_path, name, architecture, head, rows, task, options
):
    family = name.partition("For")[0]
    config = {"architectures": [f"{family}{architecture}"], "id2label": LABELS}
    config |= {"classifier_dropout" if family == "Bert" else "classifier_dropout_prob": 0.25}
    source = make(tmp_path / "source", name, with_head(name, head, rows), config)
    model = ka.load_model(source)
    assert model.task == task
    assert model.task_options == ({} if options is None else {**options, "dropout": 0.25})
    kernel = model.get_layer("span" if head == "qa_outputs" else "classifier").kernel
    expected = np.arange(rows * HIDDEN).reshape(rows, HIDDEN).T
    np.testing.assert_array_equal(ops.convert_to_numpy(kernel), expected)
    with open_weights(source) as (weights, _):
        assert weights.labels == (("no", "maybe", "yes") if options and rows == 3 else None)
    if task == "token_classification":
        assert verify(source)["passed"]


def test_without_a_class_the_head_decides(tmp_path):
    tensors = with_head(BERT, "classifier", 3)
    source = make(tmp_path / "source", tensors=tensors, config={"architectures": None})
    model = ka.load_model(source)
    assert (model.task, model.task_options["num_labels"]) == ("classification", 3)


def test_a_class_whose_head_is_not_there_starts_it_fresh(tmp_path, caplog):
    config = {"architectures": ["BertForSequenceClassification"], "id2label": LABELS}
    model = ka.load_model(make(tmp_path / "source", tensors=encoder_of(BERT), config=config))
    assert model.task_options["num_labels"] == 3
    assert "the classifier starts fresh" in caplog.text


def test_labels_come_along_into_the_provenance(tmp_path):
    config = {"architectures": ["BertForSequenceClassification"], "id2label": LABELS}
    source = make(tmp_path / "source", tensors=with_head(BERT, "classifier", 3), config=config)
    assert convert(source, tmp_path / "out", verify=False)["labels"] == ["no", "maybe", "yes"]


def test_labels_and_classes_must_agree(tmp_path):
    config = {"architectures": ["BertForTokenClassification"], "id2label": LABELS}
    source = make(tmp_path / "source", tensors=with_head(BERT, "classifier", 4), config=config)
    assert refusal(source).endswith("Received: 3 labels, 4 classes")


# Shards


def test_shards_are_read_through_their_index(tmp_path):
    source = make(tmp_path / "bert")
    index = shard(source, 3)
    assert_same(values_of(source), values_of(MADE / BERT))
    assert_same(values_of(index), values_of(MADE / BERT))
    assert sorted(convert(source, tmp_path / "out", verify=False)["sha256"]) == [
        *(f"model-{n:05d}-of-00003.safetensors" for n in (1, 2, 3)),
        index.name,
    ]


def test_a_missing_shard_is_named(tmp_path):
    source = make(tmp_path / "bert")
    shard(source)
    (source / "model-00002-of-00002.safetensors").unlink()
    message = refusal(source)
    assert "model-00002-of-00002.safetensors: the index names this file" in message
    assert message.endswith("Received: no such file")


def test_an_index_that_does_not_fit_its_shards_is_refused(tmp_path):
    source = make(tmp_path / "bert")
    index = shard(source)
    content = json.loads(index.read_text())
    content["weight_map"]["bert.more"] = "model-00001-of-00002.safetensors"
    index.write_text(json.dumps(content))
    assert refusal(source).endswith("its shards lack what it names. Received: no bert.more")
    again = load_file(source / "model-00001-of-00002.safetensors")
    save_file(again, source / "model-00002-of-00002.safetensors")
    assert "an earlier shard has this too" in refusal(source)


@pytest.mark.parametrize(
    "content",
    [
        "{",
        "[]",
        "{}",
        '{"weight_map": {}}',
        '{"weight_map": ["a"]}',
        '{"weight_map": {"a": 1}}',
        '{"weight_map": {"a": "../model.safetensors"}}',
        '{"weight_map": {"a": "/model.safetensors"}}',
        '{"weight_map": {"a": ""}}',
        '{"weight_map": {"a": ".."}}',
        '{"weight_map": {"a": "model.bin"}}',
        '{"weight_map": {"a": "a\\u0000.safetensors"}}',
    ],
)
def test_an_index_that_is_none_is_refused(tmp_path, content):
    source = make(tmp_path / "bert")
    index = shard(source)
    index.write_text(content)
    assert str(index) in refusal(source)


# Damage, types, values


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (lambda content: b"", "header too small"),
        (lambda content: content[:4], "header too small"),
        (lambda content: content[:100], "invalid header length"),
        (lambda content: content[:-1], "not fully covered"),
        (lambda content: content + b"\n", "not fully covered"),
        (lambda content: b"\xff" * 8 + content[8:], "header too large"),
        (lambda content: content[:8] + b"\n" * 8 + content[16:], "invalid JSON in header"),
        (lambda content: content.replace(b'"F32"', b'"F99"', 1), "unknown variant"),
        (lambda content: b"not safetensors at all", "header too large"),
    ],
)
def test_a_damaged_file_is_one_line(tmp_path, damage, said):
    source = make(tmp_path / "bert")
    path = source / "model.safetensors"
    path.write_bytes(damage(path.read_bytes()))
    message = refusal(source)
    assert message.startswith(f"{path}: not a readable safetensors file. Received: ")
    assert said in message


@pytest.mark.parametrize("dtype", [np.float16, ml_dtypes.bfloat16, np.float64])
def test_other_float_types_load(tmp_path, dtype):
    tensors = {key: array.astype(dtype) for key, array in tensors_of(BERT).items()}
    source = make(tmp_path / "bert", tensors=tensors)
    found = values_of(source)
    assert same_bits(found["token_embedding/embeddings"], tensors[WORDS])
    model = ka.load_model(source)
    table = ops.convert_to_numpy(model.get_layer("token_embedding").embeddings)
    np.testing.assert_array_equal(table, tensors[WORDS].astype("float32"))
    assert verify(source)["passed"]


def test_weights_that_are_no_floats_are_refused(tmp_path):
    tensors = tensors_of(BERT) | {"bert.pooler.dense.bias": np.zeros(HIDDEN, "int8")}
    message = refusal(make(tmp_path / "bert", tensors=tensors))
    assert message.endswith("weights are floats. Received: bert.pooler.dense.bias I8")


def test_weights_that_are_not_finite_are_refused_unless_allowed(tmp_path):
    tensors = tensors_of(BERT)
    tensors["bert.pooler.dense.bias"][3] = np.nan
    source = make(tmp_path / "bert", tensors=tensors)
    assert "bert.pooler.dense.bias: weights must be finite" in refusal(source)
    assert np.isnan(values_of(source, allow_nonfinite=True)["pool/bias"][3])


def test_a_vocabulary_may_be_shorter_than_the_table_but_not_longer(tmp_path):
    with open_weights(make(tmp_path / "padded", vocabulary=VOCAB_SIZE - 4)) as (weights, _):
        assert weights.notes == ["4 rows of the token table have no entry in vocab.txt"]
    with open_weights(make(tmp_path / "right", vocabulary=VOCAB_SIZE)) as (weights, _):
        assert weights.notes == []
    message = refusal(make(tmp_path / "long", vocabulary=VOCAB_SIZE + 1))
    assert message.endswith("Received: 61 entries, vocab_size=60")


def test_configuration_and_weights_are_of_one_family(tmp_path):
    source = make(tmp_path / "bert", tensors=tensors_of(ALBERT))
    assert refusal(source).endswith("are of one family. Received: bert, albert")
    other = make(tmp_path / "other", tensors={"layer.0.weight": np.zeros(3, "float32")})
    assert "no BERT or ALBERT encoder of a known family (bert, albert)" in refusal(other)


def test_a_source_of_another_kind_is_refused(tmp_path):
    (tmp_path / "config.json").write_text('{"keras_albert_schema": 1}')
    (tmp_path / "model.weights.h5").touch()
    with locate(tmp_path) as located, pytest.raises(InputError, match="not a safetensors file"):
        HuggingFaceWeights(located)


def test_data_that_is_lost_while_it_is_read_is_named(tmp_path):
    source = make(tmp_path / "bert")
    with open_weights(source) as (weights, _):
        os.truncate(source / "model.safetensors", 9_000)
        with pytest.raises(InputError, match=r"the data of bert.* is missing or damaged"):
            weights.read("pool/kernel")


def test_a_folder_may_be_removed_after_loading(tmp_path):
    source = make(tmp_path / "bert")
    model = ka.load_model(source)
    before = keras.ops.convert_to_numpy(model.weights[0]).copy()
    path = source / "model.safetensors"
    path.write_bytes(bytes(path.stat().st_size))
    np.testing.assert_array_equal(keras.ops.convert_to_numpy(model.weights[0]), before)
