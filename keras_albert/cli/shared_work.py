"""Lines that several workers answer, each some of them, and that come back as one file in order.

Worker w of n has chunk w, w + n, … of the lines, and writes its answers into a file beside the
output; the chief waits for these, and joins them. They need no collectives: a worker that is slow
or starts late holds nobody up before the end.
"""

import contextlib
import hashlib
import itertools
import time
from collections.abc import Iterator
from pathlib import Path

from absl import logging

from keras_albert.distribute.workers import cluster
from keras_albert.errors import InputError

_POLL = 0.2  # seconds


class Shares:
    """The parts of an output file that the workers write.

    Args:
        output: The file.
        chunk: Lines that a worker answers at a time.
        patience: Seconds without a further part after which the chief gives up.
    """

    def __init__(self, output: str | Path, chunk: int, patience: float = 3600.0):
        found = cluster()
        self.index, self.count = (0, 1) if found is None else (found.index, len(found.addresses))
        # Another start of the cluster has other addresses, and takes no part of an earlier one.
        start = "" if found is None else hashlib.sha256(repr(found.addresses).encode()).hexdigest()
        output = Path(output)
        self._parts = [
            output.with_name(f".{output.name}.{start[:12]}.{worker}-of-{self.count}")
            for worker in range(self.count)
        ]
        self._chunk, self._patience = chunk, patience

    @property
    def mine(self) -> Path:
        """This worker's part."""
        return self._parts[self.index]

    def is_mine(self, line: int) -> bool:
        """Whether this worker answers the line with this number, from 0."""
        return line // self._chunk % self.count == self.index

    def joined(self) -> Iterator[str]:
        """The lines of all parts in order, once every worker is done; then the parts go.

        Raises:
            InputError: A worker's part has not come.
        """
        self._wait()
        with contextlib.ExitStack() as stack:
            files = [stack.enter_context(open(path, encoding="utf-8")) for path in self._parts]
            for file in itertools.cycle(files):
                lines = list(itertools.islice(file, self._chunk))
                yield from lines
                if len(lines) < self._chunk:
                    break
        for path in self._parts:
            path.unlink()

    def _wait(self) -> None:
        last = time.monotonic()
        missing = self._missing()
        while missing:
            time.sleep(_POLL)
            now = self._missing()
            if len(now) < len(missing):
                last = time.monotonic()
                logging.info("%d of %d workers are done", self.count - len(now), self.count)
            missing = now
            if time.monotonic() - last > self._patience:
                raise InputError(
                    f"Every worker leaves its part beside the output within {self._patience:.0f} s "
                    f"of the one before. Received: none of worker {missing[0]}"
                )

    def _missing(self) -> list[int]:
        return [worker for worker, path in enumerate(self._parts) if not path.is_file()]
