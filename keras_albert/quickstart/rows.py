"""The rows that the quickstart trains and judges by: movie reviews, or a person's own file."""

import random
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from keras_albert.data.messages import bad, shown
from keras_albert.data.readers import read_records
from keras_albert.data.records import TextRecord
from keras_albert.errors import InputError

_TEST_SHARE = 0.2  # of a person's own rows
_EXAMPLES = 3


class Data(NamedTuple):
    """A fixed split: rows to train on, others to judge by, texts to predict at the end."""

    what: str
    names: tuple[str, ...]
    train: list[TextRecord]
    test: list[TextRecord]
    examples: list[str | tuple[str, ...]]


def bundled_rows(folder: Path, limit: int | None = None) -> Data:
    """Movie reviews that people rated clearly good or bad (VADER, MIT)."""
    names = ("negative", "positive")

    def named(file: str) -> list[TextRecord]:
        return [
            record._replace(label=names[int(str(record.label))])
            for record in read_records(folder / file, "text")
        ]

    return Data(
        "movie reviews",
        names,
        named("train.tsv")[:limit],
        named("test.tsv"),
        [
            "A gripping film with wonderful performances.",
            "The plot is a mess and the jokes fall flat.",
            "Funny, warm and surprisingly moving.",
        ],
    )


def own_rows(records: Iterable[TextRecord], limit: int | None = None) -> Data:
    """A person's rows: shuffled always in the same way, a fifth of them kept apart to judge by.

    Args:
        records: Texts or pairs with one class each, as `read_records` yields them.
        limit: Most rows to train on; the others are left out.

    Raises:
        InputError: There are not two classes, or not enough rows to keep some apart.
    """
    records = list(records)
    for record in records:
        if not isinstance(record.label, str):
            rule = "The quickstart takes rows with one class each"
            raise bad(rule, record.place, label=record.label)
    random.Random(0).shuffle(records)
    kept = round(len(records) * _TEST_SHARE)
    train, test = records[: len(records) - kept][:limit], records[len(records) - kept :]
    names = tuple(sorted({str(record.label) for record in train}))
    if len(names) < 2 or not test:
        raise InputError(
            "The rows to train on have two classes at least, and a fifth of all is kept apart. "
            f"Received: {len(records)} rows, classes to train on {shown(names)}"
        )
    for record in test:
        if record.label not in names:
            rule = "Every class has rows to train on, which are a random part of all"
            raise bad(rule, record.place, label=record.label)
    examples = [record.text for record in test[:_EXAMPLES]]
    return Data(f"rows of {train[0].place.path}", names, train, test, examples)
