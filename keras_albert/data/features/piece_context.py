"""ALBERT's view of a context: pieces of its cleaned-up form, aligned with its characters."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from keras_albert.data.features.alignment import Alignment, align, nearest
from keras_albert.data.features.arrays import token_rows
from keras_albert.data.records import Answer
from keras_albert.tokenization.normalization import clean_sentencepiece
from keras_albert.tokenization.strings import as_strings

# SentencePiece's mark for a space.
_SPACE = "\N{LOWER ONE EIGHTH BLOCK}"


class PieceContext:
    """A context's pieces, and the way between characters and pieces.

    Source: google-research/albert, squad_utils.py, `convert_examples_to_features`.

    Attributes:
        token_ids: The context's pieces, int32 [tokens].
        starts: The first character that each piece stands for, int [tokens].
        ends: The last one, likewise.
    """

    def __init__(self, text: str, token_ids: np.ndarray, tokens: list[str], alignment: Alignment):
        self.token_ids = token_ids
        lengths = np.array([len(token) for token in tokens])
        ends = np.cumsum(lengths)
        self.starts = nearest(alignment.to_original, ends - lengths, len(text), start=True)
        self.ends = nearest(alignment.to_original, ends - 1, len(text), start=False)
        self._text = text
        self._to_cleaned = alignment.to_cleaned
        self._piece_ends = ends

    def find(self, answer: Answer, answer_ids: list[int]) -> tuple[int, int] | None:
        """First and last piece of an answer; None where it has none."""
        places = [
            nearest(self._to_cleaned, np.array(answer.start), start=True),
            nearest(self._to_cleaned, np.array(answer.start + len(answer.text) - 1), start=False),
        ]
        first, last = np.searchsorted(self._piece_ends, places, side="right").tolist()
        # An answer of which the clean-up left nothing may end before it starts.
        return (first, last) if first <= last else None

    def text(self, first: int, last: int) -> str:
        """The part of the context that the pieces `first` to `last` stand for."""
        return self._text[self.starts[first] : self.ends[last] + 1].strip()


def piece_contexts(texts: Sequence[str], tokenizer: Any) -> list[PieceContext | None]:
    """The contexts of texts, all tokenized in one call; None for one that cannot be aligned."""
    rows = tokenizer.tokens(texts).to_list()
    alone = _cleaned_alone(sorted(set("".join(texts))), tokenizer)
    contexts: list[PieceContext | None] = []
    for text, row, token_ids in zip(texts, rows, token_rows(texts, tokenizer), strict=True):
        tokens = [token.decode("utf-8").replace(_SPACE, " ") for token in row]
        alignment = align(text, "".join(tokens), alone)
        contexts.append(alignment and PieceContext(text, token_ids, tokens, alignment))
    return contexts


def _cleaned_alone(characters: list[str], tokenizer: Any) -> dict[str, str]:
    """What the tokenizer's clean-up makes of single characters, white space kept."""
    if not tokenizer.clean_up:
        return dict(zip(characters, characters, strict=True))
    texts = as_strings(characters)
    cleaned = clean_sentencepiece(texts, tokenizer.lower_case, remove_space=False).numpy()
    return {c: text.decode("utf-8") for c, text in zip(characters, cleaned, strict=True)}
