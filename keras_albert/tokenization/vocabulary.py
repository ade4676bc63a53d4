"""Vocabulary files as Google's BERT reads them."""

from pathlib import Path

from keras_albert.errors import InputError


def load_vocabulary(path: str | Path) -> dict[str, int]:
    """Token -> id of a vocabulary file, which holds one token a line.

    An id is the number of the line, from 0; a repeated token keeps the last one. White space
    around a token is stripped, so that blank lines are the token "". Every carriage return is
    dropped, also inside of a line, and a byte-order mark stays part of the first token.

    Source: google-research/bert, tokenization.py, `load_vocab` over TensorFlow's line reader.

    Args:
        path: A `vocab.txt`.

    Raises:
        InputError: if there is no such file, or it is not UTF-8.
    """
    try:
        lines = Path(path).read_bytes().replace(b"\r", b"").decode("utf-8").split("\n")
    except OSError as error:
        raise InputError(
            f"A vocabulary is a readable file. Received: path={str(path)!r} ({error.strerror})"
        ) from error
    except UnicodeDecodeError as error:
        raise InputError(
            f"A vocabulary is UTF-8 text: {error}. Received: path={str(path)!r}"
        ) from error
    if not lines[-1]:
        lines.pop()
    return {line.strip(): index for index, line in enumerate(lines)}
