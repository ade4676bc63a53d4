"""What the workers of one machine print: passed on line by line, told apart, kept in files."""

import contextlib
import datetime
import shlex
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import BinaryIO, Self


class Output:
    """Where the workers' lines go; a context manager, which closes the files.

    The standard output of worker 0, the chief, is the result: it is passed on as it is. Every other
    line goes to standard error behind `[worker 1] `. The file worker_1.log has all that worker 1
    prints, with a line at every start.

    When a line cannot be written, `failed` is called once, and what comes later is dropped: the
    workers must not wait for somebody to read it.

    Args:
        stdout: Where the chief's standard output goes.
        stderr: Where the rest goes.
        folder: Of the files, made where it is missing; None for no files.
        workers: How many there are.
        failed: Called with the OSError of a write.

    Raises:
        OSError: A file cannot be opened.
    """

    def __init__(
        self,
        stdout: BinaryIO,
        stderr: BinaryIO,
        folder: str | Path | None,
        workers: int,
        failed: Callable[[OSError], None],
    ):
        self._stdout, self._stderr, self._failed = stdout, stderr, failed
        self._lock = threading.Lock()  # lines come from a thread a stream
        self._is_open = True
        self._files: list[BinaryIO] = []
        with contextlib.ExitStack() as opened:
            if folder is not None:
                Path(folder).mkdir(parents=True, exist_ok=True)
                paths = [Path(folder, f"worker_{worker}.log") for worker in range(workers)]
                self._files = [opened.enter_context(path.open("ab")) for path in paths]
            self._opened = opened.pop_all()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        with self._lock:
            self._is_open = False
        self._opened.close()

    def begin(self, command: Sequence[str], start: int) -> None:
        """Notes in the files that the command is started, for the `start`-th time."""
        now = datetime.datetime.now().isoformat(" ", "seconds")
        words = " ".join(shlex.join(command).splitlines())
        header = f"=== start {start}, {now}: {words}\n".encode(errors="replace")
        for file in self._files:
            self._write(header, file)

    def pass_on(self, stream: BinaryIO, worker: int, *, is_result: bool) -> None:
        """Passes on a stream until it ends."""
        target, prefix = self._stderr, f"[worker {worker}] ".encode()
        if is_result and worker == 0:
            target, prefix = self._stdout, b""
        with stream:
            for line in stream:
                # The last one may lack its end, and the next would be taken for a part of it.
                whole = line if line.endswith(b"\n") else line + b"\n"
                if self._files:
                    self._write(whole, self._files[worker])
                self._write(prefix + whole if prefix else line, target)

    def _write(self, line: bytes, file: BinaryIO) -> None:
        with self._lock:
            if not self._is_open:
                return
            try:
                file.write(line)
                file.flush()
            except OSError as error:
                self._is_open = False
                self._failed(error)
