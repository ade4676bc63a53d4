import keras
import numpy as np
import pytest

from keras_albert.errors import InputError
from keras_albert.optimizers import PolynomialDecayWithWarmup


def rates(schedule, steps):
    return np.array([float(schedule(step)) for step in steps], "float32")


def test_the_decay_counts_from_step_zero_so_the_rate_falls_where_the_warmup_ends():
    schedule = PolynomialDecayWithWarmup(1.0, total_steps=100, warmup_steps=10)
    np.testing.assert_allclose(rates(schedule, [0, 1, 9, 10, 55]), [0, 0.1, 0.9, 0.9, 0.45], 1e-6)


def test_the_rate_is_zero_from_the_last_step_on():
    schedule = PolynomialDecayWithWarmup(1.0, total_steps=10, power=0.5)
    np.testing.assert_array_equal(rates(schedule, [10, 11, 10_000]), 0.0)


def test_the_rate_is_negative_before_a_late_warmup_as_googles_formula_has_it():
    schedule = PolynomialDecayWithWarmup(1.0, total_steps=30, warmup_steps=4, start_warmup_step=2)
    np.testing.assert_allclose(rates(schedule, [0, 1, 2, 3]), [-0.5, -0.25, 0.0, 0.25], 1e-6)


@pytest.mark.parametrize("total_steps", [1, 2, 5])
def test_a_warmup_longer_than_the_run_goes_up_to_its_end(total_steps):
    schedule = PolynomialDecayWithWarmup(1.0, total_steps=total_steps, warmup_steps=10)
    steps = np.arange(total_steps + 2)
    np.testing.assert_allclose(rates(schedule, steps), steps / 10, rtol=1e-6)


def test_a_run_of_one_step_takes_it_at_the_full_rate_without_warmup_and_at_zero_with_it():
    assert rates(PolynomialDecayWithWarmup(1.0, total_steps=1), [0, 1]).tolist() == [1.0, 0.0]
    warm = PolynomialDecayWithWarmup(1.0, total_steps=1, warmup_steps=1)
    assert rates(warm, [0, 1]).tolist() == [0.0, 0.0]


def test_power_zero_is_a_constant_rate_after_the_warmup():
    schedule = PolynomialDecayWithWarmup(1.0, total_steps=10, warmup_steps=2, power=0.0)
    np.testing.assert_array_equal(rates(schedule, [0, 1, 2, 9, 10, 99]), [0, 0.5, 1, 1, 1, 1])


def test_a_schedule_survives_its_config():
    schedule = PolynomialDecayWithWarmup(0.02, 15, 3, power=2.0, start_warmup_step=1)
    again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(schedule))
    assert type(again) is PolynomialDecayWithWarmup
    np.testing.assert_array_equal(rates(again, range(20)), rates(schedule, range(20)))


@pytest.mark.parametrize("steps", [{"total_steps": 0}, {"total_steps": 9, "warmup_steps": -1}])
def test_impossible_numbers_of_steps_are_refused(steps):
    name, value = list(steps.items())[-1]
    with pytest.raises(InputError, match=f"Received: {name}={value}"):
        PolynomialDecayWithWarmup(1.0, **steps)
