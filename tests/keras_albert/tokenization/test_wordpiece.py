import base64
import os
import subprocess
import sys

import pytest
import tensorflow as tf

from keras_albert.errors import InputError
from keras_albert.tokenization import WordPieceTokenizer
from tests.keras_albert.tokenization.rows import KINDS, read_rows, tokenizer_for, tokenizer_of
from tests.paths import ROOT, needs_shared

SMALL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "a", "##a", "b", "中", "!"]


@needs_shared
@KINDS
def test_every_real_and_every_hard_text_gives_googles_ids(kind):
    rows = read_rows(f"tokenizer_bert_{kind}/cases.jsonl")
    ours = tokenizer_of(kind).token_ids([row["text"] for row in rows]).to_list()
    assert [row["text"] for row, ids in zip(rows, ours, strict=True) if ids != row["ids"]] == []


@needs_shared
@KINDS
def test_the_ids_are_the_same_inside_of_a_graph_and_for_each_text_alone(kind):
    rows = read_rows(f"tokenizer_bert_{kind}/cases.jsonl")
    data = tf.data.Dataset.from_tensor_slices([row["text"] for row in rows]).batch(50)
    ours = [ids for batch in data.map(tokenizer_of(kind).token_ids) for ids in batch.to_list()]
    assert ours == [row["ids"] for row in rows]
    for row in rows[::40]:
        assert tokenizer_of(kind).token_ids([row["text"]]).to_list() == [row["ids"]]


@needs_shared
@KINDS
def test_bytes_that_are_not_utf8_give_googles_ids(kind):
    rows = read_rows(f"tokenizer_bert_{kind}/bytes.jsonl")
    ours = tokenizer_of(kind).token_ids([base64.b64decode(row["bytes_b64"]) for row in rows])
    assert ours.to_list() == [row["ids"] for row in rows]


def test_bytes_that_are_not_utf8_give_googles_tokens():
    rows = read_rows("tokenizer_bert_uncased/bytes.jsonl")
    tokenizer = tokenizer_for("uncased", rows)
    for row in rows:
        assert tokenizer.tokenize(base64.b64decode(row["bytes_b64"])) == row["tokens"]


@needs_shared
@KINDS
def test_tokens_are_googles_strings(kind):
    rows = read_rows(f"tokenizer_bert_{kind}/cases.jsonl")
    ours = tokenizer_of(kind).tokens([row["text"] for row in rows]).to_list()
    assert [[token.decode() for token in row] for row in ours] == [row["tokens"] for row in rows]


def test_a_word_of_200_characters_is_tried_and_a_longer_one_is_unknown():
    tokenizer = WordPieceTokenizer(SMALL, lower_case=True)
    rows = tokenizer.token_ids(["a" * 200, "a" * 201, "a!" + "a" * 199, "á" * 200]).to_list()
    assert rows == [[5] + [6] * 199, [1], [5, 9, 5] + [6] * 198, [5] + [6] * 199]


def test_a_word_too_long_among_others_is_one_unknown_with_its_whole_span():
    tokenizer = WordPieceTokenizer(SMALL, lower_case=True)
    ids, offsets = tokenizer.encode("b " + "a" * 230 + "! aa")
    assert ids == [7, 1, 9, 5, 6]
    assert offsets == [(0, 1), (2, 232), (232, 233), (234, 235), (235, 236)]
    assert tokenizer.tokenize("b " + "a" * 230) == ["b", "[UNK]"]


def test_a_limit_of_200_counts_characters_and_not_bytes():
    tokenizer = WordPieceTokenizer(["[UNK]", "𝔞", "##𝔞"], lower_case=False)
    assert tokenizer.token_ids(["𝔞" * 200, "𝔞" * 201]).to_list() == [[1] + [2] * 199, [0]]


def test_tokens_that_hold_a_separator_do_not_lead_the_search_astray():
    vocabulary = ["[UNK]", "no", "no way", "no!", "##t", "n", "new york", "new", "中文"]
    tokenizer = WordPieceTokenizer(vocabulary, lower_case=True)
    assert tokenizer.tokenize("no not new way n") == ["no", "no", "##t", "new", "[UNK]", "n"]


def test_a_sigma_is_final_only_at_the_end_of_its_word():
    inner, final = "##\N{GREEK SMALL LETTER SIGMA}", "##\N{GREEK SMALL LETTER FINAL SIGMA}"
    tokenizer = WordPieceTokenizer(["[UNK]", "a", inner, final, "##a"], lower_case=True)
    capital = "\N{GREEK CAPITAL LETTER SIGMA}"
    assert tokenizer.tokenize(f"A{capital} A{capital}A") == ["a", final, "a", inner, "##a"]


def test_lower_casing_does_not_follow_the_locale():
    program = (
        "from keras_albert.tokenization import WordPieceTokenizer\n"
        "print(WordPieceTokenizer(['[UNK]', 'i', '##é'], True).tokenize('IÉ I'))"
    )
    environment = os.environ | {"LC_ALL": "tr_TR.UTF-8", "PYTHONIOENCODING": "utf-8"}
    done = subprocess.run(
        [sys.executable, "-c", program.replace("##é", "##e")],
        check=True,
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        encoding="utf-8",
    )
    assert done.stdout.strip() == "['i', '##e', 'i']"


def test_special_tokens_in_a_text_are_not_special():
    tokenizer = WordPieceTokenizer([*SMALL, "[", "]", "MASK"], lower_case=False)
    assert tokenizer.tokenize("[MASK]") == ["[", "MASK", "]"]


def test_special_ids_come_from_the_vocabulary():
    ours = WordPieceTokenizer(SMALL, lower_case=True)
    assert (ours.pad_id, ours.unk_id, ours.cls_id, ours.sep_id, ours.mask_id) == (0, 1, 2, 3, 4)


def test_a_special_token_that_is_not_there_is_named():
    with pytest.raises(InputError, match=r"The vocabulary has no \[MASK\]. Received: 2 tokens"):
        _ = WordPieceTokenizer(["[UNK]", "a"], lower_case=True).mask_id


@pytest.mark.parametrize(
    ("tokens", "text"),
    [
        (["un", "##able", "!"], "unable!"),
        (["a", ",", "b", "(", "中", "中", ")", "."], "a, b (中中)."),
        (["[CLS]", "a", "[SEP]", "[PAD]"], "a"),
        (["##a", "b"], "##a b"),
        ([], ""),
    ],
)
def test_ids_become_a_text_again(tokens, text):
    vocabulary = ["[UNK]", *dict.fromkeys(tokens)]
    tokenizer = WordPieceTokenizer(vocabulary, lower_case=False)
    assert tokenizer.decode([vocabulary.index(token) for token in tokens]) == text


def test_special_tokens_are_kept_where_they_are_asked_for():
    tokenizer = WordPieceTokenizer(SMALL, lower_case=False)
    assert tokenizer.decode([2, 5, 4, 3], skip_special_tokens=False) == "[CLS] a [MASK] [SEP]"


def test_an_id_that_is_not_in_the_vocabulary_is_named():
    with pytest.raises(InputError, match=r"from 0 to 9\. Received: id=10"):
        WordPieceTokenizer(SMALL, lower_case=False).decode([5, 10])
