"""`keras-albert launch`: another command as several workers of this machine."""

import argparse
import os
import sys
from collections.abc import Callable
from pathlib import Path

from absl import logging

from keras_albert.cli.common import print_error
from keras_albert.cli.settings import OF_A_RUN
from keras_albert.distribute.attempt import WorkersError
from keras_albert.distribute.processes import launch
from keras_albert.errors import InputError

NAME = "launch"
HELP = "run fit or predict as several workers of this machine, started again when one dies"
EPILOG = """\
Each worker has its place in TF_CONFIG, and of `fit` --strategy multi_worker. When one dies, the
others are stopped, and all start again, `fit` with --resume. SIGTERM and Ctrl-C are passed on: the
workers save first. Standard output is the chief's, worker 0; all other lines begin with [worker N].
"""
COMMANDS = ("fit", "predict")
NEEDS_KERAS = False


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the command's arguments."""
    parser.add_argument("--workers", metavar="N", type=int, required=True, help="how many")
    parser.add_argument(
        "--max-restarts", metavar="M", type=int, default=3, help="start again at most M times"
    )
    parser.add_argument(
        "--log-dir", metavar="DIR", help="add each worker's lines to DIR/worker_N.log"
    )
    parser.add_argument(
        "--threads-per-worker",
        metavar="T",
        type=int,
        help="of TensorFlow's pools (default: each worker's share of the processors)",
    )
    parser.add_argument(
        "--port", metavar="P", type=int, help="worker N listens at P + N (default: free ports)"
    )
    parser.add_argument(
        "--grace",
        metavar="SECONDS",
        type=float,
        default=60.0,
        help="for a worker to save and end before it is killed",
    )
    parser.add_argument(
        "words", metavar="-- COMMAND …", nargs=argparse.REMAINDER, help="fit … or predict …"
    )


def run(args: argparse.Namespace) -> int:
    """Runs the workers; their status."""
    words = args.words[1:] if args.words[:1] == ["--"] else args.words
    if not words or words[0] not in COMMANDS:
        raise InputError(
            f"After -- comes a command for workers, {' or '.join(COMMANDS)}, with its flags. "
            f"Received: {' '.join(words[:1]) or 'none'}"
        )
    is_fit = words[0] == "fit"
    if is_fit and not any(word.split("=")[0] == "--strategy" for word in words):
        words = [*words, "--strategy", "multi_worker"]
    try:
        output = _checked(words).output
    except SystemExit as exit_:  # argparse has printed its help or its one line
        return int(exit_.code or 0)
    try:
        launch(
            [*_program(), *words],
            args.workers,
            max_restarts=args.max_restarts,
            restart_arguments=_resume(Path(output)) if is_fit and output else tuple,
            log_dir=args.log_dir,
            threads_per_worker=args.threads_per_worker,
            port=args.port,
            grace=args.grace,
            say=lambda message: logging.info("launch: %s", message),
        )
    except WorkersError as error:
        print_error(str(error))
        return error.status
    return 0


def _resume(folder: Path) -> Callable[[], list[str]]:
    """What to add to `fit` when it starts again: --resume, once the run in its folder is its own.

    With --force there may still be an earlier one.
    """
    began_with = _identity(folder / OF_A_RUN)
    return lambda: [] if _identity(folder / OF_A_RUN) == began_with else ["--resume"]


def _identity(path: Path) -> tuple[int, int] | None:
    """Of a file: another one where it was written again; None where there is none."""
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_ino, status.st_mtime_ns


def _checked(words: list[str]) -> argparse.Namespace:
    """What the words mean. Raises once what every worker would, and what cannot be a worker's.

    Raises:
        InputError: A strategy for one process; a settings file that is none.
        SystemExit: As of argparse.
    """
    from keras_albert import cli  # it imports this module

    found = cli.settings.parse(cli.build_parser(), words)
    if found.strategy not in (None, "multi_worker"):
        raise InputError(
            "The workers train together: --strategy multi_worker, which is the default here. "
            f"Received: --strategy {found.strategy}"
        )
    return found


def _program() -> list[str]:
    """The words that run this program in another process."""
    # python -m looks for modules in the working folder first, which a console script does not.
    here = sys.path[:1] in ([""], [os.getcwd()])
    return [sys.executable, *([] if here else ["-P"]), "-m", "checkpoints_tools"]
