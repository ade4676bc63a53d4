"""How a run fine-tunes; the fields have the names of the flags of `keras-albert fit`."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from keras_albert.config import EncoderConfig
from keras_albert.data.batching import check_batch_size
from keras_albert.errors import InputError
from keras_albert.optimizers.defaults import default_learning_rate

_COMPILE = (
    "learning_rate",
    "warmup",
    "weight_decay",
    "layer_decay",
    "ema",
    "accumulation",
    "label_smoothing",
    "freeze",
)


@dataclass(frozen=True)
class Settings:
    """What is None is chosen by the model's size and the data.

    Attributes:
        epochs: See `TextClassifier.fit`, as `batch_size`, `monitor`, `patience`, `save_every` and
            `seed`.
        batch_size: See above.
        learning_rate: See `TextClassifier.compile`, as the fields down to `freeze`.
        warmup: See above.
        weight_decay: See above.
        layer_decay: See above.
        ema: See above.
        accumulation: See above.
        label_smoothing: See above.
        freeze: See above.
        class_weight: A weight by class, or "balanced": inverse to how often each occurs.
        max_length: Most tokens of a text, [CLS] and [SEP] included; by default what covers 99 % of
            the training rows, at most 128.
        long_texts: See `TextClassifier.from_pretrained`, as the fields down to `fresh_head`.
        stride: See above.
        threshold: See above.
        lower_case: See above.
        dtype: See above.
        fresh_head: See above.
        seed: See above.
        deterministic: See `set_seed`.
        monitor: See above.
        patience: See above.
        save_every: See above.
        calibration: Whether to fit the probabilities' temperature to the validation.
        baselines: Whether to measure simple methods on the same rows.
        tensorboard: Whether to write a log for TensorBoard.
        reading: How to read the checkpoint: further arguments of `load_model`.
    """

    epochs: int = 3
    batch_size: int = 32
    learning_rate: float | None = None
    warmup: float | int | None = None
    weight_decay: float | None = None
    layer_decay: float | None = None
    ema: float | None = None
    accumulation: int | None = None
    label_smoothing: float = 0.0
    freeze: Sequence[str] = ()
    class_weight: Mapping[str, float] | str | None = None
    max_length: int | None = None
    long_texts: str = "cut"
    stride: int | None = None
    threshold: float = 0.5
    lower_case: bool | None = None
    dtype: str | None = None
    fresh_head: bool = False
    seed: int = 0
    deterministic: bool = False
    monitor: str | None = None
    patience: int | None = None
    save_every: int | None = None
    calibration: bool = True
    baselines: bool = True
    tensorboard: bool = False
    reading: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        check_batch_size(self.batch_size)
        if self.epochs < 1:
            raise InputError(f"There is at least one epoch. Received: epochs={self.epochs}")

    def peak_rate(self, config: EncoderConfig) -> float:
        """The learning rate after the warm-up."""
        chosen = self.learning_rate
        return default_learning_rate(config) if chosen is None else chosen

    def compile_arguments(self) -> dict[str, Any]:
        """Those of `TextClassifier.compile`."""
        return {name: getattr(self, name) for name in _COMPILE}
