import random
import unicodedata

import pytest

from keras_albert.tokenization import SentencePieceTokenizer, WordPieceTokenizer
from tests.keras_albert.tokenization.rows import (
    KINDS,
    SMALL_MODEL,
    read_rows,
    tokenizer_for,
    tokenizer_of,
)
from tests.paths import needs_shared
from tests.references import tokenizers as oracle


def pairs(starts, ends):
    return [
        [list(pair) for pair in zip(*rows, strict=True)]
        for rows in zip(starts.to_list(), ends.to_list(), strict=True)
    ]


@KINDS
def test_tokens_and_offsets_of_every_hard_text(kind):
    rows = read_rows(f"ner_chinese/hard_offsets_{kind}.jsonl.gz")
    assert len(rows) > 600
    tokenizer = tokenizer_for(kind, rows)
    ids, starts, ends = tokenizer.spans([row["text"] for row in rows])
    assert [tokenizer.tokens_of(own) for own in ids.to_list()] == [row["tokens"] for row in rows]
    assert pairs(starts, ends) == [row["offsets"] for row in rows]


@needs_shared
@pytest.mark.parametrize(
    ("kind", "name"),
    [
        ("chinese", "cmrc_offsets"),
        *((kind, f"hard_offsets_{kind}") for kind in ("uncased", "cased", "chinese")),
        ("multi_cased", "hard_offsets_multi_cased"),
    ],
)
def test_offsets_with_googles_vocabularies(kind, name):
    rows = read_rows(f"ner_chinese/{name}.jsonl.gz")
    ids, starts, ends = tokenizer_of(kind).spans([row["text"] for row in rows])
    assert ids.to_list() == [row["ids"] for row in rows]
    assert pairs(starts, ends) == [row["offsets"] for row in rows]


# Of Unicode 11, which Google's tokenizers had where the reference was made, or older.
ALPHABETS = [
    [chr(code) for code in range(0x3100) if unicodedata.category(chr(code)) not in ("Cn", "Cs")],
    [
        chr(code)
        for code in range(0x3000)
        if unicodedata.category(chr(code)) in ("Mn", "Mc", "Zs", "Zl", "Zp", "Cc", "Cf")
    ],
    ["a", "A", "Σ", "İ", "ß", "Å", "가", "中", "，", "½", "ﬁ", "ﷺ", "#", "[", "]", "☺", "𝔄", "豈"],
    [" ", " ", "\t", "\n", "\u3000", "\u2028", "\0", "\ufffd"],
]
# Not in the tables of every library yet.
NEW = {
    chr(code)
    for first, last in ((0x1ABF, 0x1ACE), (0x2C2F, 0x2C2F), (0x2C5F, 0x2C5F))
    for code in range(first, last + 1)
}


def random_text(rng):
    text = "".join(rng.choice(rng.choice(ALPHABETS)) for _ in range(rng.randint(0, 30)))
    return "".join(character for character in text if character not in NEW)


@pytest.mark.parametrize("lower_case", [True, False])
def test_random_texts_are_cut_as_the_oracle_cuts_them(lower_case):
    rng = random.Random(7)
    texts = [random_text(rng) for _ in range(1500)]
    pieces = {character for text in texts for character in unicodedata.normalize("NFD", text)}
    pieces |= {character.lower() for character in pieces}
    vocabulary = {"[UNK]", "##", *pieces, *(f"##{piece}" for piece in sorted(pieces)[::2])}
    tokenizer = WordPieceTokenizer(sorted(vocabulary), lower_case)
    ids, starts, ends = tokenizer.spans(texts)
    for text, own, spans in zip(texts, ids.to_list(), pairs(starts, ends), strict=True):
        expected = oracle.bert(text, vocabulary, lower_case)
        assert tokenizer.tokens_of(own) == [token for token, _, _ in expected], ascii(text)
        assert spans == [[start, end] for _, start, end in expected], ascii(text)


@pytest.mark.parametrize("remove_space", [True, False])
def test_offsets_of_sentencepiece_ascend_and_cover_their_pieces(remove_space):
    rng = random.Random(8)
    texts = [random_text(rng) for _ in range(1500)]
    tokenizer = SentencePieceTokenizer(SMALL_MODEL, remove_space=remove_space)
    _, starts, ends = tokenizer.spans(texts)
    for text, tokens, spans in zip(
        texts, tokenizer.tokens(texts).to_list(), pairs(starts, ends), strict=True
    ):
        assert spans == sorted(spans)
        assert [end for _, end in spans] == sorted(end for _, end in spans)
        assert all(0 <= start <= end <= len(text) for start, end in spans)
        for token, (start, end) in zip(tokens, spans, strict=True):
            piece = token.decode().replace("▁", "")
            covered = oracle.albert_clean_up(text[start:end], lower_case=True)
            # SentencePiece's own normalization may change a character once more.
            assert not piece.strip() or start < end, ascii(text)
            if piece.isascii() and covered.isascii():
                assert piece in covered, (ascii(text), piece, covered)


def test_half_a_surrogate_pair_counts_as_a_character_and_is_dropped():
    tokenizer = WordPieceTokenizer(["[UNK]", "a", "b"], lower_case=True)
    assert tokenizer.encode("a \ud800 b") == ([1, 2], [(0, 1), (4, 5)])


def test_offsets_of_bytes_count_the_characters_that_are_utf8():
    tokenizer = WordPieceTokenizer(["[UNK]", "a", "b"], lower_case=True)
    assert tokenizer.encode(b"\xffa\xff b") == ([1, 2], [(0, 1), (2, 3)])


def test_no_texts_and_empty_texts_have_no_tokens():
    tokenizer = WordPieceTokenizer(["[UNK]", "a"], lower_case=True)
    assert [rows.to_list() for rows in tokenizer.spans([])] == [[], [], []]
    assert [rows.to_list() for rows in tokenizer.spans(["", " ", "\0"])] == [[[], [], []]] * 3
