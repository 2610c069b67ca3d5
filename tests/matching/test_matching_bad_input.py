"""Every public function of the package, called with every argument malformed: a right value or a
refusal naming it."""

import bad_input
import jax
import numpy as np
import pytest

from theorylab import matching
from theorylab.errors import InputError

KEY = jax.random.key(0)
U, V = (np.random.default_rng(seed).uniform(-1, 1, (3, 3)) for seed in (0, 1))
W = np.asarray([[2.0, 0.5, 0.1], [0.3, 1.5, 0.2], [0.1, 0.4, 1.0]])
MARKET = matching.Market(U, V)
MATE, TAU = np.asarray([0, -1, 2]), np.asarray([0.1, 0.0, -0.1])
OUTCOME = matching.Outcome(MATE, TAU, -TAU)
PRICES = {"p": np.asarray([1.0, 1.0, 0.5]), "q": np.asarray([1.0, 0.5, 0.5])}
MODEL = matching.unstructured((3, 3), horizon=10, width=0.5)
TYPES = {"types_row": np.asarray([0, 1, 0]), "types_col": np.asarray([1, 0, 1])}
CONTEXTS = {"row_contexts": np.eye(3)[:, :2], "col_contexts": np.eye(3)[:, 1:]}
TYPED = matching.typed(**TYPES, horizon=10, width=0.5)
LINEAR = matching.linear(**CONTEXTS, horizon=10, noise_std=0.1)
UCB, NTU = matching.match_ucb(MODEL), matching.match_ntu_ucb(MODEL)
STATE, DECISION = UCB.propose(UCB.init())
SEEN = {"seen_row": np.asarray([0.1, 0.2, 0.3]), "seen_col": np.asarray([0.3, 0.2, 0.1])}
NOISE = {"noise_row": SEEN["seen_row"], "noise_col": SEEN["seen_col"]}
PRESENT = np.ones((3, 3), bool)
BOUND = {"n": 3, "m": 4, "horizon": 100, "width": 0.5}
UPDATE = {"pairs": np.eye(3, dtype=bool), **SEEN}


def of_market(U, V):
    return matching.net_utilities(matching.Market(U, V), OUTCOME)


def of_outcome(row_to_col, tau_row, tau_col):
    return matching.net_utilities(MARKET, matching.Outcome(row_to_col, tau_row, tau_col))


# name: what is called, with small valid arguments
CALLS = {
    "Intervals.hold": (MODEL.intervals(MODEL.init()).hold, {"U": U, "V": V}),
    "Linear.intervals": (LINEAR.intervals, {"state": LINEAR.init()}),
    "Linear.update": (LINEAR.update, {"state": LINEAR.init(), **UPDATE}),
    "Market": (of_market, {"U": U, "V": V}),
    "MatchNTUUCB.round": (
        NTU.round,
        {"state": NTU.init(), "market": MARKET, **NOISE, "present": PRESENT},
    ),
    "MatchUCB.propose": (UCB.propose, {"state": UCB.init(), "present": PRESENT}),
    "MatchUCB.observe": (UCB.observe, {"state": STATE, "decision": DECISION, **SEEN}),
    "Outcome": (of_outcome, {"row_to_col": MATE, "tau_row": TAU, "tau_col": -TAU}),
    "Typed.intervals": (TYPED.intervals, {"state": TYPED.init()}),
    "Typed.update": (TYPED.update, {"state": TYPED.init(), **UPDATE}),
    "Unstructured.intervals": (MODEL.intervals, {"state": MODEL.init()}),
    "Unstructured.update": (MODEL.update, {"state": MODEL.init(), **UPDATE}),
    "auction_assignment": (matching.auction_assignment, {"weights": W, "tol": 1e-3}),
    "best_coalition": (matching.best_coalition, {"market": MARKET, "outcome": OUTCOME}),
    "break_even": (matching.break_even, {**BOUND, "friction": 0.1}),
    "core_prices": (
        matching.core_prices,
        {"weights": W, "row_to_col": np.arange(3), "select": "midpoint"},
    ),
    "deferred_acceptance": (matching.deferred_acceptance, {"market": MARKET}),
    "dual_gap": (matching.dual_gap, {"weights": W, "row_to_col": np.arange(3), **PRICES}),
    "friction_outcome": (matching.friction_outcome, {"decision": DECISION, "friction": 0.1}),
    "hidden_matching_market": (
        matching.hidden_matching_market,
        {"key": KEY, "k": 3, "gap": 0.2, "base": 0.1},
    ),
    "is_stable": (
        matching.is_stable,
        {"market": MARKET, "outcome": OUTCOME, "tol": 1e-9, "friction": 0.1},
    ),
    "linear": (
        matching.linear,
        {**CONTEXTS, "horizon": 10, "noise_std": 0.1, "l2": 1.0, "clip": True},
    ),
    "match_ntu_ucb": (matching.match_ntu_ucb, {"model": MODEL, "shape": (3, 3)}),
    "match_ucb": (matching.match_ucb, {"model": MODEL, "shape": (3, 3), "prices": "midpoint"}),
    "matching_gap": (matching.matching_gap, {"weights": W}),
    "max_weight_matching": (matching.max_weight_matching, {"weights": W}),
    "minimal_subsidies": (matching.minimal_subsidies, {"market": MARKET, "outcome": OUTCOME}),
    "net_utilities": (matching.net_utilities, {"market": MARKET, "outcome": OUTCOME}),
    "ntu_instability": (matching.ntu_instability, {"market": MARKET, "row_to_col": MATE}),
    "outcome_from_rows": (
        matching.outcome_from_rows,
        {"row_to_col": MATE, "tau_row": TAU, "m": 3},
    ),
    "state_from_means": (
        matching.state_from_means,
        {"algorithm": UCB, "counts": np.ones((3, 3), int), "mean_row": U, "mean_col": V},
    ),
    "random_market": (matching.random_market, {"key": KEY, "n": 3, "m": 2}),
    "regret_bound": (matching.regret_bound, {**BOUND, "rounds": np.asarray([1, 50])}),
    "soft_assignment": (
        matching.soft_assignment,
        {"weights": W, "eps": 0.1, "phases": 2, "sweeps": 3},
    ),
    "soft_assignment_duals": (
        matching.soft_assignment_duals,
        {"weights": W, "eps": 0.1, "phases": 2, "sweeps": 3},
    ),
    "structured_market": (matching.structured_market, {"key": KEY, **TYPES, "kinds": 2}),
    "subset_instability": (
        matching.subset_instability,
        {"market": MARKET, "outcome": OUTCOME, "form": "assignment"},
    ),
    "type_contexts": (matching.type_contexts, {"types": TYPES["types_row"], "kinds": 2}),
    "typed": (matching.typed, {**TYPES, "horizon": 10, "width": 0.5, "clip": True}),
    "typed_regret_bound": (matching.typed_regret_bound, {"kinds": 2, **BOUND}),
    "unrest": (matching.unrest, {"market": MARKET, "outcome": OUTCOME, "friction": 0.1}),
    "unstructured": (
        matching.unstructured,
        {"shape": (3, 3), "horizon": 10, "width": 0.5, "clip": True},
    ),
    "utility_difference": (matching.utility_difference, {"market": MARKET, "outcome": OUTCOME}),
}
HEAVY = {
    "MatchUCB.round": (
        UCB.round,
        {
            "state": UCB.init(),
            "market": MARKET,
            **NOISE,
            "best": 1.0,
            "present": PRESENT,
            "frictions": np.asarray([0.1]),
        },
    ),
    "simulate": (
        matching.simulate,
        {
            "key": KEY,
            "market": MARKET,
            "algorithm": UCB,
            "horizon": 4,
            "noise_std": 0.1,
            "frictions": np.asarray([0.1]),
            "arrivals": (np.ones((4, 3), bool), np.ones((4, 3), bool)),
            "execution": matching.Execution(chunk=4, runs_at_once=1),
        },
    ),
    "Execution": (matching.Execution, {"chunk": 4, "runs_at_once": 1, "mesh": None}),
}
# Types, and what functions give back: dataclasses that JAX takes apart and rebuilds.
NO_CALL = {
    "Coalition",
    "Members",
    "Prices",
    "Sides",
    "Certified",
    "Decision",
    "Matching",
    "Model",
    "NTURecord",
    "PriceRule",
    "Record",
    "State",
}


def test_no_public_function_is_forgotten():
    called = {name.partition(".")[0] for name in CALLS | HEAVY}
    assert called | NO_CALL == set(matching.__all__)
    assert not called & NO_CALL


@pytest.mark.long
def test_malformed_arguments_are_refused_by_name():
    assert bad_input.faults_in(CALLS.values()) == []


@pytest.mark.parametrize(
    ("named", "call"),
    [
        (
            "seen_row",
            lambda: MODEL.update(
                MODEL.init(), np.eye(3, dtype=bool), np.full(3, np.nan), np.ones(3)
            ),
        ),
        (
            "seen_col",
            lambda: LINEAR.update(
                LINEAR.init(), np.eye(3, dtype=bool), np.ones(3), np.ones((3, 1))
            ),
        ),
        ("pairs", lambda: TYPED.update(TYPED.init(), np.arange(3), np.ones(3), np.ones(3))),
        ("types", lambda: matching.type_contexts([0, -1], 2)),
        ("types_row", lambda: matching.typed([0.5, 1.0], [0, 1], horizon=10, width=0.5)),
        ("horizon", lambda: matching.unstructured((3, 3), horizon=2.5, width=0.5)),
        ("shape", lambda: matching.unstructured((3.7, 3), horizon=10, width=0.5)),
        ("row_to_col", lambda: matching.ntu_instability(MARKET, [0.5, 1.0, 2.0])),
        (
            "row_to_col",
            lambda: matching.ntu_instability(
                matching.Market(np.ones((9, 9)), np.ones((9, 9))), [0] * 9
            ),
        ),
        ("weights", lambda: matching.matching_gap([[1.0, np.nan]])),
        ("gap", lambda: matching.hidden_matching_market(KEY, 3, np.nan)),
        ("kinds", lambda: matching.typed_regret_bound(-2, 3, 4, 100, 0.5)),
        ("rounds", lambda: matching.regret_bound(3, 4, 100, 0.5, rounds=-1)),
        ("tol", lambda: matching.is_stable(MARKET, OUTCOME, tol=np.nan)),
        (
            "frictions",
            lambda: matching.simulate(KEY, MARKET, UCB, 4, noise_std=0.1, frictions=[-0.1]),
        ),
    ],
)
def test_finite_input_that_gave_wrong_numbers_is_refused(named, call):
    with pytest.raises(InputError, match=named):
        call()


@pytest.mark.parametrize("model", [MODEL, TYPED, LINEAR], ids=["unstructured", "typed", "linear"])
def test_reports_of_those_who_are_alone_are_ignored(model):
    pairs, none = np.diag([True, False, True]), np.asarray([0.1, np.nan, 0.3])
    with_none = model.update(model.init(), pairs, none, none)
    without = model.update(model.init(), pairs, np.nan_to_num(none), np.nan_to_num(none))
    for a, b in zip(jax.tree.leaves(with_none), jax.tree.leaves(without), strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.long
def test_what_simulates_refuses_malformed_arguments_by_name():
    assert bad_input.faults_in(HEAVY.values()) == []
