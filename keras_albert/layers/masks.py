"""Attention masks: what they may look like, and what they add to the scores."""

from typing import Any

from keras import ops

from keras_albert.errors import InputError

# google-research/bert modeling.py attention_layer: added to the scores of masked keys. A row
# without a single key left is attention without a mask, not NaN.
MASKED = -10000.0


def attached_mask(x: Any) -> Any:
    """The mask that a Keras layer such as Embedding(mask_zero=True) left on its output, or None."""
    return getattr(x, "_keras_mask", None)


def score_adder(mask: Any, causal: bool, from_length: Any, to_length: Any) -> Any:
    """What to add to attention scores [batch, heads, from, to], float32; None for nothing.

    Args:
        mask: [batch, to] or [batch, from, to], 1 or True where to attend; or None.
        causal: Whether query i sees the keys 0 to i alone.
        from_length: Number of queries.
        to_length: Number of keys.

    Raises:
        InputError: Another shape of the mask.
    """
    keep = None
    if mask is not None:
        check_mask_shape(mask, from_length, to_length)
        keep = ops.cast(mask, "float32")
        keep = keep[:, None, None, :] if len(mask.shape) == 2 else keep[:, None, :, :]
    if causal:
        earlier = ops.arange(from_length)[:, None] >= ops.arange(to_length)[None, :]
        earlier = ops.cast(earlier, "float32")[None, None]
        keep = earlier if keep is None else keep * earlier
    return None if keep is None else (1.0 - keep) * MASKED


def check_mask_shape(mask: Any, from_length: Any, to_length: Any) -> None:
    """Raises InputError where the sizes that are known contradict each other."""
    expected = (to_length,) if len(mask.shape) == 2 else (from_length, to_length)
    fits = len(mask.shape) in (2, 3) and all(
        size == length
        for size, length in zip(mask.shape[1:], expected, strict=True)
        # Unknown sizes are None, or tensors in a TensorFlow graph.
        if isinstance(size, int) and isinstance(length, int)
    )
    if not fits:
        raise InputError(
            "mask must have the shape [batch, to] or [batch, from, to] with "
            f"from={from_length} and to={to_length}. Received: mask.shape={tuple(mask.shape)}"
        )
