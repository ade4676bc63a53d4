"""Questions and contexts to model inputs, as Google's SQuAD programs lay them out."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

import numpy as np
from absl import logging

from keras_albert.data.features.arrays import check_max_length, padded_batch, token_rows
from keras_albert.data.features.piece_context import piece_contexts
from keras_albert.data.features.windows import Window, max_context, windows
from keras_albert.data.features.word_context import word_contexts
from keras_albert.data.messages import bad
from keras_albert.data.records import Answer, QuestionRecord
from keras_albert.errors import InputError
from keras_albert.tokenization import SentencePieceTokenizer, WordPieceTokenizer

# [CLS] question [SEP] context [SEP]
_SPECIAL_TOKENS = 3
# The tokens of an answer that is in no window.
_NOWHERE = (-1, -1)


class Context(Protocol):
    """A tokenized context, and the way between its tokens and its text."""

    token_ids: np.ndarray  # int32 [tokens]

    def find(self, answer: Answer, answer_ids: list[int]) -> tuple[int, int] | None:
        """First and last token of an answer whose own tokens are `answer_ids`."""
        ...

    def text(self, first: int, last: int) -> str:
        """What the tokens `first` to `last` stand for."""
        ...


class _View(NamedTuple):
    """How a program sees contexts, and what it does with a window that lacks the answer."""

    contexts: Callable[[Sequence[str], Any], Sequence[Context | None]]
    impossible_without_answer: bool


# google-research/bert run_squad.py and google-research/albert squad_utils.py.
_VIEWS = {
    WordPieceTokenizer: _View(word_contexts, impossible_without_answer=False),
    SentencePieceTokenizer: _View(piece_contexts, impossible_without_answer=True),
}


@dataclass(frozen=True, eq=False, slots=True)
class QuestionFeatures:
    """A question and one window of its context, as the model reads them: unpadded.

    Attributes:
        record: The index of the question among the records.
        context: The whole context.
        window: The part of the context's tokens that is in here.
        token_ids: `[CLS] question [SEP] window [SEP]`, int32 [length].
        offset: The position of the window's first token.
        max_context: Which of the window's tokens have no wider context in another window of the
            same question: bool [window].
        start_position: Where the answer starts, 0 if it is not in here; None unless training.
        end_position: The position of its last token, likewise.
        is_impossible: Whether there is no answer; False unless training.
    """

    record: int
    context: Context
    window: Window
    token_ids: np.ndarray
    offset: int
    max_context: np.ndarray
    start_position: int | None
    end_position: int | None
    is_impossible: bool

    @property
    def segment_ids(self) -> np.ndarray:
        """1 for the context and the `[SEP]` behind it, int32 [length]."""
        return (np.arange(len(self.token_ids)) >= self.offset).astype(np.int32)

    @property
    def answer_mask(self) -> np.ndarray:
        """1 where an answer may lie, the context and `[CLS]` for none: int32 [length]."""
        mask = self.segment_ids
        mask[0], mask[-1] = 1, 0
        return mask


def question_features(
    records: Sequence[QuestionRecord],
    tokenizer: Any,
    *,
    max_length: int = 384,
    stride: int = 128,
    max_question_length: int = 64,
    training: bool = False,
    max_sequence_length: int | None = None,
) -> list[QuestionFeatures]:
    """The windows of every question, in order, as Google's program for the tokenizer makes them.

    A `WordPieceTokenizer` stands for BERT's `run_squad.py`, a `SentencePieceTokenizer` for ALBERT's
    `run_squad_v1.py` and `run_squad_v2.py`. As there, a question has no features where its context
    cannot be aligned with its pieces or has none and, in training, where BERT's words do not hold
    the answer; the log says how many there were. Training takes the first answer whose start is
    known.

    Args:
        records: The questions.
        tokenizer: The model's.
        max_length: Most tokens of a window, question and special tokens included (Google's
            `max_seq_length`).
        stride: Tokens from one window of a context to the next (`doc_stride`).
        max_question_length: Most tokens of a question; the rest is cut off (`max_query_length`).
        training: Whether answers are needed.
        max_sequence_length: The model's longest input, to hold `max_length` against.

    Raises:
        InputError: The lengths leave no room for the context, or no progress in it; in training,
            a question that is not impossible has no answer, or one that its context does not have.
    """
    _check_lengths(max_length, stride, max_question_length, max_sequence_length)
    view = _view(tokenizer)
    texts = list(dict.fromkeys(record.context for record in records))
    contexts = dict(zip(texts, view.contexts(texts, tokenizer), strict=True))
    questions = token_rows([record.question for record in records], tokenizer)
    spans: list[tuple[int, int] | None] = [_NOWHERE] * len(records)
    if training:
        spans = _answer_spans(records, contexts, tokenizer)

    cls, sep = (np.array([i], np.int32) for i in (tokenizer.cls_id, tokenizer.sep_id))
    cut: dict[tuple[str, int], list[tuple[Window, np.ndarray]]] = {}
    features: list[QuestionFeatures] = []
    left_out: list[QuestionRecord] = []
    for index, (record, question, span) in enumerate(zip(records, questions, spans, strict=True)):
        context = contexts[record.context]
        if context is None or span is None or not len(context.token_ids):
            left_out.append(record)
            continue
        head = np.concatenate([cls, question[:max_question_length], sep])
        room = max_length - len(head) - 1
        if (record.context, room) not in cut:
            parts = windows(len(context.token_ids), room, stride)
            cut[record.context, room] = list(zip(parts, max_context(parts), strict=True))
        for window, widest in cut[record.context, room]:
            inside = window.start <= span[0] and span[1] < window.start + window.length
            to_position = len(head) - window.start
            start, end = (place + to_position if inside else 0 for place in span)
            without = view.impossible_without_answer and not inside
            tokens = context.token_ids[window.start : window.start + window.length]
            features.append(
                QuestionFeatures(
                    record=index,
                    context=context,
                    window=window,
                    token_ids=np.concatenate([head, tokens, sep]),
                    offset=len(head),
                    max_context=widest,
                    start_position=start if training else None,
                    end_position=end if training else None,
                    is_impossible=training and (record.is_impossible or without),
                )
            )
    if left_out:
        logging.warning(
            "%d of %d questions have no features: their context, or their answer in it, cannot be "
            "told from its tokens; the first is at %s",
            *(len(left_out), len(records), left_out[0].place),
        )
    return features


def question_rows(features: Sequence[QuestionFeatures]) -> dict[str, list[np.ndarray]]:
    """`token_ids`, `segment_ids` and `answer_mask` of every window, a list of int32 rows each."""
    return {
        name: [getattr(window, name) for window in features]
        for name in ("token_ids", "segment_ids", "answer_mask")
    }


def question_targets(features: Sequence[QuestionFeatures]) -> dict[str, np.ndarray]:
    """`start_positions`, `end_positions`, `is_impossible` of training features: int32 [windows]."""
    return {
        "start_positions": np.array([window.start_position for window in features], np.int32),
        "end_positions": np.array([window.end_position for window in features], np.int32),
        "is_impossible": np.array([window.is_impossible for window in features], np.int32),
    }


def question_inputs(
    features: Sequence[QuestionFeatures], *, pad_id: int = 0, length: int | None = None
) -> dict[str, np.ndarray]:
    """A batch of windows as model inputs, padded to the longest of them or to `length`.

    Returns:
        `token_ids`, `segment_ids`, `answer_mask` and `padding_mask`, int32 [batch, length], and of
        training features also `question_targets`.
    """
    inputs = padded_batch(question_rows(features), length=length, values={"token_ids": pad_id})
    training = bool(features) and features[0].start_position is not None
    return inputs | (question_targets(features) if training else {})


def _check_lengths(
    max_length: int, stride: int, max_question_length: int, max_sequence_length: int | None
) -> None:
    check_max_length(max_length, max_sequence_length)
    if stride < 1:
        raise InputError(f"stride must be at least 1. Received: stride={stride}")
    if not 0 <= max_question_length < max_length - _SPECIAL_TOKENS:
        raise InputError(
            "max_question_length must leave room for the context and three special tokens. "
            f"Received: max_question_length={max_question_length}, max_length={max_length}"
        )


def _view(tokenizer: Any) -> _View:
    for kind, view in _VIEWS.items():
        if isinstance(tokenizer, kind):
            return view
    names = " or a ".join(kind.__name__ for kind in _VIEWS)
    raise InputError(f"tokenizer must be a {names}. Received: {type(tokenizer).__name__}")


def _answer_spans(
    records: Sequence[QuestionRecord], contexts: Mapping[str, Context | None], tokenizer: Any
) -> list[tuple[int, int] | None]:
    """First and last token of each record's answer in its context; None where it is not found."""
    answers = [None if record.is_impossible else _answer(record) for record in records]
    rows = iter(token_rows([answer.text for answer in answers if answer], tokenizer))
    spans: list[tuple[int, int] | None] = []
    for record, answer in zip(records, answers, strict=True):
        if answer:
            context, ids = contexts[record.context], next(rows).tolist()
            spans.append(context.find(answer, ids) if context else None)
        else:
            spans.append(_NOWHERE)
    return spans


def _answer(record: QuestionRecord) -> Answer:
    """The answer to train on, the first that is known to be in the context."""
    if not record.answers:
        rule = "A question to train on must have an answer or be impossible"
        raise bad(rule, record.place, id=record.id)
    known = (answer for answer in record.answers if answer.start >= 0)
    text, start = answer = next(known, record.answers[0])
    if start < 0 or not text.strip() or not record.context.startswith(text, start):
        rule = "An answer must stand in its context where it starts"
        raise bad(rule, record.place, id=record.id, answer=text, start=start)
    return answer
