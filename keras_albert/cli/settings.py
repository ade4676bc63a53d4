"""`--config FILE`: settings of a command in a file, which its flags override."""

import argparse
import difflib
import json
import tomllib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from keras_albert.data.messages import shown
from keras_albert.errors import InputError

# Of a run's folder; where it is written (keras_albert/runs/folder.py), Keras is imported.
OF_A_RUN = "settings.json"
# What belongs on the command line alone.
_ON_THE_LINE = ("config", "debug")

Find = Callable[[argparse.Namespace], str | Path | None]


def add_settings_argument(
    parser: argparse.ArgumentParser, find: Find = lambda args: args.config, more: str = ""
) -> None:
    """Adds --config.

    Args:
        parser: A command's.
        find: Where the settings of a command line are, if anywhere.
        more: To add to the help.
    """
    parser.add_argument(
        "--config",
        metavar="FILE",
        help="settings in JSON or TOML, by the names of the flags; flags on the command line win"
        + more,
    )
    parser.set_defaults(with_settings=(parser, find))


def parse(parser: argparse.ArgumentParser, argv: Sequence[str]) -> argparse.Namespace:
    """The arguments of a command line: flags, then what its settings file says, then defaults.

    Raises:
        InputError: The file is none, or has a name or value that the command does not.
        SystemExit: As of argparse.
    """
    args = parser.parse_args(argv)
    command, find = getattr(args, "with_settings", (None, None))
    path = None if find is None else find(args)
    if command is None or path is None:
        return args
    command.set_defaults(**_defaults(command, Path(path), args))
    return parser.parse_args(argv)


def given(args: argparse.Namespace, leave_out: Sequence[str] = ()) -> dict[str, Any]:
    """What a settings file would hold that repeats a command line."""
    parser, _ = args.with_settings
    return {name: getattr(args, name) for name in _by_name(parser) if name not in leave_out}


def required(args: argparse.Namespace, *names: str) -> None:
    """Raises InputError for flags that neither the command line nor its settings file has."""
    missing = [f"--{name}" for name in names if getattr(args, name) is None]
    if missing:
        raise InputError(f"{args.command} needs {', '.join(missing)}. Received: none")


def _defaults(
    parser: argparse.ArgumentParser, path: Path, args: argparse.Namespace
) -> dict[str, Any]:
    """The settings of a file, by the names that the parser has for them."""
    actions = _by_name(parser)
    defaults = {}
    for name, value in _read(path).items():
        found = actions.get(name.replace("-", "_"))
        if found is None:
            near = difflib.get_close_matches(name.replace("-", "_"), actions, n=1)
            hint = f"; near: {near[0]}" if near else ""
            raise InputError(f"{path}: no setting of this command{hint}. Received: {shown(name)}")
        action = found[0]
        given = getattr(args, action.dest) != action.default
        # Argparse would add to a list from here, and flags override.
        if not (given and isinstance(action.default, list)):
            defaults[action.dest] = _value(found, value, f"{path}: {name}")
    return defaults


def _by_name(parser: argparse.ArgumentParser) -> dict[str, list[argparse.Action]]:
    """The flags that set each name: first the one that takes a value, where there is one."""
    actions: dict[str, list[argparse.Action]] = {}
    for action in parser._actions:
        is_setting = action.default is not argparse.SUPPRESS  # unlike --help, and absl's flags
        if action.option_strings and is_setting and action.dest not in _ON_THE_LINE:
            actions.setdefault(action.dest, []).append(action)
    return {name: sorted(found, key=lambda a: a.nargs == 0) for name, found in actions.items()}


def _read(path: Path) -> dict[str, Any]:
    try:
        text = path.read_text(encoding="utf-8-sig")
        content = tomllib.loads(text) if path.suffix == ".toml" else json.loads(text)
    except OSError as error:
        raise InputError(
            f"Settings are a readable file. Received: path={str(path)!r} ({error.strerror})"
        ) from error
    except ValueError as error:  # of either format, or of UTF-8
        raise InputError(f"{path}: settings are JSON or TOML. Received: {error}") from error
    if not isinstance(content, dict):
        raise InputError(f"{path}: settings are an object. Received: {type(content).__name__}")
    return content


def _value(actions: list[argparse.Action], value: Any, place: str) -> Any:
    """A setting as the flags themselves would give it."""
    action = actions[0]
    if value is None:
        return action.default
    if isinstance(value, bool):
        if action.nargs != 0 and all(getattr(a, "const", None) is not value for a in actions):
            raise InputError(f"{place}: not true or false. Received: {value!r}")
        return value
    if action.nargs == 0:
        raise InputError(f"{place}: true or false. Received: {shown(value)}")
    if isinstance(action.default, list) or action.nargs in ("*", "+"):
        values = value if isinstance(value, list) else [value]
        return [_converted(action, item, place) for item in values]
    return _converted(action, value, place)


def _converted(action: argparse.Action, value: Any, place: str) -> Any:
    if not isinstance(value, str | int | float) or isinstance(value, bool):
        raise InputError(f"{place}: a text or a number. Received: {shown(value)}")
    kind = action.type if callable(action.type) else str
    try:
        result = kind(str(value))
    except (ValueError, argparse.ArgumentTypeError) as error:
        raise InputError(f"{place}: not what the flag takes. Received: {shown(value)}") from error
    if action.choices is not None and result not in action.choices:
        names = ", ".join(map(str, action.choices))
        raise InputError(f"{place}: one of {names}. Received: {shown(value)}")
    return result
