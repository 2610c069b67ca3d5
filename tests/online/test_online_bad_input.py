"""Malformed calls of every public function end in a finite value or in a refusal that names the
argument."""

import bad_input
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from theorylab import online as on
from theorylab.errors import InputError

KEY = jax.random.key(0)
SIZES = np.array([1.0, 2.0, 0.5])
LAMS = np.array([0.1, 0.3])
N, YES, NONE = np.ones(3), np.ones(3, bool), np.zeros(3, bool)
VIEW = on.View(
    SIZES, np.array([1, 2, 0]), 0 * N, YES, NONE, NONE, N * np.inf, np.zeros(()), np.zeros((), int)
)
VIEW = jax.tree.map(jnp.asarray, VIEW)


def two_stage(lam, detect_overrun):
    return on.schedule(on.TwoStage(lam, detect_overrun), SIZES)


def preferential(spjf_share):
    return on.schedule(on.PreferentialRoundRobin(spjf_share), SIZES)


CALLS = [
    (
        on.schedule,
        {
            "policy": on.TwoStage(0.1),
            "sizes": SIZES,
            "predictions": SIZES,
            "nudge": 0 * SIZES,
            "wakes": 1,
        },
    ),
    (on.schedule, {"policy": on.equal_rates, "sizes": np.stack([SIZES, SIZES])}),
    (two_stage, {"lam": 0.1, "detect_overrun": True}),
    (preferential, {"spjf_share": 0.5}),
    (on.equal_rates, {"view": VIEW}),
    (on.shortest_first, {"view": VIEW}),
    (on.opt_cost, {"sizes": SIZES}),
    (on.round_robin_cost, {"sizes": np.stack([SIZES, SIZES])}),
    (on.prr_perfect_cost, {"sizes": np.stack([SIZES, SIZES]), "spjf_share": LAMS}),
    (on.prr_consistency, {"n": 3, "spjf_share": LAMS}),
    (on.prr_robustness, {"n": 3, "spjf_share": 0.3}),
    (on.prr_share, {"n": 3, "lam": LAMS}),
    (on.prr_guarantees, {"spjf_share": LAMS}),
    (on.prr_hard_instance, {"n": 3, "spjf_share": 0.3}),
    (on.scheduling_lower_bound, {"n": 3, "lam": LAMS}),
    (on.two_stage_hard_ratios, {"n": 3, "lam": LAMS}),
    (on.two_stage_hard_instance, {"n": 3, "lam": 0.1, "correct": 2}),
    (on.two_stage_small_job_instances, {"n": 3, "lam": 0.1, "small": np.array([0.1, 0.2])}),
    (on.competitive_ratio, {"cost": np.array([9.0, 8.0]), "sizes": np.stack([SIZES, SIZES])}),
    (on.proof_adversary, {"policy": on.TwoStage(0.1), "n": 2, "wakes": 1}),
    (on.ski_cost, {"buy_day": np.array([1.0, 2.0]), "days": np.array([3.0, 4.0]), "b": 5}),
    (on.ski_ratios, {"distribution": np.array([0.3, 0.7]), "b": 5, "days": np.array([1, 4])}),
    (on.deterministic_buy_day, {"prediction": np.array([3.0, 9.0]), "b": 5, "lam": LAMS}),
    (on.randomized_support, {"prediction": np.array([3.0, 9.0]), "b": 5, "lam": LAMS}),
    (on.randomized_buy_distribution, {"prediction": 9.0, "b": 5, "lam": 0.5, "max_days": 12}),
    (on.randomized_worst_ratio, {"b": 5, "support": np.array([2.0, 3.0])}),
    (on.randomized_guarantees, {"b": 5, "lam": np.array([0.3, 0.5])}),
    (on.deterministic_lower_bound, {"lam": LAMS, "b": 5}),
    (on.smallest_robustness, {"b": 5}),
    (on.tradeoff_deterministic, {"gamma": np.array([2.5, 3.0])}),
    (on.tradeoff_randomized, {"gamma": np.array([2.5, 3.0])}),
    (on.tradeoff_randomized_discrete, {"gamma": np.array([2.5, 3.0]), "b": 5}),
    (on.optimal_buy_distribution, {"b": 5, "gamma": 2.0}),
    (on.consistency_lp, {"b": 5, "prediction": 9, "gamma": 2.0, "max_days": 20}),
    (on.optimal_ski_rule, {"b": 5, "gamma": 2.0, "max_days": 20}),
    (on.optimal_ski_rule(5, 2.0).__call__, {"prediction": 3, "b": 5}),
    (on.dual_certificate, {"gamma": 2.0, "b": 5, "length": 2}),
    (on.dual_certificate, {"gamma": np.array(2.0), "b": 5}),
    (on.continuous_certificate, {"gamma": 2.0, "kappa": 0.5, "points": 10}),
    (on.exponential_density, {"t": np.array([0.1, 0.2]), "kappa": 0.5}),
    (
        on.continuous_ratios,
        {
            "density": lambda t: 0 * t + 0.5,
            "support": 1.0,
            "seasons": np.array([0.5, 2.0]),
            "nodes": 8,
        },
    ),
    (on.measure_ski_rule, {"rule": lambda y, b: 2, "b": 3, "predictions": np.array([1, 2, 9])}),
    (
        on.ski_rental_curve,
        {
            "family": lambda p: lambda y, b: 2,
            "parameters": np.array([0.5, 1.0]),
            "b": 3,
            "predictions": [1, 9],
        },
    ),
]
EXCUSED = {
    "Action": "a result of a policy",
    "View": "given to policies",
    "Policy": "a type",
    "Instance": "a PyTree, a result",
    "RoundRobin": "no arguments",
    "ShortestPredictedFirst": "no arguments",
    "Schedule": "a result",
    "TwoStage": "a PyTree, checked where it is used: `two_stage` above",
    "PreferentialRoundRobin": "a PyTree, checked where it is used: `preferential` above",
    "SkiMeasure": "a result",
    "TradeoffCurve": "a result",
    "WorstCase": "a result",
    "LPOptimum": "a result",
    "Certificate": "a result",
    "PrrGuarantees": "a result",
    "RandomizedGuarantees": "a result",
    "worst_case_search": "attacked below",
    "scheduling_curve": "attacked below",
}


@pytest.mark.long
def test_malformed_calls_end_in_a_finite_value_or_a_refusal():
    assert bad_input.faults_in(CALLS) == []


def test_every_public_name_is_in_the_table():
    assert bad_input.uncovered(on, CALLS, EXCUSED) == set()


def search_calls():
    small = {"instances": 8, "climbers": 2, "steps": 4}
    return [
        (
            on.worst_case_search,
            {"policy": on.RoundRobin(), "n": 2, "key": KEY, "perfect": False, "wakes": 1, **small},
        ),
        (
            on.scheduling_curve,
            {
                "family": lambda p: on.RoundRobin(),
                "parameters": np.array([0.1]),
                "n": 2,
                "key": KEY,
                "wakes": 1,
                **small,
            },
        ),
    ]


@pytest.mark.long
def test_malformed_searches_are_refused():
    assert bad_input.faults_in(search_calls()) == []


LAZY = (search_calls,)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: on.schedule(on.TwoStage(-1.0), SIZES), "lam = -1"),
        (lambda: on.schedule(on.PreferentialRoundRobin(2.0), SIZES), "spjf_share = 2"),
        (lambda: on.worst_case_search(on.TwoStage(-1.0), 2, key=KEY), "lam = -1"),
        (lambda: on.exponential_density(800.0, 800.0), "kappa = 800"),
        (lambda: on.schedule(on.RoundRobin(), SIZES[:1], nudge=np.zeros(3)), "nudge has shape"),
        (lambda: on.continuous_ratios(lambda t: t * np.nan, 1.0, [0.5]), "density .* holds nan"),
    ],
)
def test_what_gave_wrong_numbers_is_refused(call, message):
    with pytest.raises(InputError, match=message):
        call()


def test_policies_stay_pytrees_of_anything():
    policy = jax.tree.map(lambda leaf: object(), on.TwoStage(0.1))
    assert isinstance(policy, on.TwoStage)
    cost = jax.vmap(lambda policy: on.schedule(policy, SIZES).cost, in_axes=(on.TwoStage(0, None),))
    assert cost(on.TwoStage(jnp.array([0.0, 0.4]), True)).shape == (2,)
