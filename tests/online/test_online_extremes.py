"""The ends of the floating range: the right number in exact arithmetic, or a refusal by name."""

import mpmath
import numpy as np
import pytest

from theorylab import online
from theorylab.errors import InputError

TINY, HUGE = 5e-324, 1.7e308


def exact_prr(sizes, share):
    """(2 OPT - (1-a) sum x) / (1+a), statement 2 of docs/derivations/scheduling.md."""
    x, a = sorted(map(mpmath.mpf, sizes)), mpmath.mpf(share)
    opt = mpmath.fsum((len(x) - j) * size for j, size in enumerate(x))
    return float((2 * opt - (1 - a) * mpmath.fsum(x)) / (1 + a))


@pytest.mark.parametrize("share", [0.0, 0.3, 1.0])
@pytest.mark.parametrize("sizes", [[HUGE], [1e307, 1.4e308], [3e307, 2e306, 4e307], [TINY, 1.0]])
def test_costs_of_huge_jobs(sizes, share):
    """Twice the optimum overflowed, though the cost does not."""
    found = online.prr_perfect_cost(sizes, share)
    np.testing.assert_allclose(found, exact_prr(sizes, share), rtol=1e-14)
    np.testing.assert_allclose(online.round_robin_cost(sizes), exact_prr(sizes, 0), rtol=1e-14)


def test_shares_and_jobs_broadcast():
    sizes, shares = [[1.0, 2.0], [5.0, 3.0], [4.0, 4.0]], [[0.0], [0.5]]
    found = online.prr_perfect_cost(sizes, shares)
    expected = [[exact_prr(x, *a) for x in sizes] for a in shares]
    np.testing.assert_allclose(found, expected, rtol=1e-14)


def test_a_tiny_trust_matters_where_it_is_asked_for_alone():
    """The other branch, b / lam, is beyond float64."""
    assert float(online.deterministic_buy_day(20, 10, TINY)) == 1.0
    assert float(online.randomized_support(20, 10, TINY)) == 1.0
    expected = float(mpmath.ceil(10 / mpmath.mpf(1e-300)))
    np.testing.assert_allclose(online.deterministic_buy_day(0, 10, 1e-300), expected, rtol=1e-11)
    assert float(online.deterministic_lower_bound(TINY, 10)) == 10.0  # 1 + (b-1)/(lam b + 1)


@pytest.mark.parametrize(
    ("named", "call"),
    [
        ("sizes", lambda: online.opt_cost([HUGE, HUGE])),
        ("sizes", lambda: online.prr_perfect_cost([HUGE, HUGE], 1.0)),
        ("sizes", lambda: online.round_robin_cost([1e308, 1e308])),
        ("sizes", lambda: online.competitive_ratio(1.7e308, [1e308, 1e308])),
        ("sizes", lambda: online.competitive_ratio(1.0, [TINY])),
        ("spjf_share", lambda: online.prr_guarantees(TINY)),
        ("lam", lambda: online.deterministic_buy_day(0.0, 10, TINY)),
        ("lam", lambda: online.randomized_support([0.0, 20.0], 10, TINY)),
        ("lam", lambda: online.deterministic_lower_bound(TINY)),
        ("b", lambda: online.ski_ratios([0.5, 0.5], 1e300, [1, 2])),
        ("n", lambda: online.prr_consistency(10**400, 0.5)),
        ("n", lambda: online.scheduling_lower_bound(10**200, 0.1)),
    ],
)
def test_what_float64_cannot_hold_is_refused_by_name(named, call):
    with pytest.raises(InputError, match=rf"^{named} "):
        call()


def test_an_infinite_cost_is_infinitely_much():
    assert float(online.competitive_ratio(np.inf, [1.0])) == np.inf
