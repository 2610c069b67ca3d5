import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from theorylab import online
from theorylab.online import (
    Action,
    PreferentialRoundRobin,
    RoundRobin,
    ShortestPredictedFirst,
    TwoStage,
    opt_cost,
    schedule,
)


def loop(x, y, rule, boundary=np.inf, tolerance=1e-9):
    """Plain event loop with real numbers only: `rule(unfinished, order, stage, deviated)` gives the
    rates."""
    n = len(x)
    attained, finish, time, stage, overrun = (
        np.zeros(n),
        np.full(n, np.inf),
        0.0,
        0,
        np.zeros(n, bool),
    )
    order = np.argsort(y, kind="stable")
    while np.isinf(finish).any():
        open_ = np.isinf(finish)
        early = ~open_ & (attained < y * (1 - tolerance))
        rate = rule(open_, order, stage, bool((early | overrun).any()))
        steps = [(x[j] - attained[j]) / rate[j] for j in range(n) if rate[j] > 0]
        steps += [
            (y[j] - attained[j]) / rate[j]
            for j in range(n)
            if rate[j] > 0 and not overrun[j] and x[j] > y[j]
        ]
        if stage == 0 and np.isfinite(boundary):
            steps.append(boundary - time)
        step = max(min(steps), 0.0)
        attained, time = attained + rate * step, time + step
        done = open_ & (attained >= x * (1 - 1e-13))
        attained[done], finish[done] = x[done], time
        overrun |= open_ & ~done & (attained >= y * (1 - 1e-13)) & (x > y)
        stage += int(stage == 0 and time >= boundary * (1 - 1e-13))
    return finish.sum()


def shared(open_, *_):
    return open_ / open_.sum()


def head(open_, order):
    rate = np.zeros(len(open_))
    rate[next(j for j in order if open_[j])] = 1.0
    return rate


def two_stage_loop(x, y, lam):
    n = len(x)
    boundary = lam * (np.sort(y) * np.arange(n, 0, -1)).sum() * 2 / (n - 1)
    return loop(
        x, y, lambda o, order, s, bad: shared(o) if s == 0 or bad else head(o, order), boundary
    )


def prr_loop(x, y, a):
    return loop(x, y, lambda o, order, s, bad: a * head(o, order) + (1 - a) * shared(o))


@pytest.fixture(scope="module")
def instances():
    rng = np.random.default_rng(0)
    x = rng.pareto(1.5, (12, 4)) + 0.1
    y = np.where(rng.random(x.shape) < 0.5, x, x * np.exp(rng.normal(size=x.shape)))
    return x, y


@pytest.mark.parametrize(
    ("policy", "reference"),
    [
        (RoundRobin(), lambda x, y: loop(x, y, shared)),
        (
            ShortestPredictedFirst(),
            lambda x, y: loop(x, y, lambda o, order, s, bad: head(o, order)),
        ),
        (PreferentialRoundRobin(0.3), lambda x, y: prr_loop(x, y, 0.3)),
        (TwoStage(0.15), lambda x, y: two_stage_loop(x, y, 0.15)),
    ],
)
def test_costs_are_those_of_a_plain_event_loop(instances, policy, reference):
    x, y = instances
    costs = schedule(policy, x, y).cost
    np.testing.assert_allclose(
        costs, [reference(a, b) for a, b in zip(x, y, strict=True)], rtol=1e-11
    )
    assert costs.dtype == np.float64


@pytest.mark.long
@pytest.mark.parametrize(("n", "lam", "bound"), [(5, 0.25, 2.0), (6, 0.15, 2.36538)])
def test_the_small_job_instance_beats_the_lower_bound_in_a_plain_event_loop_too(n, lam, bound):
    # Overruns of 1e-7 in place of infinitesimal ones move the ratio by about 1e-6.
    found = online.two_stage_small_job_instances(n, lam, [0.04211487])
    x = found.sizes[0] * (1 + 1e-7 * found.nudge[0])
    ratio = two_stage_loop(x, found.predictions[0], lam) / opt_cost(x)
    exact = schedule(
        TwoStage(lam), found.sizes, found.predictions, nudge=found.nudge
    ).cost / opt_cost(found.sizes)
    assert ratio > bound + 0.005 and ratio == pytest.approx(exact[0], abs=1e-5)


def test_just_above_is_the_limit_of_small_overruns():
    # Theorem D's instance: y = (1, 1), x = (1, 3 lam+) costs 1 + 1/(1 + 6 lam) times the optimum.
    lam = 0.1
    exact = schedule(TwoStage(lam), [1.0, 0.3], [1.0, 1.0], nudge=[0, 1]).cost / opt_cost(
        [1.0, 0.3]
    )
    assert exact == pytest.approx(1.625, abs=1e-12)
    for eps in (1e-3, 1e-5):
        x = np.array([1.0, 0.3 + eps])
        assert schedule(TwoStage(lam), x, [1.0, 1.0]).cost / opt_cost(x) == pytest.approx(
            exact, abs=5 * eps
        )
    # At exactly 3 lam the job ends in stage one, early: the policy sees it and shares for good.
    at = schedule(TwoStage(lam), [1.0, 0.3], [1.0, 1.0]).cost / opt_cost([1.0, 0.3])
    assert at == pytest.approx(online.round_robin_cost([1.0, 0.3]) / opt_cost([1.0, 0.3]))


@pytest.mark.long
def test_a_right_job_just_below_its_prediction_counts_as_early():
    x, y = [0.5, 1.0, 1.0], [0.5, 1.0, 1.0]
    right = schedule(TwoStage(0.05), x, y).cost
    early, late = (schedule(TwoStage(0.05), x, y, nudge=[e, 0, 0]).cost for e in (-1, 1))
    np.testing.assert_allclose([early, late], [early, early])
    assert early > right


def test_without_overrun_detection_a_late_job_blocks_the_others():
    # Dossier: ratio -> n = 2 as the first job shrinks; 2 sizes 100 and 1e-6 with predictions
    # swapped.
    x, y = np.array([100.0, 0.5]), np.array([0.1, 1.0])
    blind, seeing = (
        schedule(TwoStage(0.01, detect_overrun=d), x, y).cost / opt_cost(x) for d in (False, True)
    )
    assert blind > 1.9 and seeing < 1.1


sizes = st.lists(st.floats(0.01, 100.0), min_size=4, max_size=4)


@pytest.mark.long
@given(sizes, st.floats(0.0, 1.0))
def test_identities_of_round_robin_and_preferential_round_robin(x, a):
    x = np.asarray(x)
    np.testing.assert_allclose(
        schedule(RoundRobin(), x).cost, 2 * opt_cost(x) - x.sum(), rtol=1e-11
    )
    expected = (2 * opt_cost(x) - (1 - a) * x.sum()) / (1 + a)
    np.testing.assert_allclose(schedule(PreferentialRoundRobin(a), x).cost, expected, rtol=1e-11)
    np.testing.assert_allclose(online.prr_perfect_cost(x, a), expected, rtol=1e-12)


@given(sizes, sizes, st.floats(0.0, 0.6))
def test_two_stage_is_consistent_and_scale_free_and_blind_to_the_order_of_jobs(x, y, lam):
    x, y = np.asarray(x), np.asarray(y)
    assert schedule(TwoStage(lam), x).cost <= (1 + lam) * opt_cost(x) * (1 + 1e-11)
    cost = schedule(TwoStage(lam), x, y).cost
    np.testing.assert_allclose(schedule(TwoStage(lam), 8 * x, 8 * y).cost, 8 * cost, rtol=1e-11)
    if len(set(y)) == 4:
        np.testing.assert_allclose(schedule(TwoStage(lam), x[::-1], y[::-1]).cost, cost, rtol=1e-11)


def test_ties_go_to_the_lower_index():
    completion = schedule(ShortestPredictedFirst(), [3.0, 1.0], [1.0, 1.0]).completion
    np.testing.assert_allclose(completion, [3.0, 4.0])


@pytest.mark.parametrize(
    "policy", [RoundRobin(), ShortestPredictedFirst(), PreferentialRoundRobin(0.5), TwoStage(0.1)]
)
def test_no_job_one_job_and_jobs_of_size_zero(policy):
    assert schedule(policy, []).cost == 0 and schedule(policy, np.zeros((3, 0))).cost.shape == (3,)
    assert schedule(policy, [2.5], [7.0]).cost == 2.5
    assert schedule(policy, [0.0, 0.0]).cost == 0
    assert schedule(policy, [0.0, 1.0], [1.0, 1.0]).completion[0] == 0
    assert (
        online.competitive_ratio(0.0, [0.0, 0.0]) == 1
        and online.competitive_ratio(1.0, [0.0]) == np.inf
    )


@pytest.mark.parametrize(
    ("arguments", "options", "message"),
    [
        (([1.0, -2.0],), {}, "sizes holds -2"),
        (([1.0, np.nan],), {}, "sizes holds nan"),
        (([1.0, np.inf],), {}, "sizes holds inf"),
        ((3.0,), {}, "sizes is a single number"),
        ((["a"],), {}, "sizes = "),
        (([1.0, 2.0], [1.0]), {}, "predictions are for 1 jobs and sizes for 2"),
        (([1.0, 2.0], [1.0, -1.0]), {}, "predictions holds -1"),
        (([1.0, 2.0], [1.0, np.nan]), {}, "predictions holds nan"),
        ((np.ones((2, 3)), np.ones((4, 3))), {}, "shapes"),
        (([0.0, 1.0],), {"nudge": [-1, 0]}, "nudge is negative"),
        (([0.0, 1.0],), {"wakes": -1}, "wakes = -1"),
    ],
)
def test_bad_instances_are_refused_in_one_line(arguments, options, message):
    with pytest.raises(ValueError, match=message) as caught:
        schedule(RoundRobin(), *arguments, **options)
    assert "\n" not in str(caught.value)


def test_bad_policies_are_refused():
    with pytest.raises(ValueError, match="infeasible"):
        schedule(lambda view: 2.0 * online.equal_rates(view), [1.0, 2.0])
    with pytest.raises(ValueError, match="infeasible"):
        schedule(lambda view: jnp.full(2, jnp.nan), [1.0, 2.0])
    with pytest.raises(ValueError, match="wake-ups"):
        schedule(
            lambda view: Action(online.equal_rates(view) / 2, view.time + 0.1), [1.0, 2.0], wakes=1
        )
    with pytest.raises(ValueError, match="one rate per job"):
        schedule(lambda view: jnp.ones(3) / 3, [1.0, 2.0])
    with pytest.raises(ValueError, match="policy = 3"):
        schedule(3, [1.0])


def test_a_policy_that_idles_for_ever_costs_infinity_and_waking_up_mends_it():
    assert schedule(lambda view: jnp.zeros(2), [1.0, 2.0]).cost == np.inf
    lazy = schedule(
        lambda view: Action(online.equal_rates(view) * (view.phase > 0), 5.0), [1.0, 2.0]
    )
    np.testing.assert_allclose(lazy.completion, [7.0, 8.0])  # five units late, then shared


@pytest.mark.long
def test_schedules_work_under_jit_and_vmap_and_in_float32_user_code(instances):
    x, y = (jnp.asarray(a, jnp.float32) for a in instances)
    expected = schedule(TwoStage(0.1), np.asarray(x, float), np.asarray(y, float)).cost
    assert schedule(TwoStage(0.1), x, y).cost.dtype == np.float64
    one = jax.jit(jax.vmap(lambda a, b: schedule(TwoStage(0.1), a, b).cost))(x, y)
    assert one.dtype == jnp.float32
    np.testing.assert_allclose(one, expected, rtol=1e-5)
    lams = jnp.array([0.0, 0.1])
    many = jax.vmap(lambda lam: schedule(TwoStage(lam), x[0], y[0]).cost)(lams)
    np.testing.assert_allclose(many[1], expected[0], rtol=1e-5)
    with jax.enable_x64(True):
        again = jax.jit(lambda a, b: schedule(TwoStage(0.1), a, b).cost)(
            *map(jnp.asarray, instances)
        )
        assert again.dtype == jnp.float64


@pytest.mark.long
@pytest.mark.parametrize("instances", [1, 8, 19])
def test_instances_do_not_depend_on_the_block_they_are_run_in(monkeypatch, instances):
    rng = np.random.default_rng(3)
    x, y = rng.integers(0, 4, (2, instances, 5)).astype(float)  # many ties and empty jobs
    whole = schedule(TwoStage(0.2), x, y)
    monkeypatch.setattr(online.events, "_IN_CACHE", 40)  # eight instances a block
    blocks = schedule(TwoStage(0.2), x, y)
    np.testing.assert_allclose(blocks.completion, whole.completion, rtol=1e-12)
    np.testing.assert_array_equal(blocks.status, whole.status)
