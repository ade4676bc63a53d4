"""The model card: README.md beside the model, with the front matter that Hugging Face reads."""

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from keras_albert.report.contents import headlines
from keras_albert.report.wording import METHODS, TASKS, flat, metric_name, shown_value

# Our metrics under the names that model-index knows.
_HUGGING_FACE = {
    "mcc": "matthews_correlation",
    "pearson": "pearsonr",
    "spearman": "spearmanr",
}
# What would end a table's cell, or begin a link, HTML or emphasis.
_SPECIAL = re.compile(r"([\\`*_\[\]<>|&~#])")
_MOST_LABELS = 100


def model_card(report: Mapping[str, Any]) -> str:
    """The card of a report, as `contents` makes it and report.json holds it.

    The licence is the setting `license`, or "unknown": it follows from the pretrained weights and
    the training rows, which nobody but their user knows.

    Returns:
        Markdown with YAML front matter.
    """
    task, metrics = report["task"], report["metrics"]
    names = headlines(report)
    license_id = str(report["settings"].get("license", "unknown"))
    parts = [
        _front_matter(report, names, license_id),
        f"# {_plain(report['title'])}\n",
        f"{TASKS[task['kind']]} by a BERT or ALBERT encoder, fine-tuned with keras_albert.\n",
        "## Intended use\n",
        _intended_use(task),
        "```python\nimport keras_albert as ka\n\n"
        'task = ka.tasks.load("DIR")  # the folder of this card\n'
        f"task.predict([{_example(task)}])\n```\n",
        "## Data\n",
        _parts_of_data(report["data"]),
        "## Hyper-parameters\n",
        _table(("", ""), flat(report["settings"]).items()),
        f"## Results\n\nMeasured on {metrics['rows']:,} rows.\n",
        _results(report, names),
        _each_label(metrics),
        f"Note: {metrics['note']}.\n" if "note" in metrics else "",
        "## Limits\n",
        _limits(report, license_id),
        "## Environment\n",
        _table(("", ""), report["environment"].items()),
    ]
    return "\n".join(filter(None, parts))


def _example(task: Mapping[str, Any]) -> str:
    """An input of the task, in Python: a text, or as many as a row has."""
    texts = ['"a text"'] * task["segments"]
    return texts[0] if len(texts) == 1 else f"({', '.join(texts)})"


def _front_matter(report: Mapping[str, Any], names: Sequence[str], license_id: str) -> str:
    known = {name: _HUGGING_FACE.get(name, name) for name in names}
    dataset = _dataset_name(report["data"])
    lines = [
        "---",
        f"license: {_yaml(license_id)}",
        "library_name: keras",
        "pipeline_tag: text-classification",
        "tags:",
        *(f"- {tag}" for tag in ("keras", "keras-albert", "text-classification")),
        "metrics:",
        *(f"- {name}" for name in known.values()),
        "model-index:",
        f"- name: {_yaml(report['title'])}",
        "  results:",
        "  - task:",
        "      type: text-classification",
        f"      name: {TASKS[report['task']['kind']]}",
        "    dataset:",
        f"      name: {_yaml(dataset)}",
        f"      type: {_yaml(dataset)}",
        "    metrics:",
    ]
    for name, its_type in known.items():
        lines += [
            f"    - type: {its_type}",
            f"      name: {metric_name(name)}",
            f"      value: {report['metrics'][name]!r}",
        ]
    return "\n".join([*lines, "---\n"])


def _dataset_name(data: Mapping[str, Any]) -> str:
    """The name of the file that was measured on: the last part that has one."""
    paths = [part["path"] for part in data.values() if isinstance(part, dict) and "path" in part]
    return re.split(r"[/\\]", str(paths[-1]))[-1] if paths else "unnamed"


def _intended_use(task: Mapping[str, Any]) -> str:
    if task["kind"] == "regression":
        return "It gives a number for a text, or for a pair of texts.\n"
    count = len(task["labels"])
    shown = ", ".join(map(_plain, task["labels"][:_MOST_LABELS]))
    more = f" and {count - _MOST_LABELS:,} more" if count > _MOST_LABELS else ""
    what = "one of" if task["kind"] == "classification" else "any number of"
    return f"It gives a text, or a pair of texts, {what} {count} labels: {shown}{more}.\n"


def _parts_of_data(data: Mapping[str, Any]) -> str:
    parts = {name: part for name, part in data.items() if isinstance(part, dict)}
    rest = {name: value for name, value in data.items() if name not in parts}
    columns = list(dict.fromkeys(column for part in parts.values() for column in part))
    rows = [(name, *(part.get(c) for c in columns)) for name, part in parts.items()]
    tables = [_table(("", *columns), rows)] if parts or not rest else []
    tables += [_table(("", ""), flat(rest).items())] if rest else []
    return "\n".join(tables)


def _results(report: Mapping[str, Any], names: Sequence[str]) -> str:
    methods = {"This model": report["metrics"]} | {
        METHODS.get(name, name): found for name, found in report["baselines"].items()
    }
    rows = [(name, *(found.get(n) for n in names)) for name, found in methods.items()]
    return _table(("", *map(metric_name, names)), rows)


def _each_label(metrics: Mapping[str, Any]) -> str:
    by_name = metrics.get("per_class") or metrics.get("per_label")
    if not by_name:
        return ""
    columns = list(next(iter(by_name.values())))
    rows = [(name, *(values[c] for c in columns)) for name, values in by_name.items()]
    return _table(("Label", *map(metric_name, columns)), rows[:_MOST_LABELS])


def _limits(report: Mapping[str, Any], license_id: str) -> str:
    limits = [
        "It has learnt from the rows above alone: on texts of another kind, measure it first."
    ]
    if "ece" in report["metrics"]:
        error = shown_value(report["metrics"]["ece"])
        limits.append(
            "Its probabilities are not exact: the expected calibration error is "
            f"{error} on these rows."
        )
    if license_id == "unknown":
        limits.append(
            "Its licence follows from those of the pretrained weights and of the training rows; "
            "put it into this card's head before publishing."
        )
    return "\n".join(f"- {limit}" for limit in limits) + "\n"


def _table(head: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    cells = [[_cell(value) for value in row] for row in rows]
    if not cells:
        return "Not recorded.\n"
    lines = [head, ["---"] * len(head), *cells]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n"


def _cell(value: Any) -> str:
    return _plain(value if isinstance(value, str) else shown_value(value))


def _plain(text: str) -> str:
    """A text on one line that Markdown shows as it is."""
    return _SPECIAL.sub(r"\\\1", " ".join(text.split()))


def _yaml(text: str) -> str:
    """A quoted YAML scalar: JSON's, which YAML reads."""
    printable = "".join(character if character.isprintable() else " " for character in text)
    return json.dumps(printable, ensure_ascii=False)
