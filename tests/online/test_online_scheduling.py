import itertools

import numpy as np
import pytest

from theorylab.online import (
    PreferentialRoundRobin,
    RoundRobin,
    ShortestPredictedFirst,
    TwoStage,
    competitive_ratio,
    opt_cost,
    proof_adversary,
    prr_consistency,
    prr_guarantees,
    prr_hard_instance,
    prr_robustness,
    prr_share,
    round_robin_cost,
    schedule,
    scheduling_lower_bound,
    two_stage_hard_instance,
    two_stage_hard_ratios,
    two_stage_small_job_instances,
    worst_case_search,
)


def test_the_optimum_is_the_best_order():
    x = np.array([3.0, 0.5, 2.0, 2.0])
    best = min(np.cumsum(x[list(order)]).sum() for order in itertools.permutations(range(4)))
    assert opt_cost(x) == pytest.approx(best)
    assert round_robin_cost(np.ones(5)) / opt_cost(np.ones(5)) == pytest.approx(2 * 5 / 6)
    # jobs of size 0 cost nothing at best: 0/0 = 1, and more than nothing is infinitely much
    zero, one = np.zeros(2), np.ones(2)
    assert competitive_ratio([0.0, 2.0, 3.0], [zero, zero, one]).tolist() == [1.0, np.inf, 1.0]


@pytest.mark.parametrize(
    ("n", "lam", "bound", "share", "prr"),
    [
        (3, 0.05, 2.4, 0.81818, 2.53846),
        (3, 0.25, 1.71429, 0.33333, 1.8),
        (10, 0.1, 2.76316, 0.78218, 5.05),
        (100, 0.05, 2.33997, 0.90293, 17.22682),
        (100, 0.25, 2.03686, 0.59356, 4.73514),
    ],
)
def test_bounds_have_the_reference_values(n, lam, bound, share, prr):
    found = [
        scheduling_lower_bound(n, lam),
        prr_share(n, lam),
        prr_robustness(n, prr_share(n, lam)),
    ]
    np.testing.assert_allclose(found, [bound, share, prr], atol=5e-6)
    assert prr_consistency(n, prr_share(n, lam)) == pytest.approx(1 + lam)


@pytest.mark.parametrize("n", [2, 3, 7, 50])
def test_the_lower_bound_runs_from_n_to_round_robin(n):
    ends = scheduling_lower_bound(n, np.array([0.0, (n - 1) / (n + 1)]))
    np.testing.assert_allclose(ends, [n, 2 * n / (n + 1)], rtol=1e-12)
    assert scheduling_lower_bound(1, 0.3) == 1


def test_two_jobs_have_one_curve_for_all():
    lam = np.linspace(0, 1 / 3, 9)
    np.testing.assert_allclose(scheduling_lower_bound(2, lam), 1 + 1 / (1 + 6 * lam), rtol=1e-12)
    np.testing.assert_allclose(
        prr_robustness(2, prr_share(2, lam)), 1 + 1 / (1 + 6 * lam), rtol=1e-12
    )


def test_guarantees_are_above_the_exact_values():
    a = np.linspace(0.05, 0.95, 10)
    robust, plain, refined = prr_guarantees(a)
    for n in (2, 5, 100):
        assert (prr_robustness(n, a) < robust).all() and (prr_consistency(n, a) < refined).all()
    assert (refined < plain).all()


@pytest.mark.parametrize(("n", "a"), [(2, 0.0), (2, 0.5), (6, 0.8)])
def test_the_hard_instance_of_preferential_round_robin_attains_its_robustness(n, a):
    found = prr_hard_instance(n, a)
    run = schedule(PreferentialRoundRobin(a), found.sizes, found.predictions)
    np.testing.assert_allclose(run.completion, run.completion[0], rtol=1e-12)
    assert competitive_ratio(run.cost, found.sizes) == pytest.approx(
        prr_robustness(n, a), rel=1e-12
    )


@pytest.mark.long
def test_hard_instances_of_the_two_stage_schedule_have_their_stated_ratios():
    for n, lam in ((2, 0.2), (6, 0.15), (20, 0.3)):
        for k in range(1, n + 1):
            found = two_stage_hard_instance(n, lam, k)
            cost = schedule(TwoStage(lam), found.sizes, found.predictions, nudge=found.nudge).cost
            assert competitive_ratio(cost, found.sizes) == pytest.approx(
                two_stage_hard_ratios(n, lam)[k - 1], rel=1e-9
            )
    assert two_stage_hard_ratios(6, 0.15).max() == pytest.approx(2.39676, abs=5e-6)
    assert two_stage_hard_ratios(1000, 0.01).max() == pytest.approx(10.50, abs=5e-3)
    assert two_stage_hard_instance(3, 0.5, 1).nudge.sum() == 0  # round robin ends all jobs at once


@pytest.mark.long
@pytest.mark.parametrize("n", [3])
def test_the_adversary_of_the_proof_reaches_the_bound_against_every_policy(n):
    for policy, consistency in (
        (TwoStage(0.2), 1.2),
        (PreferentialRoundRobin(0.6), prr_consistency(n, 0.6)),
        (ShortestPredictedFirst(), 1.0),
    ):
        found = proof_adversary(policy, n)
        assert found.ratio >= scheduling_lower_bound(n, consistency - 1) - 1e-9
        again = schedule(
            policy, found.instance.sizes, found.instance.predictions, nudge=found.instance.nudge
        ).cost
        assert competitive_ratio(again, found.instance.sizes) == pytest.approx(found.ratio)


@pytest.mark.long
def test_small_right_jobs_break_the_bound_at_five_jobs_and_not_at_four():
    for n, breaks in ((3, False), (4, False), (5, True)):
        found = two_stage_small_job_instances(n, 0.25, np.geomspace(1e-3, 1, 50))
        cost = schedule(TwoStage(0.25), found.sizes, found.predictions, nudge=found.nudge).cost
        worst = competitive_ratio(cost, found.sizes).max()
        assert (worst > scheduling_lower_bound(n, 0.25) + 0.01) == breaks


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: scheduling_lower_bound(3, 0.6), r"lam = 0.6; .* in \[0, 0.5\]"),
        (lambda: scheduling_lower_bound(3, -0.1), "lam = -0.1"),
        (lambda: scheduling_lower_bound(0, 0.1), "n = 0"),
        (lambda: prr_robustness(3, 1.2), "spjf_share = 1.2"),
        (lambda: prr_hard_instance(3, 1.0), "spjf_share"),
        (lambda: two_stage_hard_instance(3, 0.1, 4), "correct = 4"),
        (lambda: prr_share(1, 0.1), "n = 1"),
        (lambda: worst_case_search(RoundRobin(), 2, key=None, instances=0), "instances = 0"),
        (lambda: two_stage_small_job_instances(5, 0.1, [2.0]), "small holds 2"),
    ],
)
def test_bad_input_is_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()
