"""SavedModels for servers: raw strings in, answers out, without this package."""

import json
import os
import subprocess
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from tensorflow.core.framework import tensor_pb2

import keras_albert as ka
from keras_albert.errors import InputError
from keras_albert.serving import export as serving
from keras_albert.serving import export_saved_model
from tests.keras_albert.tiny import spread
from tests.paths import ROOT

MINI = ROOT / "keras_albert" / "quickstart_data" / "albert_mini"
LENGTH = 24
TEXTS = [
    "A gripping film.",
    "",
    b"not UTF-8: \xff\xfe, and a nul \0 too",
    "Dull, " * 500,
    "ÉTÉ 中文 \u200b👩‍🚀",
]


def classifier(num_labels=3):
    return spread(ka.load_model(MINI, "classification", num_labels=num_labels), scale=0.1)


@pytest.fixture(scope="module")
def directory(tmp_path_factory):
    """A classifier of three classes."""
    path = tmp_path_factory.mktemp("serving") / "classifier"
    ka.save_pretrained(classifier(), path, provenance={"labels": list("xyz"), "source": "here"})
    return path


@pytest.fixture(scope="module")
def exported(directory):
    """The SavedModel of `directory`, with what it was said to be."""
    description = export_saved_model(directory, directory.parent / "1", max_length=LENGTH)
    return directory.parent / "1", description


@pytest.fixture(scope="module")
def tokens(directory):
    """Its SavedModel without texts."""
    export_saved_model(directory, directory.parent / "tokens", tokens_only=True)
    return directory.parent / "tokens"


def elsewhere(program, *arguments):
    """Runs a program in a process that has no keras_albert; its standard output, as JSON."""
    ran = subprocess.run(
        [sys.executable, "-c", f"import sys; sys.modules['keras_albert'] = None\n{program}"]
        + [str(argument) for argument in arguments],
        cwd=ROOT,
        env=os.environ | {"TF_CPP_MIN_LOG_LEVEL": "3"},
        capture_output=True,
        text=True,
    )
    assert ran.returncode == 0, ran.stderr
    return json.loads(ran.stdout)


def served(path, signature="serving_default", **inputs):
    """The answers of a SavedModel in this process."""
    function = tf.saved_model.load(str(path)).signatures[signature]
    answers = function(**{name: tf.constant(value) for name, value in inputs.items()})
    return {name: value.numpy() for name, value in answers.items()}


def test_raw_strings_are_answered_without_this_package(directory, exported, tmp_path):
    path, _ = exported
    preprocess = ka.load_preprocessor(directory, LENGTH)
    logits = ka.load_model(directory).predict(preprocess(TEXTS), verbose=0)["logits"]
    expected = keras.ops.convert_to_numpy(keras.ops.softmax(logits))
    texts = [text if isinstance(text, bytes) else text.encode() for text in TEXTS]
    np.save(tmp_path / "texts.npy", np.array(texts, object), allow_pickle=True)
    answers = elsewhere(
        "import json, numpy as np, tensorflow as tf, tensorflow_text\n"
        "texts = list(np.load(sys.argv[2], allow_pickle=True))\n"
        "answer = tf.saved_model.load(sys.argv[1]).signatures['serving_default']\n"
        "whole = answer(text=tf.constant(texts))\n"
        "ones = [answer(text=tf.constant([text]))['scores'].numpy()[0] for text in texts]\n"
        "print(json.dumps({'scores': whole['scores'].numpy().tolist(),\n"
        "    'one by one': np.array(ones).tolist(),\n"
        "    'label': [label.decode() for label in whole['label'].numpy()],\n"
        "    'labels': [[x.decode() for x in row] for row in whole['labels'].numpy()]}))",
        path,
        tmp_path / "texts.npy",
    )
    np.testing.assert_allclose(answers["scores"], expected, atol=1e-6)
    np.testing.assert_allclose(answers["one by one"], expected, atol=1e-6)
    assert answers["label"] == ["xyz"[best] for best in expected.argmax(axis=-1)]
    assert answers["labels"] == [["x", "y", "z"]] * len(TEXTS)


def test_token_ids_are_answered_by_the_second_signature(directory, exported):
    path, _ = exported
    inputs = ka.load_preprocessor(directory, LENGTH)(TEXTS[:2])
    texts = served(path, text=TEXTS[:2])
    tokens = served(path, "token_ids", **inputs)
    assert sorted(tokens) == sorted(texts)
    np.testing.assert_allclose(tokens["scores"], texts["scores"], atol=1e-6)


def test_without_tensorflow_text_the_tokens_alone_are_served(directory, exported, tokens, tmp_path):
    path, _ = exported
    inputs = ka.load_preprocessor(directory, LENGTH)(TEXTS[:2])
    np.savez(tmp_path / "inputs.npz", **inputs)
    answers = elsewhere(
        "sys.modules['tensorflow_text'] = None\n"
        "import json, numpy as np, tensorflow as tf\n"
        "inputs = {k: tf.constant(v) for k, v in np.load(sys.argv[2]).items()}\n"
        "signatures = tf.saved_model.load(sys.argv[1]).signatures\n"
        "print(json.dumps([signatures[name](**inputs)['scores'].numpy().tolist()\n"
        "    for name in ('serving_default', 'token_ids')]))",
        tokens,
        tmp_path / "inputs.npz",
    )
    expected = served(path, text=TEXTS[:2])["scores"]
    for found in answers:
        np.testing.assert_allclose(found, expected, atol=1e-6)


def test_a_regression_answers_with_a_number(tmp_path):
    model = classifier(num_labels=1)
    description = export_saved_model(model, tmp_path / "1", tokens_only=True)
    inputs = ka.load_preprocessor(MINI, LENGTH)(TEXTS[:2])
    answers = served(tmp_path / "1", **inputs)
    assert description["kind"] == "regression"
    np.testing.assert_allclose(
        answers["score"], model.predict(inputs, verbose=0)["logits"][:, 0], atol=1e-5
    )


def test_labels_signatures_and_lengths_lie_beside_the_model(exported):
    path, description = exported
    written = (path / "assets.extra" / "keras_albert.json").read_text(encoding="utf-8")
    assert json.loads(written) == description
    assert description["max_length"] == LENGTH
    assert description["labels"] == ["x", "y", "z"]
    assert sorted(description["provenance"]) == ["source", "weights_sha256"]
    assert description["signatures"]["serving_default"] == {
        "inputs": {"text": "string [batch]"},
        "outputs": {
            "label": "string [batch]",
            "scores": "float32 [batch, 3]",
            "labels": "string [batch, 3]",
        },
    }
    assert set(description["signatures"]["token_ids"]["inputs"].values()) == {
        "int32 [batch, length]"
    }


def warm_up(path):
    """The inputs of the warm-up request, read by the published numbers of the messages' fields.

    tensorflow_serving/apis/prediction_log.proto and predict.proto.
    """
    file = descriptor_pb2.FileDescriptorProto(name="log.proto", syntax="proto3")
    field = descriptor_pb2.FieldDescriptorProto
    for name, fields in {
        "Entry": [("key", 1, None), ("value", 2, b"")],
        "Request": [("inputs", 2, "Entry")],
        "PredictLog": [("request", 1, "Request")],
        "PredictionLog": [("predict_log", 6, "PredictLog")],
    }.items():
        message = file.message_type.add(name=name)
        for key, number, kind in fields:
            message.field.add(
                name=key,
                number=number,
                label=field.LABEL_REPEATED if key == "inputs" else field.LABEL_OPTIONAL,
                type={None: field.TYPE_STRING, b"": field.TYPE_BYTES}.get(kind, field.TYPE_MESSAGE),
                type_name=kind or None,
            )
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    log = message_factory.GetMessageClass(pool.FindMessageTypeByName("PredictionLog"))
    (record,) = tf.data.TFRecordDataset(str(path)).as_numpy_iterator()
    request = log.FromString(record).predict_log.request
    return {
        entry.key: tf.make_ndarray(tensor_pb2.TensorProto.FromString(entry.value))
        for entry in request.inputs
    }


def test_the_warm_up_request_is_one_that_the_model_answers(exported, tokens):
    path, _ = exported
    for model, names in ((path, {"text"}), (tokens, set(serving._MODEL_INPUTS))):
        inputs = warm_up(model / "assets.extra" / "tf_serving_warmup_requests")
        assert set(inputs) == names
        assert served(model, **inputs)["scores"].shape == (1, 3)


def test_what_is_no_classifier_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"'classification'\. Received: .*'pretraining'"):
        export_saved_model(MINI, tmp_path / "1")
    assert list(tmp_path.iterdir()) == []


def test_labels_that_do_not_fit_the_classes_are_refused(tmp_path):
    ka.save_pretrained(classifier(), tmp_path / "model", provenance={"labels": ["x", "y"]})
    with pytest.raises(InputError, match=r"names every class\. Received: 2 labels, 3 classes"):
        export_saved_model(tmp_path / "model", tmp_path / "1")


def test_a_length_beyond_the_positions_is_refused(directory, tmp_path):
    with pytest.raises(InputError, match=r"positions for 128 tokens\. Received: max_length=129"):
        export_saved_model(directory, tmp_path / "1", max_length=129)


def test_what_is_there_is_replaced_only_by_force(directory, tmp_path):
    (tmp_path / "1").mkdir()
    (tmp_path / "1" / "precious").touch()
    with pytest.raises(FileExistsError, match="--force"):
        export_saved_model(directory, tmp_path / "1")
    export_saved_model(directory, tmp_path / "1", tokens_only=True, force=True)
    assert not (tmp_path / "1" / "precious").exists()


def test_the_source_is_not_replaced_by_its_export(directory):
    with pytest.raises(InputError, match="OUT must not hold what is exported"):
        export_saved_model(directory, directory.parent, force=True)
    assert ka.load_model(directory).task == "classification"


def test_an_export_that_fails_leaves_nothing(directory, tmp_path, monkeypatch):
    def full_disk(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(serving, "_write_warm_up", full_disk)
    with pytest.raises(OSError, match="No space left"):
        export_saved_model(directory, tmp_path / "1", tokens_only=True)
    assert list(tmp_path.iterdir()) == []


def test_another_backend_is_refused_in_one_line(monkeypatch, tmp_path):
    monkeypatch.setattr(keras.backend, "backend", lambda: "jax")
    with pytest.raises(InputError, match="KERAS_BACKEND=jax"):
        export_saved_model(MINI, tmp_path / "1")
