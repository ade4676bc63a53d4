"""TensorFlow 1 checkpoints, read and written; variables come out under our paths."""

import dataclasses
import os
import re
import uuid
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from checkpoints_tools.source import Source
from checkpoints_tools.tables.plan import family_of, make_plan
from keras_albert.config import EncoderConfig
from keras_albert.config_json import read_json
from keras_albert.errors import InputError


class Checkpoint:
    """A checkpoint in TensorFlow's V2 format (`.index` and `.data-…` files).

    Args:
        prefix: Path without the suffixes.

    Raises:
        InputError: The index is missing or damaged.
    """

    def __init__(self, prefix: str) -> None:
        import tensorflow as tf

        self.prefix = prefix
        self._errors = (tf.errors.OpError, RuntimeError)
        try:
            self._reader = tf.train.load_checkpoint(prefix)
        except (*self._errors, ValueError) as error:
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

    def read(self, name: str) -> np.ndarray:
        """One variable, its checksum verified.

        Raises:
            InputError: The data is missing, truncated, or not what the index's checksum says.
        """
        try:
            return self._reader.get_tensor(name)
        except self._errors as error:
            raise InputError(
                f"{self.prefix}: the data of {name} is missing or damaged. "
                f"Received: {_first_line(error)}"
            ) from error


class TF1Weights:
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
        if source.prefix is None or source.config_path is None:
            raise InputError(f"{source.name}: not a TensorFlow 1 checkpoint with a configuration")
        self.source = source
        self.checkpoint = Checkpoint(source.prefix)
        self.allow_nonfinite = allow_nonfinite
        family = family_of(self.checkpoint.shapes)
        config = EncoderConfig.from_json(source.config_path, family=family, ignore_keys=ignore_keys)
        self.warnings = list(_remarks(source, config, overrides or {}))
        self.notes = list(source.notes)
        self.config = dataclasses.replace(config, **(overrides or {}))
        self.plan = make_plan(self.config, self.checkpoint.shapes)
        self._claims = {claim.path: claim for claim in self.plan.claims}
        self.shapes: dict[str, tuple[int, ...]] = {
            claim.path: claim.our_shape for claim in self.plan.claims
        }
        slots = [f"{len(self.plan.slots)} optimizer slots"] if self.plan.slots else []
        if left := slots + list(self.plan.counters):
            self.notes.append(f"left behind: {', '.join(left)}")
        if source.vocabulary_path is not None:
            check_vocabulary(source.vocabulary_path, self.config.vocab_size)

    @property
    def parts(self) -> tuple[str, ...]:
        """Which parts of the family's table the checkpoint has."""
        return self.plan.parts

    @property
    def names(self) -> dict[str, str]:
        """Our path -> the name in the checkpoint."""
        return {path: claim.name for path, claim in self._claims.items()}

    def read(self, path: str) -> np.ndarray:
        """The variable of that path, in our layout.

        Raises:
            InputError: Damaged data, or values that are not finite.
        """
        if self.source.data_missing:
            raise InputError(
                f"{self.source.name}: the checkpoint's data is missing. "
                f"Received: no {', '.join(self.source.data_missing)}"
            )
        claim = self._claims[path]
        array = self.checkpoint.read(claim.name)
        if not self.allow_nonfinite:
            check_finite(array, f"{self.source.name}: {claim.name}")
        return array.T if claim.transposed else array


def check_finite(array: np.ndarray, place: str) -> None:
    """Raises `InputError` for NaN or infinity; no temporary array in the usual case."""
    # A float64 sum of finite float32 values is finite.
    if not np.isfinite(np.sum(array, dtype=np.float64)):
        count = int(np.size(array) - np.isfinite(array).sum())
        raise InputError(
            f"{place}: weights must be finite (allow_nonfinite, --allow-nonfinite). "
            f"Received: {count} values that are NaN or infinite"
        )


def check_vocabulary(path: str | Path, vocab_size: int) -> None:
    """Raises `InputError` unless the vocabulary file has as many entries as the configuration.

    Counts the lines of a `vocab.txt`, and the pieces of a SentencePiece model.
    """
    path = Path(path)
    if path.suffix == ".model":
        import tensorflow_text

        size = int(tensorflow_text.SentencepieceTokenizer(model=path.read_bytes()).vocab_size())
    else:
        size = path.read_bytes().rstrip(b"\n").count(b"\n") + 1
    if size != vocab_size:
        raise InputError(
            f"{path}: a vocabulary has as many entries as the configuration's vocab_size. "
            f"Received: {size} entries, vocab_size={vocab_size}"
        )


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
        for left in target.parent.glob(f"{partial.name}*"):
            left.unlink()


def _remarks(source: Source, config: EncoderConfig, overrides: Mapping[str, Any]) -> Iterable[str]:
    """What a reader of this folder should know; none of it stops a load."""
    if (
        config.family == "albert_zh"
        and "norm_position" not in overrides
        and source.config_path is not None
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
        and re.search(r"v2|/2$", source.name.rstrip("/"))
    ):
        yield (
            f"ALBERT v2 was trained without dropout, but the configuration says {config.dropout} "
            "and is followed; override with dropout=0.0 (--dropout 0)"
        )


def _first_line(error: BaseException) -> str:
    lines = str(getattr(error, "message", None) or error).strip().splitlines()
    return lines[0] if lines else type(error).__name__
