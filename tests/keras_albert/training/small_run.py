"""A training of seconds with dropout, shuffled batches and a validation, to interrupt and resume.

As a program it trains in a folder, resuming, and prints the final state's SHA-256 as JSON.
"""

import hashlib
import json
import sys
import time
from pathlib import Path

import keras
import numpy as np

import keras_albert as ka
from keras_albert.data.batching import length_batches
from keras_albert.heads import TASKS
from keras_albert.training import fit_model, set_seed
from tests.keras_albert import tiny

_RNG = np.random.default_rng(0)
ROWS = [[2, *_RNG.integers(4, 50, _RNG.integers(1, 9)).tolist(), 3] for _ in range(44)]
LABELS = np.array([row[1] % 3 for row in ROWS])
STEPS = 6  # an epoch: five batches of 8 rows and one of 4
FIXED = {"lengths": [12], "remainder": "fill"} if keras.backend.backend() == "jax" else {}


def batches(first_epoch=0, row_index=False):
    """As `fit_model` takes them: another order every epoch."""
    data = ({"token_ids": ROWS}, {"logits": LABELS})
    options = {"shuffle": True, "seed": 3, "window": 3, **FIXED}
    return length_batches(data, 8, first_epoch=first_epoch, row_index=row_index, **options)


def validation():
    """Two batches."""
    return length_batches(({"token_ids": ROWS[:16]}, {"logits": LABELS[:16]}), 8, **FIXED)


def compiled_model(transformer=False, dtype=None, steps_per_execution=1, rate=None, **optimizer):
    """A classifier with dropout, the same at every call; a bag of words unless `transformer`."""
    set_seed(5)
    model = TASKS["classification"](tiny.BERT, num_labels=3) if transformer else _bag(dtype)
    schedule = ka.optimizers.PolynomialDecayWithWarmup(1e-2, total_steps=18, warmup_steps=3)
    model.compile(
        ka.optimizers.AdamW(rate or schedule, **optimizer),
        {"logits": keras.losses.SparseCategoricalCrossentropy(from_logits=True)},
        metrics={"logits": ["accuracy"]},
        steps_per_execution=steps_per_execution,
        jit_compile=keras.backend.backend() == "jax",  # else once for each length
    )
    return model


def _bag(dtype):
    """The mean of embeddings, with dropout twice; it takes a moment to trace."""
    names = ("token_ids", "padding_mask")
    inputs = {name: keras.Input((None,), dtype="int32", name=name) for name in names}
    x = keras.layers.Embedding(50, 8, dtype=dtype)(inputs["token_ids"])
    x = keras.layers.Dropout(0.2, dtype=dtype)(x)
    x = keras.layers.GlobalAveragePooling1D(dtype=dtype)(x, mask=inputs["padding_mask"])
    x = keras.layers.Dropout(0.1, dtype=dtype)(x)
    return keras.Model(inputs, {"logits": keras.layers.Dense(3, dtype="float32")(x)})


def fit(folder, model=None, **options):
    """Trains; returns (model, History)."""
    model = model or compiled_model()
    settings = {
        "epochs": 3,
        "validation_data": validation(),
        "verbose": 0,
        "log_every": 4,
        "save_every": 2,
    }
    return model, fit_model(model, batches, folder=folder, **(settings | options))


def sha256(model):
    """Of everything in model and optimizer."""
    digest = hashlib.sha256()
    for variable in (*model.variables, *model.optimizer.variables):
        digest.update(np.asarray(keras.ops.convert_to_numpy(variable)).tobytes())
    return digest.hexdigest()


def lines(folder):
    """metrics.jsonl without what the clock says."""
    text = (folder / "metrics.jsonl").read_text()
    return [
        {k: v for k, v in json.loads(line).items() if k not in ("seconds", "rows_per_second")}
        for line in text.splitlines()
    ]


class Slow(keras.callbacks.Callback):
    """Says each step, and leaves time to be killed in."""

    def on_train_batch_end(self, batch, logs=None):
        print("step", flush=True)
        time.sleep(0.05)


if __name__ == "__main__":
    run = Path(sys.argv[1])
    trained, history = fit(run, resume=True, callbacks=[Slow()] if "slow" in sys.argv else [])
    print(json.dumps({"sha256": sha256(trained), "history": history.history, "log": lines(run)}))
