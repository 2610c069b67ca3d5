import jax
import jax.numpy as jnp
import numpy as np
import pytest

from theorylab.errors import InputError
from theorylab.matching import (
    Execution,
    Market,
    Outcome,
    hidden_matching_market,
    is_stable,
    linear,
    match_ntu_ucb,
    match_ucb,
    random_market,
    regret_bound,
    simulate,
    structured_market,
    subset_instability,
    type_contexts,
    typed,
    typed_regret_bound,
    unstructured,
    utility_difference,
)

SHAPE, HORIZON, NOISE, WIDTH = (3, 4), 200, 0.25, 0.5
FRICTIONS = (0.2, 1.0)


def algorithm(prices="midpoint", horizon=HORIZON):
    return match_ucb(unstructured(SHAPE, horizon=horizon, width=WIDTH), prices=prices)


@pytest.fixture(scope="module")
def market():
    return random_market(jax.random.key(0), *SHAPE)


@pytest.fixture(scope="module")
def trace(market):
    return simulate(
        jax.random.key(1), market, algorithm(), HORIZON, noise_std=NOISE, frictions=FRICTIONS
    )


def play(market, algorithm, rounds, seed=0):
    """The same game by hand, from `propose` and `observe`, everything scored by the public
    functions."""
    rng = np.random.default_rng(seed)
    with jax.enable_x64(True):
        state = algorithm.init()
        propose, observe = jax.jit(algorithm.propose), jax.jit(algorithm.observe)
        for _ in range(rounds):
            state, decision = propose(state)
            yield jax.tree.map(np.asarray, decision)
            X = decision.pairs
            row = jnp.where(X, market.U, 0).sum(1) + NOISE * rng.normal(size=SHAPE[0])
            col = jnp.where(X, market.V, 0).sum(0) + NOISE * rng.normal(size=SHAPE[1])
            state = observe(state, decision, row, col)


@pytest.mark.long
def test_a_decision_is_stable_at_the_upper_bounds_and_its_transfers_cancel(market):
    for prices in ("row", "max_slack"):
        for decision in play(market, algorithm(prices), 15):
            bounds, outcome = decision.intervals, decision.outcome
            assert is_stable(Market(bounds.high_row, bounds.high_col), outcome)
            mate = outcome.row_to_col
            rows = mate >= 0
            np.testing.assert_allclose(
                outcome.tau_row[rows], -outcome.tau_col[mate[rows]], atol=1e-12
            )
            assert not outcome.tau_row[~rows].any()
            assert not np.delete(outcome.tau_col, mate[rows]).any()


def test_a_simulated_round_is_scored_like_the_public_functions_score_it(market):
    with jax.enable_x64(True):
        a = algorithm()
        step = jax.jit(
            lambda s, x, y: a.round(s, market, x, y, best=0.0, frictions=jnp.asarray(FRICTIONS))
        )
        propose = jax.jit(a.propose)
        state, rng = a.init(), np.random.default_rng(3)
        for _ in range(12):
            decision = jax.tree.map(np.asarray, propose(state)[1])
            state, record = step(
                state, NOISE * rng.normal(size=SHAPE[0]), NOISE * rng.normal(size=SHAPE[1])
            )
            X, bounds = decision.pairs, decision.intervals
            assert record.instability == pytest.approx(
                float(subset_instability(market, decision.outcome)), abs=1e-12
            )
            assert -record.utility_difference == pytest.approx((market.W * X).sum(), abs=1e-12)
            assert record.excess == pytest.approx(
                ((bounds.high_row + bounds.high_col - market.W) * X).sum()
            )
            low = bounds.low_row + bounds.low_col
            assert record.width == pytest.approx(
                ((bounds.high_row + bounds.high_col - low) * X).sum()
            )
            assert record.matched == 2 * X.sum()
            np.testing.assert_allclose(
                record.profit, np.asarray(FRICTIONS) * record.matched - record.width, atol=1e-12
            )
            for f, friction in enumerate(FRICTIONS):
                charged = Outcome(
                    decision.outcome.row_to_col,
                    (decision.p - (bounds.low_row * X).sum(1) - friction) * X.any(1),
                    (decision.q - (bounds.low_col * X).sum(0) - friction) * X.any(0),
                )
                assert is_stable(market, charged, friction=friction) == (record.unrest[f] <= 1e-9)


def test_regret_is_below_excess_below_widths_below_the_bound_in_every_round(trace):
    regret, excess, width = (getattr(trace, n).cumsum() for n in ("instability", "excess", "width"))
    bound = regret_bound(*SHAPE, HORIZON, WIDTH, rounds=np.arange(1, HORIZON + 1))
    assert trace.covered.all() and (trace.unrest <= 1e-9).all()
    assert (trace.instability <= trace.excess + 1e-9).all() and (
        trace.utility_difference >= -1e-9
    ).all()
    assert (
        (regret <= excess + 1e-9).all()
        and (excess <= width + 1e-9).all()
        and (width <= bound).all()
    )


def test_it_learns(trace):
    assert trace.instability[-50:].mean() < 0.5 * trace.instability[:10].mean()
    assert isinstance(trace.instability, np.ndarray) and trace.instability.dtype == np.float64
    assert trace.instability.shape == (HORIZON,) and trace.profit.shape == (HORIZON, 2)


def test_without_noise_the_learnt_matching_is_best():
    market = random_market(jax.random.key(5), *SHAPE)
    quiet = simulate(
        jax.random.key(1), market, algorithm(), HORIZON, noise_std=0.0, frictions=FRICTIONS
    )
    assert (
        quiet.covered.all()
        and quiet.utility_difference[-20:].max() <= quiet.utility_difference[:5].max()
    )


@pytest.mark.long
def test_runs_do_not_depend_on_the_company_they_are_in(market):
    keys = jax.random.split(jax.random.key(1), 4)
    others = jax.vmap(lambda key: random_market(key, *SHAPE))(
        jax.random.split(jax.random.key(7), 4)
    )
    alone, pairs = (
        simulate(
            keys, others, algorithm(), 60, noise_std=NOISE, execution=Execution(runs_at_once=b)
        )
        for b in (1, 2)
    )
    for name in ("instability", "excess", "width"):
        np.testing.assert_allclose(getattr(alone, name), getattr(pairs, name), atol=1e-9)
    assert alone.instability.shape == (4, 60) and np.ptp(alone.instability.sum(1)) > 0


@pytest.mark.slow
def test_runs_spread_over_a_mesh_are_the_same_runs(market):
    keys = jax.random.split(jax.random.key(1), 4)
    mesh = jax.make_mesh((1,), ("runs",))
    plain, spread = (
        simulate(keys, market, algorithm(), 60, noise_std=NOISE, execution=Execution(mesh=m))
        for m in (None, mesh)
    )
    np.testing.assert_allclose(spread.instability, plain.instability, atol=1e-9)


@pytest.mark.long
def test_agents_who_are_away_neither_meet_nor_complain(market):
    rng = np.random.default_rng(0)
    here = (rng.random((60, 3)) < 0.6, rng.random((60, 4)) < 0.6)
    here[0][5], here[1][6] = False, False  # rounds without anybody on one side
    found = simulate(
        jax.random.key(1),
        market,
        algorithm(),
        60,
        noise_std=NOISE,
        frictions=FRICTIONS,
        arrivals=here,
    )
    pairs = np.minimum(here[0].sum(1), here[1].sum(1))
    assert (found.matched <= 2 * pairs).all() and found.matched.max() > 0
    assert found.instability[5] == found.instability[6] == 0 and found.matched[5] == 0
    assert (found.instability <= found.excess + 1e-9).all() and (found.unrest <= 1e-9).all()
    everybody = (np.ones((60, 3), bool), np.ones((60, 4), bool))
    same = {"noise_std": NOISE, "frictions": FRICTIONS}
    full = simulate(jax.random.key(1), market, algorithm(), 60, arrivals=everybody, **same)
    plain = simulate(jax.random.key(1), market, algorithm(), 60, **same)
    np.testing.assert_allclose(full.instability, plain.instability, atol=1e-9)
    np.testing.assert_allclose(full.utility_difference, plain.utility_difference, atol=1e-9)


@pytest.mark.slow
def test_types_teach_faster_than_contexts_and_both_keep_their_promises():
    types = np.arange(6) % 2
    market = structured_market(jax.random.key(3), types, types, 2)
    contexts = type_contexts(types, 2)
    models = {
        "typed": typed(types, types, horizon=300, width=WIDTH),
        "linear": linear(contexts, contexts, horizon=300, noise_std=NOISE),
    }
    traces = {
        name: simulate(jax.random.key(4), market, match_ucb(m), 300, noise_std=NOISE)
        for name, m in models.items()
    }
    for found in traces.values():
        assert found.covered.all() and (found.instability <= found.excess + 1e-9).all()
    assert traces["typed"].excess.sum() < traces["linear"].excess.sum()
    assert traces["typed"].width.sum() <= typed_regret_bound(2, 6, 6, 300, WIDTH)


def test_structured_utilities_are_inner_products_of_unit_vectors():
    types = np.array([0, 1, 1])
    market = structured_market(jax.random.key(0), types, np.array([0, 0, 1, 1]), 2)
    np.testing.assert_array_equal(market.U[1], market.U[2])
    np.testing.assert_array_equal(market.V[:, 0], market.V[:, 1])
    np.testing.assert_allclose((market.U[:, [0, 2]] ** 2).sum(1), 1.0)
    with pytest.raises(InputError, match=r"types_row must lie in 0\.\.1"):
        structured_market(jax.random.key(0), np.array([2]), types, 2)


def test_the_hidden_matching_is_the_only_best_one():
    market = hidden_matching_market(jax.random.key(0), 4, 0.2)
    hidden = np.argmax(market.U, axis=1)
    assert sorted(hidden) == [0, 1, 2, 3] and market.U.max() == pytest.approx(0.3)
    outcome = Outcome(hidden, np.zeros(4), np.zeros(4))
    assert utility_difference(market, outcome) == pytest.approx(0) and is_stable(market, outcome)


def test_what_does_not_fit_is_refused_in_one_line(market):
    a, key = algorithm(), jax.random.key(0)
    fine = {"noise_std": NOISE}
    one = np.ones((2, 3), bool)
    for call, words in (
        (lambda: simulate(key, Market(3 * market.U, market.V), a, 10, **fine), r"lie in \[-1, 1\]"),
        (
            lambda: simulate(key, Market(market.U * np.nan, market.V), a, 10, **fine),
            "U must be finite",
        ),
        (
            lambda: simulate(key, Market(market.U.T, market.V.T), a, 10, **fine),
            r"shape \(3, 4\), not \(4, 3\)",
        ),
        (lambda: simulate(key, market, a, 0, **fine), "horizon = 0"),
        (lambda: simulate(key, market, a, 10, noise_std=-1.0), "noise_std = -1"),
        (lambda: Execution(runs_at_once=0), "runs_at_once = 0"),
        (lambda: simulate(jnp.zeros(2, jnp.uint32), market, a, 10, **fine), "typed key"),
        (lambda: simulate(jax.random.split(key, (2, 2)), market, a, 10, **fine), "typed key"),
        (
            lambda: simulate(key, market, a, 2, arrivals=(one, one), **fine),
            r"truth values \(2, 3\) and \(2, 4\)",
        ),
        (
            lambda: simulate(key, Market(np.zeros((1, 0)), np.zeros((1, 0))), a, 10, **fine),
            "agents on both sides",
        ),
        (
            lambda: simulate(
                jax.random.split(key, 3), Market(*np.zeros((2, 2, 3, 4))), a, 10, **fine
            ),
            "3 keys do not",
        ),
        (lambda: algorithm("cheapest"), "prices = 'cheapest'"),
    ):
        with pytest.raises(InputError, match=words):
            call()


@pytest.mark.parametrize("make", [match_ucb, match_ntu_ucb])
def test_the_noise_of_a_round_may_be_lists(make, market):
    """They are numbers as any; added as lists they would not be."""
    bandit = make(unstructured(SHAPE, horizon=HORIZON, width=WIDTH))
    noise = [0.25, -0.5, 0.125], [0.5, 0.0, -0.25, 1.0]

    def after(noise_row, noise_col):
        options = {"best": 0.0, "frictions": np.asarray(FRICTIONS)}
        return jax.tree.leaves(bandit.round(bandit.init(), market, noise_row, noise_col, **options))

    for from_lists, from_arrays in zip(after(*noise), after(*map(np.array, noise)), strict=True):
        np.testing.assert_array_equal(from_lists, from_arrays)
