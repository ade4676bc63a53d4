"""The one door: formats by extension, options by format."""

import io
import subprocess
import sys

import pytest

from keras_albert.data.readers import EXTENSIONS, READERS, columns, format_of, read_records
from keras_albert.errors import InputError
from tests.keras_albert.data.readers.files import refusal, tolerant, write
from tests.paths import ROOT


@pytest.mark.parametrize("task", EXTENSIONS)
def test_an_extension_tells_the_format(task, tmp_path):
    for extension, format in EXTENSIONS[task].items():
        assert format in READERS[task]
        if extension != "/":
            assert format_of(f"a{extension}", task) == format
            assert format_of(tmp_path / f"a.b{extension.upper()}.gz", task) == format


@pytest.mark.parametrize("path", ["a", "a.gz", "a.en.gz", "-", "a.parquet", ".tsv"])
def test_where_it_does_not_the_formats_are_listed(path):
    with pytest.raises(InputError, match="--format must: tsv, csv, jsonl, text"):
        format_of(path, "text")


def test_a_folder_is_race_and_nothing_else(tmp_path):
    assert format_of(tmp_path, "choice") == "race"
    with pytest.raises(InputError, match="A folder names no format"):
        format_of(tmp_path, "text")


def test_a_text_file_with_tabs_must_be_said_to_be_one(tmp_path):
    path = write(tmp_path, "a.txt", "q1\tq2\t1\n")
    assert "must be given a --format, tsv or text" in refusal(path, "text")
    assert next(read_records(path, "text", format="text")).texts == ("q1\tq2\t1",)
    assert next(read_records(path, "text", format="tsv", label=2)).texts == ("q1", "q2")


@pytest.mark.parametrize(
    ("task", "options", "rule"),
    [
        ("poetry", {}, "task must be one of"),
        ("text", {"format": "squad"}, "format of text must be one of"),
        ("text", {"format": "text", "label": 1}, "The format text has the options of all formats"),
        ("text", {"format": "jsonl", "header": True}, "has the options text, text_pair, label,"),
        ("question", {"format": "squad", "label": 1}, "has the options check_answers"),
    ],
)
def test_bad_arguments_are_refused_at_once(task, options, rule):
    with pytest.raises(InputError, match=rule):
        read_records("absent", task, **options)


def test_none_stands_for_a_default(tmp_path):
    path = write(tmp_path, "a.txt", "a\n")
    assert len(list(read_records(path, "text", label=None, header=None))) == 1


def test_standard_input_may_be_compressed(monkeypatch, tmp_path):
    data = write(tmp_path, "a.txt.gz", "a\n").read_bytes()
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BufferedReader(io.BytesIO(data))))
    record = next(read_records("-", "text", format="text"))
    assert (record.texts, str(record.place)) == (("a",), "<stdin>:1")


def test_the_page_on_data_has_every_format_extension_and_known_name():
    page = (ROOT / "docs" / "data.md").read_text(encoding="utf-8")
    known = {*columns.TEXTS, *columns.LABELS, *columns.OTHERS}
    known |= {name for pair in columns.PAIRS for name in pair}
    known |= {name for formats in READERS.values() for name in formats}
    known |= {name for formats in EXTENSIONS.values() for name in formats if name != "/"}
    assert {name for name in known if f"`{name}`" not in page.lower()} == set()


def test_a_file_of_nothing_but_bad_lines_has_its_errors_instead_of_records(tmp_path):
    records, errors = tolerant(write(tmp_path, "a.tsv", b"\xff\n\xfe\n"), "text")
    assert (len(records), len(errors)) == (0, 2)


def test_the_command_line_reads_without_keras():
    program = (
        "import sys, checkpoints_tools.launcher, keras_albert.data.readers\n"
        "print({'keras', 'tensorflow', 'numpy', 'pandas'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True)
    assert done.stdout.split() == [b"set()"]
