"""A classifier, fine-tuned with Keras' own `fit` and saved with what it learnt from."""

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, cast

import keras
import numpy as np

from keras_albert.config import EncoderConfig
from keras_albert.data.batching import length_batches, predict_in_order
from keras_albert.optimizers.defaults import default_learning_rate, default_optimizer
from keras_albert.pretrained import load_model, save_pretrained
from keras_albert.pretrained_text import load_preprocessor
from keras_albert.quickstart.rows import Data

HISTORY = "metrics.jsonl"
Progress = Callable[[int, int, str], None]

_LOG_EVERY = 10  # steps
_LONGEST, _SHORTEST = 128, 16  # bounds of the length that is taken from the data
_COVERED = 99  # percent of the training rows that are not cut


@dataclass(frozen=True)
class Settings:
    """How to fine-tune; what is None is taken from the model's size and from the data."""

    batch_size: int = 16
    epochs: int = 2
    learning_rate: float | None = None
    max_length: int | None = None
    seed: int = 0


class Classifier:
    """A fresh classifier on a converted encoder, with the settings that suit the data.

    Args:
        directory: The converted directory.
        data: The rows to learn from.
        settings: How to fine-tune.
    """

    def __init__(self, directory: Path, data: Data, settings: Settings):
        keras.utils.set_random_seed(settings.seed)
        self.model = load_model(
            directory, "classification", num_labels=len(data.names), fresh_head=True
        )
        self._config = cast(EncoderConfig, self.model.encoder_config)
        length = settings.max_length or _length_of(data.train.texts, directory)
        rate = settings.learning_rate or default_learning_rate(self._config)
        self.settings = Settings(
            settings.batch_size, settings.epochs, rate, length, seed=settings.seed
        )
        self.preprocess = load_preprocessor(directory, length)
        self._source, self._data = directory, data

    def fit(self, history: Path, progress: Progress | None = None) -> None:
        """Fine-tunes, and writes loss and accuracy to `history` as it goes."""
        settings, train = self.settings, self._data.train
        batches = length_batches(
            (_columns(train.texts), {"logits": train.labels}),
            settings.batch_size,
            preprocess=self.preprocess,
            shuffle=True,
            seed=settings.seed,
            cache=True,
        )
        self.model.compile(
            default_optimizer(
                self._config,
                settings.epochs * len(batches),
                learning_rate=settings.learning_rate,
            ),
            loss={"logits": keras.losses.SparseCategoricalCrossentropy(from_logits=True)},
            metrics={"logits": "accuracy"},
            # The batches have several lengths, and XLA would compile the step for each.
            jit_compile=False,
        )
        with history.open("w", encoding="utf-8") as file:
            steps = _Steps(settings.epochs * len(batches), file, progress)
            self.model.fit(
                batches, epochs=settings.epochs, shuffle=False, verbose=0, callbacks=[steps]
            )

    def probabilities(self, texts: list[Any]) -> np.ndarray:
        """Of every class, [texts, classes]."""
        rows = predict_in_order(
            self.model.predict_on_batch, _columns(texts), 32, preprocess=self.preprocess
        )
        logits = np.stack([row["logits"] for row in rows]).astype("float64")
        shifted = np.exp(logits - logits.max(axis=-1, keepdims=True))
        return shifted / shifted.sum(axis=-1, keepdims=True)

    def save(self, directory: Path, accuracy: float) -> None:
        """Writes the classifier, replacing what the folder holds."""
        provenance = {
            "source": str(self._source),
            "labels": list(self._data.names),
            "settings": asdict(self.settings),
            "data": self._data.files,
            "metrics": {"accuracy": accuracy},
        }
        save_pretrained(self.model, directory, provenance=provenance, force=True)


class _Steps(keras.callbacks.Callback):
    """Logs every few steps, and tells how far it is."""

    def __init__(self, total: int, file: Any, progress: Progress | None):
        super().__init__()
        self._step, self._total = 0, total
        self._file, self._progress = file, progress

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        self._step += 1
        if self._progress is not None:
            self._progress(self._step, self._total, "fine-tuning")
        if self._step % _LOG_EVERY == 0 or self._step == self._total:
            # Means over the epoch so far.
            values = {name: float(value) for name, value in (logs or {}).items()}
            self._file.write(json.dumps({"step": self._step} | values) + "\n")


def _length_of(texts: list[Any], directory: Path) -> int:
    """A length that hardly any text exceeds."""
    preprocess = load_preprocessor(directory)
    lengths = preprocess.ragged(_columns(texts))["token_ids"].row_lengths().numpy()
    covering = int(np.percentile(lengths, _COVERED))
    return min(max(covering, _SHORTEST), _LONGEST, preprocess.max_length)


def _columns(texts: list[Any]) -> Any:
    """Single texts as they are; of pairs the first texts, and the second ones."""
    return texts if isinstance(texts[0], str) else tuple(map(list, zip(*texts, strict=True)))
