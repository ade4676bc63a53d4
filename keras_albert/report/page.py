"""report.html: one file without links to others, for a desk or a telephone, light or dark."""

from collections.abc import Mapping, Sequence
from importlib.resources import files
from typing import Any

from keras_albert.report import plots
from keras_albert.report.contents import headlines
from keras_albert.report.markup import Markup, element, figure, join, table, text
from keras_albert.report.wording import METHODS, TASKS, flat, metric_name, shown_value

_LARGEST_TABLE = 20  # classes of a confusion matrix that is a table; of more it is a picture
_MOST_CONFUSIONS = 20
_MOST_ROWS = 100  # of a table of classes
_MOST_CURVES = 12
# Nothing of the data can run or load anything.
_POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"


def render_html(report: Mapping[str, Any]) -> str:
    """The page of a report, as `contents` makes it and report.json holds it.

    Raises:
        ImportError: matplotlib is missing.
    """
    sections = (
        _header(report),
        _baselines(report),
        _curves(report["curves"]),
        _scatter(report.get("points")),
        _confusion(report["metrics"].get("confusion"), report["task"]["labels"]),
        _each_label(report["metrics"]),
        _calibration(report),
        _mistakes(report["mistakes"]),
        *(_values(name, report[name.lower()]) for name in ("Data", "Settings", "Environment")),
    )
    style = files("keras_albert.report").joinpath("style.css").read_text(encoding="utf-8")
    footer = f"keras_albert {report['environment'].get('keras-albert', '')}, {report['created']}"
    return f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="{_POLICY}">
<title>{text(report["title"])}</title>
<style>
{style}</style>
</head>
<body>
{join(filter(None, sections))}
{element("footer", footer, class_="muted")}
</body>
</html>
"""


def _section(title: str, *parts: str) -> Markup:
    return element("section", join([element("h2", title), *parts]))


def _header(report: Mapping[str, Any]) -> Markup:
    metrics = report["metrics"]
    cards = [
        element("div", element("dt", metric_name(name)) + element("dd", shown_value(metrics[name])))
        for name in headlines(report)
    ]
    about = f"{TASKS[report['task']['kind']]}, measured on {metrics['rows']:,} rows"
    if "note" in metrics:
        about += f"; {metrics['note']}"
    return element(
        "header",
        join(
            [
                element("h1", report["title"], dir="auto"),
                element("p", about, class_="muted"),
                element("dl", join(cards), class_="cards"),
            ]
        ),
    )


def _baselines(report: Mapping[str, Any]) -> Markup:
    if not report["baselines"]:
        return Markup()
    names = headlines(report)
    methods = {"This model": report["metrics"]} | {
        METHODS.get(name, name): metrics for name, metrics in report["baselines"].items()
    }
    rows = [
        (method, *(shown_value(metrics.get(name)) for name in names))
        for method, metrics in methods.items()
    ]
    return _section(
        "Beside simple methods", table(["", *map(metric_name, names)], rows, numbers=True)
    )


def _curves(curves: Mapping[str, Mapping[str, Any]]) -> Markup:
    figures = []
    for name, pairs in list(curves.items())[:_MOST_CURVES]:
        keys = {
            color: kind
            for color, kind in (("first", "training"), ("second", "validation"))
            if pairs[kind]
        }
        ends = ", ".join(f"{k} ends at {shown_value(pairs[k][-1][1])}" for k in keys.values())
        picture = plots.curve(pairs["training"], pairs["validation"])
        title = metric_name(name)
        figures.append(figure(picture, title, f"{title} over the steps: {ends}", keys))
    if not figures:
        return Markup()
    return _section("Training", element("div", join(figures), class_="figures"))


def _scatter(points: Sequence[Sequence[float]] | None) -> Markup:
    if not points:
        return Markup()
    alt = f"{len(points)} predictions over their labels, beside the diagonal"
    picture = figure(plots.scatter(points), "Predictions over labels", alt)
    return _section("Predictions", element("div", picture, class_="figures"))


def _confusion(confusion: Sequence[Sequence[int]] | None, names: Sequence[str]) -> Markup:
    if confusion is None:
        return Markup()
    parts = [element("p", "Rows are labels, columns are predictions.", class_="muted")]
    if len(names) <= _LARGEST_TABLE:
        parts.append(_confusion_table(confusion, names))
    else:
        title = "Classes by their numbers from 0, in the order of the table of labels"
        alt = "The shares of the predictions of each label"
        picture = figure(plots.heatmap(confusion), title, alt)
        parts.append(element("div", picture, class_="figures"))
    pairs = [
        (count, names[label], names[predicted])
        for label, row in enumerate(confusion)
        for predicted, count in enumerate(row)
        if count and label != predicted
    ]
    if len(names) > 2 and pairs:
        pairs.sort(key=lambda pair: -pair[0])
        rows = [(label, predicted, f"{n:,}") for n, label, predicted in pairs[:_MOST_CONFUSIONS]]
        parts.append(element("h3", "Most frequent confusions"))
        parts.append(table(["Label", "Predicted as", "Rows"], rows))
    return _section("Confusion", *parts)


def _confusion_table(confusion: Sequence[Sequence[int]], names: Sequence[str]) -> Markup:
    lines = [element("tr", join([element("th"), *(element("th", name) for name in names)], ""))]
    for name, counts in zip(names, confusion, strict=True):
        total = sum(counts) or 1
        cells = [
            element(
                "td",
                Markup(f"{count:,}") + element("small", f"{count / total:.1%}"),
                style=f"--share: {count / total:.3f}",
            )
            for count in counts
        ]
        lines.append(element("tr", join([element("th", name), *cells], "")))
    return element("div", element("table", join(lines), class_="confusion"), class_="scroll")


def _each_label(metrics: Mapping[str, Any]) -> Markup:
    by_name = metrics.get("per_class") or metrics.get("per_label")
    if by_name is None:
        return Markup()
    columns = list(next(iter(by_name.values())))
    rows = [
        (name, *(shown_value(values[column]) for column in columns))
        for name, values in list(by_name.items())[:_MOST_ROWS]
    ]
    head = ["Label", *map(metric_name, columns)]
    parts = [table(head, rows, numbers=True)]
    if (more := len(by_name) - _MOST_ROWS) > 0:
        parts.append(element("p", f"And {more:,} more in report.json.", class_="muted"))
    return _section("Each label", *parts)


def _calibration(report: Mapping[str, Any]) -> Markup:
    if "calibration" not in report:
        return Markup()
    error = shown_value(report["calibration"]["ece"])
    bins, scores = report["calibration"]["bins"], report["distribution"]
    curve = figure(
        plots.reliability_curve(bins),
        "Reliability",
        f"Accuracy over confidence; the expected calibration error is {error}",
    )
    distance = "how sure the model is and how often it is right"
    if report["task"]["kind"] == "multi_label":
        distance = "the probability of a label and how often a row has it"
    counts = scores["counts"]
    histogram = figure(
        plots.histogram(scores["edges"], list(counts.values())),
        f"Distribution of {scores['of']}",
        "; ".join(f"{name}: {sum(of_name):,}" for name, of_name in counts.items()),
        dict(zip(("first", "second"), counts, strict=True)),
    )
    return _section(
        "Calibration",
        element("p", f"Expected calibration error {error}: the mean distance between {distance}."),
        element("div", join([curve, histogram]), class_="figures"),
    )


def _mistakes(mistakes: Sequence[Mapping[str, Any]]) -> Markup:
    if not mistakes:
        return _section("Worst mistakes", element("p", "There are none."))
    return _section(f"The {len(mistakes)} worst mistakes", *map(_mistake, mistakes))


def _mistake(row: Mapping[str, Any]) -> Markup:
    def judged(what: str, label: Any, score: float | None) -> Markup:
        number = f"{label:.4g}" if isinstance(label, float) else shown_value(label)
        name = element("b", number or "no label")
        return join([what, name, *([] if score is None else [f"({shown_value(score)})"])], " ")

    facts = [
        judged("label", row["label"], row.get("label_probability")),
        judged("predicted", row["predicted"], row.get("predicted_probability")),
        *(f"{name}: {shown_value(p)}" for name, p in row.get("probabilities", {}).items()),
        *([f"error {row['error']:+.4g}"] if "error" in row else []),
        row.get("place", f"row {row['row']:,}"),
    ]
    paragraphs = [element("p", segment, dir="auto") for segment in row["texts"]]
    verdict = element("p", join(facts, " · "), class_="verdict muted")
    return element("article", join([*paragraphs, verdict]), class_="mistake")


def _values(title: str, values: dict[str, Any]) -> Markup:
    if not values:
        return Markup()
    return _section(title, table((), flat(values).items()))
