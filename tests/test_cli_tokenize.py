"""`keras-albert tokenize`: JSON Lines, files of ready inputs, errors."""

import gzip
import io
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

import keras_albert as ka
from keras_albert import cli
from keras_albert.data.tfrecords import TFRecords, read_tfrecord
from tests.keras_albert.tokenization.rows import SMALL_MODEL
from tests.paths import ROOT

SOURCE = str(Path(ka.__file__).parent / "quickstart_data" / "albert_mini")


@pytest.fixture
def run(capsys, monkeypatch):
    """Runs a command line with a standard input: (status, lines of output, errors)."""

    def run(*words, given=""):
        monkeypatch.setattr(
            sys, "stdin", io.TextIOWrapper(io.BufferedReader(io.BytesIO(given.encode())))
        )
        status = cli.run(["tokenize", *map(str, words)])
        captured = capsys.readouterr()
        return status, captured.out.splitlines(), captured.err

    return run


def test_every_line_of_standard_input_becomes_a_line_of_json(run):
    status, lines, errors = run(SOURCE, given="A good film.\n\n中 é\n")
    tokenizer = ka.load_tokenizer(SOURCE)
    assert status == 0
    assert [json.loads(line) for line in lines] == [
        {"tokens": tokenizer.tokenize(text), "ids": tokenizer.encode(text).ids}
        for text in ("A good film.", "", "中 é")
    ]
    assert "text is lower-cased (the default)" in errors


def test_offsets_lead_back_to_the_text(run):
    _, (line,), _ = run(SOURCE, "--offsets", given="A  GOOD film\n")
    found = json.loads(line)
    assert found["offsets"][:2] == [[0, 1], [3, 7]]
    assert len(found["offsets"]) == len(found["ids"])


def test_a_sentencepiece_model_is_a_source_itself(run):
    _, (line,), _ = run(SMALL_MODEL, "--no-lower-case", given="the\n")
    assert json.loads(line)["tokens"][0].startswith("▁")


def test_special_tokens_stand_for_themselves_where_they_are_named(run):
    _, (line,), _ = run(SOURCE, "--special-token", "[MASK]", given="a [MASK] film\n")
    assert "[MASK]" in json.loads(line)["tokens"]
    _, (line,), _ = run(SOURCE, given="a [MASK] film\n")
    assert "[MASK]" not in json.loads(line)["tokens"]


def test_the_second_text_of_a_pair_is_a_segment(run, tmp_path):
    path = tmp_path / "pairs.csv"
    path.write_text('first,second,label\n"good, good",bad,1\n', encoding="utf-8")
    _, (line,), _ = run(
        *(SOURCE, "--input", path, "--header", "--text", "first"),
        *("--text-pair", "second", "--label", "label"),
    )
    tokenizer = ka.load_tokenizer(SOURCE)
    assert [part["tokens"] for part in json.loads(line)["segments"]] == [
        tokenizer.tokenize("good, good"),
        tokenizer.tokenize("bad"),
    ]


@pytest.mark.parametrize("packed", [False, True])
def test_a_file_of_ready_inputs_holds_what_the_preprocessor_makes(packed, run, tmp_path):
    content = b"\xef\xbb\xbfsentence\tlabel\r\na good film\tgood\r\nbad\tbad\r\n"
    path = tmp_path / ("data.tsv.gz" if packed else "data.tsv")
    path.write_bytes(gzip.compress(content) if packed else content)
    target = tmp_path / "data.tfrecord"
    status, lines, _ = run(SOURCE, "--input", path, "--to", target, "--max-length", 4)
    assert (status, lines) == (0, [f"{target}: 2 texts"])
    (chunk,) = read_tfrecord(target)
    inputs, labels = chunk
    expected = ka.load_preprocessor(SOURCE, 4).ragged(["a good film", "bad"])
    assert inputs["token_ids"].to_list() == expected["token_ids"].to_list()
    assert inputs["segment_ids"].to_list() == expected["segment_ids"].to_list()
    assert labels.numpy().tolist() == [b"good", b"bad"]


def test_labels_may_be_numbers(run, tmp_path):
    path = tmp_path / "scores.tsv"
    path.write_text("good\t1.5\nbad\t-2\n", encoding="utf-8")
    target = tmp_path / "scores.tfrecord"
    columns = ("--no-header", "--text", 0, "--label", 1, "--label-type", "number")
    assert run(SOURCE, "--input", path, *columns, "--to", target)[0] == 0
    (chunk,) = read_tfrecord(target)
    assert chunk[1].numpy().tolist() == [1.5, -2.0]


def test_a_file_is_not_replaced_unless_it_is_asked_for(run, tmp_path):
    target = tmp_path / "ready.tfrecord"
    target.write_bytes(b"mine")
    status, _, errors = run(SOURCE, "--to", target, given="a\n")
    assert (status, target.read_bytes()) == (2, b"mine")
    assert "--force" in errors
    assert run(SOURCE, "--to", target, "--force", given="a\n")[0] == 0
    assert TFRecords(target).rows == 1


@pytest.mark.parametrize(
    ("content", "words", "message"),
    [
        (b"", (), "A file must not be empty"),
        (b"a\tb\nc\n", ("--no-header", "--text", "0"), ":2. Received: columns=1"),
        (b"ok\nb\xff\n", ("--format", "text"), "--errors replace"),
        (b"text\tlabel\na\tb\n", ("--text", "words"), "words"),
        (b"{]\n", ("--format", "jsonl"), ":1"),
    ],
)
def test_bad_input_is_one_line_and_leaves_no_file(content, words, message, run, tmp_path):
    path = tmp_path / "data.tsv"
    path.write_bytes(content)
    target = tmp_path / "out.tfrecord"
    status, lines, errors = run(SOURCE, "--input", path, *words, "--to", target)
    (error,) = [line for line in errors.splitlines() if "error: " in line]
    assert (status, lines) == (2, [])
    assert message in error
    assert sorted(tmp_path.iterdir()) == [path]


def test_offsets_and_a_file_exclude_each_other(run, tmp_path):
    status, _, errors = run(SOURCE, "--offsets", "--to", tmp_path / "x.tfrecord", given="a\n")
    assert status == 2
    assert "--offsets" in errors


@pytest.mark.slow
def test_without_tensorflow_text_all_but_text_works(tmp_path):
    program = (
        "import sys; sys.modules['tensorflow_text'] = None\n"
        "import keras_albert as ka\n"
        "from checkpoints_tools.verify import verify\n"
        "from keras_albert import cli\n"
        f"source = {SOURCE!r}\n"
        "assert verify(source)['passed']\n"
        f"assert cli.run(['convert', source, {str(tmp_path / 'out')!r}]) == 0\n"
        f"ka.load_model({str(tmp_path / 'out')!r}, task='classification', num_labels=2)\n"
        "print(cli.run(['tokenize', source]))\n"
    )
    ran = subprocess.run(
        [sys.executable, "-c", program],
        cwd=ROOT,
        input="a film\n",
        capture_output=True,
        text=True,
        check=True,
        env=os.environ | {"TF_CPP_MIN_LOG_LEVEL": "3"},
    )
    assert ran.stdout.splitlines()[-1] in ("1", "2")
    (error,) = [line for line in ran.stderr.splitlines() if "error: " in line]
    assert "pip install tensorflow-text" in error
    assert "tokenize --to FILE.tfrecord" in error
