"""A run's checkpoints: one file each, whole or absent; one is kept until the next is safe."""

import contextlib
import json
import os
import zipfile
import zlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from absl import logging

from keras_albert.errors import InputError

_STATE = "state.json"
_SUFFIX, _PARTIAL = ".npz", ".partial"
_DAMAGED = (zipfile.BadZipFile, zlib.error, EOFError, KeyError, ValueError)


@dataclass(frozen=True)
class Checkpoint:
    """What was saved.

    Attributes:
        path: The file.
        state: What JSON holds.
        arrays: The rest, by name. Types that NumPy does not know, such as bfloat16, are bare bytes.
    """

    path: Path
    state: dict[str, Any]
    arrays: dict[str, np.ndarray]


class Checkpoints:
    """The checkpoints in a folder.

    A checkpoint is an .npz of NumPy's, arrays with a checksum each, and `state.json` within.

    Args:
        folder: Where; made with the first one.
    """

    def __init__(self, folder: Path):
        self.folder = folder

    def paths(self) -> list[Path]:
        """The files, latest first."""
        return sorted(self.folder.glob(f"step_*{_SUFFIX}"), reverse=True)

    def save(
        self, step: int, arrays: Iterable[tuple[str, np.ndarray]], state: Mapping[str, Any]
    ) -> None:
        """Writes a checkpoint, and removes the earlier one once it is on the disk.

        Args:
            step: Steps that the run has done.
            arrays: Names and arrays; each is written before the next is taken.
            state: What JSON can hold.

        Raises:
            OSError: There is no space, or no permission. What was there is there still.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        path = self.folder / f"step_{step:010d}{_SUFFIX}"
        with _written_beside(path) as file, zipfile.ZipFile(file, "w") as archive:
            archive.writestr(_STATE, json.dumps(state))
            for name, array in arrays:
                with archive.open(f"{name}.npy", "w", force_zip64=True) as member:
                    np.lib.format.write_array(member, np.asarray(array), allow_pickle=False)
        for other in self.paths():
            if other != path:
                other.unlink()

    def latest(self) -> Checkpoint | None:
        """The latest checkpoint that is whole; None where there is none at all.

        Raises:
            InputError: There are some, and all are damaged.
        """
        self._remove_partial()
        paths = self.paths()
        for path in paths:
            try:
                return _read(path)
            except _DAMAGED as error:
                logging.warning("%s is damaged, and passed over: %s", path, error)
        if paths:
            raise InputError(
                f"{paths[0]}: the checkpoint is damaged, and there is no earlier one; remove the "
                "folder to start from the beginning"
            )
        return None

    def _remove_partial(self) -> None:
        """Removes what a process left that was killed while it wrote."""
        for path in self.folder.glob(f"*{_PARTIAL}"):
            path.unlink()


@contextlib.contextmanager
def _written_beside(path: Path) -> Iterator[Any]:
    """A file that takes the path's name once all of it is on the disk; gone after an error."""
    partial = path.with_name(path.name + _PARTIAL)
    try:
        with open(partial, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(partial, path)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)  # the name, too
    finally:
        os.close(folder)


def _read(path: Path) -> Checkpoint:
    with zipfile.ZipFile(path) as archive:
        state = json.loads(archive.read(_STATE))
        arrays = {}
        for name in archive.namelist():
            if name != _STATE:
                with archive.open(name) as member:
                    array = np.lib.format.read_array(member, allow_pickle=False)
                arrays[name.removesuffix(".npy")] = array
    return Checkpoint(path, state, arrays)
