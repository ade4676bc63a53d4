"""The converted directory: config.json, model.weights.h5, vocabulary, provenance.json.

`config.json` maps every variable path to its key in the weights file, because Keras' keys follow
class names and the order of layers, which may change. Variables that the model has no use for
(a pooler beside a span head) lie in the same file under `unused/`, so that export loses nothing.
"""

import contextlib
import hashlib
import math
import os
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import h5py
import ml_dtypes
import numpy as np

from keras_albert.config import EncoderConfig
from keras_albert.config_json import read_json, write_json
from keras_albert.errors import InputError

SCHEMA = 1
CONFIG = "config.json"
WEIGHTS = "model.weights.h5"
PROVENANCE = "provenance.json"


class DirectoryWeights:
    """The variables of a converted directory under their paths, read one at a time.

    Args:
        directory: The folder.
        config_path: Its configuration, where that is not `config.json` in the folder.
        overrides: Fields of `EncoderConfig` that take the place of the file's.

    Raises:
        InputError: A file is missing, damaged, of a newer schema, or the weights are not those
            that `provenance.json` was written for.
    """

    kind = "keras"

    def __init__(
        self,
        directory: str | Path,
        *,
        config_path: str | Path | None = None,
        overrides: Mapping[str, Any] | None = None,
    ) -> None:
        self.directory = Path(directory)
        path = Path(config_path or self.directory / CONFIG)
        description = _read(path)
        try:
            schema = description.get("keras_albert_schema")
            if schema != SCHEMA:
                raise InputError(
                    f"this version reads schema {SCHEMA}. Received: keras_albert_schema={schema!r}"
                )
            fields: dict[str, Any] = _entry(description, "config", dict)
            self.task: str = _entry(description, "task", str)
            self.task_options: dict[str, Any] = _entry(description, "task_options", dict)
            self._keys: dict[str, str] = _entry(description, "weights", dict)
            self.config = EncoderConfig.from_config(fields | dict(overrides or {}))
        except (TypeError, ValueError) as error:
            raise InputError(f"{path}: {error}") from error
        self.provenance = _read(self.directory / PROVENANCE)
        self._check_sha256()
        self.notes: list[str] = []
        self.warnings: list[str] = []
        try:
            self._file = h5py.File(self.directory / WEIGHTS, "r")
        except OSError as error:
            raise InputError(f"{self.directory / WEIGHTS}: {error}") from error
        self._datasets: dict[str, Any] = {p: self._file.get(str(k)) for p, k in self._keys.items()}
        if lost := [p for p, data in self._datasets.items() if not isinstance(data, h5py.Dataset)]:
            self.close()
            raise InputError(
                f"{path}: its map leads to no weights in {WEIGHTS}. Received: {', '.join(lost)}"
            )
        self.shapes: dict[str, tuple[int, ...]] = {p: d.shape for p, d in self._datasets.items()}

    def read(self, path: str) -> np.ndarray:
        """The variable of that path."""
        dataset = self._datasets[path]
        array = np.asarray(dataset)
        # HDF5 has no bfloat16; Keras marks it in an attribute.
        if dataset.attrs.get("dtype") == "bfloat16":
            array = array.view(ml_dtypes.bfloat16)
        return array

    value = read

    def close(self) -> None:
        """Closes the weights file."""
        self._file.close()

    def _check_sha256(self) -> None:
        path = self.directory / WEIGHTS
        if not path.is_file():
            raise InputError(f"{path}: a converted directory has this file")
        wanted, found = self.provenance.get("weights_sha256"), sha256(path)
        if found != wanted:
            raise InputError(
                f"{path}: the weights are not those that {PROVENANCE} was written for. "
                f"Received: sha256={found}, {PROVENANCE} has {wanted}"
            )


def write_directory(
    directory: str | Path,
    model: Any,
    *,
    config: EncoderConfig,
    task: str,
    task_options: Mapping[str, Any],
    unused: Iterable[tuple[str, np.ndarray]] = (),
    files: Mapping[str, bytes] | None = None,
    provenance: Mapping[str, Any] | None = None,
    force: bool = False,
) -> None:
    """Writes a model as a directory; whole or not at all.

    Args:
        directory: Where; must not exist or be empty, unless `force`.
        model: A functional Keras model of our layers.
        config: The encoder's configuration.
        task: What the model does.
        task_options: The task's settings.
        unused: Further (path, array) pairs to keep.
        files: Further files by name, such as the vocabulary.
        provenance: What to write into provenance.json beside the weights' sha256.
        force: Replace what is there.

    Raises:
        FileExistsError: There is something, and `force` is not given.
        OSError: The file system refuses (permission, space).
    """
    with new_directory(directory, force=force) as partial:
        keys = _write_weights(partial / WEIGHTS, model, unused)
        description = {
            "keras_albert_schema": SCHEMA,
            "task": task,
            "task_options": dict(task_options),
            "config": config.get_config(),
            "weights": keys,
        }
        write_json(partial / CONFIG, description)
        for name, content in (files or {}).items():
            (partial / name).write_bytes(content)
        write_json(
            partial / PROVENANCE,
            {**(provenance or {}), "weights_sha256": sha256(partial / WEIGHTS)},
        )


@contextlib.contextmanager
def new_directory(directory: str | Path, *, force: bool = False) -> Iterator[Path]:
    """A folder to fill, which takes its name only when the block ends well.

    Raises:
        FileExistsError: As `refuse_to_replace`.
    """
    target = Path(directory)
    refuse_to_replace(target, force)
    if target.exists():
        with replaced_files(target, everything=True) as new:
            yield new
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{target.name}.", dir=target.parent) as temporary:
        new = Path(temporary, "new")
        new.mkdir()
        yield new
        os.replace(new, target)


@contextlib.contextmanager
def replaced_files(directory: Path, *, everything: bool = False) -> Iterator[Path]:
    """A folder to fill, whose files move into `directory` when the block ends well, or none.

    The directory itself stays: it may be the working directory or where a volume is mounted.

    Args:
        directory: Where; exists.
        everything: Remove all that was there, and not only what has the name of a new file.
    """
    with tempfile.TemporaryDirectory(prefix=".keras_albert.", dir=directory) as temporary:
        new, old = Path(temporary, "new"), Path(temporary, "old")
        new.mkdir()
        old.mkdir()
        yield new
        names = [path.name for path in new.iterdir()]
        away = [path for path in directory.iterdir() if path.name != Path(temporary).name]
        moves = [(path, old / path.name) for path in away if everything or path.name in names]
        moves += [(new / name, directory / name) for name in names]
        with contextlib.ExitStack() as undo:
            for start, end in moves:
                os.replace(start, end)
                undo.callback(os.replace, end, start)
            undo.pop_all()


def refuse_to_replace(directory: str | Path, force: bool) -> None:
    """Raises `FileExistsError` for what is no folder, or is not empty and `force` not given."""
    target = Path(directory)
    if target.exists() and not target.is_dir():
        raise FileExistsError(f"{target}: the output must be a folder, and this is a file")
    if target.exists() and not force and any(target.iterdir()):
        raise FileExistsError(
            f"{target}: the output folder must be new or empty (force, --force to replace it)"
        )


def sha256(path: str | Path) -> str:
    """The file's SHA-256 in hexadecimal."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def read_files(paths: Iterable[str | Path | None]) -> dict[str, bytes]:
    """Name -> content, for files to keep beside a model.

    A vocabulary under another name is called vocab.txt there, where it is found again.
    """
    files = {}
    for given in paths:
        if given is None:
            continue
        path = Path(given)
        is_found = path.suffix != ".txt" or path.name.startswith("vocab")
        files[path.name if is_found else "vocab.txt"] = path.read_bytes()
    return files


def _write_weights(
    path: Path, model: Any, unused: Iterable[tuple[str, np.ndarray]]
) -> dict[str, str]:
    import keras

    sizes = [math.prod(v.shape) * np.dtype(v.dtype).itemsize for v in model.weights]
    _require_space(path, sum(sizes))
    # A bare model over the same layers: the optimizer's state stays out.
    keras.Model(model.inputs, model.outputs).save_weights(path)
    with h5py.File(path, "a") as file:
        keys = _keys_by_path(file, model)
        for variable_path, array in unused:
            keys[variable_path] = f"unused/{variable_path}"
            dataset = file.create_dataset(keys[variable_path], data=array)
            if array.dtype == ml_dtypes.bfloat16:
                dataset.attrs["dtype"] = "bfloat16"
    return keys


def _require_space(path: Path, size: int) -> None:
    """Raises `OSError` where `size` bytes have no place; HDF5 would print a page of tracebacks."""
    with open(path, "wb") as file:
        if not hasattr(os, "posix_fallocate"):  # macOS
            return
        try:
            os.posix_fallocate(file.fileno(), 0, size + 2**20)  # HDF5's own structures too
        except OSError as error:
            raise OSError(error.errno, error.strerror, str(path)) from error


def _keys_by_path(file: h5py.File, model: Any) -> dict[str, str]:
    """Variable path -> dataset key. Keras writes the layer's name beside its variables."""
    variables: dict[str, list[Any]] = {}
    for variable in model.weights:
        variables.setdefault(variable.path.rpartition("/")[0], []).append(variable)
    keys: dict[str, str] = {}

    def visit(group: h5py.Group, names: tuple[str, ...]) -> None:
        if "vars" in group and group.name != "/":
            names = (*names, group["vars"].attrs["name"])
            for index, variable in enumerate(variables.get("/".join(names), ())):
                keys[variable.path] = f"{group.name}/vars/{index}".lstrip("/")
        for key, child in group.items():
            if key != "vars":
                visit(child, names)

    visit(file, ())
    for variable in model.weights:
        key = keys.get(variable.path)
        if key is None or file[key].shape != tuple(variable.shape):
            raise RuntimeError(f"no place for {variable.path} was found in {file.filename}")
    return keys


def _read(path: Path) -> dict[str, Any]:
    try:
        return read_json(path)
    except FileNotFoundError as error:
        raise InputError(f"{path}: a converted directory has this file") from error
    except InputError as error:
        raise InputError(f"{path}: {error}") from error


def _entry(description: Mapping[str, Any], key: str, kind: type) -> Any:
    value = description.get(key)
    if not isinstance(value, kind):
        raise InputError(f"the key {key!r} has a {kind.__name__}. Received: {value!r:.60}")
    return value
