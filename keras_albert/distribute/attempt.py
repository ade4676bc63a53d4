"""Attempt: one start of all workers of this machine, until all have ended."""

import contextlib
import os
import queue
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

from keras_albert.distribute.process_output import Output

BAD_INPUT = 2  # the exit status that says so: it would be the same again

_TIED = Path(__file__).with_name("tied.py")
_LAST_WORDS = 2.0  # seconds to read what is left in the pipes of a worker that has ended


class WorkersError(Exception):
    """The workers did not all end well.

    Attributes:
        status: The exit status that says so: 2 for bad usage or input, else 1.
    """

    def __init__(self, message: str, status: int = 1):
        super().__init__(message)
        self.status = status


@dataclass(frozen=True)
class Ended:
    """The end of a worker; `status` as `subprocess.Popen.returncode` has it."""

    worker: int
    status: int

    def __str__(self) -> str:
        if self.status < 0:
            names = {number.value: number.name for number in signal.Signals}
            name = names.get(-self.status, f"signal {-self.status}")
            return f"worker {self.worker} was killed by {name}"
        return f"worker {self.worker} ended with status {self.status}"


# Ends of workers, numbers of signals, writes that failed: the main thread waits for one at a time.
Events: TypeAlias = "queue.SimpleQueue[Ended | int | OSError]"


@dataclass
class Attempt:
    """One start of all workers, until all have ended.

    Attributes:
        died: The first that ended otherwise than well, before anybody told it to.
    """

    events: Events
    output: Output
    grace: float
    say: Callable[[str], None]
    died: Ended | None = None
    _running: dict[int, subprocess.Popen[bytes]] = field(default_factory=dict)
    _deadline: float | None = None  # when those that still run are killed
    _signal: int | None = None
    _failure: OSError | None = None
    _bad_input: Ended | None = None

    def start(self, command: Sequence[str], environments: Sequence[dict[str, str]]) -> None:
        """Starts a worker with each of the environments."""
        try:
            for worker, values in enumerate(environments):
                self._running[worker] = process = subprocess.Popen(
                    _tied(command),
                    env=values,
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.PIPE,
                    start_new_session=True,  # a terminal's Ctrl-C reaches it through us alone
                )
                _in_thread(self._watch, worker, process)
        except BaseException:
            self._kill()
            raise

    def ended_well(self) -> bool:
        """Waits for the end of all; whether it was a good one. If not, they may start again.

        Raises:
            WorkersError: It was one after which nothing starts again.
            OSError: Their lines could not be passed on.
        """
        try:
            while self._running:
                self._take_event()
        finally:  # after an error of ours
            self._kill()
        if self._failure is not None:
            raise self._failure
        if self._bad_input is not None:
            raise WorkersError(f"{self._bad_input}: bad usage or input", BAD_INPUT)
        if self.died is None:
            return True
        if self._signal is not None:
            name = "Ctrl-C" if self._signal == signal.SIGINT else "SIGTERM"
            raise WorkersError(f"{name}: passed on, and all workers have ended; {self.died}")
        return False

    def _watch(self, worker: int, process: "subprocess.Popen[bytes]") -> None:
        """Passes on what a worker prints, then notes its end."""
        assert process.stdout is not None and process.stderr is not None
        readers = [
            _in_thread(self.output.pass_on, stream, worker, is_result=is_result)
            for stream, is_result in ((process.stdout, True), (process.stderr, False))
        ]
        status = process.wait()
        for reader in readers:  # a process that the worker left behind may hold its pipes
            reader.join(_LAST_WORDS)
        self.events.put(Ended(worker, status))

    def _take_event(self) -> None:
        timeout = None if self._deadline is None else max(0.0, self._deadline - time.monotonic())
        try:
            event = self.events.get(timeout=timeout)
        except queue.Empty:
            self.say(f"still running after {self.grace:g} s, and killed: {self._names()}")
            self._deadline = None
            self._kill()
            return
        if isinstance(event, Ended):
            self._note_end(event)
        elif isinstance(event, OSError):
            self._failure = event
            self._tell(signal.SIGTERM)
        elif self._signal is None:
            self._signal = event
            self._tell(event)
        else:  # a second signal
            self._kill()

    def _note_end(self, event: Ended) -> None:
        del self._running[event.worker]
        if event.status == BAD_INPUT:
            self._bad_input = self._bad_input or event
        if event.status != 0 and self.died is None:
            self.died = event
            if self._running and self._signal is None:
                self.say(f"{event}: stopping {self._names()}")
                self._tell(signal.SIGTERM)

    def _names(self) -> str:
        return ", ".join(f"worker {worker}" for worker in self._running)

    def _tell(self, number: int) -> None:
        """Sends a signal, after which there is an end within `grace` seconds."""
        self._deadline = time.monotonic() + self.grace
        for process in self._running.values():
            process.send_signal(number)

    def _kill(self) -> None:
        for process in self._running.values():
            process.kill()
            process.wait()


@contextlib.contextmanager
def noted_signals(events: Events) -> Iterator[None]:
    """Within, SIGTERM and Ctrl-C are events; only the main thread can do that."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    with contextlib.ExitStack() as handlers:
        for number in (signal.SIGTERM, signal.SIGINT):
            previous = signal.getsignal(number)
            # Ctrl-C that somebody else listens to, or that is ignored, is theirs.
            if number == signal.SIGINT and previous is not signal.default_int_handler:
                continue
            # SimpleQueue.put may interrupt the queue's own functions.
            signal.signal(number, lambda received, frame: events.put(received))
            # None is a handler that Python did not set, and cannot set again.
            handlers.callback(signal.signal, number, previous or signal.SIG_DFL)
        yield


def _tied(command: Sequence[str]) -> list[str]:
    """A command that ends when this process does, where the system can do that."""
    if not sys.platform.startswith("linux"):
        return list(command)
    return [sys.executable, "-I", "-S", str(_TIED), str(os.getpid()), *command]


def _in_thread(function: Callable[..., None], *args: Any, **kwargs: Any) -> threading.Thread:
    thread = threading.Thread(target=function, args=args, kwargs=kwargs, daemon=True)
    thread.start()
    return thread
