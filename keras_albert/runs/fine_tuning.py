"""One run: a checkpoint and rows in, a folder with a task that can be loaded and its report out."""

import contextlib
import importlib.util
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import keras
import numpy as np
from absl import logging

from keras_albert.distribute.workers import barrier, is_chief
from keras_albert.errors import InputError
from keras_albert.report import baseline_metrics, write_report
from keras_albert.report.contents import HEADLINES
from keras_albert.runs import folder as run_folder
from keras_albert.runs.data import RunData
from keras_albert.runs.lengths import refuse_long, suitable_length, token_lengths
from keras_albert.runs.settings import Settings
from keras_albert.tasks.calibration import temperature_for
from keras_albert.tasks.settings import FILE as TASK
from keras_albert.tasks.settings import read_settings
from keras_albert.tasks.text_classifier import TextClassifier
from keras_albert.training.errors import NonFiniteLossError
from keras_albert.training.metrics_log import FILE as HISTORY
from keras_albert.training.run import Progress
from keras_albert.training.seeds import set_seed

LAST_GOOD = "last_good"

Say = Callable[[str], Any]


def fine_tune(
    source: str | Path,
    data: RunData,
    settings: Settings,
    output: str | Path,
    *,
    given: Mapping[str, Any] | None = None,
    resume: bool = False,
    force: bool = False,
    progress: Progress | None = None,
    say: Say = logging.info,
) -> dict[str, Any]:
    """Fine-tunes, and writes the run's folder.

    In it is the task, as `keras_albert.tasks.load` reads it, with settings.json, data.json,
    metrics.jsonl and what `write_report` writes, on the test if there is one, else on the
    validation. Model and report come together; until then, what was there is there.

    Args:
        source: A checkpoint as `load_model` takes it.
        data: The rows.
        settings: How to fine-tune.
        output: The folder; new or empty, unless `resume` or `force`.
        given: What settings.json is to hold: whatever repeats the run.
        resume: Go on with the run in the folder; one that is finished is left as it is.
        force: Replace the run in the folder.
        progress: Called with (done, total, label) after steps.
        say: Told the validation's metrics after every epoch, in a line.

    Returns:
        `output`, `metrics` (those that sum the run up, of the validation and the test),
        `judged_by` (the part that the report is on), `baselines`.

    Raises:
        InputError: Settings, rows or checkpoint that cannot be taken; a run to resume that is
            another.
        FileExistsError: The folder is not empty.
        NonFiniteLossError: See `TextClassifier.fit`; the last good weights are in the folder's
            last_good/.
        Interrupted: See `TextClassifier.fit`.
    """
    output = Path(output)
    if settings.tensorboard and importlib.util.find_spec("tensorboard") is None:
        raise InputError(
            "A log for TensorBoard needs the package tensorboard "
            "(pip install 'keras-albert[tensorboard]'). Received: tensorboard=True"
        )
    begun: contextlib.AbstractContextManager[bool]
    if is_chief():
        begun = run_folder.begun(
            output, given or {}, data.description(), resume=resume, force=force
        )
    else:
        begun = contextlib.nullcontext(resume and run_folder.is_finished(output))
    with begun as is_finished:
        if is_finished:
            logging.info("%s: the run is finished", output)
        else:
            classifier, _ = new_classifier(source, data, settings)
            classifier.compile(**settings.compile_arguments())
            _fit(classifier, data, settings, output, resume, progress, say)
            if is_chief():
                _finish(source, classifier, data, settings, output)
            barrier(getattr(classifier.model, "distribute_strategy", None))
    return run_folder.results(output)


def new_classifier(
    source: str | Path, data: RunData, settings: Settings
) -> tuple[TextClassifier, np.ndarray]:
    """A classifier for the data that has learnt nothing yet, and the training rows' lengths.

    Raises:
        InputError: The checkpoint cannot be taken, or is of a classifier with other labels; a text
            is too long where such are refused.
    """
    set_seed(settings.seed, settings.deterministic)
    if not settings.fresh_head:
        _check_labels(source, data)
    policy = {} if settings.dtype is None else {"dtype": settings.dtype}
    classifier = TextClassifier.from_pretrained(
        source,
        data.names or None,
        kind=data.kind,
        max_length=settings.max_length,
        long_texts=settings.long_texts,
        stride=settings.stride,
        lower_case=settings.lower_case,
        threshold=settings.threshold,
        fresh_head=settings.fresh_head,
        **policy,
        **settings.reading,
    )
    tokenizer = classifier.preprocess.tokenizer
    lengths = token_lengths(data.train.records, tokenizer)
    longest = classifier.settings.max_length
    if settings.long_texts == "refuse":
        refuse_long(data.train.records, lengths, longest)
        for name in ("validation", "test"):
            if name in data.parts:
                records = data.parts[name].records
                refuse_long(records, token_lengths(records, tokenizer), longest)
    elif settings.max_length is None:
        classifier.set_max_length(suitable_length(lengths, longest))
        logging.info(
            "At most %d tokens a text, by the lengths of the training rows: %.1f %% are longer "
            "(--max-length sets another)",
            classifier.settings.max_length,
            100 * np.mean(lengths > classifier.settings.max_length),
        )
    return classifier, lengths


def class_weights(data: RunData, settings: Settings) -> dict[str, float] | None:
    """A weight by class; "balanced" gives each class the same in all, and a row 1 on average."""
    weights = settings.class_weight
    if not isinstance(weights, str):
        return None if weights is None else dict(weights)
    if data.kind != "classification":
        raise InputError(
            f"Classes are balanced where a row has one. Received: class_weight='balanced', "
            f"task={data.kind!r}"
        )
    counts = np.bincount(data.train.labels, minlength=len(data.names))
    present = int((counts > 0).sum())
    return {
        name: float(counts.sum() / (present * count)) if count else 1.0
        for name, count in zip(data.names, counts, strict=True)
    }


def _check_labels(source: str | Path, data: RunData) -> None:
    """Raises InputError where the source is a fine-tuned folder whose labels are others."""
    if not (Path(source) / TASK).is_file():
        return
    _, content = read_settings(source)
    labels = tuple(content.get("labels", ()))
    if labels and labels != data.names:
        raise InputError(
            f"{Path(source) / TASK}: a classifier goes on with the labels that it has, in their "
            "order (--fresh-head starts its output layer anew). "
            f"Received: labels={list(data.names)}, the classifier has {list(labels)}"
        )


def _fit(
    classifier: TextClassifier,
    data: RunData,
    settings: Settings,
    output: Path,
    resume: bool,
    progress: Progress | None,
    say: Say,
) -> None:
    start = time.perf_counter()
    try:
        classifier.fit(
            data.train.records,
            epochs=settings.epochs,
            batch_size=settings.batch_size,
            validation_data=data.validation.records,
            class_weight=class_weights(data, settings),
            callbacks=_callbacks(output, settings, say),
            seed=settings.seed,
            verbose=0,
            monitor=settings.monitor,
            patience=settings.patience,
            run_dir=output,
            save_every=settings.save_every,
            resume=resume,
            progress=progress,
        )
    except NonFiniteLossError as error:
        if error.kept_step and is_chief():
            classifier.save(output / LAST_GOOD, force=True)
            logging.warning("The last good weights are in %s", output / LAST_GOOD)
        raise
    logging.info("Fine-tuned in %.0f s; now measuring", time.perf_counter() - start)


class _Epochs(keras.callbacks.Callback):
    """Says how each epoch went."""

    def __init__(self, say: Say):
        super().__init__()
        self._say = say

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Says the training's loss and the validation's metrics."""
        shown = {k: v for k, v in (logs or {}).items() if k == "loss" or k.startswith("val_")}
        figures = ", ".join(f"{name} {float(value):.4g}" for name, value in shown.items())
        self._say(f"epoch {epoch + 1} of {self.params['epochs']}: {figures}")


def _callbacks(output: Path, settings: Settings, say: Say) -> list[Any]:
    callbacks: list[Any] = [_Epochs(say)]
    if settings.tensorboard and is_chief():
        folder = output / run_folder.TENSORBOARD
        callbacks.append(keras.callbacks.TensorBoard(folder, write_graph=False, update_freq=10))
    return callbacks


def _finish(
    source: str | Path, classifier: Any, data: RunData, settings: Settings, output: Path
) -> None:
    """Measures, and puts model and report into the folder."""
    measured = {name: part for name, part in data.parts.items() if name != "train"}
    logits = {name: classifier.logits(part.records) for name, part in measured.items()}
    if settings.calibration and data.kind != "regression":
        temperature = temperature_for(logits["validation"], data.validation.labels)
        classifier.set_temperature(temperature)
        logging.info("The probabilities' temperature is %.3g by the validation", temperature)
    targets, threshold = classifier.targets, classifier.settings.threshold
    metrics: dict[str, Any] = {}
    probabilities = np.empty(0)
    for name, part in measured.items():
        probabilities = targets.probabilities(logits[name], classifier.settings.temperature)
        found = targets.metrics(part.labels, probabilities, threshold)
        metrics[name] = {
            key: found[key] for key in HEADLINES[data.kind] if found.get(key) is not None
        }
    judged = data.parts[data.judged_by]
    baselines = None
    if settings.baselines:
        baselines = baseline_metrics(
            data.kind,
            data.train.texts,
            data.train.labels,
            judged.texts,
            judged.labels,
            data.names,
            threshold,
        )
    with run_folder.finished(output) as new:
        provenance = {"files": data.description(), "metrics": metrics}
        classifier.save(new, provenance=provenance)
        write_report(
            new,
            title=output.resolve().name,
            task_kind=data.kind,
            names=data.names,
            labels=judged.labels,
            probabilities_or_predictions=probabilities,
            texts=judged.texts,
            places=[record.place for record in judged.records],
            history=output / HISTORY,
            settings=_chosen(source, classifier, settings),
            data=data.description(),
            baselines=baselines,
            threshold=threshold,
        )


def _chosen(source: str | Path, classifier: Any, settings: Settings) -> dict[str, Any]:
    """The settings for the report, those that were left to a default with what it came to."""
    own = classifier.settings
    rate = settings.peak_rate(classifier.model.encoder_config)
    chosen = vars(settings) | {
        "pretrained": str(source),
        "learning_rate": rate,
        "max_length": own.max_length,
        "lower_case": own.lower_case,
        "temperature": own.temperature,
    }
    return {name: value for name, value in chosen.items() if value not in (None, (), [], {})}
