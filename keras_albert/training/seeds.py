"""One seed for everything that is random."""

import keras

from keras_albert.errors import InputError


def set_seed(seed: int, deterministic: bool = False) -> None:
    """Makes what is random come out the same again.

    Call it before the model is made. It seeds Python, NumPy and the backend, and with them the
    initial weights, dropout and the order of batches; a seed of `length_batches` or of a layer is
    its own. What follows is the same bit for bit, if the versions of Keras and the backend, the
    device, and the kinds of its processors are the same, and as long as no operation adds up in
    the order in which threads happen to finish. On a GPU some do: `deterministic` replaces them.

    Args:
        seed: From 0 up to 2**32 - 1.
        deterministic: On TensorFlow, use deterministic operations alone, for the whole process;
            those that have no such form raise an error. `tf.data` then runs stateful maps in one
            thread, and Keras compiles nothing with XLA. JAX is deterministic on CPU and TPU.

    Raises:
        InputError: A seed outside of its range.

    Example:

    >>> import keras
    >>> set_seed(7)
    >>> first = keras.random.normal((2,))
    >>> set_seed(7)
    >>> bool((keras.random.normal((2,)) == first).numpy().all())
    True
    """
    if not 0 <= seed < 2**32:
        raise InputError(f"A seed is from 0 up to 2**32 - 1. Received: seed={seed}")
    keras.utils.set_random_seed(seed)
    if deterministic and keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        tf.config.experimental.enable_op_determinism()
