import random

import numpy as np
import pytest

from keras_albert.data.features.alignment import align, nearest
from tests.keras_albert.data.features.reference import load
from tests.paths import REFERENCE, needs_shared


def same(text):
    return {character: character for character in text}


def by_the_table(original, cleaned, alone):
    """The same cell by cell, as squad_utils.py describes it; absent cells are out of the band."""
    n, m = len(original), len(cleaned)
    band = abs(n - m) + 5
    for _ in range(2):
        best, step = {}, {}
        for i in range(n):
            for j in range(max(0, i - band), min(m, i + band)):
                best[i, j] = 0
                if i > 0:
                    step[i, j], best[i, j] = "up", best.get((i - 1, j), 0)
                if j > 0 and best.get((i, j - 1), 0) > best[i, j]:
                    step[i, j], best[i, j] = "left", best[i, j - 1]
                before = best.get((i - 1, j - 1), 0)
                if alone[original[i]] == cleaned[j] and before + 1 > best[i, j]:
                    step[i, j], best[i, j] = "pair", before + 1
        if best[n - 1, m - 1] > 0.8 * n:
            break
        band *= 2
    pairs = []
    i, j = n - 1, m - 1
    while (i, j) in step:
        if step[i, j] == "pair":
            pairs.append((i, j))
        i, j = i - (step[i, j] != "left"), j - (step[i, j] != "up")
    if not pairs or best[n - 1, m - 1] < 0.8 * n:
        return None
    return pairs[::-1]


def pairs_of(alignment):
    if alignment is None:
        return None
    pairs = [(i, j) for i, j in enumerate(alignment.to_cleaned.tolist()) if j >= 0]
    back = [(i, j) for j, i in enumerate(alignment.to_original.tolist()) if i >= 0]
    assert pairs == back
    return pairs


def test_whatever_the_texts_the_pairs_are_those_of_the_table():
    rng = random.Random(0)
    found = 0
    for _ in range(400):
        original = "".join(rng.choices("ab A", k=rng.randint(1, 30)))
        cleaned = list(original.lower())
        for _ in range(rng.randint(0, 8)):
            place = rng.randrange(len(cleaned) + 1)
            cleaned[place : place + rng.randint(0, 2)] = rng.choices("ab c", k=rng.randint(0, 2))
        cleaned = "".join(cleaned) or "a"
        alone = {"a": "a", "b": "b", " ": " ", "A": "a"}
        expected = by_the_table(original, cleaned, alone)
        assert pairs_of(align(original, cleaned, alone)) == expected, (original, cleaned)
        found += expected is not None
    assert 100 < found < 400


@pytest.mark.parametrize("text", ["abc", "a", "aaa b", "b aaa"])
def test_texts_that_differ_in_the_mark_alone_pair_one_by_one(text):
    pairs = pairs_of(align(text, f" {text}", same(text)))
    assert pairs == [(i, i + 1) for i in range(len(text))]
    assert pairs == by_the_table(text, f" {text}", same(text))


def test_a_character_that_becomes_two_or_none_has_no_partner():
    ligature, accent = "\N{LATIN SMALL LIGATURE FI}", "\N{COMBINING ACUTE ACCENT}"
    alone = same("abcdefghi") | {ligature: "fi", accent: ""}
    original = f"abcd{ligature}e{accent}fghi"
    alignment = align(original, " abcdfiefghi", alone)
    assert alignment.to_cleaned.tolist() == [1, 2, 3, 4, -1, 7, -1, 8, 9, 10, 11]


def test_texts_that_have_less_than_four_fifths_in_common_are_not_paired():
    assert align("abcdefghij", " abcdefghxx", same("abcdefghij")) is not None
    assert align("abcdefghij", " abcdefgxxx", same("abcdefghij")) is None


def test_nothing_is_paired_with_nothing():
    assert align("", " a", {}) is None
    assert align("a", "", same("a")) is None


@needs_shared
def test_the_nearest_character_is_googles():
    for case in load(REFERENCE / "squad_postprocess/albert_convert_index.jsonl"):
        partners = np.array([-1 if value is None else value for value in case["index"]])
        found = nearest(partners, np.array(case["pos"]), case["m"], start=case["is_start"])
        assert found == case["out"], case


@pytest.mark.parametrize(
    ("position", "start", "length", "expected"),
    [
        (1, True, None, 4),  # its own partner
        (0, True, None, 0),  # nothing before: the gap from the beginning
        (0, False, None, 3),
        (2, True, None, 5),  # the gap between 4 and 8
        (2, False, None, 7),
        (
            4,
            True,
            None,
            9,
        ),  # 8 and 9 leave no gap: a start is what follows, an end what went before
        (4, False, None, 8),
        (6, True, None, 9),  # nothing behind
        (6, False, None, 9),
        (6, True, 12, 10),  # the gap to the end
        (6, False, 12, 11),
        (6, True, 10, 9),  # no gap to the end
        (6, False, 10, 9),
    ],
)
def test_a_character_without_partner_stands_for_the_gap_around_it(
    position, start, length, expected
):
    partners = np.array([-1, 4, -1, 8, -1, 9, -1])
    assert nearest(partners, np.array([position]), length, start=start).tolist() == [expected]


def test_before_the_very_first_partner_there_is_nothing():
    partners = np.array([-1, 0])
    assert nearest(partners, np.array(0), 1, start=True) == 0
    assert nearest(partners, np.array(0), 1, start=False) == 0
