"""What a run would be: rows, steps, memory, time; nothing is written."""

import math
import time
from pathlib import Path
from typing import Any

import keras
import numpy as np

from keras_albert.config import EncoderConfig
from keras_albert.runs.data import Part, RunData
from keras_albert.runs.fine_tuning import class_weights, new_classifier
from keras_albert.runs.settings import Settings
from keras_albert.tasks.data import stride_of
from keras_albert.tasks.learning import updates

_UNTIMED, _TIMED = 3, 3  # steps: graphs are built in the first ones
_FLOAT = 4  # bytes


def estimate(source: str | Path, data: RunData, settings: Settings) -> dict[str, Any]:
    """What `fine_tune` would do, and how long it would take; a few steps are timed.

    Args:
        source: As of `fine_tune`.
        data: As of `fine_tune`.
        settings: As of `fine_tune`.

    Returns:
        `task`, `labels`, `rows` by part, `max_length`, `cut` (the share of training rows that are
        longer), `epochs`, `batch_size`, `steps_per_epoch`, `steps`, `parameters`,
        `trainable_parameters`, `learning_rate`, `memory_bytes` (of `weights`, `gradients`,
        `optimizer`, `activations`, and the `total`), `rows_per_second`, `seconds` (of the steps
        alone).

    Raises:
        InputError: As `fine_tune`.
    """
    classifier, lengths = new_classifier(source, data, settings)
    model, length = classifier.model, classifier.settings.max_length
    rows = len(data.train.records)
    if settings.long_texts == "windows":
        stride = stride_of(classifier.settings)
        rows = int(np.sum(1 + np.maximum(0, -(-(lengths - length) // stride))))
    steps = math.ceil(rows / settings.batch_size)
    accumulation = 1 if settings.accumulation is None else settings.accumulation
    fewer = {"accumulation": min(accumulation, _UNTIMED + _TIMED)}
    classifier.compile(**settings.compile_arguments() | fewer)
    updates(settings.epochs * steps, accumulation)  # which may refuse
    seconds_per_step = _timed(classifier, data.train, settings, class_weights(data, settings))
    trainable = sum(math.prod(weight.shape) for weight in model.trainable_weights)
    memory = {
        "weights": model.count_params() * _FLOAT,
        "gradients": trainable * _FLOAT,
        "optimizer": sum(math.prod(v.shape) for v in model.optimizer.variables) * _FLOAT,
        "activations": settings.batch_size
        * _activations(model.encoder_config, min(length, int(lengths.max())))
        * (_FLOAT if settings.dtype in (None, "float32") else _FLOAT // 2),
    }
    return {
        "task": data.kind,
        "labels": list(data.names),
        "rows": {name: len(part.records) for name, part in data.parts.items()},
        "max_length": length,
        "cut": float(np.mean(lengths > length)) if settings.long_texts == "cut" else 0.0,
        "epochs": settings.epochs,
        "batch_size": settings.batch_size,
        "steps_per_epoch": steps,
        "steps": settings.epochs * steps,
        "parameters": model.count_params(),
        "trainable_parameters": trainable,
        "learning_rate": settings.peak_rate(model.encoder_config),
        "memory_bytes": memory | {"total": sum(memory.values())},
        "rows_per_second": settings.batch_size / seconds_per_step,
        "seconds": settings.epochs * steps * seconds_per_step,
    }


def render(found: dict[str, Any]) -> str:
    """The estimate as text."""
    memory = {name: f"{size / 2**20:,.0f} MiB" for name, size in found["memory_bytes"].items()}
    parts = ", ".join(f"{name} {size}" for name, size in memory.items() if name != "total")
    labels = f", {len(found['labels'])} labels" if found["labels"] else ""
    lines = {
        "task": found["task"] + labels,
        "rows": ", ".join(f"{number:,} {name}" for name, number in found["rows"].items()),
        "length": f"{found['max_length']} tokens at most; {found['cut']:.1%} of the training rows "
        "are cut",
        "steps": f"{found['steps_per_epoch']:,} an epoch of {found['batch_size']} rows each, "
        f"{found['steps']:,} in {found['epochs']} epochs",
        "parameters": f"{found['parameters']:,}, of which {found['trainable_parameters']:,} learn",
        "rate": f"{found['learning_rate']:g} at its peak",
        "memory": f"about {memory['total']}: {parts}",
        "speed": f"{found['rows_per_second']:,.1f} rows/s, measured",
        "time": f"about {_duration(found['seconds'])} for the steps",
    }
    return "\n".join(f"{name:12}{text}" for name, text in lines.items())


class _StepTimes(keras.callbacks.Callback):
    """When each step ended."""

    def __init__(self) -> None:
        super().__init__()
        self.ends: list[float] = []

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        """Notes the time."""
        self.ends.append(time.perf_counter())


def _timed(classifier: Any, train: Part, settings: Settings, weights: Any) -> float:
    """Seconds of a step: the median of a few, after some that build graphs."""
    count = (_UNTIMED + _TIMED) * settings.batch_size
    # Rows of two labels first, for what is learnt from has two.
    rows = np.random.default_rng(0).integers(0, len(train.records), count)
    first = train.records[0]
    other = next((r for r in train.records if r.label != first.label), first)
    sample = [first, other, *(train.records[row] for row in rows[2:])]
    times = _StepTimes()
    classifier.fit(
        sample,
        batch_size=settings.batch_size,
        epochs=1,
        class_weight=weights,
        callbacks=[times],
        verbose=0,
    )
    return float(np.median(np.diff(times.ends)[_UNTIMED - 1 :]))


def _activations(config: EncoderConfig, length: int) -> int:
    """Numbers that one row's training step keeps for its gradients, roughly.

    Of each block: some 10 of the encoder's width a token, 4 of the intermediate one, and 2
    attention matrices a head; what a MiniLM of 6 layers took on a CPU for 24 rows more, within 5 %.
    """
    blocks = config.num_layers * config.inner_layers
    width = 10 * config.hidden_dim + 4 * config.intermediate_dim
    return blocks * length * (width + 2 * config.num_heads * length)


def _duration(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"
