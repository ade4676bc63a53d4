"""One-line errors: the rule, the place, what was received."""

import pytest

from keras_albert.data.messages import LONGEST_TEXT, MOST_NAMES, bad, listed, shown
from keras_albert.data.records import Place


def test_an_error_has_the_rule_the_place_and_what_was_received():
    error = bad("A label must be a number", Place("a.tsv", 3), label="x", column=2)
    assert str(error) == "A label must be a number, at a.tsv:3. Received: label='x', column=2"
    assert str(bad("A file must hold records", "a.tsv", records=0)) == (
        "A file must hold records, at a.tsv. Received: records=0"
    )


@pytest.mark.parametrize("name", ["a\nb.tsv", "a\x1b[2J.tsv", "\udce9.tsv"])
def test_an_error_is_one_printable_line_whatever_the_name_and_the_value(name):
    message = str(bad("A rule", Place(name, 1), text="c\r\n\0", row=["\n"] * 99))
    assert message.isprintable()
    assert ".tsv:1. Received: " in message


def test_long_texts_and_lists_are_cut():
    assert shown("x" * LONGEST_TEXT) == repr("x" * LONGEST_TEXT)
    assert shown("x" * 10**6) == repr("x" * LONGEST_TEXT) + "…"
    assert len(shown(["x" * 1000] * 1000)) < 1000
    assert listed(map(str, range(MOST_NAMES + 2))).endswith(", '29' and 2 more")
    assert listed(["a", "b"]) == "'a', 'b'"
    assert listed([]) == "none"
