"""TensorFlow 1 checkpoints, read and written; variables come out under our paths."""

import dataclasses
import glob
import os
import re
import uuid
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from checkpoints_tools.foreign import ForeignWeights, check_vocabulary
from checkpoints_tools.source import Source
from checkpoints_tools.tables import TABLES
from checkpoints_tools.tables.plan import family_of
from keras_albert.config import EncoderConfig
from keras_albert.config_json import read_json
from keras_albert.errors import InputError


class Checkpoint:
    """A checkpoint in TensorFlow's V2 format (`.index` and `.data-…` files).

    Args:
        prefix: Path without the suffixes.

    Raises:
        InputError: The index is missing or damaged.
        ImportError: TensorFlow is not installed.
    """

    def __init__(self, prefix: str) -> None:
        try:
            import tensorflow as tf
        except ImportError as error:
            raise ImportError(
                f"{prefix}: reading a TensorFlow 1 checkpoint needs tensorflow: "
                "pip install tensorflow; a converted directory does not"
            ) from error

        self.prefix = prefix
        index = Path(f"{prefix}.index")
        data = f"{glob.escape(index.stem)}.data-*"
        self.files = [index, *sorted(index.parent.glob(data))]
        self._errors = (tf.errors.OpError, RuntimeError, ValueError, IndexError)
        self._restore = tf.raw_ops.RestoreV2
        try:
            # Not tf.train.load_checkpoint, which prefers a folder of that name to the checkpoint.
            self._reader = tf.compat.v1.train.NewCheckpointReader(prefix)
        except self._errors as error:
            raise InputError(
                f"{prefix}.index: not a readable TensorFlow checkpoint index. "
                f"Received: {_first_line(error)}"
            ) from error
        shapes = self._reader.get_variable_to_shape_map()
        self.shapes: dict[str, tuple[int, ...]] = {
            name: tuple(shape) for name, shape in sorted(shapes.items())
        }
        self.dtypes: dict[str, str] = {
            name: dtype.name for name, dtype in self._reader.get_variable_to_dtype_map().items()
        }

    def tensor(self, name: str) -> Any:
        """One variable as an eager TensorFlow tensor, its checksum verified.

        Raises:
            InputError: The data is missing, truncated, or not what the index's checksum says.
        """
        try:
            # Not the reader's get_tensor: that makes a second copy of each variable.
            (tensor,) = self._restore(
                prefix=self.prefix,
                tensor_names=[name],
                shape_and_slices=[""],
                dtypes=[self.dtypes[name]],
            )
            return tensor
        except self._errors as error:
            raise InputError(
                f"{self.prefix}: the data of {name} is missing or damaged. "
                f"Received: {_first_line(error)}"
            ) from error


class TF1Weights(ForeignWeights):
    """The variables of a TensorFlow 1 source under our paths, read one at a time.

    Args:
        source: A located source of the kind "tf1" or "tf_hub".
        overrides: Fields of `EncoderConfig` that take the place of the file's.
        ignore_keys: Unknown configuration keys to drop.
        allow_nonfinite: Accept NaN and infinity.

    Raises:
        InputError: Configuration, vocabulary and checkpoint do not belong together.
    """

    kind = "tf1"

    def __init__(
        self,
        source: Source,
        *,
        overrides: Mapping[str, Any] | None = None,
        ignore_keys: Iterable[str] = (),
        allow_nonfinite: bool = False,
    ) -> None:
        if source.prefix is None:
            raise InputError(f"{source.name}: not a TensorFlow 1 checkpoint with a configuration")
        checkpoint = Checkpoint(source.prefix)
        family = family_of(checkpoint.shapes)
        config = EncoderConfig.from_json(source.config_path, family=family, ignore_keys=ignore_keys)
        changed = dataclasses.replace(config, **(overrides or {}))
        super().__init__(source, checkpoint, changed, TABLES, allow_nonfinite)
        self.warnings.extend(_remarks(source, config, overrides or {}))
        slots = [f"{len(self.plan.slots)} optimizer slots"] if self.plan.slots else []
        if left := slots + list(self.plan.counters):
            self.notes.append(f"left behind: {', '.join(left)}")
        if source.vocabulary_path is not None:
            check_vocabulary(source.vocabulary_path, self.config.vocab_size)

    def value(self, path: str) -> Any:
        """The variable of that path; raises `InputError` also where the data is missing."""
        if self.source.data_missing:
            raise InputError(
                f"{self.source.name}: the checkpoint's data is missing. "
                f"Received: no {', '.join(self.source.data_missing)}"
            )
        return super().value(path)


def write_checkpoint(prefix: str, variables: Iterable[tuple[str, np.ndarray]]) -> None:
    """Writes a checkpoint that TensorFlow 1's Saver restores; whole or not at all.

    Args:
        prefix: Path without the suffixes; its folder exists.
        variables: (name, array) pairs.

    Raises:
        OSError: The file system refuses (permission, space).
    """
    import tensorflow as tf

    names, tensors = [], []
    for name, array in variables:
        names.append(name)
        tensors.append(tf.convert_to_tensor(array))
    target = Path(prefix)
    partial = target.with_name(f".{target.name}.{uuid.uuid4().hex}")
    try:
        tf.raw_ops.SaveV2(
            prefix=str(partial),
            tensor_names=names,
            shape_and_slices=[""] * len(names),
            tensors=tensors,
        )
        # The index last: without it there is no checkpoint.
        for suffix in (".data-00000-of-00001", ".index"):
            os.replace(f"{partial}{suffix}", f"{target}{suffix}")
    except tf.errors.OpError as error:
        raise OSError(f"{prefix}: cannot write the checkpoint: {_first_line(error)}") from error
    finally:
        for left in target.parent.glob(f"{glob.escape(partial.name)}*"):
            left.unlink()


def _remarks(source: Source, config: EncoderConfig, overrides: Mapping[str, Any]) -> Iterable[str]:
    """What a reader of this folder should know; none of it stops a load."""
    if (
        config.family == "albert_zh"
        and "norm_position" not in overrides
        and not read_json(source.config_path).get("ln_type")
    ):
        yield (
            "the configuration names no ln_type, and names and shapes cannot tell: post-LN is "
            "assumed; override with norm_position='pre' (--ln-type preln)"
        )
    if (
        config.family == "albert"
        and config.dropout > 0
        and "dropout" not in overrides
        and re.search(r"(?<![^\W_])v2(?![^\W_])|/2$", "/".join(Path(source.name).parts[-2:]))
    ):
        yield (
            f"ALBERT v2 was trained without dropout, but the configuration says {config.dropout} "
            "and is followed; override with dropout=0.0 (--dropout 0)"
        )


def _first_line(error: BaseException) -> str:
    text = str(getattr(error, "message", None) or error)
    # An operation's error begins with where in a graph it stood.
    lines = re.sub(r"\{\{.*?\}\}", "", text).strip().splitlines()
    return lines[0] if lines else type(error).__name__
