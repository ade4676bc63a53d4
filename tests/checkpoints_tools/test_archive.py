"""Archives of every evil kind: refused in one line, with nothing left and nothing outside."""

import errno
import gzip
import io
import os
import random
import resource
import shutil
import signal
import stat
import tarfile
import zipfile
from pathlib import Path, PurePosixPath
from typing import Any

import pytest

from checkpoints_tools.archive import LARGEST_READ, Limits, archive_kind, extract
from keras_albert.errors import InputError

FILES = {
    "base/bert_config.json": b'{"hidden_size": 8}',
    "base/bert_model.ckpt.data-00000-of-00001": random.Random(0).randbytes(30_000),
    "base/vocab.txt": b"[PAD]\n[UNK]\n",
}
KINDS = ("zip", "tar", "tar.gz")


def make_tar(path: Path, members: list[tuple[tarfile.TarInfo, bytes]], mode: str = "w") -> Path:
    with tarfile.open(path, mode) as archive:
        for info, data in members:
            info.size = info.size or len(data)
            archive.addfile(info, io.BytesIO(data))
    return path


def make(path: Path, files: dict[str, bytes], kind: str) -> Path:
    if kind != "zip":
        members = [(tarfile.TarInfo(name), data) for name, data in files.items()]
        return make_tar(path, members, "w:gz" if kind == "tar.gz" else "w")
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            info = zipfile.ZipInfo("placeholder")
            info.filename = name  # the constructor would cut it at a NUL
            info.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(info, data)
    return path


@pytest.fixture
def into(tmp_path: Path) -> Path:
    # Three levels below tmp_path, so that what climbs out stays in sight.
    folder = tmp_path / "outer" / "middle" / "into"
    folder.mkdir(parents=True)
    return folder


def tree(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


def refusal(archive: Path, into: Path, **options: Any) -> str:
    """The one line with which an archive is refused, after a look at what it left behind."""
    root = into.parents[2]
    before = tree(root)
    with pytest.raises(InputError) as caught:
        extract(archive, into, **options)
    message = str(caught.value)
    assert tree(root) == before
    assert list(into.iterdir()) == []
    assert "\n" not in message
    assert message.endswith(f" Received: archive={str(archive)!r}")
    return message


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_unpacks_to_the_same_files(tmp_path: Path, into: Path, kind: str) -> None:
    archive = make(tmp_path / f"base.{kind}", FILES, kind)
    assert archive_kind(archive) == kind
    assert extract(archive, into) == list(FILES)
    assert tree(into) == FILES


@pytest.mark.parametrize("kind", KINDS)
def test_only_wanted_files_are_unpacked_but_all_are_named(
    tmp_path: Path, into: Path, kind: str
) -> None:
    archive = make(tmp_path / f"base.{kind}", FILES, kind)
    names = extract(archive, into, lambda path: path.suffix == ".txt")
    assert names == list(FILES)
    assert list(tree(into)) == ["base/vocab.txt"]


def test_folders_and_leading_dots_in_an_archive_are_plain_paths(tmp_path: Path, into: Path) -> None:
    root, inner = tarfile.TarInfo("./"), tarfile.TarInfo("./base/")
    root.type = inner.type = tarfile.DIRTYPE
    member = tarfile.TarInfo("./base/vocab.txt")
    extract(make_tar(tmp_path / "a.tar", [(root, b""), (inner, b""), (member, b"x")]), into)
    assert tree(into) == {"base/vocab.txt": b"x"}


def test_long_names_of_both_tar_dialects_are_read(tmp_path: Path, into: Path) -> None:
    for index, dialect in enumerate((tarfile.GNU_FORMAT, tarfile.PAX_FORMAT)):
        name = f"{index}/" + "long/" * 30 + "vocab.txt"
        path = tmp_path / f"{index}.tar"
        with tarfile.open(path, "w", format=dialect) as archive:
            archive.addfile(tarfile.TarInfo(name))
        folder = into / str(index)
        folder.mkdir()
        assert extract(path, folder) == [name]
        assert list(tree(folder)) == [name]


@pytest.mark.parametrize("kind", KINDS)
def test_the_first_bytes_decide_over_the_name(tmp_path: Path, into: Path, kind: str) -> None:
    for name in ("module", "module.zip", "module.tar.gz"):
        assert archive_kind(make(tmp_path / name, FILES, kind)) == kind


def test_other_files_are_no_archives(tmp_path: Path) -> None:
    for name, content in {"vocab.txt": b"[PAD]\n", "empty": b"", "a.tar.bz2": b"BZh91AY"}.items():
        (tmp_path / name).write_bytes(content)
        assert archive_kind(tmp_path / name) is None


@pytest.mark.parametrize("name", ["a.zip", "a.tar", "a.tar.gz", "a.tgz"])
@pytest.mark.parametrize("content", [b"", b"no archive at all", b"\x00" * 3])
def test_a_file_that_only_is_called_an_archive_is_corrupt(
    tmp_path: Path, into: Path, name: str, content: bytes
) -> None:
    (tmp_path / name).write_bytes(content)
    assert "truncated or corrupt" in refusal(tmp_path / name, into)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "name",
    [
        "/vocab.txt",
        "//server/vocab.txt",
        "../vocab.txt",
        "base/../../vocab.txt",
        "base/../vocab.txt",
        "..",
        "..\\vocab.txt",
        "base\\vocab.txt",
        "\\vocab.txt",
        "C:\\vocab.txt",
        "C:/vocab.txt",
        "c:vocab.txt",
    ],
)
def test_paths_that_lead_out_are_refused(tmp_path: Path, into: Path, kind: str, name: str) -> None:
    archive = make(tmp_path / "evil", {**FILES, name: b"evil"}, kind)
    message = refusal(archive, into)
    assert "plain relative paths" in message
    assert repr(name) in message


@pytest.mark.parametrize("kind", KINDS)
def test_a_bad_path_is_refused_even_where_the_file_is_not_wanted(
    tmp_path: Path, into: Path, kind: str
) -> None:
    archive = make(tmp_path / "evil", {**FILES, "../README": b"evil"}, kind)
    refusal(archive, into, wanted=lambda path: path.name == "vocab.txt")


def test_a_zip_name_with_nul_is_refused(tmp_path: Path, into: Path) -> None:
    archive = make(tmp_path / "evil.zip", {"vocab.txt\0.exe": b"evil"}, "zip")
    assert "plain relative paths" in refusal(archive, into)


def test_a_file_without_a_name_is_refused(tmp_path: Path, into: Path) -> None:
    assert "have a name" in refusal(make(tmp_path / "a.tar", {".": b"x"}, "tar"), into)
    assert "have a name" in refusal(make(tmp_path / "a.zip", {"": b"x"}, "zip"), into)


@pytest.mark.parametrize(
    "kind",
    [
        tarfile.SYMTYPE,
        tarfile.LNKTYPE,
        tarfile.CHRTYPE,
        tarfile.BLKTYPE,
        tarfile.FIFOTYPE,
        b"V",
    ],
)
def test_links_and_devices_in_a_tar_are_refused(tmp_path: Path, into: Path, kind: bytes) -> None:
    member = tarfile.TarInfo("base/vocab.txt")
    member.type = kind
    member.linkname = "vocab.txt"
    archive = make_tar(tmp_path / "evil.tar", [(tarfile.TarInfo("vocab.txt"), b"a"), (member, b"")])
    assert "no links or devices" in refusal(archive, into)


def test_a_sparse_member_is_refused(tmp_path: Path, into: Path) -> None:
    member = tarfile.TarInfo("vocab.txt")
    member.pax_headers = {"GNU.sparse.map": "0,1", "GNU.sparse.size": str(2**40)}
    archive = make_tar(tmp_path / "evil.tar", [(member, b"x")])
    assert "no links or devices" in refusal(archive, into)


def test_nothing_is_written_through_a_link_to_a_folder(tmp_path: Path, into: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    link = tarfile.TarInfo("base")
    link.type = tarfile.SYMTYPE
    link.linkname = str(outside)
    victim = tarfile.TarInfo("base/vocab.txt")
    refusal(make_tar(tmp_path / "evil.tar", [(link, b""), (victim, b"evil")]), into)
    assert list(outside.iterdir()) == []


@pytest.mark.parametrize("kind", [stat.S_IFLNK, stat.S_IFCHR, stat.S_IFBLK, stat.S_IFIFO])
def test_links_and_devices_in_a_zip_are_refused(tmp_path: Path, into: Path, kind: int) -> None:
    info = zipfile.ZipInfo("vocab.txt")
    info.external_attr = (kind | 0o644) << 16
    with zipfile.ZipFile(tmp_path / "evil.zip", "w") as archive:
        archive.writestr(info, "/etc/passwd")
    assert "no links or devices" in refusal(tmp_path / "evil.zip", into)


def test_an_encrypted_zip_is_refused(tmp_path: Path, into: Path) -> None:
    archive = make(tmp_path / "evil.zip", {"vocab.txt": b"secret"}, "zip")
    content = bytearray(archive.read_bytes())
    content[6] |= 1  # the flags of the local header, then of the central one
    content[content.index(b"PK\x01\x02") + 8] |= 1
    archive.write_bytes(content)
    assert "encrypted" in refusal(archive, into)


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_zip_methods_that_unpack_without_bound_are_refused(
    tmp_path: Path, into: Path, method: int
) -> None:
    with zipfile.ZipFile(tmp_path / "evil.zip", "w", method) as archive:
        archive.writestr("vocab.txt", b"x" * 100)
    assert "stored or deflated" in refusal(tmp_path / "evil.zip", into)


@pytest.mark.filterwarnings("ignore:Duplicate name:UserWarning")
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("twin", ["a/vocab.txt", "./a/vocab.txt", "a//vocab.txt"])
def test_a_name_that_occurs_twice_is_refused(
    tmp_path: Path, into: Path, kind: str, twin: str
) -> None:
    if kind == "zip":
        with zipfile.ZipFile(tmp_path / "evil", "w") as archive:
            archive.writestr("a/vocab.txt", b"first")
            archive.writestr(twin, b"second")
    else:
        members = [(tarfile.TarInfo(name), b"x") for name in ("a/vocab.txt", twin)]
        make_tar(tmp_path / "evil", members)
    assert "name every file once" in refusal(tmp_path / "evil", into)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("names", [("a", "a/vocab.txt"), ("a/vocab.txt", "a"), ("a", "a/b/c")])
def test_a_file_that_is_also_a_folder_is_refused(
    tmp_path: Path, into: Path, kind: str, names: tuple[str, str]
) -> None:
    archive = make(tmp_path / "evil", dict.fromkeys(names, b"x"), kind)
    assert "name every file once" in refusal(archive, into)


@pytest.mark.parametrize("kind", KINDS)
def test_a_file_name_that_the_disk_cannot_hold_is_refused(
    tmp_path: Path, into: Path, kind: str
) -> None:
    archive = make(tmp_path / "evil", {"a/" + "n" * 300: b"x"}, kind)
    assert "must not be so long" in refusal(archive, into)


@pytest.mark.parametrize("kind", KINDS)
def test_too_many_members_are_refused(tmp_path: Path, into: Path, kind: str) -> None:
    archive = make(tmp_path / "a", {str(index): b"" for index in range(6)}, kind)
    assert "at most 5 members" in refusal(archive, into, limits=Limits(members=5))
    assert len(extract(archive, into, limits=Limits(members=6))) == 6


@pytest.mark.parametrize("kind", KINDS)
def test_too_large_a_sum_is_refused(tmp_path: Path, into: Path, kind: str) -> None:
    files = {str(index): random.Random(index).randbytes(30_000) for index in range(4)}
    archive = make(tmp_path / "a", files, kind)
    assert "at most 100000 bytes" in refusal(archive, into, limits=Limits(total_bytes=100_000))
    extract(archive, into, limits=Limits(total_bytes=140_000))


@pytest.mark.parametrize("kind", ["zip", "tar.gz"])
def test_a_bomb_is_refused_by_its_ratio(tmp_path: Path, into: Path, kind: str) -> None:
    bomb = make(tmp_path / "bomb", {"vocab.txt": bytes(20 * 2**20)}, kind)
    assert bomb.stat().st_size < 100_000
    assert "at most 200 times its size" in refusal(bomb, into)
    extract(bomb, into, limits=Limits(ratio=2_000))


def test_a_bomb_among_the_unwanted_members_of_a_tar_is_refused(tmp_path: Path, into: Path) -> None:
    bomb = make(tmp_path / "bomb", {"vocab.txt": b"", "README": bytes(20 * 2**20)}, "tar.gz")
    message = refusal(bomb, into, wanted=lambda path: path.name == "vocab.txt")
    assert "at most 200 times its size" in message


def test_a_bomb_behind_the_end_of_a_tar_is_refused(tmp_path: Path, into: Path) -> None:
    tar = make(tmp_path / "a.tar", FILES, "tar").read_bytes()
    bomb = tmp_path / "bomb.tar.gz"
    bomb.write_bytes(gzip.compress(tar + bytes(20 * 2**20)))
    assert "at most 200 times its size" in refusal(bomb, into)


def test_a_bomb_in_a_tar_header_is_refused(tmp_path: Path, into: Path) -> None:
    member = tarfile.TarInfo("vocab.txt")
    member.pax_headers = {"comment": "x" * 2**22}
    bomb = make_tar(tmp_path / "bomb.tar.gz", [(member, b"x")], "w:gz")
    assert "headers" in refusal(bomb, into, limits=Limits(members=5))


def test_large_data_is_not_taken_for_headers(tmp_path: Path, into: Path) -> None:
    files = {"model.ckpt.data-00000-of-00001": random.Random(0).randbytes(3 * 2**20)}
    extract(make(tmp_path / "a.tar", files, "tar"), into, limits=Limits(members=1))
    assert tree(into) == files


def test_headers_without_end_are_refused(tmp_path: Path, into: Path) -> None:
    link = tarfile.TarInfo("a")
    link.type = tarfile.GNUTYPE_LONGNAME
    header = link.tobuf(tarfile.GNU_FORMAT)
    (tmp_path / "bomb.tar").write_bytes(header * 3_000)
    assert "truncated or corrupt" in refusal(tmp_path / "bomb.tar", into)


def test_a_zip_directory_without_end_is_refused_unread(tmp_path: Path, into: Path) -> None:
    names = {f"{index:0200}": b"" for index in range(LARGEST_READ // 200)}
    bomb = make(tmp_path / "bomb.zip", names, "zip")
    assert "central directory is too large" in refusal(bomb, into)


@pytest.mark.parametrize("claim", [0, 5, 2**31])
def test_a_zip_that_lies_about_a_size_is_refused(tmp_path: Path, into: Path, claim: int) -> None:
    archive = make(tmp_path / "evil.zip", {"vocab.txt": b"0123456789" * 9}, "zip")
    content = bytearray(archive.read_bytes())
    at = content.index(b"PK\x01\x02") + 24
    content[at : at + 4] = claim.to_bytes(4, "little")
    archive.write_bytes(content)
    assert "truncated or corrupt" in refusal(archive, into)


def test_a_tar_that_claims_more_than_the_limit_is_refused_unread(
    tmp_path: Path, into: Path
) -> None:
    member = tarfile.TarInfo("vocab.txt")
    member.size = 2**50
    (tmp_path / "evil.tar").write_bytes(member.tobuf() + bytes(2048))
    assert "at most 8589934592 bytes" in refusal(tmp_path / "evil.tar", into)


def test_a_tar_with_a_negative_size_is_refused(tmp_path: Path, into: Path) -> None:
    member = tarfile.TarInfo("vocab.txt")
    member.size = -1024
    (tmp_path / "evil.tar").write_bytes(member.tobuf(tarfile.GNU_FORMAT) + bytes(4096))
    assert "truncated or corrupt" in refusal(tmp_path / "evil.tar", into)


@pytest.mark.parametrize("kind", KINDS)
def test_an_archive_cut_anywhere_is_refused(tmp_path: Path, into: Path, kind: str) -> None:
    files = {name: data[:2_000] for name, data in FILES.items()}
    content = make(tmp_path / "whole", files, kind).read_bytes()
    # A tar ends in padding of zeros; a cut is felt up to the first block of it.
    end = len(content.rstrip(b"\0")) // 512 * 512 + 512 if kind == "tar" else len(content)
    cut = tmp_path / f"cut.{kind}"
    for size in {*range(0, end, 97), end - 1}:
        cut.write_bytes(content[:size])
        assert "truncated or corrupt" in refusal(cut, into)


def test_a_damaged_header_does_not_pass_for_the_end_of_a_tar(tmp_path: Path, into: Path) -> None:
    content = bytearray(make(tmp_path / "a.tar", FILES, "tar").read_bytes())
    content[content.index(b"base/vocab.txt") + 3] ^= 1
    (tmp_path / "a.tar").write_bytes(content)
    with tarfile.open(tmp_path / "a.tar") as archive:
        assert len(archive.getnames()) == 2  # the standard library loses a file in silence
    assert "bad checksum" in refusal(tmp_path / "a.tar", into)


@pytest.mark.parametrize("kind", ["zip", "tar.gz"])
def test_a_flipped_bit_in_the_data_is_refused(tmp_path: Path, into: Path, kind: str) -> None:
    archive = make(tmp_path / "a", FILES, kind)
    content = bytearray(archive.read_bytes())
    content[len(content) // 2] ^= 4
    archive.write_bytes(content)
    assert "truncated or corrupt" in refusal(archive, into)


@pytest.mark.parametrize("kind", KINDS)
def test_random_damage_ends_in_a_refusal_or_in_plain_files(
    tmp_path: Path, into: Path, kind: str
) -> None:
    content = make(tmp_path / "a", {n: d[:600] for n, d in FILES.items()}, kind).read_bytes()
    damaged = tmp_path / f"damaged.{kind}"
    draw = random.Random(7)
    refused = 0
    for _ in range(300):
        bad = bytearray(content)
        for _ in range(draw.randint(1, 4)):
            bad[draw.randrange(len(bad))] = draw.randrange(256)
        damaged.write_bytes(bad)
        before = {path for path in tmp_path.rglob("*") if into not in path.parents}
        try:
            extract(damaged, into)
        except InputError as error:
            refused += 1
            assert "\n" not in str(error)
            assert list(into.iterdir()) == []
        assert {path for path in tmp_path.rglob("*") if into not in path.parents} == before
        for entry in into.iterdir():
            shutil.rmtree(entry) if entry.is_dir() else entry.unlink()
    assert refused > 20


@pytest.mark.parametrize("kind", KINDS)
def test_a_full_disk_is_told_before_anything_is_written(
    tmp_path: Path, into: Path, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    archive = make(tmp_path / "a", FILES, kind)
    usage = shutil.disk_usage(tmp_path)._replace(free=20_000)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage)
    with pytest.raises(OSError, match="could not be unpacked") as caught:
        extract(archive, into)
    assert caught.value.errno == errno.ENOSPC
    assert "\n" not in str(caught.value)
    assert list(into.iterdir()) == []


@pytest.mark.parametrize("kind", KINDS)
def test_a_write_that_fails_halfway_leaves_nothing(tmp_path: Path, into: Path, kind: str) -> None:
    archive = make(tmp_path / "a", FILES, kind)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, limits[1]))
    try:
        with pytest.raises(OSError, match="could not be unpacked") as caught:
            extract(archive, into)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, handler)
    assert caught.value.errno == errno.EFBIG
    assert not isinstance(caught.value, InputError)
    assert list(into.iterdir()) == []


@pytest.mark.parametrize("kind", KINDS)
def test_an_interruption_leaves_nothing(tmp_path: Path, into: Path, kind: str) -> None:
    archive = make(tmp_path / "a", FILES, kind)

    def interrupted(path: PurePosixPath) -> bool:
        if path.name == "vocab.txt":
            raise KeyboardInterrupt
        return True

    with pytest.raises(KeyboardInterrupt):
        extract(archive, into, interrupted)
    assert list(into.iterdir()) == []


def test_a_folder_that_holds_something_is_left_as_it_is(tmp_path: Path, into: Path) -> None:
    (into / "precious").write_bytes(b"x")
    with pytest.raises(ValueError, match="empty folder"):
        extract(make(tmp_path / "a.zip", FILES, "zip"), into)
    assert os.listdir(into) == ["precious"]
