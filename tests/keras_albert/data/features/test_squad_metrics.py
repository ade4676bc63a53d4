import pytest

from keras_albert.data.features import best_threshold, evaluate_v1, evaluate_v2, score_answers
from keras_albert.data.features.squad_metrics import (
    exact_match,
    f1_score,
    f1_score_v1,
    normalize_answer,
)
from keras_albert.data.readers import read_records
from keras_albert.data.records import Answer, Place, QuestionRecord
from keras_albert.errors import InputError
from tests.keras_albert.data.features.reference import load
from tests.paths import REFERENCE, SHARED, needs_shared

POSTPROCESS = REFERENCE / "squad_postprocess"
SETS = pytest.mark.parametrize("name", ["a", "b_missing"])


def questions(articles):
    """The questions of some articles of the development set, in its order."""
    path = SHARED / "data/SQuAD2/dev-v2.0-16articles.json"
    listed = load(path)["data"]
    paragraphs = [paragraph for index in articles for paragraph in listed[index]["paragraphs"]]
    wanted = {question["id"] for paragraph in paragraphs for question in paragraph["qas"]}
    return [record for record in read_records(path, "question") if record.id in wanted]


def a_set(name):
    expected = load(POSTPROCESS / f"metrics_{name}_expected.json")
    given = load(POSTPROCESS / f"metrics_{name}_predictions.json.gz")
    return questions(expected["articles"]), given["predictions"], given["na_probs"], expected


@needs_shared
@SETS
def test_every_question_scores_as_in_the_official_program(name):
    records, predictions, _, _ = a_set(name)
    scores = score_answers(records, predictions)
    assert scores._asdict() == load(POSTPROCESS / f"metrics_{name}_raw_scores.json.gz")


@needs_shared
@SETS
def test_totals_and_best_thresholds_are_the_official_ones(name):
    records, predictions, odds, expected = a_set(name)
    for threshold, totals in expected["by_threshold"].items():
        assert evaluate_v2(records, predictions, odds, float(threshold)) == totals
    scores = score_answers(records, predictions)
    best = {}
    for key, by_id in (("exact", scores.exact), ("f1", scores.f1)):
        found = best_threshold(records, predictions, by_id, odds)
        best |= dict(zip((f"best_{key}", f"best_{key}_thresh"), found, strict=True))
    assert best == expected["best"]
    answerable = [record for record in records if record.answers]
    assert evaluate_v1(answerable, predictions) == expected["evaluate_v1_answerable_only"]


@needs_shared
def test_answers_are_normalized_as_in_the_official_programs():
    for case in load(POSTPROCESS / "normalize_answer.json"):
        assert normalize_answer(case["text"]) == case["v1"] == case["v2"]


@needs_shared
def test_pairs_score_as_in_the_official_programs():
    for case in load(POSTPROCESS / "score_pairs.jsonl"):
        pair = case["gold"], case["pred"]
        assert exact_match(*pair) == case["v1_exact"] == case["v2_exact"]
        assert (f1_score_v1(*pair), f1_score(*pair)) == (case["v1_f1"], case["v2_f1"])


# By hand.


def question(key, *answers):
    given = tuple(Answer(text, 0) for text in answers)
    return QuestionRecord(key, "?", "", given, not answers, Place("dev.json", 2))


RECORDS = [
    question("both", "the big house", "house"),
    question("half", "two words"),
    question("none"),
    question("nothing", "...", "the"),  # nothing is left of either: as if there were none
    question("missing", "x"),
]
PREDICTIONS = {"both": "House!", "half": "words", "none": "something", "nothing": ""}


def test_case_punctuation_and_articles_do_not_count():
    assert normalize_answer("  The U.S.A., an\tapple ") == "usa apple"
    assert exact_match("the-rapist", "Therapist") == 1.0


def test_f1_is_of_words_as_often_as_they_occur():
    assert f1_score("a b b c", "b b d") == pytest.approx(2 * (2 / 3) * (2 / 3) / (4 / 3))
    assert f1_score("b", "c") == 0.0


def test_two_answers_of_nothing_agree_in_squad_2_only():
    assert (f1_score("the", "."), f1_score_v1("the", ".")) == (1.0, 0.0)
    assert f1_score("the", "x") == 0.0


def test_the_best_of_a_questions_answers_counts():
    scores = score_answers(RECORDS, PREDICTIONS)
    assert scores.exact == {"both": 1.0, "half": 0.0, "none": 0.0, "nothing": 1.0}
    assert scores.f1 == {"both": 1.0, "half": pytest.approx(2 / 3), "none": 0.0, "nothing": 1.0}


def test_totals_are_in_percent_of_the_predictions():
    found = evaluate_v2(RECORDS, PREDICTIONS)
    assert (found["exact"], found["total"]) == (50.0, 4)
    assert (found["HasAns_exact"], found["HasAns_total"]) == (pytest.approx(200 / 3), 3)
    assert (found["NoAns_exact"], found["NoAns_total"]) == (0.0, 1)
    assert "NoAns_total" not in evaluate_v2(RECORDS[:1], PREDICTIONS)


def test_odds_above_the_threshold_mean_no_answer():
    odds = {"both": 0.9, "half": 0.1, "none": 0.8, "nothing": 0.8}
    found = evaluate_v2(RECORDS, PREDICTIONS, odds, 0.8)
    assert (found["HasAns_exact"], found["NoAns_exact"]) == (pytest.approx(100 / 3), 0.0)
    assert evaluate_v2(RECORDS, PREDICTIONS, odds, 0.7)["NoAns_exact"] == 100.0


def test_the_best_threshold_keeps_what_is_right():
    odds = {"both": 0.2, "half": 0.1, "none": 0.8, "nothing": 0.5, "unknown": 0.0}
    scores = score_answers(RECORDS, PREDICTIONS).exact
    # One unanswerable question, and two right answers up to 0.5; at 0.8 one is lost.
    assert best_threshold(RECORDS, PREDICTIONS, scores, odds) == (75.0, 0.5)


def test_in_squad_1_a_missing_prediction_scores_nothing():
    records = [RECORDS[0], RECORDS[1], RECORDS[4]]
    found = evaluate_v1(records, PREDICTIONS)
    assert found == {"exact_match": pytest.approx(100 / 3), "f1": pytest.approx(500 / 9)}


def test_squad_1_has_no_question_without_answer():
    with pytest.raises(InputError) as error:
        evaluate_v1(RECORDS, PREDICTIONS)
    assert str(error.value) == (
        "SQuAD 1's scores are of questions that must have an answer, at dev.json:2. "
        "Received: id='none'"
    )


@pytest.mark.parametrize(
    "score",
    [
        lambda: evaluate_v1([], {}),
        lambda: evaluate_v2(RECORDS, {}),
        lambda: best_threshold(RECORDS, {}, {}, {}),
    ],
)
def test_nothing_has_no_score(score):
    with pytest.raises(InputError, match="at least one question with a prediction"):
        score()
