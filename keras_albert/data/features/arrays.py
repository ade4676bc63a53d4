"""What the features of all tasks share: tokens of texts, batches of rows, the length of a row."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from keras_albert.errors import InputError


def token_rows(texts: Sequence[str], tokenizer: Any) -> list[np.ndarray]:
    """The ids of each text, int32 [tokens], all tokenized in one call."""
    ids = tokenizer.token_ids(texts)
    return np.split(ids.flat_values.numpy(), ids.row_limits().numpy())[:-1]


def padded_batch(
    rows: Mapping[str, Sequence[np.ndarray]],
    *,
    length: int | None = None,
    values: Mapping[str, int] | None = None,
) -> dict[str, np.ndarray]:
    """Rows of a batch, [rows, length] int32 each, and their `padding_mask`, 1 for tokens.

    Args:
        rows: `token_ids` and what else has one value a token.
        length: Of the batch; that of its longest row by default.
        values: What fills a row behind its end, by name; 0 where it is not given.
    """
    masks = [np.ones_like(row) for row in rows["token_ids"]]
    longest = max(map(len, masks), default=0) if length is None else length
    batch = {}
    for name, arrays in {**rows, "padding_mask": masks}.items():
        batch[name] = np.full((len(arrays), longest), (values or {}).get(name, 0), np.int32)
        for target, row in zip(batch[name], arrays, strict=True):
            target[: len(row)] = row
    return batch


def check_max_length(max_length: int, max_sequence_length: int | None) -> None:
    """Raises `InputError` where rows would be longer than the model's longest input."""
    if max_sequence_length is not None and max_length > max_sequence_length:
        raise InputError(
            "max_length cannot exceed the model's max_sequence_length. Received: "
            f"max_length={max_length}, max_sequence_length={max_sequence_length}"
        )
