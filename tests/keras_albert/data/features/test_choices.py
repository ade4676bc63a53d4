import collections
import json

import numpy as np
import pytest

from keras_albert.data.batching import length_batches
from keras_albert.data.features import choice_features, choice_inputs, choice_labels, choice_rows
from keras_albert.data.readers import read_records
from keras_albert.data.records import ChoiceRecord, Place
from keras_albert.errors import InputError
from keras_albert.tokenization import WordPieceTokenizer
from tests.keras_albert.data.features.reference import FAMILIES, tokenizer_of
from tests.keras_albert.data.features.tokenizers import sentencepiece, wordpiece_of
from tests.paths import SHARED, needs_shared


def wordpiece():
    return wordpiece_of("what", "?", "is", "_", ".", *"abcdefgh")


def asked(context="a b c", question="What ?", choices=("d", "e f"), label=1, line=3):
    return ChoiceRecord("q1", context, question, choices, label, Place("dev.json", line))


def tokens_of(features, tokenizer):
    return [" ".join(tokenizer.tokens_of(row)) for row in features.token_ids]


def test_a_choice_follows_its_question_in_the_second_segment():
    [row] = choice_features([asked()], wordpiece())
    assert tokens_of(row, wordpiece()) == [
        "[CLS] a b c [SEP] what ? d [SEP]",
        "[CLS] a b c [SEP] what ? e f [SEP]",
    ]
    assert [ids.tolist() for ids in row.segment_ids] == [
        [0, 0, 0, 0, 0, 1, 1, 1, 1],
        [0, 0, 0, 0, 0, 1, 1, 1, 1, 1],
    ]
    assert (row.record, row.offsets, row.label) == (0, (5, 5), 1)


def test_a_choice_fills_every_blank_of_its_question():
    [row] = choice_features([asked(question="_ is __.")], wordpiece())
    assert tokens_of(row, wordpiece()) == [
        "[CLS] a b c [SEP] d is [UNK] . [SEP]",  # "dd"
        "[CLS] a b c [SEP] e f is e [UNK] f . [SEP]",  # "e fe f"
    ]


def test_an_underscore_of_a_choice_is_no_blank():
    [row] = choice_features([asked(choices=("_", "d"))], wordpiece())
    assert tokens_of(row, wordpiece())[0] == "[CLS] a b c [SEP] what ? _ [SEP]"


def test_question_and_choice_keep_their_end_and_the_context_its_beginning():
    record = asked("a b c d e", "what is ?", ("f", "f g h"))
    settings = {"max_length": 9, "max_choice_length": 4}
    [row] = choice_features([record], wordpiece(), **settings)
    assert tokens_of(row, wordpiece()) == [
        "[CLS] a b [SEP] what is ? f [SEP]",
        "[CLS] a b [SEP] ? f g h [SEP]",
    ]
    [row] = choice_features([record], wordpiece(), max_length=9)
    assert tokens_of(row, wordpiece())[1] == "[CLS] [SEP] what is ? f g h [SEP]"
    assert row.offsets == (4, 2)


def test_an_empty_second_segment_keeps_its_separator():
    [row] = choice_features([asked(question="", choices=("", "d"))], wordpiece())
    assert tokens_of(row, wordpiece())[0] == "[CLS] a b c [SEP] [SEP]"
    assert row.segment_ids[0].tolist() == [0, 0, 0, 0, 0, 1]


def test_sentencepiece_cleans_each_text_before_a_choice_fills_a_blank():
    # A full-width underscore is a blank once it is cleaned up, and choices have no spaces around.
    record = asked("The City", " in the \uff3f\u00e9 ", (" CITY ", "the"))
    [row] = choice_features([record], sentencepiece())
    context, *expected = (
        sentencepiece().token_ids([text])[0].numpy().tolist()
        for text in ("the city", "in the citye", "in the thee")
    )
    cls, sep = sentencepiece().cls_id, sentencepiece().sep_id
    assert [ids.tolist() for ids in row.token_ids] == [
        [cls, *context, sep, *second, sep] for second in expected
    ]


def test_wordpiece_takes_texts_as_they_stand():
    [row] = choice_features([asked(question="\uff3f", choices=(" d ", "e"))], wordpiece())
    assert tokens_of(row, wordpiece())[0] == "[CLS] a b c [SEP] [UNK] d [SEP]"


@pytest.mark.parametrize("tokenizer", [wordpiece, sentencepiece])
def test_many_questions_are_as_each_by_itself(tokenizer):
    records = [asked(), asked("b", "is _ ?"), asked(choices=("a", "b c")), asked("", "", ("", ""))]
    together = choice_features(records, tokenizer())
    assert [row.record for row in together] == [0, 1, 2, 3]
    for record, row in zip(records, together, strict=True):
        [alone] = choice_features([record], tokenizer())
        assert tokens_of(row, tokenizer()) == tokens_of(alone, tokenizer())
    assert choice_features([], tokenizer()) == []


def test_texts_are_tokenized_in_two_calls(monkeypatch):
    calls = []
    token_ids = WordPieceTokenizer.token_ids

    def counted(self, texts):
        calls.append(list(texts))
        return token_ids(self, texts)

    monkeypatch.setattr(WordPieceTokenizer, "token_ids", counted)
    choice_features([asked()] * 3, wordpiece())
    assert calls == [["a b c"], ["What ? d", "What ? e f"] * 3]


def test_inputs_are_padded_to_the_longest_choice():
    features = choice_features([asked(), asked("a", choices=("d", "e"))], wordpiece())
    inputs = choice_inputs(features, pad_id=7)
    assert {name: (value.shape, value.dtype) for name, value in inputs.items()} == dict.fromkeys(
        ("token_ids", "segment_ids", "padding_mask"), ((2, 2, 10), np.int32)
    )
    for row, ids, segments, mask in zip(features, *inputs.values(), strict=True):
        for choice, own in enumerate(row.token_ids):
            assert ids[choice].tolist() == [*own, *[7] * (10 - len(own))]
            assert mask[choice].tolist() == [1] * len(own) + [0] * (10 - len(own))
            assert segments[choice].sum() == len(own) - row.offsets[choice]
    assert choice_inputs(features, length=16)["token_ids"].shape == (2, 2, 16)
    assert choice_inputs([])["token_ids"].shape == (0, 0, 0)


def test_rows_and_labels_go_through_length_batches():
    records = [asked("a", label=0), asked("a b c d", label=1), asked("a b", label=0)]
    features = choice_features(records, wordpiece(), training=True)
    data = (choice_rows(features), {"logits": choice_labels(features)})
    batches = list(length_batches(data, 2).as_numpy_iterator())
    for (inputs, labels), order in zip(batches, ([1, 2], [0]), strict=True):
        expected = choice_inputs([features[i] for i in order])
        assert set(inputs) == set(expected)
        for name, value in expected.items():
            np.testing.assert_array_equal(inputs[name], value)
        assert labels["logits"].tolist() == [records[i].label for i in order]


def test_a_label_may_be_unknown_unless_it_is_needed():
    features = choice_features([asked(), asked(label=None)], wordpiece())
    assert [row.label for row in features] == [1, None]
    with pytest.raises(InputError) as error:
        choice_labels(features)
    assert str(error.value) == "All questions must have a label. Received: none for record 1"


def test_rows_of_different_numbers_of_choices_are_no_batch():
    features = [
        *choice_features([asked()], wordpiece()),
        *choice_features([asked(choices=("a", "b", "c"))], wordpiece()),
    ]
    with pytest.raises(InputError) as error:
        choice_inputs(features)
    assert str(error.value) == (
        "All questions of a batch must have the same number of choices. Received: choices=[2, 3]"
    )


@pytest.mark.parametrize(
    ("changes", "settings", "message"),
    [
        (
            {"choices": ()},
            {},
            "A question must have choices, at dev.json:9. Received: id='q1', choices=0",
        ),
        (
            {"choices": ("a", "b", "c")},
            {},
            "All questions must have as many choices as the first, 2, at dev.json:9. "
            "Received: id='q1', choices=3",
        ),
        (
            {"label": 2},
            {},
            "A label must be the index of one of 2 choices, from 0, at dev.json:9. "
            "Received: id='q1', label=2",
        ),
        (
            {"label": -1},
            {},
            "A label must be the index of one of 2 choices, from 0, at dev.json:9. "
            "Received: id='q1', label=-1",
        ),
        (
            {"label": None},
            {"training": True},
            "A question to train on must have a label, at dev.json:9. Received: id='q1'",
        ),
        (
            {"choices": ("a b c", "d")},
            {"max_length": 7},
            "Question and choice must fit max_length with three special tokens, at dev.json:9. "
            "Received: max_length=7, tokens=5",
        ),
    ],
)
def test_a_question_that_cannot_be_an_input_is_refused_by_line(changes, settings, message):
    records = [asked(), asked(**changes, line=9)]
    with pytest.raises(InputError) as error:
        choice_features(records, wordpiece(), **settings)
    assert str(error.value) == message


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (
            {"max_length": 3},
            "max_length must leave room for a token and three special ones. Received: max_length=3",
        ),
        (
            {"max_choice_length": 0},
            "max_choice_length must be at least 1. Received: max_choice_length=0",
        ),
        (
            {"max_sequence_length": 64},
            "max_length cannot exceed the model's max_sequence_length. "
            "Received: max_length=512, max_sequence_length=64",
        ),
    ],
)
def test_settings_that_cannot_work_are_refused(settings, message):
    with pytest.raises(InputError) as error:
        choice_features([asked()], wordpiece(), **settings)
    assert str(error.value) == message


@needs_shared
@pytest.mark.parametrize("family", FAMILIES)
def test_dream_has_three_choices_a_question(family):
    tokenizer = tokenizer_of(family, "uncased_30522.txt", True)
    path = SHARED / "data/DREAM/dev.json"
    questions = [
        (turns, question) for turns, given, _ in json.loads(path.read_bytes()) for question in given
    ]
    rights = [question["choice"].index(question["answer"]) for _, question in questions]

    features = choice_features(list(read_records(path, "choice")), tokenizer, training=True)
    inputs = choice_inputs(features, pad_id=tokenizer.pad_id)
    count, longest = len(questions), inputs["token_ids"].shape[2]
    assert inputs["token_ids"].shape == inputs["segment_ids"].shape == (count, 3, longest)
    assert longest <= 512
    assert collections.Counter(choice_labels(features).tolist()) == collections.Counter(rights)
    last = inputs["padding_mask"].sum(axis=-1, keepdims=True) - 1
    assert (inputs["token_ids"][..., 0] == tokenizer.cls_id).all()
    assert (np.take_along_axis(inputs["token_ids"], last, axis=-1) == tokenizer.sep_id).all()
    assert (np.take_along_axis(inputs["segment_ids"], last, axis=-1) == 1).all()
    assert ((inputs["token_ids"] == tokenizer.sep_id).sum(axis=-1) == 2).all()
    # The first segment is the dialogue, as far as there is room for it.
    for (turns, _), row in list(zip(questions, features, strict=True))[::100]:
        [context] = tokenizer.token_ids(["\n".join(turns)]).to_list()
        for ids, offset in zip(row.token_ids, row.offsets, strict=True):
            assert ids[1 : offset - 1].tolist() == context[: offset - 2]
            assert len(context) == offset - 2 or len(ids) == 512
