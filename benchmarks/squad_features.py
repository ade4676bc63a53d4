"""How long do SQuAD's features, and the answers from a model's scores, take without the model?

For BERT and ALBERT: the features of a file's questions at Google's settings (384 tokens, stride
128), in evaluation and in training, then the answers from random scores of 384 positions. The files
are read, and the tokenizers built and warm, before. Prints one JSON line: medians in seconds.

    python benchmarks/squad_features.py FILE --vocabulary VOCAB.TXT --model SPIECE.MODEL [--runs 5]
"""

import argparse
import json
import statistics
import time

import numpy as np
from _machine import machine, versions

from keras_albert.data.features import decode_answers, question_features
from keras_albert.data.readers import read_records
from keras_albert.tokenization import SentencePieceTokenizer, WordPieceTokenizer

LENGTH = 384


def median_seconds(function, runs):
    """The median of several calls' seconds, and the last one's result."""
    seconds = []
    for _ in range(runs):
        start = time.perf_counter()
        result = function()
        seconds.append(time.perf_counter() - start)
    return round(statistics.median(seconds), 2), result


def main() -> None:
    """Measures both families and prints the line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("file")
    parser.add_argument("--vocabulary", required=True)
    parser.add_argument("--model", required=True)
    parser.add_argument("--runs", type=int, default=5)
    args = parser.parse_args()

    records = list(read_records(args.file, "question"))
    tokenizers = {
        "bert": WordPieceTokenizer(args.vocabulary, lower_case=True),
        "albert": SentencePieceTokenizer(args.model, lower_case=True),
    }
    report = {"benchmark": "squad_features", "questions": len(records)}
    for family, tokenizer in tokenizers.items():
        tokenizer.token_ids(["warm"])
        features_s, features = median_seconds(
            lambda tokenizer=tokenizer: question_features(records, tokenizer), args.runs
        )
        training_s, _ = median_seconds(
            lambda tokenizer=tokenizer: question_features(records, tokenizer, training=True),
            args.runs,
        )
        random = np.random.default_rng(0)
        scores = {
            name: random.normal(size=(len(features), LENGTH)).astype(np.float32)
            for name in ("start_logits", "end_logits")
        }
        answers_s, _ = median_seconds(
            lambda features=features, scores=scores: decode_answers(
                records, features, scores, rules="spans"
            ),
            args.runs,
        )
        report[family] = {
            "windows": len(features),
            "features_seconds": features_s,
            "training_features_seconds": training_s,
            "answers_seconds": answers_s,
        }
    report["runs"] = args.runs
    print(json.dumps(report | machine() | versions("tensorflow", "tensorflow-text", "numpy")))


if __name__ == "__main__":
    main()
