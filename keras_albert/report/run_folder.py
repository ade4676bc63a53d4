"""What a run leaves for people: report.json, a model card, report.html."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from absl import logging

from keras_albert.directory import replaced_files
from keras_albert.report.card import model_card
from keras_albert.report.contents import contents
from keras_albert.report.page import render_html

REPORT, CARD, PAGE = "report.json", "README.md", "report.html"


def write_report(
    run_dir: str | Path,
    *,
    task_kind: str,
    names: Sequence[str],
    labels: Any,
    probabilities_or_predictions: Any,
    texts: Sequence[str | Sequence[str]],
    places: Sequence[Any] | None = None,
    history: str | Path | None = None,
    settings: Mapping[str, Any],
    data: Mapping[str, Any],
    baselines: Mapping[str, Mapping[str, Any]] | None = None,
    title: str | None = None,
    threshold: float = 0.5,
) -> list[Path]:
    """Writes the report of a run: all files, or none. Earlier ones are replaced.

    Without matplotlib there is no report.html, and a warning says how to get it.

    Args:
        run_dir: The run's folder; made where it is missing.
        task_kind: "classification" (one class a row), "multi_label" or "regression".
        names: The labels' names; none for regression.
        labels: Class indices [rows], 0 and 1 [rows, labels], or numbers [rows].
        probabilities_or_predictions: Of each class [rows, classes], of each label [rows, labels],
            or the predicted numbers [rows].
        texts: Of each row its text, or the texts of its segments.
        places: Where each row came from, such as `Place`.
        history: A metrics.jsonl, as `read_history` takes it.
        settings: Hyper-parameters and everything else that was chosen, by name.
        data: What the rows are, a dict for each part: "train", "validation" and the like, each
            with `path`, `rows`, `sha256`.
        baselines: Metrics of other methods by their names, as `baseline_metrics` gives them.
        title: Of the report; the folder's name where it is not given.
        threshold: As of `multi_label_metrics`.

    Returns:
        The files.

    Raises:
        InputError: Labels and predictions cannot be counted, or the history is damaged.
        OSError: The file system refuses.
    """
    folder = Path(run_dir)
    report = contents(
        title=title or folder.resolve().name,
        task_kind=task_kind,
        names=names,
        labels=labels,
        predictions=probabilities_or_predictions,
        texts=texts,
        places=places,
        history=history,
        settings=settings,
        data=data,
        baselines=baselines,
        threshold=threshold,
    )
    written = {
        REPORT: json.dumps(report, indent=2, ensure_ascii=False, allow_nan=False) + "\n",
        CARD: model_card(report),
    }
    try:
        written[PAGE] = render_html(report)
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] != "matplotlib":
            raise
        logging.warning("No %s: it needs matplotlib, pip install 'keras-albert[plots]'", PAGE)
    folder.mkdir(parents=True, exist_ok=True)
    with replaced_files(folder) as new:
        for name, text in written.items():
            (new / name).write_text(text, encoding="utf-8")
    if PAGE not in written:  # an earlier one shows other results
        (folder / PAGE).unlink(missing_ok=True)
    return [folder / name for name in written]
