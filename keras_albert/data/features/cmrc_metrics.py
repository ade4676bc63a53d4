"""Exact match and F1 of Chinese answers, as CMRC 2018's official program counts them."""

import re
from collections.abc import Mapping, Sequence

import numpy as np

from keras_albert.data.features.squad_metrics import check_any
from keras_albert.data.records import QuestionRecord

# The marks that vanish. The official list has neither "." nor ","; its "……" meets no character.
_MARKS = dict.fromkeys(map(ord, "-:_*^/\\~`+=，。：？！“”；’《》·、「」（）－～『』"))  # noqa: RUF001
# A Chinese character, or what is not one, nor white space: a number, a word, any other sign.
_PARTS = re.compile("[\u4e00-\u9fa5]|[^\\W\u4e00-\u9fa5]+(?:[.,'][^\\W\u4e00-\u9fa5]+)*|[^\\w\\s]")


def segments(text: str) -> list[str]:
    """Chinese characters one by one and other words whole, in lower case, without marks."""
    return _PARTS.findall(text.lower().translate(_MARKS))


def exact_match(answer: str, prediction: str) -> float:
    """1.0 if both are the same without case, marks and white space around them, else 0.0."""
    return float(_plain(answer) == _plain(prediction))


def f1_score(answer: str, prediction: str) -> float:
    """The harmonic mean of precision and recall of the longest run of segments in common."""
    ours, theirs = segments(answer), segments(prediction)
    common = _longest_run(ours, theirs)
    if not common:
        return 0.0
    precision, recall = common / len(theirs), common / len(ours)
    return 2 * precision * recall / (precision + recall)


def evaluate_cmrc(
    records: Sequence[QuestionRecord], predictions: Mapping[str, str]
) -> dict[str, float]:
    """CMRC 2018's `exact_match` and `f1` in percent, and their mean, `average`.

    Each question counts with the answer that it matches best, and scores 0 without a prediction.
    This follows cmrc2018_evaluate.py from its description; no golden numbers of it were at hand.
    It splits what is not Chinese with NLTK, whose rules ("don't" is two words there) are not
    repeated here: answers with English text may score slightly differently.

    Raises:
        InputError: There is no question.
    """
    check_any(records)
    totals = {"exact_match": 0.0, "f1": 0.0}
    for record in records:
        if record.id in predictions:
            predicted = predictions[record.id]
            for name, metric in (("exact_match", exact_match), ("f1", f1_score)):
                totals[name] += max(
                    (metric(text, predicted) for text, _ in record.answers), default=0.0
                )
    scores = {name: 100.0 * total / len(records) for name, total in totals.items()}
    return scores | {"average": (scores["exact_match"] + scores["f1"]) / 2}


def _plain(text: str) -> str:
    return text.lower().strip().translate(_MARKS)


def _longest_run(first: Sequence[str], second: Sequence[str]) -> int:
    """The length of the longest sequence of segments that both have without a gap."""
    numbers = {part: number for number, part in enumerate(dict.fromkeys([*first, *second]))}
    columns = np.array([numbers[part] for part in second], np.int32)
    runs = np.zeros(len(columns) + 1, np.int32)
    longest = 0
    for part in first:
        runs[1:] = (runs[:-1] + 1) * (columns == numbers[part])
        longest = max(longest, int(runs.max()))
    return longest
