"""Any source, or a model in memory -> a folder that transformers loads."""

import contextlib
import json
import shutil
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import keras
import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import save_file

from checkpoints_tools.convert import refuse_to_lose
from checkpoints_tools.hugging_face import identity
from checkpoints_tools.hugging_face_config import write_description
from checkpoints_tools.parts import TOKENIZER_CONFIG
from checkpoints_tools.tables import HUGGING_FACE
from checkpoints_tools.tables.plan import names_for
from checkpoints_tools.tables.rules import IDENTITY
from keras_albert import __version__
from keras_albert.config import EncoderConfig
from keras_albert.config_json import json_bytes
from keras_albert.directory import new_directory, read_files, refuse_to_replace
from keras_albert.errors import InputError
from keras_albert.filling import default_options, default_task
from keras_albert.model import TransformerModel
from keras_albert.pretrained import open_weights

Progress = Callable[[int, int, str], None]

WEIGHTS = "model.safetensors"
# The pages of a model hub sort by these.
_PIPELINES = {
    "encoder": "feature-extraction",
    "pretraining": "fill-mask",
    "masked_lm": "fill-mask",
    "classification": "text-classification",
    "token_classification": "token-classification",
    "question_answering": "question-answering",
    "multiple_choice": "multiple-choice",
}
_WORDPIECE_TOKENS = {
    "unk_token": "[UNK]",
    "sep_token": "[SEP]",
    "pad_token": "[PAD]",
    "cls_token": "[CLS]",
    "mask_token": "[MASK]",
}
_SENTENCEPIECE_TOKENS = _WORDPIECE_TOKENS | {
    "unk_token": "<unk>",
    "pad_token": "<pad>",
    "bos_token": "[CLS]",
    "eos_token": "[SEP]",
}


class ModelWeights:
    """The variables of a model in memory under their paths.

    Args:
        model: A `TransformerModel` with its configuration.

    Raises:
        InputError: Nothing says which configuration the model has.
    """

    kind = "model"
    labels = None

    def __init__(self, model: TransformerModel) -> None:
        if model.encoder_config is None:
            raise InputError(
                "a model is exported with its encoder_config. "
                f"Received: model={model.name!r} without one"
            )
        self.config: EncoderConfig = model.encoder_config
        self.task = model.task or "encoder"
        self.task_options = model.task_options
        self._variables = {variable.path: variable for variable in model.weights}
        self.shapes = {path: tuple(v.shape) for path, v in self._variables.items()}

    def read(self, path: str) -> np.ndarray:
        """The variable of that path."""
        return keras.ops.convert_to_numpy(self._variables[path])


def export_hugging_face(
    source: str | Path | TransformerModel,
    out: str | Path,
    *,
    labels: list[str] | None = None,
    lower_case: bool | None = None,
    force: bool = False,
    progress: Progress | None = None,
    **reading: Any,
) -> dict[str, Any]:
    """Writes model.safetensors, config.json, tokenizer files and README.md; whole or not at all.

    Args:
        source: As `keras_albert.load_model` takes it, or a model that it returned.
        out: A new or empty folder.
        labels: Names of the classes of a classifier; by default those that the source has.
        lower_case: Whether the tokenizer lower-cases; by default what the source says, and
            otherwise whether next to no entry of its vocabulary has an upper-case letter.
        force: Replace what is in `out`.
        progress: Called with (done, total, name).
        **reading: `config_path`, `vocabulary_path`, `overrides`, `ignore_keys`,
            `allow_nonfinite` of `keras_albert.load_model`.

    Returns:
        A dict: `directory`, `architecture` (the class of transformers), `variables` (how many),
        `files`.

    Raises:
        InputError: The source is not whole, lies in `out`, or no class of transformers computes
            what it does.
        FileExistsError: `out` is not empty.
    """
    refuse_to_replace(out, force)
    with _opened(source, out, reading) as (weights, files, origin):
        task = default_task(weights)
        options = default_options(weights, task)
        labels = labels or _labels_of(weights)
        description = write_description(
            weights.config, task, _named(labels, options.get("num_labels")), options.get("dropout")
        )
        tensors = _tensors(weights, progress)
        dtypes = {str(array.dtype) for array in tensors.values()}
        description["torch_dtype"] = dtypes.pop() if len(dtypes) == 1 else "float32"
        architecture = description["architectures"][0]
        beside = {
            "config.json": json_bytes(description),
            **_text_files(files, weights.config, lower_case),
            "README.md": _card(architecture, task, weights.config.family, origin).encode(),
        }
        with new_directory(out, force=force) as folder:
            try:
                # transformers asks for the metadata.
                save_file(tensors, folder / WEIGHTS, metadata={"format": "pt"})
            except SafetensorError as error:
                raise OSError(f"{out}: cannot write {WEIGHTS}: {error}") from error
            for name, content in beside.items():
                (folder / name).write_bytes(content)
            # safetensors writes for the owner alone.
            shutil.copymode(folder / "config.json", folder / WEIGHTS)
    return {
        "directory": str(out),
        "architecture": architecture,
        "variables": len(tensors),
        "files": [str(Path(out, name)) for name in (WEIGHTS, *beside)],
    }


@contextlib.contextmanager
def _opened(
    source: str | Path | TransformerModel, out: str | Path, reading: Mapping[str, Any]
) -> Iterator[tuple[Any, dict[str, bytes], str]]:
    """The weights, the files that say how text becomes token ids, and where all of it is from."""
    if isinstance(source, TransformerModel):
        yield ModelWeights(source), getattr(source, "files", {}), source.name
        return
    with open_weights(source, **reading) as (weights, located):
        refuse_to_lose(located, out)
        yield weights, read_files(located.text_paths), Path(source).resolve().name


def _tensors(weights: Any, progress: Progress | None) -> dict[str, np.ndarray]:
    """Their name -> array in their layout and, where it is known, the original type."""
    entries = names_for(weights.config, weights.shapes, HUGGING_FACE)
    # A converted directory may hold the weights in another type.
    dtypes = weights.provenance.get("dtypes", {}) if weights.kind == "keras" else None
    tensors = {}
    for done, (path, entry) in enumerate(entries.items()):
        array = weights.read(path)
        if dtypes is not None:
            array = array.astype(dtypes.get(path, "float32"), copy=False)
        tensors[entry.name] = np.ascontiguousarray(array.T if entry.transposed else array)
        if progress is not None:
            progress(done + 1, len(entries), entry.name)
    family = weights.config.family
    for entry in HUGGING_FACE[family].entries(weights.config):
        if entry.part == IDENTITY:
            tensors[entry.name] = identity(tuple(size or 0 for size in entry.shape))
    # A bare encoder is saved without the name of its model.
    if all(name.startswith(f"{family}.") for name in tensors):
        return {name.removeprefix(f"{family}."): array for name, array in tensors.items()}
    return tensors


def _labels_of(weights: Any) -> list[str] | None:
    """The names that a source in Hugging Face's layout came with, or a conversion of one."""
    return weights.provenance.get("labels") if weights.kind == "keras" else weights.labels


def _named(labels: list[str] | None, count: int | None) -> list[str] | None:
    """A name for every class of a classifier, where the task has one."""
    if count is None:
        return None
    if labels is None:
        return [f"LABEL_{index}" for index in range(count)]
    if len(labels) != count or len(set(labels)) != count:
        raise InputError(
            f"labels name each class of the classifier once. Received: labels={labels!r:.200}, "
            f"num_labels={count}"
        )
    return labels


def _text_files(
    files: Mapping[str, bytes], config: EncoderConfig, lower_case: bool | None
) -> dict[str, bytes]:
    """The vocabulary under their name for it, and what their tokenizer has to know."""
    name = next((name for name in files if name != TOKENIZER_CONFIG), None)
    if name is None:
        return {}
    vocabulary = files[name]
    pieces = name.endswith(".model")
    there = {"spiece.model" if pieces else "vocab.txt": vocabulary}
    settings = {
        # Chinese ALBERTs have WordPiece.
        "tokenizer_class": "AlbertTokenizer" if pieces else "BertTokenizer",
        "do_lower_case": pieces or is_lower_cased(vocabulary),  # every SentencePiece ALBERT is
        "model_max_length": config.max_sequence_length,
        **(_SENTENCEPIECE_TOKENS if pieces else _WORDPIECE_TOKENS),
        **json.loads(files.get(TOKENIZER_CONFIG, b"{}")),
    }
    if lower_case is not None:
        settings["do_lower_case"] = lower_case
    return there | {TOKENIZER_CONFIG: json_bytes(settings)}


def is_lower_cased(vocabulary: bytes) -> bool:
    """Whether next to no entry of a vocab.txt has an upper-case letter.

    Of BERT's vocabularies, the uncased English one has none, the Chinese one, which goes with
    lower-casing as well, 2 of 21,128, and the cased ones more than a tenth.
    """
    entries = [line for line in vocabulary.splitlines() if not line.startswith(b"[")]
    upper = sum(entry != entry.lower() for entry in entries)  # ASCII letters alone
    return upper * 100 < len(entries)


def _card(architecture: str, task: str, family: str, origin: str) -> str:
    """A model card: front matter in YAML, and how to load what lies beside it."""
    return f"""\
---
library_name: transformers
pipeline_tag: {_PIPELINES[task]}
tags:
- {family}
- keras
---

# {architecture}

Written by keras_albert {__version__} from `{origin}`.

```python
from transformers import {architecture}

model = {architecture}.from_pretrained(".")  # this folder
```
"""
