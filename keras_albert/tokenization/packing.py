"""Token ids to model inputs, in TensorFlow's graph: ragged first, padded at the end."""

from collections.abc import Mapping
from typing import Any

from keras_albert.errors import InputError


def pack(
    *segments: Any,
    cls_id: int,
    sep_id: int,
    pad_id: int,
    max_length: int,
    multiple_of: int = 1,
) -> dict[str, Any]:
    """`join_segments`, then `pad`: from ragged token ids to a model's inputs.

    Args:
        *segments: See `join_segments`.
        cls_id: Id of `[CLS]`.
        sep_id: Id of `[SEP]`.
        pad_id: Id of `[PAD]`, which fills the rows up to the longest.
        max_length: Most tokens a row may have, the special ones included.
        multiple_of: See `pad`.

    Returns:
        `token_ids`, `segment_ids` and `padding_mask`, int32 [batch, length].
    """
    rows = join_segments(*segments, cls_id=cls_id, sep_id=sep_id, max_length=max_length)
    return pad(rows, pad_id=pad_id, multiple_of=multiple_of)


def join_segments(
    *segments: Any, cls_id: int, sep_id: int, max_length: int, num_segments: int = 2
) -> dict[str, Any]:
    """Lays token ids out as `[CLS] first [SEP]`, `[CLS] first [SEP] second [SEP]` and so on.

    What is too long loses tokens at the end: always the longest segment, and of equally long ones
    the last. A segment other than the first that is or becomes empty has no `[SEP]`.

    Source: google-research/bert, run_classifier.py, `convert_single_example`.

    Args:
        *segments: `tf.RaggedTensor`s of int32 [batch, (tokens)].
        cls_id: Id of `[CLS]`.
        sep_id: Id of `[SEP]`.
        max_length: Most tokens a row may have, the special ones included.
        num_segments: How many segment ids the model knows; later segments share the last.

    Returns:
        `token_ids` and `segment_ids`, `tf.RaggedTensor`s of int32 [batch, (tokens)].

    Raises:
        InputError: `max_length` has no room for the special tokens.
    """
    import tensorflow as tf

    if max_length < len(segments) + 1:
        raise InputError(
            "max_length has room for [CLS] and one [SEP] a segment. "
            f"Received: max_length={max_length}, segments={len(segments)}"
        )
    lengths = [segment.row_lengths() for segment in segments]
    kept = _kept(lengths, max_length)
    # Every row is put together from pieces of one long list: [CLS], a [SEP] for each segment, all
    # tokens. Concatenating and masking ragged rows instead takes many times as long.
    parts = [[cls_id], [sep_id] * len(segments), *(s.flat_values for s in segments)]
    token_of = tf.concat([tf.cast(part, tf.int32) for part in parts], 0)
    numbers = [min(index, num_segments - 1) for index in range(len(segments))]
    number_of = [tf.constant([0, *numbers])]
    one = tf.ones_like(lengths[0])
    starts, sizes = [0 * one], [one]
    first = tf.constant(1 + len(segments), tf.int64)
    for index, (segment, length) in enumerate(zip(segments, kept, strict=True)):
        starts += [first + segment.row_starts(), one * (1 + index)]
        sizes += [length, one if index == 0 else tf.cast(length > 0, tf.int64)]
        number_of.append(tf.fill(tf.shape(segment.flat_values), numbers[index]))
        first += tf.size(segment.flat_values, tf.int64)
    start, size = (tf.reshape(tf.stack(columns, 1), [-1]) for columns in (starts, sizes))
    places = tf.ragged.range(start, start + size).flat_values
    row_lengths = tf.add_n(sizes)

    def rows(values: Any) -> Any:
        return tf.RaggedTensor.from_row_lengths(values, row_lengths, validate=False)

    token_ids = tf.gather(token_of, places)
    if len(segments) == 1:
        segment_ids = tf.zeros_like(token_ids)
    else:
        segment_ids = tf.gather(tf.concat(number_of, 0), places)
    return {"token_ids": rows(token_ids), "segment_ids": rows(segment_ids)}


def _kept(lengths: list[Any], max_length: int) -> list[Any]:
    """How many tokens of each segment, [batch] each, stay: Google's loop in closed form."""
    import tensorflow as tf

    later = tf.add_n([tf.cast(length > 0, tf.int64) for length in lengths[1:]] or [0 * lengths[0]])
    room = max_length - 2 - later
    if len(lengths) == 1:
        return [tf.minimum(lengths[0], room)]
    # The longest ones are cut down to one level, the highest that fits whichever of the shortest
    # stay whole; what is then left over goes to the first of those that were cut.
    shortest = tf.sort(tf.stack(lengths, 1), axis=1)
    whole = tf.cumsum(shortest, axis=1, exclusive=True)
    others = tf.range(len(lengths), 0, -1, dtype=tf.int64)
    level = tf.reduce_max((room[:, tf.newaxis] - whole) // others, axis=1)
    fits = tf.add_n(lengths) <= room
    kept = [tf.where(fits, length, tf.minimum(length, level)) for length in lengths]
    left = room - tf.add_n(kept)
    for index, length in enumerate(lengths):
        more = tf.cast((length > kept[index]) & (left > 0), tf.int64)
        kept[index] += more
        left -= more
    return kept


def pad(
    rows: Mapping[str, Any], *, pad_id: int, length: int | None = None, multiple_of: int = 1
) -> dict[str, Any]:
    """Fills ragged rows up to the same length.

    Args:
        rows: `token_ids` and others, `tf.RaggedTensor`s [batch, (tokens)].
        pad_id: What fills `token_ids`; 0 fills the others.
        length: The length, at least that of the longest row, which it is by default.
        multiple_of: The length is rounded up to a multiple of this, so that fewer different
            shapes occur.

    Returns:
        The same, dense [batch, length], and `padding_mask`, int32 [batch, length], 1 for tokens.
    """
    import tensorflow as tf

    lengths = rows["token_ids"].row_lengths()
    longest = tf.reduce_max(tf.concat([lengths, [0]], 0)) if length is None else length
    width = -(-longest // multiple_of) * multiple_of
    shape = tf.stack([tf.constant(-1, tf.int64), tf.cast(width, tf.int64)])
    dense = {
        name: values.to_tensor(pad_id if name == "token_ids" else 0, shape=shape)
        for name, values in rows.items()
    }
    dense["padding_mask"] = tf.sequence_mask(lengths, width, tf.int32)
    if length is not None:
        for values in dense.values():
            values.set_shape([None, -(-length // multiple_of) * multiple_of])
    return dense


def windows(rows: Any, *, length: int, stride: int) -> Any:
    """Cuts rows that are too long into windows, which begin `stride` tokens apart.

    Args:
        rows: `tf.RaggedTensor` [batch, (tokens)].
        length: Most tokens of a window.
        stride: Tokens from the beginning of a window to that of the next one; above `length`,
            windows lie side by side (as for Google's `doc_stride`).

    Returns:
        `tf.RaggedTensor` [batch, (windows), (tokens)]: at least one window a row; the last one
        ends with the row.

    Raises:
        InputError: `length` or `stride` is not positive.
    """
    import tensorflow as tf

    if length < 1 or stride < 1:
        raise InputError(
            f"Windows have a positive length and stride. Received: length={length}, stride={stride}"
        )
    step = min(length, stride)
    tokens = rows.row_lengths()
    count = 1 + tf.maximum(tokens - length + step - 1, 0) // step
    number = tf.ragged.range(count)
    row = number.value_rowids()
    begin = tf.gather(rows.row_starts(), row) + number.flat_values * step
    end = tf.minimum(begin + length, tf.gather(rows.row_limits(), row))
    places = tf.ragged.range(begin, end)
    return number.with_flat_values(
        places.with_flat_values(tf.gather(rows.flat_values, places.flat_values))
    )
