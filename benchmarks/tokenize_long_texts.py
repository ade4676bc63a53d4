"""Does the time to tokenize grow with the length of a text, or faster?

For texts of one line up to a megabyte and more (one endless word, words, ideographs, marks, unknown
characters, random characters of all of Unicode), each tokenizer's time for ids and offsets, and the
exponent b of the least-squares fit time = a * bytes**b over the longest sizes: 1 is linear, 2 is
quadratic. Prints one JSON line.
"""

import argparse
import json
import statistics
import time
from pathlib import Path
from typing import Any

import numpy as np
from _machine import machine, versions

SHARED = Path(__file__).resolve().parents[2] / "shared"


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__.splitlines()[0], formatter_class=argparse.ArgumentDefaultsHelpFormatter
    )
    parser.add_argument("--shared", type=Path, default=SHARED, help="vocabularies")
    parser.add_argument("--kilobytes", type=int, nargs="+", default=[64, 128, 256, 512, 1024, 2048])
    parser.add_argument("--runs", type=int, default=3)
    return parser.parse_args()


def texts_of(size: int) -> dict[str, str]:
    """A text of `size` bytes or a little less of every kind."""
    rng = np.random.default_rng(size)
    codes = rng.integers(0, 0x110000, size // 4)
    codes = codes[(codes < 0xD800) | (codes > 0xDFFF)]
    every = codes.astype("<u4").tobytes().decode("utf-32-le")
    kinds = {"one word": "a", "words": "some words, and ", "ideographs": "中文字"}
    kinds |= {"marks": "\u0301", "unknown": "\0\u2603", "spaces": " "}
    return {k: t * (size // len(t.encode())) for k, t in kinds.items()} | {"random": every}


def seconds(tokenizer: Any, text: str, runs: int) -> float:
    times = []
    for _ in range(runs):
        start = time.perf_counter()
        tokenizer.spans([text])
        times.append(time.perf_counter() - start)
    return statistics.median(times)


def main() -> None:
    options = parse()
    if not options.shared.is_dir():
        print(json.dumps({"benchmark": "tokenize_long_texts", "skipped": f"no {options.shared}"}))
        return
    from keras_albert.tokenization import SentencePieceTokenizer, WordPieceTokenizer

    real = options.shared / "real"
    tokenizers = {
        "wordpiece": WordPieceTokenizer(real / "vocab" / "uncased_30522.txt", lower_case=True),
        "sentencepiece": SentencePieceTokenizer(real / "albert_spm" / "30k-clean.model"),
    }
    results: dict[str, Any] = {}
    for name, tokenizer in tokenizers.items():
        tokenizer.spans(["warm-up"])
        for kind in texts_of(1024):
            sizes = [kilobytes * 1024 for kilobytes in options.kilobytes]
            taken = [seconds(tokenizer, texts_of(size)[kind], options.runs) for size in sizes]
            exponent = float(np.polyfit(np.log(sizes[-4:]), np.log(taken[-4:]), 1)[0])
            results[f"{name}, {kind}"] = {
                "exponent": round(exponent, 2),
                "seconds": [round(value, 4) for value in taken],
            }
    print(
        json.dumps(
            {
                "benchmark": "tokenize_long_texts",
                "kilobytes": options.kilobytes,
                "largest_exponent": max(result["exponent"] for result in results.values()),
                **results,
                "machine": machine(),
                "versions": versions("tensorflow", "tensorflow-text"),
            }
        )
    )


if __name__ == "__main__":
    main()
