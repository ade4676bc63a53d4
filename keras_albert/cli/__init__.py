"""The command line: one module a command, each with NAME, HELP, add_arguments and run.

Nothing heavy is imported before a command runs: `--help` needs neither Keras nor TensorFlow.
"""

import argparse
import contextlib
import importlib
import os
import sys
import traceback
from collections.abc import Iterator, Sequence
from typing import NoReturn

from absl import flags, logging
from absl.flags import argparse_flags

from keras_albert import __version__
from keras_albert.cli import (
    convert,
    describe,
    evaluate,
    export,
    fit,
    launch,
    predict,
    quickstart,
    selftest,
    serve_export,
    settings,
    tokenize,
    verify,
)
from keras_albert.cli.common import PROGRAM, HelpFormatter, print_error
from keras_albert.errors import InputError

COMMANDS = (
    quickstart,
    describe,
    convert,
    export,
    verify,
    fit,
    evaluate,
    predict,
    tokenize,
    serve_export,
    launch,
    selftest,
)


class _Parser(argparse_flags.ArgumentParser):
    """An ArgumentParser whose errors are one line."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{PROGRAM}: error: {message} (see {self.prog} --help)\n")


def build_parser() -> argparse.ArgumentParser:
    """The parser of every command; absl's own flags (`--verbosity` …) are known to it too."""
    parser = _Parser(
        prog=PROGRAM,
        description="BERT and ALBERT for Keras 3, exact from Google's original checkpoints.",
        formatter_class=HelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"{PROGRAM} {__version__}")
    parser.add_argument("--debug", action="store_true", help="show the traceback of an error")
    subparsers = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for command in COMMANDS:
        subparser = subparsers.add_parser(
            command.NAME,
            help=command.HELP,
            description=command.HELP[:1].upper() + command.HELP[1:] + ".",
            epilog=getattr(command, "EPILOG", None),
            formatter_class=HelpFormatter,
            allow_abbrev=False,
            inherited_absl_flags=None,
        )
        # SUPPRESS: a missing --debug after the command does not undo one before it.
        subparser.add_argument(
            "--debug",
            action="store_true",
            default=argparse.SUPPRESS,
            help="show the traceback of an error",
        )
        command.add_arguments(subparser)
        needs_keras = getattr(command, "NEEDS_KERAS", True)
        subparser.set_defaults(run=command.run, needs_keras=needs_keras)
    return parser


def run(argv: Sequence[str]) -> int:
    """Runs one command: results on standard output, logs on standard error.

    Returns:
        0 on success, 1 on a failed run, 2 on bad usage or bad input (files that cannot be read
        or written are bad input). An error is one line; `--debug` shows its traceback before it.
    """
    flags.FLAGS.set_default("verbosity", logging.INFO)
    try:
        args = settings.parse(build_parser(), argv)
    except SystemExit as exit_:  # argparse has printed its help or its one line
        return int(exit_.code or 0)
    except InputError as error:  # of a settings file
        return _report(str(error), 2, "--debug" in argv)
    logging.use_absl_handler()
    try:
        if args.needs_keras:
            with contextlib.nullcontext() if args.debug else _no_standard_error():
                importlib.import_module("keras_albert.public")
        status = args.run(args)
        sys.stdout.flush()
        return status
    except BrokenPipeError:
        # The reader of our results went away (`| head`); the interpreter's own flush at exit
        # would fail once more.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except KeyboardInterrupt as error:
        return _report(str(error) or "interrupted", 1)
    except InputError as error:
        return _report(str(error), 2, args.debug)  # one line, or one and the list it announces
    except OSError as error:
        return _report(_one_line(error), 2, args.debug)
    except Exception as error:
        return _report(f"{type(error).__name__}: {_one_line(error)}", 1, args.debug)


@contextlib.contextmanager
def _no_standard_error() -> Iterator[None]:
    """Drops what TensorFlow's C++ says at import, as no setting does (tensorflow#100442)."""
    sys.stderr.flush()
    saved = os.dup(2)
    with open(os.devnull, "wb") as nowhere:
        os.dup2(nowhere.fileno(), 2)
    try:
        yield
    finally:
        os.dup2(saved, 2)
        os.close(saved)


def _report(message: str, status: int, debug: bool = False) -> int:
    if debug:
        traceback.print_exc()
    print_error(message)
    return status


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())
