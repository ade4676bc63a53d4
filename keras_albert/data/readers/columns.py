"""Which column is the text, its pair, the label: as named, or by one table of known names."""

import re
from collections.abc import Sequence
from typing import Any, Literal, NamedTuple

from keras_albert.data.messages import bad, listed
from keras_albert.data.records import Place
from keras_albert.errors import InputError

# Names that a header is known by, lower-cased, the first that is there winning.
PAIRS = (
    ("sentence1", "sentence2"),  # MNLI, RTE, STS-B
    ("#1 string", "#2 string"),  # MRPC
    ("question1", "question2"),  # QQP
    ("question", "sentence"),  # QNLI
    ("premise", "hypothesis"),
    ("text_a", "text_b"),
    ("text1", "text2"),
    ("query1", "query2"),
)
TEXTS = ("sentence", "text", "content", "sms", "review", "comment", "tweet", "text_a")
LABELS = (
    "gold_label",
    "label",
    "labels",
    "quality",
    "is_duplicate",
    "score",
    "similarity",
    "class",
    "category",
    "sentiment",
    "target",
    "rating",
)
# Known columns that hold neither: they mark a first line as a header, too.
OTHERS = (
    *("id", "idx", "index", "guid", "qid", "qid1", "qid2", "#1 id", "#2 id", "pairid", "promptid"),
    *("genre", "filename", "year", "old_index", "source1", "source2"),
)
_TEXT_NAMES = {*TEXTS, *(name for pair in PAIRS for name in pair)}
_KNOWN = {*_TEXT_NAMES, *LABELS, *OTHERS}
LONGEST_LABEL = 40  # characters of what passes for a label where nothing says that it is one

Named = str | int | None
NamedLabel = str | int | Literal[False] | None


class Columns(NamedTuple):
    """Where a record's parts stand: indices in a table's row, keys in a JSON object."""

    texts: tuple[Any, ...]  # one, or two of a pair
    label: Any  # None where there is none


def in_table(
    first: Sequence[str],
    place: Place,
    *,
    text: Named = None,
    text_pair: Named = None,
    label: NamedLabel = None,
    header: bool | None = None,
) -> tuple[Columns, bool]:
    """The columns of a table by its first line, and whether that line is a header.

    Args:
        first: The cells of the first line.
        place: The first line's.
        text, text_pair, label: Name or number of a column; numbers count from 0, negative ones
            from the end. `label=False`: none.
        header: Whether the first line names the columns. By default it does where a column is
            asked for by name, where all its cells are known names, a text's among them, or where
            both a text's and a label's are.

    Raises:
        InputError: There is no such column (those that exist are listed), or which one is meant
            would be a guess.
    """
    if header is None:
        asked = (text, text_pair, None if label is False else label)
        header = any(_is_name(column) for column in asked) or _is_header(first, place)
    table = _Table(first, place, has_names=header)
    return table.columns(text, text_pair, label), header


def in_object(
    keys: Sequence[str],
    place: Place,
    *,
    text: Named = None,
    text_pair: Named = None,
    label: NamedLabel = None,
) -> Columns:
    """The keys of a JSON object that are the columns; arguments and errors as of `in_table`."""
    table = _Table(keys, place, has_names=True, has_numbers=False)
    columns = table.columns(text, text_pair, label)
    return Columns(
        tuple(keys[index] for index in columns.texts),
        None if columns.label is None else keys[columns.label],
    )


class _Table:
    """The first line of a table, asked for its columns."""

    def __init__(
        self, first: Sequence[str], place: Place, has_names: bool, has_numbers: bool = True
    ):
        self.first = list(first)
        self.place = place
        self.has_names = has_names
        self.has_numbers = has_numbers

    def columns(self, text: Named, text_pair: Named, label: NamedLabel) -> Columns:
        """What was asked for, and what is known where nothing was."""
        if text is None and text_pair is not None:
            raise bad("text_pair must come with text", self.place, text_pair=text_pair)
        texts = tuple(
            self.index(role, column)
            for role, column in (("text", text), ("text_pair", text_pair))
            if column is not None
        )
        known_texts, known_label = self.by_name() if self.has_names else ((), None)
        found = None
        if label is not False:
            found = known_label if label is None else self.index("label", label)
        if not texts and not self.has_names:
            return self.by_position(found, has_label=label is not False)
        if not texts and not known_texts:
            raise bad(
                "The text's column must be given (--text, --text-pair) where no name is known; "
                f"{self.exist()}",
                self.place,
                text=text,
            )
        return Columns(texts or known_texts, found)

    def index(self, role: str, column: str | int) -> int:
        """The index of a column given by name or number."""
        if self.has_names and isinstance(column, str) and self.first.count(column) == 1:
            return self.first.index(column)
        width = len(self.first)
        if not self.has_numbers or _is_name(column) or not -width <= int(column) < width:
            raise bad(f"A column must exist, and {self.exist()}", self.place, **{role: column})
        return int(column) % width

    def exist(self) -> str:
        """The columns that exist, for messages."""
        if self.has_names:
            return f"the columns are {listed(self.first)}"
        return f"there are {len(self.first)} columns and no header"

    def by_name(self) -> tuple[tuple[int, ...], int | None]:
        """Texts and label by their known names."""
        names = [name.lower() for name in self.first]
        known = (*PAIRS, *((name,) for name in TEXTS))
        texts = [segments for segments in known if set(segments) <= set(names)]
        labels = [name for name in LABELS if name in names]
        return (
            tuple(names.index(name) for name in texts[0]) if texts else (),
            names.index(labels[0]) if labels else None,
        )

    def by_position(self, label: int | None, has_label: bool) -> Columns:
        """A text or two, and after them the label where there is more than one column.

        What stands last passes for a label where it is one word, shorter than each text: any
        other order of columns must be said.
        """
        if has_label and label is None and len(self.first) > 1:
            label = len(self.first) - 1
            cell, *others = self.first[label], *self.first[:label]
            is_label = len(cell.split()) == 1 and len(cell) <= LONGEST_LABEL
            if not is_label or any(len(cell) >= len(other) for other in others):
                raise self.unclear(cell)
        texts = tuple(index for index in range(len(self.first)) if index != label)
        if len(texts) not in (1, 2):
            raise self.unclear(self.first[-1])
        return Columns(texts, label)

    def unclear(self, last: str) -> InputError:
        return bad(
            "Columns must be given by number (--text, --text-pair, --label) where they are not "
            f"texts and then a label; {self.exist()}",
            self.place,
            last_column=last,
        )


def _is_name(column: Named) -> bool:
    """Whether a column is asked for by name; a text of digits is a number."""
    return isinstance(column, str) and not re.fullmatch(r"-?[0-9]{1,9}", column)


def _is_header(first: Sequence[str], place: Place) -> bool:
    names = {cell.lower() for cell in first}
    has_text, has_label = bool(names & _TEXT_NAMES), bool(names & set(LABELS))
    if has_text and (has_label or names <= _KNOWN):
        return True
    # Half a header: reading it as data, or data as names, would go wrong in silence.
    if names & (_TEXT_NAMES | set(LABELS)) and len(first) > 1:
        raise bad(
            "Whether the first line is a header must be said (--header or --no-header) where only "
            "some of its cells are known names of columns",
            place,
            first_line=list(first),
        )
    return False
