"""fit_model: Keras' fit, which can be interrupted at any moment and goes on to the same result."""

import contextlib
import json
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import keras
import numpy as np
from absl import logging

from keras_albert.data.in_graph import input_errors
from keras_albert.errors import InputError
from keras_albert.replicas import scope_of
from keras_albert.training.averages import AveragedWeights
from keras_albert.training.best_weights import MODES, BestWeights
from keras_albert.training.checkpoints import Checkpoint, Checkpoints
from keras_albert.training.epochs import PassedOver, counted, looks_ahead
from keras_albert.training.run import CHECKPOINTS, Progress, Run
from keras_albert.training.saved_state import assign, check_fingerprint
from keras_albert.training.stopping import StopSignals


def fit_model(
    model: Any,
    batches: Callable[..., Any],
    *,
    epochs: int,
    validation_data: Any = None,
    validation_freq: Any = 1,
    class_weight: Mapping[int, float] | None = None,
    callbacks: Iterable[Any] = (),
    verbose: Any = "auto",
    folder: str | Path | None = None,
    save_every: int | None = None,
    resume: bool = False,
    fingerprint: Mapping[str, Any] | None = None,
    monitor: str | None = None,
    mode: str = "auto",
    patience: int | None = None,
    describe_rows: Callable[[np.ndarray], list[str]] | None = None,
    progress: Progress | None = None,
    log_every: int = 10,
) -> keras.callbacks.History:
    """Trains by Keras' fit; what a long run needs around it is here.

    - A run in a folder saves checkpoints, and when it is resumed goes on in the middle of the
      epoch. Weights, optimizer, History and metrics.jsonl come out the same, bit for bit, as in a
      run that nothing disturbed, wherever the model's operations are deterministic (`set_seed`).
      SIGTERM, and the first Ctrl-C, save and stop after the current step.
    - A loss that is NaN or infinite ends the training, and the model has its last good weights. So
      do such weights before they would be saved, and at the end.
    - With `monitor`, the model has the best epoch's weights at the end.
    - metrics.jsonl is as `MetricsLog` describes; a loss that does not fall gives a warning.

    With an optimizer's `use_ema`, validations measure the averaged weights, which are what the
    model has at the end; Keras' own fit measures the others. With `steps_per_execution`, what
    happens after a step happens after an execution. States that callbacks of yours hold, and
    Keras' global seed generator, are not saved.

    Args:
        model: A compiled keras.Model.
        batches: `batches(first_epoch=e)` is a `tf.data.Dataset` of batches whose first iteration is
            that of epoch e, counted from 0, and the next that of e + 1; `batches(first_epoch=e,
            row_index=True)` gives (batch, indices of its rows) in the same order. `length_batches`
            with a seed does.
        epochs: How many there are in all.
        validation_data: A dataset, or None.
        validation_freq: As of `keras.Model.fit`.
        class_weight: As of `keras.Model.fit`.
        callbacks: Keras callbacks.
        verbose: As of `keras.Model.fit`.
        folder: For `checkpoints/` and metrics.jsonl; None writes nothing.
        save_every: Steps between checkpoints; there is one after every epoch in any case.
        resume: Go on from the folder's last checkpoint; where it has none, begin.
        fingerprint: What JSON holds, such as settings and the data's sha256: a run goes on only
            with the same.
        monitor: A metric of the validation, such as "val_accuracy".
        mode: Whether its best value is the "min" or the "max"; "auto" tells by the name.
        patience: Validations in a row without a better one, after which to stop; None for never.
        describe_rows: Names the places of rows by their indices, for messages.
        progress: Called with (steps done, steps in all or None, label) after a step.
        log_every: Steps between lines of metrics.jsonl.

    Returns:
        Keras' History, of all epochs.

    Raises:
        InputError: The arguments contradict; the data break a rule; the folder has checkpoints and
            `resume` is not given; they are damaged, or of another run.
        NonFiniteLossError: The loss, or a weight, became NaN or infinite.
        Interrupted: SIGTERM came, and the run was saved. After Ctrl-C it is a KeyboardInterrupt.
        OSError: A checkpoint cannot be written; the one before is there still.
    """
    _check(model, validation_data, folder, save_every, resume, monitor, mode, patience, log_every)
    folder = None if folder is None else Path(folder)
    settings = {
        "epochs": epochs,
        "monitor": monitor,
        "patience": patience,
        "steps_per_execution": model.steps_per_execution,
    }
    fingerprint = _as_json(settings | dict(fingerprint or {}))
    checkpoint = None if folder is None else _checkpoint(folder, resume, fingerprint)
    first_epoch = 0
    if checkpoint is not None:
        # That of a run that has ended is not read.
        first_epoch = min(checkpoint.state["position"]["epoch"], epochs - 1)
    dataset = batches(first_epoch=first_epoch)
    steps = int(dataset.cardinality())
    if steps == -1:  # tf.data.INFINITE_CARDINALITY
        raise InputError("An epoch ends. Received: batches that repeat for ever")
    averages = AveragedWeights() if _uses_averages(model.optimizer) else None
    best = None if monitor is None else BestWeights(monitor, mode, patience, averages)
    signals = StopSignals()
    run = Run(
        folder,
        fingerprint,
        epochs=epochs,
        steps_per_epoch=steps if steps >= 0 else None,
        save_every=save_every,
        log_every=log_every,
        progress=progress,
        averages=averages,
        best=best,
        signals=signals,
    )
    probe = None
    if looks_ahead(model) or (checkpoint is not None and checkpoint.state["position"]["batch"]):
        probe = batches(first_epoch=first_epoch)
    with input_errors(), contextlib.ExitStack() as around:
        around.callback(run.close)
        passed = None
        if checkpoint is not None:
            passed = _restore(checkpoint, run, model, probe)
            if checkpoint.state["complete"]:
                return run.history
            around.enter_context(passed.installed(model))
        if folder is not None:
            around.enter_context(signals.noted())
        done = checkpoint is not None and checkpoint.state["stopped"]
        try:
            model.fit(
                counted(dataset, probe, lambda: run.begun),
                epochs=epochs,
                initial_epoch=epochs if done else run.position.epoch,
                validation_data=validation_data,
                validation_freq=validation_freq,
                class_weight=class_weight,
                shuffle=False,  # the dataset does that
                callbacks=[
                    each
                    for each in (passed, averages, *callbacks, best, run.history, run)
                    if each is not None
                ],
                verbose=verbose,
            )
        except run.guard.Found as found:
            describe = describe_rows or (lambda rows: [f"row {row}" for row in rows])
            raise run.guard.error(found, model, batches, describe) from None
        run.save(complete=True)
    return run.history


def _restore(checkpoint: Checkpoint, run: Run, model: Any, probe: Any) -> PassedOver:
    """Gives model and run the checkpoint's state; returns what passes over the batches done."""
    if not model.optimizer.built:
        with scope_of(model):
            model.optimizer.build(model.trainable_variables)
    batch = checkpoint.state["position"]["batch"]
    if batch:
        # Keras makes the metrics' variables when it sees a batch; what else this changes is
        # restored below.
        seen = next(probe.as_numpy_iterator())
        model.test_on_batch(*keras.utils.unpack_x_y_sample_weight(seen))
    run.restore(checkpoint, model)
    logging.info("Goes on after step %d, from %s", run.position.step, checkpoint.path)
    return PassedOver(batch, lambda: assign(checkpoint, "metrics", model.metrics_variables))


def _checkpoint(folder: Path, resume: bool, fingerprint: Mapping[str, Any]) -> Checkpoint | None:
    """The checkpoint to go on from, if there is one."""
    checkpoints = Checkpoints(folder / CHECKPOINTS)
    if not resume:
        if checkpoints.paths():
            raise InputError(
                "A run begins in a folder without checkpoints; resume=True (--resume) goes on with "
                f"the one there. Received: folder={folder}, resume=False"
            )
        return None
    checkpoint = checkpoints.latest()
    if checkpoint is None:
        logging.info("%s has no checkpoint: begins with the first step", folder)
        return None
    check_fingerprint(checkpoint, checkpoint.state["fingerprint"], fingerprint)
    return checkpoint


def _check(
    model: Any,
    validation_data: Any,
    folder: Any,
    save_every: int | None,
    resume: bool,
    monitor: str | None,
    mode: str,
    patience: int | None,
    log_every: int,
) -> None:
    if not model.compiled or model.optimizer is None:
        raise InputError(f"A model is compiled before it is trained. Received: {model.name}")
    if monitor is not None and validation_data is None:
        raise InputError(
            f"monitor is a metric of validation_data. Received: monitor={monitor!r}, "
            "validation_data=None"
        )
    if patience is not None and (monitor is None or patience < 0):
        raise InputError(
            "patience is a number of validations by the metric `monitor`. "
            f"Received: patience={patience!r}, monitor={monitor!r}"
        )
    if mode not in MODES:
        raise InputError(f"mode is one of {MODES}. Received: mode={mode!r}")
    if folder is None and (resume or save_every is not None):
        raise InputError(
            "Checkpoints are in the run's folder. "
            f"Received: folder=None, resume={resume}, save_every={save_every}"
        )
    for name, value in (("save_every", save_every), ("log_every", log_every)):
        if value is not None and value < 1:
            raise InputError(f"{name} is at least 1 step. Received: {name}={value!r}")


def _uses_averages(optimizer: Any) -> bool:
    return bool(getattr(optimizer, "inner_optimizer", optimizer).use_ema)


def _as_json(value: Mapping[str, Any]) -> dict[str, Any]:
    """As it reads back from JSON: lists for tuples, texts for keys."""
    return json.loads(json.dumps(value))
