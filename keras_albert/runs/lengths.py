"""How long the rows are in tokens, and the length that suits them."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from keras_albert.data.messages import bad
from keras_albert.data.records import TextRecord
from keras_albert.tokenization.strings import as_strings

_AT_ONCE = 4096  # rows that are tokenized together
_LONGEST, _SHORTEST = 128, 16  # bounds of the length that is taken from the data
_COVERED = 99  # percent of the rows that are not cut


def token_lengths(records: Sequence[TextRecord], tokenizer: Any) -> np.ndarray:
    """Tokens of each row before any cut, `[CLS]` and every `[SEP]` included; int64 [rows]."""
    found = []
    for start in range(0, len(records), _AT_ONCE):
        rows = records[start : start + _AT_ONCE]
        length = np.ones(len(rows), "int64")
        for segment in zip(*(record.texts for record in rows), strict=True):
            length += tokenizer.token_ids(as_strings(list(segment))).row_lengths().numpy() + 1
        found.append(length)
    return np.concatenate(found)


def suitable_length(lengths: np.ndarray, most: int) -> int:
    """What 99 % of the rows do not exceed: at least 16 tokens, at most 128 or `most`."""
    covering = int(np.percentile(lengths, _COVERED, method="inverted_cdf"))
    return min(max(covering, _SHORTEST), _LONGEST, most)


def refuse_long(records: Sequence[TextRecord], lengths: np.ndarray, max_length: int) -> None:
    """Raises InputError at the first row that is longer than `max_length`."""
    for row in np.flatnonzero(lengths > max_length)[:1]:
        raise bad(
            f"A text has at most {max_length} tokens, [CLS] and [SEP] included, where long ones "
            "are refused (--long-texts, --max-length)",
            records[row].place,
            tokens=int(lengths[row]),
        )
