"""`keras-albert predict`: answers in their order, errors in their places, streams."""

import io
import json
import os
import subprocess
import sys

import keras
import pytest

from keras_albert import cli
from keras_albert.cli import predict as command
from keras_albert.cli.shared_work import Shares
from keras_albert.data.readers import read_records, text_file
from keras_albert.errors import InputError
from keras_albert.tasks import TextClassifier, load
from tests.keras_albert.tasks.small import NAMES, reviews, write_source
from tests.paths import ROOT


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A fine-tuned folder that refuses long texts; what it has learnt is nothing."""
    folder = tmp_path_factory.mktemp("model")
    keras.utils.set_random_seed(0)
    classifier = TextClassifier.from_pretrained(
        write_source(folder), NAMES, max_length=12, long_texts="refuse"
    )
    classifier.save(folder / "saved")
    return folder / "saved"


@pytest.fixture
def predict(folder, capsys, monkeypatch):
    """Runs the command with a standard input: (status, answers, errors)."""

    def predict(*words, given="", model=folder):
        data = given if isinstance(given, bytes) else given.encode()
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BufferedReader(io.BytesIO(data))))
        status = cli.run(["predict", "--model", str(model), *map(str, words)])
        captured = capsys.readouterr()
        errors = [line for line in captured.err.splitlines() if "error: " in line]
        return status, [json.loads(line) for line in captured.out.splitlines()], errors

    return predict


TEXTS, _ = reviews(100)


def test_every_text_has_its_answer_in_order(predict, folder):
    status, answers, errors = predict("--batch-size", 7, given="\n".join(TEXTS) + "\n")
    assert (status, errors) == (0, [])
    expected = load(folder).predict(TEXTS)
    assert [answer["label"] for answer in answers] == [answer["label"] for answer in expected]
    for answer, other in zip(answers, expected, strict=True):
        assert answer["scores"] == pytest.approx(other["scores"], abs=1e-5)
        assert sum(answer["scores"].values()) == pytest.approx(1)


@pytest.mark.parametrize("count", [1, 8, pytest.param(16, marks=pytest.mark.slow), 23])
def test_workers_share_a_file_and_it_comes_back_in_order(predict, tmp_path, monkeypatch, count):
    monkeypatch.setattr(command, "_BATCHES_AT_ONCE", 2)
    file, whole, shared = (tmp_path / name for name in ("texts.txt", "whole.jsonl", "shared.jsonl"))
    file.write_text("".join(f"{text}\n" for text in ["bad " * 11, *TEXTS][:count]))
    alone = predict("--input", file, "--output", whole, "--batch-size", 4)[0]
    addresses = ["127.0.0.1:2222", "127.0.0.1:2223", "127.0.0.1:2224"]
    statuses = []
    for worker in (2, 1, 0):  # the chief, which waits for the others, last
        task = {"type": "worker", "index": worker}
        config = json.dumps({"cluster": {"worker": addresses}, "task": task})
        monkeypatch.setenv("TF_CONFIG", config)
        statuses.append(predict("--input", file, "--output", shared, "--batch-size", 4)[0])
    assert statuses == [0, 0, alone]
    answers, expected = (
        [json.loads(line) for line in path.read_text().splitlines()] for path in (shared, whole)
    )
    assert len(answers) == count
    for answer, other in zip(answers, expected, strict=True):
        assert answer.get("label") == other.get("label")
        assert answer.get("error") == other.get("error")
        assert answer.get("scores", {}) == pytest.approx(other.get("scores", {}), abs=1e-5)
    assert {path.name for path in tmp_path.iterdir()} == {file.name, whole.name, shared.name}


def test_workers_need_files_to_share(predict, monkeypatch):
    config = {"cluster": {"worker": ["a:1", "b:1"]}, "task": {"type": "worker", "index": 0}}
    monkeypatch.setenv("TF_CONFIG", json.dumps(config))
    status, _, errors = predict(given="good\n")
    assert status == 2
    assert "Several workers read a file and write one" in errors[0]


def test_the_chief_does_not_wait_for_ever(tmp_path, monkeypatch):
    config = {"cluster": {"worker": ["a:1", "b:1"]}, "task": {"type": "worker", "index": 0}}
    monkeypatch.setenv("TF_CONFIG", json.dumps(config))
    shares = Shares(tmp_path / "out.jsonl", 4, patience=0.3)
    shares.mine.write_text("")
    with pytest.raises(InputError, match="Received: none of worker 1"):
        list(shares.joined())


def test_a_bad_line_is_an_error_in_its_place_and_the_rest_goes_on(predict):
    given = b"good film\nbad \xff film\n" + b"bad " * 11 + b"\n\npoor book\n"
    status, answers, errors = predict(given=given)
    assert status == 1
    assert errors == ["keras-albert: error: 2 of 5 texts could not be answered"]
    assert ["label" in answer for answer in answers] == [True, False, False, True, True]
    assert answers[1]["line"] == 2
    assert "UTF-8" in answers[1]["error"]
    assert answers[2]["line"] == 3
    assert "at most max_length tokens" in answers[2]["error"]


def test_objects_are_read_from_standard_input_where_the_format_says_so(predict):
    given = '{"text": "good"}\n{]\n{"text": 3}\n\n{"text": "bad"}\n'
    status, answers, errors = predict("--format", "jsonl", "--echo", given=given)
    assert status == 1
    assert len(errors) == 1
    assert [answer.get("texts") for answer in answers] == [["good"], None, None, ["bad"]]
    assert [answer.get("line") for answer in answers] == [None, 2, 3, None]


def test_a_file_may_have_labels_and_its_columns_may_be_named(predict, tmp_path):
    path = tmp_path / "data.csv"
    path.write_text('id,said,label\n1,"good, good",x\n2,bad,y\n')
    status, answers, _ = predict("--input", path, "--text", "said", "--echo")
    assert status == 0
    assert [answer["texts"] for answer in answers] == [["good, good"], ["bad"]]


def test_an_output_is_all_or_nothing_and_not_replaced_unasked(predict, tmp_path):
    target = tmp_path / "answers.jsonl"
    assert predict("--output", target, given="good\nbad\n") == (0, [], [])
    lines = target.read_text().splitlines()
    assert [json.loads(line)["label"] in NAMES for line in lines] == [True, True]
    status, _, errors = predict("--output", target, given="good\n")
    assert status == 2
    assert "--force" in errors[0]
    # A row that is no record ends the reading of CSV that is not UTF-8.
    data = tmp_path / "data.csv"
    data.write_bytes(b"text\ngood\nbad\xff\n")
    status, _, errors = predict("--output", target, "--force", "--input", data)
    assert status == 2
    assert "UTF-8" in errors[0]
    assert target.read_text().splitlines() == lines
    assert predict("--output", target, "--force", given="good\n")[0] == 0
    assert len(target.read_text().splitlines()) == 1
    assert sorted(tmp_path.iterdir()) == [target, data]


def test_what_was_read_before_the_end_of_the_reading_is_answered(predict, tmp_path, monkeypatch):
    monkeypatch.setattr(text_file, "BLOCK", 8)
    data = tmp_path / "data.csv"
    data.write_bytes(b"text\ngood\nbad\nbad\xff\n")
    status, answers, errors = predict("--input", data)
    assert status == 2
    assert "data.csv:4" in errors[0]
    assert len(answers) == 2


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--batch-size", 0), "batch_size=0"),
        (("--input", "nowhere.txt"), "No such file"),
        (("--text", "said"), "Received: text='said'"),
        ((), "must not be empty"),
    ],
)
def test_what_is_no_input_is_one_line_and_status_2(words, message, predict):
    status, answers, errors = predict(*words)
    assert (status, answers) == (2, [])
    (line,) = errors
    assert message in line


def test_a_folder_that_was_not_fine_tuned_is_refused(predict, folder):
    status, _, (error,) = predict(model=folder.parent / "encoder", given="good\n")
    assert status == 2
    assert "task.json" in error


def test_several_labels_and_numbers_have_their_own_answers(predict, folder, tmp_path):
    for kind, labels in (("multi_label", NAMES), ("regression", None)):
        task = TextClassifier.from_pretrained(folder.parent / "encoder", labels, kind=kind)
        task.save(tmp_path / kind)
    _, (answer,), _ = predict(model=tmp_path / "multi_label", given="good\n")
    assert answer["labels"] == [n for n in NAMES if answer["scores"][n] >= 0.5]
    _, (answer,), _ = predict(model=tmp_path / "regression", given="good\n")
    assert set(answer) == {"score"}
    assert isinstance(answer["score"], float)


@pytest.fixture
def pipe(monkeypatch):
    """The end of a pipe to write to, whose other end is standard input."""
    reading, writing = os.pipe()
    with open(reading) as stdin:
        monkeypatch.setattr(sys, "stdin", stdin)
        yield writing


def test_standard_input_calls_back_before_it_waits_and_only_then(pipe):
    waits = []

    def before_waiting():
        waits.append(1)
        if len(waits) == 1:
            os.write(pipe, b"bad\n")
        else:
            os.close(pipe)

    os.write(pipe, b"good\nfine\n")
    with command._before_waiting(before_waiting):
        assert sys.stdin.buffer.readline() == b"good\n"
        assert sys.stdin.buffer.readline() == b"fine\n"
        assert waits == []
        assert sys.stdin.buffer.read() == b"bad\n"
    assert len(waits) == 2


def test_what_fails_before_waiting_is_no_fault_of_the_input(pipe):
    def before_waiting():
        raise BrokenPipeError

    with pytest.raises(BrokenPipeError), command._before_waiting(before_waiting):
        list(read_records("-", "text", format="text"))
    os.close(pipe)


def test_answers_come_before_the_input_ends_and_a_closed_pipe_ends_quietly(folder):
    process = subprocess.Popen(
        [sys.executable, "-m", "checkpoints_tools", "predict", "--model", str(folder)],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"TF_CPP_MIN_LOG_LEVEL": "3"},
    )
    for texts in (["good"], ["bad", "poor", "fine"]):
        process.stdin.write("".join(f"{text}\n" for text in texts))
        process.stdin.flush()
        for _ in texts:
            assert json.loads(process.stdout.readline())["label"] in NAMES
    process.stdout.close()
    process.stdin.write("good\n")
    process.stdin.flush()
    errors = process.stderr.read()  # to its end, while standard input goes on
    process.stderr.close()
    process.stdin.close()
    assert process.wait() == 1
    assert "error" not in errors
    assert "Traceback" not in errors
