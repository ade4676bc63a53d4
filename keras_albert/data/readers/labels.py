"""What a label is: a class, a number, several classes, or none in the whole file."""

import json
import math
from collections.abc import Sequence

from keras_albert.data.messages import bad
from keras_albert.data.records import Place
from keras_albert.errors import InputError

LABEL_TYPES = ("class", "number")
Label = str | float | tuple[str, ...] | None


class Labels:
    """Reads the labels of one file; the first record decides whether the file has any.

    Args:
        label_type: "class", kept as it stands in the file, or "number", to regress to.
        separator: What stands between the classes of a record that has several, or none.
        required: Whether a label was asked for, so that every record must have one.
    """

    def __init__(self, label_type: str, separator: str | None, *, required: bool):
        if label_type not in LABEL_TYPES:
            raise InputError(
                f"label_type must be one of {LABEL_TYPES}. Received: label_type={label_type!r}"
            )
        if separator == "" or (separator is not None and label_type == "number"):
            raise InputError(
                "label_separator must be a text between classes. Received: "
                f"label_separator={separator!r}, label_type={label_type!r}"
            )
        self.is_number = label_type == "number"
        self.separator = separator
        self.expected = True if required else None

    def read(self, value: object, place: Place) -> Label:
        """The label of a table's cell or a JSON value; None or an empty cell is a missing one.

        Raises:
            InputError: It is not what the file's labels are.
        """
        label = self._parse(value, place)
        if self.expected is None:
            self.expected = label is not None
        if self.expected is not (label is not None):
            rule = "Every record must have a label, like the first"
            if not self.expected:
                rule = "No record may have a label where the first has none"
            raise bad(rule, place, label=value)
        return label

    def _parse(self, value: object, place: Place) -> Label:
        if self.separator is not None and isinstance(value, str):
            return self._classes(value.split(self.separator) if value else [], place)
        if value is None or value == "":
            return None
        if self.is_number:
            return self._number(value, place)
        if isinstance(value, str):
            return value
        if isinstance(value, list):
            return self._classes(value, place)
        if isinstance(value, int | float):
            return json.dumps(value)
        raise bad("A label must be a text, a number or a list of texts", place, label=value)

    @staticmethod
    def _classes(values: Sequence[object], place: Place) -> tuple[str, ...]:
        if not all(isinstance(value, str) and value for value in values):
            raise bad("Each of several classes must be a text, not empty", place, label=values)
        return tuple(str(value) for value in values)

    @staticmethod
    def _number(value: object, place: Place) -> float:
        # float() would take True and "1_000", too.
        is_number = isinstance(value, str | int | float) and not isinstance(value, bool)
        try:
            number = float(str(value)) if is_number and "_" not in str(value) else math.nan
        except ValueError:
            number = math.nan
        if not math.isfinite(number):
            raise bad("A label must be a finite number (label_type='number')", place, label=value)
        return number
