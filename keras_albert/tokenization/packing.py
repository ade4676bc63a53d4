"""Token ids to model inputs, in TensorFlow's graph."""

from typing import Any


def pack(
    first: Any,
    second: Any = None,
    *,
    cls_id: int,
    sep_id: int,
    pad_id: int,
    max_length: int,
    multiple_of: int = 1,
) -> dict[str, Any]:
    """Lay token ids out as `[CLS] first [SEP]` or `[CLS] first [SEP] second [SEP]`.

    What is too long loses tokens at the end: of a pair, always the longer part, and of two equally
    long ones the second. A row whose second part is or becomes empty has one `[SEP]`.

    Source: google-research/bert, run_classifier.py, `convert_single_example`.

    Args:
        first: `tf.RaggedTensor` of int32 [batch, (tokens)].
        second: Likewise, or `None`.
        cls_id: Id of `[CLS]`.
        sep_id: Id of `[SEP]`.
        pad_id: Id of `[PAD]`, which fills the rows up to the longest.
        max_length: Most tokens a row may have, the special ones included; at least 3.
        multiple_of: The length of the batch is rounded up to a multiple of this, so that fewer
            different shapes occur.

    Returns:
        `token_ids`, `segment_ids` and `padding_mask`, int32 [batch, length].
    """
    import tensorflow as tf

    if second is None:
        second = tf.RaggedTensor.from_row_lengths(
            tf.zeros([0], first.dtype), tf.zeros_like(first.row_lengths())
        )
    first, second = _truncated(first, second, max_length)
    paired = tf.cast(second.row_lengths() > 0, tf.int64)
    opening = tf.fill([first.nrows(), 1], tf.cast(cls_id, first.dtype))
    closing = tf.fill([first.nrows(), 1], tf.cast(sep_id, first.dtype))
    last = _heads(tf.RaggedTensor.from_tensor(closing), paired)
    rows = tf.concat([opening, first, closing, second, last], axis=1)

    lengths = rows.row_lengths()
    longest = tf.reduce_max(lengths)
    length = -(-longest // multiple_of) * multiple_of
    token_ids = rows.to_tensor(pad_id)
    token_ids = tf.pad(token_ids, [[0, 0], [0, length - longest]], constant_values=pad_id)
    in_row = tf.sequence_mask(lengths, length)
    in_first = tf.sequence_mask(first.row_lengths() + 2, length)
    return {
        "token_ids": token_ids,
        "segment_ids": tf.cast(in_row & ~in_first, tf.int32),
        "padding_mask": tf.cast(in_row, tf.int32),
    }


def _truncated(first: Any, second: Any, max_length: int) -> tuple[Any, Any]:
    """Both parts without what Google's loop takes away token by token, in closed form."""
    import tensorflow as tf

    lengths, others = first.row_lengths(), second.row_lengths()
    room = max_length - 2 - tf.cast(others > 0, tf.int64)
    # The second part may have the smaller half, and whatever the first one leaves over.
    others = tf.minimum(others, tf.maximum(room // 2, room - lengths))
    lengths = tf.minimum(lengths, room - others)
    return _heads(first, lengths), _heads(second, others)


def _heads(rows: Any, lengths: Any) -> Any:
    """The first tokens of each row, [batch] many."""
    import tensorflow as tf

    positions = tf.ragged.range(rows.row_lengths())
    return tf.ragged.boolean_mask(rows, positions < tf.expand_dims(lengths, 1))
