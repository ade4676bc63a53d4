"""What an archive may do while it is unpacked, whatever its format: limits, names, errors."""

import contextlib
import errno
import gzip
import os
import re
import shutil
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import IO

from keras_albert.errors import InputError

DRIVE = re.compile(r"[A-Za-z]:")
# What the standard library raises on damaged archives, as found by damaging some.
CORRUPT = (
    tarfile.TarError,
    zipfile.BadZipFile,
    gzip.BadGzipFile,
    zlib.error,
    struct.error,
    EOFError,
    NotImplementedError,
    OverflowError,
    RecursionError,
    ValueError,
)


@dataclass(frozen=True)
class Limits:
    """What an archive may unpack to.

    Args:
        total_bytes: largest sum of the unpacked sizes.
        members: largest number of members, folders included.
        ratio: largest unpacked size over packed size: of a member in a .zip, of the whole
            stream in a .tar.gz, which does not tell its members' packed sizes.
        ratio_from_bytes: unpacked size up to which the ratio does not matter.
    """

    total_bytes: int = 8 * 2**30
    members: int = 10_000
    ratio: int = 200
    ratio_from_bytes: int = 16 * 2**20


DEFAULT_LIMITS = Limits()


@dataclass
class Extraction:
    """One archive on its way into one folder, and what has been counted so far."""

    archive: Path
    into: Path
    wanted: Callable[[PurePosixPath], bool]
    limits: Limits
    members: int = 0
    unpacked: int = 0
    names: list[str] = field(default_factory=list)

    def refuse(self, rule: str, member: str | None = None) -> InputError:
        place = "" if member is None else f" Member {member!r}."
        return InputError(f"{rule}{place} Received: archive={str(self.archive)!r}")

    @contextlib.contextmanager
    def one_line_errors(self) -> Iterator[None]:
        """Say what goes wrong underneath in one line that names the archive."""
        try:
            yield
        except InputError:
            raise
        except CORRUPT as error:
            detail = " ".join(str(error).split()) or type(error).__name__
            raise self.refuse(f"The archive is truncated or corrupt ({detail}).") from error
        except OSError as error:
            raise OSError(
                error.errno,
                f"{error.strerror}: the archive could not be unpacked into {str(self.into)!r} "
                f"(TMPDIR names another place). Received: archive={str(self.archive)!r}",
            ) from error

    def admit(self, name: str, *, is_file: bool) -> PurePosixPath:
        """Count a member and return its path, which stays inside any folder it is joined to."""
        self.members += 1
        if self.members > self.limits.members:
            raise self.refuse(f"An archive may have at most {self.limits.members} members.")
        path = PurePosixPath(name)
        outside = name.startswith("/") or ".." in path.parts
        if outside or "\\" in name or "\0" in name or DRIVE.match(name):
            raise self.refuse("An archive's members must have plain relative paths.", name)
        if is_file:
            if not path.name:
                raise self.refuse("An archive's files must have a name.", name)
            self.names.append(name)
        return path

    def spend(self, size: int) -> None:
        """Count unpacked bytes against the total."""
        self.unpacked += size
        self.check_total(self.unpacked)

    def check_total(self, size: int) -> None:
        if size > self.limits.total_bytes:
            raise self.refuse(
                f"An archive may unpack to at most {self.limits.total_bytes} bytes; "
                "unpack a larger one by hand and give its folder."
            )

    def check_ratio(self, unpacked: int, packed: int, member: str | None = None) -> None:
        limits = self.limits
        if unpacked > limits.ratio_from_bytes and unpacked > limits.ratio * packed:
            raise self.refuse(
                f"An archive may unpack to at most {limits.ratio} times its size.", member
            )

    def create(self, path: PurePosixPath, size: int) -> IO[bytes]:
        """Open a new file in the folder; the declared `size` only serves to refuse early."""
        self.check_total(self.unpacked + size)
        if size > shutil.disk_usage(self.into).free:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        target = self.into.joinpath(*path.parts)
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            return target.open("xb")
        except (FileExistsError, NotADirectoryError) as error:
            raise self.refuse("An archive must name every file once.", str(path)) from error
        except OSError as error:
            if error.errno != errno.ENAMETOOLONG:
                raise
            raise self.refuse(
                "A file name in an archive must not be so long.", str(path)
            ) from error
