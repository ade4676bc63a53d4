"""Exact match and F1 of answers, as SQuAD's official programs count them."""

import collections
import re
import string
from collections.abc import Iterable, Mapping, Sequence, Sized
from typing import NamedTuple

from keras_albert.data.features.addition import added
from keras_albert.data.messages import bad
from keras_albert.data.records import QuestionRecord
from keras_albert.errors import InputError

_ARTICLES = re.compile(r"\b(a|an|the)\b")
_PUNCTUATION = str.maketrans("", "", string.punctuation)


def normalize_answer(text: str) -> str:
    """An answer in lower case, without ASCII punctuation, articles and superfluous white space."""
    text = text.lower().translate(_PUNCTUATION)
    return " ".join(_ARTICLES.sub(" ", text).split())


def exact_match(answer: str, prediction: str) -> float:
    """1.0 if both are the same once normalized, else 0.0."""
    return float(normalize_answer(answer) == normalize_answer(prediction))


def f1_score(answer: str, prediction: str) -> float:
    """The harmonic mean of precision and recall over normalized words, as SQuAD 2 has it.

    Where one of the two has no word left, the score is 1 if the other has none either; SQuAD 1
    counts such an answer as missed.
    """
    answer_words = normalize_answer(answer).split()
    predicted_words = normalize_answer(prediction).split()
    if not answer_words or not predicted_words:
        return float(answer_words == predicted_words)
    return _f1(answer_words, predicted_words)


def f1_score_v1(answer: str, prediction: str) -> float:
    """`f1_score` as SQuAD 1 has it: 0 where one of the two has no word left."""
    return _f1(normalize_answer(answer).split(), normalize_answer(prediction).split())


def _f1(answer: Sequence[str], prediction: Sequence[str]) -> float:
    common = collections.Counter(answer) & collections.Counter(prediction)
    same = sum(common.values())
    if not same:
        return 0.0
    precision, recall = same / len(prediction), same / len(answer)
    return 2 * precision * recall / (precision + recall)


class Scores(NamedTuple):
    """Exact match and F1 of each question that has a prediction, by its id."""

    exact: dict[str, float]
    f1: dict[str, float]


def score_answers(records: Iterable[QuestionRecord], predictions: Mapping[str, str]) -> Scores:
    """SQuAD 2's scores of single questions: the best over a question's answers.

    Answers of which nothing is left once normalized do not count; a question without answers has
    the answer "".
    """
    scores = Scores({}, {})
    for record in records:
        if record.id in predictions:
            texts = [text for text, _ in record.answers if normalize_answer(text)] or [""]
            predicted = predictions[record.id]
            scores.exact[record.id] = max(exact_match(text, predicted) for text in texts)
            scores.f1[record.id] = max(f1_score(text, predicted) for text in texts)
    return scores


def evaluate_v1(
    records: Sequence[QuestionRecord], predictions: Mapping[str, str]
) -> dict[str, float]:
    """SQuAD 1's `exact_match` and `f1` in percent; a question without prediction scores 0.

    Source: SQuAD's evaluate-v1.1.py.

    Args:
        records: Questions, each with at least one answer.
        predictions: Answers by the question's id.

    Raises:
        InputError: There is no question, or one has no answer.
    """
    totals = {"exact_match": 0.0, "f1": 0.0}
    for record in records:
        if not record.answers:
            rule = "SQuAD 1's scores are of questions that must have an answer"
            raise bad(rule, record.place, id=record.id)
        if record.id in predictions:
            predicted = predictions[record.id]
            totals["exact_match"] += max(exact_match(text, predicted) for text, _ in record.answers)
            totals["f1"] += max(f1_score_v1(text, predicted) for text, _ in record.answers)
    check_any(records)
    return {name: 100.0 * total / len(records) for name, total in totals.items()}


def evaluate_v2(
    records: Sequence[QuestionRecord],
    predictions: Mapping[str, str],
    null_odds: Mapping[str, float] | None = None,
    null_threshold: float = 1.0,
) -> dict[str, float]:
    """SQuAD 2's scores in percent, under their official names.

    Source: SQuAD's evaluate-v2.0.py.

    Args:
        records: Questions, with answers and without.
        predictions: Answers by the question's id, "" for none; the others are not counted.
        null_odds: How much speaks for no answer (the official `na_prob`), by the question's id.
        null_threshold: Where the odds exceed this, no answer counts, whatever was predicted.

    Returns:
        `exact`, `f1` and `total`, and the same of questions that have an answer (`HasAns_…`) and
        of those that have none (`NoAns_…`), where there are such.

    Raises:
        InputError: No question has a prediction.
    """
    scores = score_answers(records, predictions)
    check_any(scores.exact)
    answerable = {record.id: bool(record.answers) for record in records}
    if null_odds is not None:
        for by_id in scores:
            for key in by_id:
                if null_odds[key] > null_threshold:
                    by_id[key] = float(not answerable[key])
    found = _means(scores, list(scores.exact), "")
    for prefix, wanted in (("HasAns_", True), ("NoAns_", False)):
        keys = [key for key in scores.exact if answerable[key] is wanted]
        if keys:
            found |= _means(scores, keys, prefix)
    return found


def best_threshold(
    records: Sequence[QuestionRecord],
    predictions: Mapping[str, str],
    scores: Mapping[str, float],
    null_odds: Mapping[str, float],
) -> tuple[float, float]:
    """The highest score in percent that any threshold on the odds gives, and that threshold.

    Questions whose odds do not exceed it keep their prediction. As in the original, unanswerable
    questions without prediction count as right, yet not among the questions that are counted.

    Source: SQuAD's evaluate-v2.0.py, `find_best_thresh`.

    Args:
        records: The questions.
        predictions: The answer of each if it has one, by its id.
        scores: One of `score_answers`' two.
        null_odds: How much speaks for no answer, by the question's id.

    Raises:
        InputError: There are no scores.
    """
    check_any(scores)
    answerable = {record.id: bool(record.answers) for record in records}
    score = best = float(sum(not has for has in answerable.values()))
    threshold = 0.0
    for key in sorted(null_odds, key=lambda key: null_odds[key]):
        if key in scores:
            score += scores[key] if answerable[key] else -float(bool(predictions[key]))
            if score > best:
                best, threshold = score, null_odds[key]
    return 100.0 * best / len(scores), threshold


def _means(scores: Scores, keys: Sequence[str], prefix: str) -> dict[str, float]:
    means = {
        f"{prefix}{name}": 100.0 * added(by_id[key] for key in keys) / len(keys)
        for name, by_id in scores._asdict().items()
    }
    return means | {f"{prefix}total": len(keys)}


def check_any(counted: Sized) -> None:
    """Raises `InputError` where there is nothing to count."""
    if not counted:
        raise InputError("Scores are of at least one question with a prediction. Received: none")
