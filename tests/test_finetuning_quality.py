"""The comparison with Transformers: its splits, its results that outlive a stop, its verdicts."""

import argparse
import dataclasses
import itertools
import json

import pytest

from keras_albert.optimizers import PolynomialDecayWithWarmup
from tests.paths import ROOT, SHARED, needs_shared

BENCHMARKS = ROOT / "benchmarks"
SETTINGS = ("kind", "weights", "epochs", "batch_size", "learning_rate", "max_length")


@pytest.fixture
def modules(monkeypatch):
    """The benchmark's modules, which lie in no package."""
    monkeypatch.syspath_prepend(BENCHMARKS)
    import _finetuning_results
    import _finetuning_tasks
    import finetuning_quality
    import finetuning_quality_transformers

    return argparse.Namespace(
        results=_finetuning_results,
        tasks=_finetuning_tasks,
        driver=finetuning_quality,
        theirs=finetuning_quality_transformers,
    )


@pytest.fixture
def spam(modules):
    """A task of ten rows; the last text to learn from is also one to measure on."""
    rows = [modules.tasks.Row((f"text {i % 9}",), i % 2) for i in range(10)]
    parts = (rows[3:], rows[:3])
    return modules.tasks.Task(
        "Spam", "classification", ("ham", "spam"), lambda data: parts, ("f1",), "some"
    )


def runs(task, settings, **values):
    """Records of a task: a baseline, and for each side the values of F1 by seed."""
    settings = dict.fromkeys(SETTINGS, "x") | {"train_rows": 1000, "evaluation_rows": 9} | settings
    nothing = {"majority": {"f1": 0.5}, "tf_idf": {"f1": 0.6}}
    first = {"task": task, "side": "baseline", "seed": 0, "settings": settings, "metrics": nothing}
    return [first] + [
        first | {"side": side, "seed": seed, "metrics": {"f1": f1}, "rows_per_second": 10.0}
        for side, scores in values.items()
        for seed, f1 in enumerate(scores)
    ]


def test_no_text_is_both_learnt_from_and_measured_on(spam):
    train, evaluation = spam.rows(None)
    assert [row.texts[0] for row in evaluation] == ["text 0", "text 1", "text 2"]
    assert [row.texts[0] for row in train] == [f"text {i}" for i in range(3, 9)]


@needs_shared
def test_the_rows_are_those_that_googles_code_was_measured_on(modules):
    tasks = modules.tasks.TASKS
    train, dev = tasks["sst2"].rows(SHARED / "data")
    assert (len(train), len(dev)) == (10_000, 872)
    lines = (SHARED / "data" / "SST-2" / "train.tsv").read_text("utf-8").splitlines()[1:]
    assert [f"{row.label}\t{row.texts[0]}" for row in train] == lines[:60_000:6]
    train, test = tasks["mrpc"].rows(SHARED / "data")
    assert (len(train), len(test)) == (4_076, 1_725)
    assert 100 * sum(row.label for row in test) / len(test) == pytest.approx(66.49, abs=0.005)


@needs_shared
@pytest.mark.parametrize(
    ("task", "sizes"),
    {
        "chnsenticorp": (4_800, 1_200),
        "lcqmc": (8_802, 2_500),
        "sms_spam": (4_459, 1_115),
        "products": (3_087, 621),
        "entity_types": (3_511, 1_625),
        "sts_b": (4_249, 1_500),
    }.items(),
)
def test_every_split_is_the_one_that_it_says(modules, task, sizes):
    task = modules.tasks.TASKS[task]
    assert tuple(map(len, task.read(SHARED / "data"))) == sizes
    train, evaluation = task.rows(SHARED / "data")
    assert not {row.texts for row in train} & {row.texts for row in evaluation}
    assert len(evaluation) == sizes[1]


@needs_shared
def test_a_sentences_labels_are_the_types_of_its_entities(modules):
    train, _ = modules.tasks.TASKS["entity_types"].rows(SHARED / "data")
    found = dict(zip(modules.tasks.ENTITIES, train[0].label, strict=True))
    assert train[0].texts == ("EU rejects German call to boycott British lamb .",)
    assert found == {"LOC": 0, "MISC": 1, "ORG": 1, "PER": 0}


def test_a_line_that_was_cut_off_is_none_and_gives_way(modules, tmp_path):
    path = tmp_path / "new" / "results.jsonl"
    assert modules.results.read_results(path) == []
    modules.results.append_result(path, {"seed": 0})
    with path.open("a") as file:
        file.write('{"seed": 1, "met')
    assert modules.results.read_results(path) == [{"seed": 0}]
    modules.results.append_result(path, {"seed": 2})
    assert modules.results.read_results(path) == [{"seed": 0}, {"seed": 2}]
    assert path.read_text() == '{"seed": 0}\n{"seed": 2}\n'


def test_a_recorded_run_is_not_run_again_and_other_settings_are(
    modules, spam, tmp_path, monkeypatch
):
    driver, made = modules.driver, []

    def run(side, job, options):
        made.append((side, job["seed"], job["settings"]["epochs"]))
        if len(made) == 4:
            raise KeyboardInterrupt
        predictions = [[0.25, 0.75]] * len(job["evaluation"])
        versions = {"numpy": "2"}
        found = {"predictions": predictions, "seconds": 2.0, "evaluation_seconds": 1.0}
        return found | {"versions": versions}

    monkeypatch.setattr(driver, "run", run)
    monkeypatch.setattr(driver, "weights_of", lambda task, options: dict.fromkeys(driver.SIDES, ""))
    monkeypatch.setitem(driver.TASKS, "spam", spam)
    options = argparse.Namespace(
        results=tmp_path / "results.jsonl",
        shared=tmp_path,
        sides=driver.SIDES,
        seeds=2,
        threads=1,
    )
    with pytest.raises(KeyboardInterrupt):
        driver.compare("spam", options)
    driver.compare("spam", options)
    # Each seed begins with the other side; the fourth run was interrupted, and made again.
    order = [("transformers", 0), ("keras_albert", 0), ("keras_albert", 1), ("transformers", 1)]
    assert made == [(side, seed, 1) for side, seed in [*order, order[-1]]]
    driver.compare("spam", options)
    assert len(made) == 5

    records = modules.results.read_results(options.results)
    assert [record["side"] for record in records].count("baseline") == 1
    assert records[0]["metrics"]["majority"] == {"f1": 0.0}  # of 3 hams and 3 spams the first
    assert records[1]["metrics"]["f1"] == 0.5  # all spam, of which there is one in three
    assert records[1]["rows_per_second"] == 3.0

    monkeypatch.setitem(driver.TASKS, "spam", dataclasses.replace(spam, epochs=2))
    driver.compare("spam", options)
    assert made[5:] == [(side, seed, 2) for side, seed in order]


@pytest.mark.parametrize(
    ("ours", "theirs", "said"),
    [
        # Without any spread a point is allowed, above all of it twice the pooled deviation.
        ([80, 80, 80], [81, 81, 81], "-1.00, within 1.00"),
        ([80, 80, 80], [81.1, 81.1, 81.1], "-1.10, BELOW 1.00"),
        ([79, 80, 81], [81, 82, 83], "-2.00, within 2.00"),
        ([83, 83, 83], [81, 81, 81], "+2.00, within 1.00"),
        ([80, 80], [81, 81, 81], "unfinished: 2 and 3 of 3 runs"),
    ],
)
def test_a_median_may_be_a_point_below_or_twice_the_pooled_deviation(modules, ours, theirs, said):
    assert modules.results.verdict(ours, theirs, True, seeds=3) == said


def test_below_the_majority_and_a_margin_there_is_no_signal(modules):
    results = modules.results
    assert results.MARGIN == 5
    both = {"keras_albert": [0.56] * 5, "transformers": [0.56] * 5}
    assert results.has_signal(runs("spam", {}, **both), "f1")
    records = runs("spam", {}, **both | {"transformers": [0.54] * 5})
    assert not results.has_signal(records, "f1")
    assert results.verdict([56.0] * 5, [54.0] * 5, False) == "no signal"


def test_the_table_shows_the_newest_settings_of_every_task(modules, spam):
    old = runs("spam", {"epochs": 1}, keras_albert=[0.1] * 5)
    new = runs(
        "spam", {"epochs": 2}, keras_albert=[0.7, 0.8, 0.9, 0.8, 0.8], transformers=[0.8] * 5
    )
    rows = modules.results.table(old + new, {"spam": spam, "none": spam}).splitlines()
    assert len(rows) == 3 + 1 + 3
    cells = [cell.strip() for cell in rows[2].split("|")][1:-1]
    assert rows[-1] == "| Spam | 1,000 and 9: some | x | 2 | x | x | x |"
    assert cells == [
        "Spam",
        "f1",
        "**80.00** (70.00 to 90.00)",
        "**80.00** (80.00 to 80.00)",
        "+0.00, within 10.00",
        "50.00",
        "60.00",
        "",
        "10 and 10",
    ]


def test_the_page_shows_the_table_of_the_committed_results(modules):
    results = modules.results.read_results(modules.driver.RESULTS)
    page = (ROOT / "docs" / "quality.md").read_text("utf-8")
    assert modules.results.table(results, modules.tasks.TASKS) in page
    for line in modules.driver.RESULTS.read_text("utf-8").splitlines():
        assert json.loads(line)["task"] in modules.tasks.TASKS


def test_both_sides_have_googles_schedule(modules):
    for steps in (1, 9, 25, 312):
        ours = PolynomialDecayWithWarmup(1.0, steps, steps // 10)
        theirs = modules.theirs.google_rate(steps)
        assert [float(ours(step)) for step in range(steps + 2)] == pytest.approx(
            [theirs(step) for step in range(steps + 2)], abs=1e-6
        )


def test_their_batches_hold_every_row_once_beside_rows_of_like_length(modules):
    lengths = [(7 * row) % 50 for row in range(450)]  # a window of 100 batches of 4, and a smaller
    batches = modules.theirs.length_batches(lengths, 4, lambda n: range(n - 1, -1, -1))
    assert sorted(itertools.chain(*batches)) == list(range(450))
    spreads = [lengths[batch[0]] - lengths[batch[-1]] for batch in batches]
    assert min(spreads) >= 0
    assert max(spreads) <= 5
