"""How far a model is from the independent NumPy forward pass of Google's graph."""

import contextlib
import math
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from checkpoints_tools import reference
from checkpoints_tools.tables.plan import names_for
from keras_albert.config import EncoderConfig
from keras_albert.encoders import OUTPUTS
from keras_albert.errors import InputError
from keras_albert.filling import build_filled, default_options, default_task
from keras_albert.pretrained import open_weights

TOLERANCE = 1e-5

Progress = Callable[[int, int, str], None]


def verify(
    source: str | Path,
    *,
    tolerance: float = TOLERANCE,
    progress: Progress | None = None,
    **reading: Any,
) -> dict[str, Any]:
    """Compares the Keras model of a source with Google's graph in NumPy; see `verify_weights`.

    Args:
        source: As `keras_albert.load_model` takes it; what is not Google's goes by Google's names
            through the name table.
        tolerance: See `verify_weights`.
        progress: Called with (done, total, label).
        **reading: As `keras_albert.pretrained.open_weights` takes it.
    """
    with open_weights(source, **reading) as (weights, _):
        return {"source": str(source)} | verify_weights(
            weights, tolerance=tolerance, progress=progress
        )


def verify_weights(
    weights: Any, *, tolerance: float = TOLERANCE, progress: Progress | None = None
) -> dict[str, Any]:
    """Runs Keras in float32 and the reference in float64 on several masks and lengths.

    An output passes when its largest difference is at most `tolerance` * max(1, its largest
    magnitude), or twice what float32 arithmetic costs the reference itself.

    Returns:
        A dict for JSON: `passed`, `tolerance`, `outputs` (name -> `largest_absolute`,
        `largest_relative` (to the output's largest magnitude), `magnitude`, `allowed`), `inputs`,
        `seconds`, `peak_memory_mb` of the whole process.

    Raises:
        InputError: A tolerance that is none.
    """
    if not 0 <= tolerance < math.inf:
        raise InputError(
            f"A tolerance is a finite number, at least 0. Received: tolerance={tolerance}"
        )
    start = time.perf_counter()
    config = weights.config
    task = default_task(weights)
    options = default_options(weights, task)
    batches = test_inputs(config, task)
    read, names = _reader(weights)
    span = {key: options[key] for key in ("start_n_top", "end_n_top") if key in options}
    exact, rounded = (
        reference.forward_many(config, read, names, batches, task, dtype, progress=progress, **span)
        for dtype in (np.float64, np.float32)
    )
    found = _run_keras(weights, task, options, batches)
    outputs = {
        name: _compare(
            [one[name] for one in found],
            [one[name] for one in exact],
            [one[name] for one in rounded],
            tolerance,
        )
        for name in found[0]
        if name in exact[0]
    }
    return {
        "passed": all(output["passed"] for output in outputs.values()),
        "task": task,
        "tolerance": tolerance,
        "outputs": outputs,
        "inputs": [
            {
                "shape": list(batch["token_ids"].shape),
                "padding": round(1 - float(np.mean(batch["padding_mask"])), 3),
            }
            for batch in batches
        ],
        "seconds": round(time.perf_counter() - start, 2),
        "peak_memory_mb": _peak_memory_mb(),
    }


def test_inputs(config: EncoderConfig, task: str, seed: int = 0) -> list[dict[str, np.ndarray]]:
    """Random inputs: full, ragged, with holes in the mask, and one row alone."""
    random = np.random.default_rng(seed)
    longest = config.max_sequence_length
    choices = (3,) if task == "multiple_choice" else ()
    batches = []
    for rows, length, mask in (
        (2, 24, "full"),
        (3, 40, "ragged"),
        (2, 33, "holes"),
        (1, 9, "full"),
    ):
        shape = (rows, *choices, min(length, longest))
        token_ids = random.integers(0, config.vocab_size, shape)
        padding_mask = np.ones(shape, np.int64)
        if mask == "ragged":
            lengths = random.integers(min(3, longest), shape[-1] + 1, (*shape[:-1], 1))
            padding_mask = (np.arange(shape[-1]) < lengths).astype(np.int64)
        elif mask == "holes":
            padding_mask = (random.random(shape) < 0.7).astype(np.int64)
            padding_mask[..., 0] = 1
        batch = {
            "token_ids": token_ids,
            "segment_ids": random.integers(0, config.num_segments, shape),
            "padding_mask": padding_mask,
        }
        if task in ("pretraining", "masked_lm"):
            batch["masked_positions"] = random.integers(0, shape[-1], (rows, 4))
        if task == "question_answering_v2":
            batch["answer_mask"] = padding_mask
        batches.append(batch)
    return batches


def render(report: Mapping[str, Any]) -> str:
    """The report as text."""
    lines = [
        f"{'output':26} {'largest absolute':>17} {'largest relative':>17} {'allowed':>10}",
        *(
            f"{name:26} {output['largest_absolute']:17.3g} {output['largest_relative']:17.3g} "
            f"{output['allowed']:10.3g}{'' if output['passed'] else '  EXCEEDED'}"
            for name, output in report["outputs"].items()
        ),
        f"{'exact' if report['passed'] else 'NOT EXACT'}: {len(report['outputs'])} outputs of "
        f"{report['task']} on {len(report['inputs'])} inputs against NumPy in float64, "
        f"{report['seconds']} s, peak memory {report['peak_memory_mb']} MB",
    ]
    return "\n".join(lines)


def _peak_memory_mb() -> int | None:
    """The process's highest resident memory; None on Windows, which does not tell."""
    with contextlib.suppress(ImportError):
        import resource

        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    return None


def _reader(weights: Any) -> tuple[Callable[[str], np.ndarray], list[str]]:
    """Reads by Google's plain names, whatever the weights lie in."""
    entries = names_for(weights.config, weights.shapes)
    paths = {entry.name: (path, entry.transposed) for path, entry in entries.items()}

    def read(name: str) -> np.ndarray:
        path, transposed = paths[name]
        array = weights.read(path)
        return array.T if transposed else array

    return read, list(paths)


def _run_keras(
    weights: Any, task: str, options: Mapping[str, Any], batches: Sequence[Mapping[str, Any]]
) -> list[dict[str, Any]]:
    """Every output of the encoder and of the task's model, one model in memory at a time."""
    results: list[dict[str, Any]] = [{} for _ in batches]
    has_pooler = "pool/kernel" in weights.shapes
    outputs = tuple(name for name in OUTPUTS if has_pooler or name != "pooled_output")
    models: list[tuple[str, Mapping[str, Any]]] = []
    # Multiple choice has another input shape; its head covers the encoder.
    if task != "multiple_choice":
        models.append(("encoder", {"outputs": outputs}))
    if task != "encoder":
        models.append((task, options))
    for name, settings in models:
        model, _ = build_filled(weights, name, {**settings, "dtype": "float32"})
        wanted = {tensor.name for tensor in model.inputs}
        for result, batch in zip(results, batches, strict=True):
            inputs = {key: value for key, value in batch.items() if key in wanted}
            result.update(model(inputs, training=False))
        del model
    return results


def _compare(found: list, exact: list, rounded: list, tolerance: float) -> dict[str, Any]:
    """The largest differences over all inputs (and, of a list, over its entries)."""
    found, exact, rounded = (_arrays(values) for values in (found, exact, rounded))
    difference = _largest_difference(found, exact)
    own = _largest_difference(rounded, exact)
    # Excluded positions score -1e30 on both sides; their size is not the output's.
    magnitude = max(_largest(value[np.abs(value) < 1e29]) for value in exact)
    allowed = max(tolerance * max(1.0, magnitude), 2 * own)
    return {
        "largest_absolute": difference,
        "largest_relative": difference / magnitude if magnitude else 0.0,
        "magnitude": magnitude,
        "allowed": allowed,
        "passed": bool(difference <= allowed),
    }


def _arrays(values: list) -> list[np.ndarray]:
    flat = [item for value in values for item in (value if isinstance(value, list) else [value])]
    return [np.asarray(item, np.float64) for item in flat]


def _largest_difference(found: list[np.ndarray], exact: list[np.ndarray]) -> float:
    """NaN where one side alone is not finite; where both are (--allow-nonfinite), they agree."""
    with np.errstate(invalid="ignore"):
        differences = [
            np.where((a == b) | (np.isnan(a) & np.isnan(b)), 0.0, a - b)
            for a, b in zip(found, exact, strict=True)
        ]
    return float(np.max([_largest(difference) for difference in differences]))


def _largest(value: np.ndarray) -> float:
    return float(np.max(np.abs(value), initial=0.0))
