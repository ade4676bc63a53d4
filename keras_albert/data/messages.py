"""One-line errors on bad input: the rule, the place, what was received."""

import reprlib
from collections.abc import Iterable

from keras_albert.data.records import Place
from keras_albert.errors import InputError

LONGEST_TEXT = 80  # characters of a text that a message shows
MOST_NAMES = 30  # of columns or keys that a message lists


def shown(value: object) -> str:
    """A value on one line: control characters escaped, what is long cut."""
    if isinstance(value, str):
        return repr(value[:LONGEST_TEXT]) + ("…" if len(value) > LONGEST_TEXT else "")
    return reprlib.repr(value)


def listed(names: Iterable[str]) -> str:
    """The names that exist, for an error on one that does not."""
    texts = [shown(name) for name in names]
    more = f" and {len(texts) - MOST_NAMES} more" if len(texts) > MOST_NAMES else ""
    return (", ".join(texts[:MOST_NAMES]) or "none") + more


def bad(rule: str, place: Place | str, **received: object) -> InputError:
    """The error that says which rule was broken, where, and by what."""
    where = str(place)
    if not where.isprintable():  # a file name may hold a line break, or bytes that are no text
        where = repr(where)[1:-1]
    values = ", ".join(f"{name}={shown(value)}" for name, value in received.items())
    return InputError(f"{rule}, at {where}. Received: {values}")
