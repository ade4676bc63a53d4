"""A foreign checkpoint -> Keras directory, and back into Google's format."""

import contextlib
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from checkpoints_tools.source import Source
from checkpoints_tools.tables.plan import names_for
from checkpoints_tools.tf1 import write_checkpoint
from checkpoints_tools.verify import render, verify_weights
from keras_albert.directory import (
    DirectoryWeights,
    new_directory,
    refuse_to_replace,
    replaced_files,
    write_directory,
)
from keras_albert.errors import InputError
from keras_albert.filling import build_filled, default_options, default_task
from keras_albert.pretrained import open_weights, origin
from keras_albert.pretrained_text import text_files
from keras_albert.versions import versions

Progress = Callable[[int, int, str], None]

# What Google's archives call the configuration.
_CONFIG_NAMES = {
    "bert": "bert_config.json",
    "albert": "albert_config.json",
    "albert_zh": "albert_config.json",
}


def convert(
    source: str | Path,
    out: str | Path,
    *,
    task: str | None = None,
    dtype: str | None = None,
    force: bool = False,
    verify: bool = True,
    progress: Progress | None = None,
    **reading: Any,
) -> dict[str, Any]:
    """Writes a foreign source as a Keras directory, all of its variables included.

    Args:
        source: As `keras_albert.load_model` takes it.
        out: A new or empty folder.
        task: What the model in the directory does; by default what the source was made for.
        dtype: The dtype of the weights; float32 by default.
        force: Replace what is in `out`.
        verify: Compare with the NumPy forward pass first, and keep the report.
        progress: Called with (done, total, label).
        **reading: `config_path`, `vocabulary_path`, `overrides`, `ignore_keys`,
            `allow_nonfinite` of `keras_albert.load_model`.

    Returns:
        What provenance.json holds, with `task`, `parts`, `fresh` (heads that the source lacks).

    Raises:
        InputError: The source is not whole, converted already, does not match, or lies in `out`,
            whose content is to be replaced.
        FileExistsError: `out` is not empty.
        RuntimeError: The model is not exact; nothing is written.
    """
    refuse_to_replace(out, force)  # before minutes of work, not after
    with open_weights(source, **reading) as (weights, located):
        if weights.kind == "keras":
            raise InputError(f"{source}: converted already. Received: a Keras directory")
        refuse_to_lose(located, out)
        parity = verify_weights(weights, progress=progress) if verify else None
        if parity is not None and not parity["passed"]:
            raise RuntimeError(f"{source}: the model is not exact\n{render(parity)}")
        task = task or default_task(weights)
        options = default_options(weights, task) | {"dtype": dtype}
        model, fresh = build_filled(weights, task, options, progress=progress)
        held = {variable.path for variable in model.weights}
        provenance = _provenance(located, weights) | {"parity": parity}
        write_directory(
            out,
            model,
            config=weights.config,
            task=task,
            task_options=model.task_options,
            unused=((path, weights.read(path)) for path in weights.shapes if path not in held),
            files=text_files(located),
            provenance=provenance,
            force=force,
        )
        return provenance | {"task": task, "parts": list(weights.parts), "fresh": fresh}


def export(
    directory: str | Path,
    prefix: str | Path,
    *,
    force: bool = False,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Writes a directory as a checkpoint of Google's, with configuration and vocabulary beside.

    Args:
        directory: A converted or fine-tuned directory.
        prefix: The checkpoint's path without suffixes, such as `OUT/bert_model.ckpt`.
        force: Replace files of those names.
        progress: Called with (done, total, label).

    Returns:
        A dict: `prefix`, `variables` (how many), `files`.

    Raises:
        InputError: Not a converted directory, a variable has no name in Google's files, or
            `prefix` is a folder.
        FileExistsError: A file of that name is there.
    """
    target = Path(prefix)
    if target.is_dir() or str(prefix).endswith(os.sep):
        raise InputError(
            "PREFIX must be a path without suffixes for the checkpoint's files, not a folder. "
            f"Received: prefix={str(prefix)!r}"
        )
    with contextlib.closing(DirectoryWeights(directory)) as weights:
        return _export(weights, target, force, progress)


def _export(
    weights: DirectoryWeights, target: Path, force: bool, progress: Progress | None
) -> dict[str, Any]:
    entries = names_for(weights.config, weights.shapes)
    # What came in Hugging Face's layout had other names, and may have had types that are not read.
    was_google = weights.provenance.get("kind") != "hugging_face"
    original: dict[str, str] = weights.provenance.get("names", {}) if was_google else {}
    dtypes: dict[str, str] = weights.provenance.get("dtypes", {}) if was_google else {}
    beside = {
        path.name: path.read_bytes()
        for path in weights.directory.iterdir()
        if path.suffix in (".txt", ".model", ".vocab")
    }
    config_name = _CONFIG_NAMES[weights.config.family]
    checkpoint = [f"{target.name}{suffix}" for suffix in (".index", ".data-00000-of-00001")]
    files = [str(target.with_name(name)) for name in (*checkpoint, config_name, *beside)]
    there = [path for path in files if os.path.lexists(path)]
    if there and not force:
        raise FileExistsError(f"{', '.join(there)}: will not be replaced (force, --force)")
    weights.config.to_dict()  # raises before anything is written

    def variables() -> Iterator[tuple[str, np.ndarray]]:
        for done, (path, entry) in enumerate(entries.items()):
            array = weights.read(path).astype(dtypes.get(path, "float32"), copy=False)
            yield (
                original.get(path, entry.name),
                np.ascontiguousarray(array.T if entry.transposed else array),
            )
            if progress is not None:
                progress(done + 1, len(entries), entry.name)

    parent = target.parent
    with replaced_files(parent) if parent.exists() else new_directory(parent) as folder:
        write_checkpoint(str(folder / target.name), variables())
        weights.config.to_json(folder / config_name)
        for name, content in beside.items():
            (folder / name).write_bytes(content)
    return {"prefix": str(target), "variables": len(entries), "files": files}


def refuse_to_lose(located: Source, out: str | Path) -> None:
    """Raises `InputError` where replacing the content of `out` would remove the source."""
    target = Path(out).resolve()
    for part in (Path(located.name), located.directory, located.config_path, *located.text_paths):
        if part.expanduser().resolve().is_relative_to(target):
            raise InputError(
                "OUT must not hold what is converted, as its content is replaced. "
                f"Received: out={str(out)!r}, source={located.name!r}"
            )


def _provenance(located: Source, weights: Any) -> dict[str, Any]:
    """Where the weights come from, to the byte."""
    claims = weights.plan.claims
    labels = {} if weights.labels is None else {"labels": list(weights.labels)}
    return {
        **origin(weights, located),
        "versions": versions(),
        "names": weights.names,
        "dtypes": {claim.path: weights.checkpoint.dtypes[claim.name] for claim in claims},
        "notes": [*weights.warnings, *weights.notes],
        **labels,
    }
