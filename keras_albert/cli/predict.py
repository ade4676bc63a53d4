"""`keras-albert predict`: answers of a fine-tuned folder to texts, one JSON object a line."""

import argparse
import contextlib
import io
import itertools
import json
import os
import re
import select
import sys
from collections.abc import Callable, Iterator
from typing import Any, TextIO

from keras_albert.cli.common import print_error
from keras_albert.cli.progress import Progress
from keras_albert.cli.reading import add_file_arguments, read_texts
from keras_albert.cli.settings import add_settings_argument, required
from keras_albert.cli.shared_work import Shares
from keras_albert.cli.strategies import add_strategy_arguments, strategy_scope
from keras_albert.cli.writing import refuse_to_replace, text_file
from keras_albert.errors import InputError

NAME = "predict"
HELP = "answer texts with a fine-tuned folder, as JSON Lines in their order"
EPILOG = """\
Of every text there is one line:
  one class       {"label": "positive", "scores": {"negative": 0.02, "positive": 0.98}}
  several labels  {"labels": ["sport"], "scores": {"politics": 0.1, "sport": 0.9}}
  a number        {"score": 3.7}
  a bad line      {"error": "...", "line": 12}, and the exit status is 1
What comes in through standard input is answered as soon as nothing more is waiting there.
"""

_BATCHES_AT_ONCE = 100  # of a file: ordered by length together, so that little is padded
_LINE = re.compile(r":(\d+)\. Received: ")  # the place in a reader's message


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the command's arguments."""
    add_settings_argument(parser)
    parser.add_argument("--model", metavar="DIR", help="a fine-tuned folder")
    parser.add_argument(
        "--input", metavar="FILE", default="-", help="file of texts, or - for standard input"
    )
    parser.add_argument(
        "--output",
        metavar="FILE",
        help="write there, all or nothing (default: to standard output)",
    )
    parser.add_argument("--force", action="store_true", help="replace FILE")
    parser.add_argument(
        "--echo", action="store_true", help='repeat each text in its line, as "texts"'
    )
    parser.add_argument("--batch-size", metavar="N", type=int, default=32, help="texts at a time")
    add_file_arguments(parser.add_argument_group("file"))
    add_strategy_arguments(parser.add_argument_group("devices"))


def run(args: argparse.Namespace) -> int:
    """Writes an answer a line; status 1 where there were bad lines."""
    required(args, "model")
    from keras_albert.data.batching import check_batch_size
    from keras_albert.distribute.workers import worker_count

    check_batch_size(args.batch_size)
    if worker_count() > 1:
        return _shared(args)
    with contextlib.ExitStack() as files:
        file: TextIO = sys.stdout
        progress = None
        if args.output is not None:
            file = files.enter_context(text_file(args.output, force=args.force))
            progress = Progress("texts")
        streams = args.input == "-" and args.output is None
        answers = _Answers(
            _loaded(args),
            file,
            batch_size=args.batch_size,
            at_once=args.batch_size * (1 if streams else _BATCHES_AT_ONCE),
            echo=args.echo,
            progress=progress,
        )
        if streams:
            files.enter_context(_before_waiting(answers.write))
        try:
            for record in read_texts(args.input, args, on_error=answers.add):
                answers.add(record)
        except InputError:  # one that ends the reading
            answers.write()
            raise
        answers.write()
    return _status(answers.errors, answers.done)


def _status(errors: int, done: int) -> int:
    if errors:
        print_error(f"{errors} of {done} texts could not be answered")
    return 1 if errors else 0


def _loaded(args: argparse.Namespace) -> Any:
    from keras_albert.tasks import load

    with strategy_scope(args):
        return load(args.model)


def _shared(args: argparse.Namespace) -> int:
    """One worker's part of the lines; the chief joins the parts."""
    if args.output is None or args.input == "-":
        raise InputError(
            "Several workers read a file and write one: --input FILE --output FILE. "
            f"Received: input={args.input}, output={args.output}"
        )
    if args.strategy not in (None, "multi_worker"):
        raise InputError(
            f"Of several workers each has its own devices. Received: --strategy {args.strategy}"
        )
    args.strategy = None  # nothing is reduced: each answers by itself
    at_once = args.batch_size * _BATCHES_AT_ONCE
    shares = Shares(args.output, at_once)
    is_chief = shares.index == 0
    progress = Progress("texts") if is_chief else None
    refuse_to_replace(args.output, args.force)
    with text_file(shares.mine, force=True) as file:
        answers = _Answers(
            _loaded(args),
            file,
            batch_size=args.batch_size,
            at_once=at_once,
            echo=args.echo,
            progress=progress,
        )
        lines = itertools.count()

        def add(item: Any) -> None:
            if shares.is_mine(next(lines)):
                answers.add(item)

        for record in read_texts(args.input, args, on_error=add):
            add(record)
        answers.write()
    if not is_chief:
        return 0
    errors = done = 0
    with text_file(args.output, force=args.force) as whole:
        for line in shares.joined():
            whole.write(line)
            done += 1
            errors += "error" in json.loads(line)
    return _status(errors, done)


class _Answers:
    """Takes records and the errors between them, and writes a line for each, in their order.

    Args:
        task: A fine-tuned task.
        file: Where the lines go.
        batch_size: Texts that go through the model together.
        at_once: Lines that are waited for.
        echo: Whether to repeat the texts.
        progress: Called with (done, None, label).
    """

    def __init__(
        self,
        task: Any,
        file: TextIO,
        *,
        batch_size: int,
        at_once: int,
        echo: bool,
        progress: Progress | None,
    ):
        self._task, self._file = task, file
        self._batch_size, self._at_once, self._echo = batch_size, at_once, echo
        self._progress = progress
        self._waiting: list[Any] = []
        self.done = self.errors = 0

    def add(self, item: Any) -> None:
        """Takes a record, or the error that came instead of one."""
        self._waiting.append(item)
        if len(self._waiting) >= self._at_once:
            self.write()

    def write(self) -> None:
        """Answers everything that was taken."""
        items, self._waiting = self._waiting, []
        records = [item for item in items if not isinstance(item, InputError)]
        answers = iter(self._answered(records) if records else [])
        for item in items:
            line = _error(item) if isinstance(item, InputError) else next(answers)
            self.errors += "error" in line
            self._file.write(json.dumps(line, ensure_ascii=False) + "\n")
        self._file.flush()
        self.done += len(items)
        if self._progress is not None and items:
            self._progress(self.done, None, "predicting")

    def _answered(self, records: list[Any]) -> list[dict[str, Any]]:
        try:
            answers = self._task.predict(records, batch_size=self._batch_size)
        except InputError:  # of one of them, so each by itself
            answers = [self._single(record) for record in records]
        if not self._echo:
            return answers
        return [{"texts": list(r.texts)} | a for r, a in zip(records, answers, strict=True)]

    def _single(self, record: Any) -> dict[str, Any]:
        try:
            return self._task.predict([record], batch_size=1)[0]
        except InputError as error:
            return {"error": str(error), "line": record.place.line}


def _error(error: InputError) -> dict[str, Any]:
    found = _LINE.search(str(error))
    return {"error": str(error)} | ({"line": int(found[1])} if found else {})


@contextlib.contextmanager
def _before_waiting(callback: Callable[[], None]) -> Iterator[None]:
    """Within, reading standard input calls back before it waits for somebody to write there."""
    try:
        descriptor = sys.stdin.fileno()
    except io.UnsupportedOperation:  # not of the system: it is all there
        yield
        return
    stdin, raw = sys.stdin, _Input(descriptor, callback)
    sys.stdin = io.TextIOWrapper(io.BufferedReader(raw))
    try:
        yield
    finally:
        sys.stdin = stdin
        if raw.failure is not None:
            raise raw.failure


class _Input(io.RawIOBase):
    """Bytes of a descriptor, which end where the callback fails: a reader would take that failure,
    such as a closed pipe's, for one of the input."""

    def __init__(self, descriptor: int, before_waiting: Callable[[], None]):
        super().__init__()
        self._descriptor, self._before_waiting = descriptor, before_waiting
        self.failure: OSError | None = None

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        try:
            if not select.select([self._descriptor], [], [], 0)[0]:
                self._before_waiting()
        except OSError as error:
            self.failure = error
            return 0
        return os.readv(self._descriptor, [buffer])
