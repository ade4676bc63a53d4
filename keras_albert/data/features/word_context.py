"""BERT's view of a context: words between white space, each of one or more pieces."""

import functools
import re
import unicodedata
from collections.abc import Sequence
from typing import Any

import numpy as np

from keras_albert.data.features.word_pieces import WordPieces
from keras_albert.data.records import Answer
from keras_albert.tokenization.normalization import clean_wordpiece
from keras_albert.tokenization.strings import as_strings

# What separates words in Google's reader; a no-break space, say, stays inside of one.
_WORD = re.compile("[^ \t\r\n\u202f]+")
# What its tokenizer takes for Chinese: no kana, no Hangul, no extensions from G on.
_CHINESE = (
    "\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
    "\U00020000-\U0002a6df\U0002a700-\U0002ceaf\U0002f800-\U0002fa1f"
)


class WordContext:
    """A context's words, their pieces, and the way between characters and pieces.

    Source: google-research/bert, run_squad.py, `read_squad_examples`,
    `convert_examples_to_features` and `write_predictions`.

    Attributes:
        token_ids: The context's pieces, int32 [tokens].
        token_words: The word that each piece belongs to, int [tokens].
        words: The words.
    """

    def __init__(
        self,
        words: list[str],
        starts: np.ndarray,
        pieces: WordPieces,
        normalized: "NormalizedWords",
    ):
        self.words = words
        self.token_ids, self.token_words = pieces.of(words)
        self._starts = starts
        self._normalized = normalized

    def find(self, answer: Answer, answer_ids: list[int]) -> tuple[int, int] | None:
        """First and last piece of an answer, or None where its words are not the answer's.

        `answer_ids` are the answer's own pieces: where they stand among those of the words that
        the answer touches, as "1895" in "(1895-1943).", only they are meant.
        """
        ends = (answer.start, answer.start + len(answer.text) - 1)
        first, last = (np.searchsorted(self._starts, ends, side="right") - 1).tolist()
        if " ".join(answer.text.split()) not in " ".join(self.words[first : last + 1]):
            return None
        # Words of which nothing is left have no pieces: then what follows, or went before.
        start = int(np.searchsorted(self.token_words, first % len(self.words)))
        end = int(np.searchsorted(self.token_words, last, side="right")) - 1
        inside = self.token_ids[start : end + 1].tolist()
        for skipped in range(len(inside) - len(answer_ids) + 1 if answer_ids else 0):
            if inside[skipped : skipped + len(answer_ids)] == answer_ids:
                return start + skipped, start + skipped + len(answer_ids) - 1
        return start, end

    @functools.cached_property
    def _tokens(self) -> list[str]:
        return self._normalized.tokenizer.tokens_of(self.token_ids)

    def text(self, first: int, last: int) -> str:
        """The part of the context that the pieces `first` to `last` stand for."""
        predicted = " ".join(self._tokens[first : last + 1]).replace(" ##", "").replace("##", "")
        words = self.words[self.token_words[first] : self.token_words[last] + 1]
        return final_text(
            " ".join(predicted.split()), " ".join(words), self._normalized.text(words)
        )


def word_contexts(texts: Sequence[str], tokenizer: Any) -> list[WordContext]:
    """The contexts of texts, all tokenized in one call."""
    matches = [list(_WORD.finditer(text)) for text in texts]
    words = [[match.group() for match in found] for found in matches]
    different = list(dict.fromkeys(word for found in words for word in found))
    pieces, normalized = WordPieces(different, tokenizer), NormalizedWords(different, tokenizer)
    return [
        WordContext(
            found, np.array([match.start() for match in spans], np.int64), pieces, normalized
        )
        for found, spans in zip(words, matches, strict=True)
    ]


def final_text(predicted: str, original: str, normalized: str) -> str:
    """The part of `original` that became `predicted`, or all of it where that is not clear.

    The two texts are taken to differ in spaces alone; where they differ in more, "Steve Smith's"
    cannot be cut to the predicted "steve smith".

    Source: google-research/bert, run_squad.py, `get_final_text`.

    Args:
        predicted: Pieces put together to words again, lower-cased where the tokenizer does that.
        original: The words that the pieces come from, as they stand in the context.
        normalized: The same words as the tokenizer sees them, single spaces between them.
    """
    start = normalized.find(predicted)
    places = [place for place, character in enumerate(original) if character != " "]
    same = len(places) == len(normalized) - normalized.count(" ")
    # A space at an end of the prediction belongs to no place in the original.
    if start < 0 or not same or not predicted or " " in (predicted[0], predicted[-1]):
        return original
    before = start - normalized.count(" ", 0, start)
    length = len(predicted) - predicted.count(" ")
    return original[places[before] : places[before + length - 1] + 1]


class NormalizedWords:
    """Words as BERT's tokenizer has them before it looks pieces up, once they are asked for."""

    def __init__(self, words: Sequence[str], tokenizer: Any):
        self.tokenizer = tokenizer
        self._words = words

    @functools.cached_property
    def _texts(self) -> dict[str, str]:
        cleaned = clean_wordpiece(as_strings(self._words), self.tokenizer.lower_case).numpy()
        spaced = (_own_words().sub(r" \g<0> ", text.decode("utf-8")) for text in cleaned.tolist())
        return {
            word: " ".join(text.split()) for word, text in zip(self._words, spaced, strict=True)
        }

    def text(self, words: Sequence[str]) -> str:
        """A text of these words, with single spaces between what the tokenizer separates."""
        return " ".join([text for word in words if (text := self._texts[word])])


@functools.cache
def _own_words() -> re.Pattern[str]:
    """Characters that are words of their own: punctuation, all ASCII signs, and Chinese."""
    # Unicode gives punctuation to planes 0 and 1 alone.
    marks = (chr(code) for code in range(0x80, 0x20000))
    punctuation = "".join(c for c in marks if unicodedata.category(c).startswith("P"))
    return re.compile(f"[!-/:-@\\[-`{{-~{re.escape(punctuation)}{_CHINESE}]")
