import json

import pytest

from keras_albert.errors import InputError
from keras_albert.tokenization import WordPieceTokenizer, load_vocabulary
from tests.paths import REFERENCE, needs_shared

FOLDER = REFERENCE / "tokenizer_vocab_files"
CASES = (
    json.loads((FOLDER / "load_vocab_bert.json").read_text())
    if (FOLDER / "load_vocab_bert.json").is_file()
    else {}
)


@needs_shared
@pytest.mark.parametrize("name", CASES)
def test_odd_vocabulary_files_are_read_as_google_reads_them(name):
    path = FOLDER / "vocabs" / f"{name}.txt"
    if "ok" not in CASES[name]:
        with pytest.raises(InputError, match=f"Received: path='.*{name}.txt'"):
            load_vocabulary(path)
        return
    assert [[token, index] for token, index in load_vocabulary(path).items()] == CASES[name]["ok"]


@needs_shared
@pytest.mark.parametrize("name", [n for n in CASES if "[UNK]" in dict(CASES[n].get("ok", ()))])
def test_odd_vocabularies_tokenize_as_googles_do(name):
    tokenizer = WordPieceTokenizer(FOLDER / "vocabs" / f"{name}.txt", lower_case=False)
    for text, tokens, ids in CASES[name]["tokenize"]:
        assert tokenizer.tokenize(text) == tokens["ok"]
        assert tokenizer.token_ids([text]).to_list() == [ids["ok"]]


def test_a_repeated_token_keeps_its_last_line_and_lines_keep_their_numbers(tmp_path):
    path = tmp_path / "vocab.txt"
    path.write_bytes(b"[UNK]\r\nx\n\nx\n y \n")
    assert load_vocabulary(path) == {"[UNK]": 0, "x": 3, "": 2, "y": 4}
    tokenizer = WordPieceTokenizer(path, lower_case=False)
    assert tokenizer.token_ids(["y x z"]).to_list() == [[4, 3, 0]]


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(InputError, match=r"Received: path='.*nowhere.txt' \(No such file"):
        load_vocabulary(tmp_path / "nowhere.txt")


def test_a_vocabulary_without_unk_is_refused():
    with pytest.raises(InputError, match=r"no \[UNK\] or <unk>. Received: 1 tokens"):
        WordPieceTokenizer(["x"], lower_case=False)
