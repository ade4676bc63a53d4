"""Layer-wise rate decay: the lower a layer, the smaller its learning rate."""

from typing import Any

from keras_albert.config import EncoderConfig
from keras_albert.errors import InputError

_EMBEDDINGS = (
    r"(^|/)((token|segment|position)_embedding|embedding_layer_norm|"
    r"(embedding|token)_projection)/"
)


def layer_wise_rates(config: EncoderConfig | Any, decay: float) -> list[tuple[str, float]]:
    """Factors of the learning rate that shrink with the distance from the output.

    With n block runs, the embeddings have depth 0, the run at step s depth s + 1, and pooler and
    head depth n + 1. What lies at depth d learns at ``decay ** (n + 1 - d)`` times the rate: the
    head at the full one, BERT's top block at `decay`, the embeddings at ``decay ** (n + 1)``.

    A block that runs at several depths, as ALBERT's shared one does at all, gets the mean of their
    factors. Its gradient is the sum of the gradients of its runs, and were each run a block of its
    own, run s would move by its own factor; tied again by averaging, the block moves by the mean.
    So one rule holds for BERT, where the mean is of one run, for ALBERT's groups, and for one block
    for all: at 12 layers and 0.8 the shared block learns at 0.31 times the rate. The alternatives
    would be wrong at one end: as the top block it would lose the protection that the decay is
    there for, at its mean depth (factor 0.23) its upper runs would hardly adapt.

    Source: Howard and Ruder 2018 (arXiv:1801.06146), section 3.2, "discriminative fine-tuning";
    for encoders Clark et al. 2020 (ELECTRA, arXiv:2003.10555), appendix B, with 0.8 and 0.9, whose
    code sets the head two factors above the top block instead of one.

    Args:
        config: An `EncoderConfig`, or a model of this package, which carries one.
        decay: Factor from one depth to the next, above 0; 1 is no decay.

    Returns:
        (regular expression, factor) pairs for the `rate_multipliers` of `AdamW` and `LAMB`; a
        variable that none finds (pooler, head) has factor 1.

    Raises:
        InputError: `decay` is not above 0 and at most 1, or `config` is or carries none.

    Example:

    >>> import keras_albert as ka
    >>> config = ka.EncoderConfig.published("bert-tiny")
    >>> [factor for _, factor in ka.optimizers.layer_wise_rates(config, 0.5)]
    [0.125, 0.25, 0.5]
    """
    config = getattr(config, "encoder_config", config)
    if not isinstance(config, EncoderConfig):
        raise InputError(
            f"Layer-wise rates need an EncoderConfig. Received: config={type(config).__name__}"
        )
    if isinstance(decay, bool) or not isinstance(decay, int | float) or not 0 < decay <= 1:
        raise InputError(f"A layer decay is above 0 and at most 1. Received: decay={decay!r}")
    runs = len(config.schedule)
    rates = [(_EMBEDDINGS, float(decay ** (runs + 1)))]
    for block in sorted(set(config.schedule)):
        factors = [decay ** (runs - s) for s, index in enumerate(config.schedule) if index == block]
        rates.append((rf"(^|/)encoder_block_{block}/", sum(factors) / len(factors)))
    return rates
