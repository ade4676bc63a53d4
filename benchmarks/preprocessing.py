"""How fast do texts become padded model inputs, beside KerasHub's and Hugging Face's tokenizers?

Every text of SST-2's train.tsv and of ChnSentiCorp's train.tsv, in batches of 256, at most 128
tokens, in one process that starts every contender once and then lets them run in turn, nothing
cached between runs. KerasHub's preprocessor pads to 128, as it always does; the others to the
longest row of a batch. Each is called in a loop over lists of texts (Hugging Face's Rust tokenizer
up to NumPy arrays), and ours and KerasHub's also run in a tf.data pipeline, whose source alone
takes a third of our time there. Prints one JSON line: seconds (median and quartiles) and how many
times as fast as each peer we are, run by run.

The peers have an environment of their own: see requirements-peers.txt beside this file.
"""

import argparse
import json
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from _machine import machine, versions

SHARED = Path(__file__).resolve().parents[2] / "shared"
# name: file, column of the text, header lines, vocabulary
DATA = {
    "sst2": ("SST-2/train.tsv", 1, 1, "uncased_30522.txt"),
    "chnsenticorp": ("zh_ChnSentiCorp/train.tsv", 0, 0, "chinese_21128.txt"),
}
BATCH = 256
MAX_LENGTH = 128


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__.splitlines()[0], formatter_class=argparse.ArgumentDefaultsHelpFormatter
    )
    parser.add_argument("--shared", type=Path, default=SHARED, help="data and vocabularies")
    parser.add_argument("--runs", type=int, default=5)
    return parser.parse_args()


def read(path: Path, column: int, header: int) -> list[str]:
    lines = path.read_text(encoding="utf-8").split("\n")[header:]
    return [line.split("\t")[column] for line in lines if line]


def pipeline(texts: list[str], preprocess: Callable) -> Callable[[], int]:
    """A run over a tf.data pipeline: how many rows came out."""
    import tensorflow as tf

    data = tf.data.Dataset.from_tensor_slices(texts).batch(BATCH)
    data = data.map(preprocess, num_parallel_calls=tf.data.AUTOTUNE).prefetch(tf.data.AUTOTUNE)
    return lambda: sum(int(batch["token_ids"].shape[0]) for batch in data)


def called(texts: list[str], preprocess: Callable) -> Callable[[], int]:
    """A run of calls on lists of texts: how many rows came out."""
    starts = range(0, len(texts), BATCH)
    return lambda: sum(len(preprocess(texts[i : i + BATCH])["token_ids"]) for i in starts)


def contenders(texts: list[str], vocabulary: Path) -> dict[str, Callable[[], int]]:
    """Each takes the same texts and returns the number of rows that it made."""
    import keras_hub
    import numpy as np
    from tokenizers import BertWordPieceTokenizer

    from keras_albert.tokenization import Preprocessor, WordPieceTokenizer

    ours = Preprocessor(WordPieceTokenizer(vocabulary, lower_case=True), MAX_LENGTH)
    theirs = keras_hub.models.BertTextClassifierPreprocessor(
        keras_hub.models.BertTokenizer(vocabulary=str(vocabulary), lowercase=True),
        sequence_length=MAX_LENGTH,
    )
    rust = BertWordPieceTokenizer(str(vocabulary), lowercase=True)
    rust.enable_truncation(MAX_LENGTH)
    rust.enable_padding()

    def hugging_face(batch: list[str]) -> dict[str, Any]:
        encoded = rust.encode_batch(batch)
        return {
            "token_ids": np.array([row.ids for row in encoded], np.int32),
            "segment_ids": np.array([row.type_ids for row in encoded], np.int32),
            "padding_mask": np.array([row.attention_mask for row in encoded], np.int32),
        }

    return {
        "ours_in_pipeline": pipeline(texts, ours),
        "keras_hub_in_pipeline": pipeline(texts, theirs),
        "ours_called": called(texts, ours),
        "hugging_face_called": called(texts, hugging_face),
        "keras_hub_called": called(texts, theirs),
    }


def measure(texts: list[str], vocabulary: Path, runs: int) -> dict[str, Any]:
    seconds: dict[str, list[float]] = {}
    for turn in range(runs + 1):
        if turn == 0:
            jobs = contenders(texts, vocabulary)
        for name, job in jobs.items():
            start = time.perf_counter()
            rows = job()
            elapsed = time.perf_counter() - start
            assert rows == len(texts), f"{name} made {rows} rows of {len(texts)} texts"
            if turn:  # the first one warms up
                seconds.setdefault(name, []).append(elapsed)
    result: dict[str, Any] = {"texts": len(texts)}
    for name, values in seconds.items():
        result[name] = spread(values)
        if not name.startswith("ours"):
            own = seconds["ours_in_pipeline" if name.endswith("pipeline") else "ours_called"]
            ratios = [theirs / ours for theirs, ours in zip(values, own, strict=True)]
            result[f"times_as_fast_as_{name}"] = spread(ratios)
    return result


def spread(values: list[float]) -> dict[str, float]:
    """Median and quartiles."""
    low, median, high = statistics.quantiles(values, n=4, method="inclusive")
    return {"median": round(median, 3), "q1": round(low, 3), "q3": round(high, 3)}


def main() -> None:
    options = parse()
    try:
        import keras_hub  # noqa: F401
        import tokenizers  # noqa: F401
    except ImportError as error:
        missing = f"{error.name} is missing: see requirements-peers.txt"
        print(json.dumps({"benchmark": "preprocessing", "skipped": missing}))
        return
    if not options.shared.is_dir():
        print(json.dumps({"benchmark": "preprocessing", "skipped": f"no {options.shared}"}))
        return
    results = {}
    for name, (file, column, header, vocabulary) in DATA.items():
        texts = read(options.shared / "data" / file, column, header)
        path = options.shared / "real" / "vocab" / vocabulary
        results[name] = measure(texts, path, options.runs)
    print(
        json.dumps(
            {
                "benchmark": "preprocessing",
                "batch": BATCH,
                "max_length": MAX_LENGTH,
                "runs": options.runs,
                **results,
                "machine": machine(),
                "versions": versions(
                    "keras", "tensorflow", "tensorflow-text", "keras-hub", "tokenizers"
                ),
            }
        )
    )


if __name__ == "__main__":
    main()
