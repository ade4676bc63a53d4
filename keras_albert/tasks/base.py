"""What every task has: compile, fit, save, around a functional Keras model."""

import abc
import dataclasses
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, ClassVar

import keras

from keras_albert.data.batching import check_batch_size
from keras_albert.errors import InputError
from keras_albert.optimizers.defaults import default_optimizer
from keras_albert.pretrained import save_pretrained
from keras_albert.pretrained_text import tokenizer_config
from keras_albert.tasks.learning import Learning
from keras_albert.tasks.settings import FILE
from keras_albert.training.fitting import fit_model
from keras_albert.versions import versions


class Task(abc.ABC):
    """A model for a task with everything from raw text to answers.

    A subclass says what its data and its answers are.

    Attributes:
        model: The functional Keras model that `fit` trains.
        preprocess: The layer that makes its inputs of strings.
        settings: How texts become answers, a dataclass.
        targets: What is learnt: how labels become numbers, and logits answers.
        origin: Where the weights come from that `fit` began with, as `pretrained.origin` has it;
            empty for a model that was not loaded here.
        provenance: What provenance.json says, or will: origin, hyper-parameters, data, metrics.
    """

    NAME: ClassVar[str]  # in task.json
    MODEL_TASK: ClassVar[str]  # as `load_model` names it

    settings: Any
    targets: Any

    def __init__(self, model: Any, preprocess: Any):
        if getattr(model, "task", None) != self.MODEL_TASK:
            raise InputError(
                f"{type(self).__name__} has a model of the task {self.MODEL_TASK!r}. "
                f"Received: {getattr(model, 'task', None)!r}"
            )
        self.model = model
        self.preprocess = preprocess
        self._learning = Learning()
        self.origin: dict[str, Any] = {}
        self.provenance: dict[str, Any] = {}

    def compile(
        self,
        optimizer: Any = None,
        loss: Any = None,
        metrics: Any = None,
        *,
        label_smoothing: float = 0.0,
        freeze: Iterable[str] = (),
        learning_rate: float | None = None,
        warmup: float | int | None = None,
        weight_decay: float | None = None,
        clip: float | None = None,
        layer_decay: float | None = None,
        ema: float | None = None,
        accumulation: int | None = None,
        schedule: str | None = None,
        power: float | None = None,
        **options: Any,
    ) -> None:
        """Says how to learn; without it, `fit` takes the defaults.

        Args:
            optimizer: A Keras optimizer or its name. By default `optimizers.default_optimizer`,
                AdamW with the rate for the model's size, warm-up and linear decay over the steps
                of `fit`, which is when it is made.
            loss: Of the logits; the task's by default.
            metrics: Of the logits, a list; the task's by default.
            label_smoothing: Of the default loss.
            freeze: Names of layers that do not learn, or patterns of them: `"*_embedding"`,
                `"encoder_block_[0-5]"`.
            learning_rate: As of `optimizers.default_optimizer`, like the following ones.
            warmup: Likewise.
            weight_decay: Likewise.
            clip: Likewise.
            layer_decay: Likewise.
            ema: Likewise.
            accumulation: Likewise.
            schedule: Likewise.
            power: Likewise.
            **options: Of `keras.Model.compile`: `weighted_metrics`, `jit_compile` (False by
                default, since batches have several lengths; with True they are rounded up to few),
                `steps_per_execution`, `run_eagerly`.

        Raises:
            InputError: Arguments that contradict each other, or are outside of their range.
        """
        given = {
            "learning_rate": learning_rate,
            "warmup": warmup,
            "weight_decay": weight_decay,
            "clip": clip,
            "layer_decay": layer_decay,
            "ema": ema,
            "accumulation": accumulation,
            "schedule": schedule,
            "power": power,
        }
        self._learning = Learning(
            optimizer=optimizer,
            schedule={name: value for name, value in given.items() if value is not None},
            loss=loss,
            metrics=metrics,
            label_smoothing=label_smoothing,
            freeze=tuple([freeze] if isinstance(freeze, str) else freeze),
            options=options,
        )
        # Both may refuse; those to learn by are made in `fit`.
        self.targets.loss(label_smoothing)
        if optimizer is None:
            default_optimizer(self.model.encoder_config, 1, **self._learning.schedule)

    def fit(
        self,
        texts: Any,
        labels: Any = None,
        *,
        epochs: int = 3,
        batch_size: int = 32,
        validation_data: Any = None,
        class_weight: Mapping[Any, float] | None = None,
        sample_weight: Any = None,
        callbacks: Iterable[Any] = (),
        shuffle: bool = True,
        seed: int = 0,
        verbose: Any = "auto",
        monitor: str | None = None,
        patience: int | None = None,
        run_dir: str | Path | None = None,
        save_every: int | None = None,
        resume: bool = False,
        progress: Any = None,
        log_every: int = 10,
    ) -> keras.callbacks.History:
        """Learns, by Keras' own `fit`.

        Args:
            texts: A list, array or Series of texts or of pairs; a pair of lists; `TextRecord`s,
                as `data.read_records` gives them; or a `tf.data.Dataset` of (texts, labels[,
                weights]), or a `TFRecords`.
            labels: Of each text its class, by name or number; a list of them, or 0 and 1 for each;
                or a number. None where `texts` bring them.
            epochs: How often each text is seen.
            batch_size: Texts of a step, of like length.
            validation_data: (texts, labels), or what brings both; measured after every epoch.
            class_weight: A weight by class, by name or number; 1 for others.
            sample_weight: A weight a text.
            callbacks: Keras callbacks.
            shuffle: Whether in another order every epoch.
            seed: Of that order.
            verbose: As Keras has it.
            monitor: The metric of the validation whose best epoch's weights are kept, such as
                "val_accuracy".
            patience: Epochs without a better one after which to stop; `monitor` is the task's own
                where it is not given.
            run_dir: Folder for checkpoints and metrics.jsonl.
            save_every: Steps between checkpoints; at the end of every epoch in any case.
            resume: Go on from the last checkpoint in `run_dir`: the result is the same, bit for
                bit, as without the interruption, on the same device.
            progress: Called with (done, total, label) after steps.
            log_every: Steps between lines of metrics.jsonl.

        Returns:
            Keras' `History`.

        Raises:
            InputError: A label that the task does not know, numbers that are not finite, one class
                alone, texts that are too long if `long_texts` is "refuse"; a run to resume that
                began with other data or settings.
            NonFiniteLossError: The loss, or a weight, became NaN or infinite; the last good weights
                are kept.
            Interrupted: SIGTERM, after a checkpoint.
        """
        learning = self._learning
        data = self._encoded(
            (texts, labels, sample_weight),
            class_weight=class_weight,
            label_smoothing=learning.label_smoothing,
        )
        self._check_learnable(data)
        self._learnt_from(data)
        check_batch_size(batch_size)
        if epochs < 1:
            raise InputError(f"There is at least one epoch. Received: {epochs=}")
        cutting: dict[str, Any] = {"lengths": learning.buckets(self.settings.max_length)}
        if cutting["lengths"] is not None:
            cutting["remainder"] = "fill"
        validation = None
        if validation_data is not None:
            given = validation_data if isinstance(validation_data, tuple) else (validation_data,)
            measured = self._encoded(
                (*given, None, None)[:3], label_smoothing=learning.label_smoothing
            )
            validation = measured.batches(batch_size, cache=measured.in_memory, **cutting)
        elif monitor is not None or patience is not None:
            raise InputError(
                "The best epoch is found by validation_data. "
                f"Received: {monitor=}, {patience=}, validation_data=None"
            )

        def batches(first_epoch: int = 0, row_index: bool = False) -> Any:
            return data.batches(
                batch_size,
                shuffle=shuffle,
                seed=seed,
                first_epoch=first_epoch,
                cache=data.in_memory,
                row_index=row_index,
                **cutting,
            )

        steps = epochs * -(-data.rows // batch_size)
        has_shares = data.has_shares or cutting["lengths"] is not None
        learning.compile(self.model, self.targets, steps, has_shares)
        hyperparameters = {
            "epochs": epochs,
            "batch_size": batch_size,
            "seed": seed,
            "shuffle": shuffle,
            "class_weight": {str(k): v for k, v in (class_weight or {}).items()},
            "monitor": monitor,
            "patience": patience,
            **learning.described(self.model),
        }
        fingerprint = hyperparameters | {
            "rows": data.rows,
            "data_sha256": data.sha256,
            "task": dataclasses.asdict(self.settings),
        }
        history = fit_model(
            self.model,
            batches,
            epochs=epochs,
            validation_data=validation,
            callbacks=callbacks,
            verbose=verbose,
            folder=None if run_dir is None else Path(run_dir),
            save_every=save_every,
            resume=resume,
            fingerprint=fingerprint,
            monitor=monitor or (None if patience is None else self.targets.monitor),
            patience=patience,
            describe_rows=lambda rows: [data.place(int(row)) for row in rows],
            progress=progress,
            log_every=log_every,
        )
        self.provenance = self.origin | {
            "settings": hyperparameters,
            "data": {"train": {"rows": data.rows, "sha256": data.sha256}},
        }
        return history

    def save(
        self,
        directory: str | Path,
        *,
        provenance: Mapping[str, Any] | None = None,
        force: bool = False,
    ) -> None:
        """Writes model, vocabulary and settings; `keras_albert.tasks.load` reads them.

        Args:
            directory: A new or empty folder.
            provenance: Further entries of provenance.json, such as metrics.
            force: Replace what is in the folder.

        Raises:
            FileExistsError: The folder is not empty.
            OSError: The file system refuses.
        """
        names = {"labels": list(self.targets.names)} if self.targets.names else {}
        save_pretrained(
            self.model,
            directory,
            files={
                FILE: self.settings.to_json(self.NAME),
                **tokenizer_config(self.model.files, self.settings.lower_case),
            },
            provenance=self.provenance | names | {"versions": versions()} | dict(provenance or {}),
            force=force,
        )

    @abc.abstractmethod
    def predict(self, texts: Any, *, batch_size: int = 32) -> list[dict[str, Any]]:
        """The answers to texts, in their order."""

    @abc.abstractmethod
    def predict_iter(self, texts: Any, *, batch_size: int = 32) -> Iterator[dict[str, Any]]:
        """The same one by one, of texts without end."""

    @abc.abstractmethod
    def evaluate(self, texts: Any, labels: Any = None, *, batch_size: int = 32) -> dict[str, Any]:
        """Metrics on texts whose labels are known."""

    @abc.abstractmethod
    def _encoded(self, given: tuple[Any, ...], **options: Any) -> Any:
        """Data as `length_batches` takes them, an `Encoded`."""

    @abc.abstractmethod
    def _learnt_from(self, data: Any) -> None:
        """Takes over what the data say of later inputs."""

    @abc.abstractmethod
    def _check_learnable(self, data: Any) -> None:
        """Raises InputError for data from which nothing can be learnt."""
