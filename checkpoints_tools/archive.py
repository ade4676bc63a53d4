"""Unpack a .zip, .tar, .tar.gz or .tgz that somebody else made, without trusting it.

Nothing is believed that the archive says of itself: names are checked before a path is made of
them, sizes are counted while bytes are written, and an archive with one bad member is refused
whole. Files are only ever created new, inside the folder given.
"""

import gzip
import io
import os
import shutil
import stat
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path, PurePosixPath
from typing import IO, Self

from checkpoints_tools.extraction import DEFAULT_LIMITS, Extraction, Limits

CHUNK = 2**20
# Room for the central directory of 10,000 members with names of 350 bytes.
LARGEST_READ = 4 * 2**20


def archive_kind(path: Path) -> str | None:
    """Return "zip", "tar" or "tar.gz", or None for a file that is no archive.

    The first bytes decide; the name decides only where they say nothing, so that a damaged
    archive is reported as one.
    """
    with path.open("rb") as file:
        head = file.read(512)
    if head.startswith((b"PK\x03\x04", b"PK\x05\x06")):
        return "zip"
    if head.startswith(b"\x1f\x8b"):
        return "tar.gz"
    if head[257:262] == b"ustar":
        return "tar"
    name = path.name.lower()
    suffixes = {".zip": "zip", ".tar.gz": "tar.gz", ".tgz": "tar.gz", ".tar": "tar"}
    return next((kind for suffix, kind in suffixes.items() if name.endswith(suffix)), None)


def extract(
    path: Path,
    into: Path,
    wanted: Callable[[PurePosixPath], bool] | None = None,
    limits: Limits = DEFAULT_LIMITS,
) -> list[str]:
    """Unpack the files of an archive that `wanted` accepts into an empty folder.

    Args:
        path: the archive, of a kind that `archive_kind` knows.
        into: an existing empty folder. After an error it is empty again.
        wanted: takes a member's path inside the archive; without it, every file is unpacked.
        limits: see `Limits`.

    Returns:
        The names of all files in the archive, unpacked or not, in its order.

    Raises:
        InputError: a name that leads out of the folder (absolute, `..`, backslash, drive), a
            link, a device, an encrypted member, a name that occurs twice, more than `limits`
            allows, or an archive that is truncated or corrupt.
        OSError: the files cannot be written, for example for want of space.
    """
    if any(into.iterdir()):
        raise ValueError(f"An archive is unpacked into an empty folder. Received: into={into}")
    job = Extraction(path, into, wanted or (lambda _: True), limits)
    try:
        with job.one_line_errors():
            return _unzip(job) if archive_kind(path) == "zip" else _untar(job)
    except BaseException:
        for entry in into.iterdir():
            shutil.rmtree(entry) if entry.is_dir() else entry.unlink()
        raise


class _BoundedReader(io.BufferedReader):
    """A file for zipfile, which does what the numbers in an archive say.

    It reads a whole central directory at once, however large, and seeks before the beginning.
    """

    def seek(self, target: int, whence: int = os.SEEK_SET, /) -> int:
        if whence == os.SEEK_SET and target < 0:
            raise zipfile.BadZipFile("it points before its beginning")
        return super().seek(target, whence)

    def read(self, size: int | None = -1, /) -> bytes:
        if size is not None and size > LARGEST_READ:
            raise zipfile.BadZipFile("its central directory is too large")
        return super().read(LARGEST_READ if size is None or size < 0 else size)


def _unzip(job: Extraction) -> list[str]:
    with (
        _BoundedReader(io.FileIO(job.archive)) as file,
        zipfile.ZipFile(file) as archive,
    ):
        # All members are judged before any is written.
        chosen = []
        for info in archive.infolist():
            # `filename` has been cut at a NUL and rewritten for the platform already.
            is_file = not info.orig_filename.endswith("/")
            path = job.admit(info.orig_filename, is_file=is_file)
            if stat.S_IFMT(info.external_attr >> 16) not in (0, stat.S_IFREG, stat.S_IFDIR):
                raise job.refuse(
                    "An archive may hold files and folders only, no links or devices.",
                    info.filename,
                )
            if info.flag_bits & 0x1:
                raise job.refuse("An encrypted archive is not read.", info.filename)
            if is_file and job.wanted(path):
                chosen.append((path, info))
        for path, info in chosen:
            _inflate(job, archive, path, info)
    return job.names


def _inflate(
    job: Extraction, archive: zipfile.ZipFile, path: PurePosixPath, info: zipfile.ZipInfo
) -> None:
    # Other methods unpack a packed chunk at one go, however large it becomes.
    if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise job.refuse("A .zip must be stored or deflated.", info.filename)
    written = 0
    with archive.open(info) as packed, job.create(path, info.file_size) as target:
        while chunk := packed.read(CHUNK):
            written += len(chunk)
            job.spend(len(chunk))
            job.check_ratio(written, info.compress_size, info.filename)
            target.write(chunk)
    if written != info.file_size:
        raise zipfile.BadZipFile(f"{info.filename!r} is shorter than it says")


class _StrictHeader(tarfile.TarInfo):
    """A tar header that must be one: tarfile takes a damaged or missing one for the end."""

    @classmethod
    def frombuf(cls, buf: bytes | bytearray, encoding: str, errors: str) -> Self:
        try:
            return super().frombuf(buf, encoding, errors)
        except tarfile.EOFHeaderError:  # type: ignore[attr-defined]  # the two zero blocks
            raise
        except tarfile.HeaderError as error:
            raise tarfile.ReadError(str(error)) from error


class _Meter(io.RawIOBase):
    """The unpacked tar stream, paid for as it is read, skipped members and headers included."""

    def __init__(self, job: Extraction, stream: IO[bytes] | gzip.GzipFile) -> None:
        self.job = job
        self.stream = stream
        self.packed = os.path.getsize(job.archive)
        # tarfile keeps headers in memory. It reads 10 KiB at a time, so each may cost so much.
        self.header_bytes_left = 2**20 + job.limits.members * 12 * 2**10
        self.in_header = True

    def read(self, size: int = CHUNK, /) -> bytes:
        chunk = self.stream.read(size)
        self.job.spend(len(chunk))
        self.job.check_ratio(self.job.unpacked, self.packed)
        if self.in_header:
            self.header_bytes_left -= len(chunk)
            if self.header_bytes_left < 0:
                raise self.job.refuse("The headers of an archive must be small.")
        return chunk


def _untar(job: Extraction) -> list[str]:
    opener = gzip.open if archive_kind(job.archive) == "tar.gz" else open
    with opener(job.archive, "rb") as stream:
        meter = _Meter(job, stream)
        # "r|" reads forwards only, so nothing passes the meter by, nor twice.
        with tarfile.open(fileobj=meter, mode="r|", tarinfo=_StrictHeader) as archive:
            while (member := archive.next()) is not None:
                path = job.admit(member.name, is_file=not member.isdir())
                if member.isdir():
                    continue
                if not member.isreg() or member.issparse():
                    raise job.refuse(
                        "An archive may hold files and folders only, no links or devices.",
                        member.name,
                    )
                meter.in_header = False
                _copy(job, archive, path, member)
                meter.in_header = True
        meter.in_header = False
        while meter.read(CHUNK):  # to the end, where gzip keeps its checksum
            pass
    return job.names


def _copy(
    job: Extraction, archive: tarfile.TarFile, path: PurePosixPath, member: tarfile.TarInfo
) -> None:
    data = archive.extractfile(member)
    assert data is not None  # a regular file
    if not job.wanted(path):
        while data.read(CHUNK):
            pass
        return
    with job.create(path, member.size) as target:
        shutil.copyfileobj(data, target, CHUNK)
