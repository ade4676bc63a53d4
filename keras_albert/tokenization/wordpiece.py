"""BERT's tokenizer, exact, in TensorFlow's graph."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np

from keras_albert.tokenization.normalization import can_be_pieces, clean_wordpiece
from keras_albert.tokenization.offsets import CharacterMap
from keras_albert.tokenization.strings import count_characters, require_tensorflow_text
from keras_albert.tokenization.tokenizer import Tokenizer
from keras_albert.tokenization.vocabulary import Vocabulary, load_vocabulary

# Google's limit, in characters: a longer word is unknown. No character has more than 4 bytes.
LONGEST_WORD = 200


@keras.saving.register_keras_serializable(package="keras_albert")
class WordPieceTokenizer(Tokenizer):
    """Text to the token ids that Google's `FullTokenizer` gives, in TensorFlow's graph.

    Invalid UTF-8, control and format characters vanish; with `lower_case`, text is lower-cased,
    decomposed (NFD) and loses its accents (Mn); punctuation and Chinese characters are words of
    their own; each word becomes its longest matching pieces, and `[UNK]` if they do not cover it
    or it has more than 200 characters.

    Source: google-research/bert, tokenization.py.

    Args:
        vocabulary: The path of a `vocab.txt`, its tokens in order, or token -> id.
        lower_case: Whether the vocabulary is of an uncased model (Google's `do_lower_case`; also
            True for the Chinese models, False for the multilingual cased one).
        special_tokens: Tokens that stand for themselves in a text, such as `["[MASK]"]`.
        **kwargs: Of `keras.layers.Layer`.

    Raises:
        InputError: if the vocabulary cannot be read, lacks `[UNK]` or has a special token twice.
        ImportError: without tensorflow-text.

    Example:

    >>> tokenizer = WordPieceTokenizer(["[UNK]", "un", "##believ", "##able", "!"], lower_case=True)
    >>> tokenizer.tokenize("Unbelievable, no!")
    ['un', '##believ', '##able', '[UNK]', '[UNK]', '!']
    >>> tokenizer.token_ids(["Unbelievable!", ""]).to_list()
    [[1, 2, 3, 4], []]
    """

    def __init__(
        self,
        vocabulary: str | Path | Sequence[str] | Mapping[str, int],
        lower_case: bool,
        *,
        special_tokens: Iterable[str] = (),
        **kwargs: Any,
    ):
        if isinstance(vocabulary, str | Path):
            loaded = Vocabulary(load_vocabulary(vocabulary), str(vocabulary))
        else:
            loaded = Vocabulary(vocabulary)
        super().__init__(loaded, special_tokens=special_tokens, **kwargs)
        self.lower_case = lower_case
        self._pieces = _piece_tokenizer(loaded, self.unk_id)
        pieces = [loaded.tokens.get(index, "") for index in range(len(loaded))]
        self._continues = np.array([token.startswith("##") for token in pieces])
        self._strings = np.array([token.encode("utf-8") for token in pieces], object)
        # A word that is too long has more pieces than this.
        self._suspicious = LONGEST_WORD // max(map(len, pieces))

    def _ids(self, texts: Any) -> Any:
        import tensorflow as tf

        normalized = clean_wordpiece(texts, self.lower_case)
        ids = self._pieces.tokenize(normalized)
        values, splits = tf.cond(
            self._suspects(normalized, ids),
            lambda: self._without_long_words(normalized)[::3],
            lambda: (ids.flat_values, ids.row_splits),
        )
        return ids.from_row_splits(values, splits, validate=False)

    def _spans(self, texts: Any) -> tuple[Any, Any, Any]:
        import tensorflow as tf

        def clean(texts: Any) -> Any:
            return clean_wordpiece(texts, self.lower_case)

        normalized = clean(texts)
        *values, splits = self._without_long_words(normalized)
        ids, starts, ends = (
            tf.RaggedTensor.from_row_splits(flat, splits, validate=False) for flat in values
        )
        characters = CharacterMap(texts, normalized, clean, single_spaces=False)
        return ids, *characters.spans(starts, ends)

    def _tokens(self, texts: Any) -> Any:
        import tensorflow as tf

        ids = self._ids(texts)
        return ids.with_flat_values(tf.gather(self._strings, ids.flat_values))

    # The search knows a limit in bytes only. Few texts have a word of so many pieces that it may be
    # too long in characters; those words become [UNK].

    def _suspects(self, normalized: Any, ids: Any) -> Any:
        """Whether there may be a word that is too long."""
        import tensorflow as tf

        def has_many_pieces() -> Any:
            _, _, pieces = self._words(ids.flat_values)
            return tf.reduce_any(pieces > self._suspicious)

        has_long_text = tf.reduce_any(tf.strings.length(normalized) > LONGEST_WORD)
        return tf.cond(has_long_text, has_many_pieces, lambda: tf.constant(False))

    def _words(self, ids: Any) -> tuple[Any, Any, Any]:
        """Whether each token continues a word; of each word, its first token, and how many."""
        import tensorflow as tf

        continues = tf.gather(self._continues, ids)
        heads = tf.where(~continues)[:, 0]
        nexts = tf.concat([heads[1:], tf.shape(ids, tf.int64)], 0)
        return continues, heads, nexts[: tf.size(heads)] - heads

    def _without_long_words(self, normalized: Any) -> tuple[Any, Any, Any, Any]:
        """Ids, first bytes and ends in the normalized texts, all flat, and the rows' splits."""
        import tensorflow as tf

        rows = self._pieces.tokenize_with_offsets(normalized)
        splits = rows[0].row_splits
        ids, starts, ends = (values.flat_values for values in rows)
        continues, heads, pieces = self._words(ids)
        row = tf.searchsorted(splits, heads, side="right") - 1
        first, last = tf.gather(starts, heads), tf.gather(ends, heads + pieces - 1)
        too_long = count_characters(normalized, row, first, last) > LONGEST_WORD
        word = tf.cumsum(tf.cast(~continues, tf.int32)) - 1
        unknown = tf.gather(too_long, word)
        stays = ~(continues & unknown)
        kept = tf.where(stays)[:, 0]
        counts = tf.concat([[0], tf.cumsum(tf.cast(stays, tf.int64))], 0)
        return (
            tf.gather(tf.where(unknown, self.unk_id, ids), kept),
            tf.gather(starts, kept),
            tf.gather(tf.where(unknown, tf.gather(last, word), ends), kept),
            tf.gather(counts, splits),
        )

    def _joined(self, tokens: Sequence[str]) -> str:
        text = ""
        for token in tokens:
            if token.startswith("##") and text:
                text += token[2:]
            elif text and _separates(text[-1], token):
                text += f" {token}"
            else:
                text += token
        return text

    def get_config(self) -> dict[str, Any]:
        """Everything that the tokenizer is made of, the vocabulary included."""
        own = {"vocabulary": self.vocabulary, "lower_case": self.lower_case}
        return super().get_config() | own


def _piece_tokenizer(vocabulary: Vocabulary, unk_id: int) -> Any:
    """tensorflow-text's longest-match search, over words that it separates as Google does."""
    require_tensorflow_text()
    import tensorflow as tf
    import tensorflow_text

    # The search takes no empty token, and goes astray after the beginning of one that holds a
    # separator. No word can match those, nor what starts with a character that is dropped.
    # One more than there are, because it also wants one beside [UNK].
    pieces = [f"\x01{index}" for index in range(len(vocabulary) + 1)]
    possible = can_be_pieces(tf.constant(list(vocabulary.ids))).numpy()
    for (token, index), fits in zip(vocabulary.ids.items(), possible, strict=True):
        if fits or index == unk_id:
            pieces[index] = token
    return tensorflow_text.FastWordpieceTokenizer(
        vocab=pieces,
        unknown_token=vocabulary.tokens[unk_id],
        token_out_type=tf.int32,
        max_bytes_per_word=4 * LONGEST_WORD,
    )


def _separates(before: str, token: str) -> bool:
    """Whether a space stands between two words: not beside Chinese, nor before a full stop."""
    chinese = any(
        "\u2e80" <= character <= "\u9fff" or character >= "\uf900"
        for character in (before, token[:1])
    )
    return not (chinese or token in tuple(",.!?;:)]}%'") or before in "([{")
