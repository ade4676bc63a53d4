import base64
import functools
import json
import subprocess
import sys

import pytest
import tensorflow as tf

from keras_albert.errors import InputError
from keras_albert.tokenization import WordPieceTokenizer
from tests.paths import REFERENCE, ROOT, SHARED, needs_shared

VOCABULARIES = {
    "uncased": ("uncased_30522.txt", True),
    "chinese": ("chinese_21128.txt", True),
    "cased": ("cased_28996.txt", False),
    "multi_cased": ("multi_cased_119547.txt", False),
}
KINDS = pytest.mark.parametrize("kind", VOCABULARIES)
SMALL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "a", "##a", "b", "中", "!"]


@functools.cache
def tokenizer_of(kind):
    name, lower_case = VOCABULARIES[kind]
    return WordPieceTokenizer(SHARED / "real" / "vocab" / name, lower_case)


def rows_of(kind, name):
    path = REFERENCE / f"tokenizer_bert_{kind}" / name
    with path.open(encoding="ascii") as file:
        return [json.loads(line) for line in file]


@needs_shared
@KINDS
def test_every_real_and_every_hard_text_gives_googles_ids(kind):
    rows = rows_of(kind, "cases.jsonl")
    ours = tokenizer_of(kind).token_ids([row["text"] for row in rows]).to_list()
    assert [row["text"] for row, ids in zip(rows, ours, strict=True) if ids != row["ids"]] == []


@needs_shared
@KINDS
def test_bytes_that_are_not_utf8_give_googles_ids(kind):
    rows = rows_of(kind, "bytes.jsonl")
    ours = tokenizer_of(kind).token_ids([base64.b64decode(row["bytes_b64"]) for row in rows])
    assert ours.to_list() == [row["ids"] for row in rows]


@needs_shared
@KINDS
def test_tokens_are_googles_strings(kind):
    for row in rows_of(kind, "cases.jsonl")[::10]:
        assert tokenizer_of(kind).tokenize(row["text"]) == row["tokens"]
    for row in rows_of(kind, "bytes.jsonl")[::10]:
        assert tokenizer_of(kind).tokenize(base64.b64decode(row["bytes_b64"])) == row["tokens"]


def test_a_word_of_200_characters_is_tried_and_a_longer_one_is_unknown():
    tokenizer = WordPieceTokenizer(SMALL, lower_case=True)
    rows = tokenizer.token_ids(["a" * 200, "a" * 201, "a!" + "a" * 199, "á" * 200]).to_list()
    assert rows == [[5] + [6] * 199, [1], [5, 9, 5] + [6] * 198, [5] + [6] * 199]


def test_a_sigma_is_final_only_at_the_end_of_its_word():
    inner, final = "##\N{GREEK SMALL LETTER SIGMA}", "##\N{GREEK SMALL LETTER FINAL SIGMA}"
    tokenizer = WordPieceTokenizer(["[UNK]", "a", inner, final, "##a"], lower_case=True)
    capital = "\N{GREEK CAPITAL LETTER SIGMA}"
    assert tokenizer.tokenize(f"A{capital} A{capital}A") == ["a", final, "a", inner, "##a"]


def test_special_tokens_in_a_text_are_not_special():
    tokenizer = WordPieceTokenizer([*SMALL, "[", "]", "MASK"], lower_case=False)
    assert tokenizer.tokenize("[MASK]") == ["[", "MASK", "]"]


def test_a_lone_surrogate_does_not_stop_a_text():
    assert WordPieceTokenizer(SMALL, lower_case=False).tokenize("a \ud800 b") == ["a", "b"]


def test_special_ids_come_from_the_vocabulary():
    ours = WordPieceTokenizer(SMALL, lower_case=True)
    assert (ours.pad_id, ours.unk_id, ours.cls_id, ours.sep_id, ours.mask_id) == (0, 1, 2, 3, 4)


def test_a_special_token_that_is_not_there_is_named():
    with pytest.raises(InputError, match=r"The vocabulary has no \[MASK\]. Received: 2 tokens"):
        _ = WordPieceTokenizer(["[UNK]", "a"], lower_case=True).mask_id


def test_ids_are_made_inside_of_tf_data():
    tokenizer = WordPieceTokenizer(SMALL, lower_case=True)
    data = tf.data.Dataset.from_tensor_slices(["A b", "", "aa中!"]).batch(2)
    rows = [row for batch in data.map(tokenizer.token_ids) for row in batch.to_list()]
    assert rows == [[5, 7], [], [5, 6, 8, 9]]


def test_without_tensorflow_text_one_line_says_what_is_missing(monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorflow_text", None)
    with pytest.raises(ImportError, match="pip install tensorflow-text"):
        WordPieceTokenizer(SMALL, lower_case=True)


def test_the_package_is_imported_without_tensorflow():
    program = (
        "import sys; sys.modules['tensorflow'] = sys.modules['tensorflow_text'] = None\n"
        "import keras_albert.tokenization"
    )
    environment = {"KERAS_BACKEND": "jax", "JAX_PLATFORMS": "cpu", "PATH": ""}
    pytest.importorskip("jax")
    subprocess.run([sys.executable, "-c", program], check=True, cwd=ROOT, env=environment)
