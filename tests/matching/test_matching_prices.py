import numpy as np
import pytest
from scipy.optimize import linprog

from theorylab.errors import InputError
from theorylab.matching import core_prices, dual_gap, matching_gap, max_weight_matching

RULES = ("row", "midpoint", "col", "max_slack")


def markets():
    rng = np.random.default_rng(0)
    return [*rng.uniform(-1, 1, (8, 4, 3)), *rng.uniform(-1, 1, (8, 4, 4))]


def core(weights, mate):
    """Equality and inequality rows of the core in (p, q), with which constraints may be slack."""
    n, m = weights.shape
    X = mate[:, None] == np.arange(m)
    pair = np.hstack([np.repeat(np.eye(n), m, axis=0), np.tile(np.eye(m), (n, 1))])
    alone = np.concatenate([~X.any(1), ~X.any(0)])
    return X, pair, alone


def extreme(weights, mate, cost):
    """Core prices that minimise cost · (p, q), by SciPy."""
    X, pair, alone = core(weights, mate)
    bounds = [(0, 0) if a else (0, None) for a in alone]
    equal = X.ravel()
    return linprog(
        cost,
        A_ub=-pair,
        b_ub=-weights.ravel(),
        A_eq=pair[equal] if equal.any() else None,
        b_eq=weights.ravel()[equal] if equal.any() else None,
        bounds=bounds,
    ).x


@pytest.mark.long
@pytest.mark.parametrize("rule", RULES)
def test_prices_are_dual_feasible_tight_on_matches_and_zero_for_those_alone(rule):
    for weights in markets():
        mate = max_weight_matching(weights).row_to_col
        p, q = core_prices(weights, mate, select=rule)
        X, _, alone = core(weights, mate)
        assert min(p.min(), q.min()) >= 0 and (p[:, None] + q >= weights - 1e-12).all()
        np.testing.assert_allclose((p[:, None] + q)[X], weights[X], atol=1e-12)
        assert not np.concatenate([p, q])[alone].any()
        assert dual_gap(weights, mate, p, q) == pytest.approx(0, abs=1e-12)


def test_the_extreme_rules_are_the_extreme_points_of_the_core_and_midpoint_their_average():
    for weights in markets():
        n, m = weights.shape
        mate = max_weight_matching(weights).row_to_col
        low = extreme(weights, mate, np.r_[np.zeros(n), np.ones(m)])
        high = extreme(weights, mate, np.r_[np.ones(n), np.zeros(m)])
        found = {rule: np.concatenate(core_prices(weights, mate, select=rule)) for rule in RULES}
        np.testing.assert_allclose(found["row"], low, atol=1e-9)
        np.testing.assert_allclose(found["col"], high, atol=1e-9)
        np.testing.assert_allclose(found["midpoint"], (low + high) / 2, atol=1e-9)


def test_max_slack_is_the_linear_programmes_largest_slack():
    for weights in markets():
        n, m = weights.shape
        mate = max_weight_matching(weights).row_to_col
        X, pair, alone = core(weights, mate)
        if not X.any():
            continue
        free = ~X.ravel()
        single = np.eye(n + m)[~alone]
        slack = linprog(
            np.r_[np.zeros(n + m), -1.0],
            A_ub=np.vstack(
                [np.c_[-pair[free], np.ones(free.sum())], np.c_[-single, np.ones(len(single))]]
            ),
            b_ub=np.r_[-weights.ravel()[free], np.zeros(len(single))],
            A_eq=np.c_[pair[~free], np.zeros((~free).sum())],
            b_eq=weights.ravel()[~free],
            bounds=[(0, 0) if a else (0, None) for a in alone] + [(0, None)],
        ).x[-1]
        p, q = core_prices(weights, mate, select="max_slack")
        room = min(
            (p[:, None] + q - weights)[~X].min(initial=np.inf), p[X.any(1)].min(), q[X.any(0)].min()
        )
        assert (
            room == pytest.approx(slack, abs=1e-9)
            and room >= matching_gap(weights) / (n + m) - 1e-9
        )


def test_sides_swap_under_transposition():
    weights = markets()[-1]
    mate = max_weight_matching(weights).row_to_col
    back = max_weight_matching(weights.T).row_to_col
    p, q = core_prices(weights, mate, select="row")
    swapped = core_prices(weights.T, back, select="col")
    np.testing.assert_allclose(np.r_[p, q], np.r_[swapped[1], swapped[0]], atol=1e-12)


def test_one_pair_splits_its_surplus_by_the_rule():
    split = {
        rule: [float(x[0]) for x in core_prices(np.array([[0.8]]), np.array([0]), select=rule)]
        for rule in RULES
    }
    assert split == {
        "row": [0.8, 0.0],
        "col": [0.0, 0.8],
        "midpoint": [0.4, 0.4],
        "max_slack": pytest.approx([0.4, 0.4]),
    }


@pytest.mark.parametrize("shape", [(0, 0), (2, 0), (0, 2)])
def test_an_empty_side_has_zero_prices(shape):
    p, q = core_prices(np.zeros(shape), np.full(shape[0], -1))
    assert p.tolist() == [0] * shape[0] and q.tolist() == [0] * shape[1]


def test_the_gap_bounds_any_matching_for_any_numbers():
    rng = np.random.default_rng(5)
    weights = rng.normal(size=(4, 3))
    best = max_weight_matching(weights).value
    for _ in range(10):
        mate = np.array([0, -1, 2, 1])[rng.permutation(4)]
        value = weights[mate >= 0, mate[mate >= 0]].sum()
        assert (
            best <= value + dual_gap(weights, mate, *(rng.normal(size=s) for s in (4, 3))) + 1e-12
        )


def test_bad_matchings_and_rules_are_refused_in_one_line():
    weights = np.array([[1.0, 0.2], [0.3, 1.0]])
    for mate, words in (
        ([1, 0], "not a maximum-weight"),
        ([0, 0], "column 0 twice"),
        ([0, 2], r"lie in -1..1"),
        ([0], "must be 2 integers"),
        ([0.0, 1.0], "integers"),
        ([0, -1], "not a maximum"),
    ):
        with pytest.raises(InputError, match=words):
            core_prices(weights, np.asarray(mate))
    with pytest.raises(
        InputError, match="select = 'best'; choose one of: midpoint, row, col, max_slack"
    ):
        core_prices(weights, np.array([0, 1]), select="best")
    with pytest.raises(InputError, match="shapes"):
        dual_gap(weights, np.array([0, 1]), np.zeros(3), np.zeros(2))
    with pytest.raises(InputError, match="finite"):
        dual_gap(weights, np.array([0, 1]), np.array([np.nan, 0]), np.zeros(2))
