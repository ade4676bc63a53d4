"""Bytes to lines: where lines end, what is not UTF-8, what gzip did to it."""

import gzip
import os
import sys

import pytest

from keras_albert.data.readers import read_records, text_file
from keras_albert.data.readers.text_file import TextFile
from keras_albert.errors import InputError
from tests.keras_albert.data.readers.files import refusal, tolerant, write

LINES = "a\u2028b\nc\x85d\ne\x0bf\ng\rh\n\ni\x1cj"


def texts(path, **options):
    return [record.texts[0] for record in read_records(path, "text", **options)]


@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_a_line_ends_at_a_line_feed_and_nowhere_else(tmp_path, end):
    path = write(tmp_path, "a.txt", LINES.replace("\n", end))
    assert texts(path) == LINES.split("\n")


def test_one_carriage_return_belongs_to_the_line_end_and_the_others_to_the_text(tmp_path):
    assert texts(write(tmp_path, "a.txt", b"a\r\r\nb\r")) == ["a\r", "b"]


def test_a_final_line_feed_begins_no_line(tmp_path):
    assert texts(write(tmp_path, "a.txt", "a\n")) == texts(write(tmp_path, "b.txt", "a")) == ["a"]
    assert texts(write(tmp_path, "c.txt", "\n\n")) == ["", ""]


def test_a_byte_order_mark_is_dropped_at_the_front_only(tmp_path):
    path = write(tmp_path, "a.txt", "\ufeffa\n\ufeffb")
    assert texts(path) == ["a", "\ufeffb"]
    assert texts(write(tmp_path, "b.txt", "\ufeff\n")) == [""]


@pytest.mark.parametrize("size", [1, 2, 3, 7])
def test_lines_do_not_depend_on_the_size_of_a_block(tmp_path, monkeypatch, size):
    path = write(tmp_path, "a.txt", "\ufeff" + LINES.replace("\n", "\r\n"))
    monkeypatch.setattr(text_file, "BLOCK", size)
    assert list(TextFile(path).lines()) == list(enumerate(LINES.split("\n"), 1))


@pytest.mark.parametrize("content", [b"", b"\xef\xbb\xbf"])
@pytest.mark.parametrize("name", ["a.tsv", "a.csv", "a.txt", "a.jsonl", "a.tsv.gz"])
def test_an_empty_file_is_refused(tmp_path, name, content):
    path = write(tmp_path, name, content)
    assert refusal(path, "text").startswith(f"A file must not be empty, at {path}.")


@pytest.mark.parametrize("bom", [b"", b"\xef\xbb\xbf"])
@pytest.mark.parametrize("name", ["a.txt", "a.txt.gz"])
def test_what_is_not_utf8_is_named_by_line_and_offset(tmp_path, name, bom):
    path = write(tmp_path, name, bom + "é\nü".encode() + b"b\xffc\nd")
    message = refusal(path, "text")
    assert f"at {path}:2. Received: offset={len(bom) + 6}, bytes=b'\\xff'" in message
    assert "--errors replace" in message
    assert refusal(write(tmp_path, "b.txt", bom + b"\xff"), "text").endswith(
        f"offset={len(bom)}, bytes=b'\\xff'"
    )


def test_a_fault_far_into_the_file_has_its_place(tmp_path):
    content = b"a line of text\n" * 200_000
    path = write(tmp_path, "a.txt", content + b"ok \xc3(")
    assert f"{path}:200001. Received: offset={len(content) + 3}" in refusal(path, "text")


def test_errors_replace_and_ignore_keep_the_line(tmp_path):
    path = write(tmp_path, "a.txt", b"a\xff\xfeb\n\xe4\xbd\nc")
    assert texts(path, errors="replace") == ["a\ufffd\ufffdb", "\ufffd", "c"]
    assert texts(path, errors="ignore") == ["ab", "", "c"]


def test_reading_goes_on_after_lines_that_are_not_utf8(tmp_path):
    path = write(tmp_path, "a.txt", b"\xef\xbb\xbfa\xff\nb\r\n\xfe\nd\n")
    records, errors = tolerant(path, "text")
    assert [(record.texts, record.place.line) for record in records] == [(("b",), 2), (("d",), 4)]
    assert ["offset=4" in errors[0], "offset=9" in errors[1]] == [True, True]
    assert ":1." in errors[0] and ":3." in errors[1]


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-be"])
def test_utf16_is_recognised(tmp_path, encoding):
    path = write(tmp_path, "a.txt", "\ufeffé".encode(encoding))
    assert "this looks like UTF-16" in refusal(path, "text")


def test_gzip_is_known_by_its_content(tmp_path):
    packed = write(tmp_path, "a.txt.gz", "a\nb\n")
    assert texts(packed) == ["a", "b"]
    assert texts(packed.rename(tmp_path / "b.txt")) == ["a", "b"]
    members = gzip.compress(b"a\n") + gzip.compress(b"b\n")
    assert texts(write(tmp_path, "c.txt", members)) == ["a", "b"]


def test_gzip_that_cannot_be_read_is_refused(tmp_path):
    whole = gzip.compress(os.urandom(1000).hex().encode())
    for cut in (
        whole[:3],
        whole[:200],
        whole[:-4] + b"oops",
        whole[:50] + b"\0" * 50 + whole[100:],
    ):
        assert "A file must be readable" in refusal(write(tmp_path, "a.txt", cut), "text")
    path = tmp_path / "b.txt.gz"
    path.write_text("plain")
    assert refusal(path, "text").startswith(f"A .gz file must be gzip data, at {path}.")


def test_what_is_no_readable_file_is_refused(tmp_path):
    assert "No such file" in refusal(tmp_path / "absent.txt", "text")
    assert "Is a directory" in refusal(tmp_path, "text", format="tsv")
    assert "null byte" in refusal("a\0b.txt", "text")
    closed = write(tmp_path, "a.txt", "a")
    closed.chmod(0)
    if not os.access(closed, os.R_OK):  # root reads it all the same
        assert "Permission denied" in refusal(closed, "text")


def test_a_name_with_a_line_break_leaves_the_message_one_line(tmp_path):
    assert "a\\nb.txt" in refusal(write(tmp_path, "a\nb.txt", ""), "text")


def test_a_line_without_end_is_refused_before_it_fills_the_memory(tmp_path, monkeypatch):
    monkeypatch.setattr(text_file, "BLOCK", 10)
    monkeypatch.setattr(text_file, "LONGEST_LINE", 100)
    path = write(tmp_path, "a.txt", b"x" * 1000)
    assert "A line must be shorter than 100 bytes" in refusal(path, "text")
    assert len(texts(write(tmp_path, "b.txt", b"x" * 90 + b"\ny"))) == 2


def test_errors_takes_three_values(tmp_path):
    with pytest.raises(InputError, match="errors must be one of"):
        read_records("a.txt", "text", errors="maybe")


def test_standard_input_is_read_as_its_lines_arrive(monkeypatch):
    """The second line is written only when the first one's record is there."""
    reading, writing = os.pipe()
    with open(reading) as stdin, open(writing, "wb", buffering=0) as stdout:
        monkeypatch.setattr(sys, "stdin", stdin)
        records = read_records("-", "text", format="tsv")
        for number in (1, 2):
            stdout.write(f"a text\t{number}\n".encode())
            record = next(records)
            assert (record.label, str(record.place)) == (str(number), f"<stdin>:{number}")
        stdout.close()
        assert list(records) == []
