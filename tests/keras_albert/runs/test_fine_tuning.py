"""What a run chooses by the data: lengths, weights of classes; and what it makes of its seeds."""

import importlib.util

import keras
import numpy as np
import pytest

import keras_albert as ka
from keras_albert import tasks
from keras_albert.data.records import Place, TextRecord
from keras_albert.errors import InputError
from keras_albert.report import run_folder as report_folder
from keras_albert.runs import Settings, fine_tune, fine_tune_seeds, prepare, seeds
from keras_albert.runs import folder as run_folder
from keras_albert.runs.estimate import render
from keras_albert.runs.fine_tuning import _callbacks, _Epochs, class_weights, new_classifier
from keras_albert.runs.lengths import refuse_long, suitable_length, token_lengths
from keras_albert.tasks import TextClassifier
from tests.keras_albert.tasks.small import write_source

ENDLESS = 10**6


def rows(texts, labels):
    return [
        TextRecord(text if isinstance(text, tuple) else (text,), label, Place("t.tsv", row))
        for row, (text, label) in enumerate(zip(texts, labels, strict=True), start=1)
    ]


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    return write_source(tmp_path_factory.mktemp("source"))


def test_lengths_are_of_whole_rows_with_their_special_tokens(source):
    tokenizer = ka.load_tokenizer(source)
    single = rows(["good", "good film " * 40, ""], "abc")
    assert token_lengths(single, tokenizer).tolist() == [3, 82, 2]
    pairs = rows([("good", "bad film"), ("", "")], "ab")
    assert token_lengths(pairs, tokenizer).tolist() == [6, 3]
    preprocess = ka.load_preprocessor(source)
    assert preprocess(("good", "bad film"))["token_ids"].shape == (1, 6)


def test_the_length_covers_99_percent_of_the_rows_between_16_and_128_tokens():
    lengths = np.array([20] * 98 + [40, 90])
    assert suitable_length(lengths, ENDLESS) == 40
    assert np.mean(lengths > 40) <= 0.01
    assert suitable_length(np.array([3, 4]), ENDLESS) == 16
    assert suitable_length(np.array([300] * 10), ENDLESS) == 128
    assert suitable_length(np.array([300] * 10), 32) == 32


def test_the_first_long_row_is_named():
    with pytest.raises(InputError, match=r"at t.tsv:2. Received: tokens=9"):
        refuse_long(rows(["a", "b", "c"], "abc"), np.array([3, 9, 10]), 8)
    refuse_long(rows(["a"], "a"), np.array([8]), 8)


def test_every_measured_row_goes_through_the_model_once(source, tmp_path, monkeypatch):
    def counted(classifier, texts, **options):
        measured.append(len(texts))
        return logits(classifier, texts, **options)

    measured, logits = [], TextClassifier.logits
    monkeypatch.setattr(TextClassifier, "logits", counted)
    monkeypatch.setattr(report_folder, "render_html", lambda report: "<html>")
    data = prepare(
        rows(["good film", "bad film"] * 4, "ab" * 4),
        rows(["good book", "bad book"] * 2, "abaa"),
        rows(["a good film"], "a"),
    )
    fine_tune(source, data, Settings(epochs=1, batch_size=8), tmp_path / "run")
    assert measured == [4, 1]
    task = tasks.load(tmp_path / "run")
    assert task.settings.temperature != 1
    metrics = run_folder.results(tmp_path / "run")["metrics"]
    for name, part in (("validation", data.validation), ("test", data.test)):
        found = task.evaluate(part.records)
        assert metrics[name] == pytest.approx({key: found[key] for key in metrics[name]}, rel=1e-4)


def test_the_classifier_takes_the_length_of_the_data_unless_it_is_given(source):
    texts = ["good film " * 9] * 50 + ["good " * 200] * 50
    data = prepare(rows(texts, ["a", "b"] * 50))
    classifier, lengths = new_classifier(source, data, Settings())
    assert classifier.settings.max_length == 32  # all that the model has
    assert sorted(set(lengths.tolist())) == [20, 202]
    classifier, _ = new_classifier(source, data, Settings(max_length=10))
    assert classifier.settings.max_length == 10


def test_balanced_classes_weigh_the_same_in_all_and_a_row_one_on_average():
    data = prepare(rows(["x"] * 8, "aaaaaabb"), rows(["x"], "b"), labels=["a", "b", "none"])
    weights = class_weights(data, Settings(class_weight="balanced"))
    assert weights == pytest.approx({"a": 8 / 12, "b": 8 / 4, "none": 1})
    assert 6 * weights["a"] == pytest.approx(2 * weights["b"])
    assert 6 * weights["a"] + 2 * weights["b"] == pytest.approx(8)
    assert class_weights(data, Settings(class_weight={"a": 2})) == {"a": 2}
    assert class_weights(data, Settings()) is None


@pytest.mark.parametrize(
    ("monitor", "metric", "values", "best"),
    [
        (None, "accuracy", [0.5, 0.9, 0.9], "run-1"),
        ("val_loss", "log_loss", [0.5, 0.4, 0.9], "run-1"),
        ("val_macro_f1", "macro_f1", [0.9, 0.4, None], "run-0"),
    ],
)
def test_the_best_of_several_seeds_is_that_of_the_validation(
    monitor, metric, values, best, tmp_path, monkeypatch
):
    given = iter(values)

    def stand_in(source, data, settings, output, **options):
        output.mkdir()
        options["progress"](1, 2, "fine-tuning")
        for name in ("model.weights.h5", "settings.json", "report.json"):
            (output / name).write_text(output.name)
        metrics = {"validation": {metric: next(given)}, "test": {metric: float(settings.seed)}}
        return {"metrics": metrics}

    monkeypatch.setattr(seeds, "fine_tune", stand_in)
    monkeypatch.setattr(seeds.run_folder, "results", lambda folder: {"output": str(folder)})
    data = prepare(rows(["x"] * 4, "aabb"), rows(["x"], "b"))
    settings = Settings(monitor=monitor, seed=5)
    said = []
    found = fine_tune_seeds(
        "source",
        data,
        settings,
        tmp_path / "runs",
        runs=3,
        progress=lambda *work: said.append(work),
    )
    assert said[1] == (1, 2, "run 2 of 3, fine-tuning")
    assert found["best"] == best
    assert (tmp_path / "runs" / "model.weights.h5").read_text() == best
    assert (tmp_path / "runs" / "settings.json").read_text() != best
    assert found["mean"]["test"][metric] == 6
    assert found["deviation"]["test"][metric] == 1
    assert (metric in found["mean"]["validation"]) is (None not in values)


def test_one_seed_is_not_several():
    data = prepare(rows(["x"] * 4, "aabb"), rows(["x"], "b"))
    with pytest.raises(InputError, match="runs=1"):
        fine_tune_seeds("source", data, Settings(), "runs", runs=1)


@pytest.mark.parametrize(
    ("seconds", "shown"), [(42.4, "about 42 s"), (600, "about 10 min"), (9000, "about 2.5 h")]
)
def test_an_estimate_reads_well(seconds, shown):
    found = {
        "task": "regression",
        "labels": [],
        "rows": {"train": 1000, "validation": 10},
        "max_length": 128,
        "cut": 0.015,
        "epochs": 3,
        "batch_size": 32,
        "steps_per_epoch": 32,
        "steps": 96,
        "parameters": 1_000_000,
        "trainable_parameters": 900_000,
        "learning_rate": 3e-5,
        "memory_bytes": {"weights": 2**22, "total": 2**22},
        "rows_per_second": 1234.5,
        "seconds": seconds,
    }
    text = render(found)
    assert shown in text
    assert "task        regression\n" in text
    assert "1,000 train, 10 validation" in text
    assert "1.5% of the training rows are cut" in text
    assert "rate        3e-05 at its peak" in text
    assert "about 4 MiB: weights 4 MiB\n" in text


def test_the_metrics_of_an_epoch_are_said_in_a_line():
    said = []
    callback = _Epochs(said.append)
    callback.set_params({"epochs": 3})
    callback.on_epoch_end(1, {"loss": 0.12345, "accuracy": 0.9, "val_accuracy": np.float32(0.5)})
    assert said == ["epoch 2 of 3: loss 0.1235, val_accuracy 0.5"]


def test_tensorboard_has_its_own_folder_and_must_be_installed(monkeypatch, tmp_path):
    made = []
    monkeypatch.setattr(
        keras.callbacks, "TensorBoard", lambda folder, **options: made.append(folder)
    )
    assert len(_callbacks(tmp_path, Settings(tensorboard=True), print)) == 2
    assert made == [tmp_path / "tensorboard"]
    assert len(_callbacks(tmp_path, Settings(), print)) == 1
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    data = prepare(rows(["x"] * 4, "aabb"), rows(["x"], "b"))
    with pytest.raises(InputError, match=r"pip install 'keras-albert\[tensorboard\]'"):
        fine_tune("source", data, Settings(tensorboard=True), tmp_path / "run")
    assert not (tmp_path / "run").exists()
