"""How accurate is a BERT fine-tuned on SST-2, and how many rows a second does training take?

Google's protocol: batch 32, rate 5e-5 with 10 % warm-up and linear decay, one epoch, at most 64
tokens; accuracy on all rows of dev.tsv. `--rows N` takes training rows 0, 6, 12, …, N of them.
Prints one JSON line; seconds are those of `fit`, from raw text, tracing included.

Google's program shuffles among 100 rows only, so that all of its runs see nearly the file's order,
and that order does better than the average one: with the two-layer BERT, 10,000 rows and 15 seeds
of each, by 0.6 points. `--google-order` is for comparing accuracies with it.
"""

import argparse
import csv
import json
import statistics
import time
from pathlib import Path
from typing import Any

from _machine import machine, versions

SHARED = Path(__file__).resolve().parents[2] / "shared"
STRIDE = 6
# As many batches are filled together from shuffled rows, by length, and put in random order.
WINDOW = 100
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


def read(path: Path) -> tuple[list[str], list[int]]:
    """Sentences and labels of a file of SST-2."""
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.reader(file, delimiter="\t", quoting=csv.QUOTE_NONE))[1:]
    return [text for _, text in rows], [int(label) for label, _ in rows]


def dataset(
    texts: list[str],
    labels: list[int],
    tokenizer: Any,
    options: argparse.Namespace,
    seed: int | None = None,
) -> Any:
    """Batches of rows of like length; with a seed, in another random order every epoch."""
    import tensorflow as tf

    from keras_albert.tokenization import pack

    def inputs(token_ids: Any) -> dict[str, Any]:
        return pack(
            token_ids,
            cls_id=tokenizer.cls_id,
            sep_id=tokenizer.sep_id,
            pad_id=tokenizer.pad_id,
            max_length=options.max_length,
            multiple_of=options.multiple_of,
        )

    def batches(texts: Any, labels: Any) -> Any:
        token_ids = tokenizer.token_ids(texts)
        order = tf.data.Dataset.from_tensor_slices(tf.argsort(token_ids.row_lengths()))
        order = order.batch(options.batch_size)
        if seed is not None:
            order = order.shuffle(WINDOW, seed=seed)
        return order.map(
            lambda rows: (inputs(tf.gather(token_ids, rows)), {"logits": tf.gather(labels, rows)})
        )

    whole, rest = divmod(len(texts), options.batch_size)
    steps = whole + bool(rest)
    window, shuffled = WINDOW, len(texts)
    if options.google_order and seed is not None:
        # Google drops what does not fill a batch.
        steps, window, shuffled = whole, 1, GOOGLE_SHUFFLE
    data = tf.data.Dataset.from_tensor_slices((texts, labels))
    if seed is not None:
        data = data.shuffle(shuffled, seed=seed)
    data = data.batch(window * options.batch_size).flat_map(batches).take(steps)
    return data.apply(tf.data.experimental.assert_cardinality(steps)).prefetch(2)


def run(options: argparse.Namespace, train: Any, dev: Any, seed: int) -> dict[str, float]:
    """One fine-tuning: accuracy in percent, and seconds."""
    import keras

    import keras_albert as ka
    from keras_albert.tokenization import WordPieceTokenizer

    keras.utils.set_random_seed(seed)
    model = ka.load_model(options.source, task="classification", num_labels=2, dtype=options.dtype)
    tokenizer = WordPieceTokenizer(options.source / "vocab.txt", lower_case=True)
    train_data = dataset(*train, tokenizer, options, seed=seed)
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
    scores = model.evaluate(dataset(*dev, tokenizer, options), return_dict=True, verbose=0)
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
    texts, labels = read(options.data / "train.tsv")
    if options.rows != "all":
        chosen = slice(0, STRIDE * int(options.rows), STRIDE)
        texts, labels = texts[chosen], labels[chosen]
    dev = read(options.data / "dev.tsv")
    seeds = range(options.seed, options.seed + options.runs)
    runs = [run(options, (texts, labels), dev, seed) for seed in seeds]
    accuracies = [result["accuracy"] for result in runs]
    seconds = statistics.median(result["seconds"] for result in runs)
    print(
        json.dumps(
            {
                "benchmark": "finetune_sst2",
                "source": options.source.name,
                "dtype": options.dtype,
                "order": "google" if options.google_order else "buckets",
                "rows": len(texts),
                "epochs": options.epochs,
                "dev_rows": len(dev[0]),
                "accuracies": [round(accuracy, 2) for accuracy in accuracies],
                "accuracy_mean": round(statistics.mean(accuracies), 2),
                "accuracy_sd": round(statistics.stdev(accuracies), 2) if len(runs) > 1 else None,
                "seconds": round(seconds, 2),
                "rows_per_second": round(len(texts) * options.epochs / seconds, 1),
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
