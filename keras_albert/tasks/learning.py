"""How a task learns: what `compile` was asked for, made into optimizer, loss and metrics."""

import fnmatch
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import keras

from keras_albert.errors import InputError
from keras_albert.optimizers.defaults import default_optimizer
from keras_albert.replicas import scope_of

_SHORTEST_BUCKET = 16  # tokens


@dataclass(frozen=True)
class Learning:
    """The arguments of `compile`.

    Attributes:
        optimizer: Keras' own argument; None for `default_optimizer`, which is made once the number
            of steps is known.
        schedule: Arguments of `default_optimizer`.
        loss: Keras' own argument; None for the task's.
        metrics: Keras' own argument; None for the task's.
        label_smoothing: Of the task's loss.
        freeze: Patterns of the names of layers that do not learn.
        options: Further arguments of `keras.Model.compile`.
    """

    optimizer: Any = None
    schedule: Mapping[str, Any] = field(default_factory=dict)
    loss: Any = None
    metrics: Any = None
    label_smoothing: float = 0.0
    freeze: tuple[str, ...] = ()
    options: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not 0 <= self.label_smoothing < 1:
            raise InputError(
                "Label smoothing is at least 0 and below 1. "
                f"Received: label_smoothing={self.label_smoothing!r}"
            )
        if self.optimizer is not None and self.schedule:
            raise InputError(
                "A rate and what belongs to it are the default optimizer's; an optimizer of one's "
                f"own has them already. Received: {', '.join(sorted(self.schedule))}"
            )
        if self.loss is not None and self.label_smoothing:
            raise InputError(
                "Label smoothing is the default loss's. "
                f"Received: label_smoothing={self.label_smoothing}, loss={self.loss!r}"
            )

    def compile(self, model: Any, targets: Any, steps: int, has_shares: bool) -> None:
        """Compiles the model for a training of `steps` batches.

        `has_shares` says that rows weigh less than a text does: windows, and copies that fill a
        batch. Then the default metrics count the weights, and the loss is the mean by them.
        """
        _freeze(model, self.freeze)
        with scope_of(model):
            self._compile(model, targets, steps, has_shares)

    def _compile(self, model: Any, targets: Any, steps: int, has_shares: bool) -> None:
        optimizer = self.optimizer
        if optimizer is None:
            moves = updates(steps, self.schedule.get("accumulation", 1))
            optimizer = default_optimizer(model.encoder_config, moves, **self.schedule)
        options = dict(self.options)
        metrics: Any = self.metrics
        if metrics is None:
            metrics = targets.running_metrics()
            if has_shares:
                options.setdefault("weighted_metrics", {"logits": metrics})
                metrics = []
        loss = self.loss
        if loss is None:
            loss = targets.loss(self.label_smoothing)
            if has_shares:
                loss.reduction = "mean_with_sample_weight"
        model.compile(
            optimizer,
            loss={"logits": loss},
            metrics=metrics if isinstance(metrics, dict) else {"logits": metrics},
            **{"jit_compile": self._compiled} | options,
        )

    def described(self, model: Any) -> dict[str, Any]:
        """What was learnt by, for a record; of a compiled model."""
        return {
            "optimizer": keras.saving.serialize_keras_object(model.optimizer)["config"],
            "loss": None if self.loss is None else str(self.loss),
            "label_smoothing": self.label_smoothing,
            "freeze": list(self.freeze),
        }

    @property
    def _compiled(self) -> bool:
        """Whether XLA compiles the step: for every length of a batch once more.

        By default it does where there is no other graph, on JAX.
        """
        default = keras.backend.backend() == "jax" and not self.options.get("run_eagerly")
        return self.options.get("jit_compile", default) is True

    def buckets(self, max_length: int) -> list[int] | None:
        """The lengths that batches may have; None for any."""
        if not self._compiled:
            return None
        lengths = []
        length = _SHORTEST_BUCKET
        while length < max_length:
            lengths.append(length)
            length *= 2
        return [*lengths, max_length]


def updates(batches: int, accumulation: int) -> int:
    """Updates of the weights in so many batches.

    Raises:
        InputError: There would be none.
    """
    if accumulation > batches:
        raise InputError(
            "An update takes at most the batches of the whole training. "
            f"Received: accumulation={accumulation}, batches={batches}"
        )
    return batches // accumulation


def _freeze(model: Any, patterns: Iterable[str]) -> None:
    """Lets all layers learn but those whose names match a pattern."""
    if not patterns:
        return  # what a person froze by hand stays frozen
    names = [layer.name for layer in model.layers if layer.weights]
    frozen = set()
    for pattern in patterns:
        matching = fnmatch.filter(names, pattern)
        if not matching:
            raise InputError(
                f"freeze names layers of the model: {', '.join(names)}. Received: {pattern!r}"
            )
        frozen.update(matching)
    for layer in model.layers:
        if layer.weights:
            layer.trainable = layer.name not in frozen
