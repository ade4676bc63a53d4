"""The formulas of both papers as functions of arrays; all keep the type they are given."""

import math
from collections.abc import Callable

import numpy as np

MASK_ADDER = -10000.0  # added to the scaled scores of padding (bert/modeling.py attention_layer)


def gelu_tanh(x: np.ndarray) -> np.ndarray:
    """The tanh form of GELU: what all of Google's graphs call "gelu" (Hendrycks & Gimpel 2016)."""
    return 0.5 * x * (1.0 + np.tanh(math.sqrt(2.0 / math.pi) * (x + 0.044715 * x * x * x)))


def gelu_erf(x: np.ndarray) -> np.ndarray:
    """GELU as defined, x times the normal distribution function; NumPy has no erf of its own."""
    erf = np.vectorize(math.erf, otypes=[np.float64])
    return (0.5 * x * (1.0 + erf(x * math.sqrt(0.5)))).astype(x.dtype)


ACTIVATIONS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "gelu_tanh": gelu_tanh,
    "gelu": gelu_erf,
    "relu": lambda x: np.maximum(x, 0.0),
    "tanh": np.tanh,
    "linear": lambda x: x,
}


def dense(x: np.ndarray, kernel: np.ndarray, bias: np.ndarray) -> np.ndarray:
    """x [..., in] @ kernel [in, out] + bias [out], all rows in one matrix product."""
    return np.tensordot(x, kernel, axes=1) + bias


def layer_norm(x: np.ndarray, gamma: np.ndarray, beta: np.ndarray, epsilon: float) -> np.ndarray:
    """Layer norm over the last axis with the biased variance (Ba et al. 2016)."""
    centred = x - x.mean(axis=-1, keepdims=True)
    variance = (centred * centred).mean(axis=-1, keepdims=True)
    return centred / np.sqrt(variance + epsilon) * gamma + beta


def log_softmax(x: np.ndarray) -> np.ndarray:
    """Logarithm of softmax over the last axis."""
    shifted = x - x.max(axis=-1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True))


def softmax(x: np.ndarray) -> np.ndarray:
    """Softmax over the last axis."""
    powers = np.exp(x - x.max(axis=-1, keepdims=True))
    return powers / powers.sum(axis=-1, keepdims=True)


def top_k(x: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
    """The k largest of the last axis and their indices; of equals the lower index comes first."""
    index = np.argsort(-x, axis=-1, kind="stable")[..., :k]
    return np.take_along_axis(x, index, axis=-1), index


def mask_bias(mask: np.ndarray, dtype: np.dtype) -> np.ndarray:
    """What is added to scores: [batch, 1, 1, to] from a mask [batch, to], 1 = attend.

    It depends on the key alone: padding queries attend too, and a row of nothing but padding
    shifts all scores alike, so that it attends as if there were no mask.
    """
    return ((1 - mask.astype(dtype)) * MASK_ADDER)[:, None, None, :]


def attention(
    query: np.ndarray, key: np.ndarray, value: np.ndarray, num_heads: int, bias: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Scaled dot-product attention of several heads (Vaswani et al. 2017, section 3.2).

    Args:
        query: [batch, from, heads * size], projected.
        key: [batch, to, heads * size], projected.
        value: As `key`.
        num_heads: Number of heads.
        bias: Added to the scaled scores; [batch, 1, 1, to], or 0 for no mask.

    Returns:
        The context [batch, from, heads * size] and the probabilities [batch, heads, from, to].
    """

    def split(x: np.ndarray) -> np.ndarray:
        batch, length, width = x.shape
        return x.reshape(batch, length, num_heads, width // num_heads).transpose(0, 2, 1, 3)

    size = query.shape[-1] // num_heads
    scores = split(query) @ split(key).swapaxes(-1, -2) * (1.0 / math.sqrt(size))
    probabilities = softmax(scores + bias)
    context = (probabilities @ split(value)).transpose(0, 2, 1, 3)
    return context.reshape(query.shape), probabilities
