"""An optimizer for fine-tuning, with a rate that the model's size bears."""

from collections.abc import Callable
from typing import Literal

from keras_albert.config import EncoderConfig
from keras_albert.errors import InputError
from keras_albert.optimizers.adamw import AdamW
from keras_albert.optimizers.layer_rates import layer_wise_rates
from keras_albert.optimizers.schedules import PolynomialDecayWithWarmup

_INF = float("inf")

# family: (narrowest hidden_dim, rate), widest first. For batches of about 32; each rate is one that
# the authors used at that size.
_RATES: dict[str, tuple[tuple[int, float], ...]] = {
    # BERT, appendix A.3: 5e-5, 3e-5 and 2e-5 for both sizes; large was sometimes unstable on small
    # data sets (section 4.1), hence its lowest. The miniatures (Turc et al. 2019,
    # arXiv:1908.08962; their model cards) were tuned among 3e-4, 1e-4, 5e-5 and 3e-5.
    "bert": ((1024, 2e-5), (768, 3e-5), (384, 5e-5), (0, 1e-4)),
    # google-research/albert, run_glue.sh, the same as the paper's table 14: from 1e-5 (SST-2, CoLA,
    # QNLI) over 2e-5 (MRPC, STS-B) to 5e-5 (QQP, at batch 128). For xlarge and xxlarge the lowest:
    # its README reports that v2 diverges on RACE at v1's 2e-5; 1e-5 is run_race.py's default since.
    "albert": ((2048, 1e-5), (768, 2e-5), (384, 5e-5), (0, 1e-4)),
    # brightmart/albert_zh: 2e-5 for large (README), 1e-4 for tiny (run_classifier_lcqmc.sh).
    "albert_zh": ((2048, 1e-5), (768, 2e-5), (384, 5e-5), (0, 1e-4)),
}

# argument: its rule, and what says whether a value keeps it. NaN keeps none.
_RULES: dict[str, tuple[str, Callable[[float], bool]]] = {
    "learning_rate": ("A rate is a finite number, at least 0", lambda value: 0 <= value < _INF),
    "clip": ("Gradients are clipped to a norm above 0", lambda value: value > 0),
    "ema": ("An average's momentum is at least 0 and below 1", lambda value: 0 <= value < 1),
    "power": ("A power is a finite number, at least 0", lambda value: 0 <= value < _INF),
}


def default_learning_rate(config: EncoderConfig) -> float:
    """The peak rate for fine-tuning, by family and width of the encoder.

    Args:
        config: The encoder's configuration.

    Returns:
        A rate for AdamW and batches of about 32 rows, on the safe side of what the authors used:
        an encoder that is wide, or an ALBERT, whose every step moves all layers at once, diverges
        at rates that smaller ones need.

    Example:

    >>> import keras_albert as ka
    >>> ka.optimizers.default_learning_rate(ka.EncoderConfig.published("albert-xxlarge-v2"))
    1e-05
    """
    return next(rate for width, rate in _RATES[config.family] if config.hidden_dim >= width)


def default_optimizer(
    config: EncoderConfig,
    total_steps: int,
    *,
    learning_rate: float | None = None,
    warmup: float | int = 0.1,
    weight_decay: float = 0.01,
    clip: float | None = 1.0,
    layer_decay: float | None = None,
    ema: float | None = None,
    accumulation: int = 1,
    schedule: Literal["linear", "polynomial", "constant"] = "linear",
    power: float = 1.0,
) -> AdamW:
    """AdamW with warm-up and decay, as Google fine-tunes BERT and ALBERT.

    AdamW for ALBERT too: LAMB pre-trained it, at a batch of 4,096, but google-research/albert
    fine-tunes with AdamW. It is the default of run_classifier.py's `--optimizer`, set once more in
    run_glue.sh, and run_race.py and run_squad_v1.py offer no other.

    Args:
        config: The encoder's configuration; it gives the rate and the layers' depths.
        total_steps: Updates of the weights over the whole training: batches, divided by
            `accumulation`. The rate reaches 0 there.
        learning_rate: Peak rate; `default_learning_rate(config)` where it is not given.
        warmup: Share of `total_steps` below 1, rounded down as Google's `warmup_proportion` is, or
            an integer number of steps. So a run of fewer than 10 steps has no warm-up by default.
        weight_decay: Decoupled decay of all but biases and LayerNorms, times the rate.
        clip: Largest global norm of the gradients, `None` for no clipping.
        layer_decay: Factor of `layer_wise_rates`, `None` for one rate.
        ema: Momentum of a moving average of the weights, which takes their place at the end of
            `fit`; `None` for none.
        accumulation: Batches whose mean gradient makes one update; fewer, which are left at the end
            of the training, make none.
        schedule: What follows the warm-up: `"linear"` decay to 0, `"polynomial"` decay with
            `power`, or a `"constant"` rate.
        power: Of the polynomial decay.

    Returns:
        The optimizer. A constant rate without warm-up is a variable, which callbacks may set.

    Raises:
        InputError: An argument outside of its range; `power` with another schedule.

    Example:

    >>> import keras_albert as ka
    >>> config = ka.EncoderConfig.published("bert-base-uncased")
    >>> optimizer = ka.optimizers.default_optimizer(config, total_steps=1000)
    """
    numbers = {"learning_rate": learning_rate, "clip": clip, "ema": ema, "power": power}
    for name, (rule, is_kept) in _RULES.items():
        value = numbers[name]
        if value is not None and not is_kept(value):
            raise InputError(f"{rule}. Received: {name}={value!r}")
    if isinstance(accumulation, bool) or not isinstance(accumulation, int) or accumulation < 1:
        raise InputError(
            f"An update takes at least one batch. Received: accumulation={accumulation!r}"
        )
    rate = default_learning_rate(config) if learning_rate is None else float(learning_rate)
    return AdamW(
        _schedule(rate, total_steps, _warmup_steps(warmup, total_steps), schedule, power),
        weight_decay=weight_decay,
        global_clipnorm=clip,
        rate_multipliers=() if layer_decay is None else layer_wise_rates(config, layer_decay),
        use_ema=ema is not None,
        ema_momentum=0.99 if ema is None else ema,
        gradient_accumulation_steps=accumulation if accumulation > 1 else None,
    )


def _warmup_steps(warmup: float | int, total_steps: int) -> int:
    if isinstance(warmup, bool) or not isinstance(warmup, int | float) or not warmup >= 0:
        raise InputError(
            f"A warm-up is a share below 1 or a number of steps. Received: warmup={warmup!r}"
        )
    if isinstance(warmup, int):
        return warmup
    if warmup >= 1:
        raise InputError(
            "A warm-up given as a float is a share of all steps, below 1; a number of steps is an "
            f"integer. Received: warmup={warmup!r}"
        )
    return int(total_steps * warmup)


def _schedule(
    rate: float, total_steps: int, warmup_steps: int, schedule: str, power: float
) -> float | PolynomialDecayWithWarmup:
    if schedule not in ("linear", "polynomial", "constant"):
        raise InputError(
            f'A schedule is "linear", "polynomial" or "constant". Received: schedule={schedule!r}'
        )
    if power != 1.0 and schedule != "polynomial":
        raise InputError(
            f'power belongs to the schedule "polynomial". Received: power={power!r}, '
            f"schedule={schedule!r}"
        )
    if schedule == "constant":
        if not warmup_steps:
            return rate
        power = 0.0
    return PolynomialDecayWithWarmup(rate, total_steps, warmup_steps, power=power)
