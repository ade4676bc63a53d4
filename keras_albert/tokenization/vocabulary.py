"""Vocabulary files as Google's programs read them."""

from collections.abc import Iterable, Mapping
from pathlib import Path

from keras_albert.errors import InputError

SPECIAL_TOKENS = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")


class Vocabulary:
    """Tokens and their ids, both ways.

    Args:
        tokens: Token -> id, or the tokens in the order of their ids, where a repeated token keeps
            its last place.
        place: The file that they come from, for messages.

    Raises:
        InputError: There is no token at all, or a special one stands twice.
    """

    def __init__(self, tokens: Mapping[str, int] | Iterable[str], place: str = ""):
        self._where = f"{place}: " if place else ""
        if isinstance(tokens, Mapping):
            self.ids = dict(tokens)
        else:
            listed = list(tokens)
            self.ids = {token: index for index, token in enumerate(listed)}
            for token in SPECIAL_TOKENS:
                if (count := listed.count(token)) > 1:
                    raise InputError(
                        f"{self._where}A special token may stand in a vocabulary once. "
                        f"Received: {token} {count} times"
                    )
        if not self.ids:
            raise InputError(f"{self._where}A vocabulary has at least one token. Received: none")
        self.tokens = {index: token for token, index in self.ids.items()}

    def __len__(self) -> int:
        """How many ids there are, those included that a repeated token left without one."""
        return max(self.tokens) + 1

    def special_id(self, *names: str) -> int:
        """The id of the first of these special tokens that there is.

        Raises:
            InputError: There is none of them.
        """
        for name in names:
            if name in self.ids:
                return self.ids[name]
        raise InputError(
            f"{self._where}The vocabulary has no {' or '.join(names)}. "
            f"Received: {len(self.ids)} tokens"
        )


def load_vocabulary(path: str | Path, *, family: str = "bert") -> dict[str, int]:
    """Token -> id of a vocabulary file, which holds one token a line.

    For BERT, an id is the number of the line, from 0; a repeated token keeps the last one. White
    space around a token is stripped, so that blank lines are the token "". For ALBERT, only what
    stands before the first white space of a line counts, a repeated token is passed over, so that
    ids close up, and a blank line is the token " ". For both, every carriage return is dropped,
    also inside of a line, and a byte-order mark stays part of the first token. On every published
    vocabulary the two agree.

    Source: google-research/bert and google-research/albert, tokenization.py, `load_vocab` over
    TensorFlow's line reader.

    Args:
        path: A `vocab.txt`.
        family: `"albert"` for ALBERT's rules, any other for BERT's.

    Raises:
        InputError: if there is no such file, or it is not UTF-8.
    """
    lines = read_lines(path)
    if family != "albert":
        return {line.strip(): index for index, line in enumerate(lines)}
    tokens = (line.split()[0] if line.strip() else " " for line in lines)
    return {token: index for index, token in enumerate(dict.fromkeys(tokens))}


def read_lines(path: str | Path) -> list[str]:
    """The lines of a vocabulary file, as TensorFlow's reader splits them."""
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
    return lines


def check_special_tokens(path: str | Path) -> None:
    """Raises `InputError` where a special token is missing from a `vocab.txt`, or stands twice."""
    lines = [line.strip() for line in read_lines(path)]
    for token in SPECIAL_TOKENS:
        places = [number for number, line in enumerate(lines, 1) if line == token]
        if len(places) != 1:
            where = f"on the lines {places}" if places else "nowhere"
            raise InputError(
                f"{path}: a vocabulary has each of {', '.join(SPECIAL_TOKENS)} once. "
                f"Received: {token} {where}"
            )
