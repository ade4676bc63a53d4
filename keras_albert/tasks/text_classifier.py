"""Texts, or pairs of texts, to one class, several labels or a number."""

import dataclasses
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from keras_albert.config_json import read_json
from keras_albert.data.batching import predict_in_order
from keras_albert.data.in_graph import input_errors
from keras_albert.directory import PROVENANCE
from keras_albert.errors import InputError
from keras_albert.pretrained import loaded, origin
from keras_albert.pretrained_text import load_preprocessor
from keras_albert.tasks.base import Task
from keras_albert.tasks.calibration import temperature_for
from keras_albert.tasks.data import brings_labels, check_segments, chunks_of, encoded, windowed
from keras_albert.tasks.rows import Rows, as_rows
from keras_albert.tasks.settings import TextSettings, text_settings
from keras_albert.tasks.targets import targets_of


class TextClassifier(Task):
    """A classifier of texts: strings in, labels out.

    `model` is the functional Keras model that `fit` trains, `preprocess` the layer from strings to
    its inputs. `from_pretrained` makes a classifier of a checkpoint, `keras_albert.tasks.load` of
    what `save` wrote.

    Args:
        model: A model of the task classification.
        preprocess: A `Preprocessor` for it.
        settings: How texts become answers.

    Raises:
        InputError: The model has other outputs than there are labels.
    """

    NAME = "text_classification"
    MODEL_TASK = "classification"

    def __init__(self, model: Any, preprocess: Any, settings: TextSettings):
        super().__init__(model, preprocess)
        self.settings = settings
        self.targets = targets_of(settings.kind, settings.labels or None)
        outputs = model.task_options["num_labels"]
        if outputs != self.targets.outputs:
            raise InputError(
                f"The model has an output for every label. Received: {outputs} outputs, "
                f"{self.targets.outputs} labels"
            )

    @classmethod
    def from_pretrained(
        cls,
        source: str | Path,
        labels: Sequence[str] | None = None,
        *,
        kind: str = "classification",
        max_length: int | None = None,
        long_texts: str = "cut",
        stride: int | None = None,
        lower_case: bool | None = None,
        threshold: float = 0.5,
        fresh_head: bool = False,
        config_path: str | Path | None = None,
        vocabulary_path: str | Path | None = None,
        **reading: Any,
    ) -> "TextClassifier":
        """A classifier on a checkpoint's encoder.

        Args:
            source: A checkpoint as `load_model` takes it. A classifier's own output layer is kept
                where it has as many classes, unless `fresh_head`.
            labels: The names of the classes, in the order of the model's outputs; none for a
                regression.
            kind: "classification" (one class a text), "multi_label" (any number of them) or
                "regression".
            max_length: Most tokens of a row, `[CLS]` and `[SEP]` included; by default what the
                model has positions for, at most 512. Short texts are not padded to it.
            long_texts: What happens to longer texts: "cut", "windows" (overlapping ones; each
                learns the text's label with its share of the weight, and their logits are
                averaged) or "refuse".
            stride: Tokens from the beginning of a window to that of the next; half a window by
                default.
            lower_case: As of `load_tokenizer`.
            threshold: The probability from which on one of several labels holds.
            fresh_head: As of `load_model`.
            config_path: As of `load_model`.
            vocabulary_path: As of `load_model`.
            **reading: Further arguments of `load_model`, such as `dtype="mixed_bfloat16"`.

        Raises:
            InputError: As `load_model`; labels that are fewer than two classes, or twice the same.

        Example:
        ```python
        classifier = keras_albert.tasks.TextClassifier.from_pretrained(
            "uncased_L-12_H-768_A-12", labels=["negative", "positive"]
        )
        classifier.fit(texts, labels)
        classifier.predict(["a gripping film"])  # [{"label": "positive", "scores": {…}}]
        ```
        """
        files: dict[str, Any] = {"config_path": config_path, "vocabulary_path": vocabulary_path}
        targets = targets_of(kind, labels)
        options = files | reading | {"num_labels": targets.outputs}
        with loaded(source, cls.MODEL_TASK, fresh_head=fresh_head, **options) as (model, *opened):
            own_origin = origin(*opened)
        preprocess = load_preprocessor(
            source,
            min(512, model.encoder_config.max_sequence_length)
            if max_length is None
            else max_length,
            lower_case=lower_case,
            truncate=long_texts != "refuse",
            **files,
        )
        settings = TextSettings(
            kind=kind,
            labels=targets.names,
            max_length=preprocess.max_length,
            long_texts=long_texts,
            stride=stride,
            lower_case=preprocess.tokenizer.lower_case,
            threshold=threshold,
        )
        classifier = cls(model, preprocess, settings)
        classifier.origin, classifier.provenance = own_origin, own_origin.copy()
        return classifier

    @classmethod
    def from_folder(cls, directory: str | Path, content: Any, **reading: Any) -> "TextClassifier":
        """What `save` wrote; `keras_albert.tasks.load` calls this.

        Raises:
            InputError: Settings that disagree with the model, or are not whole.
        """
        settings = text_settings(directory, content)
        with loaded(directory, cls.MODEL_TASK, **reading) as (model, *opened):
            own_origin = origin(*opened)
        preprocess = load_preprocessor(
            directory,
            settings.max_length,
            lower_case=settings.lower_case,
            truncate=settings.long_texts != "refuse",
        )
        try:
            classifier = cls(model, preprocess, settings)
        except InputError as error:
            raise InputError(f"{directory}: {error}") from error
        classifier.origin = own_origin
        classifier.provenance = read_json(Path(directory) / PROVENANCE)
        return classifier

    def predict(self, texts: Any, *, batch_size: int = 32) -> list[dict[str, Any]]:
        """The answers to texts, in their order.

        Args:
            texts: A list, array or Series of texts or of pairs; a pair of lists; `TextRecord`s.
            batch_size: Texts that go through the model together.

        Returns:
            One dict a text: of one class `label`, and `scores`, the probabilities by label; of
            several `labels` and `scores`; of a regression `score`.

        Raises:
            InputError: Not texts, or not as many segments as the task learnt from.
        """
        return list(self.predict_iter(_in_memory(texts), batch_size=batch_size))

    def predict_iter(self, texts: Any, *, batch_size: int = 32) -> Iterator[dict[str, Any]]:
        """The same one by one, for texts that come one by one and may be without end.

        Args:
            texts: As of `predict`, or any iterable of texts or pairs; at most some 100 batches are
                held.
            batch_size: As of `predict`.

        Yields:
            As `predict` returns.
        """
        for rows in chunks_of(texts, batch_size):
            yield from self.targets.answers(
                self._logits(rows, batch_size), self.settings.temperature, self.settings.threshold
            )

    def logits(self, texts: Any, *, batch_size: int = 32) -> np.ndarray:
        """The model's outputs, float32 [texts, outputs], before temperature and softmax."""
        chunks = chunks_of(_in_memory(texts), batch_size)
        return np.concatenate([self._logits(rows, batch_size) for rows in chunks])

    def probabilities(self, texts: Any, *, batch_size: int = 32) -> np.ndarray:
        """float64 [texts, labels]; of a regression the predicted numbers, [texts]."""
        logits = self.logits(texts, batch_size=batch_size)
        return self.targets.probabilities(logits, self.settings.temperature)

    def evaluate(self, texts: Any, labels: Any = None, *, batch_size: int = 32) -> dict[str, Any]:
        """Metrics on texts whose labels are known, all rows weighing the same.

        Args:
            texts: As of `fit`.
            labels: As of `fit`.
            batch_size: As of `predict`.

        Returns:
            What `classification_metrics`, `multi_label_metrics` or `regression_metrics` give.

        Raises:
            InputError: As `fit`.
        """
        settings = self.settings
        numbers, logits = self._labelled(texts, labels, batch_size)
        probabilities = self.targets.probabilities(logits, settings.temperature)
        return self.targets.metrics(numbers, probabilities, settings.threshold)

    def calibrate(self, texts: Any, labels: Any = None, *, batch_size: int = 32) -> float:
        """Sets the temperature that fits the probabilities to texts that were not learnt from.

        The labels that win stay the same (Guo et al., 2017, arXiv:1706.04599, section 4.2). It lies
        from 0.1 to 10; a warning says where an end of that is the best, as with few texts it is.

        Returns:
            The temperature.

        Raises:
            InputError: As `fit`; a regression has no probabilities.
        """
        if self.settings.kind == "regression":
            raise InputError("Probabilities are calibrated. Received: kind='regression'")
        numbers, logits = self._labelled(texts, labels, batch_size)
        temperature = temperature_for(logits, numbers)
        self.set_temperature(temperature)
        return temperature

    def set_temperature(self, temperature: float) -> None:
        """Takes another temperature, by which logits are divided, for the probabilities."""
        self.settings = dataclasses.replace(self.settings, temperature=temperature)

    def set_max_length(self, max_length: int) -> None:
        """Takes another limit for the tokens of a row.

        Raises:
            InputError: A length beyond the model's positions.
        """
        longest = self.model.encoder_config.max_sequence_length
        if max_length > longest:
            raise InputError(
                f"The model has positions for {longest} tokens. Received: max_length={max_length}"
            )
        self.settings = dataclasses.replace(self.settings, max_length=max_length)
        config = self.preprocess.get_config() | {"max_length": max_length}
        self.preprocess = type(self.preprocess).from_config(config)

    def _encoded(self, given: tuple[Any, ...], **options: Any) -> Any:
        return encoded(given, self.targets, self.preprocess, self.settings, **options)

    def _check_learnable(self, data: Any) -> None:
        if data.labels is None or self.settings.kind == "multi_label":
            return
        if (data.labels == data.labels[0]).all():
            label = data.labels[0].item()
            shown = self.targets.names[label] if self.targets.names else label
            raise InputError(
                "What is learnt from has two labels or more. "
                f"Received: {shown!r} for each of {len(data.labels)} texts"
            )

    def _learnt_from(self, data: Any) -> None:
        if self.settings.segments is None and data.segments is not None:
            self.settings = dataclasses.replace(self.settings, segments=data.segments)

    def _labelled(self, texts: Any, labels: Any, batch_size: int) -> tuple[np.ndarray, np.ndarray]:
        """Encoded labels and logits of the same rows."""
        if brings_labels(texts):
            if self.settings.long_texts == "windows":
                raise InputError("Windows are cut from texts in memory. Received: a dataset")
            found = []
            with input_errors():
                batches = self._encoded((texts, labels, None)).batches(batch_size)
                for inputs, wanted, *_ in batches.as_numpy_iterator():
                    outputs = self.model.predict_on_batch(inputs)
                    found.append((wanted["logits"], np.asarray(outputs["logits"])))
            numbers, logits = zip(*found, strict=True)
            return np.concatenate(numbers), np.concatenate(logits)
        rows = as_rows(texts, labels)
        return self.targets.encode(rows), self.logits(rows.inputs, batch_size=batch_size)

    def _logits(self, rows: Rows, batch_size: int) -> np.ndarray:
        """Of one chunk of rows, float32 [rows, outputs]."""
        check_segments(rows, self.settings)
        if self.settings.long_texts == "windows":
            inputs, owners = windowed(rows, self.preprocess, self.settings)
            logits = self._in_batches(inputs, None, len(owners), batch_size)
            sums = np.zeros((len(rows), logits.shape[1]), "float32")
            np.add.at(sums, owners, logits)
            return sums / np.bincount(owners, minlength=len(rows))[:, None]
        return self._in_batches(rows.inputs, self.preprocess, len(rows), batch_size)

    def _in_batches(self, data: Any, preprocess: Any, rows: int, batch_size: int) -> np.ndarray:
        lengths = self._learning.buckets(self.settings.max_length)
        if rows <= batch_size and preprocess is not None and lengths is None:
            # No pipeline for a few texts: its making would take longer than everything else.
            inputs = {name: np.asarray(value) for name, value in preprocess(data).items()}
            return np.asarray(self.model.predict_on_batch(inputs)["logits"])
        outputs = predict_in_order(
            self.model.predict_on_batch,
            (data,),  # inputs alone: of (first, second) the second would be labels
            batch_size,
            preprocess=preprocess,
            lengths=lengths,
            # Where every shape is compiled for, there is one number of rows.
            remainder="keep" if lengths is None else "fill",
        )
        return np.stack([row["logits"] for row in outputs])


def _in_memory(texts: Any) -> Any:
    return texts if hasattr(texts, "__len__") else list(texts)
