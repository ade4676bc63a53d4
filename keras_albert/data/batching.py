"""Batches of rows of like length, so that little is padded: shuffled, or in order again.

Rows are taken in *windows* of some 100 batches: tokenized together, ordered by length, cut into
batches, and padded batch by batch to the longest row. For training, the rows of all windows are
shuffled before, and the batches of a window after. A larger window pads less; a smaller one mixes
better, since rows of a batch have like lengths only as far as its window goes.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from keras_albert.data.in_graph import as_written, input_errors
from keras_albert.data.padding import Padding
from keras_albert.data.rows import prepare, row_lengths, take
from keras_albert.data.sources import ArraySource, Preprocess, as_source
from keras_albert.errors import InputError

REMAINDERS = ("keep", "drop", "fill")
_FILLED = -1  # the index of a row that is in no data


def length_batches(
    data: Any,
    batch_size: int,
    *,
    preprocess: Preprocess | None = None,
    shuffle: bool = False,
    seed: int | None = None,
    first_epoch: int = 0,
    window: int = 100,
    lengths: Sequence[int] | None = None,
    multiple_of: int = 1,
    pad_values: Mapping[str, Any] | None = None,
    lengths_of: Mapping[str, int | None] | None = None,
    remainder: str = "keep",
    vocab_size: int | None = None,
    cache: bool = False,
    row_index: bool = False,
) -> Any:
    """Batches of rows of like length, for `fit`, `evaluate` and `predict`.

    Every row occurs once an epoch. Shuffled batches come in another order every epoch, and in the
    same orders for the same seed; others go from the longest to the shortest rows of each window.

    Args:
        data: Inputs, or a tuple (inputs, labels[, sample_weight]), where inputs are a dict with
            `token_ids` and further model inputs (without `padding_mask`, which is made here), or
            what `preprocess` makes such a dict of: texts, or a tuple of several segments' texts.
            They come as lists, arrays, (ragged) tensors; as a `tf.data.Dataset` of such structures,
            many rows each, which may be larger than memory; or as a `TFRecords`. Multiple choice
            has token ids [rows, choices, (length)]. Labels and weights may have one value a token.
        batch_size: Rows of a batch.
        preprocess: Maps the inputs of many rows to ragged model inputs, in TensorFlow's graph; what
            has a method `ragged` that does, such as a `Preprocessor`, is taken for it.
        shuffle: Whether to shuffle: all rows where they are in memory, those of a window where
            they are a dataset (shuffle that one before, as long as its rows are small).
        seed: Of the shuffling; by default drawn from NumPy, which `keras.utils.set_random_seed`
            sets.
        first_epoch: The epoch, from 0, whose order the first iteration has, for resuming.
        window: Batches that are cut from rows ordered by length together.
        lengths: See `Padding`; with these, XLA compiles once for each.
        multiple_of: See `Padding`.
        pad_values: See `Padding.values`.
        lengths_of: See `Padding`.
        remainder: What happens to the rows that do not fill the last batch: "keep" them in a
            smaller one, "drop" them (some others every shuffled epoch, and not the longest), or
            "fill" the batch with copies whose sample weight is 0. With labels, "fill" gives all
            batches a sample weight; metrics other than `weighted_metrics` do count the copies.
            Without a smaller batch, shapes are static where there is one length.
        vocab_size: If given, every token id is checked against it.
        cache: Prepare the rows once, before this returns, and keep them in memory without padding.
        row_index: Give (batch, indices): where the rows stand in the data, -1 for copies.

    Returns:
        `tf.data.Dataset` of `inputs` or of tuples as in `data`, with `padding_mask`, int32
        [batch, length], of known cardinality where the number of rows is known.

    Raises:
        InputError: if arguments contradict, or data in memory break a rule. What is found while
            a dataset runs is a `tf.errors.InvalidArgumentError`; `in_graph.input_errors` makes
            one line of it.

    Example:

    >>> rows = {"token_ids": [[2, 9, 3], [2, 7, 8, 9, 3], [2, 3], [2, 5, 6, 7, 3]]}
    >>> for batch in length_batches(rows, 2).as_numpy_iterator():
    ...     print(batch["token_ids"].tolist())
    [[2, 7, 8, 9, 3], [2, 5, 6, 7, 3]]
    [[2, 9, 3], [2, 3, 0]]
    """
    import tensorflow as tf

    _check(batch_size, window, remainder)
    padding = Padding(lengths, multiple_of, pad_values or {}, lengths_of or {})
    cutting = _Cutting(batch_size, shuffle, remainder, padding, row_index)
    source = as_source(data, preprocess, cache)
    if isinstance(source, ArraySource) and source.preprocess is None:
        with input_errors():
            padding.check(prepare(source.chunk, vocab_size))
    if shuffle and seed is None:
        seed = int(np.random.randint(2**31))

    @as_written
    def prepared(indices: Any, chunk: Any, seed: Any) -> Any:
        chunk = prepare(chunk, vocab_size)
        padding.check(chunk)
        return indices, chunk, seed

    windows = source.windows(window * batch_size, seed if shuffle else None, first_epoch)
    windows = windows.map(prepared, num_parallel_calls=tf.data.AUTOTUNE)
    batches = windows.flat_map(as_written(cutting.batches))
    if source.rows is not None:
        whole, rest = divmod(source.rows, batch_size)
        steps = whole + bool(rest and remainder != "drop")
        if not steps:
            raise InputError(
                "Without the remainder there is at least one batch. "
                f"Received: rows={source.rows}, batch_size={batch_size}"
            )
        batches = batches.apply(tf.data.experimental.assert_cardinality(steps))
    return sharded_by_rows(batches.prefetch(tf.data.AUTOTUNE))


def sharded_by_rows(batches: Any) -> Any:
    """A `tf.data.Dataset` of which each of several workers takes its rows of every batch.

    By files, TensorFlow's choice where there are some, they would mix other batches.
    """
    import tensorflow as tf

    options = tf.data.Options()
    options.experimental_distribute.auto_shard_policy = tf.data.experimental.AutoShardPolicy.DATA
    return batches.with_options(options)


def predict_in_order(
    predict: Callable[[Any], Any], data: Any, batch_size: int, **options: Any
) -> Iterator[Any]:
    """The outputs for every row, in the order of the rows, though batches are cut by length.

    At most a window of outputs is held, so that endless data can be gone through.

    Args:
        predict: Maps the inputs of a batch, NumPy arrays, to outputs whose first axis is the rows,
            such as `model.predict_on_batch`.
        data: As of `length_batches`.
        batch_size: Rows of a batch.
        options: Further arguments of `length_batches`.

    Yields:
        The outputs of one row, as NumPy arrays. One that has a length is as long as its batch was.

    Raises:
        InputError: as `length_batches`, and for what is found while the data are read.
    """
    import tensorflow as tf

    if options.get("remainder") == "drop":
        raise InputError("Every row has outputs. Received: remainder='drop'")
    batches = length_batches(data, batch_size, row_index=True, **options)
    parts = batches.element_spec[0]
    if isinstance(parts, tuple) and getattr(parts[1], "dtype", None) == tf.string:
        raise InputError(
            "Outputs need no labels; texts of two segments are a tuple within the tuple, "
            "((first, second),). Received: texts as labels"
        )
    waiting: dict[int, Any] = {}
    following = 0
    with input_errors():
        for batch, indices in batches.as_numpy_iterator():
            inputs = batch[0] if isinstance(batch, tuple) else batch
            outputs = tf.nest.map_structure(np.asarray, predict(inputs))
            for position, index in enumerate(indices.tolist()):
                if index != _FILLED:
                    waiting[index] = tf.nest.map_structure(
                        lambda output, at=position: output[at], outputs
                    )
            while following in waiting:
                yield waiting.pop(following)
                following += 1


@dataclass(frozen=True)
class _Cutting:
    """How a window is cut into batches."""

    batch_size: int
    shuffle: bool
    remainder: str
    padding: Padding
    row_index: bool

    def batches(self, indices: Any, chunk: Any, seed: Any) -> Any:
        """`tf.data.Dataset` of the batches of one window."""
        import tensorflow as tf

        order = self._order(row_lengths(chunk[0]["token_ids"]), seed)
        count = tf.size(order)
        if self.remainder == "fill":
            copies = tf.fill([-count % self.batch_size], order[-1])  # of the shortest row
            order = tf.concat([order, copies], axis=0)
        starts = tf.range(0, tf.size(order), self.batch_size)
        if self.shuffle:
            starts = tf.random.experimental.stateless_shuffle(starts, seed + 1)

        def batch(start: Any) -> Any:
            rows = order[start : start + self.batch_size]
            is_real = start + tf.range(tf.size(rows)) < count
            return self._batch(take(chunk, rows), tf.gather(indices, rows), is_real)

        starts = tf.data.Dataset.from_tensor_slices(starts)
        return starts.map(batch, num_parallel_calls=tf.data.AUTOTUNE)

    def _order(self, lengths: Any, seed: Any) -> Any:
        """Rows from the longest to the shortest, equally long ones at random if at all."""
        import tensorflow as tf

        order = tf.range(tf.size(lengths))
        if self.shuffle:
            order = tf.random.experimental.stateless_shuffle(order, seed)
        if self.remainder == "drop":
            # Before the sorting, which would let the shortest rows go every time.
            order = order[: tf.size(order) // self.batch_size * self.batch_size]
        lengths = tf.gather(lengths, order)
        return tf.gather(order, tf.argsort(lengths, direction="DESCENDING", stable=True))

    def _batch(self, chunk: Any, indices: Any, is_real: Any) -> Any:
        import tensorflow as tf

        size = None if self.remainder == "keep" else self.batch_size
        chunk = self.padding.pad(chunk, size)
        if self.remainder == "fill":
            indices = tf.where(is_real, indices, _FILLED)
            if len(chunk) > 1:
                weights = chunk[2] if len(chunk) > 2 else tf.ones([size])
                chunk = (*chunk[:2], tf.nest.map_structure(_weights(is_real), weights))
        batch = chunk if len(chunk) > 1 else chunk[0]
        return (batch, indices) if self.row_index else batch


def _weights(is_real: Any) -> Callable[[Any], Any]:
    """Sample weights [batch, …] that are 0 for copies."""
    import tensorflow as tf

    def weights(values: Any) -> Any:
        values = tf.cast(values, tf.float32)
        shape = [-1] + [1] * (values.shape.rank - 1)
        return values * tf.reshape(tf.cast(is_real, tf.float32), shape)

    return weights


def check_batch_size(batch_size: int) -> None:
    """Raises InputError unless a batch may have so many rows."""
    if not 1 <= batch_size < 2**31:
        raise InputError(
            f"A batch has at least one row, and fewer than 2**31. Received: batch_size={batch_size}"
        )


def _check(batch_size: int, window: int, remainder: str) -> None:
    check_batch_size(batch_size)
    if window < 1:
        raise InputError(f"A window has at least one batch. Received: window={window}")
    if remainder not in REMAINDERS:
        raise InputError(f"A remainder is one of {REMAINDERS}. Received: remainder={remainder!r}")
