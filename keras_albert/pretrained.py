"""The single door: any source -> model; model -> directory."""

import contextlib
import dataclasses
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from absl import logging

from keras_albert.config import EncoderConfig
from keras_albert.directory import (
    WEIGHTS,
    DirectoryWeights,
    read_files,
    sha256,
    write_directory,
)
from keras_albert.errors import InputError
from keras_albert.filling import HEADS, build_filled, default_options, default_task
from keras_albert.model import TransformerModel
from keras_albert.pretrained_text import text_files

if TYPE_CHECKING:
    from checkpoints_tools.source import Source

# The arguments of `load_model` that say how a source is read.
_READING = ("config_path", "vocabulary_path", "overrides", "ignore_keys", "allow_nonfinite")


def load_encoder(
    source: str | Path,
    *,
    outputs: Iterable[str] = ("sequence_output", "pooled_output"),
    **arguments: Any,
) -> TransformerModel:
    """A pre-trained encoder: `load_model(source, "encoder", outputs=outputs, …)`.

    Example:
    ```python
    encoder = keras_albert.load_encoder("uncased_L-12_H-768_A-12")
    encoder({"token_ids": [[101, 7592, 102]]})["pooled_output"]  # [1, 768]
    ```
    """
    return load_model(source, "encoder", outputs=tuple(outputs), **arguments)


def load_model(
    source: str | Path,
    task: str | None = None,
    *,
    config_path: str | Path | None = None,
    vocabulary_path: str | Path | None = None,
    overrides: Mapping[str, Any] | None = None,
    ignore_keys: Iterable[str] = (),
    allow_nonfinite: bool = False,
    fresh_head: bool = False,
    **options: Any,
) -> TransformerModel:
    """A pre-trained model for a task, from any source.

    Args:
        source: A folder with configuration, TensorFlow 1 checkpoint and vocabulary; a
            checkpoint prefix; a folder in Hugging Face's layout, with safetensors; a .zip or
            .tar.gz of such a folder; a TF-Hub module folder; a converted directory.
        task: `"encoder"`, `"pretraining"`, `"masked_lm"`, `"classification"`,
            `"token_classification"`, `"question_answering"`, `"question_answering_v2"` or
            `"multiple_choice"`; what the source was made for where it is not given.
        config_path: The configuration, where it does not lie beside the checkpoint.
        vocabulary_path: The vocabulary, likewise.
        overrides: Fields of `EncoderConfig` to take instead of the file's, such as
            `{"dropout": 0.0}` or, for a checkpoint trained with the erf GELU,
            `{"activation": "gelu"}`.
        ignore_keys: Unknown keys of the configuration to drop.
        allow_nonfinite: Accept NaN and infinity among the weights.
        fresh_head: Start the task's output layer fresh even if the source has one.
        **options: The task's settings (`num_labels`, `outputs`, `start_n_top`, `end_n_top`,
            `dropout`) and `dtype`, a policy for every layer.

    Returns:
        A `TransformerModel`. A head that the source does not have starts fresh, and a warning
        says so.

    Raises:
        InputError: The source is not whole, or does not hold what its configuration says.
    """
    reading = {
        "config_path": config_path,
        "vocabulary_path": vocabulary_path,
        "overrides": overrides,
        "ignore_keys": ignore_keys,
        "allow_nonfinite": allow_nonfinite,
    }
    with loaded(source, task, fresh_head=fresh_head, **reading, **options) as (model, _, _):
        return model


@contextlib.contextmanager
def loaded(
    source: str | Path, task: str | None, *, fresh_head: bool = False, **arguments: Any
) -> Iterator[tuple[Any, Any, "Source"]]:
    """What `load_model` gives, while its source is still open: (model, weights, source)."""
    reading = {name: arguments.pop(name) for name in _READING if name in arguments}
    with open_weights(source, **reading) as (weights, located):
        task = task or default_task(weights)
        options = default_options(weights, task, fresh_head) | arguments
        heads = set(HEADS) - {"pool"} if fresh_head else ()
        model, fresh = build_filled(weights, task, options, fresh=heads)
        for note in weights.notes:
            logging.info("%s: %s", source, note)
        for warning in weights.warnings:
            logging.warning("%s: %s", source, warning)
        for head in fresh:
            logging.warning("%s: the %s starts fresh", source, HEADS[head])
        model.files = text_files(located)
        yield model, weights, located


def save_pretrained(
    model: Any,
    directory: str | Path,
    *,
    config: EncoderConfig | None = None,
    tokenizer: Any = None,
    files: Mapping[str, bytes] | None = None,
    provenance: Mapping[str, Any] | None = None,
    force: bool = False,
) -> None:
    """Writes config.json, model.weights.h5, vocabulary and provenance.json.

    Args:
        model: A `TransformerModel`, or with `config` a plain functional model of our layers.
        directory: A new or empty folder.
        config: The encoder's configuration, where the model does not carry one.
        tokenizer: The path of a vocabulary file, where the model does not carry one.
        files: Further files by name.
        provenance: Further entries for provenance.json, such as hyper-parameters and metrics.
        force: Replace what is in the folder.

    Raises:
        InputError: Nothing says which configuration the model has.
        FileExistsError: The folder is not empty.
    """
    config = config or getattr(model, "encoder_config", None)
    if config is None:
        raise InputError(f"a plain model needs config=. Received: model={model.name!r}")
    write_directory(
        directory,
        model,
        config=config,
        task=getattr(model, "task", None) or "encoder",
        task_options=getattr(model, "task_options", {}),
        files={**(read_files([tokenizer]) or getattr(model, "files", {})), **(files or {})},
        provenance=provenance,
        force=force,
    )


@contextlib.contextmanager
def open_weights(
    source: str | Path,
    *,
    config_path: str | Path | None = None,
    vocabulary_path: str | Path | None = None,
    **reading: Any,
) -> Iterator[tuple[Any, "Source"]]:
    """Opens any source for reading: (weights under our paths, where its files lie).

    `reading` holds `overrides`, `ignore_keys` and `allow_nonfinite` of `load_model`; the last two
    apply to foreign sources only.
    """
    # Here, because checkpoints_tools may be what imports keras_albert first.
    from checkpoints_tools.hugging_face import HuggingFaceWeights
    from checkpoints_tools.source import locate
    from checkpoints_tools.tf1 import TF1Weights

    overrides = reading.get("overrides") or {}
    fields = {field.name for field in dataclasses.fields(EncoderConfig)}
    if unknown := sorted(set(overrides) - fields):
        raise InputError(f"overrides are fields of EncoderConfig. Received: {unknown}")
    with locate(source, config_path=config_path, vocabulary_path=vocabulary_path) as located:
        if located.kind == "keras":
            weights = DirectoryWeights(
                located.directory, config_path=located.config_path, overrides=overrides
            )
            with contextlib.closing(weights):
                yield weights, located
        elif located.kind == "hugging_face":
            with contextlib.closing(HuggingFaceWeights(located, **reading)) as foreign:
                yield foreign, located
        else:
            yield TF1Weights(located, **reading), located


def origin(weights: Any, located: "Source") -> dict[str, Any]:
    """Where weights come from, to the byte.

    Returns:
        `source`, `kind`, the `sha256` of its files by name; of a directory of ours also its own
        `origin`, as far as its provenance.json tells.
    """
    found: dict[str, Any] = {"source": located.name, "kind": located.kind}
    if located.kind != "keras":
        return found | {"sha256": {path.name: sha256(path) for path in weights.checkpoint.files}}
    found["sha256"] = {WEIGHTS: weights.provenance["weights_sha256"]}  # checked when it was opened
    keys = ("source", "kind", "sha256", "origin")
    own = {key: weights.provenance[key] for key in keys if key in weights.provenance}
    return found | ({"origin": own} if own else {})
