import base64

import pytest
import tensorflow as tf

from keras_albert.errors import InputError
from keras_albert.tokenization import SentencePieceTokenizer, unknown_runs
from tests.keras_albert.tokenization.rows import SMALL_MODEL, albert_tokenizer, read_rows
from tests.paths import SHARED, needs_shared

# Of very repetitive lines, versions of SentencePiece choose among segmentations of equal score.
CASES = "tokenizer_albert/cases.jsonl"
COLUMNS = pytest.mark.parametrize(
    ("column", "options"),
    [
        ("lower", {"lower_case": True}),
        ("cased", {"lower_case": False}),
        ("raw", {"clean_up": False}),
    ],
)


def rows_without_ties():
    return [row for row in read_rows(CASES) if not row.get("spm_tie")]


def texts_of(strings):
    return [text.decode("utf-8") for text in strings.numpy()]


@needs_shared
@COLUMNS
def test_every_text_gives_googles_ids_and_pieces(column, options):
    rows, tokenizer = rows_without_ties(), albert_tokenizer(**options)
    assert len(rows) > 1000
    texts = [row["text"] for row in rows]
    ids, tokens = tokenizer.token_ids(texts).to_list(), tokenizer.tokens(texts).to_list()
    assert [
        row["text"] for row, own in zip(rows, ids, strict=True) if own != row[column]["ids"]
    ] == []
    assert [[token.decode() for token in own] for own in tokens] == [
        row[column]["tokens"] for row in rows
    ]
    assert tokenizer.spans(texts)[0].to_list() == ids


@needs_shared
@COLUMNS
def test_the_ids_are_the_same_inside_of_a_graph(column, options):
    rows = rows_without_ties()
    data = tf.data.Dataset.from_tensor_slices([row["text"] for row in rows]).batch(50)
    batches = data.map(albert_tokenizer(**options).token_ids)
    assert [ids for batch in batches for ids in batch.to_list()] == [
        row[column]["ids"] for row in rows
    ]


@needs_shared
def test_bytes_that_are_not_utf8_are_dropped_as_google_drops_them():
    rows = read_rows("tokenizer_albert/bytes.jsonl")
    tokenizer = albert_tokenizer(clean_up=False)
    for row in rows:
        assert tokenizer.tokenize(base64.b64decode(row["bytes_b64"])) == row["tokens"]


@pytest.mark.parametrize(("column", "lower_case"), [("lower", True), ("cased", False)])
def test_the_clean_up_is_googles(column, lower_case):
    rows = read_rows(CASES if SHARED.is_dir() else "tokenizer_albert/hard_clean_up.jsonl.gz")
    texts = tf.constant([row["text"].encode() for row in rows])
    tokenizer = SentencePieceTokenizer(SMALL_MODEL, lower_case)
    assert texts_of(tokenizer.normalized(texts)) == [row[column]["text"] for row in rows]
    hard = [row for row in rows if f"keep_space_{column}" in row]
    assert len(hard) > 600
    texts = tf.constant([row["text"].encode() for row in hard])
    tokenizer = SentencePieceTokenizer(SMALL_MODEL, lower_case, remove_space=False)
    assert texts_of(tokenizer.normalized(texts)) == [row[f"keep_space_{column}"] for row in hard]


@needs_shared
def test_a_comma_behind_a_digit_is_a_piece_of_its_own():
    tokenizer = albert_tokenizer()
    assert tokenizer.tokenize("May 1999, 4,416") == ["▁may", "▁1999", ",", "▁4", ",", "416"]
    ids, offsets = tokenizer.encode("May 1999, 4,416")
    assert tokenizer.tokens_of(ids) == ["▁may", "▁1999", ",", "▁4", ",", "416"]
    assert offsets == [(0, 3), (4, 8), (8, 9), (10, 11), (11, 12), (12, 15)]


def test_offsets_leave_white_space_out_and_cover_what_was_decomposed():
    tokenizer = SentencePieceTokenizer(SMALL_MODEL)
    text = "  The\t\tÉt\u0301\u00a0½  "
    ids, offsets = tokenizer.encode(text)
    pieces = [piece.replace("▁", "") for piece in tokenizer.tokenize(text)]
    assert "".join(pieces) == "theet1⁄2"
    assert len(ids) == len(offsets) == len(pieces)
    for piece, (start, end) in zip(pieces, offsets, strict=True):
        covered = tokenizer.normalized(tf.constant([text[start:end]])).numpy()[0].decode()
        assert piece in covered
        assert covered == covered.strip()


def test_a_lone_mark_lies_empty_before_its_word():
    tokenizer = SentencePieceTokenizer(SMALL_MODEL)
    assert tokenizer.tokenize("a 中") == ["▁a", "▁", "中"]
    assert tokenizer.encode("a 中").offsets == [(0, 1), (2, 2), (2, 3)]


@needs_shared
def test_ids_become_a_text_again():
    tokenizer = albert_tokenizer()
    assert tokenizer.decode(tokenizer.encode("A gripping film, in 1999.").ids) == (
        "a gripping film, in 1999."
    )
    assert tokenizer.decode([2, *tokenizer.encode("film").ids, 3, 0]) == "film"


@pytest.mark.parametrize("content", [b"", b"no model", b"\x0a\x05"])
def test_a_file_that_is_no_model_is_refused_in_one_line(content, tmp_path):
    path = tmp_path / "spiece.model"
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"spiece\.model: not a readable SentencePiece model") as e:
        SentencePieceTokenizer(path)
    assert "\n" not in str(e.value)


def test_a_missing_model_is_named(tmp_path):
    with pytest.raises(InputError, match=r"Received: path='.*nowhere.model' \(No such file"):
        SentencePieceTokenizer(tmp_path / "nowhere.model")


def test_leaving_out_the_middle_of_unknown_stretches_changes_no_id_and_no_offset(monkeypatch):
    rows = read_rows(CASES if SHARED.is_dir() else "tokenizer_albert/hard_clean_up.jsonl.gz")
    texts = [row["text"] for row in rows] + ["a" + "中文字" * 9 + "b 가각" + "\0" * 5]

    def spans():
        tokenizer = albert_tokenizer.__wrapped__() if SHARED.is_dir() else None
        tokenizer = tokenizer or SentencePieceTokenizer(SMALL_MODEL)
        return [part.to_list() for part in tokenizer.spans(texts)]

    whole = spans()
    monkeypatch.setattr(unknown_runs, "LONG_TEXT", -1)
    assert spans() == whole
