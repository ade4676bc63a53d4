"""The door for text: any source -> tokenizer, preprocessor."""

import contextlib
import json
import os
import sys
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from absl import logging

from keras_albert.config import EncoderConfig
from keras_albert.config_json import json_bytes, read_json
from keras_albert.directory import read_files
from keras_albert.errors import InputError
from keras_albert.tokenization.casing import case_complaint, named_cased
from keras_albert.tokenization.preprocessor import Preprocessor
from keras_albert.tokenization.sentencepiece import SentencePieceTokenizer
from keras_albert.tokenization.tokenizer import Tokenizer
from keras_albert.tokenization.vocabulary import check_special_tokens, load_vocabulary
from keras_albert.tokenization.wordpiece import WordPieceTokenizer

TOKENIZER_CONFIG = "tokenizer_config.json"
# Settings of Hugging Face's tokenizers for which text would become other tokens than Google's.
_OTHER_RULES = {"strip_accents": False, "tokenize_chinese_chars": False, "keep_accents": True}
_LONGEST = 512  # of a vocabulary without a model


class _Text(NamedTuple):
    """What a source says of its text."""

    vocabulary: Path
    config: EncoderConfig | None  # None for a vocabulary alone
    checkpoint: str | None  # prefix of Google's
    lower_case: bool
    reason: str


def load_tokenizer(
    source: str | os.PathLike[str],
    lower_case: bool | None = None,
    *,
    special_tokens: Iterable[str] = (),
    config_path: str | os.PathLike[str] | None = None,
    vocabulary_path: str | os.PathLike[str] | None = None,
) -> Tokenizer:
    """The tokenizer of any source: WordPiece for a `vocab.txt`, SentencePiece for a `.model`.

    Args:
        source: As `load_model` takes it, or a `vocab.txt` or `.model` file itself.
        lower_case: Google's `do_lower_case`; where it is not given, what the source's
            `tokenizer_config.json` says, else False for a folder called cased, and else True. What
            was chosen is printed on standard error; where Google's programs would refuse it, there
            is a warning.
        special_tokens: Tokens that stand for themselves in a text, such as `["[MASK]"]`.
        config_path: The configuration, where it does not lie beside the checkpoint.
        vocabulary_path: The vocabulary, likewise.

    Raises:
        InputError: There is no vocabulary, it is damaged, lacks a special token or has one twice,
            or is of another size or kind than the model's.
        ImportError: without tensorflow-text.

    Example:
    ```python
    tokenizer = keras_albert.load_tokenizer("uncased_L-12_H-768_A-12")
    ids, offsets = tokenizer.encode("A gripping film.")
    ```
    """
    with _text(source, config_path, vocabulary_path) as text:
        return _tokenizer(source, text, lower_case, special_tokens)


def load_preprocessor(
    source: str | os.PathLike[str],
    max_length: int | None = None,
    *,
    lower_case: bool | None = None,
    length: int | None = None,
    multiple_of: int = 1,
    truncate: bool = True,
    special_tokens: Iterable[str] = (),
    config_path: str | os.PathLike[str] | None = None,
    vocabulary_path: str | os.PathLike[str] | None = None,
) -> Preprocessor:
    """The layer that makes a source's model inputs of texts; see `Preprocessor`.

    Args:
        source: As `load_tokenizer` takes it.
        max_length: Most tokens of a row, `[CLS]` and `[SEP]` included; the model's own where it
            is not given. Batches are as long as their longest row.
        lower_case: See `load_tokenizer`.
        length: See `Preprocessor`, as `multiple_of` and `truncate`.
        multiple_of: See `Preprocessor`.
        truncate: See `Preprocessor`.
        special_tokens: See `load_tokenizer`.
        config_path: See `load_tokenizer`.
        vocabulary_path: See `load_tokenizer`.

    Raises:
        InputError: As `load_tokenizer`, or a length beyond the model's positions.
        ImportError: without tensorflow-text.

    Example:
    ```python
    preprocess = keras_albert.load_preprocessor("uncased_L-12_H-768_A-12", max_length=128)
    preprocess(["one text", "another"])["token_ids"]  # [2, length]
    preprocess(("a question", "a text"))["segment_ids"]  # a pair
    ```
    """
    with _text(source, config_path, vocabulary_path) as text:
        tokenizer = _tokenizer(source, text, lower_case, special_tokens)
        longest = text.config.max_sequence_length if text.config else None
        for name, value in (("max_length", max_length), ("length", length)):
            if longest is not None and value is not None and value > longest:
                raise InputError(
                    f"{source}: the model has positions for {longest} tokens. "
                    f"Received: {name}={value}"
                )
        return Preprocessor(
            tokenizer,
            next(n for n in (max_length, length, longest, _LONGEST) if n is not None),
            length=length,
            multiple_of=multiple_of,
            num_segments=text.config.num_segments if text.config else 2,
            truncate=truncate,
        )


def text_files(located: Any) -> dict[str, bytes]:
    """Name -> content of what says how a source's text is tokenized, to keep beside a model.

    A copy of a cased checkpoint no longer has the folder whose name tells so; there its
    `tokenizer_config.json` does, as in Hugging Face's layout.
    """
    files = read_files(located.text_paths)
    if located.vocabulary_path is not None and not _casing(located)[0]:
        files.setdefault(TOKENIZER_CONFIG, b'{"do_lower_case": false}\n')
    return files


def tokenizer_config(files: Mapping[str, bytes], lower_case: bool) -> dict[str, bytes]:
    """The tokenizer_config.json among a model's files, saying whether text is lower-cased."""
    settings = json.loads(files.get(TOKENIZER_CONFIG, b"{}")) | {"do_lower_case": lower_case}
    return {TOKENIZER_CONFIG: json_bytes(settings)}


@contextlib.contextmanager
def _text(
    source: str | os.PathLike[str],
    config_path: str | os.PathLike[str] | None,
    vocabulary_path: str | os.PathLike[str] | None,
) -> Iterator[_Text]:
    """Finds the vocabulary and what belongs to it; an archive stays unpacked meanwhile."""
    # Here, because checkpoints_tools may be what imports keras_albert first.
    from checkpoints_tools.source import locate

    path = Path(source)
    if path.suffix in (".txt", ".model") and path.is_file():
        cased = named_cased(path.name, path.absolute().parent.name)
        yield _Text(path, None, None, not cased, "by its name" if cased else "the default")
        return
    with locate(source, config_path, vocabulary_path) as located:
        if located.vocabulary_path is None:
            raise InputError(
                f"{source}: there is no vocabulary (vocab.txt or a SentencePiece .model); give one "
                "as vocabulary_path= (--vocabulary)"
            )
        lower_case, reason = _casing(located)
        yield _Text(located.vocabulary_path, _config(located), located.prefix, lower_case, reason)


def _casing(located: Any) -> tuple[bool, str]:
    if located.tokenizer_config_path is not None:
        settings = read_json(located.tokenizer_config_path)
        for name, value in _OTHER_RULES.items():
            if settings.get(name) is value:
                logging.warning(
                    "%s: %s=%s is not followed: text is tokenized as Google's programs do",
                    located.tokenizer_config_path,
                    name,
                    value,
                )
        if isinstance(settings.get("do_lower_case"), bool):
            return settings["do_lower_case"], f"by {located.tokenizer_config_path.name}"
    # Of a folder, of an archive and the folder in it, of a prefix the folder that it is in.
    if named_cased(Path(located.name).absolute().name, located.directory.name):
        return False, "by its name"
    return True, "the default"


def _config(located: Any) -> EncoderConfig:
    if located.kind == "keras":
        return EncoderConfig.from_config(read_json(located.config_path)["config"])
    if located.kind == "hugging_face":
        from checkpoints_tools.hugging_face_config import read_description

        return read_description(located.config_path).config
    return EncoderConfig.from_json(located.config_path)


def _tokenizer(
    source: str | os.PathLike[str],
    text: _Text,
    lower_case: bool | None,
    special_tokens: Iterable[str],
) -> Tokenizer:
    reason = text.reason if lower_case is None else "as asked for"
    lower_case = text.lower_case if lower_case is None else lower_case
    _check_kind(text)
    # Printed, because a wrong choice shows nowhere but in the accuracy.
    case = "is lower-cased" if lower_case else "keeps its case"
    print(f"{source}: text {case} ({reason})", file=sys.stderr)
    if complaint := case_complaint(lower_case, text.checkpoint):
        logging.warning("%s: %s", source, complaint)
    if text.vocabulary.suffix == ".model":
        tokenizer: Tokenizer = SentencePieceTokenizer(
            text.vocabulary, lower_case, special_tokens=special_tokens
        )
    else:
        check_special_tokens(text.vocabulary)
        family = text.config.family if text.config else "bert"
        tokenizer = WordPieceTokenizer(
            load_vocabulary(text.vocabulary, family=family),
            lower_case,
            special_tokens=special_tokens,
        )
    if text.config is not None and tokenizer.vocab_size != text.config.vocab_size:
        raise InputError(
            f"{text.vocabulary}: a vocabulary has as many entries as the configuration's "
            f"vocab_size. Received: {tokenizer.vocab_size} entries, "
            f"vocab_size={text.config.vocab_size}"
        )
    return tokenizer


def _check_kind(text: _Text) -> None:
    if text.config is None or text.vocabulary.suffix != ".model" or text.config.family == "albert":
        return
    raise InputError(
        f"{text.vocabulary}: a {text.config.family} model has a WordPiece vocabulary (vocab.txt), "
        "and SentencePiece is ALBERT's. Received: a .model file"
    )
