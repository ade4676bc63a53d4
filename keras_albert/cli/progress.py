"""Progress of long work on standard error: a line that renews itself, or logs now and then."""

import sys
import time
from typing import TextIO

from absl import logging

_LINE_INTERVAL = 0.1  # seconds between two states of a terminal's line
_LOG_INTERVAL = 5.0  # seconds between two log lines, where standard error is a file or pipe


class Progress:
    """A callback `progress(done, total, label)` that shows label, amount, rate and time left.

    Args:
        unit: What is counted, as a plural: "variables".
        stream: Where the line goes; standard error where it is not given.

    Example:
        >>> progress = Progress("variables")
        >>> for done in range(1, 4):
        ...     progress(done, 3, "reading")
    """

    def __init__(self, unit: str, stream: TextIO | None = None):
        self._unit = unit
        self._stream = sys.stderr if stream is None else stream
        self._terminal = self._stream.isatty()
        self._interval = _LINE_INTERVAL if self._terminal else _LOG_INTERVAL
        self._label: str | None = None
        self._started = self._shown = 0.0
        self._first = 0  # done at the start: work that goes on did not begin with nothing

    def __call__(self, done: int, total: int | None, label: str) -> None:
        """Shows that `done` of `total` units of the work called `label` are done.

        Where nobody knows the total, it is None, and there is no time left to tell.
        """
        now = time.monotonic()
        if label != self._label:
            self._label, self._first, self._started, self._shown = label, done, now, now
        finished = total is not None and done >= total
        if now - self._shown < self._interval and not (finished and self._terminal):
            return
        self._shown = now
        text = self._text(done, total, label, now - self._started)
        if self._terminal:
            # \x1b[K clears what a longer line left behind.
            self._stream.write(f"\r{text}\x1b[K" + ("\n" if finished else ""))
            self._stream.flush()
        else:
            logging.info("%s", text)

    def note(self, text: str) -> None:
        """Says something in a line of its own."""
        if self._terminal:
            self._stream.write(f"\r{text}\x1b[K\n")
            self._stream.flush()
        else:
            logging.info("%s", text)

    def _text(self, done: int, total: int | None, label: str, seconds: float) -> str:
        text = f"{label}: {done}{'' if total is None else f'/{total}'} {self._unit}"
        if done > self._first and seconds > 0:
            rate = (done - self._first) / seconds
            text += f", {rate:.3g}/s"
            if total is not None:
                text += f", {(total - done) / rate:.0f} s left"
        return text
