import jax
import jax.numpy as jnp
import numpy as np
import pytest

from theorylab.errors import InputError
from theorylab.matching import (
    Market,
    Outcome,
    best_coalition,
    core_prices,
    is_stable,
    max_weight_matching,
    minimal_subsidies,
    net_utilities,
    subset_instability,
    unrest,
    utility_difference,
)

EXAMPLE = Market(np.array([[9.0, 12.0]]), np.array([[-5.0, -10.0]]))  # Figure 1: C with P and Q


def outcome(market, mate, tau):
    tau_col = np.zeros(market.U.shape[1])
    tau = np.where(np.asarray(mate) >= 0, tau, 0.0)
    for i, j in enumerate(mate):
        if j >= 0:
            tau_col[j] = -tau[i]
    return Outcome(np.asarray(mate), tau, tau_col)


def draws(count=12, shape=(3, 4)):
    rng = np.random.default_rng(0)
    for _ in range(count):
        market = Market(*rng.uniform(-1, 1, (2, *shape)))
        size = rng.integers(0, min(shape) + 1)
        mate = np.full(shape[0], -1)
        mate[rng.permutation(shape[0])[:size]] = rng.permutation(shape[1])[:size]
        yield market, outcome(market, mate, rng.normal(size=shape[0]))


def stable(market):
    mate = max_weight_matching(market.W).row_to_col
    p, _ = core_prices(market.W, mate)
    X = mate[:, None] == np.arange(market.U.shape[1])
    return outcome(market, mate, p - (market.U * X).sum(1))


def test_the_figures_market_has_instability_3_difference_2_and_stable_payments_5_to_7():
    wrong = outcome(EXAMPLE, [1], [-11.0])
    assert [
        float(subset_instability(EXAMPLE, wrong, form=f))
        for f in ("assignment", "lp", "coalitions")
    ] == [3, 3, 3]
    assert utility_difference(EXAMPLE, wrong) == 2
    assert best_coalition(EXAMPLE, wrong) == (3, ([0], [0]))
    for payment, expected in ((4.9, 0.1), (5, 0), (6, 0), (7, 0), (7.1, 0.1), (8, 1)):
        paid = outcome(EXAMPLE, [0], [-payment])
        assert subset_instability(EXAMPLE, paid) == pytest.approx(expected, abs=1e-12)
        assert is_stable(EXAMPLE, paid) == (expected == 0)


def test_the_three_forms_agree_and_bound_the_utility_difference():
    for market, o in draws():
        forms = [
            float(subset_instability(market, o, form=f)) for f in ("assignment", "lp", "coalitions")
        ]
        assert np.ptp(forms) < 1e-9 and forms[0] >= utility_difference(market, o) - 1e-9


def test_minimal_subsidies_are_non_negative_sum_to_the_instability_and_stabilise():
    for market, o in draws():
        row, col = minimal_subsidies(market, o)
        assert min(row.min(), col.min()) >= 0
        assert row.sum() + col.sum() == pytest.approx(
            float(subset_instability(market, o)), abs=1e-9
        )
        assert is_stable(market, Outcome(o.row_to_col, o.tau_row + row, o.tau_col + col))


def test_a_best_matching_with_core_prices_is_stable_and_every_disturbance_is_seen():
    for market, o in draws(4):
        good = stable(market)
        assert subset_instability(market, good) < 1e-9 and is_stable(market, good)
        assert (subset_instability(market, o) < 1e-9) == is_stable(market, o)


def test_moving_out_of_the_core_costs_as_much_as_the_move():
    # one pair: net utilities may be anything that sums to 1
    market = Market(np.array([[0.5]]), np.array([[0.5]]))
    for tau, expected in ((0.5, 0.0), (0.75, 0.25), (-2.0, 1.5)):
        assert subset_instability(market, outcome(market, [0], [tau])) == pytest.approx(
            expected, abs=1e-12
        )


def test_nobody_on_one_side_and_nobody_at_all_are_stable():
    for shape in ((1, 0), (0, 2), (0, 0)):
        market = Market(np.zeros(shape), np.zeros(shape))
        alone = Outcome(np.full(shape[0], -1), np.zeros(shape[0]), np.zeros(shape[1]))
        for form in ("assignment", "lp", "coalitions"):
            assert subset_instability(market, alone, form=form) == 0
        assert utility_difference(market, alone) == 0 and is_stable(market, alone)


def test_an_agent_left_with_a_loss_alone_counts():
    market = Market(-np.ones((1, 1)), np.zeros((1, 1)))
    assert subset_instability(market, outcome(market, [0], [0.0])) == 1
    assert subset_instability(
        market, Outcome(np.array([-1]), np.array([-0.3]), np.zeros(1))
    ) == pytest.approx(0.3)


def test_frictions_make_outcomes_stable_up_to_them():
    wrong = outcome(EXAMPLE, [0], [-8.0])  # C could leave for Q and gain 1 together
    assert unrest(EXAMPLE, wrong) == 1 and unrest(EXAMPLE, wrong, friction=0.25) == pytest.approx(
        0.5
    )
    assert not is_stable(EXAMPLE, wrong, friction=0.4) and is_stable(EXAMPLE, wrong, friction=0.5)
    with pytest.raises(InputError, match="friction = -1"):
        unrest(EXAMPLE, wrong, friction=-1.0)


def test_net_utilities_add_transfers_to_what_the_match_is_worth():
    row, col = net_utilities(EXAMPLE, outcome(EXAMPLE, [1], [-11.0]))
    assert row.tolist() == [1] and col.tolist() == [0, 1]


def test_it_runs_under_jit_and_vmap_from_float32_code():
    batch = list(draws(4))
    market = Market(
        *(jnp.asarray(np.stack([getattr(m, f) for m, _ in batch]), jnp.float32) for f in "UV")
    )
    fields = ("row_to_col", "tau_row", "tau_col")
    outcomes = Outcome(*(jnp.asarray(np.stack([getattr(o, f) for _, o in batch])) for f in fields))
    found = jax.jit(jax.vmap(subset_instability))(market, outcomes)
    # float32 inputs
    np.testing.assert_allclose(found, [subset_instability(m, o) for m, o in batch], atol=1e-5)


def test_what_does_not_fit_is_refused_in_one_line():
    fine = outcome(EXAMPLE, [0], [0.0])
    with pytest.raises(InputError, match=r"one shape .* \(1, 2\) and \(2, 1\)"):
        subset_instability(Market(EXAMPLE.U, EXAMPLE.V.T), fine)
    with pytest.raises(InputError, match="V must be finite"):
        subset_instability(Market(EXAMPLE.U, np.array([[np.inf, 0.0]])), fine)
    with pytest.raises(InputError, match="tau_row must be finite"):
        subset_instability(EXAMPLE, Outcome(np.array([0]), np.array([np.nan]), np.zeros(2)))
    with pytest.raises(InputError, match="must have shapes"):
        subset_instability(EXAMPLE, Outcome(np.array([0]), np.zeros(2), np.zeros(2)))
    with pytest.raises(InputError, match="form = 'guess'"):
        subset_instability(EXAMPLE, fine, form="guess")
    many = Market(np.zeros((9, 9)), np.zeros((9, 9)))
    with pytest.raises(InputError, match="coalitions of 18 agents cannot be enumerated"):
        subset_instability(
            many, Outcome(np.full(9, -1), np.zeros(9), np.zeros(9)), form="coalitions"
        )
