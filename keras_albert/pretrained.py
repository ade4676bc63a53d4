"""The single door: any source -> model; model -> directory."""

import contextlib
import dataclasses
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
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
from keras_albert.heads import build_model
from keras_albert.layers.initializers import weights_follow
from keras_albert.model import TransformerModel
from keras_albert.pretrained_text import text_files

if TYPE_CHECKING:
    from checkpoints_tools.source import Source

# The first name in a path -> what it belongs to: what may start fresh, as a whole.
_HEADS = {
    "pool": "pooler",
    "masked_lm": "masked language model",
    "sentence_relation": "sentence relation",
    "classifier": "classifier",
    "pooled_layer_norm": "classifier's LayerNorm",
    "span": "answer span",
    "answer_span": "answer span with answerability",
}
# The arguments of `load_model` that say how a source is read.
_READING = ("config_path", "vocabulary_path", "overrides", "ignore_keys", "allow_nonfinite")


class Weights(Protocol):
    """Variables under our paths, whatever they were read from."""

    kind: str
    config: EncoderConfig
    task: str | None  # what the source says it was made for, and the settings of that
    task_options: Mapping[str, Any]
    shapes: dict[str, tuple[int, ...]]
    notes: list[str]  # what was chosen or left behind
    warnings: list[str]  # what the reader of this source should decide

    def read(self, path: str) -> np.ndarray:
        """The variable of that path."""
        ...

    def value(self, path: str) -> Any:
        """The same as a Keras variable takes it with the fewest copies."""
        ...


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
        heads = set(_HEADS) - {"pool"} if fresh_head else ()
        model, fresh = build_filled(weights, task, options, fresh=heads)
        for note in weights.notes:
            logging.info("%s: %s", source, note)
        for warning in weights.warnings:
            logging.warning("%s: %s", source, warning)
        for head in fresh:
            logging.warning("%s: the %s starts fresh", source, _HEADS[head])
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


def default_task(weights: Any) -> str:
    """What a source says it was made for, or else what the head that was trained last is for."""
    if weights.task is not None:
        return weights.task
    heads = {path.partition("/")[0] for path in weights.shapes}
    for head, task in (
        ("answer_span", "question_answering_v2"),
        ("span", "question_answering"),
        ("classifier", "classification"),
        ("sentence_relation", "pretraining"),
        ("masked_lm", "masked_lm"),
    ):
        if head in heads:
            return task
    return "encoder"


def default_options(weights: Any, task: str, fresh_head: bool = False) -> dict[str, Any]:
    """The settings that the source itself gives for a task."""
    if task == weights.task:
        return dict(weights.task_options)
    if task in ("classification", "token_classification") and not fresh_head:
        kernel = weights.shapes.get("classifier/kernel")
        return {"num_labels": kernel[1]} if kernel else {}
    return {}


def build_filled(
    weights: Any,
    task: str,
    options: Mapping[str, Any],
    *,
    fresh: Iterable[str] = (),
    progress: Any = None,
) -> tuple[TransformerModel, list[str]]:
    """The model of a task with stored weights, and the heads that start fresh; see `assign`.

    Args:
        weights: Where its variables are read from.
        task: One of `keras_albert.heads.TASKS`.
        options: The task's settings and `dtype`.
        fresh: Heads to start fresh even where the weights have them.
        progress: Called with (done, total, path).
    """
    with weights_follow():
        model = build_model(weights.config, task, **options)
    return model, assign(model, weights, fresh=fresh, progress=progress)


def assign(
    model: TransformerModel, weights: Weights, *, fresh: Iterable[str] = (), progress: Any = None
) -> list[str]:
    """Streams weights into a model, one variable at a time.

    Args:
        model: The model.
        weights: Where its variables are read from.
        fresh: Heads to leave as they are.
        progress: Called with (done, total, path).

    Returns:
        The heads that stay as they are, because they are not in the weights or in `fresh`.

    Raises:
        InputError: A variable has another shape there, or something other than a head is missing.
    """
    left: set[str] = set()
    for done, variable in enumerate(model.weights):
        head = variable.path.partition("/")[0]
        if head in fresh or (variable.path not in weights.shapes and head in _HEADS):
            left.add(head)
            continue
        if variable.path not in weights.shapes:
            raise InputError(f"the weights lack a variable. Received: no {variable.path}")
        shape = weights.shapes[variable.path]
        if shape != tuple(variable.shape):
            raise InputError(
                f"{variable.path} has another shape in the weights (fresh_head=True starts a "
                f"classifier anew). Received: {list(shape)}, the model has "
                f"{list(variable.shape)}"
            )
        variable.assign(weights.value(variable.path))
        if progress is not None:
            progress(done + 1, len(model.weights), variable.path)
    return sorted(left)
