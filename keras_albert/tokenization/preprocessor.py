"""From strings to a model's inputs, as one Keras layer."""

from typing import Any

import keras
import numpy as np

from keras_albert.errors import InputError
from keras_albert.tokenization.packing import join_segments, pad, windows
from keras_albert.tokenization.strings import as_graph, as_strings
from keras_albert.tokenization.tokenizer import Tokenizer


@keras.saving.register_keras_serializable(package="keras_albert")
class Preprocessor(keras.layers.Layer):
    """Texts, or several segments of text each, to `token_ids`, `segment_ids` and `padding_mask`.

    A list is a batch, a tuple the segments: `preprocess(["one", "two"])` are two texts,
    `preprocess(("one", "two"))` is one pair, `preprocess((["a", "b"], ["c", "d"]))` and
    `preprocess([("a", "c"), ("b", "d")])` are two pairs. String tensors [batch] take the place of
    lists inside of a `tf.data` pipeline and of a functional model that begins with
    `keras.Input((), dtype="string")`; such a model needs the TensorFlow backend.

    Args:
        tokenizer: A `WordPieceTokenizer` or `SentencePieceTokenizer`.
        max_length: Most tokens of a row, `[CLS]` and `[SEP]` included; longer ones are cut, always
            the longest segment first.
        length: Fixed length of every batch; by default as long as its longest row.
        multiple_of: Lengths are rounded up to a multiple of this.
        num_segments: How many segment ids the model knows; later segments share the last.
        truncate: False to refuse what is too long instead of cutting it.
        **kwargs: Of `keras.layers.Layer`.

    Raises:
        InputError: The lengths do not fit each other.

    Example:

    >>> from keras_albert.tokenization import Preprocessor, WordPieceTokenizer
    >>> vocabulary = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "good", "film"]
    >>> preprocess = Preprocessor(WordPieceTokenizer(vocabulary, lower_case=True), max_length=16)
    >>> inputs = preprocess(["good film", "good"])
    >>> {name: value.numpy().tolist() for name, value in inputs.items()}["token_ids"]
    [[2, 4, 5, 3], [2, 4, 3, 0]]
    """

    def __init__(
        self,
        tokenizer: Tokenizer,
        max_length: int = 512,
        *,
        length: int | None = None,
        multiple_of: int = 1,
        num_segments: int = 2,
        truncate: bool = True,
        **kwargs: Any,
    ):
        super().__init__(**{"trainable": False} | kwargs)
        if max_length < 2:
            raise InputError(
                f"A row has at least [CLS] and [SEP]. Received: max_length={max_length}"
            )
        if multiple_of < 1:
            raise InputError(
                f"A length is a multiple of at least 1. Received: multiple_of={multiple_of}"
            )
        if length is not None and length < max_length:
            raise InputError(
                "A fixed length is at least max_length. "
                f"Received: length={length}, max_length={max_length}"
            )
        self._convert_input_args = False
        self._allow_non_tensor_positional_args = True
        self.tokenizer = tokenizer
        self.max_length = max_length
        self.length = length
        self.multiple_of = multiple_of
        self.num_segments = num_segments
        self.truncate = truncate
        self._special = {"cls_id": tokenizer.cls_id, "sep_id": tokenizer.sep_id}
        self._pad_id = tokenizer.pad_id
        self._graph_of_inputs = as_graph(lambda *segments: self.pad(self.ragged(segments)))
        self.built = True

    def ragged(self, texts: Any) -> dict[str, Any]:
        """The inputs of many texts before padding, for batches that are cut by length later.

        Args:
            texts: As the layer takes them.

        Returns:
            `token_ids` and `segment_ids`, `tf.RaggedTensor`s of int32 [batch, (tokens)].

        Raises:
            InputError: Not texts; segments of different number; a text that is too long, if
                `truncate` is False (inside of a graph `tf.errors.InvalidArgumentError`).
        """
        segments = [self.tokenizer.token_ids(as_strings(part)) for part in as_segments(texts)]
        if not self.truncate:
            self._refuse_long(segments)
        return join_segments(
            *segments, max_length=self.max_length, num_segments=self.num_segments, **self._special
        )

    def windows(self, texts: Any, stride: int) -> tuple[dict[str, Any], Any]:
        """The inputs of texts of any length, in overlapping windows of `max_length` tokens.

        Args:
            texts: Single texts, as the layer takes them.
            stride: Tokens from the beginning of a window to that of the next one.

        Returns:
            `token_ids` and `segment_ids` as `ragged` gives them, [windows, (tokens)], and for each
            window the index of its text, int64 [windows].

        Raises:
            InputError: There is more than one segment.
        """
        (part, *others) = as_segments(texts)
        if others:
            raise InputError(
                f"Windows are cut from single texts. Received: {1 + len(others)} segments"
            )
        cut = windows(
            self.tokenizer.token_ids(as_strings(part)), length=self.max_length - 2, stride=stride
        )
        rows = join_segments(cut.values, max_length=self.max_length, **self._special)
        return rows, cut.value_rowids()

    def pad(self, rows: dict[str, Any]) -> dict[str, Any]:
        """Ragged inputs, padded, with their `padding_mask`; int32 [batch, length]."""
        return pad(rows, pad_id=self._pad_id, length=self.length, multiple_of=self.multiple_of)

    def call(self, texts: Any) -> dict[str, Any]:
        """`token_ids`, `segment_ids` and `padding_mask`, int32 [batch, length]."""
        if not self.truncate:  # which says in one line what is wrong, if it is no graph
            return self.pad(self.ragged(texts))
        return self._graph_of_inputs(*map(as_strings, as_segments(texts)))

    def __call__(self, texts: Any, **_keras: Any) -> dict[str, Any]:
        if any(isinstance(part, keras.KerasTensor) for part in keras.tree.flatten(texts)):
            return super().__call__(texts)
        inputs = self.call(texts)
        if keras.backend.backend() != "tensorflow":
            import tensorflow as tf

            if tf.executing_eagerly():
                return {name: np.asarray(value) for name, value in inputs.items()}
        return inputs

    def compute_output_spec(self, texts: Any) -> dict[str, keras.KerasTensor]:
        """Symbolic inputs [batch, length] for symbolic strings [batch]."""
        batch = keras.tree.flatten(texts)[0].shape[0]
        length = self.length and -(-self.length // self.multiple_of) * self.multiple_of
        return {
            name: keras.KerasTensor((batch, length), "int32")
            for name in ("token_ids", "segment_ids", "padding_mask")
        }

    def get_config(self) -> dict[str, Any]:
        """Everything that the layer is made of, the tokenizer included."""
        return super().get_config() | {
            "tokenizer": keras.saving.serialize_keras_object(self.tokenizer),
            "max_length": self.max_length,
            "length": self.length,
            "multiple_of": self.multiple_of,
            "num_segments": self.num_segments,
            "truncate": self.truncate,
        }

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "Preprocessor":
        """The inverse of `get_config`."""
        tokenizer = keras.saving.deserialize_keras_object(config["tokenizer"])
        return cls(**(config | {"tokenizer": tokenizer}))

    def _refuse_long(self, segments: list[Any]) -> None:
        import tensorflow as tf

        lengths = 1 + tf.add_n([segment.row_lengths() + 1 for segment in segments])
        rule = "A text has at most max_length tokens, [CLS] and [SEP] included (truncate=True cuts)"
        if not tf.executing_eagerly():
            tf.debugging.assert_less_equal(lengths, tf.constant(self.max_length, tf.int64), rule)
        elif (long := np.flatnonzero(lengths.numpy() > self.max_length)).size:
            raise InputError(
                f"{rule}. Received: max_length={self.max_length}, text {long[0]} of the batch has "
                f"{lengths[long[0]]} tokens"
            )


def as_segments(texts: Any) -> list[Any]:
    """The segments of a batch, each the strings [batch] of one segment.

    Raises:
        InputError: Neither texts nor equally long tuples of texts.
    """
    if isinstance(texts, str | bytes):
        return [[texts]]
    if isinstance(texts, tuple):
        if texts and all(isinstance(part, str | bytes) for part in texts):
            return [[part] for part in texts]
        return list(texts)
    if isinstance(texts, np.ndarray) and texts.ndim == 2:
        return list(texts.T)
    first = texts[0] if isinstance(texts, list) and texts else None
    if isinstance(first, tuple | list):
        sizes = sorted({len(row) if isinstance(row, tuple | list) else 1 for row in texts})
        if len(sizes) > 1:
            raise InputError(
                f"Every text of a batch has as many segments. Received: {sizes} segments"
            )
        return [list(part) for part in zip(*texts, strict=True)]
    if hasattr(first, "shape") and not isinstance(first, str | bytes):
        return list(texts)  # tensors, one a segment, as functional models give them
    return [texts]
