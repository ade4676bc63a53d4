"""JSON with a place for every fault: parsing, an object's parts, the lines of a document."""

import json
import re
from typing import Any

from keras_albert.data.messages import bad, listed, shown
from keras_albert.data.records import Place
from keras_albert.errors import InputError

_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")


def parse(text: str, place: Place, errors: str = "strict") -> Any:
    r"""The value of a JSON text that begins at a place.

    It is stricter than `json.loads`: no key stands twice in an object, and there are no NaN and
    Infinity. Half a surrogate pair (`"\ud800"` alone) is no text that UTF-8 can hold; it is
    treated as `errors` ("strict", "replace", "ignore") says of such bytes.

    Raises:
        InputError: It is not JSON.
    """
    try:
        value = _DECODER.decode(text)
        return _whole_characters(value, errors) if _SURROGATE.search(text) else value
    except json.JSONDecodeError as error:
        place = place._replace(line=place.line + error.lineno - 1)
        rule = f"JSON must be well-formed ({error.msg}, column {error.colno})"
        raise bad(rule, place, text=text[max(error.pos - 20, 0) : error.pos + 20]) from error
    except (ValueError, RecursionError) as error:  # such as an integer of thousands of digits
        raise bad(f"JSON must be well-formed ({error})", place, text=text) from error


class Object:
    """A JSON object at a place, asked for its parts by one of several names.

    Raises:
        InputError: `value` is no object; a part is missing where there is no default, or is not
            what it must be.
    """

    def __init__(self, value: object, place: Place, what: str):
        if not isinstance(value, dict):
            raise bad(f"{what} must be a JSON object", place, value=value)
        self.value = value
        self.place = place
        self.what = what

    def get(self, *keys: str) -> Any:
        """The value of the first of the keys that is there, or None."""
        return next((self.value[key] for key in keys if key in self.value), None)

    def text(self, *keys: str) -> str:
        value = self.get(*keys)
        if not isinstance(value, str):
            raise self.wrong(f"must have {_either(keys)}, a text", value)
        return value

    def texts(self, *keys: str) -> tuple[str, ...]:
        value = self.array(*keys)
        if not all(isinstance(item, str) for item in value):
            raise self.wrong(f"must have {_either(keys)}, a list of texts", value)
        return tuple(value)

    def name(self, *keys: str, default: str | None = None) -> str:
        """The identifier under one of the keys: a text, or a number made one."""
        value = self.get(*keys)
        value = default if value is None else value
        if isinstance(value, bool) or not isinstance(value, str | int):
            raise self.wrong(f"must have {_either(keys)}, a text or a number", value)
        return str(value)

    def array(self, *keys: str) -> list[Any]:
        value = self.get(*keys)
        if not isinstance(value, list):
            raise self.wrong(f"must have {_either(keys)}, a list", value)
        return value

    def wrong(self, rule: str, value: object) -> InputError:
        """The error of a part that is not what it must be; the keys that exist are named."""
        rule = f"{self.what} {rule}; its keys are {listed(self.value)}"
        return bad(rule, self.place, value=value)


class Lines:
    """The lines of a JSON document where keys stand, found by the keys' values in their order.

    json tells no positions. Outside of a string no quote follows a backslash, and inside of one
    every quote does, so that a search for the quoted key finds keys alone.
    """

    def __init__(self, text: str, *keys: str):
        self.text = text
        self.line = 1  # of the key found last
        self._position = 0
        self._matches = re.finditer(rf'(?<!\\)"(?:{"|".join(keys)})"\s*:\s*', text)

    def next(self, value: object) -> int:
        """The line of the next key with this value; the last line found where there is none."""
        for match in self._matches:
            if _DECODER.raw_decode(self.text, match.end())[0] == value:
                self.line += self.text.count("\n", self._position, match.start())
                self._position = match.start()
                break
        return self.line


def _either(keys: tuple[str, ...]) -> str:
    return " or ".join(repr(key) for key in keys)


def _whole_characters(value: Any, errors: str) -> Any:
    if isinstance(value, str):
        try:
            return value.encode("utf-16-le", "surrogatepass").decode("utf-16-le", errors)
        except UnicodeDecodeError as error:
            raise ValueError("half of a surrogate pair, which is no character") from error
    if isinstance(value, list):
        return [_whole_characters(item, errors) for item in value]
    if isinstance(value, dict):
        pairs = value.items()
        return {_whole_characters(k, errors): _whole_characters(v, errors) for k, v in pairs}
    return value


def _unique_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) != len(pairs):
        keys = [key for key, _ in pairs]
        twice = next(key for key in keys if keys.count(key) > 1)
        raise ValueError(f"the key {shown(twice)} stands twice in an object")
    return value


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


_DECODER = json.JSONDecoder(object_pairs_hook=_unique_keys, parse_constant=_no_constant)
