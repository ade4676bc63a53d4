"""Google's SQuAD programs' features and what ours are for the same questions."""

import functools
import gzip
import json

from keras_albert.data.features import question_features
from keras_albert.data.readers import read_records
from keras_albert.tokenization import SentencePieceTokenizer, WordPieceTokenizer
from tests.paths import REFERENCE, SHARED

FEATURES = REFERENCE / "squad_features"
FAMILIES = ("bert", "albert")


def load(path):
    """A JSON document, or the rows of a `.jsonl`; compressed or not."""
    content = path.read_bytes()
    if path.suffix == ".gz":
        content = gzip.decompress(content)
    if ".jsonl" in path.name:
        return [json.loads(line) for line in content.splitlines()]
    return json.loads(content)


def manifest(path):
    """The runs listed there; none in a bare clone, where the tests of them are skipped."""
    return load(path) if path.is_file() else []


RUNS = {
    run["file"]: (family, run)
    for family in FAMILIES
    for run in manifest(FEATURES / f"manifest_{family}.json")
}


@functools.cache
def questions(name):
    return list(read_records(FEATURES / name, "question"))


@functools.cache
def tokenizer_of(family, vocab, lower_case):
    if family == "albert":
        return SentencePieceTokenizer(SHARED / "real/albert_spm/30k-clean.model", lower_case)
    return WordPieceTokenizer(SHARED / "real/vocab" / vocab, lower_case)


@functools.cache
def run_of(name):
    """The questions of a feature file, its tokenizer, and our features."""
    family, run = RUNS[name]
    records = questions(run["input"])
    tokenizer = tokenizer_of(family, run.get("vocab"), run["do_lower_case"])
    features = question_features(
        records,
        tokenizer,
        max_length=run["max_seq_length"],
        stride=run["doc_stride"],
        max_question_length=run["max_query_length"],
        training=run["is_training"],
    )
    return records, tokenizer, features
