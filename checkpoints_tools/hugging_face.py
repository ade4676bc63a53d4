"""Hugging Face's safetensors files, read; variables come out under our paths."""

import contextlib
import dataclasses
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError, safe_open

from checkpoints_tools.foreign import ForeignWeights, vocabulary_size
from checkpoints_tools.hugging_face_config import Description, read_description
from checkpoints_tools.parts import listing
from checkpoints_tools.source import Source
from checkpoints_tools.tables import HUGGING_FACE
from checkpoints_tools.tables.plan import family_of
from keras_albert.config_json import read_json
from keras_albert.errors import InputError

# The format's names of the types that weights may have.
_FLOATS = {"F64": "float64", "F32": "float32", "F16": "float16", "BF16": "bfloat16"}
_CLASSIFIERS = ("classification", "token_classification")


class Safetensors:
    """The tensors of a safetensors file, or of the shards that an index names.

    Args:
        path: `model.safetensors`, or `model.safetensors.index.json`.

    Raises:
        InputError: A file is missing or damaged, or the index does not fit its shards.
    """

    def __init__(self, path: Path) -> None:
        self.files = [path]
        self.shapes: dict[str, tuple[int, ...]] = {}
        self.dtypes: dict[str, str] = {}
        self._held: dict[str, Any] = {}  # name -> the open file that holds it
        self._open = contextlib.ExitStack()
        index: dict[str, str] = {}
        if path.suffix == ".json":
            index = _weight_map(path)
            self.files += [path.with_name(name) for name in sorted(set(index.values()))]
        try:
            for file in self.files[1:] or self.files:
                self._add(file)
            if lost := sorted(set(index).difference(self.shapes)):
                raise InputError(
                    f"{path}: its shards lack what it names. Received: no {listing(lost)}"
                )
        except BaseException:
            self.close()
            raise

    def tensor(self, name: str) -> np.ndarray:
        """One tensor, read from the file; raises `InputError` where its data is gone."""
        try:
            return self._held[name].get_tensor(name)
        except SafetensorError as error:
            raise InputError(
                f"{self.files[0]}: the data of {name} is missing or damaged. Received: {error}"
            ) from error

    def close(self) -> None:
        """Closes the files."""
        self._open.close()

    def _add(self, path: Path) -> None:
        try:
            # Only what is asked for is read. Mapping the file takes twice the time for a whole
            # model (2.5 s for BERT base, against 1.3 s), and twice the resident memory.
            file = self._open.enter_context(safe_open(path, framework="np", backend="pread"))
        except FileNotFoundError as error:
            raise InputError(
                f"{path}: the index names this file. Received: no such file"
            ) from error
        except (SafetensorError, OSError) as error:
            raise InputError(
                f"{path}: not a readable safetensors file. Received: {' '.join(str(error).split())}"
            ) from error
        for name in file.keys():  # noqa: SIM118 (no mapping)
            if name in self._held:
                raise InputError(f"{path}: an earlier shard has this too. Received: {name!r:.200}")
            view = file.get_slice(name)
            self._held[name] = file
            self.shapes[name] = tuple(view.get_shape())
            self.dtypes[name] = _FLOATS.get(view.get_dtype(), view.get_dtype())


class HuggingFaceWeights(ForeignWeights):
    """The variables of a source in Hugging Face's layout under our paths, read one at a time.

    Args:
        source: A located source of the kind "hugging_face".
        overrides: Fields of `EncoderConfig` that take the place of the file's.
        ignore_keys: Unknown configuration keys to drop.
        allow_nonfinite: Accept NaN and infinity.

    Raises:
        InputError: Configuration, vocabulary and weights do not belong together.
    """

    kind = "hugging_face"
    checkpoint: Safetensors

    def __init__(
        self,
        source: Source,
        *,
        overrides: Mapping[str, Any] | None = None,
        ignore_keys: Iterable[str] = (),
        allow_nonfinite: bool = False,
    ) -> None:
        if source.safetensors_path is None:
            raise InputError(f"{source.name}: not a safetensors file with a configuration")
        description = read_description(source.config_path, ignore_keys)
        checkpoint = Safetensors(source.safetensors_path)
        try:
            family = family_of(checkpoint.shapes, HUGGING_FACE)
            if family != description.config.family:
                raise InputError(
                    f"{source.name}: configuration and weights are of one family. "
                    f"Received: {description.config.family}, {family}"
                )
            config = dataclasses.replace(description.config, **(overrides or {}))
            super().__init__(source, checkpoint, config, HUGGING_FACE, allow_nonfinite)
            self._check_repeated()
            self._take(description)
            self._note_vocabulary()
        except BaseException:
            checkpoint.close()
            raise

    def close(self) -> None:
        """Closes the files."""
        self.checkpoint.close()

    def _check_repeated(self) -> None:
        """What is stored twice must be one here, and what no model has must change nothing."""
        for repeated, name in self.plan.ties:
            first, second = map(self.checkpoint.tensor, (name, repeated))
            if not np.array_equal(first, second, equal_nan=True):
                raise InputError(
                    f"{self.source.name}: {repeated} and {name} are one variable here. "
                    "Received: different values"
                )
        for claim in self.plan.identities:
            array = self.checkpoint.tensor(claim.name)
            if not np.array_equal(array, identity(claim.shape)):
                raise InputError(
                    f"{self.source.name}: {claim.name} projects the embeddings to their own width, "
                    "which is built here only where it changes nothing. "
                    f"Received: {list(claim.shape)}, not the identity"
                )

    def _take(self, description: Description) -> None:
        """The task with its settings; the head that is there decides on the number of classes."""
        self.task = description.task
        if self.task == "multiple_choice":
            self.task_options = {"dropout": description.head_dropout}
        if self.task not in (None, *_CLASSIFIERS):
            return
        kernel = self.shapes.get("classifier/kernel")
        self.labels = description.labels
        if kernel and self.labels and len(self.labels) != kernel[1]:
            raise InputError(
                f"{self.source.config_path}: id2label names every class of the classifier. "
                f"Received: {len(self.labels)} labels, {kernel[1]} classes"
            )
        if self.task is not None:
            # Two is what transformers takes where nothing says how many.
            classes = kernel[1] if kernel else len(self.labels or "01")
            self.task_options = {"num_labels": classes, "dropout": description.head_dropout}

    def _note_vocabulary(self) -> None:
        path = self.source.vocabulary_path
        if path is None:
            return
        size, rows = vocabulary_size(path), self.config.vocab_size
        if size > rows:
            raise InputError(
                f"{path}: a vocabulary has no more entries than the token table has rows. "
                f"Received: {size} entries, vocab_size={rows}"
            )
        if size < rows:
            self.notes.append(f"{rows - size} rows of the token table have no entry in {path.name}")


def identity(shape: tuple[int, ...]) -> np.ndarray:
    """The kernel or the bias of a projection that changes nothing."""
    return np.eye(*shape, dtype=np.float32) if len(shape) == 2 else np.zeros(shape, np.float32)


def _weight_map(path: Path) -> dict[str, str]:
    """Name -> shard of an index; the shards are files beside it, and nothing else."""
    try:
        names = read_json(path).get("weight_map")
    except InputError as error:
        raise InputError(f"{path}: {error}") from error
    if not isinstance(names, dict) or not names or not all(map(_is_shard, names.values())):
        raise InputError(
            f"{path}: weight_map leads from names to files in its folder. "
            f"Received: weight_map={names!r:.80}"
        )
    return names


def _is_shard(name: Any) -> bool:
    """Whether this names a file in the same folder."""
    return (
        isinstance(name, str)
        and name.endswith(".safetensors")
        and name.isprintable()
        and Path(name).name == name
    )
