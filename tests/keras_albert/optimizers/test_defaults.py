"""Rates by size and by depth, and the optimizer that fine-tunes by default."""

import math

import keras
import numpy as np
import pytest

import keras_albert as ka
from keras_albert.errors import InputError
from keras_albert.optimizers import (
    AdamW,
    PolynomialDecayWithWarmup,
    default_learning_rate,
    default_optimizer,
    layer_wise_rates,
)

BERT = ka.EncoderConfig.published("bert-base-uncased")


@pytest.mark.parametrize(
    ("name", "rate"),
    [
        ("bert-base-uncased", 3e-5),
        ("bert-large-uncased", 2e-5),
        ("albert-base-v2", 2e-5),
        ("albert-xlarge-v2", 1e-5),
        ("albert-xxlarge-v2", 1e-5),
    ],
)
def test_wide_encoders_get_the_authors_low_rates(name, rate):
    assert default_learning_rate(ka.EncoderConfig.published(name)) == rate


def test_the_default_optimizer_warms_up_decays_to_zero_and_clips():
    optimizer = default_optimizer(BERT, 100)
    schedule = optimizer._learning_rate
    assert isinstance(optimizer, AdamW)
    assert isinstance(schedule, PolynomialDecayWithWarmup)
    assert float(schedule(5)) == pytest.approx(3e-5 * 5 / 10)
    assert float(schedule(100)) == 0.0
    assert (optimizer.global_clipnorm, optimizer.weight_decay_rate) == (1.0, 0.01)
    assert not optimizer.use_ema


@pytest.mark.parametrize("steps", [1, 2, 9])
def test_short_runs_have_a_rate_in_every_step(steps):
    schedule = default_optimizer(BERT, steps)._learning_rate
    rates = [float(schedule(step)) for step in range(steps)]
    assert all(0 < rate <= 3e-5 for rate in rates)


@pytest.mark.parametrize(
    "arguments",
    [
        {"learning_rate": -1e-5},
        {"learning_rate": math.nan},
        {"learning_rate": math.inf},
        {"weight_decay": -0.01},
        {"weight_decay": math.nan},
        {"weight_decay": math.inf},
        {"clip": 0.0},
        {"clip": math.nan},
        {"layer_decay": math.nan},
        {"ema": -0.1},
        {"ema": 1.0},
        {"ema": math.nan},
        {"accumulation": 0},
        {"accumulation": True},
        {"warmup": -1},
        {"warmup": 1.5},
        {"warmup": math.nan},
        {"schedule": "cosine"},
        {"schedule": "linear", "power": 2.0},
        {"schedule": "polynomial", "power": -1.0},
        {"schedule": "polynomial", "power": math.inf},
    ],
)
def test_arguments_outside_of_their_range_are_refused_in_one_line(arguments):
    with pytest.raises(InputError, match="Received: ") as error:
        default_optimizer(BERT, 100, **arguments)
    assert "\n" not in str(error.value)


def test_a_constant_rate_stays_after_its_warmup_and_is_settable_without_one():
    schedule = default_optimizer(BERT, 100, warmup=4, schedule="constant")._learning_rate
    assert [float(schedule(step)) for step in (1, 4, 99, 200)] == pytest.approx(
        [3e-5 / 4, 3e-5, 3e-5, 3e-5]
    )
    optimizer = default_optimizer(BERT, 100, warmup=0, schedule="constant", learning_rate=1e-3)
    assert float(optimizer.learning_rate) == pytest.approx(1e-3)
    optimizer.learning_rate = 1e-4
    assert float(optimizer.learning_rate) == pytest.approx(1e-4)


def test_the_polynomial_schedule_has_its_power():
    schedule = default_optimizer(BERT, 100, schedule="polynomial", power=2.0)._learning_rate
    assert float(schedule(50)) == pytest.approx(3e-5 / 4)


@pytest.mark.parametrize(
    ("config", "decay"), [(BERT, 0.0), (BERT, 1.5), (BERT, True), (BERT, "0.9"), ("bert", 0.9)]
)
def test_layer_wise_rates_need_a_configuration_and_a_decay_up_to_one(config, decay):
    with pytest.raises(InputError, match=r"Received: (config|decay)="):
        layer_wise_rates(config, decay)


def factors(encoder, config, decay):
    """The factor of every variable, as the optimizer finds it."""
    optimizer = AdamW(1.0, rate_multipliers=layer_wise_rates(config, decay))
    optimizer.build(encoder.trainable_variables)
    paths = [variable.path for variable in encoder.trainable_variables]
    return dict(zip(paths, optimizer._multiplier_of, strict=True))


def test_bert_learns_slower_the_deeper_a_layer_lies():
    config = ka.EncoderConfig(
        vocab_size=20, hidden_dim=8, num_layers=3, num_heads=2, intermediate_dim=12
    )
    found = factors(ka.bert_encoder(config), config, 0.5)
    assert found["token_embedding/embeddings"] == pytest.approx(0.5**4)
    for layer in range(3):
        path = f"encoder_block_{layer}/attention/query/kernel"
        assert found[path] == pytest.approx(0.5 ** (3 - layer))
    assert found["pool/kernel"] == 1.0


def test_albert_s_shared_block_learns_at_the_mean_of_its_depths():
    rates = dict(layer_wise_rates(ka.EncoderConfig.published("albert-base-v2"), 0.8))
    geometric = 0.8 * (1 - 0.8**12) / (1 - 0.8)  # 0.8 + 0.8**2 + … + 0.8**12
    assert rates[r"(^|/)encoder_block_0/"] == pytest.approx(geometric / 12)


def test_every_run_of_a_group_s_inner_block_counts_by_its_depth():
    config = ka.EncoderConfig(
        vocab_size=20,
        embedding_dim=4,
        hidden_dim=8,
        num_layers=4,
        num_heads=2,
        intermediate_dim=12,
        num_groups=2,
        inner_layers=2,
    )
    assert config.schedule == (0, 1, 0, 1, 2, 3, 2, 3)
    encoder = ka.albert_encoder(config)
    found = factors(encoder, encoder, 0.5)
    assert found["embedding_projection/kernel"] == 0.5**9
    path = "encoder_block_{}/attention/query/kernel"
    assert found[path.format(0)] == (0.5**8 + 0.5**6) / 2
    assert found[path.format(3)] == (0.5**3 + 0.5**1) / 2


def test_a_variable_moves_by_its_own_rate():
    config = ka.EncoderConfig(
        vocab_size=20, hidden_dim=8, num_layers=2, num_heads=2, intermediate_dim=12
    )
    encoder = ka.bert_encoder(config)
    rates = layer_wise_rates(config, 0.5)
    optimizer = AdamW(1.0, weight_decay=0.0, beta_1=0.0, beta_2=0.0, rate_multipliers=rates)
    before = {v.path: v.numpy() for v in encoder.trainable_variables}
    # Without memory and decay, each weight moves by the rate times the gradient's sign.
    optimizer.apply(
        [keras.ops.ones(v.shape) for v in encoder.trainable_variables],
        encoder.trainable_variables,
    )
    multipliers = factors(encoder, config, 0.5)
    for variable in encoder.trainable_variables:
        moved = before[variable.path] - variable.numpy()
        np.testing.assert_allclose(moved, multipliers[variable.path], rtol=1e-3)


def test_the_optimizer_comes_back_with_its_rates():
    optimizer = default_optimizer(BERT, 100, layer_decay=0.9, ema=0.99, accumulation=2)
    again = keras.optimizers.deserialize(keras.optimizers.serialize(optimizer))
    assert again.get_config() == optimizer.get_config()
    assert again.rate_multipliers == tuple(layer_wise_rates(BERT, 0.9))
