"""Rows of whatever a person has."""

import re

import numpy as np
import pytest

from keras_albert.data.records import Place, TextRecord
from keras_albert.errors import InputError
from keras_albert.tasks.rows import as_rows

PAIRS = [("a", "b"), ("c", "d"), ("e", "f")]


class Series:
    """What pandas and polars have in common."""

    def __init__(self, values):
        self.values = values

    def to_numpy(self):
        return np.array(self.values, object)


@pytest.mark.parametrize(
    "texts",
    [
        ["a", "b"],
        np.array(["a", "b"]),
        np.array(["a", "b"], object),
        Series(["a", "b"]),
        (text for text in "ab"),
    ],
    ids=["list", "array", "objects", "series", "generator"],
)
def test_single_texts_come_as_lists_arrays_series_and_iterables(texts):
    rows = as_rows(texts)
    assert [str(text) for text in rows.inputs] == ["a", "b"]
    assert len(rows) == 2 and len(rows.segments) == 1


@pytest.mark.parametrize(
    "texts",
    [PAIRS, [list(pair) for pair in PAIRS], (list("ace"), list("bdf")), np.array(PAIRS)],
    ids=["list of tuples", "list of lists", "pair of lists", "array"],
)
def test_pairs_come_by_row_or_by_segment(texts):
    rows = as_rows(texts)
    assert [list(map(str, segment)) for segment in rows.inputs] == [list("ace"), list("bdf")]
    assert len(rows) == 3


def test_records_bring_labels_and_places():
    place = Place("train.tsv", 7)
    rows = as_rows([TextRecord(("a", "b"), "yes", place), TextRecord(("c", "d"), "no", place)])
    assert rows.labels == ["yes", "no"]
    assert rows.place(1) == "train.tsv:7"
    assert as_rows(["a"]).place(0) == "row 0"


def test_labels_beside_records_take_the_place_of_theirs():
    assert as_rows([TextRecord(("a",), "yes", Place("f", 1))], ["no"]).labels == ["no"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("text",), "Texts are a list; one text is [text]. Received: 'text'"),
        (([],), "There are texts, as many of every segment. Received: rows=[0]"),
        (
            ((["a"], ["b", "c"]),),
            "There are texts, as many of every segment. Received: rows=[1, 2]",
        ),
        ((["a", None],), "A text is a string. Received: None (NoneType) in row 1"),
        ((["a", 3.5],), "A text is a string. Received: 3.5 (float) in row 1"),
        ((["a", "b"], [1]), "labels has one value a text. Received: 1 for 2 texts"),
        ((["a"], [1], [1.0, 2]), "sample_weight has one value a text. Received: 2 for 1 texts"),
        (
            (["a", "b"], [1, 1], [1.0, float("nan")]),
            "A sample weight is finite and at least 0. Received: nan in row 1",
        ),
        (
            (["a", "b"], [1, 1], [-1.0, 1.0]),
            "A sample weight is finite and at least 0. Received: -1.0 in row 0",
        ),
    ],
)
def test_what_is_no_rows_is_refused_in_one_line(arguments, message):
    with pytest.raises(InputError, match=f"^{re.escape(message)}$"):
        as_rows(*arguments)
