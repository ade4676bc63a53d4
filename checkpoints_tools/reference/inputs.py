"""What goes into the reference graph: checked, and completed with the documented defaults."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from keras_albert.errors import InputError

if TYPE_CHECKING:
    from keras_albert.config import EncoderConfig

_COMMON = ("token_ids", "segment_ids", "padding_mask")
_EXTRA = {
    "pretraining": ("masked_positions",),
    "masked_lm": ("masked_positions",),
    "question_answering_v2": ("answer_mask", "start_positions"),
}


def check_task(task: str, tasks: tuple[str, ...]) -> None:
    """Raises InputError unless `task` is one of `tasks`."""
    if task not in tasks:
        raise InputError(f"task must be one of {', '.join(tasks)}. Received: task={task!r}")


def prepare(config: "EncoderConfig", task: str, inputs: Mapping[str, Any]) -> dict[str, np.ndarray]:
    """Checks one set of inputs, fills in defaults and flattens choices into rows.

    Returns:
        `token_ids`, `segment_ids` (integers), `padding_mask` (bool), all [rows, length], where
        rows is batch, or batch * choices in multiple choice; beside them the task's own inputs,
        and in multiple choice `choices`, a scalar.

    Raises:
        InputError: A name is unknown or missing, a shape is wrong or an index out of range.
    """
    allowed = (*_COMMON, *_EXTRA.get(task, ()))
    for name in inputs:
        if name not in allowed:
            raise InputError(
                f"inputs of task {task} are {', '.join(allowed)}. Received: input={name!r}"
            )
    if "token_ids" not in inputs:
        raise InputError(f"token_ids must be given. Received: inputs={sorted(inputs)}")
    token_ids = _indices("token_ids", inputs["token_ids"], config.vocab_size)
    rank = 3 if task == "multiple_choice" else 2
    if token_ids.ndim != rank:
        raise InputError(
            f"token_ids must have {rank} axes for task {task}. "
            f"Received: token_ids.shape={token_ids.shape}"
        )
    shape = token_ids.shape
    if shape[-1] > config.max_sequence_length:
        raise InputError(
            f"token_ids cannot be longer than max_sequence_length={config.max_sequence_length}. "
            f"Received: token_ids.shape={shape}"
        )
    segment_ids = inputs.get("segment_ids", np.zeros_like(token_ids))
    ready = {
        "token_ids": token_ids,
        "segment_ids": _shaped(
            "segment_ids", _indices("segment_ids", segment_ids, config.num_segments), shape
        ),
        "padding_mask": _mask("padding_mask", inputs.get("padding_mask", token_ids), shape),
    }
    if task == "multiple_choice":
        ready = {name: array.reshape(-1, shape[-1]) for name, array in ready.items()}
        return ready | {"choices": np.asarray(shape[1])}
    return ready | _extra_inputs(task, inputs, ready)


def _extra_inputs(
    task: str, inputs: Mapping[str, Any], ready: dict[str, np.ndarray]
) -> dict[str, np.ndarray]:
    batch, length = shape = ready["token_ids"].shape
    extra = {}
    if task == "pretraining" and "masked_positions" not in inputs:
        raise InputError(f"task {task} needs masked_positions. Received: inputs={sorted(inputs)}")
    if "masked_positions" in _EXTRA.get(task, ()):
        everywhere = np.broadcast_to(np.arange(length), shape)
        positions = inputs.get("masked_positions", everywhere)
        positions = _indices("masked_positions", positions, length)
        wanted = (batch, *positions.shape[-1:])
        extra["masked_positions"] = _shaped("masked_positions", positions, wanted)
    if task == "question_answering_v2":
        # No answer can lie in padding, so the padding mask is the widest sensible default.
        answer_mask = inputs.get("answer_mask", ready["padding_mask"])
        extra["answer_mask"] = _mask("answer_mask", answer_mask, shape)
        if "start_positions" in inputs:
            starts = _indices("start_positions", inputs["start_positions"], length, lowest=-1)
            extra["start_positions"] = _shaped("start_positions", starts, (batch,))
    return extra


def _indices(name: str, value: Any, limit: int, lowest: int = 0) -> np.ndarray:
    """An array of integers from `lowest` to below `limit`."""
    array = np.asarray(value)
    if array.dtype.kind not in "iu":
        raise InputError(f"{name} must be integers. Received: {name}.dtype={array.dtype}")
    wrong = array[(array < lowest) | (array >= limit)]
    if wrong.size:
        raise InputError(
            f"{name} must be from {lowest} to {limit - 1}. Received: {name}={wrong[0]}"
        )
    return array


def _mask(name: str, value: Any, shape: tuple[int, ...]) -> np.ndarray:
    return _shaped(name, np.asarray(value) != 0, shape)


def _shaped(name: str, array: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    if array.shape != shape:
        raise InputError(f"{name} must have shape {shape}. Received: {name}.shape={array.shape}")
    return array
