"""What all tests have in common: a collector of garbage that does not look at TensorFlow again.

Its hundreds of thousands of objects stay anyway; that took a twentieth of the tests' time.
"""

import gc

import keras_albert  # noqa: F401

gc.collect()
gc.freeze()
gc.set_threshold(20_000, 20, 50)
