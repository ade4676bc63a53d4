"""Folders in Google's layout, made from the cases of the reference: whole, or wrong on purpose."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from checkpoints_tools.tf1 import write_checkpoint
from tests.checkpoints_tools.cases import case_names
from tests.paths import REFERENCE

HUB = "albert_hub"
CASES = [name for name in case_names() if name != HUB]
# Every checkpoint of the reference: its name here -> (prefix, configuration).
CHECKPOINTS = {
    name: (REFERENCE / name / "model.ckpt", next((REFERENCE / name).glob("*_config.json")))
    for name in CASES
} | {
    f"{HUB}/{name}": (REFERENCE / HUB / name, REFERENCE / HUB / "albert_config.json")
    for name in ("model.ckpt-best", "module/variables/variables", "finetuned/model.ckpt")
}

DATA = "model.ckpt.data-00000-of-00001"
INDEX = "model.ckpt.index"


def read_variables(prefix: Path | str) -> dict[str, np.ndarray]:
    """Name -> array of everything in a checkpoint, with TensorFlow's own reader."""
    reader = tf.train.load_checkpoint(str(prefix))
    return {name: reader.get_tensor(name) for name in reader.get_variable_to_shape_map()}


def copy_case(folder: Path, case: str) -> Path:
    """The case's configuration and checkpoint in a folder of one's own."""
    prefix, config = CHECKPOINTS[case]
    folder.mkdir(parents=True)
    for path in (config, *prefix.parent.glob(f"{prefix.name}.*")):
        if path.suffix != ".meta":
            shutil.copyfile(path, folder / path.name)
    return folder


def make_folder(
    folder: Path,
    case: str,
    variables: dict[str, np.ndarray | None] | None = None,
    config: dict[str, Any] | None = None,
    vocabulary: int | None = None,
) -> Path:
    """The case with other variables and keys, None to leave one out, and a vocab.txt of a size."""
    copy_case(folder, case)
    if variables:
        changed = read_variables(folder / "model.ckpt") | variables
        pairs = [(name, array) for name, array in changed.items() if array is not None]
        write_checkpoint(str(folder / "model.ckpt"), pairs)
    if config:
        path = next(folder.glob("*_config.json"))
        keys = json.loads(path.read_text()) | config
        path.write_text(json.dumps({k: v for k, v in keys.items() if v is not None}))
    if vocabulary is not None:
        (folder / "vocab.txt").write_text("".join(f"token{i}\n" for i in range(vocabulary)))
    return folder


def flip(path: Path, position: int) -> None:
    """Inverts one byte of a file."""
    content = bytearray(path.read_bytes())
    content[position] ^= 0xFF
    path.write_bytes(content)


def same_bits(a: np.ndarray, b: np.ndarray) -> bool:
    """Whether two arrays have the same dtype, shape and bytes; NaN and -0 included."""
    return a.dtype == b.dtype and a.shape == b.shape and a.tobytes() == b.tobytes()
