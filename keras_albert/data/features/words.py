"""Sentences of words to model inputs, and scores of their pieces back to scores of words."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from absl import logging

from keras_albert.data.features.arrays import check_max_length
from keras_albert.data.features.word_pieces import WordPieces
from keras_albert.data.messages import bad
from keras_albert.data.padding import IGNORED
from keras_albert.data.records import WordsRecord
from keras_albert.errors import InputError

LONG_SENTENCES = ("split", "cut")
# How the scores of a word's pieces become one.
REDUCTIONS = ("first", "mean", "max")
# [CLS] words [SEP]
_SPECIAL_TOKENS = 2


@dataclass(frozen=True, eq=False, slots=True)
class WordFeatures:
    """A sentence, or some of its words where it is too long, as the model reads them: unpadded.

    Attributes:
        record: The index of the sentence among the records.
        first_word: The index in the sentence of the first word that is in here.
        token_ids: `[CLS] pieces [SEP]`, int32 [length].
        first_pieces: The position of each word's first piece, int [words].
        label_ids: The tag's id at each word's first piece and `IGNORED` elsewhere, int32 [length];
            None without tags.
    """

    record: int
    first_word: int
    token_ids: np.ndarray
    first_pieces: np.ndarray
    label_ids: np.ndarray | None


def word_features(
    records: Sequence[WordsRecord],
    tokenizer: Any,
    *,
    labels: Sequence[str] | None = None,
    max_length: int = 128,
    long_sentences: str = "split",
    max_sequence_length: int | None = None,
) -> list[WordFeatures]:
    """The sentences in order; each word is tokenized by itself.

    A word of which the tokenizer leaves nothing is an unknown one, so that every word has a piece
    to be told by. Of a word with more pieces than there is room, the first ones count.

    Args:
        records: The sentences; one without words has no features.
        tokenizer: The model's.
        labels: The tags in the order of their ids; None where none are needed.
        max_length: Most tokens of a row, the two special ones included.
        long_sentences: "split" makes several rows of a sentence that is too long, cut between
            words; "cut" keeps the first of them, and the log says how many words were lost.
        max_sequence_length: The model's longest input, to hold `max_length` against.

    Raises:
        InputError: A sentence has no tags, or one that is not among the labels; a setting is out
            of range.
    """
    _check(max_length, long_sentences, max_sequence_length)
    room = max_length - _SPECIAL_TOKENS
    words = (word for record in records for word in record.words)
    pieces = WordPieces(words, tokenizer, longest=room, never_none=True)
    ids = None if labels is None else {label: index for index, label in enumerate(labels)}
    cls, sep = (np.array([i], np.int32) for i in (tokenizer.cls_id, tokenizer.sep_id))
    features: list[WordFeatures] = []
    cut: list[WordsRecord] = []
    lost = 0
    for index, record in enumerate(records):
        tags = None if ids is None else _tag_ids(record, ids)
        token_ids, owners = pieces.of(record.words)
        # Where the pieces of each word begin, and where the last word's end.
        edges = np.searchsorted(owners, np.arange(len(record.words) + 1))
        for first, last in _rows(edges, room):
            if first and long_sentences == "cut":
                cut.append(record)
                lost += len(record.words) - first
                break
            own = np.concatenate([cls, token_ids[edges[first] : edges[last]], sep])
            first_pieces = edges[first:last] - edges[first] + 1
            label_ids = None
            if tags is not None:
                label_ids = np.full(len(own), IGNORED, np.int32)
                label_ids[first_pieces] = tags[first:last]
            features.append(WordFeatures(index, first, own, first_pieces, label_ids))
    if cut:
        logging.warning(
            "%d of %d sentences are cut to %d tokens and lose %d words, the first at %s",
            *(len(cut), len(records), max_length, lost, cut[0].place),
        )
    return features


def word_rows(features: Sequence[WordFeatures]) -> dict[str, list[np.ndarray]]:
    """`token_ids` and `segment_ids`, and with tags `label_ids`, a list of int32 rows each."""
    rows = {
        "token_ids": [f.token_ids for f in features],
        "segment_ids": [np.zeros_like(f.token_ids) for f in features],
    }
    labels = [f.label_ids for f in features if f.label_ids is not None]
    return rows | ({"label_ids": labels} if labels else {})


def word_scores(
    records: Sequence[WordsRecord],
    features: Sequence[WordFeatures],
    scores: Sequence[Any],
    *,
    reduction: str = "first",
) -> list[np.ndarray]:
    """The scores of every sentence's words: of each sentence [words, classes].

    Args:
        records: The sentences.
        features: Their rows.
        scores: Scores of the rows' tokens, padded or not: of each row [length, classes].
        reduction: Whose of a word's pieces count: the "first", or the "mean" or "max" of all.

    Returns:
        One array a sentence; of a sentence that was cut, of the words that were kept.

    Raises:
        InputError: Scores, features and records do not belong to each other, or there is no such
            reduction.
    """
    if reduction not in REDUCTIONS:
        raise InputError(
            f"reduction must be one of {REDUCTIONS}. Received: reduction={reduction!r}"
        )
    if len(scores) != len(features):
        raise InputError(
            "scores must have one row for each row of features. Received: "
            f"{len(scores)} rows, {len(features)} of features"
        )
    parts: list[list[np.ndarray]] = [[] for _ in records]
    for row, own in zip(features, map(np.asarray, scores), strict=True):
        if row.record >= len(records) or len(own) < len(row.token_ids):
            raise InputError(
                "scores and features must come from these records. Received: a row of record "
                f"{row.record} with {len(row.token_ids)} tokens and {len(own)} scores, "
                f"{len(records)} records"
            )
        parts[row.record].append(_reduced(own[: len(row.token_ids) - 1], row, reduction))
    classes = np.shape(scores[0])[-1] if len(scores) else 0
    return [np.concatenate([np.zeros((0, classes), np.float32), *part]) for part in parts]


def _reduced(scores: np.ndarray, row: WordFeatures, reduction: str) -> np.ndarray:
    """Scores [words, classes] of the tokens before the last `[SEP]`."""
    if reduction == "first":
        return scores[row.first_pieces]
    if reduction == "max":
        return np.maximum.reduceat(scores, row.first_pieces)
    lengths = np.diff(row.first_pieces, append=len(scores))
    return np.add.reduceat(scores, row.first_pieces) / lengths[:, None]


def _rows(edges: np.ndarray, room: int) -> Iterator[tuple[int, int]]:
    """First word, and the one behind the last, of every row that a sentence needs."""
    first, count = 0, len(edges) - 1
    while first < count:
        last = int(np.searchsorted(edges, edges[first] + room, side="right")) - 1
        yield first, last
        first = last


def _tag_ids(record: WordsRecord, ids: Mapping[str, int]) -> list[int]:
    if record.tags is None:
        raise bad("A sentence to train on must have tags", record.place, words=record.words)
    for tag in record.tags:
        if tag not in ids:
            raise bad(f"A tag must be one of {sorted(ids)}", record.place, tag=tag)
    return [ids[tag] for tag in record.tags]


def _check(max_length: int, long_sentences: str, max_sequence_length: int | None) -> None:
    if long_sentences not in LONG_SENTENCES:
        raise InputError(
            f"long_sentences must be one of {LONG_SENTENCES}. "
            f"Received: long_sentences={long_sentences!r}"
        )
    if max_length <= _SPECIAL_TOKENS:
        raise InputError(
            f"max_length must leave room for a word and two special tokens. "
            f"Received: max_length={max_length}"
        )
    check_max_length(max_length, max_sequence_length)
