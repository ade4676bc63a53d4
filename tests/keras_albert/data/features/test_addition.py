"""Sums that are the same in every version of Python."""

from keras_albert.data.features.addition import added


def test_every_number_is_added_and_rounded_in_its_turn():
    # 2**53 + 1 lies between two float64; the exact sum, 2**53 + 2, does not.
    assert added([2.0**53, 1.0, 1.0]) == 2.0**53
    assert added([1.0, 1.0, 2.0**53]) == 2.0**53 + 2


def test_nothing_adds_up_to_zero():
    assert added([]) == 0.0
