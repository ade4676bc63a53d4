"""How much of a batch is padding with rows of like length, and how many rows a second come out?

The share of padding in all tokens of an epoch of batches, padded to their longest row: of rows at
random, of shuffled rows ordered by length within windows of 100 batches, and with a fixed set of
lengths. Rows per second of an epoch after the first, and seconds from nothing to the first batch:
from raw text; from token ids in memory and in a TFRecord file; and, from token ids, of `tf.data`'s
own `bucket_by_sequence_length` with 16 buckets and of `padded_batch` of rows at random. Medians of
several epochs. Prints one JSON line.
"""

import argparse
import json
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

from _machine import machine, versions

SHARED = Path(__file__).resolve().parents[2] / "shared"
LENGTHS = (8, 16, 24, 32, 48, 64, 96, 128, 192, 256, 384, 512)
BUCKETS = 16
# name: file, column of the text, lines before the first row, vocabulary
DATA = {
    "SST-2": ("SST-2/train.tsv", 1, 1, "uncased_30522.txt"),
    "ChnSentiCorp": ("zh_ChnSentiCorp/train.tsv", 0, 0, "chinese_21128.txt"),
}


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__.splitlines()[0], formatter_class=argparse.ArgumentDefaultsHelpFormatter
    )
    parser.add_argument("--shared", type=Path, default=SHARED)
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--max-length", type=int, default=512)
    parser.add_argument("--runs", type=int, default=3, help="epochs of each pipeline")
    return parser.parse_args()


def read(path: Path, column: int, header: int) -> list[str]:
    lines = path.read_text(encoding="utf-8").split("\n")[header:]
    return [line.split("\t")[column] for line in lines if line]


def padding(batches: Any) -> float:
    """Percent of an epoch's token positions that are padding."""
    real = total = 0
    for inputs in batches.as_numpy_iterator():
        real += int(inputs["padding_mask"].sum())
        total += inputs["padding_mask"].size
    return round(100 * (1 - real / total), 1)


def speed(rows: int, runs: int, make: Any) -> dict[str, float]:
    """Of making a pipeline and going through it."""
    start = time.perf_counter()
    batches = make()
    next(iter(batches))
    first = time.perf_counter() - start
    seconds, cpu_seconds = [], []
    for _ in range(runs):
        start, cpu_start = time.perf_counter(), time.process_time()
        for _ in batches:
            pass
        seconds.append(time.perf_counter() - start)
        cpu_seconds.append(time.process_time() - cpu_start)
    return {
        "rows_per_second": round(rows / statistics.median(seconds)),
        "cpu_seconds_an_epoch": round(statistics.median(cpu_seconds), 2),
        "seconds_to_first_batch": round(first, 2),
    }


def by_tf_data(features: dict[str, Any], batch_size: int, buckets: bool) -> Any:
    """The same batches by what `tf.data` has for it, row by row."""
    import tensorflow as tf

    rows = tf.data.Dataset.from_tensor_slices(features["token_ids"])
    count = int(rows.cardinality())
    rows = rows.shuffle(count, seed=0).map(
        lambda ids: {"token_ids": ids, "segment_ids": ids * 0, "padding_mask": ids * 0 + 1},
        num_parallel_calls=tf.data.AUTOTUNE,
    )
    if not buckets:
        return rows.padded_batch(batch_size).prefetch(tf.data.AUTOTUNE)
    lengths = sorted(features["token_ids"].row_lengths().numpy())
    bounds = sorted({int(lengths[count * part // BUCKETS]) for part in range(1, BUCKETS)})
    return rows.bucket_by_sequence_length(
        lambda row: tf.size(row["token_ids"]), bounds, [batch_size] * (len(bounds) + 1)
    ).prefetch(tf.data.AUTOTUNE)


def measure(options: argparse.Namespace, name: str) -> dict[str, Any]:
    from keras_albert.data.batching import length_batches
    from keras_albert.data.tfrecords import TFRecords, rows_of, write_tfrecord
    from keras_albert.tokenization import Preprocessor, WordPieceTokenizer

    file, column, header, vocabulary = DATA[name]
    texts = read(options.shared / "data" / file, column, header)
    tokenizer = WordPieceTokenizer(options.shared / "real" / "vocab" / vocabulary, lower_case=True)
    preprocess = Preprocessor(tokenizer, max_length=options.max_length).ragged
    features = preprocess(texts)
    size, count = options.batch_size, len(texts)

    def batches(data: Any = features, **more: Any) -> Any:
        return length_batches(data, size, shuffle=True, seed=0, **more)

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "rows.tfrecord")
        write_tfrecord(path, rows_of(features))
        pipelines = {
            "text": lambda: batches(texts, preprocess=preprocess),
            "token_ids": batches,
            "tfrecord": lambda: batches(TFRecords(path)),
            "bucket_by_sequence_length": lambda: by_tf_data(features, size, True),
            "padded_batch": lambda: by_tf_data(features, size, False),
        }
        speeds = {key: speed(count, options.runs, make) for key, make in pipelines.items()}
    return {
        "rows": count,
        "mean_tokens": round(float(features["token_ids"].row_lengths().numpy().mean()), 1),
        "padding_percent": {
            "random": padding(batches(window=1)),
            "ours": padding(batches()),
            "ours_in_windows_of_10": padding(batches(window=10)),
            "ours_with_fixed_lengths": padding(batches(lengths=LENGTHS)),
            "bucket_by_sequence_length": padding(by_tf_data(features, size, True)),
        },
        "speed": speeds,
    }


def main() -> None:
    options = parse()
    if not options.shared.is_dir():
        reason = f"there is no {options.shared}"
        print(json.dumps({"benchmark": "length_batches", "skipped": reason}))
        return
    result = {
        "benchmark": "length_batches",
        "batch_size": options.batch_size,
        "max_length": options.max_length,
        "lengths": LENGTHS,
        "data": {name: measure(options, name) for name in DATA},
        "machine": machine(),
        "versions": versions("tensorflow", "tensorflow-text"),
    }
    print(json.dumps(result))


if __name__ == "__main__":
    main()
