"""The model card: its front matter is YAML as Hugging Face reads it, its body plain Markdown."""

import json
import sys

import pytest

from keras_albert.report import model_card, write_report
from tests.keras_albert.report.runs import RUNS, classification, regression

yaml = pytest.importorskip("yaml", reason="needs pyyaml, which the extra `test` brings")


@pytest.fixture
def card(tmp_path, monkeypatch):
    """A function: of a run, the front matter and the body of its card."""
    monkeypatch.setitem(sys.modules, "matplotlib", None)

    def make(run, **changed):
        write_report(tmp_path, **{**run, **changed})
        report = json.loads((tmp_path / "report.json").read_text(encoding="utf-8"))
        text = (tmp_path / "README.md").read_text(encoding="utf-8")
        assert text == model_card(report)
        start, front, body = text.split("---\n", 2)
        assert start == ""
        return yaml.safe_load(front), body

    return make


def test_the_model_index_has_task_data_and_metrics(card):
    front, _ = card(classification(), title="Films: 'good' or \"bad\"?\nnew line")
    (entry,) = front["model-index"]
    assert entry["name"] == "Films: 'good' or \"bad\"? new line"
    (result,) = entry["results"]
    assert result["task"]["type"] == front["pipeline_tag"] == "text-classification"
    assert result["dataset"] == {"name": "dev|1.tsv", "type": "dev|1.tsv"}
    metrics = {metric["type"]: metric["value"] for metric in result["metrics"]}
    assert metrics["accuracy"] == 0.5
    assert list(metrics) == front["metrics"]
    assert "matthews_correlation" in metrics


@pytest.mark.parametrize(("settings", "name"), [({}, "unknown"), ({"license": "mit"}, "mit")])
def test_the_licence_is_the_setting_or_unknown_with_a_remark(card, settings, name):
    front, body = card(regression(), settings=settings)
    assert front["license"] == name
    assert ("before publishing" in body) is (name == "unknown")


def test_the_body_has_use_data_settings_results_and_limits(card):
    _, body = card(classification(), baselines={"majority": {"accuracy": 0.5}, "mine": {}})
    headings = [line for line in body.splitlines() if line.startswith("## ")]
    assert [heading[3:] for heading in headings] == [
        "Intended use",
        "Data",
        "Hyper-parameters",
        "Results",
        "Limits",
        "Environment",
    ]
    assert f"| train | rows/train.tsv | 9 | {'ab' * 32} |" in body
    assert r"| learning\_rate | 5e-05 |" in body
    assert "| optimizer.name | AdamW |" in body
    assert "| frozen | none |" in body
    assert "| Most frequent label | 0.5000 | n/a |" in body
    assert "| mine | n/a |" in body


def test_names_cannot_break_tables_or_become_html(card):
    _, body = card(classification())
    assert r"rows/dev\|1.tsv" in body
    assert r"\<b\>positive\</b\>" in body
    assert "<b>" not in body


@pytest.mark.parametrize("run", RUNS)
def test_every_kind_of_task_has_a_card(card, run):
    front, body = card(RUNS[run]())
    assert front["model-index"][0]["results"][0]["metrics"]
    assert 'task = ka.tasks.load("DIR")' in body
    assert "task.predict([" in body


def test_the_card_of_pairs_predicts_a_pair(card):
    run = RUNS["classification"]()
    _, body = card(run | {"texts": [(text, "two") for text in run["texts"]]})
    assert 'task.predict([("a text", "a text")])' in body


def test_many_labels_are_cut_and_what_was_not_recorded_says_so(card):
    run = RUNS["many_classes"]()
    count = 130
    rows = [[1 / count] * count] * 2
    names = [f"intent {label}" for label in range(count)]
    changed = {"names": names, "labels": [0, 1], "texts": ["a", "b"]}
    _, body = card(run, **changed, probabilities_or_predictions=rows)
    assert "intent 99 and 30 more." in body
    assert body.count("Not recorded.") == 2  # data and settings


def test_why_a_metric_is_missing_is_said(card):
    changed = {"labels": [1.0], "probabilities_or_predictions": [1.0], "texts": ["a"]}
    _, body = card(regression(), **changed)
    assert "Note: correlation needs two rows." in body
