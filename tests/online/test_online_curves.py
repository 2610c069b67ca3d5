import jax
import jax.numpy as jnp
import numpy as np
import pytest

from theorylab.online import (
    PreferentialRoundRobin,
    TwoStage,
    competitive_ratio,
    deterministic_buy_day,
    equal_rates,
    measure_ski_rule,
    optimal_buy_distribution,
    prr_consistency,
    prr_robustness,
    schedule,
    scheduling_curve,
    scheduling_lower_bound,
    shortest_first,
    ski_rental_curve,
    tradeoff_randomized_discrete,
    two_stage_hard_ratios,
    worst_case_search,
)

FEW = {"climbers": 256, "steps": 128, "instances": 30_000}


def toy(share, view):
    """A user's own policy: half-way between sharing and shortest-first, until any job deviates."""
    deviated = jnp.any(view.early | view.overrun)
    return jnp.where(
        deviated, equal_rates(view), share * shortest_first(view) + (1 - share) * equal_rates(view)
    )


@pytest.mark.long
def test_the_search_finds_the_two_job_optimum_and_the_consistency_of_two_stage():
    worst = worst_case_search(TwoStage(0.2), 2, key=jax.random.key(1), **FEW)
    assert 1 + 1 / 2.2 - 1e-4 < worst.ratio < 1 + 1 / 2.2 + 1e-9 and worst.evaluated >= 30_000
    found = worst.instance
    cost = schedule(TwoStage(0.2), found.sizes, found.predictions, nudge=found.nudge).cost
    assert competitive_ratio(cost, found.sizes) == pytest.approx(worst.ratio, rel=1e-12)
    perfect = worst_case_search(TwoStage(0.2), 2, key=jax.random.key(1), perfect=True, **FEW)
    assert perfect.ratio == pytest.approx(1.2, abs=1e-6)
    blind = worst_case_search(TwoStage(0.05, detect_overrun=False), 2, key=jax.random.key(1), **FEW)
    assert blind.ratio > 1.99  # dossier: 1.999 in place of 1.769


@pytest.mark.long
def test_a_users_policy_gets_its_curve_beside_the_bound():
    found = scheduling_curve(
        lambda s: jax.tree_util.Partial(toy, s), [0.0, 0.6], 2, key=jax.random.key(0), **FEW
    )
    assert found.kind == "robustness" and len(found.witnesses) == 2
    # On correct predictions it is preferential round robin; at share 0 it is round robin.
    np.testing.assert_allclose(
        found.consistency, prr_consistency(2, np.array([0.0, 0.6])), atol=1e-5
    )
    assert found.robustness[0] == pytest.approx(4 / 3, abs=1e-6)
    np.testing.assert_allclose(
        found.optimum, scheduling_lower_bound(2, found.consistency - 1), rtol=1e-12
    )
    assert (found.excess >= -1e-6).all() and found.robustness[1] <= 2 + 1e-9


def test_a_broken_policy_is_named():
    with pytest.raises(ValueError, match="infeasible"):
        worst_case_search(lambda view: 3.0 * equal_rates(view), 2, key=jax.random.key(0), **FEW)


def test_a_plain_python_rule_gets_its_curve_beside_the_optimum():
    def family(parameter):
        # never later than break-even
        return lambda y, b: max(1, round(parameter * b)) if y >= b else b

    found = ski_rental_curve(family, [0.2, 0.5, 1.0], 10)
    k = np.array([2, 5, 10])
    np.testing.assert_allclose(found.consistency, (k - 1 + 10) / 10)
    np.testing.assert_allclose(found.robustness, np.maximum((k - 1 + 10) / k, 1.9))
    np.testing.assert_allclose(found.optimum, tradeoff_randomized_discrete(found.robustness, 10))
    assert found.kind == "consistency" and (found.excess >= 0).all()


def test_the_optimal_distribution_lies_on_the_optimum():
    def family(gamma):
        return lambda y, b: optimal_buy_distribution(b, gamma)

    found = ski_rental_curve(family, [1.7, 2.5], 12, predictions=range(12, 40))
    np.testing.assert_allclose(found.excess, 0.0, atol=1e-12)
    np.testing.assert_allclose(found.robustness, [1.7, 2.5], rtol=1e-12)


def test_measures_say_where_the_worst_is():
    found = measure_ski_rule(lambda y, b: deterministic_buy_day(y, b, 0.5), 10)
    # day 5: 14/10 and (4 + 10 + ...)/..., day 20: 29/10
    assert (found.consistency, found.robustness) == (1.4, 2.9)
    assert found.consistent_at >= 10 and found.robust_at[0] < 10 and found.robust_at[1] == 20
    never = measure_ski_rule(lambda y, b: np.inf, 10)
    assert never.robustness == np.inf and never.consistency == 1000


@pytest.mark.parametrize(
    ("rule", "options", "message"),
    [
        (lambda y, b: 0, {}, "buying day 0"),
        (lambda y, b: 2.5, {}, "buying day 2.5"),
        (lambda y, b: np.nan, {}, "buying day nan"),
        (lambda y, b: [0.6, 0.6], {}, "sums to 1.2"),
        (lambda y, b: 1, {"predictions": [0]}, "predictions holds 0"),
        (lambda y, b: 1, {"predictions": []}, "predictions has shape .* is empty"),
    ],
)
def test_bad_rules_are_refused(rule, options, message):
    with pytest.raises(ValueError, match=message):
        measure_ski_rule(rule, 10, **options)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("n", "lam", "ratio"),
    [
        *((2, lam, 1 + 1 / (1 + 6 * lam)) for lam in (0.05, 0.1, 0.2, 0.3)),
        (3, 0.02, 2.7),
        (3, 0.1, 2.1),
        (3, 0.25, 1.71429),
        (4, 0.02, 3.38462),
        (4, 0.1, 2.4),
        (4, 0.25, 1.89474),
        (5, 0.02, 3.94366),
        (5, 0.1, 2.58065),
    ],
)
def test_a_million_instances_reach_the_bound_and_never_pass_it(n, lam, ratio):
    worst = worst_case_search(TwoStage(lam), n, key=jax.random.key(0))
    bound = scheduling_lower_bound(n, lam)
    assert bound == pytest.approx(ratio, abs=5e-6)
    assert bound - 1e-3 < worst.ratio < bound + 1e-9 and worst.evaluated >= 1_000_000


@pytest.mark.slow
def test_six_jobs_leave_the_bound():
    worst = worst_case_search(TwoStage(0.15), 6, key=jax.random.key(0))
    assert (
        worst.ratio
        > two_stage_hard_ratios(6, 0.15).max() - 1e-3
        > scheduling_lower_bound(6, 0.15) + 0.03
    )


@pytest.mark.slow
@pytest.mark.parametrize(("n", "a"), [(2, 0.5), (3, 0.25), (5, 0.7)])
def test_the_worst_case_of_preferential_round_robin_is_its_formula(n, a):
    worst = worst_case_search(PreferentialRoundRobin(a), n, key=jax.random.key(0))
    assert prr_robustness(n, a) - 1e-3 < worst.ratio < prr_robustness(n, a) + 1e-9
