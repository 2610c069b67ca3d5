"""Records of a platform, lists for arrays, and float64 in every half of a round."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import linear_sum_assignment

from theorylab import matching as mm
from theorylab.errors import InputError


def test_a_market_of_lists_is_one_of_arrays():
    U, V = [[9.0, 12.0], [1.0, 2.0]], [[-5.0, -10.0], [3.0, 4.0]]
    for market in (mm.Market(U, V), mm.Market(tuple(map(tuple, U)), np.array(V))):
        np.testing.assert_array_equal(market.W, np.array(U) + np.array(V))
        assert market.agents == 4
    assert mm.Market([], []).U.shape == (0,)
    assert jax.tree.map(lambda a: a.shape, mm.Market(U, V)).U == (2, 2)
    with pytest.raises(InputError):
        mm.Market([[1.0], [1.0, 2.0]], V)


@pytest.mark.long
@given(st.integers(0, 10_000))
def test_transfers_of_rows_are_paid_by_their_partners(seed):
    rng = np.random.default_rng(seed)
    n, m = rng.integers(1, 6, 2)
    mate = np.full(n, -1)
    k = rng.integers(0, min(n, m) + 1)
    mate[rng.permutation(n)[:k]] = rng.permutation(m)[:k]
    tau = np.where(mate >= 0, rng.normal(size=n), 0.0)
    outcome = mm.outcome_from_rows(mate, tau, int(m))
    wanted = np.zeros(m)
    for i, j in enumerate(mate):
        if j >= 0:
            wanted[j] = -tau[i]
    np.testing.assert_array_equal(outcome.tau_col, wanted)
    np.testing.assert_array_equal(outcome.tau_row, tau)
    market = mm.Market(rng.normal(size=(n, m)), rng.normal(size=(n, m)))
    rows, cols = mm.net_utilities(market, outcome)  # transfers cancel: what is left is the weight
    matched = sum(market.W[i, j] for i, j in enumerate(mate) if j >= 0)
    assert rows.sum() + cols.sum() == pytest.approx(matched, abs=1e-12)


@pytest.mark.parametrize(
    ("given", "word"),
    [
        (([0, 0], [1.0, 1.0], 2), "twice"),
        (([0, -1], [1.0, 1.0], 2), "alone"),
        (([0, 1], [1.0], 2), "shape"),
        (([0, 2], [1.0, 1.0], 2), "lie in"),
    ],
)
def test_transfers_that_nobody_pays_are_refused(given, word):
    with pytest.raises(InputError, match=word):
        mm.outcome_from_rows(*given)


def _rounds(algorithm, rounds=6, seed=0):
    """State after some rounds, and counts and means kept by hand."""
    rng = np.random.default_rng(seed)
    n, m = algorithm.shape
    state, log = algorithm.init(), []
    for _ in range(rounds):
        state, decision = algorithm.propose(state)
        seen_row, seen_col = rng.normal(size=n), rng.normal(size=m)
        state = algorithm.observe(state, decision, seen_row, seen_col)
        pairs = np.asarray(decision.pairs)
        log += [(i, j, seen_row[i], seen_col[j]) for i, j in zip(*np.nonzero(pairs), strict=True)]
    return state, log


@pytest.mark.long
@pytest.mark.parametrize("kind", ["unstructured", "typed"])
def test_a_state_from_means_is_that_of_the_observations(kind):
    if kind == "typed":
        rows, cols = [0, 1, 0], [1, 0]
        model = mm.typed(rows, cols, horizon=50, width=0.3)
    else:
        rows, cols = [0, 1, 2], [0, 1]
        model = mm.unstructured((3, 2), horizon=50, width=0.3)
    algorithm = mm.match_ucb(model)
    state, log = _rounds(algorithm)
    shape = (max(rows) + 1, max(cols) + 1)
    count, row, col = np.zeros(shape), np.zeros(shape), np.zeros(shape)
    for i, j, a, b in log:
        at = rows[i], cols[j]
        count[at] += 1
        row[at] += a
        col[at] += b
    with np.errstate(invalid="ignore"):
        made = mm.state_from_means(algorithm, count.astype(int), row / count, col / count)
    for name in ("count", "row", "col"):
        np.testing.assert_allclose(
            getattr(made.knowledge, name), getattr(state.knowledge, name), atol=1e-14
        )
    (_, first), (_, second) = algorithm.propose(made), algorithm.propose(state)
    np.testing.assert_allclose(first.p, second.p, atol=1e-12)
    np.testing.assert_array_equal(first.outcome.row_to_col, second.outcome.row_to_col)


def test_what_counts_and_means_do_not_tell_is_refused():
    linear = mm.linear(np.eye(2), np.eye(2), horizon=10, noise_std=0.1)
    zero = np.zeros((2, 2))
    with pytest.raises(InputError, match="unstructured or typed"):
        mm.state_from_means(mm.match_ucb(linear), zero, zero, zero)
    algorithm = mm.match_ucb(mm.unstructured((2, 2), horizon=10, width=0.1))
    for counts, mean in (
        (zero[:1], zero),
        (zero - 1, zero),
        (zero + 0.5, zero),
        (zero + 1, zero + np.nan),
    ):
        with pytest.raises(InputError):
            mm.state_from_means(algorithm, counts, mean, zero)


MODELS = {
    "unstructured": lambda: mm.unstructured((2, 2), horizon=100, width=1e-3, clip=False),
    "typed": lambda: mm.typed([0, 1], [0, 1], horizon=100, width=1e-3, clip=False),
    "linear": lambda: mm.linear(np.eye(2), np.eye(2), horizon=100, noise_std=1e-3, l2=1e-6),
}


@pytest.mark.long
@pytest.mark.parametrize("kind", MODELS)
def test_both_halves_of_a_round_are_float64_whatever_the_caller_runs_in(kind):
    algorithm = mm.match_ucb(MODELS[kind]())
    state = algorithm.init()
    seen = np.array([0.1 + 1e-10, 0.3])  # that 1e-10 is lost in float32
    for _ in range(4):
        state, decision = algorithm.propose(state)
        state = algorithm.observe(state, decision, seen, seen)
    for leaf in jax.tree.leaves((state, decision)):
        assert np.asarray(leaf).dtype in (np.float64, bool) or np.asarray(leaf).dtype.kind == "i"
    with jax.enable_x64(True):  # the same rounds by one who runs in float64 anyway
        other = algorithm.init()
        for _ in range(4):
            other, expected = algorithm.propose(other)
            other = algorithm.observe(other, expected, seen, seen)
    for a, b in zip(jax.tree.leaves(decision), jax.tree.leaves(expected), strict=True):
        np.testing.assert_allclose(a, b, rtol=0, atol=1e-15)
    if kind == "unstructured":  # by hand: the sum of what the first row reported in its pairs
        total, visits = state.knowledge.row.sum(1)[0], state.knowledge.count.sum(1)[0]
        assert total == pytest.approx(visits * seen[0], abs=1e-15)
    single = jax.tree.map(
        lambda a: jnp.asarray(a, jnp.float32) if np.asarray(a).dtype == np.float64 else a, state
    )
    traced = jax.jit(lambda s: algorithm.propose(s)[1].outcome.tau_row)(single)
    assert traced.dtype == jnp.float32  # under jit numbers go back in the caller's precision
    np.testing.assert_allclose(traced, algorithm.propose(single)[1].outcome.tau_row, atol=1e-7)


def test_a_charged_outcome_and_its_bounds_keep_float64():
    algorithm = mm.match_ucb(MODELS["unstructured"]())
    state, _ = algorithm.init(), None
    state, decision = algorithm.propose(state)
    charged = mm.friction_outcome(decision, 1e-10)
    free = mm.friction_outcome(decision, 0.0)
    matched = np.asarray(decision.outcome.row_to_col) >= 0
    np.testing.assert_allclose((free.tau_row - charged.tau_row)[matched], 1e-10, rtol=1e-5)
    bounds = mm.Intervals(*(np.full((1, 1), v) for v in (0.1, 0.2, 0.1, 0.2)))
    assert not bounds.hold(np.full((1, 1), 0.2 + 1e-12), np.full((1, 1), 0.15)).any()


def test_a_partner_in_two_pairs_is_refused_where_reports_are_taken():
    model = mm.unstructured((2, 2), horizon=10, width=0.1)
    twice = np.array([[True, False], [True, False]])
    for pairs in (twice, twice.T):
        with pytest.raises(InputError, match="twice"):
            model.update(model.init(), pairs, np.zeros(2), np.zeros(2))


@given(st.integers(0, 10_000))
def test_the_gap_is_that_of_all_matchings(seed):
    """Against enumeration of all partial matchings of a 3 x 3 market."""
    from itertools import permutations, product

    rng = np.random.default_rng(seed)
    W = rng.normal(size=(3, 3)) + 0.5
    values = {
        frozenset((i, j) for i, (j, use) in enumerate(zip(p, on, strict=True)) if use)
        for p in permutations(range(3))
        for on in product((0, 1), repeat=3)
    }
    ranked = sorted((sum(W[i, j] for i, j in pairs) for pairs in values), reverse=True)
    assert mm.matching_gap(W) == pytest.approx(ranked[0] - ranked[1], abs=1e-12)
    rows, cols = linear_sum_assignment(np.maximum(W, 0), maximize=True)
    assert ranked[0] == pytest.approx(np.maximum(W, 0)[rows, cols].sum())


def test_a_column_used_twice_is_refused_by_all_that_take_a_matching():
    market = mm.Market(np.ones((2, 2)), np.ones((2, 2)))
    outcome = mm.Outcome(np.array([0, 0]), np.zeros(2), np.zeros(2))
    calls = [
        lambda: mm.best_coalition(market, outcome),
        lambda: mm.subset_instability(market, outcome),
        lambda: mm.minimal_subsidies(market, outcome),
        lambda: mm.utility_difference(market, outcome),
        lambda: mm.unrest(market, outcome),
        lambda: mm.net_utilities(market, outcome),
        lambda: mm.ntu_instability(market, outcome.row_to_col),
        lambda: mm.core_prices(market.W, outcome.row_to_col),
        lambda: mm.dual_gap(market.W, outcome.row_to_col, np.zeros(2), np.zeros(2)),
    ]
    for call in calls:
        with pytest.raises(InputError, match="twice"):
            call()
