"""Rows of data before they are padded: lists, arrays or ragged tensors, as ragged tensors.

A *chunk* is many rows at once, as Keras takes them: `(inputs,)`, `(inputs, labels)` or
`(inputs, labels, sample_weight)`, each a tensor or a dict of tensors whose first axis is the rows.
What differs in length from row to row is a `tf.RaggedTensor`.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from keras_albert.data.in_graph import require
from keras_albert.errors import InputError

PARTS = ("inputs", "labels", "sample_weight")
# Inputs with one value a token, which dense inputs are cut by; the mask is made when padding.
PER_TOKEN = ("token_ids", "segment_ids", "answer_mask")
_LARGEST_INT32 = 2**31 - 1


def as_chunk(element: Any) -> tuple[Any, ...]:
    """`inputs`, or a tuple of up to three parts, as that tuple.

    Raises:
        InputError: if it is a tuple of another size.
    """
    if not isinstance(element, tuple):
        return (element,)
    parts = element
    while len(parts) > 1 and parts[-1] is None:
        parts = parts[:-1]
    if not 1 <= len(parts) <= len(PARTS):
        raise InputError(
            f"A dataset gives inputs, labels and sample weights; inputs of several texts are a "
            f"tuple within that tuple. Received: a tuple of {len(parts)}"
        )
    return parts


def map_features(function: Callable[[str, str, Any], Any], chunk: tuple[Any, ...]) -> Any:
    """`function(part, name, value)` of every tensor; one that has no name is called as its part."""
    return tuple(
        {name: function(part, name, value) for name, value in values.items()}
        if isinstance(values, dict)
        else function(part, part, values)
        for part, values in zip(PARTS, chunk, strict=False)
    )


def as_tensors(value: Any) -> Any:
    """Dicts and tuples of lists, arrays or tensors, as dicts and tuples of (ragged) tensors."""
    import tensorflow as tf

    if isinstance(value, dict):
        return {name: as_tensors(each) for name, each in value.items()}
    if isinstance(value, tuple):
        return tuple(as_tensors(each) for each in value)
    if isinstance(value, tf.Tensor | tf.RaggedTensor):
        return value
    if _is_nested(value):
        return _ragged(value)
    return tf.convert_to_tensor(value, **_string_type(value))


def row_count(chunk: Any) -> int:
    """The number of rows of tensors that are at hand.

    Raises:
        InputError: if there are none, or the tensors disagree.
    """
    import tensorflow as tf

    counts = {int(_rows_of(leaf)) for leaf in tf.nest.flatten(chunk)}
    if len(counts) != 1 or not counts.difference({0}):
        raise InputError(
            "Data has one row or more, and as many labels and weights. "
            f"Received: rows={sorted(counts)}"
        )
    return counts.pop()


def prepare(chunk: tuple[Any, ...], vocab_size: int | None = None) -> tuple[Any, ...]:
    """A chunk of model inputs, checked and without padding.

    Inputs are a dict with `token_ids` or these alone. Where they are dense and there is a
    `padding_mask`, the values of `PER_TOKEN` are cut by it. Integers become int32.

    Args:
        chunk: The parts.
        vocab_size: If given, token ids must be below it.

    Raises:
        InputError: if there are no `token_ids`, or they are texts.
            Also, by `in_graph.require`, if a row has no token, an id is outside of the
            vocabulary, or `PER_TOKEN` differ in length.
    """
    import tensorflow as tf

    inputs, *others = chunk
    if not isinstance(inputs, dict):
        inputs = {"token_ids": inputs}
    if "token_ids" not in inputs:
        raise InputError(f"Inputs have 'token_ids'. Received: {sorted(inputs)}")
    if inputs["token_ids"].dtype == tf.string:
        raise InputError("Texts become token ids by `preprocess`. Received: preprocess=None")
    inputs = {name: _as_int32(value) for name, value in inputs.items()}
    mask = inputs.pop("padding_mask", None)
    for name in PER_TOKEN:
        if name in inputs and not isinstance(inputs[name], tf.RaggedTensor):
            inputs[name] = _without_padding(inputs[name], mask)
    token_ids = inputs["token_ids"]
    shortest = tf.reduce_min(row_lengths(token_ids))
    require(shortest > 0, "A row has at least one token", "tokens", shortest)
    for name in PER_TOKEN:
        if name in inputs:
            require_one_a_token(name, inputs[name], token_ids)
    if vocab_size is not None:
        ids = token_ids.flat_values
        smallest, largest = tf.reduce_min(ids), tf.reduce_max(ids)
        require(
            (smallest >= 0) & (largest < vocab_size),
            f"Token ids are at least 0 and less than vocab_size={vocab_size}",
            "token_ids",
            tf.where(smallest < 0, smallest, largest),
        )
    return (inputs, *others)


def row_lengths(token_ids: Any) -> Any:
    """Tokens of each row, [rows]; of the longest choice where a row has several."""
    import tensorflow as tf

    if token_ids.ragged_rank == 1:
        return token_ids.row_lengths()
    return tf.reduce_max(token_ids.row_lengths(axis=2), axis=1)


def require_one_a_token(name: str, values: Any, token_ids: Any) -> None:
    """Asserts that the rows of `values` are as long as those of `token_ids`."""
    import tensorflow as tf

    same = tf.constant(False)
    if isinstance(values, tf.RaggedTensor) and values.ragged_rank == token_ids.ragged_rank:
        ours, theirs = values.nested_row_splits[-1], token_ids.nested_row_splits[-1]
        both = tf.minimum(tf.size(ours), tf.size(theirs))
        same = tf.equal(tf.size(ours), tf.size(theirs))
        same &= tf.reduce_all(tf.equal(ours[:both], theirs[:both]))
    values = values.flat_values if isinstance(values, tf.RaggedTensor) else values
    require(same, f"{name} has one value a token", "values", tf.size(values))


def take(chunk: Any, rows: Any) -> Any:
    """The rows of a chunk with these indices."""
    import tensorflow as tf

    return tf.nest.map_structure(lambda leaf: tf.gather(leaf, rows), chunk)


def _without_padding(values: Any, mask: Any) -> Any:
    """Dense values [rows, length] or [rows, choices, length], ragged at the end.

    A row reaches to the last token that the mask keeps.
    """
    import tensorflow as tf

    if mask is None:
        return tf.RaggedTensor.from_tensor(values, ragged_rank=values.shape.rank - 1)
    if isinstance(mask, tf.RaggedTensor):
        mask = mask.to_tensor()
    width = tf.shape(values)[-1]
    positions = tf.range(1, width + 1) * tf.cast(mask != 0, tf.int32)
    ends = tf.reshape(tf.reduce_max(positions, axis=-1), [-1])
    rows = tf.RaggedTensor.from_tensor(tf.reshape(values, [-1, width]), lengths=ends)
    if values.shape.rank == 2:
        return rows
    return tf.RaggedTensor.from_uniform_row_length(rows, tf.cast(tf.shape(values)[1], tf.int64))


def _as_int32(value: Any) -> Any:
    """Any integers; what int32 cannot hold must not wrap around to an id that exists."""
    import tensorflow as tf

    if value.dtype == tf.int64:
        value = tf.clip_by_value(value, -1, _LARGEST_INT32)
    return tf.cast(value, tf.int32) if value.dtype.is_integer or value.dtype.is_bool else value


def _rows_of(leaf: Any) -> Any:
    return leaf.shape[0] if leaf.shape.rank and leaf.shape[0] is not None else leaf.nrows()


def _is_nested(value: Any) -> bool:
    """Whether it is a list of lists or arrays, which may differ in length."""
    is_list = isinstance(value, list) or (isinstance(value, np.ndarray) and value.dtype == object)
    return is_list and len(value) > 0 and _is_list(value[0])


def _is_list(value: Any) -> bool:
    is_scalar = isinstance(value, str | bytes) or getattr(value, "shape", None) == ()
    return hasattr(value, "__len__") and not is_scalar


def _ragged(rows: Any) -> Any:
    """Lists of lists or arrays as one ragged tensor, without a Python loop over the values."""
    import tensorflow as tf

    lengths = np.fromiter((len(row) for row in rows), np.int64, len(rows))
    filled = [row for row in rows if len(row)]
    if filled and _is_list(filled[0][0]):
        values = as_tensors([inner for row in filled for inner in row])
    else:
        flat = np.concatenate([np.asarray(row) for row in filled] or [np.zeros(0, np.int32)])
        values = tf.convert_to_tensor(flat, **_string_type(flat))
    return tf.RaggedTensor.from_row_lengths(values, lengths)


def _string_type(values: Any) -> dict[str, Any]:
    import tensorflow as tf

    is_text = len(values) > 0 and isinstance(values[0], str | bytes)
    return {"dtype": tf.string} if is_text else {}
