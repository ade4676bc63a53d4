"""Whatever the bytes are, a reader yields records or one-line errors, and nothing else."""

import gzip
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keras_albert.data.readers import READERS, read_records
from keras_albert.data.records import Place
from keras_albert.errors import InputError

CASES = [(task, format) for task, formats in READERS.items() for format in formats]

# Bytes that mean something to one of the formats, and keys that the readers look for.
MARKS = st.sampled_from(
    [
        *(b"\n", b"\r\n", b"\r", b"\t", b",", b'"', b"\0", b" ", b"\xff", b"\xef\xbb\xbf", b"\xc3"),
        *(b"{}", b"\x1f\x8b", b"I-X", b"B-X", b"O", b"label", b"text", b"1", b"\\ud800"),
        "é\u2028".encode(),
    ]
)
BYTES = st.lists(MARKS | st.binary(max_size=3), max_size=30).map(b"".join)
KEYS = st.sampled_from(
    [
        "text",
        "label",
        "words",
        "tags",
        "id",
        "question",
        "context",
        "answers",
        "is_impossible",
        "choices",
        "answer",
        "article",
        "questions",
        "options",
        "data",
        "paragraphs",
        "qas",
        "answer_start",
        "query_text",
        "context_text",
    ]
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-2, 3) | st.floats() | st.sampled_from(["", "a", "A"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=5),
    max_leaves=20,
).map(lambda value: json.dumps(value).encode())
LINES = st.lists(JSON | BYTES, max_size=4).map(b"\n".join)


def check(path, task, format, **options):
    for record in read_records(path, task, format=format, **options):
        assert isinstance(record.place, Place)


@pytest.mark.parametrize(("task", "format"), CASES)
@given(content=BYTES | LINES | LINES.map(gzip.compress), data=st.data())
@settings(max_examples=60, deadline=None)
def test_any_bytes_are_records_or_errors_of_one_line(tmp_path_factory, task, format, content, data):
    path = tmp_path_factory.getbasetemp() / "fuzz"
    path.write_bytes(content)
    errors = data.draw(st.sampled_from(["strict", "replace", "ignore"]))
    reported: list[InputError] = []
    for options in ({}, {"on_error": reported.append}):
        try:
            check(path, task, format, errors=errors, **options)
        except InputError as error:
            reported.append(error)
    assert all(str(error).isprintable() for error in reported)
