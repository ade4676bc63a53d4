import logging

import numpy as np
import pytest

from keras_albert.data.features import (
    question_features,
    question_inputs,
    question_rows,
    question_targets,
)
from keras_albert.data.records import Answer, Place, QuestionRecord
from keras_albert.errors import InputError
from tests.keras_albert.data.features.reference import FEATURES, RUNS, load, questions, run_of
from tests.keras_albert.data.features.tokenizers import sentencepiece, wordpiece_of
from tests.paths import needs_shared

MARK = "\N{LOWER ONE EIGHTH BLOCK}"
WORDS = ["who", "?", "was", "born", "in", "18", "##95", "-", "43", "(", ")", ".", "john", "smith"]
CONTEXT = "John Smith (1895-1843)\u00a0was born.\n\u200b the  year"


def wordpiece():
    return wordpiece_of(*WORDS, "the", "year", "a", "b", "c", "d")


def asked(context=CONTEXT, *answers, question="who ?", impossible=False):
    given = tuple(Answer(text, context.find(text)) for text in answers)
    return QuestionRecord("q1", question, context, given, impossible, Place("dev.json", 3))


def tokens_of(features, tokenizer):
    return [" ".join(tokenizer.tokens_of(window.token_ids)) for window in features]


# Against Google's programs.


def googles(run, family, records, tokenizer, window):
    """A window's record in Google's fields, without the numbers of windows."""
    inputs = question_inputs([window], length=run["max_seq_length"])
    inside = slice(window.window.start, window.window.start + window.window.length)
    fields = {
        "qas_id": records[window.record].id,
        "input_ids": inputs["token_ids"][0].tolist(),
        "input_mask": inputs["padding_mask"][0].tolist(),
        "segment_ids": inputs["segment_ids"][0].tolist(),
        "doc_offset": window.offset,
        "token_is_max_context": window.max_context.astype(int).tolist(),
        "start_position": window.start_position,
        "end_position": window.end_position,
        "is_impossible": window.is_impossible,
    }
    if family == "bert":
        return fields | {
            "tokens": tokenizer.tokens_of(window.token_ids),
            "token_to_orig_map": window.context.token_words[inside].tolist(),
        }
    return fields | {
        "tokens": tokenizer.tokens_of(inputs["token_ids"][0]),
        "paragraph_len": len(window.token_ids),
        "p_mask": (1 - inputs["answer_mask"][0]).tolist(),
        "tok_start_to_orig_index": window.context.starts[inside].tolist(),
        "tok_end_to_orig_index": window.context.ends[inside].tolist(),
    }


@needs_shared
@pytest.mark.parametrize("name", RUNS)
def test_every_window_is_googles_field_by_field(name):
    family, run = RUNS[name]
    records, tokenizer, features = run_of(name)
    expected = load(FEATURES / name)
    numbers = {"unique_id", "doc_span_index", "example_index"}
    counted = [window.record for window in features]
    for index, (window, row) in enumerate(zip(features, expected, strict=True)):
        ours = googles(run, family, records, tokenizer, window)
        assert ours == {key: value for key, value in row.items() if key not in numbers}
        assert row["unique_id"] == 1000000000 + index
        assert row["doc_span_index"] == index - counted.index(window.record)


@needs_shared
@pytest.mark.parametrize("mode", ["eval", "train"])
def test_the_words_of_a_context_are_googles(mode):
    rows = load(FEATURES / f"bert_examples_{mode}.jsonl.gz")
    name = f"bert_uncased_len384_stride128_q64_{mode}.jsonl.gz"
    records, _, features = run_of(name)
    words = {records[window.record].id: window.context.words for window in features}
    assert words == {row["qas_id"]: row["doc_tokens"] for row in rows}


@needs_shared
@pytest.mark.parametrize("name", RUNS)
def test_the_questions_that_google_drops_have_no_window(name):
    _, run = RUNS[name]
    records, _, features = run_of(name)
    dropped = {record.id for record in records}
    dropped -= {records[window.record].id for window in features}
    examples = {record.id for record in questions(run["input"])} - set(run["example_qas_ids"])
    assert dropped == examples | set(run.get("dropped", ()))


# By hand, BERT.


def test_words_stand_between_five_characters_and_a_no_break_space_is_none():
    [window] = question_features([asked()], wordpiece())
    words = ["John", "Smith", "(1895-1843)\u00a0was", "born.", "\u200b", "the", "year"]
    assert window.context.words == words
    tokens = wordpiece().tokens_of(window.context.token_ids)
    assert " ".join(tokens) == "john smith ( 18 ##95 - [UNK] ) was born . the year"
    assert window.context.token_words.tolist() == [0, 1, 2, 2, 2, 2, 2, 2, 2, 3, 3, 5, 6]


def test_a_window_is_laid_out_as_question_and_context():
    tokenizer = wordpiece()
    [window] = question_features([asked("a b c")], tokenizer)
    assert tokens_of([window], tokenizer) == ["[CLS] who ? [SEP] a b c [SEP]"]
    assert window.segment_ids.tolist() == [0, 0, 0, 0, 1, 1, 1, 1]
    assert window.answer_mask.tolist() == [1, 0, 0, 0, 1, 1, 1, 0]
    assert (window.start_position, window.end_position, window.is_impossible) == (None, None, False)


def test_a_long_context_comes_in_windows_and_a_long_question_is_cut():
    tokenizer = wordpiece()
    features = question_features(
        [asked("a b c d a b", question="who was born in the year ?")],
        tokenizer,
        max_length=9,
        max_question_length=2,
        stride=1,
    )
    assert tokens_of(features, tokenizer) == [
        f"[CLS] who was [SEP] {context} [SEP]" for context in ("a b c d", "b c d a", "c d a b")
    ]
    assert [window.window.start for window in features] == [0, 1, 2]
    assert [window.max_context.tolist() for window in features] == [
        [True, True, True, False],
        [False, False, True, False],
        [False, False, True, True],
    ]


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ("Smith", ["smith"]),
        ("1895", ["18", "##95"]),  # only the answer's own pieces of its word
        ("1895-1843", ["18", "##95", "-", "[UNK]"]),
        ("(1895", ["(", "18", "##95"]),
        ("5-1843)", ["(", "18", "##95", "-", "[UNK]", ")", "was"]),  # its pieces are not there
        ("895", ["[UNK]"]),  # as in the original, which takes 1843 for it
        ("the  year", ["the", "year"]),
        ("born.\n", ["born", "."]),  # a white space belongs to the word before it
        ("\u200b the", ["the"]),  # nothing is left of the first word
    ],
)
def test_an_answer_is_found_among_the_pieces(answer, expected):
    tokenizer = wordpiece()
    [window] = question_features([asked(CONTEXT, answer)], tokenizer, training=True)
    found = window.token_ids[window.start_position : window.end_position + 1]
    assert tokenizer.tokens_of(found) == expected


def test_an_answer_in_leading_white_space_begins_with_the_last_word_as_in_google():
    # Python's index -1; the words from the last to the second are none, so it is not found.
    records = [asked("  a b c", " a"), asked("  a", " a")]
    features = question_features(records, wordpiece(), training=True)
    assert [window.record for window in features] == [1]
    assert features[0].start_position == features[0].end_position == 4


def test_bert_does_not_find_an_answer_whose_words_hold_a_no_break_space(caplog):
    with caplog.at_level(logging.WARNING):
        features = question_features(
            [asked("a\u00a0b c", "a\u00a0b"), asked("a b", "b")], wordpiece(), training=True
        )
    assert [window.record for window in features] == [1]
    [message] = [record.getMessage() for record in caplog.records]
    assert message.startswith("1 of 2 questions have no features")
    assert message.endswith("the first is at dev.json:3")


def test_a_window_without_the_answer_points_at_cls():
    settings = {"max_length": 8, "max_question_length": 2, "stride": 3, "training": True}
    features = question_features([asked("a b c d a b", "d")], wordpiece(), **settings)
    assert [window.window.length for window in features] == [3, 3]
    targets = question_targets(features)
    assert targets["start_positions"].tolist() == targets["end_positions"].tolist() == [0, 4]
    assert targets["is_impossible"].tolist() == [0, 0]


def test_an_impossible_question_points_at_cls_in_training_and_nowhere_else():
    record = asked("a b", impossible=True)
    [window] = question_features([record], wordpiece(), training=True)
    assert (window.start_position, window.end_position, window.is_impossible) == (0, 0, True)
    [window] = question_features([record], wordpiece())
    assert (window.start_position, window.is_impossible) == (None, False)


def test_the_first_answer_that_is_known_to_be_there_is_trained_on():
    record = asked("a b c")._replace(answers=(Answer("x", -1), Answer("b", 2), Answer("c", 4)))
    [window] = question_features([record], wordpiece(), training=True)
    assert window.start_position == 5


def test_a_context_without_tokens_has_no_window(caplog):
    with caplog.at_level(logging.WARNING):
        assert question_features([asked(" \u200b ")], wordpiece()) == []
    assert "1 of 1 questions" in caplog.text


def test_no_questions_have_no_features():
    assert question_features([], wordpiece()) == []
    assert question_inputs([])["token_ids"].shape == (0, 0)


# By hand, ALBERT.


def test_pieces_stand_for_characters_of_the_text_before_its_clean_up():
    # Double spaces become one, the accent goes, the ligature becomes two letters.
    context = "The  caf\N{LATIN SMALL LETTER E WITH ACUTE} of the \N{LATIN SMALL LIGATURE FI}re"
    tokenizer = sentencepiece()
    [window] = question_features([asked(context)], tokenizer)
    pieces = tokenizer.tokenize(context)
    assert "".join(pieces) == "_the_cafe_of_the_fire".replace("_", MARK)
    assert tokenizer.tokens_of(window.context.token_ids) == pieces
    assert window.context.text(0, 0) == "The"
    assert window.context.text(0, len(pieces) - 1) == context
    parts = [window.context.text(i, i) for i in range(len(pieces))]
    ligature = "\N{LATIN SMALL LIGATURE FI}"
    accented = "\N{LATIN SMALL LETTER E WITH ACUTE}"
    # Both pieces of the ligature stand for it.
    assert parts == ["The", "ca", "f", accented, "of", "the", ligature, ligature, "re"]


def test_albert_finds_an_answer_in_a_word_and_marks_windows_without_it_as_impossible():
    context = "in the city of the north the king of the state has a temple"
    tokenizer = sentencepiece()
    settings = {"max_length": 13, "max_question_length": 2, "stride": 7, "training": True}
    features = question_features([asked(context, "king of the")], tokenizer, **settings)
    assert [window.window.start for window in features] == [0, 7]
    assert [window.is_impossible for window in features] == [True, False]
    found = features[1].token_ids[features[1].start_position : features[1].end_position + 1]
    assert "".join(tokenizer.tokens_of(found)) == "_king_of_the".replace("_", MARK)


def test_albert_drops_a_context_that_its_clean_up_changes_too_much(caplog):
    context = "a" + 20 * "\N{COMBINING ACUTE ACCENT}"
    with caplog.at_level(logging.WARNING):
        assert question_features([asked(context, "a")], sentencepiece(), training=True) == []
    assert "1 of 1 questions" in caplog.text


def test_albert_leaves_out_an_answer_of_which_nothing_is_left():
    context = "the the the the the\N{COMBINING ACUTE ACCENT} the"
    records = [asked(context, "\N{COMBINING ACUTE ACCENT}")]
    assert question_features(records, sentencepiece(), training=True) == []


def test_without_clean_up_characters_are_their_own():
    [window] = question_features([asked("The city")], sentencepiece(clean_up=False))
    assert window.context.text(0, len(window.context.token_ids) - 1) == "The city"


# Batches.


def test_a_batch_is_padded_to_its_longest_window():
    features = question_features([asked("a", "a"), asked("a b c", "c")], wordpiece(), training=True)
    inputs = question_inputs(features, pad_id=9)
    assert inputs["token_ids"].shape == (2, 8)
    assert inputs["token_ids"][0].tolist()[-3:] == [3, 9, 9]
    assert inputs["padding_mask"].sum(1).tolist() == [6, 8]
    assert inputs["answer_mask"].tolist() == [[1, 0, 0, 0, 1, 0, 0, 0], [1, 0, 0, 0, 1, 1, 1, 0]]
    assert inputs["start_positions"].tolist() == [4, 6]
    assert {array.dtype for array in inputs.values()} == {np.dtype(np.int32)}
    assert question_inputs(features, length=12)["segment_ids"].shape == (2, 12)
    assert [len(row) for row in question_rows(features)["token_ids"]] == [6, 8]


# Bad input.


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"stride": 0}, "stride must be at least 1. Received: stride=0"),
        (
            {"max_length": 64, "max_question_length": 61},
            "max_question_length must leave room for the context and three special tokens. "
            "Received: max_question_length=61, max_length=64",
        ),
        (
            {"max_question_length": -1},
            "max_question_length must leave room for the context and three special tokens. "
            "Received: max_question_length=-1, max_length=384",
        ),
        (
            {"max_length": 600, "max_sequence_length": 512},
            "max_length cannot exceed the model's max_sequence_length. "
            "Received: max_length=600, max_sequence_length=512",
        ),
    ],
)
def test_lengths_that_cannot_work_are_refused(settings, message):
    with pytest.raises(InputError) as error:
        question_features([asked()], wordpiece(), **settings)
    assert str(error.value) == message


@pytest.mark.parametrize(
    ("answers", "message"),
    [
        ((), "A question to train on must have an answer or be impossible, at dev.json:3. "
             "Received: id='q1'"),
        ((Answer("b", 0),), "An answer must stand in its context where it starts, at dev.json:3. "
                            "Received: id='q1', answer='b', start=0"),
        ((Answer("x", -1),), "An answer must stand in its context where it starts, at dev.json:3. "
                             "Received: id='q1', answer='x', start=-1"),
        ((Answer(" ", 1),), "An answer must stand in its context where it starts, at dev.json:3. "
                            "Received: id='q1', answer=' ', start=1"),
    ],
)  # fmt: skip
def test_an_answer_that_is_not_in_its_context_is_refused_in_training(answers, message):
    record = asked("a b c")._replace(answers=answers)
    with pytest.raises(InputError) as error:
        question_features([record], wordpiece(), training=True)
    assert str(error.value) == message
    assert len(question_features([record], wordpiece())) == 1


def test_a_tokenizer_must_be_one_of_the_two():
    with pytest.raises(InputError, match=r"WordPieceTokenizer or a SentencePieceTokenizer\. Rec"):
        question_features([asked()], str)
