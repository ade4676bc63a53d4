"""One process of a self-test: trains, evaluates and predicts as its job says.

    python -m keras_albert.selftest.work JOB.json

The job is of `comparison`. A process that is not the chief writes what it alone has seen.
"""

import json
import sys
import time
from pathlib import Path
from typing import Any

import keras
import numpy as np

from keras_albert import distribute
from keras_albert.data.batching import length_batches, sharded_by_rows
from keras_albert.optimizers import AdamW
from keras_albert.pretrained import load_model


def main(path: str) -> None:
    """Does the job in a file."""
    job = json.loads(Path(path).read_text("utf-8"))
    output = Path(job["output"])
    data = dict(np.load(job["data"]))
    strategy = distribute.strategy(job["strategy"], job["devices"])
    with strategy.scope():
        model = _model(job)
        _set_head(model, data)
        start = {weight.path: _value(weight) for weight in model.weights}
        clock = _Clock()
        size = job["batch_size"]
        train = _batches(data["token_ids"], data["labels"], size)
        model.fit(*train, epochs=1, verbose=0, shuffle=False, batch_size=size, callbacks=[clock])
        held_out = data["held_out_ids"], data["held_out_labels"]
        scores = model.evaluate(
            *_batches(*held_out, size), batch_size=size, verbose=0, return_dict=True
        )
        logits = model.predict(_batches(held_out[0], None, size)[0], batch_size=size, verbose=0)[
            "logits"
        ]
        weights = {weight.path: _value(weight) for weight in model.weights}
    if keras.backend.backend() == "tensorflow":
        np.save(
            output / f"rows_{distribute.worker_index()}.npy",
            _rows_seen(strategy, job["rows"], size),
        )
    if distribute.is_chief():
        _save(output / "weights.npz", weights)
        _save(output / "start.npz", start)
        np.save(output / "logits.npy", logits)
        result = {
            "loss": float(scores["loss"]),
            "accuracy": float(scores["accuracy"]),
            "rows_per_second": clock.rows_per_second(size),
        }
        (output / "result.json").write_text(json.dumps(result), "utf-8")
    if keras.backend.backend() == "tensorflow":
        distribute.barrier(strategy)


def _model(job: dict[str, Any]) -> Any:
    """A classifier without dropout, compiled."""
    without = {"dropout": 0.0, "attention_dropout": 0.0}
    model: Any = load_model(job["source"], "classification", num_labels=2, overrides=without)
    model.get_layer("classifier_dropout").rate = 0.0
    rate = job["learning_rate"]
    optimizer: Any = keras.optimizers.SGD(rate)
    if job["optimizer"] == "adamw":
        optimizer = AdamW(rate, global_clipnorm=1.0)
    if job["leave_out"] is not None:
        optimizer.apply = _without_replica(optimizer.apply, job["leave_out"])
    model.compile(
        optimizer,
        loss={"logits": keras.losses.SparseCategoricalCrossentropy(from_logits=True)},
        metrics={"logits": ["accuracy"]},
        jit_compile=keras.backend.backend() == "jax",
    )
    return model


def _without_replica(apply: Any, number: int) -> Any:
    """An optimizer's `apply` that takes a replica's gradients for 0: what must be noticed."""
    import tensorflow as tf

    def spoilt(gradients: Any, variables: Any = None) -> None:
        context = tf.distribute.get_replica_context()
        kept = tf.cast(tf.not_equal(context.replica_id_in_sync_group, number), tf.float32)
        apply([tf.convert_to_tensor(each) * kept for each in gradients], variables)

    return spoilt


def _set_head(model: Any, data: dict[str, np.ndarray]) -> None:
    """Gives what no checkpoint has the same values in every process."""
    generator = np.random.RandomState(0)
    for layer in ("pool", "classifier"):
        for weight in model.get_layer(layer).weights:
            if weight.path.endswith("kernel"):
                weight.assign(generator.normal(0, 0.02, weight.shape).astype("float32"))


def _save(path: Path, arrays: dict[str, Any]) -> None:
    np.savez(path, **arrays)


def _value(weight: Any) -> np.ndarray:
    return keras.ops.convert_to_numpy(weight)


def _batches(token_ids: np.ndarray, labels: Any, size: int) -> tuple[Any, ...]:
    """What `fit` takes: a dataset, or on JAX the arrays, whose last batch is whole."""
    inputs = {"token_ids": token_ids}
    targets = None if labels is None else {"logits": labels}
    if keras.backend.backend() == "jax":
        return (inputs,) if targets is None else (inputs, targets)
    import tensorflow as tf

    rows = inputs if targets is None else (inputs, targets)
    dataset = tf.data.Dataset.from_tensor_slices(rows).batch(size)
    return (sharded_by_rows(dataset),)


def _rows_seen(strategy: Any, rows: int, size: int) -> np.ndarray:
    """The numbers of the rows that this process' replicas get in an epoch, of shuffled batches."""
    import tensorflow as tf

    data = {"token_ids": [[2] * (2 + row % 7) for row in range(rows)], "row": np.arange(rows)}
    seen = []
    batches = length_batches(data, size, shuffle=True, seed=3)
    for batch in strategy.experimental_distribute_dataset(batches):
        for part in strategy.experimental_local_results(batch["row"]):
            seen.append(tf.reshape(part, [-1]).numpy())
    return np.concatenate(seen)


class _Clock(keras.callbacks.Callback):
    """The time of the steps after the first tenth, in which the step is traced."""

    def __init__(self) -> None:
        super().__init__()
        self._times: list[float] = []

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        self._times.append(time.perf_counter())

    def rows_per_second(self, size: int) -> float:
        """Rows of the global batch, by the median step."""
        steps = np.diff(self._times[len(self._times) // 10 :])
        return float(size / np.median(steps))


if __name__ == "__main__":
    main(sys.argv[1])
