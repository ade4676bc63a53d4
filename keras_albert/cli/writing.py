"""Files that a command writes: whole, or not at all."""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import TextIO


@contextlib.contextmanager
def text_file(path: str | Path, *, force: bool = False) -> Iterator[TextIO]:
    """A file that is written beside the path and takes its name when the block ends well.

    Raises:
        FileExistsError: There is one, and `force` is not given.
        OSError: The file system refuses.
    """
    path = Path(path)
    if path.exists() and not force:
        raise FileExistsError(f"{path}: the file is there already (--force replaces it)")
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        with open(partial, "w", encoding="utf-8") as file:
            yield file
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)
