"""A file that is written: whole, or not at all."""

import contextlib
import os
import uuid
from collections.abc import Iterator
from pathlib import Path


@contextlib.contextmanager
def replaced_file(path: str | Path) -> Iterator[Path]:
    """A name beside the path to write to; the file takes the path's name when the block ends well.

    Raises:
        OSError: The file system refuses.
    """
    path = Path(path)
    partial = path.with_name(f".{path.name}.{uuid.uuid4().hex}")
    try:
        yield partial
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)
