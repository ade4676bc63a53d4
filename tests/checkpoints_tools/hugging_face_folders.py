"""Folders in Hugging Face's layout: two that transformers made, and others made from them.

tests/golden/transformers holds two of the folders that `tests/run_in_transformers.py make` writes
(transformers 5.24): a checkpoint each, inputs, and what transformers computes with them.
"""

import json
import shutil
from pathlib import Path
from typing import Any

import keras
import numpy as np
from safetensors.numpy import load_file, save_file

from keras_albert.pretrained import open_weights
from tests.checkpoints_tools.cases import distance
from tests.checkpoints_tools.folders import same_bits
from tests.paths import GOLDEN

MADE = GOLDEN / "transformers"
BERT = "BertForPreTraining-gelu"
ALBERT = "AlbertForPreTraining-gelu_new"  # 2 groups of 2 blocks
VOCAB_SIZE, HIDDEN = 60, 16

INPUTS = {
    "token_ids": "input_ids",
    "segment_ids": "token_type_ids",
    "padding_mask": "attention_mask",
}
OUTPUTS = {
    "encoder": {"sequence_output": "last_hidden_state", "pooled_output": "pooler_output"},
    "pretraining": {"mlm_logits": "prediction_logits"},  # and the relation, called in two ways
    "masked_lm": {"mlm_logits": "logits"},
    "classification": {"logits": "logits"},
    "token_classification": {"logits": "logits"},
    "question_answering": {"start_logits": "start_logits", "end_logits": "end_logits"},
    "multiple_choice": {"logits": "logits"},
}
RELATION = {"bert": "seq_relationship_logits", "albert": "sop_logits"}


def largest_difference(model, folder: Path) -> float:
    """The distance of the model's outputs from what transformers computed in a folder."""
    inputs, theirs = (dict(np.load(folder / f"{name}.npz")) for name in ("inputs", "outputs"))
    ours = {name: inputs[key] for name, key in INPUTS.items()}
    names = dict(OUTPUTS[model.task])
    if model.task == "pretraining":
        ours["masked_positions"] = np.tile(np.arange(12), (len(ours["token_ids"]), 1))
        names["sentence_relation_logits"] = RELATION[model.encoder_config.family]
    found = model(ours)
    assert set(found) == set(names)
    return max(
        distance(keras.ops.convert_to_numpy(found[name]), theirs[key])
        for name, key in names.items()
    )


def tensors_of(name: str) -> dict[str, np.ndarray]:
    return load_file(MADE / name / "model.safetensors")


def encoder_of(name: str) -> dict[str, np.ndarray]:
    """The tensors without the heads."""
    family = name.partition("For")[0].lower()
    return {key: array for key, array in tensors_of(name).items() if key.startswith(family)}


def make(
    folder: Path,
    name: str = BERT,
    tensors: dict[str, np.ndarray] | None = None,
    config: dict[str, Any] | None = None,
    vocabulary: int | None = None,
) -> Path:
    """A folder with these tensors, other keys (None to leave one out) and a vocab.txt of a size."""
    folder.mkdir(parents=True)
    if tensors is None:
        shutil.copyfile(MADE / name / "model.safetensors", folder / "model.safetensors")
    else:
        arrays = {key: np.ascontiguousarray(array) for key, array in tensors.items()}
        save_file(arrays, folder / "model.safetensors", metadata={"format": "pt"})
    keys = json.loads((MADE / name / "config.json").read_text()) | (config or {})
    keys = {key: value for key, value in keys.items() if value is not None}
    (folder / "config.json").write_text(json.dumps(keys))
    if vocabulary is not None:
        (folder / "vocab.txt").write_text("".join(f"token{i}\n" for i in range(vocabulary)))
    return folder


def shard(folder: Path, count: int = 2) -> Path:
    """Cuts a folder's model.safetensors into shards with an index, which is returned."""
    tensors = load_file(folder / "model.safetensors")
    (folder / "model.safetensors").unlink()
    weight_map = {}
    for number in range(count):
        shard_name = f"model-{number + 1:05d}-of-{count:05d}.safetensors"
        part = dict(list(tensors.items())[number::count])
        save_file(part, folder / shard_name)
        weight_map |= dict.fromkeys(part, shard_name)
    index = folder / "model.safetensors.index.json"
    index.write_text(json.dumps({"metadata": {"total_size": 0}, "weight_map": weight_map}))
    return index


def with_head(name: str, head: str, rows: int) -> dict[str, np.ndarray]:
    """The encoder with another head, whose kernel counts from 0."""
    kernel = np.arange(rows * HIDDEN, dtype="float32").reshape(rows, HIDDEN)
    return encoder_of(name) | {f"{head}.weight": kernel, f"{head}.bias": np.ones(rows, "float32")}


def values_of(source, **reading) -> dict[str, np.ndarray]:
    """Our path -> array of everything in a source."""
    with open_weights(source, **reading) as (weights, _):
        return {path: np.ascontiguousarray(weights.read(path)) for path in weights.shapes}


def assert_same(found: dict[str, np.ndarray], expected: dict[str, np.ndarray]) -> None:
    """The same names, and every array the same to the last bit."""
    assert found.keys() == expected.keys()
    assert all(same_bits(found[path], array) for path, array in expected.items())
