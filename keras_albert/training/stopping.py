"""SIGTERM and Ctrl-C during a training: noted, and obeyed after the step."""

import contextlib
import signal
import threading
from collections.abc import Iterator
from typing import Any

_NAMES = {signal.SIGTERM: "SIGTERM", signal.SIGINT: "Ctrl-C"}


class StopSignals:
    """Notes SIGTERM and the first Ctrl-C; a second one is a KeyboardInterrupt at once.

    Attributes:
        received: The signal's name, or None.
    """

    def __init__(self) -> None:
        self.received: str | None = None

    @contextlib.contextmanager
    def noted(self) -> Iterator[None]:
        """Within, the signals are noted; only the main thread can do that."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        # What somebody else listens to is theirs, Ctrl-C all the more.
        with contextlib.ExitStack() as handlers:
            self._take(signal.SIGTERM, handlers)
            if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
                self._take(signal.SIGINT, handlers)
            yield

    def _take(self, number: signal.Signals, handlers: contextlib.ExitStack) -> None:
        previous = signal.signal(number, self._note)
        # None is a handler that Python did not set, and cannot set again.
        handlers.callback(signal.signal, number, previous or signal.SIG_DFL)

    def _note(self, number: int, frame: Any) -> None:
        if number == signal.SIGINT and self.received is not None:
            raise KeyboardInterrupt
        self.received = _NAMES[signal.Signals(number)]
