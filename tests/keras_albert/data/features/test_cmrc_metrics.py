"""By hand: no golden numbers of the official program are at hand."""

import pytest

from keras_albert.data.features import evaluate_cmrc
from keras_albert.data.features.cmrc_metrics import exact_match, f1_score, segments
from keras_albert.data.records import Answer, Place, QuestionRecord
from keras_albert.errors import InputError


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("中国", ["中", "国"]),
        ("在2018年的Apple公司", ["在", "2018", "年", "的", "apple", "公", "司"]),
        ("《红楼梦》、《水浒》", ["红", "楼", "梦", "水", "浒"]),
        ("New York", ["new", "york"]),
        ("A-B 1,000.5%", ["ab", "1,000.5", "%"]),  # a hyphen vanishes, and joins what it parted
        ("它是U.S.", ["它", "是", "u.s", "."]),
        ("", []),
    ],
)
def test_chinese_is_cut_into_characters_and_the_rest_into_words(text, expected):
    assert segments(text) == expected


def test_marks_case_and_white_space_around_do_not_count():
    assert exact_match("《红楼梦》", " 红楼梦。 ") == 1.0
    assert exact_match("IBM公司", "ibm公司") == 1.0
    assert exact_match("红楼梦", "红 楼梦") == 0.0


@pytest.mark.parametrize(
    ("answer", "prediction", "expected"),
    [
        ("北京大学", "北京大学", 1.0),
        ("北京大学", "北京", 2 * 1.0 * 0.5 / 1.5),
        ("北京大学", "北方大学", 0.5),  # only the longest run: two of four, not three
        ("在1998年", "1998年5月", 2 * (2 / 4) * (2 / 3) / (2 / 4 + 2 / 3)),
        ("北京", "上海", 0.0),
        ("", "上海", 0.0),
    ],
)
def test_f1_is_of_the_longest_run_in_common(answer, prediction, expected):
    assert f1_score(answer, prediction) == pytest.approx(expected)
    assert f1_score(prediction, answer) == pytest.approx(expected)


def question(key, *answers):
    given = tuple(Answer(text, 0) for text in answers)
    return QuestionRecord(key, "?", "", given, False, Place("cmrc.json", 2))


def test_totals_are_in_percent_of_all_questions():
    records = [question("a", "上海", "北京大学"), question("b", "上海"), question("c")]
    found = evaluate_cmrc(records, {"a": "北京", "c": "x"})
    f1 = 100 * (2 / 3) / 3
    assert found == {"exact_match": 0.0, "f1": pytest.approx(f1), "average": pytest.approx(f1 / 2)}
    assert evaluate_cmrc(records[1:2], {"b": "上海。"})["average"] == 100.0


def test_nothing_has_no_score():
    with pytest.raises(InputError, match="at least one question"):
        evaluate_cmrc([], {})
