"""What TensorFlow 1 checkpoints and safetensors files share: variables under our paths, checked."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

import keras
import numpy as np

from checkpoints_tools.source import Source
from checkpoints_tools.tables import Table
from checkpoints_tools.tables.plan import make_plan
from keras_albert.config import EncoderConfig
from keras_albert.errors import InputError


class Tensors(Protocol):
    """A file of named arrays."""

    shapes: dict[str, tuple[int, ...]]
    dtypes: dict[str, str]
    files: list[Path]

    def tensor(self, name: str) -> Any:
        """One of them, as an array or an eager tensor of the backend."""
        ...


class ForeignWeights:
    """The variables of a foreign source under our paths, read one at a time.

    Args:
        source: The located source.
        checkpoint: Its file.
        config: What the source is said to hold.
        tables: The names to go by, one table a family.
        allow_nonfinite: Accept NaN and infinity.

    Attributes:
        task: What the source says it was made for, `task_options` the settings of that; None
            where it does not say.
        labels: Names of the classes, where the source has them.

    Raises:
        InputError: Configuration and file do not belong together.
    """

    kind: str
    task: str | None = None
    task_options: Mapping[str, Any] = {}
    labels: tuple[str, ...] | None = None

    def __init__(
        self,
        source: Source,
        checkpoint: Tensors,
        config: EncoderConfig,
        tables: Mapping[str, Table],
        allow_nonfinite: bool,
    ) -> None:
        self.source = source
        self.checkpoint = checkpoint
        self.config = config
        self.allow_nonfinite = allow_nonfinite
        self.warnings: list[str] = []
        self.notes = list(source.notes)
        self.plan = make_plan(config, checkpoint.shapes, tables)
        self._claims = {claim.path: claim for claim in self.plan.claims}
        dtypes = {claim.name: checkpoint.dtypes[claim.name] for claim in self.plan.claims}
        if wrong := [f"{name} {dtype}" for name, dtype in dtypes.items() if "float" not in dtype]:
            raise InputError(f"{source.name}: weights are floats. Received: {', '.join(wrong)}")
        self.shapes: dict[str, tuple[int, ...]] = {
            claim.path: claim.our_shape for claim in self.plan.claims
        }

    @property
    def parts(self) -> tuple[str, ...]:
        """Which parts of the family's table the source has."""
        return self.plan.parts

    @property
    def names(self) -> dict[str, str]:
        """Our path -> the name in the file."""
        return {path: claim.name for path, claim in self._claims.items()}

    def read(self, path: str) -> np.ndarray:
        """The variable of that path, in our layout; see `value`."""
        return np.asarray(self.value(path))

    def value(self, path: str) -> Any:
        """The same as a Keras variable takes it without a copy: TensorFlow's copies NumPy arrays.

        Raises:
            InputError: Damaged data, or values that are not finite.
        """
        claim = self._claims[path]
        tensor = self.checkpoint.tensor(claim.name)
        array = np.asarray(tensor)
        if not self.allow_nonfinite:
            check_finite(array, f"{self.source.name}: {claim.name}")
        if claim.transposed:
            return array.T
        return tensor if keras.backend.backend() == "tensorflow" else array


def check_finite(array: np.ndarray, place: str) -> None:
    """Raises `InputError` for NaN or infinity; no temporary array in the usual case."""
    # A float64 sum of finite float32 values is finite.
    if not np.isfinite(np.sum(array, dtype=np.float64)):
        count = int(np.size(array) - np.isfinite(array).sum())
        raise InputError(
            f"{place}: weights must be finite (allow_nonfinite, --allow-nonfinite). "
            f"Received: {count} values that are NaN or infinite"
        )


def check_vocabulary(path: Path, vocab_size: int) -> None:
    """Raises `InputError` unless the vocabulary file has as many entries as the configuration."""
    size = vocabulary_size(path)
    if size != vocab_size:
        raise InputError(
            f"{path}: a vocabulary has as many entries as the configuration's vocab_size. "
            f"Received: {size} entries, vocab_size={vocab_size}"
        )


def vocabulary_size(path: Path) -> int:
    """The number of lines of a `vocab.txt`, or of pieces of a SentencePiece model."""
    content = path.read_bytes()
    if path.suffix != ".model":
        content = content.rstrip(b"\n")
        return content.count(b"\n") + bool(content)
    try:
        size = _count_pieces(content)
    except IndexError:
        size = 0
    if not size:
        raise InputError(
            f"{path}: not a readable SentencePiece model. Received: {len(content)} bytes"
        )
    return size


def _count_pieces(content: bytes) -> int:
    """How many fields 1, `pieces`, there are in a ModelProto (sentencepiece_model.proto).

    Read here, because a model without text needs no tensorflow-text. Raises IndexError at an end
    that comes too early, or at what no ModelProto has.
    """
    position, pieces = 0, 0

    def varint() -> int:
        nonlocal position
        value = shift = 0
        while True:
            byte = content[position]
            position += 1
            value |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                return value
            if shift > 63:
                raise IndexError(position)

    while position < len(content):
        field, wire_type = divmod(varint(), 8)
        if wire_type != 2 or not field:  # all of its fields are messages
            raise IndexError(position)
        length = varint()
        position += length
        if position > len(content):
            raise IndexError(position)
        pieces += field == 1
    return pieces
