import numpy as np
import pytest

from theorylab.errors import InputError
from theorylab.matching import break_even, matching_gap, regret_bound, typed_regret_bound


def test_the_bound_is_the_worked_sum_of_widths_when_all_pairs_are_seen_equally_often():
    n, m, horizon, width = 3, 3, 900, 0.5
    half = width * np.sqrt(np.log(6 * horizon))
    visits = horizon // 3  # every pair is matched in every third round
    worked = 9 * (4 + sum(4 * half / np.sqrt(k) for k in range(1, visits)))
    bound = regret_bound(n, m, horizon, width)
    # the sum of 1/sqrt(k) is within 2 of 2 sqrt(n)
    assert worked <= bound <= worked + 9 * 4 * half * 2


def test_at_equal_sides_and_width_8_the_bound_is_n_squared_plus_22_6_n_to_the_1_5_root_t():
    agents, horizon = 20, 10_000
    expected = agents**2 + 8 * 8 / 8**0.5 * agents**1.5 * np.sqrt(
        horizon * np.log(agents * horizon)
    )
    assert regret_bound(10, 10, horizon, 8.0) == pytest.approx(expected)


def test_bounds_grow_with_rounds_and_types():
    assert (np.diff(regret_bound(4, 5, 100, 0.5, rounds=np.arange(1, 101))) > 0).all()
    assert typed_regret_bound(2, 6, 6, 100, 0.5) < typed_regret_bound(3, 6, 6, 100, 0.5)


def test_break_even_is_where_earnings_equal_the_bound():
    t = break_even(4, 5, 1000, 0.5, 0.3)
    assert 2 * 0.3 * 4 * t == pytest.approx(float(regret_bound(4, 5, 1000, 0.5, rounds=t)))


def test_the_matching_gap_is_best_minus_second_best_by_enumeration():
    rng = np.random.default_rng(0)
    for weights in rng.uniform(-1, 1, (20, 2, 3)):
        values = [0.0, *weights.ravel()]
        values += [weights[0, a] + weights[1, b] for a in range(3) for b in range(3) if a != b]
        best, second = sorted(values)[-1:-3:-1]
        assert matching_gap(weights) == pytest.approx(best - second)


def test_senseless_numbers_are_refused():
    for call in (
        lambda: regret_bound(0, 3, 10, 0.5),
        lambda: break_even(3, 3, 10, 0.5, 0.0),
        lambda: typed_regret_bound(2, 3, 3, 10, -1.0),
    ):
        with pytest.raises(InputError):
            call()


def test_small_integers_of_numpy_are_the_numbers_that_they_say():
    """16 times 16 of uint8 is 0."""
    small = [np.uint8(k) for k in (20, 30, 200)]
    assert regret_bound(*small, 0.5) == regret_bound(20, 30, 200, 0.5)
    assert typed_regret_bound(np.uint8(17), *small, 0.5) == typed_regret_bound(17, 20, 30, 200, 0.5)
    assert break_even(*small, 0.5, 0.3) == break_even(20, 30, 200, 0.5, 0.3)
