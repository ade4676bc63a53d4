"""`keras-albert serve-export`: what it writes and says, errors."""

import json

import pytest

import keras_albert as ka
from keras_albert import cli
from tests.paths import ROOT

MINI = ROOT / "keras_albert" / "quickstart_data" / "albert_mini"


@pytest.fixture(scope="module")
def directory(tmp_path_factory):
    """A classifier of two classes."""
    path = tmp_path_factory.mktemp("cli") / "classifier"
    ka.save_pretrained(ka.load_model(MINI, "classification", num_labels=2), path)
    return path


def test_it_says_what_the_signatures_take_and_give(directory, tmp_path, capsys):
    out = tmp_path / "reviews" / "1"
    assert cli.run(["serve-export", str(directory), str(out), "--max-length", "32"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines == [
        f"{out}: classification, 2 labels",
        "serving_default: text string [batch] -> label string [batch], "
        "scores float32 [batch, 2], labels string [batch, 2]",
        "token_ids: token_ids int32 [batch, length], segment_ids int32 [batch, length], "
        "padding_mask int32 [batch, length] -> label string [batch], scores float32 [batch, 2], "
        "labels string [batch, 2]",
    ]
    assert (out / "saved_model.pb").is_file()
    description = json.loads((out / "assets.extra" / "keras_albert.json").read_text())
    assert description["max_length"] == 32


def test_tokens_only_has_no_text(directory, tmp_path, capsys):
    assert cli.run(["serve-export", str(directory), str(tmp_path / "1"), "--tokens-only"]) == 0
    assert " text " not in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["{mini}", "{tmp}/1"], "A model for a server has the task 'classification'"),
        (["{tmp}/nothing", "{tmp}/1"], "nothing"),
        (["{directory}", "{tmp}"], "must be new or empty"),
        (["{directory}", "{tmp}/1", "--max-length", "1000"], "positions for 128 tokens"),
        (["{directory}", "{tmp}/1", "--max-length", "1"], "A row has at least [CLS] and [SEP]"),
        (["{directory}", "{directory}", "--force"], "OUT must not hold what is exported"),
    ],
)
def test_bad_input_is_one_line_and_status_2(directory, tmp_path, capsys, words, message):
    (tmp_path / "there").touch()
    places = {"mini": MINI, "tmp": tmp_path, "directory": directory}
    assert cli.run(["serve-export", *(word.format(**places) for word in words)]) == 2
    (line,) = [x for x in capsys.readouterr().err.splitlines() if x.startswith("keras-albert: ")]
    assert message in line
    assert [path.name for path in tmp_path.iterdir()] == ["there"]
