"""BERT's tokenizer, exact, in TensorFlow's graph."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from keras_albert.errors import InputError
from keras_albert.tokenization.vocabulary import load_vocabulary

# Google's limit, in characters: a longer word is unknown.
LONGEST_WORD = 200
# A word that is unknown to every vocabulary: more bytes than the longest word's characters have.
_UNKNOWN_WORD = "x" * (4 * LONGEST_WORD + 1)

# Regular expressions of RE2. Categories Cc and Cf without tab, line feed and carriage return.
_DROPPED = r"[\x{0}-\x{8}\x{b}\x{c}\x{e}-\x{1f}\x{7f}-\x{9f}\x{fffd}\p{Cf}]+"
_ACCENTS = r"\p{Mn}+"
_SPACES = r"\p{Z}+"
_PUNCTUATION = r"!-/:-@\[-`{-~\p{P}"
# Google's ranges: without U+2A6E0..U+2A6FF, kana, Hangul and the extensions from G on.
_CHINESE = (
    r"\x{3400}-\x{4dbf}\x{4e00}-\x{9fff}\x{f900}-\x{faff}"
    r"\x{20000}-\x{2a6df}\x{2a700}-\x{2ceaf}\x{2f800}-\x{2fa1f}"
)
_OWN_WORDS = f"([{_PUNCTUATION}{_CHINESE}])"


class WordPieceTokenizer:
    """Text to the token ids that Google's `FullTokenizer` gives, in TensorFlow's graph.

    Invalid UTF-8, control and format characters vanish; with `lower_case`, text is lower-cased,
    decomposed (NFD) and loses its accents (Mn); punctuation and Chinese characters are words of
    their own; each word becomes its longest matching pieces, and `[UNK]` if they do not cover it
    or it has more than 200 characters. A `[MASK]` in a text is three words, as in the original.

    Source: google-research/bert, tokenization.py.

    Args:
        vocabulary: The path of a `vocab.txt`, or its tokens in order.
        lower_case: Whether the vocabulary is of an uncased model (Google's `do_lower_case`; also
            True for the Chinese models, False for the multilingual cased one).

    Raises:
        InputError: if the vocabulary cannot be read or lacks `[UNK]`.
        ImportError: without tensorflow-text.

    Example:

    >>> tokenizer = WordPieceTokenizer(["[UNK]", "un", "##believ", "##able", "!"], lower_case=True)
    >>> tokenizer.tokenize("Unbelievable, no!")
    ['un', '##believ', '##able', '[UNK]', '[UNK]', '!']
    >>> tokenizer.token_ids(["Unbelievable!", ""]).to_list()
    [[1, 2, 3, 4], []]
    """

    def __init__(self, vocabulary: str | Path | Sequence[str], lower_case: bool):
        if isinstance(vocabulary, str | Path):
            self.vocabulary = load_vocabulary(vocabulary)
        else:
            self.vocabulary = {token: index for index, token in enumerate(vocabulary)}
        self.lower_case = lower_case
        self._tokens = {index: token for token, index in self.vocabulary.items()}
        self._pieces = _piece_tokenizer(self._tokens, self.unk_id)

    def tokenize(self, text: str | bytes) -> list[str]:
        """The tokens of one text; in bytes, what is not UTF-8 is ignored."""
        if isinstance(text, str):
            text = text.encode("utf-8", "surrogatepass")
        return [self._tokens[index] for index in self.token_ids([text])[0].numpy().tolist()]

    def token_ids(self, texts: Any) -> Any:
        """The ids of many texts, without special tokens, in graphs and `tf.data` too.

        Args:
            texts: Strings [batch], or what converts to such a tensor.

        Returns:
            `tf.RaggedTensor` of int32 [batch, (tokens)].
        """
        import tensorflow as tf

        words = tf.strings.split(self._spaced(tf.convert_to_tensor(texts, tf.string)))
        lengths = tf.strings.length(words.flat_values, unit="UTF8_CHAR")
        known = tf.where(lengths > LONGEST_WORD, _UNKNOWN_WORD, words.flat_values)
        return words.with_flat_values(self._pieces.tokenize(known)).merge_dims(1, 2)

    def _spaced(self, texts: Any) -> Any:
        """Normalized texts in which single spaces, tabs and line ends separate the words."""
        import tensorflow as tf
        import tensorflow_text

        texts = tf.strings.unicode_transcode(texts, "UTF-8", "UTF-8", errors="ignore")
        texts = tf.strings.regex_replace(texts, _DROPPED, "")
        if self.lower_case:
            texts = tf.strings.lower(texts, encoding="utf-8")
            texts = tensorflow_text.normalize_utf8(texts, "NFD")
            texts = tf.strings.regex_replace(texts, _ACCENTS, "")
        texts = tf.strings.regex_replace(texts, _SPACES, " ")
        return tf.strings.regex_replace(texts, _OWN_WORDS, r" \1 ")

    def special_id(self, token: str) -> int:
        """The id of a special token.

        Raises:
            InputError: if the vocabulary has no such token.
        """
        if token not in self.vocabulary:
            raise InputError(
                f"The vocabulary has no {token}. Received: {len(self.vocabulary)} tokens"
            )
        return self.vocabulary[token]

    @property
    def unk_id(self) -> int:
        """The id of a word that the vocabulary's pieces do not cover."""
        return self.special_id("[UNK]")

    @property
    def cls_id(self) -> int:
        """The id of the token before every input."""
        return self.special_id("[CLS]")

    @property
    def sep_id(self) -> int:
        """The id of the token after every segment."""
        return self.special_id("[SEP]")

    @property
    def pad_id(self) -> int:
        """The id that fills short rows of a batch."""
        return self.special_id("[PAD]")

    @property
    def mask_id(self) -> int:
        """The id of a token to be predicted."""
        return self.special_id("[MASK]")


def _piece_tokenizer(tokens: dict[int, str], unk_id: int) -> Any:
    """tensorflow-text's longest-match search, for words that are already separated."""
    try:
        import tensorflow as tf
        import tensorflow_text
    except ImportError as error:
        raise ImportError(
            "Tokenization needs the tensorflow-text of TensorFlow's minor version: "
            "pip install tensorflow-text"
        ) from error
    # No word is empty or holds a NUL, and the builder takes neither: those tokens, and ids without
    # one, are filled with what no word can match either, because of its spaces.
    pieces = [f"no token {index}" for index in range(max(tokens) + 1)]
    for index, token in tokens.items():
        if token and "\0" not in token:
            pieces[index] = token
    return tensorflow_text.FastWordpieceTokenizer(
        vocab=pieces,
        unknown_token=tokens[unk_id],
        token_out_type=tf.int32,
        max_bytes_per_word=len(_UNKNOWN_WORD) - 1,
        no_pretokenization=True,
    )
