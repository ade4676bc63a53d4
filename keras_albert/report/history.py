"""metrics.jsonl, one JSON object a line, as curves over the steps."""

import json
import math
from pathlib import Path
from typing import Any

from keras_albert.data.messages import bad
from keras_albert.data.records import Place

_LONGEST = 300  # points of a curve; of longer ones, the means of neighbours
# What says when a line was written, not how well it went.
_BOOKKEEPING = frozenset({"step", "epoch", "rows_per_second", "seconds", "validation"})

Curve = list[list[float]]


def read_history(path: str | Path) -> list[dict[str, Any]]:
    """The lines of a metrics.jsonl by their step; of two of the same step the later one.

    A run that was resumed repeats the steps since its last checkpoint. A run that was killed may
    leave half a line at the end, which is passed over.

    Raises:
        InputError: A whole line is no JSON object with a number `step`.
        OSError: The file cannot be read.
    """
    lines: dict[tuple[bool, float], dict[str, Any]] = {}
    text = Path(path).read_text(encoding="utf-8", errors="replace")
    for number, line in enumerate(text.split("\n")[:-1], start=1):
        try:
            entry = json.loads(line)
        except json.JSONDecodeError:
            entry = None
        if not isinstance(entry, dict) or not _is_number(entry.get("step")):
            rule = "A line of the history is a JSON object with a number 'step'"
            raise bad(rule, Place(str(path), number), line=line)
        lines[bool(entry.get("validation")), entry["step"]] = entry
    return sorted(lines.values(), key=lambda entry: entry["step"])


def curves(history: list[dict[str, Any]]) -> dict[str, dict[str, Curve]]:
    """Of each quantity its [step, value] pairs in training and in validation, `loss` first.

    A value that is not finite is left out: the curve ends or breaks there.
    """
    found: dict[str, dict[str, Curve]] = {}
    for entry in history:
        kind = "validation" if entry.get("validation") else "training"
        for name, value in entry.items():
            if name not in _BOOKKEEPING and _is_number(value) and math.isfinite(value):
                pairs = found.setdefault(name, {"training": [], "validation": []})
                pairs[kind].append([entry["step"], value])
    names = sorted(found, key=lambda name: (name != "loss", name == "learning_rate"))
    return {name: {kind: _thinned(pairs) for kind, pairs in found[name].items()} for name in names}


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _thinned(pairs: Curve) -> Curve:
    size = math.ceil(len(pairs) / _LONGEST) or 1
    groups = [pairs[start : start + size] for start in range(0, len(pairs), size)]
    return [[sum(column) / len(group) for column in zip(*group, strict=True)] for group in groups]
