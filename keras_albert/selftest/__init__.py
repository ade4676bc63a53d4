"""Whether a strategy trains the same model as one device, and how fast, on one's own machine."""

from keras_albert.selftest.comparison import compare

__all__ = ["compare"]
