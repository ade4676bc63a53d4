"""JSON Lines: an object a line, its keys the columns."""

from collections.abc import Iterator

from keras_albert.data.readers import columns
from keras_albert.data.readers.columns import Columns, Named, NamedLabel
from keras_albert.data.readers.json_values import Object, parse
from keras_albert.data.readers.labels import Labels
from keras_albert.data.readers.text_file import TextFile
from keras_albert.data.records import TextRecord
from keras_albert.errors import InputError


def objects(file: TextFile) -> Iterator[Object]:
    """The object on every line, streaming; blank lines are passed over, bad ones reported."""
    for line, text in file.lines():
        if text and not text.isspace():
            place = file.place(line)
            try:
                yield Object(parse(text, place, file.errors), place, "A line of JSON Lines")
            except InputError as error:
                file.report(error)


def read_text_lines(
    file: TextFile,
    *,
    text: Named = None,
    text_pair: Named = None,
    label: NamedLabel = None,
    label_type: str = "class",
    label_separator: str | None = None,
) -> Iterator[TextRecord]:
    """A record for every object, streaming.

    A label is a text, a number, or a list of texts; a number that is a class is kept as JSON
    writes it ("1").

    Args:
        file: The file.
        text, text_pair, label: As of `columns.in_object`.
        label_type, label_separator: As of `labels.Labels`.

    Raises:
        InputError: Malformed JSON, a line without the keys that the first has for texts, or a bad
            label; and as of `TextFile.lines`.
    """
    labels = Labels(label_type, label_separator, required=label not in (None, False))

    asked = {"text": text, "text_pair": text_pair, "label": label}

    def read() -> Iterator[TextRecord]:
        keys: list[str] = []
        found: Columns | None = None
        for line in objects(file):
            try:
                if found is None:
                    keys = list(line.value)
                    found = columns.in_object(keys, line.place, **asked)
                texts = tuple(line.text(key) for key in found.texts)
                column = found.label
                if column is None and label is None and keys != list(line.value):
                    column = columns.in_object(list(line.value), line.place, **asked).label
                value = None if column is None else line.get(column)
                yield TextRecord(texts, labels.read(value, line.place), line.place)
            except InputError as error:
                file.report(error)

    return read()
