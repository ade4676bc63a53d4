import logging

import numpy as np
import pytest

from keras_albert.data.features import padded_batch, word_features, word_rows, word_scores
from keras_albert.data.padding import IGNORED
from keras_albert.data.records import Place, WordsRecord
from keras_albert.errors import InputError
from keras_albert.tokenization import WordPieceTokenizer
from tests.keras_albert.data.features.reference import load
from tests.keras_albert.data.features.tokenizers import sentencepiece, wordpiece_of
from tests.paths import REFERENCE, SHARED, needs_shared

LABELS = ["O", "B-PER", "I-PER"]


def tokenizer():
    return wordpiece_of("a", "b", "##b", "##c", "-")


def sentence(words, tags=None):
    given = None if tags is None else tuple(tags.split())
    return WordsRecord(tuple(words.split(" ")) if words else (), given, Place("train.txt", 4))


def tokens_of(features):
    return [" ".join(tokenizer().tokens_of(row.token_ids)) for row in features]


@needs_shared
def test_conll_words_have_the_reference_pieces():
    cases = load(REFERENCE / "ner_chinese/conll_words_cased.jsonl.gz")
    cased = WordPieceTokenizer(SHARED / "real/vocab/cased_28996.txt", lower_case=False)
    records = [WordsRecord(tuple(c["words"]), tuple(c["tags"]), Place("a", 1)) for c in cases]
    labels = sorted({tag for case in cases for tag in case["tags"]})
    features = word_features(records, cased, labels=labels, max_length=512)
    for case, row in zip(cases, features, strict=True):
        assert row.token_ids[1:-1].tolist() == case["ids"]
        assert (row.token_ids[0], row.token_ids[-1]) == (cased.cls_id, cased.sep_id)
        assert (row.first_pieces - 1).tolist() == case["first_subtoken"]
        assert [labels[i] for i in row.label_ids if i != IGNORED] == case["tags"]
        assert np.flatnonzero(row.label_ids != IGNORED).tolist() == row.first_pieces.tolist()


def test_the_first_piece_of_a_word_is_labelled_and_the_rest_is_not():
    [row] = word_features([sentence("abc a-b b", "B-PER I-PER O")], tokenizer(), labels=LABELS)
    assert tokens_of([row]) == ["[CLS] a ##b ##c a - b b [SEP]"]
    assert row.first_pieces.tolist() == [1, 4, 7]
    assert row.label_ids.tolist() == [-1, 1, -1, -1, 2, -1, -1, 0, -1]
    assert (row.record, row.first_word) == (0, 0)


def test_a_word_of_which_nothing_is_left_is_unknown():
    [row] = word_features([sentence("a \u200b b")], tokenizer())
    assert tokens_of([row]) == ["[CLS] a [UNK] b [SEP]"]
    assert row.first_pieces.tolist() == [1, 2, 3]
    assert row.label_ids is None


def test_a_long_sentence_is_split_between_words():
    record = sentence("a ab abc b a", "O B-PER O I-PER O")
    features = word_features([record, sentence("b", "O")], tokenizer(), labels=LABELS, max_length=5)
    expected = ["a a ##b", "a ##b ##c", "b a", "b"]
    assert tokens_of(features) == [f"[CLS] {pieces} [SEP]" for pieces in expected]
    assert [(row.record, row.first_word) for row in features] == [(0, 0), (0, 2), (0, 3), (1, 0)]
    assert [row.label_ids.tolist() for row in features] == [
        [-1, 0, 1, -1, -1],
        [-1, 0, -1, -1, -1],
        [-1, 2, 0, -1],
        [-1, 0, -1],
    ]


def test_a_long_sentence_is_cut_with_a_note(caplog):
    settings = {"max_length": 5, "long_sentences": "cut"}
    with caplog.at_level(logging.WARNING):
        features = word_features([sentence("a ab abc"), sentence("b")], tokenizer(), **settings)
    assert tokens_of(features) == ["[CLS] a a ##b [SEP]", "[CLS] b [SEP]"]
    [record] = caplog.records
    assert record.getMessage() == (
        "1 of 2 sentences are cut to 5 tokens and lose 1 words, the first at train.txt:4"
    )
    caplog.clear()
    assert len(word_features([sentence("b")], tokenizer(), **settings)) == 1
    assert not caplog.records


def test_a_word_with_too_many_pieces_keeps_the_first():
    features = word_features([sentence("abcbc b")], tokenizer(), max_length=4)
    assert tokens_of(features) == ["[CLS] a ##b [SEP]", "[CLS] b [SEP]"]


def test_words_are_pieces_with_their_mark_in_sentencepiece():
    [row] = word_features([sentence("The City")], sentencepiece())
    assert sentencepiece().tokens_of(row.token_ids[row.first_pieces]) == [
        "\N{LOWER ONE EIGHTH BLOCK}the",
        "\N{LOWER ONE EIGHTH BLOCK}city",
    ]


@pytest.mark.parametrize(
    ("reduction", "expected"),
    [
        ("first", [[1, 0], [5, 2], [7, 0], [9, 1]]),
        ("mean", [[2, 4], [5, 2], [7.5, 2], [9, 1]]),
        ("max", [[3, 8], [5, 2], [8, 4], [9, 1]]),
    ],
)
def test_scores_of_pieces_become_scores_of_words(reduction, expected):
    records = [sentence("ab a ab a"), sentence("")]
    features = word_features(records, tokenizer(), max_length=5)
    assert tokens_of(features) == ["[CLS] a ##b a [SEP]", "[CLS] a ##b a [SEP]"]
    scores = np.full((2, 6, 2), 99.0)  # with a column of padding
    scores[0, 1:4] = [[1, 0], [3, 8], [5, 2]]
    scores[1, 1:4] = [[7, 0], [8, 4], [9, 1]]
    found = word_scores(records, features, scores, reduction=reduction)
    assert found[0].tolist() == expected
    assert found[1].shape == (0, 2)


def test_a_cut_sentence_has_scores_of_the_words_that_were_kept():
    records = [sentence("a ab abc")]
    features = word_features(records, tokenizer(), max_length=5, long_sentences="cut")
    [found] = word_scores(records, features, np.zeros((1, 5, 3)))
    assert found.shape == (2, 3)


def test_rows_become_a_batch_whose_labels_are_ignored_behind_the_end():
    records = [sentence("ab", "B-PER"), sentence("a a b", "O O O")]
    rows = word_rows(word_features(records, tokenizer(), labels=LABELS))
    batch = padded_batch(rows, values={"label_ids": IGNORED})
    assert batch["label_ids"].tolist() == [[-1, 1, -1, -1, -1], [-1, 0, 0, 0, -1]]
    assert batch["padding_mask"].tolist() == [[1, 1, 1, 1, 0], [1, 1, 1, 1, 1]]
    assert batch["segment_ids"].sum() == 0
    assert "label_ids" not in word_rows(word_features(records, tokenizer()))
    assert word_scores([], [], []) == []


@pytest.mark.parametrize(
    ("record", "message"),
    [
        (
            sentence("a b"),
            "A sentence to train on must have tags, at train.txt:4. Received: words=('a', 'b')",
        ),
        (
            sentence("a b", "O B-LOC"),
            "A tag must be one of ['B-PER', 'I-PER', 'O'], at train.txt:4. Received: tag='B-LOC'",
        ),
    ],
)
def test_a_sentence_without_usable_tags_is_refused(record, message):
    with pytest.raises(InputError) as error:
        word_features([record], tokenizer(), labels=LABELS)
    assert str(error.value) == message


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (
            {"max_length": 2},
            "max_length must leave room for a word and two special tokens. Received: max_length=2",
        ),
        (
            {"max_length": 65, "max_sequence_length": 64},
            "max_length cannot exceed the model's max_sequence_length. "
            "Received: max_length=65, max_sequence_length=64",
        ),
        (
            {"long_sentences": "drop"},
            "long_sentences must be one of ('split', 'cut'). Received: long_sentences='drop'",
        ),
    ],
)
def test_settings_that_cannot_work_are_refused(settings, message):
    with pytest.raises(InputError) as error:
        word_features([sentence("a")], tokenizer(), **settings)
    assert str(error.value) == message


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"reduction": "last"}, "reduction must be one of ('first', 'mean', 'max'). Received: "),
        ({"scores": np.zeros((2, 3, 1))}, "scores must have one row for each row of features. "),
        ({"scores": np.zeros((1, 2, 1))}, "scores and features must come from these records. "),
        ({"records": []}, "scores and features must come from these records. Received: a row of "),
    ],
)
def test_scores_that_do_not_belong_to_the_sentences_are_refused(changes, message):
    records = [sentence("a")]
    features = word_features(records, tokenizer())
    given = {"records": records, "scores": np.zeros((1, 3, 1))} | changes
    with pytest.raises(InputError) as error:
        word_scores(features=features, **given)
    assert str(error.value).startswith(message)
