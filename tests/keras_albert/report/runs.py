"""Small runs to report on, with what is hard to show among their texts and names."""

import json
from pathlib import Path
from typing import Any

from keras_albert.data.records import Place

HOSTILE = "<script>document.title = 'ran'</script><img src=x> & \"quotes\" \x00\u202e\ud800"
SETTINGS = {"learning_rate": 5e-5, "optimizer": {"name": "AdamW"}, "frozen": None, "seeds": [0, 1]}
DATA = {
    "train": {"path": "rows/train.tsv", "rows": 9, "sha256": "ab" * 32},
    "validation": {"path": Path("rows/dev|1.tsv"), "rows": 4, "sha256": "cd" * 32},
}


def classification() -> dict[str, Any]:
    """Four rows of two classes: the second and the last are wrong, the last one worse."""
    return {
        "task_kind": "classification",
        "names": ["负面", "<b>positive</b>"],
        "labels": [0, 1, 1, 0],
        "probabilities_or_predictions": [[0.9, 0.1], [0.6, 0.4], [0.2, 0.8], [0.03, 0.97]],
        "texts": ["bad", HOSTILE, "good", "很好" * 400],
        "places": [Place("dev.tsv", line) for line in range(2, 6)],
        "settings": SETTINGS,
        "data": DATA,
    }


def many_classes() -> dict[str, Any]:
    """More classes than a table of them takes; every row is wrong but for the first."""
    count = 30
    labels = list(range(count))
    predictions = [[0.5 / (count - 1)] * count for _ in labels]
    for row in labels:
        predictions[row][0] = 0.5
    return {
        "task_kind": "classification",
        "names": [f"intent {label}" for label in labels],
        "labels": labels,
        "probabilities_or_predictions": predictions,
        "texts": [f"text {label}" for label in labels],
        "settings": {},
        "data": {},
    }


def multi_label() -> dict[str, Any]:
    """Two rows of three labels, of which nobody has the last; both are wrong."""
    return {
        "task_kind": "multi_label",
        "names": ["price", "sound", "size"],
        "labels": [[1, 1, 0], [0, 0, 0]],
        "probabilities_or_predictions": [[0.9, 0.3, 0.1], [0.8, 0.6, 0.2]],
        "texts": ["cheap and loud", "fine"],
        "settings": {},
        "data": {"rows": 2},
    }


def regression() -> dict[str, Any]:
    """Three pairs of texts; the second is the furthest off."""
    return {
        "task_kind": "regression",
        "names": [],
        "labels": [1.0, 4.0, 2.5],
        "probabilities_or_predictions": [1.5, 1.0, 2.5],
        "texts": [("a", "b"), ("c", "d"), ("e", "f")],
        "settings": {},
        "data": {},
    }


RUNS = {run.__name__: run for run in (classification, many_classes, multi_label, regression)}


def write_history(path: Path) -> Path:
    """A metrics.jsonl as training writes it: two epochs, validated after each."""
    lines = []
    for step in range(1, 5):
        epoch = (step - 1) // 2 + 1
        lines.append({"step": step, "epoch": epoch, "loss": 1 / step, "learning_rate": 1e-4})
        if step % 2 == 0:
            scores = {"loss": 0.7 / step, "accuracy": step / 5, "f1_负面": 0.5}
            lines.append({"step": step, "epoch": epoch, "validation": True, **scores})
    path.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    return path
