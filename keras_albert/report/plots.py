"""Pictures of the report, by matplotlib, each for a light and for a dark page.

No text of the data is drawn, only words of ours: what a label is called stands on the page beside
the picture, in the reader's fonts, whatever its script.
"""

import io
import itertools
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from keras_albert.report.history import Curve

_SIZE = (4.6, 3.1)  # inches; on a telephone's width the letters stay readable


class Theme(NamedTuple):
    """Colours of a page; style.css has the same."""

    text: str
    grid: str
    first: str
    second: str


LIGHT = Theme("#1f2328", "#d1d9e0", "#0969da", "#bc4c00")
DARK = Theme("#e6edf3", "#3d444d", "#4493f8", "#f0883e")


class Picture(NamedTuple):
    """The same picture twice, as SVG."""

    light: bytes
    dark: bytes


def curve(training: Curve, validation: Curve) -> Picture:
    """A quantity over the steps: [step, value] pairs."""

    def draw(figure: Any, theme: Theme) -> None:
        axes = figure.subplots()
        for pairs, color, marker in (
            (training, theme.first, "" if len(training) > 1 else "o"),
            (validation, theme.second, "o"),
        ):
            if pairs:
                axes.plot(*zip(*pairs, strict=True), color=color, marker=marker, markersize=4)
        axes.set_xlabel("step")
        axes.locator_params(axis="x", nbins=6, integer=True)

    return _picture(draw)


def reliability_curve(bins: Sequence[dict[str, Any]]) -> Picture:
    """Accuracy over confidence beside the diagonal, and below how many rows a bin has."""
    filled = [row for row in bins if row["count"]]

    def draw(figure: Any, theme: Theme) -> None:
        above, below = figure.subplots(2, 1, sharex=True, height_ratios=(3, 1))
        above.plot([0, 1], [0, 1], color=theme.text, linewidth=1, linestyle="--")
        above.plot(
            [row["confidence"] for row in filled],
            [row["accuracy"] for row in filled],
            color=theme.first,
            marker="o",
            markersize=4,
        )
        above.set(ylabel="accuracy", xlim=(0, 1), ylim=(0, 1.03))
        width = bins[0]["high"] - bins[0]["low"]
        middles = [(row["low"] + row["high"]) / 2 for row in bins]
        below.bar(middles, [row["count"] for row in bins], width * 0.9, color=theme.first)
        below.set(xlabel="confidence", ylabel="rows")
        below.locator_params(axis="y", nbins=2, integer=True)

    return _picture(draw, height=3.8)


def histogram(edges: Sequence[float], counts: Sequence[Sequence[int]]) -> Picture:
    """Stacked counts of two series in bins."""

    def draw(figure: Any, theme: Theme) -> None:
        axes = figure.subplots()
        middles = [(low + high) / 2 for low, high in itertools.pairwise(edges)]
        bottom = [0] * len(middles)
        for series, color in zip(counts, (theme.first, theme.second), strict=True):
            axes.bar(middles, series, (edges[1] - edges[0]) * 0.9, bottom=bottom, color=color)
            bottom = [low + high for low, high in zip(bottom, series, strict=True)]
        axes.set(xlabel="probability", ylabel="rows", xlim=(edges[0], edges[-1]))
        axes.locator_params(axis="y", integer=True)

    return _picture(draw)


def scatter(points: Sequence[Sequence[float]]) -> Picture:
    """Predictions over labels beside the diagonal: [label, prediction] pairs."""
    low, high = min(map(min, points)), max(map(max, points))

    def draw(figure: Any, theme: Theme) -> None:
        axes = figure.subplots()
        axes.plot([low, high], [low, high], color=theme.text, linewidth=1, linestyle="--")
        # As pixels: thousands of shapes make a page slow.
        dots = {"s": 9, "alpha": 0.5, "linewidths": 0, "rasterized": True}
        axes.scatter(*zip(*points, strict=True), color=theme.first, **dots)
        axes.set(xlabel="label", ylabel="prediction")

    return _picture(draw, height=4.2)


def heatmap(confusion: Sequence[Sequence[int]]) -> Picture:
    """A confusion matrix too large for a table: each row's shares, by the classes' numbers."""
    shares = [[count / (sum(row) or 1) for count in row] for row in confusion]

    def draw(figure: Any, theme: Theme) -> None:
        from matplotlib.colors import LinearSegmentedColormap, to_rgba

        color = to_rgba(theme.first)
        shades = LinearSegmentedColormap.from_list("share", [(*color[:3], 0.0), color])
        axes = figure.subplots()
        axes.grid(visible=False)
        axes.imshow(shares, cmap=shades, vmin=0, vmax=1, interpolation="nearest")
        axes.set(xlabel="predicted", ylabel="label")

    return _picture(draw, height=4.2)


def _picture(draw: Callable[[Any, Theme], None], height: float = _SIZE[1]) -> Picture:
    return Picture(*(_svg(draw, theme, height) for theme in (LIGHT, DARK)))


def _svg(draw: Callable[[Any, Theme], None], theme: Theme, height: float) -> bytes:
    # The figure itself, not pyplot: no global state, no window.
    from matplotlib import style
    from matplotlib.figure import Figure

    colors = dict.fromkeys(("text.color", "axes.labelcolor", "xtick.color", "ytick.color"))
    settings = dict.fromkeys(colors, theme.text) | {
        "axes.edgecolor": theme.grid,
        "grid.color": theme.grid,
        "axes.grid": True,
        "axes.axisbelow": True,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "font.size": 11,
        "svg.hashsalt": "keras_albert",  # the same picture has the same bytes
        "figure.dpi": 150,
    }
    with style.context(["default", settings]):
        figure = Figure(figsize=(_SIZE[0], height), layout="constrained")
        draw(figure, theme)
        stream = io.BytesIO()
        # A date would differ in every run.
        figure.savefig(stream, format="svg", transparent=True, metadata={"Date": None})
    return stream.getvalue()
