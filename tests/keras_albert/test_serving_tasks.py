"""SavedModels of fine-tuned tasks answer as `predict` does, in a process without this package."""

import json
import os
import subprocess
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf
import tensorflow_text  # noqa: F401  the operations of what is loaded

from keras_albert.errors import InputError
from keras_albert.serving import export_saved_model
from keras_albert.tasks import TextClassifier
from tests.keras_albert.tasks.small import NAMES, write_source
from tests.keras_albert.tiny import spread
from tests.paths import ROOT

TEXTS = ["a good film", "", "the bad book was long ! " * 8, "中文 好", b"not UTF-8: \xff", "GOOD"]
PAIRS = [(first, second) for first in TEXTS for second in ("poor", "", "中 好 film")]
KINDS = {
    "one class": {"labels": NAMES},
    "several labels": {"labels": list("abc"), "kind": "multi_label", "threshold": 0.4},
    "a number": {"kind": "regression"},
    "windows": {"labels": NAMES, "max_length": 8, "long_texts": "windows", "stride": 3},
    "cut": {"labels": NAMES, "max_length": 8},
}
ELSEWHERE = """
import sys, json
sys.modules["keras_albert"] = None
import tensorflow as tf, tensorflow_text
served = tf.saved_model.load(sys.argv[1]).signatures["serving_default"]
texts = [bytes.fromhex(text) for text in json.loads(sys.argv[2])]
answers = served(text=tf.constant(texts))
print(json.dumps({
    "label": [label.decode() for label in answers["label"].numpy().tolist()],
    "scores": answers["scores"].numpy().tolist(),
}))
"""


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    return write_source(tmp_path_factory.mktemp("source"))


def task_of(source, temperature=1.0, segments=1, **options):
    """A task with weights so large that every text has an answer of its own."""
    keras.utils.set_random_seed(0)
    task = TextClassifier.from_pretrained(source, **options)
    spread(task.model, seed=2, scale=0.4)
    changed = {"temperature": temperature, "segments": segments}
    task.settings = type(task.settings)(**(vars(task.settings) | changed))
    return task


def served(task, folder, *segments):
    """The answers of the SavedModel, loaded."""
    export_saved_model(task, folder)
    function = tf.saved_model.load(str(folder)).signatures["serving_default"]
    names = ("text", "text_pair")
    inputs = {
        name: tf.constant([t if isinstance(t, bytes) else t.encode() for t in texts])
        for name, texts in zip(names, segments, strict=False)
    }
    return {name: value.numpy() for name, value in function(**inputs).items()}


def assert_same_answers(answers, predicted, names):
    """What a server says, and what `predict` says."""
    if "score" in answers:
        scores = [answer["score"] for answer in predicted]
        np.testing.assert_allclose(answers["score"], scores, atol=1e-6)
        return
    scores = [[answer["scores"][name] for name in names] for answer in predicted]
    np.testing.assert_allclose(answers["scores"], scores, atol=1e-6)
    assert np.ptp(scores, axis=0).max() > 0.05  # the texts do not all say the same
    if "label" in answers:
        assert answers["label"].tolist() == [answer["label"].encode() for answer in predicted]
    else:
        held = [[n for n, h in zip(names, row, strict=True) if h] for row in answers["holds"]]
        assert held == [answer["labels"] for answer in predicted]
        assert any(held) and not all(len(labels) == len(names) for labels in held)


@pytest.mark.parametrize("kind", [*list(KINDS)[:-1], pytest.param("cut", marks=pytest.mark.slow)])
def test_a_served_task_answers_as_predict_does(source, tmp_path, kind):
    task = task_of(source, temperature=1.0 if kind == "a number" else 1.7, **KINDS[kind])
    answers = served(task, tmp_path / "1", TEXTS)
    assert_same_answers(answers, task.predict(TEXTS), task.targets.names)


@pytest.mark.slow
def test_windows_change_what_is_served(source, tmp_path):
    whole, cut = (
        served(task_of(source, **KINDS[kind]), tmp_path / kind, TEXTS)["scores"]
        for kind in ("windows", "cut")
    )
    np.testing.assert_allclose(whole[[0, 1, 3]], cut[[0, 1, 3]], atol=1e-6)  # the short ones
    assert abs(whole[2] - cut[2]).max() > 1e-4


def test_pairs_have_two_inputs(source, tmp_path):
    task = task_of(source, labels=NAMES, segments=2)
    answers = served(task, tmp_path / "1", *map(list, zip(*PAIRS, strict=True)))
    assert_same_answers(answers, task.predict(PAIRS), NAMES)


def test_a_saved_folder_is_served_without_this_package(source, tmp_path):
    task = task_of(source, temperature=0.6, labels=NAMES)
    task.save(tmp_path / "task", provenance={"metrics": {"accuracy": 0.5}})
    description = export_saved_model(tmp_path / "task", tmp_path / "1")
    assert description["temperature"] == 0.6
    assert description["labels"] == NAMES
    assert description["provenance"]["metrics"] == {"accuracy": 0.5}
    texts = [text if isinstance(text, bytes) else text.encode() for text in TEXTS]
    ran = subprocess.run(
        [sys.executable, "-c", ELSEWHERE, tmp_path / "1", json.dumps([t.hex() for t in texts])],
        cwd=ROOT,
        env=os.environ | {"TF_CPP_MIN_LOG_LEVEL": "3"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    answers = json.loads(ran.stdout)
    predicted = task.predict(TEXTS)
    assert answers["label"] == [answer["label"] for answer in predicted]
    scores = [[answer["scores"][name] for name in NAMES] for answer in predicted]
    np.testing.assert_allclose(answers["scores"], scores, atol=1e-6)


def test_long_texts_are_refused_on_the_server_too(source, tmp_path):
    task = task_of(source, labels=NAMES, max_length=8, long_texts="refuse")
    with pytest.raises(tf.errors.InvalidArgumentError, match="at most max_length tokens"):
        served(task, tmp_path / "1", TEXTS)


def test_another_length_is_the_exports_alone(source, tmp_path):
    task = task_of(source, labels=NAMES)
    description = export_saved_model(task, tmp_path / "1", max_length=8)
    assert description["max_length"] == 8
    assert task.settings.max_length == task.preprocess.max_length == 32
    with pytest.raises(InputError, match="positions for 32"):
        export_saved_model(task, tmp_path / "2", max_length=64)
