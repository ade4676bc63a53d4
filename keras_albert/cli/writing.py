"""Files that a command writes: whole, or not at all."""

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import TextIO

from keras_albert.files import replaced_file


@contextlib.contextmanager
def text_file(path: str | Path, *, force: bool = False) -> Iterator[TextIO]:
    """A file that is written beside the path and takes its name when the block ends well.

    Raises:
        FileExistsError: There is one, and `force` is not given.
        OSError: The file system refuses.
    """
    refuse_to_replace(path, force)
    with replaced_file(path) as partial, open(partial, "w", encoding="utf-8") as file:
        yield file


def refuse_to_replace(path: str | Path, force: bool) -> None:
    """Raises FileExistsError for a file that is there, unless `force`."""
    if Path(path).exists() and not force:
        raise FileExistsError(f"{path}: the file is there already (--force replaces it)")
