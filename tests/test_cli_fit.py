"""`keras-albert fit` and `evaluate`: a run's folder, its settings, its interruptions, bad input."""

import argparse
import errno
import io
import json
import os
import re
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

import keras_albert as ka
from keras_albert import cli, tasks
from keras_albert.cli import fit, fit_arguments, progress
from keras_albert.directory import sha256
from keras_albert.errors import InputError
from keras_albert.report import run_folder
from keras_albert.runs.data import KIND_NAMES
from keras_albert.tasks import TextClassifier
from keras_albert.training import non_finite
from keras_albert.training.errors import Interrupted
from tests.keras_albert.tasks.small import NAMES, reviews, run_eagerly, write_source
from tests.paths import ROOT, SHARED, needs_shared

FAST = ("--epochs", 4, "--batch-size", 16, "--learning-rate", 5e-3)


def texts_and_labels(rows, seed=0):
    """Texts of seven words all: batches have one shape, and their graph is built once."""
    texts, labels = reviews(rows, seed)
    return [" ".join([*text.split(), *["the"] * 7][:7]) for text in texts], labels


def write_rows(path, rows, seed=0, names=NAMES):
    texts, labels = texts_and_labels(rows, seed)
    named = dict(zip(NAMES, names, strict=True))
    lines = [f"{text}\t{named[label]}\n" for text, label in zip(texts, labels, strict=True)]
    path.write_text("text\tlabel\n" + "".join(lines), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """A folder with an encoder, and rows to learn from, to validate and to test by."""
    folder = tmp_path_factory.mktemp("files")
    write_source(folder)
    write_rows(folder / "train.tsv", 320)
    write_rows(folder / "few.tsv", 64)
    write_rows(folder / "dev.tsv", 32, seed=1)
    write_rows(folder / "test.tsv", 32, seed=2)
    return folder


def words(files, output, *more, **flags):
    """The words of a fit of these files; flags replace or, with None, drop what is there."""
    named = {"pretrained": "encoder", "train": "train.tsv", "validation": "dev.tsv"} | flags
    given = [
        part
        for name, value in named.items()
        if value is not None
        for part in (f"--{name}", files / value)
    ]
    return list(map(str, ["fit", *given, "--output", output, *FAST, *more]))


@pytest.fixture(scope="module")
def run(files):
    """The folder of a finished run."""
    assert cli.run(words(files, files / "run", "--test", files / "test.tsv")) == 0
    return files / "run"


@pytest.fixture(autouse=True)
def quick_page(run, monkeypatch):
    """The pictures of one run are enough."""
    monkeypatch.setattr(run_folder, "render_html", lambda report: "<html>")


@pytest.fixture
def eager(monkeypatch):
    run_eagerly(monkeypatch)


def error_of(capsys):
    """The one line of an error."""
    captured = capsys.readouterr()
    (line,) = [line for line in captured.err.splitlines() if "error: " in line]
    assert captured.out == ""
    return line


def weights(folder):
    return {v.path: np.asarray(v) for v in ka.load_model(folder).weights}


def test_a_run_leaves_a_task_that_loads_with_report_card_metrics_and_settings(run):
    assert {path.name for path in run.iterdir()} == {
        *("config.json", "model.weights.h5", "task.json", "provenance.json"),
        *("vocab.txt", "tokenizer_config.json"),
        *("settings.json", "data.json", "metrics.jsonl"),
        *("report.json", "README.md", "report.html"),
    }
    classifier = tasks.load(run)
    assert isinstance(classifier, TextClassifier)
    assert classifier.settings.labels == ("negative", "positive")
    assert classifier.settings.max_length == 16  # the shortest that is taken; the texts are short
    report = json.loads((run / "report.json").read_text())
    assert report["metrics"]["rows"] == 32
    assert set(report["baselines"]) == {"majority", "tfidf_logistic_regression"}
    assert {name: part["rows"] for name, part in report["data"].items()} == {
        "train": 320,
        "validation": 32,
        "test": 32,
    }
    assert report["settings"]["learning_rate"] == 5e-3
    assert report["settings"]["temperature"] == classifier.settings.temperature != 1
    provenance = json.loads((run / "provenance.json").read_text())
    assert provenance["metrics"]["test"]["accuracy"] == report["metrics"]["accuracy"] > 0.9
    encoder = run.parent / "encoder"
    assert provenance["source"] == str(encoder)
    assert provenance["sha256"] == {"model.weights.h5": sha256(encoder / "model.weights.h5")}
    steps = [json.loads(line)["step"] for line in (run / "metrics.jsonl").read_text().splitlines()]
    assert steps[-1] == 4 * 320 / 16


def test_evaluate_measures_what_the_report_says(run, files, capsys, tmp_path):
    report = json.loads((run / "report.json").read_text())
    command = ["evaluate", "--model", str(run), "--data", str(files / "test.tsv")]
    target = tmp_path / "metrics.json"
    assert cli.run([*command, "--json", "--output", str(target)]) == 0
    metrics = json.loads(capsys.readouterr().out)
    assert metrics == json.loads(target.read_text())
    assert metrics.keys() == report["metrics"].keys()
    for name in ("accuracy", "f1", "log_loss", "ece"):
        assert metrics[name] == pytest.approx(report["metrics"][name])
    assert cli.run(command) == 0
    table = capsys.readouterr().out
    assert f"accuracy                 {metrics['accuracy']:.4g}\n" in table
    assert "  negative               precision " in table
    assert cli.run([*command, "--output", str(target)]) == 2
    assert "--force" in capsys.readouterr().err
    assert cli.run([*command, "--batch-size", "0"]) == 2
    assert error_of(capsys).endswith("Received: batch_size=0")


@pytest.mark.slow
def test_its_settings_repeat_a_run_and_after_sigterm_resume_ends_with_the_same_weights(
    run, files, tmp_path, monkeypatch, capsys
):
    output = tmp_path / "again"

    class Killing(fit.Progress):
        def __call__(self, done, total, label):
            if done == 27:
                os.kill(os.getpid(), signal.SIGTERM)

    with monkeypatch.context() as patch:
        patch.setattr(fit, "Progress", Killing)
        status = cli.run(["fit", "--config", str(run / "settings.json"), "--output", str(output)])
    assert status == 1
    assert "stopped after step 27 of 80" in (line := error_of(capsys))
    assert "--resume" in line
    assert not (output / "report.json").exists()
    assert cli.run(["fit", "--resume", "--output", str(output)]) == 0
    assert json.loads((output / "settings.json").read_text()) == json.loads(
        (run / "settings.json").read_text()
    )
    assert not (output / "checkpoints").exists()
    resumed = weights(output)
    for path, weight in weights(run).items():
        np.testing.assert_array_equal(resumed[path], weight, err_msg=path)


def test_a_finished_run_is_not_repeated(run, files, capsys):
    before = (run / "provenance.json").stat().st_mtime_ns
    assert cli.run(words(files, run, "--test", str(files / "test.tsv"), "--resume", "--json")) == 0
    assert json.loads(capsys.readouterr().out)["judged_by"] == "test"
    assert (run / "provenance.json").stat().st_mtime_ns == before


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        (("--epochs", 3), "epochs=3 (was 4)"),
        (("--seed", 1), "seed=1 (was 0)"),
        (("--train", "other.tsv"), "train={'rows': 320, 'sha256': '"),
        (("--validation", "train.tsv"), "validation={'rows': 320"),
    ],
)
def test_a_run_does_not_go_on_with_other_settings_or_data(run, files, capsys, changed, message):
    write_rows(files / "other.tsv", 320, seed=5)
    flag, value = changed
    value = files / value if isinstance(value, str) else value
    more = ("--test", str(files / "test.tsv"), "--resume", flag, str(value))
    assert cli.run(words(files, run, *more)) == 2
    assert message.split("=")[0] in (line := error_of(capsys))
    assert "A run is resumed with the settings and data that it began with" in line


def test_a_folder_that_is_not_empty_is_refused(run, files, capsys):
    assert cli.run(words(files, run)) == 2
    assert "--force" in error_of(capsys)


def test_force_replaces_a_run_and_a_full_disk_leaves_the_earlier_model_and_can_be_resumed(
    eager, files, tmp_path, monkeypatch, capsys
):
    output = tmp_path / "run"
    output.mkdir()
    (output / "model.weights.h5").write_bytes(b"earlier")
    (output / "notes.txt").write_text("mine")
    (output / "report.html").write_text("of the earlier run")

    def full(*arguments, **options):
        raise OSError(errno.ENOSPC, "No space left on device", "model.weights.h5")

    def without_matplotlib(report):
        raise ModuleNotFoundError("No module named 'matplotlib'", name="matplotlib")

    more = ("--epochs", 1, "--force", "--no-baselines", "--no-calibration")
    more += ("--class-weight", "balanced")
    with monkeypatch.context() as patch:
        patch.setattr(TextClassifier, "save", full)
        assert cli.run(words(files, output, *more, train="few.tsv")) == 2
    assert "No space left on device" in error_of(capsys)
    assert (output / "model.weights.h5").read_bytes() == b"earlier"
    assert len(list((output / "checkpoints").iterdir())) == 1
    monkeypatch.setattr(run_folder, "render_html", without_matplotlib)
    assert cli.run(["fit", "--resume", "--output", str(output)]) == 0
    report = json.loads((output / "report.json").read_text())
    assert report["baselines"] == {}
    assert not (output / "report.html").exists()
    assert tasks.load(output).settings.temperature == 1
    assert (output / "notes.txt").read_text() == "mine"


def test_a_dry_run_says_rows_steps_memory_and_rate_and_writes_nothing(files, tmp_path, capsys):
    output = tmp_path / "run"
    more = ("--dry-run", "--json", "--freeze", "*_embedding", "--max-length", 8)
    assert cli.run(words(files, output, *more)) == 0
    found = json.loads(capsys.readouterr().out)
    assert not output.exists()
    assert (found["task"], found["labels"]) == ("classification", NAMES)
    assert (found["steps_per_epoch"], found["steps"], found["epochs"]) == (20, 80, 4)
    assert found["max_length"] == 8
    assert found["cut"] == 1  # of nine tokens each
    model = ka.load_model(files / "encoder", "classification", num_labels=2)
    assert found["parameters"] == model.count_params()
    embeddings = sum(w.count_params() for w in model.layers if w.name.endswith("_embedding"))
    assert found["trainable_parameters"] == model.count_params() - embeddings
    memory = found["memory_bytes"]
    assert memory["weights"] == 4 * found["parameters"]
    assert memory["gradients"] == 4 * found["trainable_parameters"]
    assert memory["optimizer"] >= 2 * memory["gradients"]
    assert memory["total"] == sum(v for name, v in memory.items() if name != "total")
    assert found["seconds"] == pytest.approx(80 * 16 / found["rows_per_second"])


@pytest.mark.parametrize(
    ("more", "received"),
    [
        (("--accumulation", 0), "accumulation=0"),
        (("--accumulation", 81), "accumulation=81, batches=80"),
        (("--epochs", 0), "epochs=0"),
    ],
)
def test_a_dry_run_refuses_what_the_run_would(more, received, files, tmp_path, capsys):
    assert cli.run(words(files, tmp_path / "run", "--dry-run", *more)) == 2
    assert error_of(capsys).endswith(f"Received: {received}")


def test_a_dry_run_needs_no_output_and_speaks_text(files, run, tmp_path, capsys, caplog):
    caplog.set_level("INFO")
    rows = write_rows(tmp_path / "train.tsv", 320, names=("bad", "good"))
    more = ("--dry-run", "--fresh-head", "--train", rows, "--pretrained", run)
    more += ("--long-texts", "windows", "--max-length", 8)
    command = words(files, "-", *more, validation=None, train=None, pretrained=None)
    at = command.index("--output")
    del command[at : at + 2]
    assert cli.run(command) == 0
    text = capsys.readouterr().out
    assert "rows        288 train, 32 validation\n" in text
    # Seven tokens, in windows of six that begin three apart: two windows a text.
    assert "36 an epoch of 16 rows each, 144 in 4 epochs" in text
    assert f"32 of the 320 rows of {rows} are held out for it (10 %)" in caplog.text
    assert "0.0% of the training rows are cut" in text


@pytest.mark.slow
def test_several_seeds_give_mean_and_deviation_and_the_best_is_kept(eager, files, tmp_path, capsys):
    output = tmp_path / "runs"
    more = ("--epochs", 1, "--learning-rate", 1e-3, "--runs", 2, "--monitor", "val_loss")
    more += ("--json", "--no-baselines")
    assert cli.run(words(files, output, *more, train="few.tsv")) == 0
    found = json.loads(capsys.readouterr().out)
    summary = json.loads((output / "runs.json").read_text())
    assert {name: found[name] for name in summary} == summary
    assert [(r["folder"], r["seed"]) for r in summary["runs"]] == [("run-0", 0), ("run-1", 1)]
    losses = [run["metrics"]["validation"]["log_loss"] for run in summary["runs"]]
    assert losses[0] != losses[1]
    assert summary["best"] == f"run-{int(np.argmin(losses))}"
    assert summary["mean"]["validation"]["log_loss"] == pytest.approx(np.mean(losses))
    assert summary["deviation"]["validation"]["log_loss"] == pytest.approx(np.std(losses, ddof=1))
    best = weights(output / summary["best"])
    for path, weight in weights(output).items():
        np.testing.assert_array_equal(weight, best[path])
    assert json.loads((output / "settings.json").read_text())["runs"] == 2
    # What is finished is not done again; here the last step of the whole is missing.
    (output / "report.json").unlink()
    kept = (output / "run-1" / "provenance.json").stat().st_mtime_ns
    assert cli.run(["fit", "--resume", "--output", str(output)]) == 0
    text = capsys.readouterr().out
    assert re.search(r"^Mean .*\nDeviation .*\nthe best of 2 by log_loss: run-", text, re.MULTILINE)
    assert (output / "run-1" / "provenance.json").stat().st_mtime_ns == kept
    assert cli.run(["fit", "--resume", "--output", str(output)]) == 0
    assert capsys.readouterr().out == text
    assert tasks.load(output).settings.labels == tuple(NAMES)


def parts_of(folder, *more):
    """The texts and labels that a run would have of train.tsv and test.tsv."""
    parser = argparse.ArgumentParser()
    fit.add_arguments(parser)
    named = [word for name in ("train", "test") for word in (f"--{name}", folder / f"{name}.tsv")]
    columns = ("--text", "-3", "--text-pair", "-2", "--label", "-1", "--label-type", "number")
    data = fit._data(parser.parse_args(list(map(str, [*named, *columns, *more]))))
    return data.parts


def test_a_file_with_a_header_and_one_without_are_read_by_the_same_numbers(tmp_path):
    rows = "0\tnews\tA plane lands.\tA plane is down.\t4.5\n1\tnews\tA man.\tA dog.\t0.0\n"
    header = "index\tgenre\tsentence1\tsentence2\tscore\n"
    (tmp_path / "train.tsv").write_text(rows * 10)
    (tmp_path / "test.tsv").write_text(header + rows)
    parts = parts_of(tmp_path)
    assert parts["test"].texts == [("A plane lands.", "A plane is down."), ("A man.", "A dog.")]
    assert parts["test"].labels.tolist() == [4.5, 0.0]
    assert len(parts["train"].texts) + len(parts["validation"].texts) == 20
    with pytest.raises(InputError, match=r"at .*test.tsv:1. Received: label='score'"):
        parts_of(tmp_path, "--no-header")  # holds for both


@needs_shared
def test_sts_b_is_read_though_one_of_its_files_has_a_header():
    parts = parts_of(SHARED / "data" / "STS-B")
    rows = {name: len(part.texts) for name, part in parts.items()}
    assert rows["train"] + rows["validation"] == 4249
    assert rows["test"] == 1500
    assert parts["test"].texts[0][0] == "A man with a hard hat is dancing."


def test_lists_of_labels_make_a_multi_label_task(eager, files, tmp_path, capsys):
    texts, labels = texts_and_labels(64)
    rows = [
        {"text": text, "labels": [label, *(["short"] if len(text) < 28 else [])]}
        for text, label in zip(texts, labels, strict=True)
    ]
    data = tmp_path / "train.jsonl"
    data.write_text("".join(json.dumps(row) + "\n" for row in rows))
    more = ("--epochs", 1, "--train", data, "--validation", data, "--threshold", 0.4)
    command = words(files, tmp_path / "run", *more, train=None, validation=None)
    assert cli.run(command) == 0
    assert "micro_f1" in capsys.readouterr().out
    settings = tasks.load(tmp_path / "run").settings
    assert (settings.kind, settings.labels) == ("multi_label", ("negative", "positive", "short"))
    assert settings.threshold == 0.4
    assert cli.run(["evaluate", "--model", str(tmp_path / "run"), "--data", str(data)]) == 0
    assert "threshold                0.4" in capsys.readouterr().out


def test_pairs_with_numbers_make_a_regression(eager, files, tmp_path, capsys):
    texts, labels = texts_and_labels(64)
    rows = [
        f"{text},film,{2.5 * (label in 'positive')}"
        for text, label in zip(texts, labels, strict=True)
    ]
    data = write(tmp_path / "train.csv", "a,b,n", *rows)
    columns = ("--text", "a", "--text-pair", "b", "--label", "n")
    more = ("--epochs", 1, "--train", data, "--validation", data, "--task", "regression", *columns)
    command = words(files, tmp_path / "run", *more, train=None, validation=None)
    assert cli.run(command) == 0
    assert "pearson" in capsys.readouterr().out
    settings = tasks.load(tmp_path / "run").settings
    assert (settings.kind, settings.labels, settings.segments) == ("regression", (), 2)
    command = ["evaluate", "--model", tmp_path / "run", "--data", data, *columns]
    assert cli.run(list(map(str, command))) == 0
    assert "mae" in capsys.readouterr().out


def test_a_loss_that_is_nan_names_step_and_rows_and_keeps_the_last_good_weights(
    eager, files, tmp_path, monkeypatch, capsys
):
    monkeypatch.setattr(non_finite, "_INTERVAL", 1)
    assert cli.run(words(files, tmp_path / "run", "--learning-rate", 1e30, "--warmup", 0)) == 1
    line = error_of(capsys)
    assert re.search(r"in step \d+ \(epoch \d\) it was not", line)
    assert f"{files / 'train.tsv'}:" in line
    assert tasks.load(tmp_path / "run" / "last_good").settings.labels == tuple(NAMES)


def test_ctrl_c_says_how_to_go_on(files, tmp_path, monkeypatch, capsys):
    def interrupted(*arguments, **options):
        raise KeyboardInterrupt("Ctrl-C: stopped after step 3, and saved; (--resume) goes on")

    monkeypatch.setattr(TextClassifier, "fit", interrupted)
    assert cli.run(words(files, tmp_path / "run")) == 1
    assert error_of(capsys).endswith("(--resume) goes on")


def test_debug_shows_where_a_run_was_interrupted(files, tmp_path, monkeypatch, capsys):
    def interrupted(*arguments, **options):
        raise Interrupted("SIGTERM: stopped")

    monkeypatch.setattr(TextClassifier, "fit", interrupted)
    assert cli.run(words(files, tmp_path / "run", "--debug")) == 1
    assert "Traceback (most recent call last)" in capsys.readouterr().err


def train_rows(*rows):
    return lambda folder: {"train": write(folder / "bad.tsv", "text\tlabel", *rows)}


def write(path, *lines):
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    return path


def dev_rows(*rows):
    return lambda folder: {"validation": write(folder / "bad.tsv", "text\tlabel", *rows)}


def labels(*names):
    return lambda folder: {"labels": write(folder / "labels.txt", *names)}


# What is wrong -> the files, further words, and what the line says.
BAD = {
    "an unknown label in the validation": (
        dev_rows("good\tpositive", "bad\tneutral"),
        (),
        ("'negative', 'positive'", "bad.tsv:3. Received: label='neutral'"),
    ),
    "a training label that the label file lacks": (
        labels("negative", "neutral"),
        (),
        ("'negative', 'neutral'", "train.tsv:", "Received: label='positive'"),
    ),
    "a label file with a name twice": (labels("negative", "negative"), (), ("each once",)),
    "an empty label file": (lambda f: {"labels": write(f / "l")}, (), ("must not be empty",)),
    "one class only": (
        train_rows("good\tyes", "fine\tyes"),
        (),
        ("two labels or more", "bad.tsv. Received: label='yes', rows=2"),
    ),
    "a target that is NaN": (
        train_rows("good\t1.5", "bad\tnan"),
        ("--task", "regression"),
        ("finite number", "bad.tsv:3", "'nan'"),
    ),
    "a target beyond float32": (
        train_rows("good\t1.5", "bad\t1e39"),
        ("--label-type", "number"),
        ("finite", "bad.tsv:3", "1e+39"),
    ),
    "a target that is no number": (
        train_rows("good\t1.5", "bad\tmuch"),
        ("--task", "regression"),
        ("finite number", "bad.tsv:3", "'much'"),
    ),
    "numbers for classes": (
        train_rows("good\t1.5", "bad\t2"),
        ("--task", "classification", "--label-type", "number"),
        ("one class a row", "bad.tsv:2", "1.5"),
    ),
    "lists for classes": (
        train_rows("good\ta,b", "bad\tb"),
        ("--task", "text_classification", "--label-separator", ","),
        ("one class a row", "bad.tsv:2"),
    ),
    "classes for lists": (
        train_rows("good\ta", "bad\tb"),
        ("--task", "multi_label"),
        ("--label-separator", "bad.tsv:2"),
    ),
    "labels for numbers": (
        lambda f: train_rows("a\t1", "b\t2")(f) | labels("1", "2")(f),
        ("--task", "regression"),
        ("no classes",),
    ),
    "no labels": (
        lambda f: {"train": write(f / "bad.txt", "good", "bad")},
        (),
        ("Every row of a run has a label", "bad.txt:1"),
    ),
    "pairs in the validation alone": (
        lambda f: {"validation": write(f / "bad.tsv", "text1\ttext2\tlabel", "a\tb\tpositive")},
        (),
        ("as many texts as the first", "bad.tsv:2. Received: texts=2"),
    ),
    "too few rows to hold one out": (
        train_rows("good\tpositive", "bad\tnegative"),
        (),
        ("--validation", "bad.tsv. Received: rows=2"),
    ),
    "a long text where such are refused": (
        train_rows("good\tpositive", "bad bad bad bad bad bad bad\tnegative", "fine\tpositive"),
        ("--long-texts", "refuse", "--max-length", 8),
        ("at most 8 tokens", "bad.tsv:3. Received: tokens=9"),
    ),
    "a long text in the validation": (
        dev_rows("good\tpositive", "bad " * 40 + "\tnegative"),
        ("--long-texts", "refuse"),
        ("at most 32 tokens", "bad.tsv:3. Received: tokens=42"),
    ),
    "a file that is not there": (
        lambda f: {"train": f / "nowhere.tsv"},
        (),
        ("nowhere.tsv", "No such file"),
    ),
    "a class weight of no class": (lambda f: {}, ("--class-weight", "neutral=2"), ("'neutral'",)),
    "a class weight that is none": (lambda f: {}, ("--class-weight", "negative"), ("NAME=W",)),
    "classes of numbers balanced": (
        train_rows("a\t1", "b\t2", "c\t3"),
        ("--task", "regression", "--class-weight", "balanced"),
        ("balanced",),
    ),
    "no layer to freeze": (lambda f: {}, ("--freeze", "block*"), ("freeze names layers",)),
    "a stride beyond a window": (lambda f: {}, ("--stride", "600"), ("stride=600",)),
    "a momentum that is none": (lambda f: {}, ("--ema", "1.5"), ("ema=1.5",)),
    "a rate that is no number": (lambda f: {}, ("--learning-rate", "nan"), ("learning_rate=nan",)),
    "a warm-up that is no number": (lambda f: {}, ("--warmup", "nan"), ("warmup=nan",)),
    "no batch for an update": (lambda f: {}, ("--accumulation", "0"), ("accumulation=0",)),
    "more batches for an update than there are": (
        lambda f: {},
        ("--accumulation", "999"),
        ("An update takes at most", "accumulation=999, batches="),
    ),
    "a batch without end": (lambda f: {}, ("--batch-size", "9" * 20), ("fewer than 2**31",)),
    "no length": (lambda f: {}, ("--max-length", "0"), ("max_length=0",)),
    "a seed below 0": (lambda f: {}, ("--seed", "-1"), ("seed=-1",)),
    "no run": (lambda f: {}, ("--runs", "0"), ("runs=0",)),
    "a monitor that no run has": (
        lambda f: {},
        ("--runs", "2", "--monitor", "val_bleu"),
        ("val_bleu",),
    ),
}


@pytest.mark.parametrize("wrong", BAD)
def test_bad_input_is_one_line_with_its_place_and_status_2(wrong, files, tmp_path, capsys):
    make, more, parts = BAD[wrong]
    output = tmp_path / "run"
    changed = make(tmp_path)
    flags = {name: None for name in changed if name in ("train", "validation")}
    if "train" in flags:
        flags["validation"] = None
    named = [str(part) for name, path in changed.items() for part in (f"--{name}", path)]
    assert cli.run(words(files, output, *named, *more, **flags)) == 2
    line = error_of(capsys)
    for part in parts:
        assert part in line
    assert not output.exists()


def test_a_classifier_goes_on_with_its_own_labels_alone(run, files, tmp_path, capsys):
    rows = write_rows(tmp_path / "train.tsv", 30, names=("bad", "good"))
    more = ("--train", rows, "--pretrained", run)
    command = words(files, tmp_path / "run", *more, train=None, validation=None, pretrained=None)
    assert cli.run(command) == 2
    line = error_of(capsys)
    assert "labels=['bad', 'good'], the classifier has ['negative', 'positive']" in line
    assert "--fresh-head" in line


@pytest.mark.parametrize("command", ["evaluate", "predict"])
@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("task", "token_classification", "task='token_classification'"),
        ("keras_albert_task", 99, "keras_albert_task=99"),
        ("labels", ["a", "b", "c"], "2 outputs, 3 labels"),
    ],
)
def test_a_model_folder_of_another_task_schema_or_labels_is_refused(
    command, key, value, message, run, files, tmp_path, capsys
):
    folder = tmp_path / "model"
    folder.mkdir()
    for path in run.iterdir():
        (folder / path.name).write_bytes(path.read_bytes())
    content = json.loads((folder / "task.json").read_text())
    (folder / "task.json").write_text(json.dumps(content | {key: value}))
    flag = {"evaluate": "--data", "predict": "--input"}[command]
    assert cli.run([command, "--model", str(folder), flag, str(files / "dev.tsv")]) == 2
    assert message in error_of(capsys)


def test_evaluate_names_the_place_of_an_unknown_label(run, tmp_path, capsys):
    path = write(tmp_path / "bad.tsv", "text\tlabel", "good\tpositive", "bad\tneutral")
    assert cli.run(["evaluate", "--model", str(run), "--data", str(path)]) == 2
    assert "bad.tsv:3. Received: label='neutral'" in error_of(capsys)


@pytest.mark.parametrize(
    ("command", "missing"),
    [
        (["fit", "--train", "x.tsv"], "--pretrained, --output"),
        (["evaluate"], "--model, --data"),
        (["predict"], "--model"),
    ],
)
def test_what_a_command_needs_is_named(command, missing, capsys):
    assert cli.run(command) == 2
    assert f"{command[0]} needs {missing}." in error_of(capsys)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.json", '{"epoch": 3}', "no setting of this command; near: epochs. Received: 'epoch'"),
        ("a.json", '{"epochs": "three"}', "epochs: not what the flag takes. Received: 'three'"),
        ("a.json", '{"epochs": true}', "epochs: not true or false. Received: True"),
        ("a.json", '{"resume": "yes"}', "resume: true or false. Received: 'yes'"),
        ("a.json", '{"task": "span"}', "task: one of classification"),
        ("a.json", '{"train": ["a", "b"]}', "train: a text or a number"),
        ("a.json", "[1]", "settings are an object. Received: list"),
        ("a.json", "{", "settings are JSON or TOML"),
        ("a.toml", "epochs = ", "settings are JSON or TOML"),
        ("a.json", '{"debug": true}', "no setting of this command"),
        ("b/a.json", None, "Settings are a readable file"),
    ],
)
def test_a_bad_settings_file_is_one_line_and_status_2(name, content, message, tmp_path, capsys):
    path = tmp_path / name
    if content is not None:
        path.write_text(content)
    assert cli.run(["fit", "--config", str(path)]) == 2
    assert message in error_of(capsys)


def test_flags_win_over_the_settings_file_and_the_file_over_defaults(tmp_path, monkeypatch):
    seen = []
    monkeypatch.setattr(fit, "run", lambda args: seen.append(args) or 0)
    path = tmp_path / "settings.toml"
    path.write_text(
        'epochs = 5\nbatch-size = 8\nwarmup = 100\nlower-case = false\nlabel = "Quality"\n'
        'freeze = ["pool", "a*"]\nignore-config-key = ["x"]\ncalibration = false\ntext = 1\n'
        'class_weight = "balanced"\n'
    )
    flags = ["--epochs", "7", "--ignore-config-key", "y", "--freeze", "b*"]
    assert cli.run(["fit", "--config", str(path), *flags]) == 0
    (args,) = seen
    assert (args.epochs, args.batch_size, args.learning_rate, args.seed) == (7, 8, None, 0)
    assert (args.warmup, type(args.warmup)) == (100, int)
    assert (args.freeze, args.ignore_config_key) == (["b*"], ["y"])
    assert (args.lower_case, args.calibration) == (False, False)
    assert (args.label, args.text, args.class_weight) == ("Quality", "1", ["balanced"])


def test_a_settings_file_may_say_that_there_is_no_label(tmp_path, monkeypatch):
    seen = []
    monkeypatch.setattr(fit, "run", lambda args: seen.append(args) or 0)
    path = tmp_path / "settings.json"
    path.write_text('{"label": false, "monitor": null}')
    assert cli.run(["fit", "--config", str(path)]) == 0
    assert (seen[0].label, seen[0].monitor) == (False, None)


def test_help_names_googles_flags_and_the_model_configurations_own(capsys):
    assert cli.run(["fit", "--help"]) == 0
    text = capsys.readouterr().out
    assert "--bert_config_file, --albert_config_file  --model-config" in text
    assert "--train_batch_size" in text


def test_progress_goes_on_from_where_the_run_was_and_notes_have_their_own_lines(monkeypatch):
    clock = iter([0.0, 10.0])
    monkeypatch.setattr(progress.time, "monotonic", lambda: next(clock))
    stream = io.StringIO()
    stream.isatty = lambda: True
    report = progress.Progress("steps", stream)
    report(1000, 1100, "fine-tuning")
    report(1050, 1100, "fine-tuning")
    report.note("epoch 1")
    assert stream.getvalue() == (
        "\rfine-tuning: 1050/1100 steps, 5/s, 10 s left\x1b[K\repoch 1\x1b[K\n"
    )


def test_fit_offers_every_kind_of_task():
    assert set(fit_arguments.TASKS) == set(KIND_NAMES)


@pytest.mark.slow
def test_a_run_that_was_killed_goes_on_to_the_same_weights(run, files, tmp_path):
    output = tmp_path / "run"
    command = [sys.executable, "-m", "checkpoints_tools"]
    more = ("--save-every", "5", "--test", files / "test.tsv")
    process = subprocess.Popen(
        [*command, *words(files, output, *more)], cwd=ROOT, stderr=subprocess.DEVNULL
    )
    while not list(output.glob("checkpoints/step_*.npz")) and process.poll() is None:
        time.sleep(0.01)
    process.kill()
    assert process.wait() == -signal.SIGKILL
    assert not (output / "report.json").exists()
    subprocess.run([*command, "fit", "--resume", "--output", output], cwd=ROOT, check=True)
    resumed = weights(output)
    for path, weight in weights(run).items():
        np.testing.assert_array_equal(resumed[path], weight, err_msg=path)
