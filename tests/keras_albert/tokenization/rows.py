"""Golden rows of the tokenizers, and the tokenizers that they are for."""

import functools
import gzip
import json

import pytest

from keras_albert.tokenization import SentencePieceTokenizer, WordPieceTokenizer
from tests.paths import GOLDEN, REFERENCE, SHARED

VOCABULARIES = {
    "uncased": ("uncased_30522.txt", True),
    "chinese": ("chinese_21128.txt", True),
    "cased": ("cased_28996.txt", False),
    "multi_cased": ("multi_cased_119547.txt", False),
}
KINDS = pytest.mark.parametrize("kind", VOCABULARIES)
# A SentencePiece model of 420 pieces, in the module of a reference case.
SMALL_MODEL = GOLDEN / "reference" / "albert_hub" / "module" / "assets" / "30k-clean.model"


def read_rows(name):
    """The JSON Lines of a file of the reference."""
    path = REFERENCE / name
    with (gzip.open if path.suffix == ".gz" else open)(path, "rt", encoding="ascii") as file:
        return [json.loads(line) for line in file]


@functools.cache
def tokenizer_of(kind):
    """With Google's vocabulary."""
    name, lower_case = VOCABULARIES[kind]
    return WordPieceTokenizer(SHARED / "real" / "vocab" / name, lower_case)


def tokenizer_for(kind, rows):
    """With the tokens of the rows alone, which gives the same tokens: none longer would match."""
    tokens = dict.fromkeys(token for row in rows for token in row["tokens"])
    return WordPieceTokenizer(["[UNK]", *(tokens.keys() - {"[UNK]"})], VOCABULARIES[kind][1])


@functools.cache
def albert_tokenizer(**options):
    """With the SentencePiece model of the published ALBERTs."""
    return SentencePieceTokenizer(SHARED / "real" / "albert_spm" / "30k-clean.model", **options)
