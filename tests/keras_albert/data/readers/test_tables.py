"""TSV and CSV: quoting, widths, labels, and where each record began."""

import pytest

from keras_albert.data.readers import read_records
from tests.keras_albert.data.readers.files import refusal, tolerant, write


def read(path, **options):
    return [(*record.texts, record.label) for record in read_records(path, "text", **options)]


def lines(path, **options):
    return [record.place.line for record in read_records(path, "text", **options)]


def test_quotes_are_literal_in_tsv(tmp_path):
    path = write(tmp_path, "a.tsv", 'text\tlabel\n"quoted\t1\nhe said ""no""\t"0"\n')
    assert read(path) == [('"quoted', "1"), ('he said ""no""', '"0"')]


def test_quotes_hold_commas_line_breaks_and_quotes_in_csv(tmp_path):
    path = write(tmp_path, "a.csv", '\ufefftext,label\r\n"a, ""b""\r\nc\n",1\r\nd,2\r\n\r\n')
    assert read(path) == [('a, "b"\r\nc\n', "1"), ("d", "2")]
    assert lines(path) == [2, 5]


def test_a_null_character_is_text(tmp_path):
    for name, separator in (("a.tsv", "\t"), ("a.csv", ",")):
        path = write(tmp_path, name, f"a\0b text{separator}1\n")
        assert read(path) == [("a\0b text", "1")]


@pytest.mark.parametrize(
    ("content", "line"),
    [
        ('a text,1\n"never closed,1\nb,2\n', 2),
        ('a text,1\n"closed" early,1\n', 2),
        ("a text,1\na\rb,1\n", 2),
        ('a text,1\n\n"' + "x" * 131_073 + '",1\n', 3),
    ],
)
def test_malformed_csv_is_refused_where_the_record_begins(tmp_path, content, line):
    path = write(tmp_path, "a.csv", content)
    message = refusal(path, "text")
    assert message.startswith("A record must be CSV as in RFC 4180 (")
    assert f"at {path}:{line}." in message


@pytest.mark.parametrize(("name", "separator"), [("a.tsv", "\t"), ("a.csv", ",")])
def test_every_line_has_as_many_columns_as_the_first(tmp_path, name, separator):
    content = "text,label\nx,1\nno label\ny,2\nz,3,more\n\n".replace(",", separator)
    path = write(tmp_path, name, content)
    assert refusal(path, "text") == (
        "Every line must have as many columns as the first, which has 2, "
        f"at {path}:3. Received: columns=1"
    )
    records, errors = tolerant(path, "text")
    assert [record.label for record in records] == ["1", "2"]
    assert [":5. Received: columns=3" in error for error in errors] == [False, True]


def test_blank_lines_may_end_a_table_but_not_interrupt_it(tmp_path):
    path = write(tmp_path, "a.tsv", "a text\t1\nb\t2\n\n\n")
    assert read(path) == [("a text", "1"), ("b", "2")]
    path = write(tmp_path, "b.tsv", "a text\t1\n\n\nb\t2\n")
    assert f"{path}:2. Received: columns=1" in refusal(path, "text")
    records, errors = tolerant(path, "text")
    assert [record.place.line for record in records] == [1, 4]
    assert len(errors) == 1


def test_blank_lines_are_empty_texts_in_a_table_of_one_column(tmp_path):
    for name in ("a.tsv", "a.csv"):
        assert read(write(tmp_path, name, "text\na\n\nb\n")) == [
            ("a", None),
            ("", None),
            ("b", None),
        ]


def test_an_empty_text_is_a_text(tmp_path):
    assert read(write(tmp_path, "a.tsv", "text\tlabel\n\t1\n")) == [("", "1")]


@pytest.mark.parametrize("name", ["a.tsv", "a.csv"])
def test_a_header_alone_is_no_data(tmp_path, name):
    assert "A file must hold records" in refusal(write(tmp_path, name, "text\n"), "text")


def test_the_first_record_decides_whether_there_are_labels(tmp_path):
    unlabelled = write(tmp_path, "a.tsv", "text\tlabel\na\t\nb\t\n")
    assert read(unlabelled) == [("a", None), ("b", None)]
    assert "Every record must have a label" in refusal(unlabelled, "text", label="label")
    path = write(tmp_path, "b.tsv", "text\tlabel\na\t1\nb\t\n")
    assert refusal(path, "text") == (
        f"Every record must have a label, like the first, at {path}:3. Received: label=''"
    )
    path = write(tmp_path, "c.tsv", "text\tlabel\na\t\nb\t1\n")
    assert "No record may have a label where the first has none" in refusal(path, "text")


def test_a_number_is_finite(tmp_path):
    path = write(tmp_path, "a.tsv", "text\tscore\na\t-1.5e0\nb\t3\n")
    assert read(path, label_type="number") == [("a", -1.5), ("b", 3.0)]
    for wrong in ("nan", "inf", "-Infinity", "high", "1e999", "1_000"):
        path = write(tmp_path, "b.tsv", f"text\tscore\na\t1\nb\t{wrong}\n")
        message = refusal(path, "text", label_type="number")
        assert message.startswith("A label must be a finite number")
        assert message.endswith(f"{path}:3. Received: label={wrong!r}")


def test_a_separator_parts_several_classes(tmp_path):
    path = write(tmp_path, "a.tsv", "text\tlabels\na\tjoy|anger\nb\tjoy\nc\t\n")
    classes = [record.label for record in read_records(path, "text", label_separator="|")]
    assert classes == [("joy", "anger"), ("joy",), ()]
    path = write(tmp_path, "b.tsv", "text\tlabels\na\tjoy|\n")
    assert "a text, not empty" in refusal(path, "text", label_separator="|")


@pytest.mark.parametrize(
    "options",
    [
        {"label_type": "ordinal"},
        {"label_separator": ""},
        {"label_separator": "|", "label_type": "number"},
    ],
)
def test_options_of_labels_are_checked_before_the_file_is_opened(options):
    message = refusal("absent.tsv", "text", **options)
    assert message.startswith("label_")


def test_a_bad_label_is_reported_and_reading_goes_on(tmp_path):
    path = write(tmp_path, "a.tsv", "text\tscore\na\tx\nb\t3\n")
    records, errors = tolerant(path, "text", label_type="number")
    assert [record.label for record in records] == [3.0]
    assert len(errors) == 1


def test_csv_reads_on_with_the_line_after_a_malformed_one(tmp_path):
    path = write(tmp_path, "a.csv", 'text,label\n"a" b,1\nc,2\n')
    records, errors = tolerant(path, "text")
    assert [record.texts for record in records] == [("c",)]
    assert f"{path}:2." in errors[0]
    broken = write(tmp_path, "b.csv", b'text,label\n"a\xff\nb",1\n')
    assert "UTF-8" in refusal(broken, "text", on_error=print)
