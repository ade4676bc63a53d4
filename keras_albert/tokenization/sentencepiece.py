"""ALBERT's tokenizer, exact, in TensorFlow's graph."""

import base64
import copy
import hashlib
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np

from keras_albert.errors import InputError
from keras_albert.tokenization.normalization import clean_sentencepiece, valid_utf8
from keras_albert.tokenization.offsets import CharacterMap
from keras_albert.tokenization.strings import require_tensorflow_text
from keras_albert.tokenization.tokenizer import Tokenizer
from keras_albert.tokenization.unknown_runs import shorten
from keras_albert.tokenization.vocabulary import Vocabulary

# What SentencePiece writes for the space before a word.
MARK = "\N{LOWER ONE EIGHTH BLOCK}"


@keras.saving.register_keras_serializable(package="keras_albert")
class SentencePieceTokenizer(Tokenizer):
    """Text to the token ids that Google's ALBERT programs give, in TensorFlow's graph.

    The clean-up is part of it: single spaces, NFKD, no combining characters (so no accents), and
    with `lower_case`, lower case. Then SentencePiece's unigram model cuts the text; a comma at the
    end of a piece behind a digit becomes a piece of its own, and what stands before it is cut
    anew. An offset leaves out the space that a piece's mark stands for; a lone mark's is empty.
    In a text of more than 16 KB, a token of unknown characters shows the first and the last only.

    Source: google-research/albert, tokenization.py, `preprocess_text` and `encode_pieces`.

    Args:
        model: The path of a SentencePiece `.model` file, or its bytes.
        lower_case: Google's `do_lower_case`; True for every published English model.
        clean_up: False for what Google's `FullTokenizer` itself does, whose callers clean up.
        remove_space: False to keep white space as it is in the clean-up.
        special_tokens: Tokens that stand for themselves in a text, such as `["[MASK]"]`.
        **kwargs: Of `keras.layers.Layer`.

    Raises:
        InputError: if the model cannot be read.
        ImportError: without tensorflow-text.

    Example:
    ```python
    tokenizer = SentencePieceTokenizer("30k-clean.model", lower_case=True)
    tokenizer.tokenize("Café, in 1999,")  # ['▁cafe', ',', '▁in', '▁1999', ',']
    ```
    """

    def __init__(
        self,
        model: str | Path | bytes,
        lower_case: bool = True,
        *,
        clean_up: bool = True,
        remove_space: bool = True,
        special_tokens: Iterable[str] = (),
        **kwargs: Any,
    ):
        require_tensorflow_text()
        import tensorflow as tf

        content, place = (model, "") if isinstance(model, bytes) else (_read(model), str(model))
        search = _searcher(content, place)
        pieces = search.id_to_string(tf.range(search.vocab_size())).numpy().tolist()
        vocabulary = Vocabulary([piece.decode("utf-8") for piece in pieces], place)
        super().__init__(vocabulary, special_tokens=special_tokens, **kwargs)
        self.lower_case = lower_case
        self.clean_up = clean_up
        self.remove_space = remove_space
        self._model = content
        self._search = search
        # The same model; its pieces as they stand in the text, also where they have no id.
        self._surfaces = copy.copy(search)
        self._surfaces.out_type = tf.string
        self._commas = _Commas(vocabulary, search, self._surfaces)

    def normalized(self, texts: Any) -> Any:
        """Texts after the clean-up, strings [batch]; of bytes that are not UTF-8, the others."""
        if not self.clean_up:
            return valid_utf8(texts)
        return clean_sentencepiece(texts, self.lower_case, self.remove_space)

    def _ids(self, texts: Any) -> Any:
        searched, _ = self._searched(self.normalized(texts))
        return self._commas.ids(self._search.tokenize(searched))

    def _spans(self, texts: Any) -> tuple[Any, Any, Any]:
        searched, kept = self._searched(self.normalized(texts))
        rows = self._search.tokenize_with_offsets(searched)
        ids, starts, ends = self._commas.spans(*rows)

        def clean(texts: Any) -> Any:
            if not self.clean_up:
                return valid_utf8(texts)
            return clean_sentencepiece(texts, self.lower_case, remove_space=False)

        single_spaces = self.clean_up and self.remove_space
        characters = CharacterMap(texts, searched, clean, single_spaces=single_spaces, kept=kept)
        return ids, *characters.spans(starts, ends)

    def _tokens(self, texts: Any) -> Any:
        searched, _ = self._searched(self.normalized(texts))
        ids, surfaces = self._search.tokenize(searched), self._surfaces.tokenize(searched)
        return self._commas.tokens(ids, surfaces)

    def _searched(self, normalized: Any) -> tuple[Any, Any]:
        """What SentencePiece is given of the texts, and which of their characters these are."""
        import tensorflow as tf

        def is_known(characters: Any) -> Any:
            is_unknown = self._search.tokenize(characters) == self.unk_id
            return ~tf.reduce_any(is_unknown, axis=1)

        return shorten(normalized, is_known)

    def _joined(self, tokens: Sequence[str]) -> str:
        return "".join(tokens).replace(MARK, " ").strip()

    def get_config(self) -> dict[str, Any]:
        """Everything that the tokenizer is made of, the SentencePiece model included."""
        return super().get_config() | {
            "model": base64.b64encode(self._model).decode("ascii"),
            "lower_case": self.lower_case,
            "clean_up": self.clean_up,
            "remove_space": self.remove_space,
        }

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "SentencePieceTokenizer":
        """The inverse of `get_config`."""
        return cls(**(config | {"model": base64.b64decode(config["model"])}))


class _Commas:
    """Cuts pieces that end in a digit and a comma once more, by a table of what each becomes.

    Source: google-research/albert, tokenization.py, `encode_pieces`, as it runs in Python 3.
    """

    def __init__(self, vocabulary: Vocabulary, search: Any, surfaces: Any):
        import tensorflow as tf

        pieces = [vocabulary.tokens[index] for index in range(len(vocabulary))]
        split = [i for i, p in enumerate(pieces) if p[-1:] == "," and p[-2:-1].isdigit()]
        heads = tf.constant([pieces[i][:-1].replace(MARK, "") for i in split], tf.string)
        ids = [[index] for index in range(len(pieces))]
        tokens = [[piece] for piece in pieces]
        if split:
            comma = vocabulary.ids.get(",", vocabulary.special_id("<unk>"))
            for index, head in zip(split, search.tokenize(heads).to_list(), strict=True):
                ids[index] = [*head, comma]
            for index, head in zip(split, surfaces.tokenize(heads).to_list(), strict=True):
                tokens[index] = [*(part.decode("utf-8") for part in head), ","]
        self._any = bool(split)
        self._is_split = np.isin(np.arange(len(pieces)), split)
        self._count = np.array([len(parts) for parts in ids], np.int32)
        self._first = np.cumsum(self._count, dtype=np.int32) - self._count
        self._ids = np.array([part for parts in ids for part in parts], np.int32)
        self._tokens = [part for parts in tokens for part in parts]
        # Bytes of a piece's text from the part on, and behind it.
        sizes = [[len(part.replace(MARK, "").encode()) for part in parts] for parts in tokens]
        self._from = np.array([sum(row[i:]) for row in sizes for i in range(len(row))])
        self._behind = np.array([sum(row[i + 1 :]) for row in sizes for i in range(len(row))])

    def ids(self, ids: Any) -> Any:
        """Ragged ids [batch, (pieces)] with those pieces cut."""
        import tensorflow as tf

        return self._where_any(
            ids, lambda parts: (tf.gather(self._ids, parts.flat_values),), (ids,)
        )[0]

    def tokens(self, ids: Any, surfaces: Any) -> Any:
        """Ragged strings likewise; what is not cut stays as it stands in the text."""
        import tensorflow as tf

        def cut(parts: Any) -> tuple[Any]:
            piece = parts.value_rowids()
            is_split = tf.gather(tf.gather(self._is_split, ids.flat_values), piece)
            tokens = tf.gather(tf.constant(self._tokens), parts.flat_values)
            return (tf.where(is_split, tokens, tf.gather(surfaces.flat_values, piece)),)

        return self._where_any(ids, cut, (surfaces,))[0]

    def spans(self, ids: Any, starts: Any, ends: Any) -> tuple[Any, Any, Any]:
        """Ragged ids and their byte spans likewise."""
        import tensorflow as tf

        def cut(parts: Any) -> tuple[Any, Any, Any]:
            piece = parts.value_rowids()
            is_split = tf.gather(tf.gather(self._is_split, ids.flat_values), piece)
            start, end = (tf.gather(edges.flat_values, piece) for edges in (starts, ends))
            place = tf.where(is_split, parts.flat_values, 0)
            first = tf.where(is_split, end - tf.gather(self._from, place), start)
            last = tf.where(is_split, end - tf.gather(self._behind, place), end)
            return (
                tf.gather(self._ids, parts.flat_values),
                tf.maximum(start, first),
                tf.maximum(start, last),
            )

        return self._where_any(ids, cut, (ids, starts, ends))

    def _where_any(self, ids: Any, cut: Any, unchanged: tuple[Any, ...]) -> tuple[Any, ...]:
        """What `cut` makes of the parts of all pieces, [pieces, (parts)], if any is to be cut."""
        import tensorflow as tf

        if not self._any:
            return unchanged

        def changed() -> tuple[Any, ...]:
            first = tf.gather(self._first, ids.flat_values)
            parts = tf.ragged.range(first, first + tf.gather(self._count, ids.flat_values))
            return tuple(
                ids.with_flat_values(parts.with_flat_values(values)).merge_dims(1, 2)
                for values in cut(parts)
            )

        there = tf.reduce_any(tf.gather(self._is_split, ids.flat_values))
        return tf.cond(there, changed, lambda: unchanged)


def _read(path: str | Path) -> bytes:
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise InputError(
            f"A SentencePiece model is a readable file. Received: path={str(path)!r} "
            f"({error.strerror})"
        ) from error


def _searcher(content: bytes, place: str) -> Any:
    """tensorflow-text's SentencePiece, once it has said that it can read the model."""
    import tensorflow as tf
    import tensorflow_text

    try:
        search = tensorflow_text.SentencepieceTokenizer(model=content)
        search.vocab_size()
    except (tf.errors.OpError, RuntimeError) as error:
        raise InputError(
            f"{place or 'model'}: not a readable SentencePiece model. "
            f"Received: {len(content)} bytes"
        ) from error
    search._model_resource = _lasting_resource(content)
    return search


def _lasting_resource(content: bytes) -> Any:
    """The model in TensorFlow's memory under the name of its content, there once and for good.

    tensorflow-text's own belongs to the kernel that made it, which `keras.utils.clear_session`
    throws away, and with it every tokenizer that there is.
    """
    import tensorflow as tf
    from tensorflow_text.python.ops.sentencepiece_tokenizer import gen_sentencepiece_tokenizer

    name = f"sentencepiece_{hashlib.sha256(content).hexdigest()}"

    class Model(tf.saved_model.experimental.TrackableResource):
        def _create_resource(self) -> Any:
            return gen_sentencepiece_tokenizer.sentencepiece_op(model=content, shared_name=name)

    model = Model()
    _ = model.resource_handle  # makes the resource
    return model
