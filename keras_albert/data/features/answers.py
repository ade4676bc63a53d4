"""A model's scores for windows to answers of questions, as Google's SQuAD programs read them."""

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from keras_albert.data.features.addition import added
from keras_albert.data.features.answer_rules import Pairs, Results, Rules, best_indices, rules_of
from keras_albert.data.features.questions import QuestionFeatures
from keras_albert.data.messages import bad
from keras_albert.data.records import QuestionRecord
from keras_albert.errors import InputError


class Candidate(NamedTuple):
    """A possible answer; the probabilities of a question's candidates add up to 1."""

    text: str  # "" for no answer
    probability: float
    start_score: float
    end_score: float


class Prediction(NamedTuple):
    """What a question is answered with, and what else it might have been.

    `null_odds` says how much speaks for no answer, to be held against a threshold; None where
    every question has an answer.
    """

    id: str
    text: str  # "" for no answer
    candidates: tuple[Candidate, ...]  # the best first
    null_odds: float | None


class _Spans(NamedTuple):
    """Tokens `first` to `last` of windows, and their scores: arrays [spans]."""

    window: np.ndarray
    first: np.ndarray
    last: np.ndarray
    start_score: np.ndarray
    end_score: np.ndarray


def decode_answers(
    records: Sequence[QuestionRecord],
    features: Sequence[QuestionFeatures],
    results: Results | Sequence[Results],
    *,
    rules: str,
    n_best: int = 20,
    max_answer_length: int = 30,
    null_threshold: float | None = None,
) -> list[Prediction]:
    """The answer to every question.

    | rules | outputs | the originals |
    |---|---|---|
    | `"spans"` | `start_logits`, `end_logits` | BERT and ALBERT on SQuAD 1 |
    | `"spans_or_null"` | the same | BERT on SQuAD 2 |
    | `"beams"` | `start_top_…`, `end_top_…`, `unanswerable_logits` | ALBERT on SQuAD 2 |

    A span counts if it lies in the context, its start has its widest context in this window, and it
    is not too long. With `"spans_or_null"`, `[CLS]` is a span too, and the odds of no answer are
    its scores, the lowest of all windows, less those of the best answer; with `"beams"` they are
    the lowest `unanswerable_logits`. Equal scores keep the order of windows, starts and ends.

    Source: google-research/bert, run_squad.py, `write_predictions`; google-research/albert,
    squad_utils.py, `accumulate_predictions_v1`, `write_predictions_v1` and their `_v2`.

    Args:
        records: The questions.
        features: Their windows.
        results: The model's outputs, of each one row for every window; of as many positions as
            the windows had when the model saw them, padding included. Several models' outputs are
            averaged, of a span over those models that propose it.
        rules: See above.
        n_best: How many starts and ends are combined with each other, and how many answers are
            kept (Google's `n_best_size`).
        max_answer_length: Most tokens of an answer.
        null_threshold: A question has no answer where the odds exceed this (`"spans_or_null"`,
            where Google's default is 0) or reach it (`"beams"`); None answers every question.

    Raises:
        InputError: Results, features and records do not belong to each other, a setting is out of
            range, or, with `"spans_or_null"`, a question has no span to weigh no answer against.
    """
    chosen = rules_of(rules)
    for name, value in (("n_best", n_best), ("max_answer_length", max_answer_length)):
        if value < 1:
            raise InputError(f"{name} must be at least 1. Received: {name}={value}")
    models = [results] if isinstance(results, Mapping) else list(results)
    windows_of = _windows_of(records, features, models, chosen)
    predictions = []
    for record, windows in zip(records, windows_of, strict=True):
        proposals = [
            _fitting(
                features[window], window, chosen.pairs(model, window, n_best), max_answer_length
            )
            for model in models
            for window in windows
        ]
        spans = _averaged(proposals)
        null = chosen.null_span(models, windows) if chosen.null_span else None
        scores = _best_texts(spans, null, features, n_best) or dict([chosen.nothing])
        candidates = _candidates(scores)
        odds = chosen.null_odds(models, windows) if chosen.null_odds else None
        if null:
            best = next((c for c in candidates if c.text), None)
            if best is None:
                rule = "A question needs a span that may be its answer, to weigh no answer against"
                raise bad(
                    rule,
                    record.place,
                    id=record.id,
                    n_best=n_best,
                    max_answer_length=max_answer_length,
                )
            odds = sum(null) - best.start_score - best.end_score
        predictions.append(Prediction(record.id, "", candidates, odds))
    return with_null_threshold(predictions, null_threshold, rules=rules)


def with_null_threshold(
    predictions: Iterable[Prediction], null_threshold: float | None, *, rules: str
) -> list[Prediction]:
    """The predictions with their texts chosen anew; see `decode_answers`."""
    chosen = rules_of(rules)
    answered = []
    for prediction in predictions:
        texts = (c.text for c in prediction.candidates)
        # Only where no answer is a candidate is an empty text one: ALBERT has pieces of a space.
        text = next(filter(None, texts)) if chosen.null_span else next(texts)
        odds = prediction.null_odds
        if odds is not None and null_threshold is not None and chosen.is_null(odds, null_threshold):
            text = ""
        answered.append(prediction._replace(text=text))
    return answered


def _windows_of(
    records: Sequence[QuestionRecord],
    features: Sequence[QuestionFeatures],
    models: Sequence[Results],
    rules: Rules,
) -> list[list[int]]:
    """The windows of each record, once results, features and records are seen to match."""
    for model in models:
        for name in rules.outputs:
            if name not in model:
                raise InputError(f"results must have {list(rules.outputs)}. Received: no {name}")
            if len(model[name]) != len(features):
                raise InputError(
                    "results must have one row for each window. Received: "
                    f"{len(model[name])} rows of {name}, {len(features)} windows"
                )
    windows: list[list[int]] = [[] for _ in records]
    for index, window in enumerate(features):
        if window.record >= len(records):
            raise InputError(
                "features must come from these records. Received: a window of record "
                f"{window.record}, {len(records)} records"
            )
        windows[window.record].append(index)
        for model in models if rules.per_position else ():
            for name in rules.outputs:
                if len(model[name][index]) < len(window.token_ids):
                    raise InputError(
                        "results must have as many positions as the windows have tokens. Received: "
                        f"{len(model[name][index])} positions of {name}, "
                        f"{len(window.token_ids)} tokens"
                    )
    return windows


def _fitting(
    features: QuestionFeatures, window: int, pairs: Pairs, max_answer_length: int
) -> _Spans:
    """The pairs that may be an answer, in the order of starts, then of ends."""
    first, last = np.broadcast_arrays(pairs.starts - features.offset, pairs.ends - features.offset)
    length = features.window.length
    inside = (first >= 0) & (last >= first) & (last < length) & (last - first < max_answer_length)
    inside &= features.max_context[np.where(inside, first, 0)]
    start_scores, end_scores = np.broadcast_arrays(pairs.start_scores, pairs.end_scores)
    return _Spans(
        np.full(np.count_nonzero(inside), window),
        first[inside],
        last[inside],
        start_scores[inside],
        end_scores[inside],
    )


def _averaged(proposals: Sequence[_Spans]) -> _Spans:
    """Spans window by window, in the order in which they were proposed first."""
    if not proposals:
        return _Spans(*np.zeros((5, 0)))
    spans = _Spans(*(np.concatenate(parts) for parts in zip(*proposals, strict=True)))
    # One number for window, first and last token.
    keys = ((spans.window << 40) + (spans.first << 20)) + spans.last
    _, once, which, times = np.unique(
        keys, return_index=True, return_inverse=True, return_counts=True
    )
    order = np.lexsort((once, spans.window[once]))
    means = [np.bincount(which, scores)[order] / times[order] for scores in spans[3:]]
    return _Spans(*(part[once[order]] for part in spans[:3]), *means)


def _best_texts(
    spans: _Spans,
    null: tuple[float, float] | None,
    features: Sequence[QuestionFeatures],
    n_best: int,
) -> dict[str, tuple[float, float]]:
    """The different texts of the best spans and their scores, no answer ("") among them."""
    starts, ends = spans.start_score, spans.end_score
    if null:
        starts, ends = np.append(starts, null[0]), np.append(ends, null[1])
    texts: dict[str, tuple[float, float]] = {}
    for i in best_indices(starts + ends, len(starts)).tolist():
        if len(texts) == n_best:
            break
        text = ""
        if i < len(spans.window):
            window = features[spans.window[i]]
            begin = window.window.start
            text = window.context.text(begin + spans.first[i], begin + spans.last[i])
        texts.setdefault(text, (float(starts[i]), float(ends[i])))
    if null:
        texts.setdefault("", null)
    return texts


def _candidates(scores: Mapping[str, tuple[float, float]]) -> tuple[Candidate, ...]:
    probabilities = softmax([start + end for start, end in scores.values()])
    return tuple(
        Candidate(text, probability, start, end)
        for (text, (start, end)), probability in zip(scores.items(), probabilities, strict=True)
    )


def softmax(scores: Sequence[float]) -> list[float]:
    """Probabilities, added up in the original's order so that their last digits agree."""
    highest = max(scores, default=0.0)
    exponentials = [math.exp(score - highest) for score in scores]
    total = added(exponentials)
    return [value / total for value in exponentials]
