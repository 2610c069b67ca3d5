from itertools import permutations, product

import jax
import numpy as np
import pytest

from theorylab.errors import InputError
from theorylab.matching import (
    Market,
    deferred_acceptance,
    match_ntu_ucb,
    ntu_instability,
    random_market,
    simulate,
    unstructured,
)
from theorylab.matching.references import ntu_milp


def markets(count, shape=(3, 3)):
    rng = np.random.default_rng(0)
    return [Market(*rng.uniform(-1, 1, (2, *shape))) for _ in range(count)]


def blocking(market, mate):
    """Pairs that would both rather be together, and agents who would rather be alone."""
    n, m = market.U.shape
    row = np.array([market.U[i, j] if j >= 0 else 0.0 for i, j in enumerate(mate)])
    col = np.zeros(m)
    for i, j in enumerate(mate):
        if j >= 0:
            col[j] = market.V[i, j]
    pairs = [
        (i, j)
        for i in range(n)
        for j in range(m)
        if market.U[i, j] > row[i] and market.V[i, j] > col[j]
    ]
    return pairs, int((row < 0).sum() + (col < 0).sum())


def stable_matchings(market):
    n, m = market.U.shape
    for chosen in product(range(-1, m), repeat=n):
        taken = [j for j in chosen if j >= 0]
        if len(set(taken)) == len(taken) and blocking(market, chosen) == ([], 0):
            yield chosen


@pytest.mark.parametrize("shape", [(3, 3), (2, 4), (4, 2)])
def test_deferred_acceptance_is_the_best_stable_matching_for_rows_by_brute_force(shape):
    for market in markets(12, shape):
        found = deferred_acceptance(market)
        assert blocking(market, found) == ([], 0)
        worth = [
            [market.U[i, j] if j >= 0 else 0.0 for i, j in enumerate(x)]
            for x in stable_matchings(market)
        ]
        mine = [market.U[i, j] if j >= 0 else 0.0 for i, j in enumerate(found)]
        assert np.all(np.asarray(mine) >= np.max(worth, axis=0) - 1e-12)


def test_instability_is_zero_exactly_at_stable_matchings():
    for market in markets(6):
        stable = set(stable_matchings(market))
        every = np.array([*permutations(range(3)), [-1, -1, -1], [0, -1, 2]])
        for mate, value in zip(every, ntu_instability(market, every), strict=True):
            assert (value < 1e-12) == (tuple(mate.tolist()) in stable)


def test_enumeration_and_the_mixed_integer_solver_agree_on_every_shape():
    rng = np.random.default_rng(1)
    for shape in ((3, 3), (2, 4), (4, 2), (1, 1)):
        for market in markets(4, shape):
            mate = np.full(shape[0], -1)
            k = rng.integers(0, min(shape) + 1)
            mate[:k] = rng.permutation(shape[1])[:k]
            assert ntu_instability(market, mate) == pytest.approx(ntu_milp(market, mate), abs=1e-7)


def test_large_markets_go_to_the_solver_and_a_stable_one_costs_nothing():
    market = markets(1, (7, 7))[0]
    assert ntu_instability(market, deferred_acceptance(market)) == pytest.approx(0, abs=1e-9)


def test_empty_markets_and_single_agents_are_exact():
    assert deferred_acceptance(Market(np.zeros((2, 0)), np.zeros((2, 0)))).tolist() == [-1, -1]
    assert ntu_instability(Market(np.zeros((2, 0)), np.zeros((2, 0))), np.array([-1, -1])) == 0
    assert ntu_milp(Market(np.zeros((2, 0)), np.zeros((2, 0))), np.array([-1, -1])) == 0
    lonely = Market(np.array([[0.4]]), np.array([[0.7]]))
    assert (
        deferred_acceptance(lonely).tolist() == [0]
        and ntu_instability(lonely, np.array([-1])) == 0.4
    )


def test_instability_never_exceeds_the_excess_while_the_intervals_hold():
    market = jax.vmap(lambda key: random_market(key, 3))(jax.random.split(jax.random.key(0), 4))
    algorithm = match_ntu_ucb(unstructured((3, 3), horizon=200, width=0.5))
    trace = simulate(jax.random.split(jax.random.key(1), 4), market, algorithm, 200, noise_std=0.25)
    for i in range(4):
        loss = ntu_instability(Market(market.U[i], market.V[i]), trace.row_to_col[i])
        assert trace.covered[i].all() and (loss <= trace.excess[i] + 1e-9).all()
        assert loss[-50:].mean() < loss[:10].mean()


def test_matchings_that_do_not_fit_are_refused():
    market = markets(1)[0]
    with pytest.raises(InputError, match=r"row_to_col must be \(\.\.\., 3\)"):
        ntu_instability(market, np.array([0, 1]))
    with pytest.raises(InputError, match="twice"):
        ntu_instability(market, np.array([0, 0, 1]))
