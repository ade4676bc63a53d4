import subprocess
import sys

import keras
import numpy as np
import pytest

from keras_albert.errors import InputError
from keras_albert.training import set_seed
from tests.paths import ROOT


def drawn(seed):
    set_seed(seed)
    kernel = keras.layers.Dense(3)
    kernel.build((None, 4))
    return np.concatenate([np.ravel(kernel.kernel), np.random.random(3)])


def test_a_seed_makes_weights_and_draws_come_out_again():
    first, second, other = drawn(1), drawn(1), drawn(2)
    np.testing.assert_array_equal(first, second)
    assert (first != other).all()


@pytest.mark.parametrize("seed", [-1, 2**32])
def test_a_seed_is_within_its_range(seed):
    with pytest.raises(InputError, match=f"Received: seed={seed}$"):
        set_seed(seed)


def test_determinism_is_tensorflows_own():
    program = """
import tensorflow as tf
from keras_albert.training import set_seed
set_seed(1, deterministic=True)
try:
    tf.raw_ops.RandomUniform(shape=[2], dtype=tf.float32)
except tf.errors.InvalidArgumentError as error:
    assert "When determinism is enabled" in str(error)
else:
    raise SystemExit("not deterministic")
"""
    subprocess.run([sys.executable, "-c", program], check=True, cwd=ROOT)
