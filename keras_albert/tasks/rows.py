"""What a task is given, as rows: texts by segment, labels, weights, and where each came from."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from keras_albert.data.messages import shown
from keras_albert.data.records import TextRecord
from keras_albert.errors import InputError
from keras_albert.tokenization.preprocessor import as_segments


@dataclass(frozen=True)
class Rows:
    """Rows in memory.

    Attributes:
        segments: The texts of each segment, [segments][rows].
        labels: As they were given, [rows], or None.
        weights: float32 [rows], or None.
        places: Where each row came from; None where that is only its number.
    """

    segments: tuple[list[Any], ...]
    labels: Sequence[Any] | None = None
    weights: np.ndarray | None = None
    places: Sequence[Any] | None = None

    def __len__(self) -> int:
        return len(self.segments[0])

    @property
    def inputs(self) -> Any:
        """What a `Preprocessor` takes: the texts, or of pairs the first and the second texts."""
        return self.segments[0] if len(self.segments) == 1 else self.segments

    def place(self, row: int) -> str:
        """Where a row came from, for messages: `train.tsv:12`, or `row 11`."""
        return f"row {row}" if self.places is None else str(self.places[row])

    def part(self, rows: slice) -> "Rows":
        """Some of the rows, without their labels."""
        return Rows(tuple(segment[rows] for segment in self.segments))


def as_rows(texts: Any, labels: Any = None, sample_weight: Any = None) -> Rows:
    """Rows of whatever a person has.

    Args:
        texts: A list, array or Series of texts; a list of pairs; a pair of lists; or a list of
            `TextRecord`, as `read_records` gives them, which bring labels and places.
        labels: One a row.
        sample_weight: One a row, at least 0.

    Raises:
        InputError: No rows; not texts; other numbers of labels or weights than of texts; a weight
            that is negative or not finite.
    """
    places = None
    if isinstance(texts, str | bytes):
        raise InputError(f"Texts are a list; one text is [text]. Received: {shown(texts)}")
    if hasattr(texts, "to_numpy"):  # a Series or a DataFrame of pandas or polars
        texts = texts.to_numpy()
    if not isinstance(texts, tuple):
        texts = texts if isinstance(texts, list | np.ndarray) else list(texts)
        if len(texts) and isinstance(texts[0], TextRecord):
            places = [record.place for record in texts]
            if labels is None and texts[0].label is not None:
                labels = [record.label for record in texts]
            texts = [record.text for record in texts]
    segments = tuple(_as_list(segment) for segment in as_segments(texts))
    sizes = sorted({len(segment) for segment in segments})
    if len(sizes) != 1 or not sizes[0]:
        raise InputError(f"There are texts, as many of every segment. Received: rows={sizes}")
    _check_texts(segments)
    labels = None if labels is None else _as_list(labels)
    weights = None if sample_weight is None else _weights(sample_weight)
    for name, values in (("labels", labels), ("sample_weight", weights)):
        if values is not None and len(values) != sizes[0]:
            raise InputError(
                f"{name} has one value a text. Received: {len(values)} for {sizes[0]} texts"
            )
    return Rows(segments, labels, weights, places)


def _as_list(values: Any) -> list[Any]:
    if hasattr(values, "to_numpy"):
        values = values.to_numpy()
    return values if isinstance(values, list) else list(values)


def _check_texts(segments: tuple[list[Any], ...]) -> None:
    for segment in segments:
        for row, text in enumerate(segment):
            if not isinstance(text, str | bytes):
                raise InputError(
                    "A text is a string. "
                    f"Received: {shown(text)} ({type(text).__name__}) in row {row}"
                )


def _weights(values: Any) -> np.ndarray:
    weights = np.asarray(values, "float32")
    wrong = ~(np.isfinite(weights) & (weights >= 0))
    if wrong.any():
        raise InputError(
            "A sample weight is finite and at least 0. "
            f"Received: {weights[wrong][0]} in row {int(np.argmax(wrong))}"
        )
    return weights
