"""The rows of a run: kinds, names, what is held out."""

import collections

import numpy as np
import pytest

from keras_albert.data.records import Place, TextRecord
from keras_albert.directory import sha256
from keras_albert.errors import InputError
from keras_albert.runs import prepare


def records(labels, path="train.tsv"):
    return [
        TextRecord((f"text {row}",), label, Place(path, row + 2))
        for row, label in enumerate(labels)
    ]


def places(part):
    return [record.place.line for record in part.records]


@pytest.mark.parametrize(
    ("labels", "asked", "kind", "names"),
    [
        (["b", "a", "b", "a"], None, "classification", ("a", "b")),
        (["b", "a", "b", "a"], "text_classification", "classification", ("a", "b")),
        (["10", "9", "10", "9"], None, "classification", ("9", "10")),
        (["10", "9", "x", "9", "10", "x"], None, "classification", ("10", "9", "x")),
        (["10", "9", "inf", "9", "10", "inf"], None, "classification", ("10", "9", "inf")),
        ([("b",), ("a", "c"), ()], None, "multi_label", ("a", "b", "c")),
        ([0.5, 1.5, 2.5], None, "regression", ()),
    ],
)
def test_the_labels_say_what_the_task_is_and_their_names_are_sorted(labels, asked, kind, names):
    data = prepare(records(labels), records(labels[:1]), kind=asked)
    assert (data.kind, data.names) == (kind, names)
    assert data.parts.keys() == {"train", "validation"}
    assert data.judged_by == "validation"


def test_given_labels_are_the_outputs_in_their_order():
    data = prepare(records(["a", "b"]), records(["b"]), records(["c"]), labels=["c", "b", "a"])
    assert data.names == ("c", "b", "a")
    assert [part.labels.tolist() for part in data.parts.values()] == [[2, 1], [1], [0]]
    assert data.judged_by == "test"


def test_what_is_held_out_is_a_tenth_of_every_class_and_always_the_same():
    rows = records(["a"] * 700 + ["b"] * 290 + ["c"] * 10)
    data = prepare(rows)
    held = collections.Counter(record.label for record in data.validation.records)
    assert held == {"a": 70, "b": 29, "c": 1}
    assert sorted(places(data.train) + places(data.validation)) == places(prepare(rows, rows).train)
    assert data.train.labels.tolist() == [
        data.names.index(record.label) for record in data.train.records
    ]
    assert places(prepare(rows).validation) == places(data.validation)
    # Not simply the first ones.
    assert max(places(data.validation)) > 900


def test_what_is_held_out_is_never_all_of_a_class_and_at_most_2000_rows():
    data = prepare(records(["a"] * 9 + ["b"]))
    assert [record.label for record in data.validation.records] == ["a"]
    data = prepare(records(list(np.arange(30_000.0))))
    assert len(data.validation.records) == 2000


def test_a_part_says_which_file_it_is(tmp_path):
    path = tmp_path / "train.tsv"
    path.write_text("a\n")
    data = prepare(records(["a", "b"], str(path)), records(["a"], "<stdin>"))
    assert data.description() == {
        "train": {"path": str(path), "rows": 2, "sha256": sha256(path)},
        "validation": {"path": "<stdin>", "rows": 1, "sha256": None},
    }


def test_pairs_stay_pairs():
    rows = [
        TextRecord(("a", "b"), label, Place("t", row)) for row, label in enumerate(("yes", "no"))
    ]
    assert prepare(rows, rows).train.texts == [("a", "b"), ("a", "b")]


@pytest.mark.parametrize(
    ("labels", "options", "message"),
    [
        (["a", None], {}, "has a label, at train.tsv:3"),
        (["a", "a"], {}, "two labels or more, at train.tsv. Received: label='a', rows=2"),
        ([0.5, 0.5], {}, "two labels or more"),
        (["a", ("b",)], {}, "list of labels"),
        (["a", "b"], {"kind": "span"}, "task='span'"),
        ([0.5, 1.5], {"labels": ["a", "b"]}, "no classes"),
        (["a", "b"], {}, "--validation"),
    ],
)
def test_rows_that_nothing_can_be_learnt_from_are_refused(labels, options, message):
    with pytest.raises(InputError, match=message):
        prepare(records(labels), **options)
