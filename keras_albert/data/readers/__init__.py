"""Readers: files as people have them, as a stream of the task's small records.

Every record, and every error, names the file and the line it came from.
"""

import functools
import inspect
import os
from collections.abc import Callable, Iterator
from typing import Any, Literal, overload

from keras_albert.data.messages import bad
from keras_albert.data.readers.choices import read_choice_lines, read_choices
from keras_albert.data.readers.json_lines import read_text_lines
from keras_albert.data.readers.questions import read_question_lines, read_questions
from keras_albert.data.readers.tables import csv_rows, read_table, read_text, tsv_rows
from keras_albert.data.readers.text_file import TextFile
from keras_albert.data.readers.words import read_conll, read_tagged_lines, read_untagged
from keras_albert.data.records import ChoiceRecord, QuestionRecord, TextRecord, WordsRecord
from keras_albert.errors import InputError

__all__ = ["EXTENSIONS", "READERS", "format_of", "read_records"]

Path = str | os.PathLike[str]

# task -> format -> reader. The layouts of JSON documents are told apart by their structure.
READERS: dict[str, dict[str, Callable[..., Iterator[Any]]]] = {
    "text": {
        "tsv": functools.partial(read_table, tsv_rows),
        "csv": functools.partial(read_table, csv_rows),
        "jsonl": read_text_lines,
        "text": read_text,
    },
    "words": {"conll": read_conll, "jsonl": read_tagged_lines, "text": read_untagged},
    "question": {
        "json": read_questions,
        "squad": read_questions,
        "cmrc": read_questions,
        "jsonl": read_question_lines,
    },
    "choice": {
        "json": read_choices,
        "dream": read_choices,
        "race": read_choices,
        "jsonl": read_choice_lines,
    },
}
# task -> extension -> format; "/" is a folder.
EXTENSIONS: dict[str, dict[str, str]] = {
    "text": {
        ".tsv": "tsv",
        ".csv": "csv",
        ".jsonl": "jsonl",
        ".ndjson": "jsonl",
        ".txt": "text",
    },
    "words": {
        ".conll": "conll",
        ".bio": "conll",
        ".iob": "conll",
        ".iob2": "conll",
        ".txt": "conll",
        ".jsonl": "jsonl",
        ".ndjson": "jsonl",
    },
    "question": {".json": "json", ".jsonl": "jsonl", ".ndjson": "jsonl"},
    "choice": {".json": "json", ".jsonl": "jsonl", ".ndjson": "jsonl", "/": "race"},
}


def format_of(path: Path, task: str) -> str:
    """The format of a task's file by its extension, to which `.gz` may be added.

    Raises:
        InputError: The extension tells none; the formats that there are are listed.
    """
    name = os.fsdecode(path)
    extension = os.path.splitext(name.removesuffix(".gz"))[1].lower()
    if os.path.isdir(name):
        extension = "/"
    if extension not in EXTENSIONS[task]:
        formats = ", ".join(READERS[task])
        what = "A folder" if extension == "/" else f"The extension {extension!r}"
        raise InputError(
            f"{what} names no format of {task} records, so --format must: {formats}. "
            f"Received: path={name!r}"
        )
    return EXTENSIONS[task][extension]


@overload
def read_records(path: Path, task: Literal["text"], **options: Any) -> Iterator[TextRecord]: ...
@overload
def read_records(path: Path, task: Literal["words"], **options: Any) -> Iterator[WordsRecord]: ...
@overload
def read_records(
    path: Path, task: Literal["question"], **options: Any
) -> Iterator[QuestionRecord]: ...
@overload
def read_records(path: Path, task: Literal["choice"], **options: Any) -> Iterator[ChoiceRecord]: ...
@overload
def read_records(path: Path, task: str, **options: Any) -> Iterator[Any]: ...


def read_records(
    path: Path,
    task: str,
    *,
    format: str | None = None,
    errors: str = "strict",
    on_error: Callable[[InputError], None] | None = None,
    **options: Any,
) -> Iterator[Any]:
    """The records of a file, in its order; lines stream, JSON documents are loaded whole.

    The arguments are checked at once, the file is opened with the first record.

    Args:
        path: A file, also one that gzip compressed; for RACE a folder; "-" for standard input.
        task: "text" (classes, numbers, pairs or no label), "words" (tagged words), "question" (on
            a context) or "choice" (of several answers).
        format: A key of `READERS[task]`; by default as `format_of` tells.
        errors: What becomes of bytes that are not UTF-8: "strict" makes them an error, "replace"
            puts U+FFFD in their place, "ignore" drops them.
        on_error: Is given the error of a bad line or record, and reading goes on after it where
            the format allows; by default the error is raised.
        options: The reader's own arguments, such as `label="Quality"`; None stands for a default.

    Returns:
        Iterator of `TextRecord`, `WordsRecord`, `QuestionRecord` or `ChoiceRecord`.

    Raises:
        InputError: Bad arguments; while iterating, bad input, or a file without a record.
    """
    if task not in READERS:
        raise InputError(f"task must be one of {tuple(READERS)}. Received: task={task!r}")
    chosen = format_of(path, task) if format is None else format
    if chosen not in READERS[task]:
        formats = tuple(READERS[task])
        raise InputError(f"format of {task} must be one of {formats}. Received: format={format!r}")
    reader = READERS[task][chosen]
    options = {name: value for name, value in options.items() if value is not None}
    _check_options(reader, chosen, options)
    file = TextFile(path, errors, on_error)
    records = reader(file, **options)
    guessed_text = format is None and chosen == "text"
    return _some(file, _no_table(records) if guessed_text else records)


def _check_options(
    reader: Callable[..., Iterator[Any]], format: str, options: dict[str, Any]
) -> None:
    parameters = inspect.signature(reader).parameters.values()
    known = [item.name for item in parameters if item.kind is item.KEYWORD_ONLY]
    for name, value in options.items():
        if name not in known:
            raise InputError(
                f"The format {format} has the options {', '.join(known) or 'of all formats only'}. "
                f"Received: {name}={value!r}"
            )


def _some(file: TextFile, records: Iterator[Any]) -> Iterator[Any]:
    """The records, of which there must be one, unless errors took its place."""
    first = next(records, None)
    if first is not None:
        yield first
        yield from records
    elif not file.reported:
        raise bad("A file must hold records", file.name, records=0)


def _no_table(records: Iterator[TextRecord]) -> Iterator[TextRecord]:
    """The lines of a .txt file that nobody called a text: with tabs it may as well be a table."""
    for number, record in enumerate(records):
        if not number and "\t" in record.texts[0]:
            rule = "A .txt file whose first line holds a tab must be given a --format, tsv or text"
            raise bad(rule, record.place, first_line=record.texts[0])
        yield record
