"""report.json and what stays of it when something goes wrong."""

import json
import os
import sys

import numpy as np
import pytest
from absl import logging

from keras_albert.errors import InputError
from keras_albert.report import run_folder, write_report
from tests.keras_albert.report.runs import HOSTILE, RUNS, classification, regression, write_history


@pytest.fixture
def no_matplotlib(monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)


def report_of(folder, run, **changed):
    write_report(folder, **{**run, **changed})
    return json.loads((folder / "report.json").read_text(encoding="utf-8"))


@pytest.mark.parametrize("run", RUNS)
def test_without_matplotlib_all_but_the_page_is_written(tmp_path, run, no_matplotlib, monkeypatch):
    said = []
    monkeypatch.setattr(logging, "warning", lambda text, *values: said.append(text % values))
    (tmp_path / "report.html").write_text("of an earlier run")
    paths = write_report(tmp_path, **RUNS[run]())
    assert paths == [tmp_path / "report.json", tmp_path / "README.md"]
    assert sorted(tmp_path.iterdir()) == sorted(paths)
    assert said == ["No report.html: it needs matplotlib, pip install 'keras-albert[plots]'"]


def test_another_import_that_fails_is_no_lack_of_matplotlib(tmp_path, monkeypatch):
    def fail(_report):
        raise ModuleNotFoundError("no", name="something_else")

    monkeypatch.setattr(run_folder, "render_html", fail)
    with pytest.raises(ModuleNotFoundError):
        write_report(tmp_path, **classification())


def test_the_report_holds_data_settings_versions_metrics_and_curves(tmp_path, no_matplotlib):
    history = write_history(tmp_path / "metrics.jsonl")
    baselines = {"majority": {"accuracy": np.float32(0.5), "mcc": float("nan")}}
    report = report_of(tmp_path, classification(), history=history, baselines=baselines)
    assert report["keras_albert_report"] == 1
    assert report["title"] == tmp_path.name
    assert report["data"]["validation"]["path"] == "rows/dev|1.tsv"
    assert report["settings"]["seeds"] == [0, 1]
    assert report["environment"]["numpy"] == np.__version__
    assert report["environment"]["platform"]
    assert report["metrics"]["confusion"] == [[1, 1], [1, 1]]
    assert report["baselines"] == {"majority": {"accuracy": 0.5, "mcc": None}}
    assert report["curves"]["accuracy"]["validation"] == [[2, 0.4], [4, 0.8]]
    assert sum(row["count"] for row in report["calibration"]["bins"]) == 4
    counts = report["distribution"]["counts"]
    assert counts["负面"][-1] == 1  # the one of 0.97
    assert {name: sum(of_name) for name, of_name in counts.items()} == dict.fromkeys(counts, 2)


def test_mistakes_come_worst_first_with_text_and_place(tmp_path, no_matplotlib):
    first, second = report_of(tmp_path, classification())["mistakes"]
    assert first == {
        "row": 4,
        "place": "dev.tsv:5",
        "texts": [("很好" * 300) + "…"],
        "label": "负面",
        "predicted": "<b>positive</b>",
        "label_probability": pytest.approx(0.03),
        "predicted_probability": pytest.approx(0.97),
    }
    # Half a surrogate pair cannot be written.
    assert (second["row"], second["texts"]) == (2, [HOSTILE.replace("\ud800", "?")])


def test_mistakes_of_several_labels_name_the_wrong_ones(tmp_path, no_matplotlib):
    first, second = report_of(tmp_path, RUNS["multi_label"]())["mistakes"]
    assert first["row"] == 2  # 0.8 + 0.6 off, and not only 0.7
    assert (first["label"], first["predicted"]) == ([], ["price", "sound"])
    assert first["probabilities"] == {"price": 0.8, "sound": 0.6}
    assert second["probabilities"] == {"sound": 0.3}
    assert "place" not in second


def test_mistakes_of_numbers_have_an_error_and_right_ones_are_none(tmp_path, no_matplotlib):
    found = report_of(tmp_path, regression())["mistakes"]
    assert [(row["row"], row["error"]) for row in found] == [(2, -3.0), (1, 0.5)]
    assert found[0]["texts"] == ["c", "d"]


def test_huge_runs_make_no_huge_reports(tmp_path, no_matplotlib):
    rows = 5000
    run = regression() | {
        "labels": np.arange(rows),
        "probabilities_or_predictions": np.zeros(rows),
        "texts": ["x" * 10_000] * rows,
    }
    report = report_of(tmp_path, run)
    assert [row["row"] for row in report["mistakes"]] == list(range(5000, 4950, -1))
    assert len(report["points"]) == 1667  # every third
    assert (tmp_path / "report.json").stat().st_size < 300_000


def test_a_run_folder_is_made_and_keeps_what_else_is_in_it(tmp_path, no_matplotlib):
    folder = tmp_path / "runs" / "one"
    write_report(folder, **regression())
    (folder / "metrics.jsonl").write_text("")
    write_report(folder, **regression(), title="again")
    assert sorted(path.name for path in folder.iterdir()) == [
        "README.md",
        "metrics.jsonl",
        "report.json",
    ]
    assert json.loads((folder / "report.json").read_text())["title"] == "again"


def test_a_failure_while_writing_leaves_the_earlier_report(tmp_path, no_matplotlib, monkeypatch):
    write_report(tmp_path, **regression(), title="first")
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    replace, calls = os.replace, []

    def fail_late(source, target):
        calls.append(target)
        if len(calls) == 4:
            raise OSError("no space")
        replace(source, target)

    monkeypatch.setattr(os, "replace", fail_late)
    with pytest.raises(OSError, match="no space"):
        write_report(tmp_path, **regression(), title="second")
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"task_kind": "tagging"}, "task_kind='tagging'"),
        ({"labels": [0, 1]}, "4 texts, 2 labels, 4 predictions, 4 places"),
        ({"places": ["a"]}, "4 texts, 4 labels, 4 predictions, 1 places"),
        ({"labels": [0, 1, 1, 2]}, "label=2, classes=2"),
        ({"names": ["a"]}, "names=['a'], classes=2"),
    ],
)
def test_rows_that_do_not_agree_are_refused_and_nothing_is_written(tmp_path, changed, message):
    with pytest.raises(InputError) as error:
        write_report(tmp_path, **{**classification(), **changed})
    assert message in str(error.value)
    assert not list(tmp_path.iterdir())
