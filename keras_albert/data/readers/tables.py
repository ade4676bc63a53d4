"""Text records from tables: TSV, CSV, and plain text, a table of one column.

The standard library's csv is under this, not pandas or pyarrow: both end a line at a lone carriage
return, pandas fills up a line that is too short, pyarrow's errors name no line, neither reads on
after one, and made into records their columns are not clearly faster (200 MB of SST-2, thousands
of rows a second: this module 407 and 445, pandas 183 and 264, pyarrow 773 and 466).
"""

import csv
import itertools
from collections.abc import Callable, Iterator

from keras_albert.data.messages import bad
from keras_albert.data.readers import columns
from keras_albert.data.readers.columns import Columns, Named, NamedLabel
from keras_albert.data.readers.labels import Labels
from keras_albert.data.readers.text_file import TextFile
from keras_albert.data.records import TextRecord
from keras_albert.errors import InputError

# The number of the line where a row begins, and the row's cells; [""] is a blank line.
Rows = Iterator[tuple[int, list[str]]]


def tsv_rows(file: TextFile) -> Rows:
    """Rows of TSV as GLUE has it: a row a line, tabs between cells, quotes literal, no escapes."""
    return ((line, text.split("\t")) for line, text in file.lines())


def csv_rows(file: TextFile) -> Rows:
    """Rows of CSV (RFC 4180): a field in double quotes may hold commas, line breaks and "".

    A field has at most 131,072 characters (the csv module's limit), so that a quote that is never
    closed does not swallow a large file. Where `file` reads on after an error, it does so with
    the next line; bytes that are not UTF-8 end the reading, for a quote may be among them.
    """
    numbers: list[int] = []  # of the lines that the row has taken

    def feed() -> Iterator[str]:
        for line, text in file.strict().lines(carriage_returns=True):
            numbers.append(line)
            yield f"{text}\n"

    reader = csv.reader(feed(), strict=True)
    while True:
        numbers.clear()
        try:
            row = next(reader, None)
        except csv.Error as error:
            rule = f"A record must be CSV as in RFC 4180 ({error})"
            file.report(bad(rule, file.place(numbers[0]), lines=len(numbers)))
            continue
        if row is None:
            return
        yield numbers[0], row or [""]


def read_table(
    rows: Callable[[TextFile], Rows],
    file: TextFile,
    *,
    text: Named = None,
    text_pair: Named = None,
    label: NamedLabel = None,
    header: bool | None = None,
    label_type: str = "class",
    label_separator: str | None = None,
) -> Iterator[TextRecord]:
    """A record a row, streaming.

    Blank lines at the end of the file are passed over.

    Args:
        rows: The file's rows: `tsv_rows` or `csv_rows`.
        file: The file.
        text, text_pair, label, header: As of `columns.in_table`.
        label_type, label_separator: As of `labels.Labels`.

    Raises:
        InputError: A row has more or fewer cells than the first, or a bad label; and as of
            `TextFile.lines` and `columns.in_table`.
    """
    labels = Labels(label_type, label_separator, required=label not in (None, False))

    def read() -> Iterator[TextRecord]:
        table = rows(file)
        first = next(table, None)
        if first is None:
            return
        line, cells = first
        found, has_header = columns.in_table(
            cells, file.place(line), text=text, text_pair=text_pair, label=label, header=header
        )
        table = table if has_header else itertools.chain([first], table)
        yield from _records(file, _checked(file, table, len(cells)), found, labels)

    return read()


def read_text(file: TextFile) -> Iterator[TextRecord]:
    """A record without a label for every line; an empty line is an empty text."""
    return (TextRecord((text,), None, file.place(line)) for line, text in file.lines())


def _checked(file: TextFile, rows: Rows, width: int) -> Rows:
    """The rows that are `width` cells wide; others are reported."""
    blank = 0  # the first blank line that nothing has followed yet
    for line, cells in rows:
        if blank or len(cells) != width:
            if cells == [""]:
                blank = blank or line
                continue
            if blank:
                file.report(_wrong_width(file, blank, 1, width))
                blank = 0
            if len(cells) != width:
                file.report(_wrong_width(file, line, len(cells), width))
                continue
        yield line, cells


def _wrong_width(file: TextFile, line: int, found: int, expected: int) -> InputError:
    rule = f"Every line must have as many columns as the first, which has {expected}"
    return bad(rule, file.place(line), columns=found)


def _records(file: TextFile, rows: Rows, found: Columns, labels: Labels) -> Iterator[TextRecord]:
    texts, label = found
    for line, cells in rows:
        place = file.place(line)
        try:
            value = None if label is None else labels.read(cells[label], place)
        except InputError as error:
            file.report(error)
        else:
            yield TextRecord(tuple([cells[index] for index in texts]), value, place)
