"""The same training on one device and under a strategy, in processes of their own, compared."""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from keras_albert.distribute.processes import THREADS, environment, free_ports
from keras_albert.distribute.workers import VARIABLE
from keras_albert.errors import InputError

TOLERANCE = 1e-5  # between the weights of two runs, and of scores relative to their magnitude
FACTOR = 100  # that the training moves the weights further than they may differ
RATES = {"sgd": 0.05, "adamw": 5e-5}
MINUTES = 20  # that a process may take


def compare(
    source: str | Path,
    texts: Sequence[str],
    labels: Sequence[int],
    setups: Sequence[dict[str, Any]],
    *,
    steps: int = 50,
    batch_size: int = 24,
    max_length: int = 64,
    optimizers: Sequence[str] = ("sgd", "adamw"),
    rates: dict[str, float] | None = None,
    leave_out: bool = True,
    threads: int | None = None,
    say: Callable[[str], Any] = print,
) -> list[dict[str, Any]]:
    """Trains by each setup as on one device, and compares.

    Args:
        source: A checkpoint, as `load_model` takes it.
        texts: At least `steps` times `batch_size` and some more, which are evaluated on.
        labels: 0 or 1 for each.
        setups: Each a dict: `strategy`, and `devices`, `workers`, `backend` where not 1, 1 and
            "tensorflow".
        steps: Batches of the training.
        batch_size: Of all replicas together.
        max_length: Tokens of a row.
        optimizers: "sgd" and "adamw".
        rates: Their learning rates, where they are not `RATES`.
        leave_out: Also train without one replica's gradient, which has to be noticed.
        threads: Of each process; None for TensorFlow's choice.
        say: Told each result.

    Returns:
        One dict a comparison: the setup, `optimizer`, `largest_difference` (of a weight),
        `largest_move` (from the start), `score_difference` and `prediction_difference` relative to
        max(1, magnitude), `rows_once` (whether an epoch of rows that do not divide has each once),
        `rows_per_second`, `speed` (of one device's), and `equal`; with `left_out` the comparison
        whose `equal` must be False.

    Raises:
        InputError: Too few texts; a process failed, with the end of what it wrote.
    """
    needed = steps * batch_size + batch_size
    if len(texts) < needed:
        raise InputError(f"The self-test takes {needed} texts. Received: {len(texts)}")
    found = []
    with tempfile.TemporaryDirectory() as folder:
        data = _write_data(
            Path(folder), source, texts, labels, steps * batch_size, batch_size, max_length
        )
        job: dict[str, Any] = {
            "source": str(source),
            "data": str(data),
            "batch_size": batch_size,
            "rows": needed - 5,
        }
        for optimizer in optimizers:
            job |= {"optimizer": optimizer, "learning_rate": (RATES | (rates or {}))[optimizer]}
            alone = _run(Path(folder), job, {"strategy": "cpu"}, None, threads)
            for setup in setups:
                left_out: list[int | None] = [None]
                if leave_out and setup.get("backend") != "jax":
                    left_out.append(1)
                for number in left_out:
                    mine = _run(Path(folder), job, setup, number, threads)
                    result = {"setup": setup, "optimizer": optimizer, "left_out": number}
                    result |= _compared(alone, mine, job["rows"])
                    found.append(result)
                    say(json.dumps(result))
    return found


def _write_data(
    folder: Path,
    source: Any,
    texts: Sequence[str],
    labels: Sequence[int],
    train: int,
    batch_size: int,
    max_length: int,
) -> Path:
    from keras_albert.pretrained_text import load_preprocessor

    preprocess = load_preprocessor(source, max_length)
    token_ids = np.asarray(preprocess(list(texts))["token_ids"])
    numbers = np.asarray(labels, "int32")
    # On JAX the last batch is whole; elsewhere predictions show that one that is not does no harm.
    end = train + batch_size
    path = folder / "data.npz"
    np.savez(
        path,
        token_ids=token_ids[:train],
        labels=numbers[:train],
        held_out_ids=token_ids[train:end],
        held_out_labels=numbers[train:end],
    )
    return path


def _run(
    folder: Path, job: dict[str, Any], setup: dict[str, Any], leave_out: Any, threads: int | None
) -> Path:
    """Runs a job in as many processes as the setup has workers; returns its folder."""
    output = Path(tempfile.mkdtemp(dir=folder))
    workers = setup.get("workers", 1)
    content = job | {
        "strategy": setup["strategy"],
        "devices": setup.get("devices"),
        "leave_out": leave_out,
        "output": str(output),
    }
    path = output / "job.json"
    path.write_text(json.dumps(content), "utf-8")
    command = [sys.executable, "-m", "keras_albert.selftest.work", str(path)]
    processes = []
    for number, values in enumerate(_environments(setup, workers, threads)):
        log = (output / f"log_{number}").open("wb")
        processes.append(
            subprocess.Popen(command, env=values, stdout=log, stderr=subprocess.STDOUT)
        )
        log.close()
    try:
        statuses = [process.wait(MINUTES * 60) for process in processes]
    finally:
        for process in processes:
            process.kill()
            process.wait()
    for number, status in enumerate(statuses):
        if status:
            end = (output / f"log_{number}").read_text("utf-8", "replace").strip()[-2000:]
            raise InputError(
                f"Process {number} of {setup} failed. Received: status {status}\n{end}"
            )
    return output


def _environments(
    setup: dict[str, Any], workers: int, threads: int | None
) -> Iterator[dict[str, str]]:
    """Of each worker's process."""
    backend = setup.get("backend", "tensorflow")
    more = {"KERAS_BACKEND": backend}
    if backend == "jax":
        count = setup.get("devices") or 1
        more["XLA_FLAGS"] = f"--xla_force_host_platform_device_count={count}"
    if setup["strategy"] == "multi_worker":
        ports = free_ports(workers)
        yield from (environment(number, ports, threads) | more for number in range(workers))
        return
    own = {name: value for name, value in os.environ.items() if name != VARIABLE}
    given = {} if threads is None else dict.fromkeys(THREADS, str(threads))
    yield own | given | more


def _compared(alone: Path, mine: Path, rows: int) -> dict[str, Any]:
    ours, theirs = (dict(np.load(folder / "weights.npz")) for folder in (mine, alone))
    start = dict(np.load(alone / "start.npz"))
    difference = max(float(np.abs(ours[k] - theirs[k]).max()) for k in theirs)
    move = max(float(np.abs(theirs[k] - start[k]).max()) for k in start)
    results = [json.loads((folder / "result.json").read_text("utf-8")) for folder in (mine, alone)]
    scores = max(_relative(results[0][k], results[1][k]) for k in ("loss", "accuracy"))
    logits = [np.load(folder / "logits.npy") for folder in (mine, alone)]
    predictions = (
        float("inf") if logits[0].shape != logits[1].shape else float(_relative(*logits).max())
    )
    seen = [np.load(path) for path in sorted(mine.glob("rows_*.npy"))]
    once = None
    if seen:
        once = bool(np.array_equal(np.sort(np.concatenate(seen)), np.arange(rows)))
    return {
        "largest_difference": difference,
        "largest_move": move,
        "score_difference": float(scores),
        "prediction_difference": predictions,
        "rows_once": once,
        "rows_per_second": round(results[0]["rows_per_second"], 2),
        "speed": round(results[0]["rows_per_second"] / results[1]["rows_per_second"], 3),
        "equal": difference <= TOLERANCE
        and move >= FACTOR * TOLERANCE
        and max(float(scores), predictions) <= TOLERANCE
        and once is not False,
    }


def _relative(found: Any, wanted: Any) -> Any:
    return np.abs(found - wanted) / np.maximum(1, np.abs(wanted))
