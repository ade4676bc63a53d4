"""The same run with several seeds: how far its result is luck, and the best of them."""

import dataclasses
import shutil
import statistics
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import keras
from absl import logging

from keras_albert.config_json import read_json, write_json
from keras_albert.distribute.workers import worker_count
from keras_albert.errors import InputError
from keras_albert.report.contents import HEADLINES
from keras_albert.runs import folder as run_folder
from keras_albert.runs.data import RunData
from keras_albert.runs.fine_tuning import Say, fine_tune
from keras_albert.runs.settings import Settings
from keras_albert.training.best_weights import direction
from keras_albert.training.run import Progress

RUNS = "runs.json"
# What the metrics of a validation are called while it goes on, and in the report.
_IN_REPORT = {
    "classification": {"loss": "log_loss"},
    "multi_label": {"loss": "log_loss"},
    "regression": {"loss": "mse"},
}


def fine_tune_seeds(
    source: str | Path,
    data: RunData,
    settings: Settings,
    output: str | Path,
    *,
    runs: int,
    given: Mapping[str, Any] | None = None,
    resume: bool = False,
    force: bool = False,
    progress: Progress | None = None,
    say: Say = logging.info,
) -> dict[str, Any]:
    """Fine-tunes with the seeds `seed`, `seed` + 1, …

    Each run has its folder in the output: run-0, run-1, … The output itself holds the best one's
    files, by the validation's `monitor`, and runs.json.

    Args:
        source: As of `fine_tune`, like everything else that is not said here.
        data: The rows, the same for each.
        settings: With the first seed.
        output: The folder.
        runs: How many.
        given: See `fine_tune`.
        resume: Finished runs are not repeated.
        force: See `fine_tune`.
        progress: See `fine_tune`.
        say: See `fine_tune`.

    Returns:
        The best run's `fine_tune`, with `output` the whole's folder, and what runs.json holds:
        `runs` (each its `folder`, `seed`, `metrics`), `mean` and `deviation` (of a sample) of the
        metrics, `best` (a folder), `monitor`.

    Raises:
        InputError: As `fine_tune`; fewer than two runs; a monitor that the report does not have.
    """
    if runs < 2:
        raise InputError(f"Several runs are two or more. Received: runs={runs}")
    if worker_count() > 1:
        raise InputError(
            "Several runs are one process' work; several workers share one run. "
            f"Received: runs={runs}, workers={worker_count()}"
        )
    output = Path(output)
    monitor = _monitor(settings, data.kind)
    given = dict(given or {})
    begun = run_folder.begun(output, given, data.description(), resume=resume, force=force)
    with begun as is_finished:
        if is_finished:
            logging.info("%s: the runs are finished", output)
        else:
            done = []
            for number in range(runs):
                seed = settings.seed + number
                logging.info("Run %d of %d, seed %d", number + 1, runs, seed)
                folder = output / f"run-{number}"
                found = fine_tune(
                    source,
                    data,
                    dataclasses.replace(settings, seed=seed),
                    folder,
                    given=given | {"seed": seed, "runs": 1},
                    resume=resume,
                    force=force,
                    progress=None if progress is None else _of_run(progress, number + 1, runs),
                    say=say,
                )
                done.append({"folder": folder.name, "seed": seed, "metrics": found["metrics"]})
                keras.backend.clear_session()
            _finish(output, _summary(done, monitor))
    return run_folder.results(output) | read_json(output / RUNS)


def _of_run(progress: Progress, number: int, runs: int) -> Progress:
    return lambda done, total, label: progress(done, total, f"run {number} of {runs}, {label}")


def _finish(output: Path, summary: dict[str, Any]) -> None:
    """Puts the best run's files and runs.json into the folder."""
    with run_folder.finished(output) as new:
        for path in (output / summary["best"]).iterdir():
            if path.is_file() and path.name not in (run_folder.SETTINGS, run_folder.DATA):
                shutil.copy2(path, new / path.name)
        write_json(new / RUNS, summary)


def _monitor(settings: Settings, kind: str) -> str:
    """The metric by which runs are compared, as the report calls it."""
    name = (settings.monitor or "").removeprefix("val_")
    name = _IN_REPORT[kind].get(name, name) or HEADLINES[kind][0]
    if name not in HEADLINES[kind]:
        raise InputError(
            f"Runs are compared by one of {HEADLINES[kind]}. Received: monitor={settings.monitor!r}"
        )
    return name


def _summary(done: list[dict[str, Any]], monitor: str) -> dict[str, Any]:
    values = [run["metrics"]["validation"].get(monitor) for run in done]
    sign = 1 if direction(monitor) == "max" else -1
    # A correlation that does not exist is worse than any.
    best = max(
        range(len(done)), key=lambda i: float("-inf") if values[i] is None else sign * values[i]
    )
    summary: dict[str, Any] = {"runs": done, "mean": {}, "deviation": {}}
    for part, metrics in done[0]["metrics"].items():
        columns = {name: [run["metrics"][part].get(name) for run in done] for name in metrics}
        known = {name: column for name, column in columns.items() if None not in column}
        for name, function in (("mean", statistics.mean), ("deviation", statistics.stdev)):
            summary[name][part] = {key: function(column) for key, column in known.items()}
    return summary | {"best": done[best]["folder"], "monitor": monitor}
