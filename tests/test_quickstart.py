"""The bundled checkpoint and rows, and the quickstart that runs on them."""

import json
import subprocess
import sys

import pytest

from checkpoints_tools.describe import describe
from checkpoints_tools.verify import verify
from keras_albert import quickstart
from tests.paths import ROOT

DATA = ROOT / "keras_albert" / "quickstart_data"


def test_the_bundled_checkpoint_is_in_google_s_layout_and_exact():
    description = describe(DATA / "albert_mini")
    assert (description["family"], description["task"]) == ("albert", "pretraining")
    assert description["absent_parts"] == []
    assert verify(DATA / "albert_mini")["passed"]


def test_the_bundled_rows_are_split_without_overlap_and_carry_their_licence():
    train, test = (quickstart._read(DATA / f"{name}.tsv") for name in ("train", "test"))
    for texts, labels in (train, test):
        assert len(texts) == len(labels) >= 1000
        assert set(labels) == {0, 1}
    assert not set(train[0]).intersection(test[0])
    assert "MIT" in (DATA / "VADER_LICENSE.txt").read_text()


@pytest.fixture
def small(monkeypatch):
    """The quickstart on a few rows and one epoch."""
    read = quickstart._read
    monkeypatch.setattr(quickstart, "EPOCHS", 1)
    monkeypatch.setattr(quickstart, "_read", lambda path: tuple(x[:64] for x in read(path)))


def test_quickstart_says_what_it_did_and_leaves_models_that_load(small, tmp_path):
    import keras_albert as ka

    lines = []
    report = quickstart.run(tmp_path, say=lines.append)
    text = "\n".join(lines)
    for part in ("albert, for pretraining", "exact:", "accuracy", "Saved to"):
        assert part in text
    assert report["parity"] is True
    assert [set(p) for p in report["predictions"]] == [{"text", "label", "probability"}] * 3
    assert ka.load_model(tmp_path / "fine_tuned").task == "classification"
    assert ka.load_model(tmp_path / "converted").task == "pretraining"
    provenance = json.loads((tmp_path / "fine_tuned" / "provenance.json").read_text())
    assert provenance["metrics"]["accuracy"] == report["accuracy"]


@pytest.mark.slow
def test_the_whole_quickstart_beats_guessing(tmp_path):
    command = [sys.executable, "-m", "checkpoints_tools", "quickstart", "--output", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT)
    accuracy, majority = (
        float(part.split()[-1].rstrip(";%")) for part in _result(done.stdout).split("%")[:2]
    )
    assert accuracy > majority + 5


def _result(output: str) -> str:
    return next(line for line in output.splitlines() if line.startswith("4."))
