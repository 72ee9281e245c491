"""Orders of stimuli keep what they promise, for every seed."""

from collections import Counter
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stimuli.protocols.order import balanced, first_order, order, spaced

SEEDS = st.integers(0, 2**32 - 1)


@given(st.integers(1, 12), st.integers(1, 15), SEEDS)
def test_a_balanced_order_repeats_nothing_at_once_and_shows_each_as_often(
    n: int, repeats: int, seed: int
) -> None:
    numbers = balanced(n, repeats, np.random.default_rng(seed))
    assert Counter(numbers) == dict.fromkeys(range(n), repeats)
    if n > 2:
        assert all(a != b for a, b in pairwise(numbers))
    rows = np.array(numbers).reshape(repeats, n)
    assert all(len(set(row)) == n for row in rows.tolist())


@given(st.integers(3, 12), SEEDS)
def test_over_n_repeats_each_stands_about_as_often_early_as_late(n: int, seed: int) -> None:
    rows = np.array(balanced(n, n, np.random.default_rng(seed))).reshape(n, n)
    halves = [sum(np.flatnonzero(row == item)[0] < n / 2 for row in rows) for item in range(n)]
    # A row that had to be turned around moves an item to the other half; the rest is a Latin square.
    assert max(halves) - min(halves) <= n // 2


@given(st.integers(2, 9), st.integers(1, 3), SEEDS)
def test_in_a_first_order_each_follows_each_equally_often(n: int, cycles: int, seed: int) -> None:
    numbers = first_order(n, cycles, np.random.default_rng(seed))
    assert Counter(pairwise(numbers)) == {(i, j): cycles for i in range(n) for j in range(n)}


@given(st.integers(2, 10), st.integers(1, 8), st.data(), SEEDS)
def test_flashes_of_one_item_lie_as_far_apart_as_asked(
    n: int, repeats: int, data: st.DataObject, seed: int
) -> None:
    spacing = data.draw(st.integers(0, n - 1))
    numbers = spaced(n, repeats, spacing, np.random.default_rng(seed))
    assert Counter(numbers) == dict.fromkeys(range(n), repeats)
    for item in range(n):
        places = [place for place, number in enumerate(numbers) if number == item]
        assert all(b - a > spacing for a, b in pairwise(places))


def test_orders_follow_from_the_seed_and_differ_between_seeds() -> None:
    def made(seed: int) -> list[list[int]]:
        return [
            make(np.random.default_rng(seed))
            for make in (
                lambda r: balanced(7, 3, r),
                lambda r: first_order(5, 1, r),
                lambda r: spaced(6, 4, 2, r),
            )
        ]

    assert made(4) == made(4)
    assert all(one != other for one, other in zip(made(4), made(5), strict=True))
    assert list(order(4, 2, "random", 3)) == list(order(4, 2, "random", 3))


def test_a_spacing_that_no_order_keeps_is_refused() -> None:
    with pytest.raises(ValueError, match="3 items can lie at most 2 others apart, not 3"):
        spaced(3, 2, 3, np.random.default_rng(0))
