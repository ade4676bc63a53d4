"""Run by tests/test_worker_faults.py as each of two workers: Keras' own fit, and what it says."""

import keras
import numpy as np
import tensorflow as tf


def main():
    """Prints the error of Keras' own fit, or that there was none."""
    with tf.distribute.MultiWorkerMirroredStrategy().scope():
        model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(1)])
        model.compile("sgd", "mse")
    data = tf.data.Dataset.from_tensor_slices((np.ones((8, 3)), np.ones((8, 1)))).batch(4)
    try:
        model.fit(data, epochs=1, verbose=0)
    except Exception as error:
        print("stock fit:", type(error).__name__, flush=True)
    else:
        print("stock fit: none", flush=True)


if __name__ == "__main__":
    main()
