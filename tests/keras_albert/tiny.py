"""Tiny configurations, one a family, with inputs for every task."""

import keras
import numpy as np
from keras import ops, tree

import keras_albert as ka
from keras_albert.heads import TASKS

_SIZES = {
    "vocab_size": 50,
    "hidden_dim": 8,
    "num_layers": 2,
    "num_heads": 2,
    "intermediate_dim": 12,
    "max_sequence_length": 16,
}
_SHARED = _SIZES | {"embedding_dim": 6, "num_groups": 1}
BERT = ka.EncoderConfig(**_SIZES)
ALBERT = ka.EncoderConfig(**_SHARED)
ALBERT_ZH = ka.EncoderConfig(**_SHARED, family="albert_zh", norm_position="pre")
CONFIGS = {"bert": BERT, "albert": ALBERT, "albert_zh": ALBERT_ZH}

TOKENS = np.array([[2, 7, 9, 3, 0, 0], [2, 11, 4, 30, 12, 3]], "int32")
SEGMENTS = np.array([[0, 0, 1, 1, 0, 0], [0, 1, 1, 1, 1, 1]], "int32")
MASK = (TOKENS != 0).astype("int32")
POSITIONS = np.array([[1, 2], [5, 1]], "int32")
CHOICES = np.stack([TOKENS, TOKENS[::-1], TOKENS % 7 + 1], axis=1)

ALL_TASKS = tuple(TASKS)
HEADS = tuple(task for task in TASKS if task != "encoder")


def inputs_of(task):
    """The inputs that a task needs; what may be left out is left out."""
    inputs = {"token_ids": CHOICES if task == "multiple_choice" else TOKENS}
    return inputs | ({"masked_positions": POSITIONS} if task == "pretraining" else {})


def options_of(task):
    """Settings of a task that are not the defaults, and fit the tiny inputs."""
    return {
        "encoder": {"outputs": ("embedding_output", "encoder_outputs", "pooled_output")},
        "classification": {"num_labels": 3},
        "token_classification": {"num_labels": 4, "dropout": 0.3},
        "question_answering_v2": {"start_n_top": 3, "end_n_top": 2},
    }.get(task, {})


def spread(model, seed=0, scale=0.5):
    """Weights so large that every one of them shows in the outputs; returns the model."""
    rng = np.random.default_rng(seed)
    for weight in model.weights:
        centre = 1.0 if weight.path.endswith("gamma") else 0.0
        weight.assign(rng.normal(centre, scale, weight.shape))
    return model


def numbers(value):
    """NumPy arrays for the tensors of a structure; float32 for bfloat16."""

    def number(tensor):
        if keras.backend.standardize_dtype(tensor.dtype) == "bfloat16":
            tensor = ops.cast(tensor, "float32")
        return ops.convert_to_numpy(tensor)

    return tree.map_structure(number, value)


def assert_same(found, expected, atol=0.0):
    """Two structures of tensors hold the same numbers."""
    tree.map_structure(
        lambda one, other: np.testing.assert_allclose(one, other, rtol=0, atol=atol),
        numbers(found),
        numbers(expected),
    )
