"""The parts of a model in a folder: configuration, vocabulary, shards of a checkpoint.

`source.locate` decides which folder that is; here a part is found by its name and, where names
do not tell, by its keys. What is missing or there twice is an error that lists what was found.
"""

import fnmatch
import json
import os
import re
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

from keras_albert.errors import InputError

SCHEMA_KEY = "keras_albert_schema"  # in the config.json of a converted directory
WEIGHTS_FILE = "model.weights.h5"
HUB_FILES = ("saved_model.pb", "tfhub_module.pb")
CONFIG_FILES = "*config*.json"
TOKENIZER_CONFIG = "tokenizer_config.json"  # Hugging Face's
VOCABULARY_FILES = ("vocab*.txt", "*.model")
SAFETENSORS = "*.safetensors"
SAFETENSORS_INDEX = "*.safetensors.index.json"
# What frameworks pickle or keep for themselves, as saved beside Hugging Face's configuration.
UNREAD_WEIGHTS = ("*.bin", "*.bin.index.json", "*.pt", "*.pth", "tf_model.h5", "*.msgpack")
SHARD = re.compile(r"\.data-(\d{5})-of-(\d{5})")
SAFETENSORS_SHARD = re.compile(r".*-\d{5}-of-\d{5}\.safetensors")
LISTED_NAMES = 20


@dataclass
class Search:
    """What was asked for, what was noted on the way, and how to speak of it."""

    name: str
    config_path: Path | None = None
    vocabulary_path: Path | None = None
    notes: list[str] = field(default_factory=list)
    root: Path | None = None  # of an unpacked archive; no message shows it
    members: list[str] = field(default_factory=list)  # of the archive, unpacked or not

    def refuse(self, rule: str, directory: Path | None = None) -> InputError:
        """Return the error, with the content of `directory`, or of the archive, where given."""
        place = ""
        if directory is not None and self.root is not None:
            place = f" In the archive there is: {listing(self.members)}."
        elif directory is not None:
            there = [f"{e.name}/" if os.path.isdir(e) else e.name for e in self.entries(directory)]
            place = f" In {str(directory)!r} there is: {listing(there)}."
        return InputError(f"{rule}{place} Received: source={self.name!r}")

    def entries(self, directory: Path) -> list[Path]:
        """The visible entries of a folder; macOS leaves hidden `._` twins of every file."""
        try:
            return sorted(e for e in directory.iterdir() if not e.name.startswith("."))
        except OSError as error:
            raise InputError(
                f"SOURCE must be readable ({error.strerror}: {str(directory)!r}). "
                f"Received: source={self.name!r}"
            ) from error

    def files(self, directories: list[Path], *patterns: str) -> list[Path]:
        """The files in any of the folders whose name, in whatever case, fits a pattern."""
        return [
            entry
            for directory in directories
            if os.path.isdir(directory)
            for entry in self.entries(directory)
            if fits(entry.name, *patterns) and os.path.isfile(entry)
        ]

    def ambiguous(self, what: str, found: list[Path], how: str) -> InputError:
        """Return the error that there are several of a part; `how` says how to name one."""
        in_archive = self.root is not None and found[0].is_relative_to(self.root)
        shown = [str(path.relative_to(self.root or "") if in_archive else path) for path in found]
        first = "unpack the archive and " if in_archive else ""
        return self.refuse(
            f"SOURCE must name one {what}, and there are {len(found)}: {listing(shown)}; "
            f"{first}{how}."
        )


def fits(name: str, *patterns: str) -> bool:
    return any(fnmatch.fnmatchcase(name.lower(), pattern) for pattern in patterns)


def listing(names: list[str]) -> str:
    """At most `LISTED_NAMES` names on one line, whatever characters they hold."""
    more = [f"{len(names) - LISTED_NAMES} more"] if len(names) > LISTED_NAMES else []
    return ", ".join([*map(shown, names[:LISTED_NAMES]), *more]) or "nothing"


def shown(name: str) -> str:
    """A name that somebody else chose, on one line."""
    return name if name.isprintable() else ascii(name)


def is_hub(directory: Path) -> bool:
    """Whether the folder is a TF-Hub module."""
    return any(os.path.isfile(directory / name) for name in HUB_FILES)


def part_folders(directory: Path) -> list[Path]:
    """The folders where configuration and vocabulary may lie, the model's own folder last."""
    return [directory / "assets", directory] if is_hub(directory) else [directory]


def matters(member: PurePosixPath) -> bool:
    """Whether a file of an archive is worth unpacking: all that may be a part, or of a task."""
    if member.name.startswith(".") or "__MACOSX" in member.parts:
        return False
    if member.parent.name == "assets" or SHARD.search(member.name):
        return True
    return fits(
        member.name,
        *(*VOCABULARY_FILES, *HUB_FILES, SAFETENSORS),
        *("*.json", "*.index", "*.weights.h5"),
    )


def configuration(
    search: Search, folders: list[Path], *, checkpoint_found: bool
) -> tuple[Path, dict[str, Any]]:
    """Return the path and the content of the one configuration.

    Args:
        search: the request; its `config_path` is taken if it is there.
        folders: where to look otherwise.
        checkpoint_found: for the message that none is there.

    Raises:
        InputError: none, several, or a given one that is no configuration.
    """
    if search.config_path is not None:
        return search.config_path, _given_configuration(search.config_path)
    objects, faults = _objects(search, folders)
    configs = {path: content for path, content in objects.items() if _is_config(content)}
    if len(configs) > 1:
        raise search.ambiguous("configuration", list(configs), "give one as config_path=")
    if not configs:
        wanted = f'a configuration ({CONFIG_FILES} with the key "hidden_size")'
        rule = (
            f"Beside the checkpoint must lie {wanted}; name one that lies elsewhere with "
            "config_path=."
            if checkpoint_found
            else f"SOURCE must hold {wanted} and a checkpoint (an .index file, or .safetensors)."
        )
        types = [repr(o["model_type"]) for o in objects.values() if "model_type" in o]
        if types:
            rule += f" Of Hugging Face's models, bert and albert are read, not {listing(types)}."
        raise search.refuse(rule + "".join(faults), folders[-1])
    return next(iter(configs.items()))


def _given_configuration(path: Path) -> dict[str, Any]:
    try:
        content = _read_object(path)
    except ValueError as error:
        raise InputError(
            f"A configuration must be a JSON object ({error}). Received: config_path={str(path)!r}"
        ) from error
    if not _is_config(content):
        raise InputError(
            f'A configuration must have the key "hidden_size". Received: config_path={str(path)!r}'
        )
    return content


def _is_config(content: dict[str, Any]) -> bool:
    return "hidden_size" in content or SCHEMA_KEY in content


def _read_object(path: Path) -> dict[str, Any]:
    """Return a file's JSON object, or raise ValueError with the reason why there is none."""
    try:
        content = json.loads(path.read_text(encoding="utf-8-sig"))
    except (OSError, RecursionError) as error:
        raise ValueError(str(error)) from error
    if not isinstance(content, dict):
        raise ValueError("not an object")
    return content


def _objects(search: Search, folders: list[Path]) -> tuple[dict[Path, dict[str, Any]], list[str]]:
    """The JSON objects that are called a configuration, and what is wrong with the others."""
    objects, faults = {}, []
    for path in search.files(folders, CONFIG_FILES):
        try:
            objects[path] = _read_object(path)
        except ValueError as error:
            faults.append(f" {path.name} is no JSON object ({error}).")
    return objects, faults


def safetensors(search: Search, directory: Path) -> list[Path]:
    """The files of a folder that stand for whole weights: an index, or what is no shard."""
    return [
        path
        for path in search.files([directory], SAFETENSORS, SAFETENSORS_INDEX)
        if not SAFETENSORS_SHARD.fullmatch(path.name)
    ]


def refuse_without_checkpoint(
    search: Search, directory: Path, config: dict[str, Any]
) -> InputError:
    """Return the error that a folder with this configuration has no weights that are read."""
    if is_hub(directory):
        return search.refuse("A checkpoint must have variables/variables.index.", directory)
    if "model_type" not in config:
        return search.refuse("A checkpoint must have an .index file.", directory)
    there = [PurePosixPath(name).name for name in search.members]
    there = there or [entry.name for entry in search.entries(directory)]
    if any(SAFETENSORS_SHARD.fullmatch(name) for name in there):
        return search.refuse(
            "Shards must have their index, model.safetensors.index.json.", directory
        )
    if any(fits(name, *UNREAD_WEIGHTS) for name in there):
        return search.refuse(
            "Weights must be in model.safetensors: unpickling others may run what they say, so "
            "they are not read; save_pretrained in transformers writes safetensors.",
            directory,
        )
    return search.refuse("A model of Hugging Face's must have model.safetensors.", directory)


def tokenizer_config(search: Search, folders: list[Path]) -> Path | None:
    """Return Hugging Face's settings of the tokenizer, where they lie in the folders."""
    return next(iter(search.files(folders, TOKENIZER_CONFIG)), None)


def vocabulary(search: Search, folders: list[Path], config_path: Path) -> Path | None:
    """Return the given vocabulary, the one in the folders, or one beside a distant config."""
    if search.vocabulary_path is not None:
        return search.vocabulary_path
    found = search.files(folders, *VOCABULARY_FILES)
    if not found and config_path.parent not in folders:
        found = search.files([config_path.parent], *VOCABULARY_FILES)
        search.notes.extend(f"took the vocabulary {p.name} beside the configuration" for p in found)
    if len(found) > 1:
        raise search.ambiguous("vocabulary", found, "give one as vocabulary_path=")
    return found[0] if found else None


def missing_shards(search: Search, prefix: Path) -> list[str]:
    """Return the names of the absent .data shards; one with question marks if all are absent."""
    shards = [
        (int(match[1]), int(match[2]))
        for entry in search.entries(prefix.parent)
        if entry.name.startswith(prefix.name)
        and (match := SHARD.fullmatch(entry.name, len(prefix.name)))
    ]
    counts = {count for _, count in shards}
    if len(counts) > 1:
        raise search.refuse("The shards of a checkpoint must agree in their number.", prefix.parent)
    if not counts:
        return [f"{prefix.name}.data-?????-of-?????"]
    count = counts.pop()
    present = {index for index, _ in shards}
    return [
        f"{prefix.name}.data-{index:05d}-of-{count:05d}"
        for index in range(count)
        if index not in present
    ]
