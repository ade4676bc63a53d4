"""A model filled with stored weights, whatever they were read from."""

from collections.abc import Iterable, Mapping
from typing import Any, Protocol

import numpy as np

from keras_albert.config import EncoderConfig
from keras_albert.errors import InputError
from keras_albert.heads import build_model
from keras_albert.layers.initializers import weights_follow
from keras_albert.model import TransformerModel

# The first name in a path -> what it belongs to: what may start fresh, as a whole.
HEADS = {
    "pool": "pooler",
    "masked_lm": "masked language model",
    "sentence_relation": "sentence relation",
    "classifier": "classifier",
    "pooled_layer_norm": "classifier's LayerNorm",
    "span": "answer span",
    "answer_span": "answer span with answerability",
}


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
        if head in fresh or (variable.path not in weights.shapes and head in HEADS):
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
