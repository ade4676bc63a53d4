"""CoNLL's column files, JSON Lines of words, and plain text."""

import json

import pytest

from keras_albert.data.readers import read_records
from keras_albert.errors import InputError
from tests.keras_albert.data.readers.files import refusal, tolerant, write

CONLL = """\
-DOCSTART- -X- O O

EU NNP I-NP I-ORG
rejects VBZ I-VP O

Rome\tNNP  I-NP\tI-LOC
Paris NNP I-NP B-LOC
Marne NNP I-NP I-LOC
"""


def read(path, **options):
    return list(read_records(path, "words", **options))


@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("name", ["a.conll", "a.txt", "a.bio.gz"])
def test_a_sentence_is_a_run_of_lines(tmp_path, name, end):
    content = "\ufeffA B-X 0\nb I-X 0\n \t\n\nc O 0".replace("\n", end)
    records = read(write(tmp_path, name, content))
    assert [record[:2] for record in records] == [(("A", "b"), ("B-X", "I-X")), (("c",), ("O",))]
    assert [record.place.line for record in records] == [1, 5]


def test_tags_of_the_original_conll_become_bio(tmp_path):
    path = write(tmp_path, "a.conll", CONLL)
    first, second = read(path, tag=-1, tag_scheme="iob1")
    assert first.tags == ("B-ORG", "O")
    assert second[:2] == (("Rome", "Paris", "Marne"), ("B-LOC", "B-LOC", "I-LOC"))
    assert read(path, tag="3", tag_scheme="none")[0].tags == ("I-ORG", "O")
    assert read(path, word=1, tag=0, tag_scheme="none")[0][:2] == (
        ("NNP", "VBZ"),
        ("EU", "rejects"),
    )


def test_tags_that_do_not_chain_are_refused_by_line(tmp_path):
    path = write(tmp_path, "a.conll", "a O\nb O\n\nc O\nd B-LOC\ne I-ORG\n")
    assert f"{path}:6. Received: tag='I-ORG', word=3" in refusal(path, "words")
    records, errors = tolerant(path, "words")
    assert (len(records), len(errors)) == (1, 1)
    untagged = write(tmp_path, "b.conll", CONLL)
    assert f"{untagged}:3. Received: tag='NNP'" in refusal(untagged, "words")


def test_words_alone_have_no_tags(tmp_path):
    assert read(write(tmp_path, "a.conll", "a\n\u3000\n\nb\n"))[0][:2] == (("a", "\u3000"), None)


def test_every_line_has_the_columns_of_the_first(tmp_path):
    path = write(tmp_path, "a.conll", "a O\n\nb O\nc\nd O\n\ne O\n")
    assert refusal(path, "words") == (
        "Every line must have as many columns as the first, which has 2, "
        f"at {path}:4. Received: columns=1"
    )
    records, errors = tolerant(path, "words")
    assert [record.words for record in records] == [("a",), ("e",)]
    assert len(errors) == 1


@pytest.mark.parametrize(
    "broken", [b"a\xff O\nb O\n\nc O", b"b O\na\xff O\n\nc O", b"c O\n\na\xff O"]
)
def test_a_sentence_that_lost_a_line_is_no_record(tmp_path, broken):
    records, errors = tolerant(write(tmp_path, "a.conll", broken), "words")
    assert [record.words for record in records] == [("c",)]
    assert len(errors) == 1


@pytest.mark.parametrize("options", [{"tag": 2}, {"tag": -3}, {"word": 5}])
def test_a_column_must_exist(tmp_path, options):
    path = write(tmp_path, "a.conll", "a O\n")
    assert f"A column must exist, and there are 2 columns, at {path}:1." in refusal(
        path, "words", **options
    )


def test_a_file_without_sentences_is_refused(tmp_path):
    path = write(tmp_path, "a.conll", "\n-DOCSTART- O\n\n")
    assert "A file must hold records" in refusal(path, "words")


def test_options_are_checked_before_the_file_is_opened():
    with pytest.raises(InputError, match="tag_scheme must be one of"):
        read_records("absent.conll", "words", tag_scheme="bilou")
    with pytest.raises(InputError, match="tag_scheme must be one of"):
        read_records("absent.jsonl", "words", tag_scheme="bilou")
    with pytest.raises(InputError, match="go by number"):
        read_records("absent.conll", "words", tag="ner")


def test_json_lines_hold_words_and_tags(tmp_path):
    rows = [{"words": ["a", "b"], "tags": ["B-X", "I-X"]}, {"tokens": ["c"], "ner_tags": ["O"]}]
    path = write(tmp_path, "a.jsonl", "".join(json.dumps(row) + "\n" for row in rows))
    assert [record[:2] for record in read(path)] == [
        (("a", "b"), ("B-X", "I-X")),
        (("c",), ("O",)),
    ]
    untagged = write(tmp_path, "b.jsonl", '{"words": ["a"]}')
    assert read(untagged)[0][:2] == (("a",), None)


@pytest.mark.parametrize(
    ("row", "rule"),
    [
        ({"words": ["a"]}, "must have 'tags' where the first has"),
        ({"words": ["a"], "tags": []}, "as many tags as words, 1"),
        ({"words": "a", "tags": ["O"]}, "must have 'words' or 'tokens', a list"),
        ({"words": ["a"], "tags": [0]}, "a list of texts"),
        ({"words": ["a"], "tags": ["I-X"]}, "I-X"),
    ],
)
def test_a_bad_line_of_words_is_refused(tmp_path, row, rule):
    path = write(tmp_path, "a.jsonl", f'{{"words": ["a"], "tags": ["O"]}}\n{json.dumps(row)}\n')
    message = refusal(path, "words")
    assert rule in message
    assert f"{path}:2" in message
    assert len(tolerant(path, "words")[0]) == 1


def test_plain_text_has_words_between_white_space(tmp_path):
    records = read(write(tmp_path, "a.txt", "a  b\tc\n\n"), format="text")
    assert [record[:2] for record in records] == [(("a", "b", "c"), None), ((), None)]
