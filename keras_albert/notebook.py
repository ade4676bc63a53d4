"""What the notebooks in colab/ show: devices, pictures, and the comparison behind one of them.

A picture is a PNG, which every notebook viewer shows, made with matplotlib.
"""

import io
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np

from keras_albert.config_json import read_json
from keras_albert.pretrained import load_encoder
from keras_albert.report.plots import LIGHT
from keras_albert.report.run_folder import REPORT
from keras_albert.report.wording import metric_name
from keras_albert.versions import versions

_DPI = 80  # a picture stays well below 100 kB
_CURVES = 2  # of a run: the loss, and the first metric beside it


def about(strategy: Any) -> str:
    """The devices of a strategy, Keras' backend, and the versions of what a result is made with.

    Args:
        strategy: As `keras_albert.distribute.strategy` returns it.
    """
    if keras.backend.backend() == "jax":
        names: Sequence[str] = list(map(str, strategy.distribution.device_mesh.devices.flat))
    else:  # /job:localhost/replica:0/task:0/device:CPU:0
        names = _tensorflow_devices(strategy)
    kinds = Counter(name.split(":")[-2].rpartition("/")[2].upper() for name in names)
    devices = " and ".join(f"{count} {kind}" for kind, count in kinds.items())
    listed = ", ".join(f"{name} {version}" for name, version in versions().items())
    return f"{devices}, with Keras on {keras.backend.backend()}\n{listed}"


class Picture:
    """A figure that a notebook shows as PNG.

    Args:
        draw: Given the figure, draws on it.
        size: Width and height in inches.
    """

    def __init__(self, draw: Callable[[Any], None], size: tuple[float, float]):
        # The figure itself, not pyplot: no global state, no window.
        from matplotlib.figure import Figure

        self.figure = Figure(figsize=size, dpi=_DPI, layout="constrained")
        draw(self.figure)

    def _repr_png_(self) -> bytes:
        stream = io.BytesIO()
        self.figure.savefig(stream, format="png", facecolor="white")
        return stream.getvalue()


def run_picture(run_dir: str | Path) -> Picture:
    """How a run went and where it errs: loss, first metric and confusion matrix of its report.

    Args:
        run_dir: A folder with the report.json that `keras_albert.report.write_report` makes.

    Raises:
        FileNotFoundError: There is no report.
    """
    report = read_json(Path(run_dir) / REPORT)
    curves = [name for name in report["curves"] if name != "learning_rate"][:_CURVES]
    confusion = report["metrics"].get("confusion")
    panels = len(curves) + (confusion is not None)

    def draw(figure: Any) -> None:
        axes = figure.subplots(1, panels, squeeze=False)[0]
        for name, axis in zip(curves, axes, strict=False):
            for kind, color in (("training", LIGHT.first), ("validation", LIGHT.second)):
                pairs = report["curves"][name][kind]
                if pairs:
                    marker = "o" if kind == "validation" or len(pairs) == 1 else ""
                    axis.plot(*zip(*pairs, strict=True), color=color, marker=marker, label=kind)
            axis.set(title=metric_name(name), xlabel="step")
            axis.legend(frameon=False)
        if confusion is not None:
            _draw_confusion(axes[-1], np.array(confusion), report["task"]["labels"])

    return Picture(draw, (3.6 * panels, 3.2))


def attention_picture(
    scores: Any, queries: Sequence[str], keys: Sequence[str], titles: Sequence[str] | None = None
) -> Picture:
    """Where tokens look: a panel for each head, a row for each token that looks.

    Args:
        scores: Probabilities [heads, queries, keys].
        queries: The tokens that look; padding may be left out at the end.
        keys: The tokens that are looked at, likewise.
        titles: Of the panels; the heads' numbers by default.
    """
    heads = np.asarray(scores)[:, : len(queries), : len(keys)]
    names = titles or [f"head {head}" for head in range(len(heads))]

    def draw(figure: Any) -> None:
        axes = figure.subplots(1, len(heads), sharey=True, squeeze=False)[0]
        for axis, head, name in zip(axes, heads, names, strict=True):
            axis.imshow(head, cmap="Blues", vmin=0, vmax=1, aspect="auto")
            axis.set_xticks(range(len(keys)), keys, rotation=90)
            axis.set_yticks(range(len(queries)), queries)
            axis.set(title=name, xlabel="looked at")
        axes[0].set_ylabel("looks")

    # A square for each pair, and room for the tokens' letters beside and below.
    across, below = (0.09 * max(map(len, tokens)) for tokens in (queries, keys))
    width = len(heads) * max(0.24 * len(keys), 1.2) + across + 0.6
    return Picture(draw, (width, 0.24 * len(queries) + below + 0.8))


def encoding_picture(encoding: Any) -> Picture:
    """A position encoding [length, width]: a row for each position, a column for each feature."""

    def draw(figure: Any) -> None:
        axis = figure.subplots()
        image = axis.imshow(np.asarray(encoding), cmap="RdBu", vmin=-1, vmax=1, aspect="auto")
        axis.set(xlabel="feature", ylabel="position")
        figure.colorbar(image, label="value")

    return Picture(draw, (7, 3.2))


def lengths_picture(lengths: Any, buckets: Sequence[int]) -> Picture:
    """How many rows have how many tokens, and the lengths that batches are padded to.

    Args:
        lengths: Tokens of each row, [rows].
        buckets: The lengths that a batch may have, in ascending order.
    """

    def draw(figure: Any) -> None:
        axis = figure.subplots()
        shown = np.minimum(lengths, buckets[-1])  # longer rows are cut
        axis.hist(shown, bins=range(0, buckets[-1] + 2, 2), color=LIGHT.first)
        for number, bucket in enumerate(buckets):
            label = "padded to" if number == 0 else None
            axis.axvline(bucket, color=LIGHT.second, linestyle="--", label=label)
        axis.set(xlabel="tokens of a row", ylabel="rows")
        axis.legend(frameon=False)

    return Picture(draw, (7, 2.8))


def layer_differences(source: str | Path, inputs: Mapping[str, Any]) -> dict[str, float]:
    """How far the Keras encoder is from Google's graph after the embeddings and each block run.

    Keras computes in float32; Google's graph is the independent NumPy one, in float64.

    Args:
        source: A folder, archive or prefix with a TensorFlow 1 checkpoint.
        inputs: `token_ids`, `segment_ids` and `padding_mask`, each [batch, length].

    Returns:
        The largest absolute difference by the layer's name, in the order in which they run.

    Raises:
        InputError: The source is not whole.
    """
    from checkpoints_tools import reference
    from checkpoints_tools.source import locate
    from checkpoints_tools.tf1 import Checkpoint

    wanted = ("embedding_output", "encoder_outputs")
    encoder: Any = load_encoder(source, outputs=wanted, dtype="float32")
    found = encoder(dict(inputs), training=False)
    with locate(source) as located:
        checkpoint = Checkpoint(str(located.prefix))
        exact = reference.forward(
            encoder.encoder_config,
            lambda name: np.asarray(checkpoint.tensor(name)),
            checkpoint.shapes,
            inputs,
        )
    return {
        name: float(np.max(np.abs(np.asarray(ours, np.float64) - google)))
        for (name, ours), (_, google) in zip(_layers(found), _layers(exact), strict=True)
    }


def differences_picture(differences: Mapping[str, float], allowed: float) -> Picture:
    """Differences by name as bars on a logarithmic scale, and how large they may be."""

    def draw(figure: Any) -> None:
        axis = figure.subplots()
        axis.bar(list(differences), list(differences.values()), color=LIGHT.first)
        axis.axhline(allowed, color=LIGHT.second, linestyle="--", label=f"allowed: {allowed:g}")
        axis.set(yscale="log", ylabel="largest difference")
        axis.set_ylim(bottom=allowed / 1000)
        axis.tick_params(axis="x", rotation=90 if len(differences) > 6 else 0)
        axis.legend(frameon=False)

    return Picture(draw, (7, 3.2))


def _tensorflow_devices(strategy: Any) -> Sequence[str]:
    try:
        return strategy.extended.worker_devices
    except RuntimeError:  # the default strategy: TensorFlow takes the first GPU, or else the CPU
        import tensorflow as tf

        devices = tf.config.list_logical_devices("GPU") or tf.config.list_logical_devices("CPU")
        return [devices[0].name]


def _layers(outputs: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    yield "embeddings", outputs["embedding_output"]
    for number, output in enumerate(outputs["encoder_outputs"]):
        yield f"block run {number}", output


def _draw_confusion(axis: Any, confusion: np.ndarray, names: Sequence[str]) -> None:
    """Each label's shares as shades, and in them the counts."""
    shares = confusion / np.maximum(confusion.sum(axis=1, keepdims=True), 1)
    axis.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    for (row, column), count in np.ndenumerate(confusion):
        color = "white" if shares[row, column] > 0.5 else LIGHT.text
        axis.text(column, row, f"{count:,}", ha="center", va="center", color=color)
    axis.set_xticks(range(len(names)), names)
    axis.set_yticks(range(len(names)), names, rotation=90, va="center")
    axis.set(title="Confusion", xlabel="predicted", ylabel="label")
