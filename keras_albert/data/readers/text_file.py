"""The bytes of a file as lines of text: gzip, encoding, line ends, each fault with its place.

Python's own text layer is not used: it breaks lines at a lone carriage return, and its decoder
cannot say where in the file a fault lies.
"""

import codecs
import contextlib
import gzip
import os
import sys
import zlib
from collections.abc import Callable, Iterator
from typing import IO, Any, cast

from keras_albert.data.messages import bad
from keras_albert.data.records import Place
from keras_albert.errors import InputError

ERRORS = ("strict", "replace", "ignore")
BLOCK = 1 << 20  # bytes read at a time, which bounds the memory of streaming
LONGEST_LINE = 64 << 20  # bytes; a longer line is not text, and would have to fit into memory
GZIP_MAGIC = b"\x1f\x8b"  # never the beginning of UTF-8
UTF16_MARKS = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


class TextFile:
    """A text file, and what to do about faults in it.

    Args:
        path: A file, or "-" for standard input. What begins like gzip is decompressed.
        errors: What becomes of bytes that are not UTF-8: "strict" makes them an error, "replace"
            puts U+FFFD in their place, "ignore" drops them.
        on_error: Is given the error of a bad line, and reading goes on with the next one; by
            default the error is raised.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        errors: str = "strict",
        on_error: Callable[[InputError], None] | None = None,
    ):
        if errors not in ERRORS:
            raise InputError(f"errors must be one of {ERRORS}. Received: errors={errors!r}")
        self.path = os.fsdecode(path)
        self.name = "<stdin>" if self.path == "-" else self.path
        self.errors = errors
        self.on_error = on_error
        self.reported = 0

    def place(self, line: int) -> Place:
        return Place(self.name, line)

    def report(self, error: InputError) -> None:
        """Hands the error to `on_error`; raises it where there is none."""
        if self.on_error is None:
            raise error
        self.reported += 1
        self.on_error(error)

    def strict(self) -> "TextFile":
        """The same file, where a fault on a line ends the reading: a line is not a record there."""
        return TextFile(self.path, self.errors)

    def lines(self, *, carriage_returns: bool = False) -> Iterator[tuple[int, str]]:
        r"""Number (from 1) and text of every line, streaming.

        A line ends at `\n` and nowhere else, so that U+2028, U+0085 or a lone carriage return stay
        text. A byte-order mark is dropped, and so is the `\r` before `\n`, unless
        `carriage_returns` are to be kept.

        Raises:
            InputError: The file cannot be read, is empty or not UTF-8, has a line longer than 64
                MiB, or its gzip data is broken.
        """
        line, offset = 1, 0
        for block in self._blocks():
            body = block.removesuffix(b"\n")
            if not offset and body.startswith(codecs.BOM_UTF8):
                body = body[len(codecs.BOM_UTF8) :]
                if body == block[len(codecs.BOM_UTF8) :] == b"":
                    break  # nothing but the mark
            if not carriage_returns and b"\r" in body:
                body = body.replace(b"\r\n", b"\n").removesuffix(b"\r")
            yield from self._decoded(body, line, block, offset)
            line += block.count(b"\n")
            offset += len(block)
        if not offset:
            raise bad("A file must not be empty", self.name, bytes=offset)

    def text(self) -> str:
        """The whole file as one text, line ends as they stand."""
        lines = self.strict().lines(carriage_returns=True)
        return "\n".join(text for _, text in lines)

    def _decoded(
        self, body: bytes, line: int, block: bytes, offset: int
    ) -> Iterator[tuple[int, str]]:
        """The lines of `body`, a block of whole lines; `block` and `offset` are for faults."""
        try:
            yield from enumerate(body.decode("utf-8", self.errors).split("\n"), line)
            return
        except UnicodeDecodeError:
            pass  # a line after the other, to tell which
        raws = block.removesuffix(b"\n").split(b"\n")
        for number, (part, raw) in enumerate(zip(body.split(b"\n"), raws, strict=True), line):
            try:
                yield number, part.decode("utf-8")
            except UnicodeDecodeError as error:
                # A byte-order mark was cut off the front.
                start = offset + error.start + (raw.startswith(codecs.BOM_UTF8) and not offset) * 3
                self.report(self._not_utf8(number, start, error))
            offset += len(raw) + 1

    def _not_utf8(self, line: int, start: int, error: UnicodeDecodeError) -> InputError:
        hint = "--errors replace puts U+FFFD there, --errors ignore drops them"
        if line == 1 and error.object.startswith(UTF16_MARKS):
            hint = "this looks like UTF-16"
        received = error.object[error.start : error.end]
        return bad(f"Text must be UTF-8 ({hint})", self.place(line), offset=start, bytes=received)

    def _blocks(self) -> Iterator[bytes]:
        """Blocks of whole lines; the last line may lack its end."""
        begun: list[bytes] = []  # pieces of a line whose end was not read yet
        size = 0
        with self._open() as file:
            while chunk := self._read(file):
                cut = chunk.rfind(b"\n") + 1
                if cut:
                    yield b"".join([*begun, chunk[:cut]])
                    begun, size = [], 0
                begun.append(chunk[cut:])
                size += len(begun[-1])
                if size > LONGEST_LINE:
                    rule = f"A line must be shorter than {LONGEST_LINE} bytes"
                    raise bad(rule, self.name, beginning=begun[0][:20])
        if size:
            yield b"".join(begun)

    @contextlib.contextmanager
    def _open(self) -> Iterator[IO[bytes]]:
        with contextlib.ExitStack() as stack:
            try:
                if self.path == "-":
                    file: Any = sys.stdin.buffer
                else:
                    file = stack.enter_context(open(self.path, "rb"))
                packed = file.peek(2).startswith(GZIP_MAGIC)
            except (OSError, ValueError) as error:  # ValueError: a NUL in the path
                raise self._unreadable(error) from error
            if packed:
                file = stack.enter_context(gzip.GzipFile(fileobj=file))
            elif self.path.endswith(".gz"):
                raise bad("A .gz file must be gzip data", self.name, beginning=file.peek(2)[:2])
            yield cast(IO[bytes], file)

    def _read(self, file: Any) -> bytes:
        try:
            return file.read1(BLOCK)  # what is there: a line of a pipe is not held back
        except (EOFError, OSError, zlib.error) as error:  # gzip.BadGzipFile is an OSError
            raise self._unreadable(error) from error

    def _unreadable(self, error: Exception) -> InputError:
        reason = getattr(error, "strerror", None) or str(error)
        return bad("A file must be readable", self.name, error=reason)
