"""How accurate is a BERT fine-tuned on SST-2, and how many rows a second does training take?

Google's protocol: batch 32, rate 5e-5 with 10 % warm-up and linear decay, one epoch, at most 64
tokens; accuracy on all rows of dev.tsv. `--rows N` takes training rows 0, 6, 12, …, N of them.
Prints one JSON line; seconds are those of `fit`, from raw text, tracing included.

Google's program shuffles among 100 rows only, so that all of its runs see nearly the file's order,
and that order does better than the average one: with the two-layer BERT, 10,000 rows and 15 seeds
of each, by 0.6 points. `--google-order` is for comparing accuracies with it.
"""

import argparse
import json
import statistics
import time
from pathlib import Path
from typing import Any

from _machine import machine, versions

from keras_albert.data.batching import length_batches
from keras_albert.data.readers import read_records

SHARED = Path(__file__).resolve().parents[2] / "shared"
ALL = slice(None)
STRIDE = 6
GOOGLE_SHUFFLE = 100


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__.splitlines()[0], formatter_class=argparse.ArgumentDefaultsHelpFormatter
    )
    parser.add_argument("--source", type=Path, default=SHARED / "real" / "minilm_l6_tf1")
    parser.add_argument("--data", type=Path, default=SHARED / "data" / "SST-2")
    parser.add_argument("--rows", default="10000", help="how many training rows, or `all`")
    parser.add_argument("--runs", type=int, default=1, help="how many seeds")
    parser.add_argument("--seed", type=int, default=0, help="the first seed")
    parser.add_argument("--epochs", type=int, default=1)
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--learning-rate", type=float, default=5e-5)
    parser.add_argument("--max-length", type=int, default=64)
    parser.add_argument(
        "--google-order", action="store_true", help="shuffle among 100 rows, without buckets"
    )
    parser.add_argument("--multiple-of", type=int, default=1, help="rounds padded lengths up")
    parser.add_argument("--dtype", default="float32", help="a policy, such as mixed_bfloat16")
    return parser.parse_args()


def read(path: Path, rows: slice = ALL) -> tuple[list[str], dict[str, list[int]]]:
    """Sentences and labels of a file of SST-2."""
    records = list(read_records(path, "text"))[rows]
    labels = [int(record.label) for record in records]
    return [record.texts[0] for record in records], {"logits": labels}


def training(data: Any, options: argparse.Namespace, seed: int, **batching: Any) -> Any:
    """Batches in another random order every epoch."""
    if not options.google_order:
        return length_batches(data, options.batch_size, shuffle=True, seed=seed, **batching)
    import tensorflow as tf

    # Google drops what does not fill a batch.
    steps = len(data[0]) // options.batch_size
    data = tf.data.Dataset.from_tensor_slices(data).shuffle(GOOGLE_SHUFFLE, seed=seed)
    data = length_batches(data, options.batch_size, window=1, remainder="drop", **batching)
    return data.apply(tf.data.experimental.assert_cardinality(steps))


def run(options: argparse.Namespace, train: Any, dev: Any, seed: int) -> dict[str, float]:
    """One fine-tuning: accuracy in percent, and seconds."""
    import keras

    import keras_albert as ka

    keras.utils.set_random_seed(seed)
    model = ka.load_model(options.source, task="classification", num_labels=2, dtype=options.dtype)
    batching = {
        "preprocess": ka.load_preprocessor(options.source, options.max_length),
        "multiple_of": options.multiple_of,
    }
    train_data = training(train, options, seed, **batching)
    steps = options.epochs * len(train_data)
    schedule = ka.optimizers.PolynomialDecayWithWarmup(
        options.learning_rate, total_steps=steps, warmup_steps=steps // 10
    )
    model.compile(
        optimizer=ka.optimizers.AdamW(schedule, global_clipnorm=1.0),
        loss={"logits": keras.losses.SparseCategoricalCrossentropy(from_logits=True)},
        metrics={"logits": [keras.metrics.SparseCategoricalAccuracy(name="accuracy")]},
        # The batches have several lengths, and XLA would compile the step for each.
        jit_compile=False,
    )
    start = time.perf_counter()
    model.fit(train_data, epochs=options.epochs, shuffle=False, verbose=0)
    seconds = time.perf_counter() - start
    start = time.perf_counter()
    dev_data = length_batches(dev, options.batch_size, **batching)
    scores = model.evaluate(dev_data, return_dict=True, verbose=0)
    return {
        "accuracy": 100 * scores["accuracy"],
        "seconds": seconds,
        "evaluation_seconds": time.perf_counter() - start,
    }


def main() -> None:
    options = parse()
    if not (options.source.is_dir() and options.data.is_dir()):
        missing = [str(p) for p in (options.source, options.data) if not p.is_dir()]
        print(json.dumps({"benchmark": "finetune_sst2", "skipped": f"there is no {missing}"}))
        return
    rows = ALL if options.rows == "all" else slice(0, STRIDE * int(options.rows), STRIDE)
    train = read(options.data / "train.tsv", rows)
    dev = read(options.data / "dev.tsv")
    seeds = range(options.seed, options.seed + options.runs)
    runs = [run(options, train, dev, seed) for seed in seeds]
    accuracies = [result["accuracy"] for result in runs]
    seconds = statistics.median(result["seconds"] for result in runs)
    print(
        json.dumps(
            {
                "benchmark": "finetune_sst2",
                "source": options.source.name,
                "dtype": options.dtype,
                "order": "google" if options.google_order else "buckets",
                "rows": len(train[0]),
                "epochs": options.epochs,
                "dev_rows": len(dev[0]),
                "accuracies": [round(accuracy, 2) for accuracy in accuracies],
                "accuracy_mean": round(statistics.mean(accuracies), 2),
                "accuracy_sd": round(statistics.stdev(accuracies), 2) if len(runs) > 1 else None,
                "seconds": round(seconds, 2),
                "rows_per_second": round(len(train[0]) * options.epochs / seconds, 1),
                "evaluation_seconds": round(
                    statistics.median(result["evaluation_seconds"] for result in runs), 2
                ),
                "machine": machine(),
                "versions": versions("keras", "tensorflow", "tensorflow-text"),
            }
        )
    )


if __name__ == "__main__":
    main()
