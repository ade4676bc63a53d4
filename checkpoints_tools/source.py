"""Find the configuration, the checkpoint and the vocabulary that a SOURCE names.

A SOURCE is a folder, a checkpoint prefix, a safetensors file, a TF-Hub module, a converted Keras
directory, or an archive of one of these. A converted directory is told by the keys of its
configuration, the others by their weights. Where a choice would be a guess, there is an error that
lists what was found.
"""

import contextlib
import os
import re
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from checkpoints_tools import parts
from checkpoints_tools.archive import archive_kind, extract
from checkpoints_tools.parts import Search
from keras_albert.errors import InputError

CHECKPOINT_SUFFIX = re.compile(r"\.(index|meta|data-\d{5}-of-\d{5})$")
HUB_PREFIX = ("variables", "variables")
URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")


@dataclass(frozen=True)
class Source:
    """Where the parts of a SOURCE lie.

    Attributes:
        kind: "tf1" (a checkpoint of Google's code), "tf_hub" (a TF-Hub module's variables),
            "hugging_face" (safetensors) or "keras" (a converted directory).
        name: what the user gave, for messages.
        directory: the folder that holds the parts; of an archive, the unpacked one, which is
            gone when `locate` ends.
        config_path: the configuration.
        prefix: the TensorFlow 1 checkpoint without `.index`; None for other kinds.
        vocabulary_path: a vocab*.txt or a SentencePiece .model, None where there is none.
        data_missing: names of the checkpoint's absent .data shards. The index alone is enough
            to plan a conversion; who reads values must complain. Where no shard is there, their
            number is not known, and the one name has question marks.
        notes: one-line remarks on choices that were made.
        safetensors_path: model.safetensors, or the index of its shards; None for other kinds.
        tokenizer_config_path: a tokenizer_config.json as Hugging Face has it, where there is one.
    """

    kind: str
    name: str
    directory: Path
    config_path: Path
    prefix: str | None
    vocabulary_path: Path | None
    data_missing: list[str]
    notes: tuple[str, ...] = ()
    safetensors_path: Path | None = None
    tokenizer_config_path: Path | None = None

    @property
    def text_paths(self) -> list[Path]:
        """The files that say how text becomes token ids, as far as they are there."""
        paths = (self.vocabulary_path, self.tokenizer_config_path)
        return [path for path in paths if path is not None]


@contextlib.contextmanager
def locate(
    source: str | os.PathLike[str],
    config_path: str | os.PathLike[str] | None = None,
    vocabulary_path: str | os.PathLike[str] | None = None,
) -> Iterator[Source]:
    """Find the parts of a SOURCE; an archive stays unpacked until the context ends.

    Args:
        source: a folder with a configuration and one checkpoint or safetensors file; a
            checkpoint prefix, also with the suffix of one of its files; a safetensors file or the
            index of its shards; a TF-Hub module folder; a converted directory; or a .zip, .tar,
            .tar.gz or .tgz of such a folder. Nothing is ever downloaded.
        config_path: the configuration, where it lies elsewhere or is one of several.
        vocabulary_path: the vocabulary, likewise. Without it and with none beside the
            checkpoint, one beside `config_path` is taken.

    Yields:
        A `Source`.

    Raises:
        InputError: no such path, a part is missing or ambiguous, a layout that is not read, or
            an archive that `archive.extract` refuses.
        OSError: an archive cannot be unpacked, for example for want of space.
    """
    search = Search(
        _text("source", source),
        _file("config_path", config_path),
        _file("vocabulary_path", vocabulary_path),
    )
    path = Path(os.path.expanduser(search.name))
    prefix = CHECKPOINT_SUFFIX.sub("", str(path))
    if URL.match(search.name):
        raise search.refuse("SOURCE must be a local path: nothing is downloaded.")
    if os.path.isdir(path):
        if os.path.isfile(f"{path}.index"):
            search.notes.append(f"took the folder {path.name}, not the checkpoint beside it")
        yield _in_folder(search, path)
    elif os.path.isfile(f"{prefix}.index"):
        yield _at_prefix(search, Path(prefix))
    elif os.path.isfile(path) and parts.fits(path.name, parts.SAFETENSORS, parts.SAFETENSORS_INDEX):
        yield _at_safetensors(search, path)
    elif os.path.isfile(path) and prefix == str(path):
        _check_archive(search, path)
        with tempfile.TemporaryDirectory(prefix="keras_albert_") as temporary:
            search.root = Path(temporary)
            search.members = extract(path, search.root, parts.matters)
            yield _in_folder(search, _inner_folder(search, search.root))
    else:
        raise _nothing_there(search, path, Path(prefix))


def _text(role: str, given: object) -> str:
    text = os.fspath(given) if isinstance(given, str | os.PathLike) else None
    if not isinstance(text, str) or not text:
        raise InputError(f"A path must be a text that is not empty. Received: {role}={given!r}")
    return text


def _file(role: str, given: str | os.PathLike[str] | None) -> Path | None:
    if given is None:
        return None
    path = Path(os.path.expanduser(_text(role, given)))
    if not os.path.isfile(path):
        raise InputError(f"{role} must be an existing file. Received: {role}={str(given)!r}")
    return path


def _in_folder(search: Search, directory: Path) -> Source:
    folders = parts.part_folders(directory)
    prefixes = [index.with_suffix("") for index in search.files([directory], "?*.index")]
    hub_prefix = directory.joinpath(*HUB_PREFIX)
    if parts.is_hub(directory) and os.path.isfile(f"{hub_prefix}.index"):
        prefixes.append(hub_prefix)
    safetensors = parts.safetensors(search, directory)
    weights = [*prefixes, *safetensors]
    config_path, config = parts.configuration(search, folders, checkpoint_found=bool(weights))
    has_weights = os.path.isfile(directory / parts.WEIGHTS_FILE)
    if parts.SCHEMA_KEY in config and (has_weights or not weights):
        return _converted(search, directory, config_path, weights)
    if not weights:
        raise parts.refuse_without_checkpoint(search, directory, config)
    if len(weights) > 1:
        raise search.ambiguous("checkpoint", weights, "give one of these as SOURCE")
    if safetensors:
        return _hugging_face(search, directory, config_path, safetensors[0])
    return _checkpoint(search, directory, config_path, prefixes[0])


def _at_safetensors(search: Search, path: Path) -> Source:
    config_path, _ = parts.configuration(search, [path.parent], checkpoint_found=True)
    return _hugging_face(search, path.parent, config_path, path)


def _at_prefix(search: Search, prefix: Path) -> Source:
    directory = prefix.parent
    if prefix.parts[-2:] == HUB_PREFIX and parts.is_hub(directory.parent):
        directory = directory.parent
    folders = parts.part_folders(directory)
    config_path, _ = parts.configuration(search, folders, checkpoint_found=True)
    return _checkpoint(search, directory, config_path, prefix)


def _checkpoint(search: Search, directory: Path, config_path: Path, prefix: Path) -> Source:
    folders = parts.part_folders(directory)
    vocabulary_path = parts.vocabulary(search, folders, config_path)
    return Source(
        kind="tf1" if prefix.parent == directory else "tf_hub",
        name=search.name,
        directory=directory,
        config_path=config_path,
        prefix=str(prefix),
        vocabulary_path=vocabulary_path,
        data_missing=parts.missing_shards(search, prefix),
        notes=tuple(search.notes),
        tokenizer_config_path=parts.tokenizer_config(search, folders),
    )


def _hugging_face(
    search: Search, directory: Path, config_path: Path, safetensors_path: Path
) -> Source:
    return Source(
        kind="hugging_face",
        name=search.name,
        directory=directory,
        config_path=config_path,
        prefix=None,
        vocabulary_path=parts.vocabulary(search, [directory], config_path),
        data_missing=[],
        notes=tuple(search.notes),
        safetensors_path=safetensors_path,
        tokenizer_config_path=parts.tokenizer_config(search, [directory]),
    )


def _converted(search: Search, directory: Path, config_path: Path, others: list[Path]) -> Source:
    if not os.path.isfile(directory / parts.WEIGHTS_FILE):
        raise search.refuse(f"A converted directory must hold {parts.WEIGHTS_FILE}.", directory)
    if others:
        ignored = parts.listing([path.name for path in others])
        search.notes.append(f"took {parts.WEIGHTS_FILE}, as the configuration says, not {ignored}")
    vocabulary_path = parts.vocabulary(search, [directory], config_path)
    return Source(
        kind="keras",
        name=search.name,
        directory=directory,
        config_path=config_path,
        prefix=None,
        vocabulary_path=vocabulary_path,
        data_missing=[],
        notes=tuple(search.notes),
        tokenizer_config_path=parts.tokenizer_config(search, [directory]),
    )


def _check_archive(search: Search, path: Path) -> None:
    try:
        kind = archive_kind(path)
    except OSError as error:
        raise search.refuse(f"SOURCE must be readable ({error.strerror}).") from error
    if kind is None:
        raise search.refuse(
            "SOURCE must be a folder, a checkpoint prefix, a safetensors file or an archive (.zip, "
            ".tar, .tar.gz, .tgz), and this file is none; give the folder that holds it."
        )


def _inner_folder(search: Search, directory: Path) -> Path:
    """The folder that an archive packs: published ones hold one folder with the files in it."""
    entries = search.entries(directory)
    while len(entries) == 1 and os.path.isdir(entries[0]):
        directory = entries[0]
        entries = search.entries(directory)
    return directory


def _nothing_there(search: Search, path: Path, prefix: Path) -> InputError:
    folder = path.parent if os.path.isdir(path.parent) else None
    if prefix != path and folder is not None:
        return search.refuse(
            f"A checkpoint must have its index, and {prefix.name}.index is missing.", folder
        )
    if os.path.lexists(path):
        return search.refuse("SOURCE must be a folder or a file, and this is neither.")
    # A bare name such as bert-base-uncased is a hub's, unless files here begin with it.
    if folder is not None and (
        os.path.dirname(search.name)
        or any(entry.name.startswith(f"{path.name}.") for entry in search.entries(folder))
    ):
        return search.refuse(
            "SOURCE must be a local path, and there is neither such a file or folder nor a "
            f"checkpoint {path.name}.index; nothing is downloaded.",
            folder,
        )
    return search.refuse(
        "SOURCE must be a local path, and there is no such file or folder; nothing is downloaded."
    )
