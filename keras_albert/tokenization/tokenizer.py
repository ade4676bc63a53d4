"""What both tokenizers are: a Keras layer from strings to token ids, and back."""

import re
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import keras

from keras_albert.errors import InputError
from keras_albert.tokenization.normalization import valid_utf8
from keras_albert.tokenization.strings import (
    NO_CHARACTER,
    as_graph,
    as_strings,
    count_characters,
)
from keras_albert.tokenization.vocabulary import Vocabulary


class Encoding(NamedTuple):
    """The ids of a text's tokens, and where each lies: [start, end) in characters of the text."""

    ids: list[int]
    offsets: list[tuple[int, int]]


class Tokenizer(keras.layers.Layer):
    """Strings to token ids in TensorFlow's graph; the base of the two kinds.

    As a layer it maps a string tensor [batch] to ids, a `tf.RaggedTensor` of int32
    [batch, (tokens)] without `[CLS]` and `[SEP]`; `Preprocessor` makes a model's inputs of them.
    On every backend the methods work on lists and NumPy arrays of strings, too.

    Args:
        vocabulary: Tokens and ids.
        special_tokens: Tokens of the vocabulary that stand for themselves in a text: with
            `["[MASK]"]`, "a [MASK] b" has one token for the mask. None by default, as in the
            originals, where it falls apart at its brackets.
        **kwargs: Of `keras.layers.Layer`.
    """

    def __init__(
        self, vocabulary: Vocabulary, *, special_tokens: Iterable[str] = (), **kwargs: Any
    ):
        super().__init__(**{"trainable": False} | kwargs)
        # Strings have no place in a Keras backend but TensorFlow's.
        self._convert_input_args = False
        self._allow_non_tensor_positional_args = True
        self._vocabulary = vocabulary
        self.special_tokens = tuple(special_tokens)
        self._special_ids = [vocabulary.special_id(token) for token in self.special_tokens]
        self._graph_of_spans = as_graph(self._spans_around_special)
        self.built = True

    # What a kind of tokenizer brings.

    def _ids(self, texts: Any) -> Any:
        """`token_ids` without special tokens."""
        raise NotImplementedError

    def _spans(self, texts: Any) -> tuple[Any, Any, Any]:
        """`spans` without special tokens."""
        raise NotImplementedError

    def _tokens(self, texts: Any) -> Any:
        """`tokens` without special tokens."""
        raise NotImplementedError

    def _joined(self, tokens: Sequence[str]) -> str:
        """A text that these tokens may have come from."""
        raise NotImplementedError

    # Batches, in graphs and outside.

    def token_ids(self, texts: Any) -> Any:
        """The ids of many texts.

        Args:
            texts: Strings [batch]: a tensor, an array or a list; of bytes that are not UTF-8,
                the others count.

        Returns:
            `tf.RaggedTensor` of int32 [batch, (tokens)].
        """
        texts = as_strings(texts)
        if not self.special_tokens:
            return self._ids(texts)
        return self._around_special(texts, lambda parts: (self._ids(parts),), self._special_ids)[0]

    def spans(self, texts: Any) -> tuple[Any, Any, Any]:
        """The ids of many texts, and where each token lies in its text.

        Args:
            texts: As `token_ids` takes them.

        Returns:
            Ids, starts and ends, each a `tf.RaggedTensor` of int32 [batch, (tokens)]; starts and
            ends count characters of the text (code points; of bytes, those that are UTF-8). See
            `keras_albert.tokenization.offsets`.
        """
        return self._graph_of_spans(as_strings(texts))

    def tokens(self, texts: Any) -> Any:
        """The tokens of many texts as strings, `tf.RaggedTensor` [batch, (tokens)]."""
        texts = as_strings(texts)
        if not self.special_tokens:
            return self._tokens(texts)
        return self._around_special(
            texts, lambda parts: (self._tokens(parts),), list(self.special_tokens)
        )[0]

    def call(self, texts: Any) -> Any:
        """Token ids, int32 [batch, (tokens)]."""
        return self.token_ids(texts)

    def __call__(self, texts: Any, **_keras: Any) -> Any:
        # Keras would make tensors of its backend of strings.
        if isinstance(texts, keras.KerasTensor):
            return super().__call__(texts)
        return self.call(texts)

    def compute_output_spec(self, texts: Any) -> keras.KerasTensor:
        """Ragged ids for symbolic strings [batch]."""
        return keras.KerasTensor((texts.shape[0], None), "int32", ragged=True)

    # One text.

    def tokenize(self, text: str | bytes) -> list[str]:
        """The tokens of one text."""
        return [token.decode("utf-8") for token in self.tokens([text])[0].numpy().tolist()]

    def encode(self, text: str | bytes) -> Encoding:
        """The ids and offsets of one text; see `spans`.

        Example:

        >>> from keras_albert.tokenization import WordPieceTokenizer
        >>> tokenizer = WordPieceTokenizer(["[UNK]", "un", "##able", "!"], lower_case=True)
        >>> tokenizer.encode("Unable !")
        Encoding(ids=[1, 2, 3], offsets=[(0, 2), (2, 6), (7, 8)])
        """
        ids, starts, ends = (rows[0].numpy().tolist() for rows in self.spans([text]))
        return Encoding(ids, list(zip(starts, ends, strict=True)))

    def decode(self, ids: Iterable[int], *, skip_special_tokens: bool = True) -> str:
        """A text that has these token ids, as far as they tell: case and accents may be lost.

        Args:
            ids: Token ids.
            skip_special_tokens: Leave out `[PAD]`, `[CLS]`, `[SEP]` and `[MASK]`.

        Raises:
            InputError: An id is not in the vocabulary.
        """
        tokens = self.tokens_of(ids)
        if skip_special_tokens:
            special = {"[PAD]", "<pad>", "[CLS]", "[SEP]", "[MASK]"}
            tokens = [token for token in tokens if token not in special]
        return self._joined(tokens)

    def tokens_of(self, ids: Iterable[int]) -> list[str]:
        """The vocabulary's tokens for ids.

        Raises:
            InputError: An id is not in the vocabulary.
        """
        try:
            return [self._vocabulary.tokens[int(index)] for index in ids]
        except KeyError as error:
            raise InputError(
                f"A token id is one of the vocabulary, from 0 to {self.vocab_size - 1}. "
                f"Received: id={error.args[0]}"
            ) from error

    # The vocabulary.

    @property
    def vocabulary(self) -> dict[str, int]:
        """Token -> id."""
        return self._vocabulary.ids

    @property
    def vocab_size(self) -> int:
        """How many ids there are."""
        return len(self._vocabulary)

    @property
    def unk_id(self) -> int:
        """The id of what the vocabulary does not cover."""
        return self._vocabulary.special_id("[UNK]", "<unk>")

    @property
    def cls_id(self) -> int:
        """The id of the token before every input."""
        return self._vocabulary.special_id("[CLS]")

    @property
    def sep_id(self) -> int:
        """The id of the token after every segment."""
        return self._vocabulary.special_id("[SEP]")

    @property
    def pad_id(self) -> int:
        """The id that fills short rows of a batch."""
        return self._vocabulary.special_id("[PAD]", "<pad>")

    @property
    def mask_id(self) -> int:
        """The id of a token to be predicted."""
        return self._vocabulary.special_id("[MASK]")

    def with_special_tokens(self, *tokens: str) -> "Tokenizer":
        """The same tokenizer, in whose texts these tokens stand for themselves."""
        return type(self).from_config(self.get_config() | {"special_tokens": tokens})

    def get_config(self) -> dict[str, Any]:
        """Everything that the tokenizer is made of, the vocabulary included."""
        return super().get_config() | {"special_tokens": list(self.special_tokens)}

    def _spans_around_special(self, texts: Any) -> tuple[Any, Any, Any]:
        if not self.special_tokens:
            return self._spans(texts)
        return self._around_special(texts, self._spans, self._special_ids)

    def _around_special(self, texts: Any, cut: Any, values: Sequence[Any]) -> tuple[Any, ...]:
        """Cuts what stands between special tokens, and puts these where they stood.

        Args:
            texts: Strings [batch].
            cut: Strings [parts] to one or three ragged rows a part, the last two of offsets.
            values: What a special token becomes, one each.
        """
        import tensorflow as tf
        import tensorflow_text

        pattern = "|".join(re.escape(token) for token in self.special_tokens)
        # The split would end at a NUL.
        texts = tf.strings.regex_replace(valid_utf8(texts), r"\x{0}", NO_CHARACTER)
        parts, starts, _ = tensorflow_text.regex_split_with_offsets(texts, pattern, pattern)
        flat = parts.flat_values
        same = flat[:, tf.newaxis] == [list(self.special_tokens)]
        special = tf.reduce_any(same, 1)
        ids, *spans = cut(tf.where(special, "", flat))
        own = tf.RaggedTensor.from_row_lengths(
            tf.gather(values, tf.where(same)[:, 1]), tf.cast(special, tf.int64)
        )
        results = [tf.concat([own, ids], 1)]
        if spans:
            first = starts.flat_values
            offset = count_characters(texts, parts.value_rowids(), tf.zeros_like(first), first)
            length = tf.strings.length(flat, unit="UTF8_CHAR")
            for rows, edge in zip(spans, (tf.zeros_like(length), length), strict=True):
                own = own.with_flat_values(tf.boolean_mask(edge, special))
                results.append(tf.concat([own, rows], 1) + offset[:, tf.newaxis])
        return tuple(parts.with_flat_values(rows).merge_dims(1, 2) for rows in results)
