"""Results of finetuning_quality.py: JSON Lines that outlive an interruption, and their table."""

import json
import os
import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

OURS, THEIRS, BASELINE = "keras_albert", "transformers", "baseline"
SEEDS = 5
MARGIN = 5.0  # points above the majority baseline, from which on there is a signal
LEAST_ALLOWED = 1.0  # points

# google-research/bert's run_classifier.py, unchanged, under TensorFlow 1.15.5, random seeds.
GOOGLE = {
    "sst2": {"accuracy": (85.55, 85.89, 84.29, 84.52)},
    "mrpc": {"accuracy": (80.64, 78.61), "f1": (86.03, 84.96)},
}

Record = dict[str, Any]


def read_results(path: Path) -> list[Record]:
    """The records of a file, which need not exist; a line that was cut off is none."""
    if not path.is_file():
        return []
    *lines, _ = path.read_bytes().split(b"\n")
    return [json.loads(line) for line in lines]


def append_result(path: Path, record: Mapping[str, Any]) -> None:
    """Adds a line, which is on the disk before this returns, in place of one that was cut off."""
    path.parent.mkdir(parents=True, exist_ok=True)
    line = json.dumps(record, ensure_ascii=False) + "\n"
    with path.open("ab+") as file:
        file.seek(0)
        whole = file.read().rfind(b"\n") + 1
        file.truncate(whole)
        file.write(line.encode())
        file.flush()
        os.fsync(file.fileno())


def is_recorded(
    records: Sequence[Record], task: str, side: str, seed: int, settings: Mapping[str, Any]
) -> bool:
    """Whether exactly this run has been made."""
    sought = (task, side, seed, settings)
    return any((r["task"], r["side"], r["seed"], r["settings"]) == sought for r in records)


def points(records: Sequence[Record], side: str, metric: str) -> list[float]:
    """A side's values of a metric in points, hundredths, by seed."""
    chosen = sorted((r for r in records if r["side"] == side), key=lambda record: record["seed"])
    return [100 * record["metrics"][metric] for record in chosen]


def allowed(ours: Sequence[float], theirs: Sequence[float]) -> float:
    """How far our median may lie below theirs: a point, or twice the pooled deviation."""
    pooled = ((statistics.variance(ours) + statistics.variance(theirs)) / 2) ** 0.5
    return max(LEAST_ALLOWED, 2 * pooled)


def verdict(
    ours: Sequence[float], theirs: Sequence[float], has_signal: bool, seeds: int = SEEDS
) -> str:
    """What the runs of both sides say, in a few words."""
    if min(len(ours), len(theirs)) < seeds:
        return f"unfinished: {len(ours)} and {len(theirs)} of {seeds} runs"
    if not has_signal:
        return "no signal"
    bound = allowed(ours, theirs)
    difference = statistics.median(ours) - statistics.median(theirs)
    within = "within" if difference >= -bound else "BELOW"
    return f"{difference:+.2f}, {within} {bound:.2f}"


def has_signal(records: Sequence[Record], metric: str) -> bool:
    """Whether the medians of both sides are above the majority baseline by the margin."""
    majority = _baseline(records, "majority", metric)
    medians = [
        statistics.median(values)
        for side in (OURS, THEIRS)
        if (values := points(records, side, metric))
    ]
    return all(median >= majority + MARGIN for median in medians)


def table(records: Sequence[Record], tasks: Mapping[str, Any]) -> str:
    """Two Markdown tables: what was reached, and how; a task without a run is in neither.

    Args:
        records: As `read_results` gives them; those with other settings than a task's newest are
            left out.
        tasks: Name -> what has `title`, `split` and `metrics`, the first of which tells whether
            there is a signal.
    """
    reached = [
        "| task | metric | keras_albert | Transformers | difference, allowed | majority | TF-IDF |"
        " Google's own code | rows/s in training |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    how = [
        "| task | rows to learn from; to measure on | weights | epochs | rate | batch | tokens |",
        "|---|---|---|---|---|---|---|",
    ]
    for name, task in tasks.items():
        runs = _newest([record for record in records if record["task"] == name])
        if not any(record["side"] != BASELINE for record in runs):
            continue
        reached += _reached(name, task, runs)
        how.append(_how(task, runs[-1]["settings"]))
    return "\n".join([*reached, "", *how]) + "\n"


def _reached(name: str, task: Any, runs: Sequence[Record]) -> list[str]:
    """A row for each metric."""
    signal = has_signal(runs, task.metrics[0])
    lines = []
    for metric in task.metrics:
        ours, theirs = (points(runs, side, metric) for side in (OURS, THEIRS))
        first = metric == task.metrics[0]
        lines.append(
            _line(
                task.title if first else "",
                metric.replace("_", " "),
                _spread(ours),
                _spread(theirs),
                verdict(ours, theirs, signal),
                f"{_baseline(runs, 'majority', metric):.2f}",
                f"{_baseline(runs, 'tf_idf', metric):.2f}",
                _spread(GOOGLE.get(name, {}).get(metric, ())),
                _speeds(runs) if first else "",
            )
        )
    return lines


def _how(task: Any, settings: Mapping[str, Any]) -> str:
    return _line(
        task.title,
        f"{settings['train_rows']:,} and {settings['evaluation_rows']:,}: {task.split}",
        settings["weights"],
        settings["epochs"],
        settings["learning_rate"],
        settings["batch_size"],
        settings["max_length"],
    )


def _line(*cells: Any) -> str:
    return f"| {' | '.join(map(str, cells))} |"


def _newest(records: Sequence[Record]) -> list[Record]:
    settings = records[-1]["settings"] if records else None
    return [record for record in records if record["settings"] == settings]


def _baseline(records: Sequence[Record], which: str, metric: str) -> float:
    """In points; a correlation with a constant, which has no value, counts as none."""
    found = next(record["metrics"] for record in records if record["side"] == BASELINE)
    return 100 * (found[which][metric] or 0.0)


def _spread(values: Sequence[float]) -> str:
    """Median, lowest and highest."""
    if not values:
        return ""
    if len(values) == 1:
        return f"{values[0]:.2f}"
    return f"**{statistics.median(values):.2f}** ({min(values):.2f} to {max(values):.2f})"


def _speeds(records: Sequence[Record]) -> str:
    """Of both sides, the median."""
    found = []
    for side in (OURS, THEIRS):
        values = [r["rows_per_second"] for r in records if r["side"] == side]
        found.append(f"{statistics.median(values):.0f}" if values else "none")
    return " and ".join(found)
