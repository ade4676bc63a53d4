"""Which spans Google's SQuAD programs take for possible answers, and when they give none."""

import operator
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from keras_albert.data.features.addition import added
from keras_albert.errors import InputError

# A model's outputs by name; of each, one row for every window.
Results = Mapping[str, Sequence[Any]]


class Pairs(NamedTuple):
    """Starts [S, 1] to combine with ends [1 or S, E], positions in a window, and their scores."""

    starts: np.ndarray
    ends: np.ndarray
    start_scores: np.ndarray
    end_scores: np.ndarray


class Rules(NamedTuple):
    """What the programs differ in.

    Attributes:
        outputs: What they read of a model.
        per_position: Whether these have a value for every position of a window.
        pairs: The starts and ends that a model proposes for a window.
        null_span: The scores of `[CLS]` as an answer, where that is a candidate.
        null_odds: What speaks for no answer, where a model says so itself.
        is_null: Whether odds and a threshold mean no answer.
        nothing: Text and scores where there is no candidate.
    """

    outputs: tuple[str, ...]
    per_position: bool
    pairs: Callable[[Results, int, int], Pairs]
    null_span: Callable[[Sequence[Results], Sequence[int]], tuple[float, float]] | None = None
    null_odds: Callable[[Sequence[Results], Sequence[int]], float] | None = None
    is_null: Callable[[float, float], bool] = operator.gt
    nothing: tuple[str, tuple[float, float]] = ("empty", (0.0, 0.0))


def best_indices(scores: Any, count: int) -> np.ndarray:
    """Where the highest scores stand, the highest first, of equal ones the first."""
    return np.argsort(-np.asarray(scores, np.float64), kind="stable")[:count]


def _pairs_of_logits(result: Results, window: int, n_best: int) -> Pairs:
    """The best starts with the best ends."""
    start_logits, end_logits = (
        np.asarray(result[name][window], np.float64) for name in ("start_logits", "end_logits")
    )
    starts, ends = best_indices(start_logits, n_best), best_indices(end_logits, n_best)
    return Pairs(starts[:, None], ends[None], start_logits[starts][:, None], end_logits[ends][None])


def _pairs_of_beams(result: Results, window: int, n_best: int) -> Pairs:
    """The starts that the model chose, each with its own ends."""
    starts = np.asarray(result["start_top_index"][window])[:, None]
    start_scores = np.asarray(result["start_top_log_probs"][window], np.float64)[:, None]
    beams = (len(starts), -1)
    ends = np.reshape(result["end_top_index"][window], beams)
    end_scores = np.reshape(np.asarray(result["end_top_log_probs"][window], np.float64), beams)
    return Pairs(starts, ends, start_scores, end_scores)


def _null_span(models: Sequence[Results], windows: Sequence[int]) -> tuple[float, float]:
    """The scores of `[CLS]` in the window where they are lowest, averaged over the models."""
    lowest = []
    for model in models:
        scores = [
            (float(model["start_logits"][window][0]), float(model["end_logits"][window][0]))
            for window in windows
        ]
        lowest.append(min(scores, key=sum, default=(0.0, 0.0)))
    start, end = zip(*lowest, strict=True)
    return added(start) / len(models), added(end) / len(models)


def _lowest_unanswerable(models: Sequence[Results], windows: Sequence[int]) -> float:
    """The lowest logit of the windows, averaged over the models; certain without a window."""
    lowest = (
        min((float(model["unanswerable_logits"][window]) for window in windows), default=1000000)
        for model in models
    )
    return added(lowest) / len(models)


RULES = {
    "spans": Rules(("start_logits", "end_logits"), True, _pairs_of_logits),
    "spans_or_null": Rules(
        ("start_logits", "end_logits"), True, _pairs_of_logits, null_span=_null_span
    ),
    "beams": Rules(
        (
            "start_top_log_probs",
            "start_top_index",
            "end_top_log_probs",
            "end_top_index",
            "unanswerable_logits",
        ),
        False,
        _pairs_of_beams,
        null_odds=_lowest_unanswerable,
        is_null=operator.ge,
        nothing=("", (-1e6, -1e6)),
    ),
}


def rules_of(name: str) -> Rules:
    """The rules of that name; raises `InputError` if there are none."""
    if name not in RULES:
        raise InputError(f"rules must be one of {tuple(RULES)}. Received: rules={name!r}")
    return RULES[name]
