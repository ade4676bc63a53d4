"""Whatever the strings: no exception, and offsets that lie inside of the text and ascend."""

import numpy as np
import pytest
import tensorflow as tf

from keras_albert.tokenization import SentencePieceTokenizer, WordPieceTokenizer
from tests.keras_albert.tokenization.rows import SMALL_MODEL, albert_tokenizer, tokenizer_of
from tests.paths import SHARED

BATCH = 2000
LATIN = np.arange(0x20, 0x250)
# Spaces, marks, controls and format characters, jamo, ideographs, emoji and their joiners.
HARD = np.concatenate(
    [
        np.array([0, 9, 10, 13, 0x1C, 0x85, 0xA0, 0xAD, 0x200B, 0x200D, 0x2028, 0x3000, 0xFEFF]),
        np.arange(0x300, 0x370),
        np.arange(0x1100, 0x1200),
        np.arange(0x4E00, 0x4F00),
        np.arange(0xAC00, 0xAD00),
        np.arange(0xF900, 0xFA00),
        np.arange(0xFB00, 0xFE00),
        np.arange(0x1F300, 0x1F700),
    ]
)
EVERY = np.arange(0x110000)  # halves of surrogate pairs, too


def batch_of(rng: np.random.Generator) -> list[str | bytes]:
    """Strings over several alphabets, and bytes."""
    lengths = rng.integers(0, 40, BATCH)
    texts: list[str | bytes] = []
    for length, kind in zip(lengths, rng.integers(0, 6, BATCH), strict=True):
        if kind == 0:
            texts.append(rng.bytes(length))
            continue
        codes = rng.choice((EVERY, LATIN, HARD, LATIN, EVERY)[kind - 1], length)
        if kind == 4 and length:  # a long word, or one that repeats
            codes = np.tile(codes[: 1 + length % 3], rng.integers(1, 120))
        if kind == 5:
            codes = np.where(rng.random(length) < 0.3, 32, codes)
        texts.append(codes.astype("<u4").tobytes().decode("utf-32-le", "surrogatepass"))
    return texts


def characters_of(text: str | bytes) -> int:
    return len(text if isinstance(text, str) else text.decode("utf-8", "ignore"))


def check(tokenizer, texts: list[str | bytes]) -> int:
    """Fails at the first text whose offsets are wrong; returns the number of tokens."""
    ids, starts, ends = tokenizer.spans(texts)
    tf.debugging.assert_equal(ids.row_splits, starts.row_splits)
    row = starts.value_rowids().numpy()
    start, end = starts.flat_values.numpy(), ends.flat_values.numpy()
    length = np.array([characters_of(text) for text in texts])
    inside = (start >= 0) & (start <= end) & (end <= length[row])
    assert inside.all(), ascii(texts[row[~inside][0]])
    same = row[1:] == row[:-1]
    ordered = ~same | ((start[1:] >= start[:-1]) & (end[1:] >= end[:-1]))
    assert ordered.all(), ascii(texts[row[1:][~ordered][0]])
    assert ids.to_list() == tokenizer.token_ids(texts).to_list()
    return len(start)


def small(kind):
    """With a vocabulary of letters, a special token or none, or the small SentencePiece model."""
    if kind == "sentencepiece":
        return SentencePieceTokenizer(SMALL_MODEL)
    letters = [chr(code) for code in LATIN if chr(code).isalpha()]
    vocabulary = ["[UNK]", "[MASK]", *letters, *(f"##{letter}" for letter in letters[::2])]
    if kind == "special tokens":
        return WordPieceTokenizer(vocabulary, True, special_tokens=["[MASK]"])
    return WordPieceTokenizer(vocabulary, kind == "uncased")


@pytest.mark.parametrize("kind", ["uncased", "cased", "sentencepiece"])
def test_any_string_is_cut(kind):
    tokenizer = small(kind)
    rng = np.random.default_rng(1)
    assert sum(check(tokenizer, batch_of(rng)) for _ in range(3)) > 20_000


@pytest.mark.parametrize(
    ("kind", "pattern"),
    [
        ("special tokens", "[MASK]"),
        *(
            (kind, pattern)
            for pattern in ("a", "a ", "\u0301", "中", "é!", " ", "ﷺ", "\0", "[MASK]")
            for kind in ("uncased", "sentencepiece")
        ),
    ],
)
def test_a_line_of_a_megabyte_is_cut(kind, pattern):
    tokenizer = small(kind)
    text = pattern * (2**20 // len(pattern.encode()))
    check(tokenizer, [text, "a", text[:1000]])


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["uncased", "multi_cased", "chinese", "albert", "albert_cased"])
def test_a_million_strings_are_cut_by_the_five_tokenizers(kind):
    if not SHARED.is_dir():
        pytest.skip("needs ../shared: Google's vocabularies")
    if kind.startswith("albert"):
        tokenizer = albert_tokenizer(lower_case=kind == "albert")
    else:
        tokenizer = tokenizer_of(kind)
    rng = np.random.default_rng(sum(map(ord, kind)))
    for _ in range(200_000 // BATCH):
        check(tokenizer, batch_of(rng))
