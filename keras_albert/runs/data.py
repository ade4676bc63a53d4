"""The rows of a run: to learn from, to validate and to test by, with labels that they agree on."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from absl import logging

from keras_albert.data.messages import bad, shown
from keras_albert.data.records import TextRecord
from keras_albert.directory import sha256
from keras_albert.errors import InputError
from keras_albert.tasks.rows import as_rows
from keras_albert.tasks.targets import KINDS, Targets, targets_of

# The name of the task object is good for the kind that it has by default.
KIND_NAMES = {kind: kind for kind in KINDS} | {"text_classification": "classification"}
HELD_OUT_SHARE, MOST_HELD_OUT = 0.1, 2000


@dataclass(frozen=True)
class Part:
    """Rows of one file.

    Attributes:
        records: The rows.
        labels: Their labels as numbers.
    """

    records: list[TextRecord]
    labels: np.ndarray

    @property
    def path(self) -> str:
        """The file's."""
        return self.records[0].place.path

    @property
    def texts(self) -> list[Any]:
        """Each text, or the tuple of a row's segments."""
        return [record.text for record in self.records]

    @cached_property
    def description(self) -> dict[str, Any]:
        """`path`, `rows`, and the file's `sha256`; standard input has none."""
        is_file = Path(self.path).is_file()
        return {
            "path": self.path,
            "rows": len(self.records),
            "sha256": sha256(self.path) if is_file else None,
        }


@dataclass(frozen=True)
class RunData:
    """The rows of a run.

    Attributes:
        kind: "classification", "multi_label" or "regression".
        names: The labels' names; none of a regression.
        train: Rows to learn from.
        validation: Rows to choose by.
        test: Rows to judge by, if there are any.
    """

    kind: str
    names: tuple[str, ...]
    train: Part
    validation: Part
    test: Part | None = None

    @property
    def parts(self) -> dict[str, Part]:
        """By name; the last one is what the run is judged by."""
        parts = {"train": self.train, "validation": self.validation}
        return parts if self.test is None else parts | {"test": self.test}

    @property
    def judged_by(self) -> str:
        """The name of the part that the report is on."""
        return "validation" if self.test is None else "test"

    def description(self) -> dict[str, dict[str, Any]]:
        """Of each part."""
        return {name: part.description for name, part in self.parts.items()}


def prepare(
    train: Iterable[TextRecord],
    validation: Iterable[TextRecord] | None = None,
    test: Iterable[TextRecord] | None = None,
    *,
    kind: str | None = None,
    labels: Sequence[str] | None = None,
) -> RunData:
    """The rows of a run, checked.

    Without validation, a tenth of the training rows is held out for it, at most 2,000: always the
    same ones, whatever a run's seed, and of every class its share.

    Args:
        train: Texts or pairs with their labels, as `read_records` yields them.
        validation: Likewise.
        test: Likewise.
        kind: The task, a key of `KIND_NAMES`; by default what the labels are: lists, numbers or
            texts.
        labels: The labels' names in the order of the model's outputs; by default those of the
            training rows, sorted, numbers by their value.

    Raises:
        InputError: A row without a label, or with one that the others do not know; a single label
            for all; rows of other numbers of texts.
    """
    rows = {"train": list(train)}
    for name, records in (("validation", validation), ("test", test)):
        if records is not None:
            rows[name] = list(records)
    for records in rows.values():
        _check(records, len(rows["train"][0].texts))
    kind = _kind(rows["train"], kind)
    if kind == "regression" and labels is not None:
        raise InputError(f"A regression has no classes. Received: labels={shown(list(labels))}")
    if kind != "multi_label":
        _check_several(rows["train"])
    names = _names(rows["train"], kind) if labels is None else tuple(labels)
    targets = targets_of(kind, None if kind == "regression" else names)
    parts = {name: _part(records, targets) for name, records in rows.items()}
    if "validation" not in parts:
        parts["train"], parts["validation"] = _held_out(parts["train"], kind)
    return RunData(kind, targets.names, **parts)


def _check(records: list[TextRecord], segments: int) -> None:
    for record in records:
        if record.label is None:
            raise bad("Every row of a run has a label", record.place, label=None)
        if len(record.texts) != segments:
            raise bad(
                f"Every row has as many texts as the first to learn from, {segments}",
                record.place,
                texts=len(record.texts),
            )


def _kind(records: list[TextRecord], asked: str | None) -> str:
    if asked is not None and asked not in KIND_NAMES:
        raise InputError(f"A task is one of {tuple(KIND_NAMES)}. Received: task={asked!r}")
    found = "classification"
    if any(isinstance(record.label, tuple) for record in records):
        found = "multi_label"
    elif isinstance(records[0].label, float):
        found = "regression"
    kind = found if asked is None else KIND_NAMES[asked]
    if kind != found:
        needs = {
            "classification": "one class a row",
            "multi_label": "lists of labels, or --label-separator",
            "regression": "numbers, --label-type number",
        }
        raise bad(f"The task {kind} takes {needs[kind]}", records[0].place, label=records[0].label)
    return kind


def _check_several(records: list[TextRecord]) -> None:
    first = records[0].label
    if all(record.label == first for record in records):
        rule = "What is learnt from has two labels or more"
        raise bad(rule, records[0].place.path, label=first, rows=len(records))


def _names(records: list[TextRecord], kind: str) -> tuple[str, ...]:
    """The labels that occur, sorted; numbers by their value."""
    if kind == "regression":
        return ()
    found: set[str] = set()
    for record in records:
        found.update(record.label if isinstance(record.label, tuple) else [str(record.label)])
    try:
        values = {name: float(name) for name in found}
    except ValueError:
        return tuple(sorted(found))
    if not all(map(math.isfinite, values.values())):
        return tuple(sorted(found))
    return tuple(sorted(found, key=lambda name: (values[name], name)))


def _part(records: list[TextRecord], targets: Targets) -> Part:
    return Part(records, targets.encode(as_rows(records)))


def _held_out(part: Part, kind: str) -> tuple[Part, Part]:
    """Rows to learn from, and rows for the validation."""
    rows = len(part.records)
    count = min(max(1, round(HELD_OUT_SHARE * rows)), MOST_HELD_OUT)
    groups = part.labels if kind == "classification" else np.zeros(rows, "int32")
    is_held = np.zeros(rows, bool)
    is_held[_sample(groups, count)] = True
    if not is_held.any():
        rule = "A label has two rows or more, of which one is held out (--validation gives others)"
        raise bad(rule, part.path, rows=rows)
    logging.info(
        "No validation is given: %d of the %d rows of %s are held out for it (%.0f %%)",
        is_held.sum(),
        rows,
        part.path,
        100 * is_held.mean(),
    )
    kept, held = (
        Part([part.records[i] for i in np.flatnonzero(mask)], part.labels[mask])
        for mask in (~is_held, is_held)
    )
    return kept, held


def _sample(groups: np.ndarray, count: int) -> np.ndarray:
    """Indices of `count` rows: of each group its share, but never all of a group.

    The shares are rounded down, and what is missing goes to the largest remainders.
    """
    order = np.random.default_rng(0).permutation(len(groups))
    members = [order[groups[order] == group] for group in np.unique(groups)]
    exact = np.array([count * len(rows) / len(groups) for rows in members])
    taken = np.minimum(exact.astype(int), [len(rows) - 1 for rows in members])
    for group in np.argsort(taken - exact, kind="stable"):
        if taken.sum() < count and taken[group] < len(members[group]) - 1:
            taken[group] += 1
    return np.concatenate([rows[:number] for rows, number in zip(members, taken, strict=True)])
