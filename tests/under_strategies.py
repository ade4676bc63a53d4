"""Run by tests/keras_albert/test_replicas.py: trainings on one replica and on two, as JSON.

Arguments: the folder that `small.write_source` wrote, and which trainings. Logical CPU devices
stand for GPUs, which TensorFlow has to be told before it computes anything: hence a process of its
own.
"""

import json
import sys

import keras
import numpy as np
import tensorflow as tf

import keras_albert as ka
from keras_albert.data.batching import length_batches, predict_in_order
from keras_albert.layers.dropout import Dropout
from keras_albert.tasks import TextClassifier
from tests.keras_albert.tasks.small import NAMES, reviews

ROWS, BATCH = 29, 12  # the last batch has 5 rows
RATE = 0.01


def strategy_of(replicas):
    return ka.distribute.strategy("mirrored", replicas)


def classifier(source, policy=None):
    model = ka.load_model(
        source,
        "classification",
        num_labels=2,
        overrides={"dropout": 0.0, "attention_dropout": 0.0},
        dtype=policy,
    )
    model.get_layer("classifier_dropout").rate = 0.0
    return model


def data():
    rng = np.random.default_rng(0)
    ids = [[2, *rng.integers(5, 15, 2 + row % 9), 3] for row in range(ROWS)]
    return {"token_ids": ids}, {"logits": rng.integers(0, 2, ROWS)}


def trained(source, replicas, optimizer, policy=None, weighted=False, **batching):
    """Weights before and after, scores, predictions, and whether the replicas have the same."""
    strategy = strategy_of(replicas)
    keras.utils.set_random_seed(0)
    with strategy.scope():
        model = classifier(source, policy)
        reduction = "mean_with_sample_weight" if weighted else "sum_over_batch_size"
        loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True, reduction=reduction)
        metrics = {"weighted_metrics" if weighted else "metrics": {"logits": ["accuracy"]}}
        model.compile(optimizer(), loss={"logits": loss}, **metrics)
    start = [keras.ops.convert_to_numpy(weight) for weight in model.weights]
    batches = length_batches(data(), BATCH, **batching)
    history = model.fit(batches, epochs=2, verbose=0, shuffle=False).history
    scores = model.evaluate(batches, verbose=0, return_dict=True)
    rows = predict_in_order(model.predict_on_batch, (data()[0],), BATCH)
    copies = [strategy.experimental_local_results(weight.value) for weight in model.weights]
    return {
        "start": start,
        "end": [keras.ops.convert_to_numpy(weight) for weight in model.weights],
        "history": {name: values[-1] for name, values in history.items()},
        "scores": scores,
        "logits": np.stack([row["logits"] for row in rows]),
        "same": all(np.array_equal(each[0], other) for each in copies for other in each[1:]),
    }


def compared(source, optimizer, **options):
    one, two = (trained(source, replicas, optimizer, **options) for replicas in (1, 2))

    def largest(first, second):
        return float(max(np.abs(a - b).max() for a, b in zip(first, second, strict=True)))

    figures = [
        abs(one[part][name] - two[part][name])
        for part in ("history", "scores")
        for name in one[part]
    ]
    return {
        "difference": largest(one["end"], two["end"]),
        "moved": largest(one["start"], one["end"]),
        "figures": float(max(figures)),
        "logits": largest(one["logits"], two["logits"]),
        "same": two["same"],
    }


def task(source):
    """A classifier of texts under two replicas, and its answers in one."""
    keras.utils.set_random_seed(1)
    texts, labels = reviews(190)
    with strategy_of(2).scope():
        ours = TextClassifier.from_pretrained(source, NAMES)
        ours.compile(learning_rate=0.003)
        history = ours.fit(
            texts, labels, epochs=6, batch_size=16, validation_data=(texts, labels), verbose=0
        )
    alone = TextClassifier.from_pretrained(source, NAMES)
    for weight, value in zip(alone.model.weights, ours.model.weights, strict=True):
        weight.assign(keras.ops.convert_to_numpy(value))
    accuracy = ours.evaluate(texts, labels)["accuracy"]
    return {
        "difference": float(np.abs(ours.logits(texts) - alone.logits(texts)).max()),
        "accuracy": accuracy,
        "val_accuracy": history.history["val_accuracy"][-1],
    }


def dropout(layer):
    """What two replicas keep of the same rows: the two differ, and so do two steps of one."""
    strategy = strategy_of(2)
    keras.utils.set_random_seed(0)
    with strategy.scope():
        drop = layer(0.5)
    step = tf.function(lambda: drop(tf.ones([4, 1000]), training=True))
    kept = []
    for _ in range(2):
        kept += [
            np.asarray(each) for each in strategy.experimental_local_results(strategy.run(step))
        ]
    return {
        "values": np.unique(kept).tolist(),
        "share": [float((each > 0).mean()) for each in kept],
        "alike": [[float((a == b).mean()) for b in kept] for a in kept],
    }


def stock_clipping(source):
    """How far Keras' own optimizer and model are apart between one replica and two, and why."""

    def end(replicas):
        with strategy_of(replicas).scope():
            inner = classifier(source)
            model = keras.Model(inner.input, inner.output)
            loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
            model.compile(keras.optimizers.SGD(1.0, global_clipnorm=0.01), loss={"logits": loss})
        keras.utils.set_random_seed(0)
        model.get_layer("classifier").kernel.assign(np.full((16, 2), [[0.1, -0.1]], "float32"))
        batches = length_batches(data(), BATCH).map(
            lambda x, y: (x | {"segment_ids": tf.zeros_like(x["token_ids"])}, y)
        )
        model.fit(batches, epochs=1, verbose=0, shuffle=False)
        return [keras.ops.convert_to_numpy(weight) for weight in model.weights]

    return float(max(np.abs(a - b).max() for a, b in zip(end(1), end(2), strict=True)))


def stock_accumulation(source):
    """What Keras' own optimizer says to accumulation on two replicas."""
    with strategy_of(2).scope():
        model = classifier(source)
        loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        model.compile(
            keras.optimizers.AdamW(RATE, gradient_accumulation_steps=2), loss={"logits": loss}
        )
    try:
        model.fit(length_batches(data(), BATCH), epochs=1, verbose=0, shuffle=False)
    except Exception as error:
        return str(error)
    return ""


def adamw(**options):
    return lambda: ka.optimizers.AdamW(RATE, global_clipnorm=0.5, **options)


CHECKS = {
    "clipping": lambda source: compared(source, adamw()),
    "averages": lambda source: compared(source, adamw(use_ema=True, ema_momentum=0.5)),
    "accumulation": lambda source: compared(
        source, adamw(gradient_accumulation_steps=2, use_ema=True)
    ),
    "lamb": lambda source: compared(source, lambda: ka.optimizers.LAMB(RATE, global_clipnorm=0.5)),
    "copies": lambda source: compared(source, adamw(), weighted=True, remainder="fill"),
    "float16": lambda source: compared(source, adamw(), policy="mixed_float16"),
    "task": task,
    "dropout": lambda source: dropout(Dropout),
    "stock_dropout": lambda source: dropout(keras.layers.Dropout),
    "stock_clipping": stock_clipping,
    "stock_accumulation": stock_accumulation,
}


def main(source, *names):
    """Prints the results."""
    strategy_of(2)  # before anything is computed
    print(json.dumps({name: CHECKS[name](source) for name in names}))


if __name__ == "__main__":
    main(*sys.argv[1:])
