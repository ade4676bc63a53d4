"""Questions with several answers to choose from to model inputs, as ALBERT lays out RACE."""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from keras_albert.data.features.arrays import check_max_length, padded_batch, token_rows
from keras_albert.data.messages import bad
from keras_albert.data.records import ChoiceRecord
from keras_albert.errors import InputError
from keras_albert.tokenization import SentencePieceTokenizer
from keras_albert.tokenization.strings import as_strings

# [CLS] context [SEP] question and choice [SEP]
_SPECIAL_TOKENS = 3
# Where a question has this, a choice fills it; otherwise the choice follows the question.
_BLANK = "_"


@dataclass(frozen=True, eq=False, slots=True)
class ChoiceFeatures:
    """A question with each of its choices, as the model reads them: unpadded.

    Attributes:
        record: The index of the question among the records.
        token_ids: Of each choice `[CLS] context [SEP] question and choice [SEP]`, int32 [length].
        offsets: Of each choice, the position where its second segment begins.
        label: The index of the right choice; None where it is not known.
    """

    record: int
    token_ids: tuple[np.ndarray, ...]
    offsets: tuple[int, ...]
    label: int | None

    @property
    def segment_ids(self) -> tuple[np.ndarray, ...]:
        """1 for question and choice and the `[SEP]` behind them, int32 [length] a choice."""
        return tuple(
            (np.arange(len(row)) >= offset).astype(np.int32)
            for row, offset in zip(self.token_ids, self.offsets, strict=True)
        )


def choice_features(
    records: Sequence[ChoiceRecord],
    tokenizer: Any,
    *,
    max_length: int = 512,
    max_choice_length: int = 128,
    training: bool = False,
    max_sequence_length: int | None = None,
) -> list[ChoiceFeatures]:
    """The questions in order, each with all of its choices.

    A choice takes the place of every `_` in its question; where there is none, it follows the
    question behind a space. What is too long loses the beginning of question and choice, so that
    the choice stays, and then the end of the context.

    Source: google-research/albert, race_utils.py, `read_examples` and `convert_single_example`.
    There, a question with a choice that leaves no room for the special tokens fails likewise.

    Args:
        records: The questions, all with the same number of choices: a batch is [batch, choices,
            length], and a choice that is none would still have a score.
        tokenizer: The model's.
        max_length: Most tokens of a row, special ones included (Google's `max_seq_length`).
        max_choice_length: Most tokens of question and choice, the last of them
            (`max_qa_length`).
        training: Whether every question must have a label.
        max_sequence_length: The model's longest input, to hold `max_length` against.

    Raises:
        InputError: A question has no choices or another number of them than the first, a label
            that is none of them or, in training, no label; question and choice do not fit
            `max_length`; a setting is out of range.
    """
    _check_lengths(max_length, max_choice_length, max_sequence_length)
    _check_records(records, training)
    texts = list(dict.fromkeys(record.context for record in records))
    contexts = dict(zip(texts, token_rows(texts, tokenizer), strict=True))
    seconds = iter(token_rows(_second_segments(records, tokenizer), tokenizer))
    cls, sep = (np.array([i], np.int32) for i in (tokenizer.cls_id, tokenizer.sep_id))
    features = []
    for index, record in enumerate(records):
        rows, offsets = [], []
        for _ in record.choices:
            second = next(seconds)[-max_choice_length:]
            room = max_length - _SPECIAL_TOKENS - len(second)
            if room < 0:
                rule = "Question and choice must fit max_length with three special tokens"
                raise bad(rule, record.place, max_length=max_length, tokens=len(second))
            context = contexts[record.context][:room]
            rows.append(np.concatenate([cls, context, sep, second, sep]))
            offsets.append(len(context) + 2)
        features.append(ChoiceFeatures(index, tuple(rows), tuple(offsets), record.label))
    return features


def choice_rows(features: Sequence[ChoiceFeatures]) -> dict[str, list[list[np.ndarray]]]:
    """`token_ids` and `segment_ids` of every question: a list of one int32 row a choice each.

    Raises:
        InputError: The questions do not all have the same number of choices.
    """
    counts = {len(question.token_ids) for question in features}
    if len(counts) > 1:
        raise InputError(
            "All questions of a batch must have the same number of choices. "
            f"Received: choices={sorted(counts)}"
        )
    return {
        name: [list(getattr(question, name)) for question in features]
        for name in ("token_ids", "segment_ids")
    }


def choice_labels(features: Sequence[ChoiceFeatures]) -> np.ndarray:
    """The indices of the right choices, int32 [questions].

    Raises:
        InputError: A question has none.
    """
    unknown = [question.record for question in features if question.label is None]
    if unknown:
        raise InputError(f"All questions must have a label. Received: none for record {unknown[0]}")
    return np.array([question.label for question in features], np.int32)


def choice_inputs(
    features: Sequence[ChoiceFeatures], *, pad_id: int = 0, length: int | None = None
) -> dict[str, np.ndarray]:
    """A batch of questions as model inputs, padded to the longest choice or to `length`.

    Returns:
        `token_ids`, `segment_ids` and `padding_mask`, int32 [batch, choices, length].

    Raises:
        InputError: As `choice_rows`.
    """
    rows = {
        name: list(itertools.chain.from_iterable(questions))
        for name, questions in choice_rows(features).items()
    }
    flat = padded_batch(rows, length=length, values={"token_ids": pad_id})
    choices = len(features[0].token_ids) if features else 0
    return {
        name: values.reshape(len(features), choices, values.shape[1])
        for name, values in flat.items()
    }


def _second_segments(records: Sequence[ChoiceRecord], tokenizer: Any) -> list[str]:
    """Questions with their choices, one text for each choice of each record."""
    questions = _cleaned([record.question for record in records], tokenizer)
    choices = iter(_cleaned([choice for record in records for choice in record.choices], tokenizer))
    return [
        question.replace(_BLANK, choice) if _BLANK in question else f"{question} {choice}"
        for record, question in zip(records, questions, strict=True)
        for choice in (next(choices) for _ in record.choices)
    ]


def _cleaned(texts: list[str], tokenizer: Any) -> list[str]:
    """Texts as the original has them when it puts question and choice together.

    ALBERT's clean-up comes before, when it is part of tokenization here: it strips each text, and
    makes blanks of full-width ones. A second time it finds nothing to do.
    """
    if not isinstance(tokenizer, SentencePieceTokenizer):
        return texts
    cleaned = tokenizer.normalized(as_strings(texts)).numpy()
    return [text.decode("utf-8") for text in cleaned.tolist()]


def _check_records(records: Sequence[ChoiceRecord], training: bool) -> None:
    for record in records:
        count = len(record.choices)
        if not count:
            raise bad("A question must have choices", record.place, id=record.id, choices=0)
        if count != len(records[0].choices):
            rule = (
                f"All questions must have as many choices as the first, {len(records[0].choices)}"
            )
            raise bad(rule, record.place, id=record.id, choices=count)
        if record.label is None and training:
            raise bad("A question to train on must have a label", record.place, id=record.id)
        if record.label is not None and not 0 <= record.label < count:
            rule = f"A label must be the index of one of {count} choices, from 0"
            raise bad(rule, record.place, id=record.id, label=record.label)


def _check_lengths(
    max_length: int, max_choice_length: int, max_sequence_length: int | None
) -> None:
    check_max_length(max_length, max_sequence_length)
    if max_choice_length < 1:
        raise InputError(
            f"max_choice_length must be at least 1. Received: max_choice_length={max_choice_length}"
        )
    if max_length <= _SPECIAL_TOKENS:
        raise InputError(
            "max_length must leave room for a token and three special ones. "
            f"Received: max_length={max_length}"
        )
