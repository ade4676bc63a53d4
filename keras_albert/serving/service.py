"""What is served: a model, how text becomes its inputs, and its logits answers."""

import contextlib
import copy
import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from keras_albert.config_json import read_json
from keras_albert.directory import PROVENANCE
from keras_albert.errors import InputError
from keras_albert.pretrained import load_model, save_pretrained
from keras_albert.pretrained_text import load_preprocessor
from keras_albert.tasks.base import Task
from keras_albert.tasks.data import stride_of
from keras_albert.tasks.loading import load as load_task
from keras_albert.tasks.settings import FILE as TASK

# Of provenance.
_KEPT = ("source", "sha256", "origin", "weights_sha256", "versions", "settings", "data", "metrics")


@dataclass(frozen=True)
class Service:
    """What is served.

    Attributes:
        model: A model of a task.
        kind: What its logits mean, a key of `ANSWERS`.
        preprocess: The layer from text to the model's inputs; None to take token ids alone.
        labels: The classes' names.
        segments: How many texts one input has: 1, or 2 for pairs.
        temperature: The logits are divided by it.
        threshold: The probability from which on one of several labels holds.
        stride: Tokens between the beginnings of the windows that longer texts are cut into; None
            where they are not.
        provenance: Where all that comes from.
    """

    model: Any
    kind: str
    preprocess: Any = None
    labels: tuple[str, ...] = ()
    segments: int = 1
    temperature: float = 1.0
    threshold: float = 0.5
    stride: int | None = None
    provenance: Mapping[str, Any] | None = None

    def answer_tokens(self, inputs: Mapping[str, Any]) -> dict[str, Any]:
        """Model inputs to named outputs, in a graph."""
        return ANSWERS[self.kind](self, self._logits(inputs))

    def answer_texts(self, texts: tuple[Any, ...]) -> dict[str, Any]:
        """Strings [batch] of every segment to named outputs, in a graph."""
        if self.stride is None:
            return self.answer_tokens(self.preprocess(texts))
        import tensorflow as tf

        windows, texts_of = self.preprocess.windows(texts, self.stride)
        logits = self._logits(self.preprocess.pad(windows))
        return ANSWERS[self.kind](self, tf.math.segment_mean(logits, texts_of))

    def _logits(self, inputs: Mapping[str, Any]) -> Any:
        return self.model(inputs, training=False)["logits"]


def _class_answers(service: Service, logits: Any) -> dict[str, Any]:
    """`label` [batch]; `scores` and `labels`, which they belong to, [batch, classes]."""
    import tensorflow as tf

    labels = tf.constant(service.labels)
    best = tf.gather(labels, tf.argmax(logits, axis=-1))
    scores = tf.nn.softmax(logits / service.temperature)
    return {"label": best, "scores": scores, "labels": _names(labels, scores)}


def _multi_label_answers(service: Service, logits: Any) -> dict[str, Any]:
    """`scores`, `labels` and `holds` (whether the label is given), [batch, labels]."""
    import tensorflow as tf

    scores = tf.nn.sigmoid(logits / service.temperature)
    holds = scores >= service.threshold
    return {"scores": scores, "labels": _names(tf.constant(service.labels), scores), "holds": holds}


def _regression_answers(service: Service, logits: Any) -> dict[str, Any]:
    """`score` [batch]."""
    return {"score": logits[:, 0]}


def _names(labels: Any, scores: Any) -> Any:
    """The labels in every row: TensorFlow Serving's row format has no output without a batch."""
    import tensorflow as tf

    return tf.broadcast_to(labels, tf.shape(scores))


# What is made of a task's logits; a further task is a further function.
ANSWERS: dict[str, Callable[[Service, Any], dict[str, Any]]] = {
    "classification": _class_answers,
    "multi_label": _multi_label_answers,
    "regression": _regression_answers,
}


def service_of(source: Any, max_length: int | None, tokens_only: bool) -> Service:
    """What to serve of a task, a fine-tuned or converted folder, or a model."""
    if isinstance(source, str | Path) and (Path(source) / TASK).is_file():
        source = load_task(source)
    if isinstance(source, Task):
        return _service_of_task(source, max_length, tokens_only)
    with contextlib.ExitStack() as stack:
        if isinstance(source, str | Path):
            directory, model = Path(source), load_model(source)
        else:
            directory, model = stack.enter_context(_text_of(source)), source
        if model.task != "classification":
            raise InputError(
                "A model for a server has the task 'classification'. "
                f"Received: {directory} for {model.task!r}"
            )
        preprocess = None if tokens_only else load_preprocessor(directory, max_length)
        recorded = directory / PROVENANCE
        provenance = read_json(recorded) if recorded.is_file() else {}
    classes = model.task_options["num_labels"]
    labels = provenance.get("labels") or [str(index) for index in range(classes)]
    if len(labels) != classes:
        raise InputError(
            f"{recorded}: labels names every class. "
            f"Received: {len(labels)} labels, {classes} classes"
        )
    return Service(
        model=model,
        kind="regression" if classes == 1 else "classification",
        preprocess=preprocess,
        labels=() if classes == 1 else tuple(labels),
        provenance=_kept(provenance),
    )


def _service_of_task(task: Any, max_length: int | None, tokens_only: bool) -> Service:
    if max_length is not None:
        task = copy.copy(task)  # the caller's keeps its own
        task.set_max_length(max_length)
    settings = task.settings
    has_windows = settings.long_texts == "windows" and not tokens_only
    return Service(
        model=task.model,
        kind=settings.kind,
        preprocess=None if tokens_only else task.preprocess,
        labels=task.targets.names,
        segments=settings.segments or 1,
        temperature=settings.temperature,
        threshold=settings.threshold,
        stride=stride_of(settings) if has_windows else None,
        provenance=_kept(task.provenance),
    )


def _kept(provenance: Mapping[str, Any]) -> dict[str, Any]:
    return {name: provenance[name] for name in _KEPT if name in provenance}


@contextlib.contextmanager
def _text_of(model: Any) -> Iterator[Path]:
    """A directory with what says how the model's text is tokenized."""
    with tempfile.TemporaryDirectory() as temporary:
        save_pretrained(model, Path(temporary, "model"))
        yield Path(temporary, "model")
