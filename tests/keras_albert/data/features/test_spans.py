import pytest

from keras_albert.data.features import tokens_between
from keras_albert.tokenization import WordPieceTokenizer
from tests.keras_albert.data.features.reference import load
from tests.paths import REFERENCE, SHARED, needs_shared


@needs_shared
def test_the_answers_of_cmrc_have_the_reference_tokens():
    cases = load(REFERENCE / "ner_chinese/cmrc_offsets.jsonl.gz")
    tokenizer = WordPieceTokenizer(SHARED / "real/vocab/chinese_21128.txt", lower_case=True)
    _, starts, ends = tokenizer.spans([case["text"] for case in cases])
    answers = 0
    for case, *edges in zip(cases, starts.to_list(), ends.to_list(), strict=True):
        offsets = list(zip(*edges, strict=True))
        for answer in case["answers"]:
            expected = (answer["token_start"], answer["token_end"])
            assert tokens_between(case["offsets"], answer["start"], answer["end"]) == expected
            assert tokens_between(offsets, answer["start"], answer["end"]) == expected
            answers += 1
    assert answers > 100


@pytest.mark.parametrize(
    ("start", "end", "expected"),
    [(0, 2, (0, 0)), (1, 3, (0, 1)), (0, 9, (0, 2)), (6, 7, None), (5, 8, (1, 2)), (3, 3, None)],
)
def test_every_token_counts_that_shares_a_character(start, end, expected):
    offsets = [(0, 2), (2, 6), (7, 8)]
    assert tokens_between(offsets, start, end) == expected


def test_a_text_without_tokens_has_none():
    assert tokens_between([], 0, 5) is None
