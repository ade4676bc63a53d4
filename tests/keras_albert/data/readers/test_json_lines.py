"""JSON Lines of texts, and what is stricter than Python's json."""

import json
import math

import pytest

from keras_albert.data.readers import read_records
from tests.keras_albert.data.readers.files import refusal, tolerant, write


def rows(tmp_path, *values, name="a.jsonl"):
    return write(tmp_path, name, "".join(json.dumps(value) + "\n" for value in values))


def read(path, **options):
    return [(*record.texts, record.label) for record in read_records(path, "text", **options)]


def test_keys_are_the_columns_in_any_order(tmp_path):
    path = rows(tmp_path, {"text": "a", "label": "x"}, {"n": [], "label": "y", "text": "b"})
    assert read(path) == [("a", "x"), ("b", "y")]
    pairs = rows(tmp_path, {"premise": "a", "hypothesis": "b", "gold_label": "neutral"})
    assert read(pairs) == [("a", "b", "neutral")]
    assert read(pairs, text="hypothesis", label=False) == [("b", None)]


@pytest.mark.parametrize(
    ("value", "label"),
    [("a", "a"), (1, "1"), (1.5, "1.5"), (True, "true"), (["x", "y"], ("x", "y")), ([], ())],
)
def test_a_label_is_what_json_says(tmp_path, value, label):
    assert read(rows(tmp_path, {"text": "a", "label": value})) == [("a", label)]


def test_a_number_may_be_written_as_text(tmp_path):
    path = rows(tmp_path, {"text": "a", "score": 2}, {"text": "b", "score": "2.5"})
    assert read(path, label_type="number") == [("a", 2.0), ("b", 2.5)]
    for wrong in (True, [1], {"a": 1}, 10**400):
        path = rows(tmp_path, {"text": "a", "score": wrong})
        assert "A label must be a finite number" in refusal(path, "text", label_type="number")


@pytest.mark.parametrize("wrong", [{"a": 1}, ["x", 1], [""]])
def test_a_class_is_a_text(tmp_path, wrong):
    assert "must be a text" in refusal(rows(tmp_path, {"text": "a", "label": wrong}), "text")


def test_blank_lines_are_passed_over(tmp_path):
    path = write(tmp_path, "a.jsonl", '\n{"text": "a"}\r\n \n{"text": "b"}\n\n')
    assert [record.place.line for record in read_records(path, "text")] == [2, 4]


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ('{"text": "a"', "Expecting ',' delimiter, column 13"),
        ("{'text': 1}", "Expecting property name"),
        ('{"text": "a"} {}', "Extra data, column 15"),
        ('{"text": "a\tb"}', "Invalid control character"),
        ('{"text": "a", "text": "b"}', "the key 'text' stands twice"),
        ('{"text": "a", "label": NaN}', "NaN is not JSON"),
        ('{"text": "a", "label": -Infinity}', "-Infinity is not JSON"),
        ('{"text": "\\ud83d"}', "half of a surrogate pair"),
        ("1" * 5000, "Exceeds the limit"),
        ("[" * 100_000, "recursion"),
    ],
)
def test_a_malformed_line_is_refused(tmp_path, line, reason):
    path = write(tmp_path, "a.jsonl", '{"text": "a"}\n' + line + "\n")
    message = refusal(path, "text")
    assert message.startswith("JSON must be well-formed (")
    assert reason in message
    assert f"at {path}:2." in message
    records, errors = tolerant(path, "text")
    assert (len(records), len(errors)) == (1, 1)


def test_surrogate_pairs_are_characters_and_halves_are_as_errors_says(tmp_path):
    path = write(tmp_path, "a.jsonl", '{"text": "\\ud83d\\ude00", "label": ["\\ud83dx", "y"]}')
    assert read(path, errors="replace") == [("\U0001f600", ("\ufffdx", "y"))]
    assert read(path, errors="ignore") == [("\U0001f600", ("x", "y"))]
    whole = write(tmp_path, "b.jsonl", '{"text": "\\ud83d\\ude00", "n": {"\\uD83D\\uDE00": 1}}')
    assert read(whole) == [("\U0001f600", None)]


def test_a_line_must_be_an_object_with_the_keys(tmp_path):
    assert "must be a JSON object" in refusal(rows(tmp_path, ["a"]), "text")
    path = rows(tmp_path, {"text": "a", "y": 1}, {"y": 1})
    for options in ({}, {"text": "text"}):
        message = refusal(path, "text", **options)
        assert message.startswith(
            "A line of JSON Lines must have 'text', a text; its keys are 'y', at"
        )
        assert message.endswith(f"{path}:2. Received: value=None")
    message = refusal(path, "text", text="content")
    assert "the columns are 'text', 'y'" in message and "text='content'" in message
    assert "--text" in refusal(rows(tmp_path, {"y": "a"}), "text")
    assert "Received: text=0" in refusal(rows(tmp_path, {"y": "a"}), "text", text=0)
    assert "must have 'text', a text" in refusal(rows(tmp_path, {"text": 1}), "text")
    pair = {"question": "a", "sentence": "b"}
    assert "must have 'question'" in refusal(rows(tmp_path, pair, {"sentence": "b"}), "text")


def test_a_label_is_there_for_all_or_for_none(tmp_path):
    some = rows(tmp_path, {"text": "a", "label": "x"}, {"text": "b"})
    assert "Every record must have a label" in refusal(some, "text")
    some = rows(tmp_path, {"text": "a"}, {"text": "b", "label": "x"})
    assert "No record may have a label" in refusal(some, "text")
    assert read(rows(tmp_path, {"text": "a", "label": None})) == [("a", None)]
    assert math.isfinite(read(rows(tmp_path, {"text": "a", "score": 1}), label_type="number")[0][1])


def test_a_message_stays_short(tmp_path):
    path = rows(tmp_path, {f"key {number}": "x" * 1000 for number in range(1000)})
    assert refusal(path, "text").count("key ") == 30
    path = write(tmp_path, "a.jsonl", json.dumps(["x" * 1000] * 1000))
    assert len(refusal(path, "text")) < 500
    path = write(tmp_path, "a.jsonl", "x" * 1000)
    assert len(refusal(path, "text")) < 500
