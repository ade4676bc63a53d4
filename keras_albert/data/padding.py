"""Ragged rows to rectangular batches."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from keras_albert.data.in_graph import require
from keras_albert.data.rows import PARTS, map_features, require_one_a_token, row_lengths
from keras_albert.errors import InputError

# What fills short rows of labels: `SparseCategoricalCrossentropy(ignore_class=IGNORED)` skips it.
IGNORED = -1
# One value a prediction, not a token: rows are padded to the longest of them.
PREDICTIONS: Mapping[str, int | None] = {"masked_positions": None, "mlm_logits": None}


@dataclass(frozen=True)
class Padding:
    """How rows of a batch are brought to one length.

    Args:
        lengths: The only lengths that batches may have, ascending; each takes the smallest that
            its longest row fits. None lets it be that row's.
        multiple_of: Lengths are rounded up to a multiple of this.
        values: What fills a feature, by name: 0 where it is not given, `IGNORED` for labels, ""
            for strings.
        lengths_of: Features that do not have one value a token, such as `masked_positions`, and
            to how many values their rows are padded; None for the longest of the batch.

    Raises:
        InputError: if the lengths do not ascend from 1, or a number is not positive.
    """

    lengths: Sequence[int] | None = None
    multiple_of: int = 1
    values: Mapping[str, Any] = field(default_factory=dict)
    lengths_of: Mapping[str, int | None] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.multiple_of < 1:
            raise InputError(
                f"Lengths are a positive multiple. Received: multiple_of={self.multiple_of}"
            )
        if self.lengths is not None:
            lengths = [int(length) for length in self.lengths]
            if not lengths or lengths[0] < 1 or sorted(set(lengths)) != lengths:
                raise InputError(f"Lengths ascend from 1 or more. Received: lengths={lengths}")
            if self.multiple_of > 1:
                raise InputError(
                    "A fixed set of lengths is not rounded. "
                    f"Received: lengths={lengths}, multiple_of={self.multiple_of}"
                )

    def check(self, chunk: tuple[Any, ...]) -> None:
        """Asserts, eagerly or in a graph, that the rows of a prepared chunk can be padded."""
        import tensorflow as tf

        token_ids = chunk[0]["token_ids"]
        longest = tf.reduce_max(row_lengths(token_ids))
        if self.lengths is not None:
            require(
                longest <= self.lengths[-1],
                f"The longest row fits the largest of lengths={list(self.lengths)}; texts are "
                "shortened when they are tokenized",
                "tokens",
                longest,
            )

        def check(_: str, name: str, value: Any) -> None:
            if isinstance(value, tf.RaggedTensor) and not self._has_own_length(name):
                require_one_a_token(name, value, token_ids)

        map_features(check, chunk)

    def pad(self, chunk: tuple[Any, ...], rows: int | None = None) -> tuple[Any, ...]:
        """Dense tensors for the ragged ones of a chunk, and the `padding_mask`, 1 for tokens.

        Args:
            chunk: A batch of prepared rows.
            rows: How many there are, where that is always the same.
        """
        import tensorflow as tf

        length = self._length(chunk[0]["token_ids"])

        def pad(part: str, name: str, value: Any) -> Any:
            if isinstance(value, tf.RaggedTensor):
                own = self._has_own_length(name)
                shape = [-1] * (value.shape.rank - 1)
                shape.append(self._own_length(name, value) if own else length)
                static = [size if isinstance(size, int) and size > 0 else None for size in shape]
                value = value.to_tensor(self._value(part, name, value.dtype), shape=tf.stack(shape))
                value = tf.ensure_shape(value, static)
            if rows is not None:
                value = tf.ensure_shape(value, [rows, *value.shape[1:]])
            return value

        inputs, *others = chunk
        inputs = inputs | {"padding_mask": tf.ones_like(inputs["token_ids"])}
        return map_features(pad, (inputs, *others))

    def _length(self, token_ids: Any) -> Any:
        """Of the batch: a number where it is always the same, else a tensor."""
        import tensorflow as tf

        if self.lengths is not None and len(self.lengths) == 1:
            return int(self.lengths[0])
        longest = tf.reduce_max(row_lengths(token_ids))
        if self.lengths is not None:
            lengths = tf.constant(self.lengths, longest.dtype)
            return lengths[tf.searchsorted(lengths, longest[tf.newaxis])[0]]
        return -(-longest // self.multiple_of) * self.multiple_of

    def _has_own_length(self, name: str) -> bool:
        return name in PREDICTIONS or name in self.lengths_of

    def _own_length(self, name: str, value: Any) -> Any:
        import tensorflow as tf

        length = self.lengths_of.get(name)
        longest = tf.reduce_max(value.row_lengths())
        if length is None:
            return longest
        require(longest <= length, f"{name} has at most {length} values", "values", longest)
        return length

    def _value(self, part: str, name: str, dtype: Any) -> Any:
        import tensorflow as tf

        if dtype == tf.string:
            return self.values.get(name, "")
        default = IGNORED if part == PARTS[1] else 0
        return tf.cast(self.values.get(name, default), dtype)
