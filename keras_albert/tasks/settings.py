"""What a task's folder says about itself beside model and vocabulary: task.json."""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from keras_albert.config_json import json_bytes, read_json
from keras_albert.data.messages import shown
from keras_albert.errors import InputError

FILE = "task.json"
SCHEMA = 1
LONG_TEXTS = ("cut", "windows", "refuse")
_SCHEMA_KEY, _TASK_KEY = "keras_albert_task", "task"


@dataclass(frozen=True)
class TextSettings:
    """How texts become answers.

    Attributes:
        kind: What the answers are.
        labels: Their names.
        max_length: Most tokens of a row, `[CLS]` and `[SEP]` included.
        long_texts: What happens to longer ones: "cut", "windows" (overlapping ones, whose logits
            are averaged) or "refuse".
        stride: Tokens from the beginning of a window to that of the next.
        segments: Texts of an input: 1, 2 for pairs, None as long as nothing was learnt.
        lower_case: Whether the text is lower-cased.
        temperature: The logits are divided by it; see `fit_temperature`.
        threshold: The probability from which on one of several labels holds.
    """

    kind: str
    labels: tuple[str, ...]
    max_length: int
    long_texts: str = "cut"
    stride: int | None = None
    segments: int | None = None
    lower_case: bool = True
    temperature: float = 1.0
    threshold: float = 0.5

    def __post_init__(self) -> None:
        if self.long_texts not in LONG_TEXTS:
            raise InputError(
                f"long_texts is one of {LONG_TEXTS}. Received: long_texts={self.long_texts!r}"
            )
        if not 0 < self.temperature < float("inf"):
            raise InputError(
                f"A temperature is above 0. Received: temperature={self.temperature!r}"
            )
        if not 0 < self.threshold < 1:
            raise InputError(
                f"A threshold is between 0 and 1. Received: threshold={self.threshold!r}"
            )
        tokens = self.max_length - 2  # of a window, beside [CLS] and [SEP]
        if tokens < 1:
            raise InputError(
                "A row has more tokens than [CLS] and [SEP]. "
                f"Received: max_length={self.max_length}"
            )
        if self.stride is not None and not 1 <= self.stride <= tokens:
            raise InputError(
                f"A stride is at least 1, and at most the {tokens} tokens of a window. "
                f"Received: stride={self.stride}, max_length={self.max_length}"
            )

    def to_json(self, task: str) -> bytes:
        """task.json."""
        content = {_SCHEMA_KEY: SCHEMA, _TASK_KEY: task} | dataclasses.asdict(self)
        return json_bytes(content)


def read_settings(directory: str | Path) -> tuple[str, Mapping[str, Any]]:
    """The task that a folder is for, and its settings.

    Raises:
        InputError: It is no fine-tuned folder, or of another schema.
    """
    path = Path(directory) / FILE
    if not path.is_file():
        raise InputError(f"{path}: the folder of a fine-tuned task has this file")
    try:
        content = read_json(path)
    except InputError as error:
        raise InputError(f"{path}: {error}") from error
    schema, task = content.pop(_SCHEMA_KEY, None), content.pop(_TASK_KEY, None)
    if schema != SCHEMA or not isinstance(task, str):
        raise InputError(
            f"{path}: this version reads schema {SCHEMA}. "
            f"Received: {_SCHEMA_KEY}={shown(schema)}, {_TASK_KEY}={shown(task)}"
        )
    return task, content


def text_settings(directory: str | Path, content: Mapping[str, Any]) -> TextSettings:
    """The settings of a task on texts.

    Raises:
        InputError: A setting is missing, unknown or of another type.
    """
    path = Path(directory) / FILE
    known = {field.name: field for field in dataclasses.fields(TextSettings)}
    if unknown := sorted(set(content) - set(known)):
        raise InputError(f"{path}: settings are {sorted(known)}. Received: {unknown}")
    if missing := [
        name
        for name, field in known.items()
        if name not in content and field.default is dataclasses.MISSING
    ]:
        raise InputError(f"{path}: settings that must be there. Received: no {missing}")
    values = dict(content)
    for name, value in values.items():
        if not isinstance(value, _TYPES[name]) or isinstance(value, bool) is not (
            _TYPES[name] is bool
        ):
            raise InputError(f"{path}: {name} is of another type. Received: {shown(value)}")
    if not all(isinstance(label, str) for label in values["labels"]):
        raise InputError(f"{path}: labels are texts. Received: {shown(values['labels'])}")
    values["labels"] = tuple(values["labels"])
    try:
        return TextSettings(**values)
    except InputError as error:
        raise InputError(f"{path}: {error}") from error


_TYPES: dict[str, Any] = {
    "kind": str,
    "labels": list,
    "max_length": int,
    "long_texts": str,
    "stride": int | None,
    "segments": int | None,
    "lower_case": bool,
    "temperature": int | float,
    "threshold": int | float,
}
