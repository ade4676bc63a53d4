"""Run by tests/keras_albert/data/test_batching_anywhere.py: as where tensorflow-text is missing.

Argument: a file of `write_tfrecord` with the labels 0 and 1.
"""

import sys


def main(path):
    """Fits and predicts from ready inputs, on any backend."""
    sys.modules["tensorflow_text"] = None
    import keras
    import numpy as np

    import keras_albert as ka
    from keras_albert.data.batching import length_batches, predict_in_order
    from keras_albert.data.tfrecords import TFRecords
    from keras_albert.heads import classification

    keras.utils.set_random_seed(0)
    config = ka.EncoderConfig(
        vocab_size=50, hidden_dim=8, num_layers=1, num_heads=2, intermediate_dim=12
    )
    model = classification(config, num_labels=2)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile("sgd", loss={"logits": loss}, weighted_metrics={"logits": ["accuracy"]})
    # One shape, for which JAX compiles once.
    shape = {"lengths": [8], "remainder": "fill"}
    batches = length_batches(TFRecords(path), 4, shuffle=True, seed=0, **shape)
    history = model.fit(batches, epochs=2, shuffle=False, verbose=0).history
    assert np.isfinite(history["loss"]).all(), history
    rows = list(predict_in_order(model.predict_on_batch, TFRecords(path), 4, **shape))
    assert len(rows) == TFRecords(path).rows
    assert rows[0]["logits"].shape == (2,)
    assert sys.modules["tensorflow_text"] is None


if __name__ == "__main__":
    main(sys.argv[1])
