"""Which columns are meant, by name, by number, or by what is known of them."""

import pytest

from keras_albert.data.readers import read_records
from tests.keras_albert.data.readers.files import refusal, write

GUESSES = {
    "label\tsentence": ((1,), 0),
    "label\tcontent": ((1,), 0),
    "Label\tSMS": ((1,), 0),
    "sentence\tlabel": ((0,), 1),
    "text": ((0,), None),
    "qid\ttext_a": ((1,), None),
    "Quality\t#1 ID\t#2 ID\t#1 String\t#2 String": ((3, 4), 0),
    "id\tqid1\tqid2\tquestion1\tquestion2\tis_duplicate": ((3, 4), 5),
    "index\tquestion\tsentence\tlabel": ((1, 2), 3),
    "index\tgenre\tfilename\tyear\told_index\tsource1\tsource2\tsentence1\tsentence2\tscore": (
        (7, 8),
        9,
    ),
    "index\tannotator\tpremise\thypothesis\tlabel1\tlabel2\tgold_label": ((2, 3), 6),
    "label2\ttext\tlabel\tgold_label": ((1,), 3),
}


def first(path, **options):
    record = next(read_records(path, "text", **options))
    return record.texts, record.label


@pytest.mark.parametrize("header", GUESSES)
def test_known_names_are_found_in_a_header(tmp_path, header):
    texts, label = GUESSES[header]
    cells = [f"cell {index}" for index in range(header.count("\t") + 1)]
    path = write(tmp_path, "a.tsv", header + "\n" + "\t".join(cells))
    expected = None if label is None else cells[label]
    assert first(path) == (tuple(cells[index] for index in texts), expected)


def test_a_table_without_header_holds_texts_and_then_a_label(tmp_path):
    assert first(write(tmp_path, "a.tsv", "a text")) == (("a text",), None)
    assert first(write(tmp_path, "b.tsv", "a text\tgood")) == (("a text",), "good")
    assert first(write(tmp_path, "c.tsv", "a text\tanother\t1")) == (("a text", "another"), "1")


@pytest.mark.parametrize(
    "row",
    [
        "0\ta text",
        "1\t0.5\ta text",
        "a text\tanother\tof three words",
        "0\t这个宾馆",
        "a b\tc d\te f\t1",
    ],
)
def test_another_order_of_columns_is_not_guessed(tmp_path, row):
    message = refusal(write(tmp_path, "a.tsv", row), "text")
    assert "Columns must be given by number (--text, --text-pair, --label)" in message
    assert f"there are {len(row.split(chr(9)))} columns and no header" in message


def test_what_is_named_is_taken(tmp_path):
    path = write(tmp_path, "a.tsv", "0\t这个宾馆\tx")
    assert first(path, text=1, label=0) == (("这个宾馆",), "0")
    assert first(path, text="1", text_pair="-1") == (("这个宾馆", "x"), None)
    assert first(path, label=0) == (("这个宾馆", "x"), "0")
    named = write(tmp_path, "b.tsv", "y\ta\tb\n1\tfirst\tsecond\n")
    assert first(named, text="b") == (("second",), None)
    assert first(named, text="a", text_pair="b", label="y") == (("first", "second"), "1")
    assert first(named, text=1, label=-3, header=True) == (("first",), "1")
    assert first(named, text=1, label=-3, header=False) == (("a",), "y")


def test_a_name_of_digits_is_a_name_where_the_header_has_it(tmp_path):
    path = write(tmp_path, "a.csv", "1,0,label\nfirst,second,x\n")
    assert first(path, text="0", label="label") == (("second",), "x")
    assert first(path, text=0, label="label") == (("first",), "x")


def test_no_label_can_be_asked_for(tmp_path):
    assert first(write(tmp_path, "a.tsv", "label\ttext\n1\ta"), label=False) == (("a",), None)
    assert first(write(tmp_path, "b.tsv", "a text\tone"), label=False) == (("a text", "one"), None)


def test_a_missing_column_is_named_with_those_that_exist(tmp_path):
    path = write(tmp_path, "a.tsv", "y\ttext\n1\ta\n")
    assert refusal(path, "text", label="Y") == (
        f"A column must exist, and the columns are 'y', 'text', at {path}:1. Received: label='Y'"
    )
    assert "there are 2 columns and no header" in refusal(path, "text", header=False, label="y")
    for number in (2, -3, "7"):
        assert f"label={number!r}" in refusal(path, "text", header=True, label=number)
    assert "the columns are 'y', 'z'" in refusal(
        write(tmp_path, "b.tsv", "y\tz\n1\ta\n"), "text", header=True
    )


def test_a_column_that_stands_twice_goes_by_number(tmp_path):
    path = write(tmp_path, "a.tsv", "text\ttext\ny\ta\n")
    assert "A column must exist" in refusal(path, "text", text="text")
    assert first(path, text=1, header=True) == (("a",), None)


def test_half_a_header_is_not_guessed(tmp_path):
    path = write(tmp_path, "a.tsv", "ham\ttext\nspam\tfree\n")
    assert "--header or --no-header" in refusal(path, "text")
    assert "--header or --no-header" in refusal(path, "text", text=1)
    assert first(path, header=False, text=1, label=0) == (("text",), "ham")
    assert first(path, header=True, text=1, label=0) == (("free",), "spam")


def test_a_pair_needs_its_text(tmp_path):
    path = write(tmp_path, "a.tsv", "a\tb\n")
    assert "text_pair must come with text" in refusal(path, "text", text_pair=1)
