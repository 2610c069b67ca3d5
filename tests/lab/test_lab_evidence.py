import math

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy import stats

from theorylab.errors import InputError
from theorylab.lab import (
    FAMILY_LEVEL,
    Evidence,
    bootstrap,
    correlation,
    over_seeds,
    resampled,
    share,
)
from theorylab.lab.evidence import REDRAWS, jointly


def test_the_interval_over_seeds_is_students():
    x = np.array([1.0, 1.5, 0.7, 1.1])
    evidence = over_seeds("x", x, 0.9, 2.0)
    low, high = stats.t.interval(0.95, 3, loc=x.mean(), scale=stats.sem(x))
    assert (
        evidence.interval == pytest.approx((low, high))
        and evidence.holds
        and evidence.outcome == "undecided"
    )
    assert over_seeds("x", [1.0]).interval is None


def test_the_interval_of_a_geometric_mean_is_students_of_the_logarithms_transformed_back():
    ratios = np.array([60.0, 90.0, 300.0, 45.0])
    found = over_seeds("ratio", ratios, low=5.0, scale="log")
    interval = np.exp(stats.t.interval(0.95, 3, np.log(ratios).mean(), stats.sem(np.log(ratios))))
    assert found.measured == pytest.approx(stats.gmean(ratios), rel=1e-12)
    assert found.interval == pytest.approx(tuple(interval), rel=1e-12)
    joint = jointly([found, over_seeds("x", [1.0, 2.0])])[0].interval
    assert joint == pytest.approx(
        tuple(np.exp(stats.ttest_1samp(np.log(ratios), 0).confidence_interval(0.975))), rel=1e-12
    )


def test_a_small_denominator_hides_on_the_linear_scale_alone_that_every_seed_exceeds_the_bound():
    ratios = [60.0, 90.0, 300.0, 1500.0]
    linear, log = (over_seeds("ratio", ratios, low=5.0, scale=s) for s in ("linear", "log"))
    assert linear.interval[0] < 0 and linear.outcome == "undecided"
    assert log.interval[0] > 5 and log.outcome == "holds"


@given(
    values=st.lists(st.floats(0.05, 20).map(lambda x: round(x, 3)), min_size=2, max_size=6),
    low=st.floats(0.1, 3),
    factor=st.floats(1.01, 9),
)
def test_on_the_log_scale_a_ratio_is_judged_as_its_logarithm_and_as_its_inverse(
    values, low, factor
):
    found = over_seeds("ratio", values, low, low * factor, scale="log")
    assume(
        min(abs(math.log(b / e)) for e in found.interval for b in (found.low, found.high)) > 1e-9
    )
    logs = over_seeds("logarithm", np.log(values), math.log(low), math.log(low * factor))
    inverse = over_seeds("inverse", 1 / np.array(values), 1 / low / factor, 1 / low, scale="log")
    assert found.outcome == logs.outcome == inverse.outcome


def test_equal_ratios_have_an_interval_without_width_at_the_very_number():
    same = over_seeds("x", [0.1] * 3, 0.1, 0.1, scale="log")
    assert math.exp(np.log([0.1] * 3).mean()) != 0.1
    assert same.interval == (0.1, 0.1) and same.outcome == "holds"
    assert over_seeds("x", [3.0], scale="log").interval is None


@pytest.mark.parametrize("value", [0.0, -2.0])
def test_a_value_that_is_not_above_0_has_no_place_on_the_log_scale(value):
    with pytest.raises(InputError, match=f"{value:.6g} has no logarithm"):
        over_seeds("ratio", [3.0, value, 4.0], scale="log")
    assert over_seeds("ratio", [3.0, value, 4.0]).finite


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_a_ratio_that_is_not_finite_makes_no_finite_measurement_on_either_scale(value):
    for scale in ("linear", "log"):
        assert not over_seeds("ratio", [3.0, value], scale=scale).finite


@pytest.mark.parametrize(("successes", "trials"), [(0, 12), (3, 12), (12, 12), (199, 400)])
def test_the_interval_of_a_share_is_that_of_the_exact_binomial_test(successes, trials):
    found = share("x", successes, trials, 0.1, 0.9)
    exact = stats.binomtest(successes, trials).proportion_ci(0.95, "exact")
    assert found.interval == pytest.approx((exact.low, exact.high), abs=1e-12)
    assert found.measured == successes / trials


@pytest.mark.parametrize("given_", [(-1, 3), (4, 3), (0, 0)])
def test_a_share_of_impossible_counts_is_refused(given_):
    with pytest.raises(InputError, match="at least one trial"):
        share("x", *given_)


def test_a_percentile_interval_cuts_its_share_of_the_draws():
    draws = np.random.default_rng(0).permutation(1001) / 1000
    assert resampled("x", 0.5, draws).interval == pytest.approx((0.025, 0.975))
    with pytest.raises(InputError, match="a draw is not finite"):
        resampled("x", 0.5, [0.1, math.nan])


def test_fishers_interval_of_a_correlation_is_scipys():
    x = np.random.default_rng(1).normal(size=(2, 30)) + np.linspace(0, 3, 30)
    r = stats.pearsonr(*x)
    found = correlation("r", r.statistic, 30)
    assert found.interval == pytest.approx(tuple(r.confidence_interval(0.95)), abs=1e-9)
    assert correlation("r", 1.0, 3).interval is None


def test_equal_values_have_an_interval_without_width_at_the_very_number():
    same = over_seeds("x", [0.1] * 3, 0.1, 0.1)  # their floating-point mean is above 0.1
    assert np.mean([0.1] * 3) > 0.1 and same.interval == (0.1, 0.1) and same.outcome == "holds"


def test_many_measurements_share_the_error_among_them():
    values = np.random.default_rng(2).normal(size=(4, 6))
    sampled = [over_seeds(f"x{i}", v) for i, v in enumerate(values)]
    # Exact numbers and single values have no interval and take no share.
    found = jointly([*sampled, Evidence("exact", 1.0), over_seeds("one", [1.0])])
    for e, v in zip(found, values, strict=False):
        expected = stats.t.interval(1 - 0.05 / 4, 5, loc=v.mean(), scale=v.std(ddof=1) / 6**0.5)
        assert e.interval == pytest.approx(expected, rel=1e-12)
    assert FAMILY_LEVEL == 0.05 and jointly(sampled[:1])[0].interval == sampled[0].interval


@pytest.mark.long
def test_joint_intervals_of_eight_means_all_cover_in_19_of_20_families():
    # Independent normals: Bonferroni's coverage is (1 - .05/8)^8 = 0.9511; 1,000 families, four
    # standard errors.
    rng, families = np.random.default_rng(3), 1000
    covered = sum(
        all(
            e.interval[0] <= 0 <= e.interval[1]
            for e in jointly([over_seeds("x", v) for v in rng.normal(size=(8, 5))])
        )
        for _ in range(families)
    )
    assert abs(covered / families - (1 - 0.05 / 8) ** 8) < 4 * math.sqrt(0.95 * 0.05 / families)


def test_the_interval_of_a_share_covers_as_often_as_the_binomial_law_says():
    n, p = 30, 0.2
    covered = [
        k for k in range(n + 1) if share("x", k, n).interval[0] <= p <= share("x", k, n).interval[1]
    ]
    assert 0.95 <= stats.binom.pmf(covered, n, p).sum() < 0.99  # exact: never below the level


BOUND = st.floats(-3, 3)
VALUES = st.lists(st.floats(-3, 3).map(lambda x: round(x, 3)), min_size=2, max_size=6)


@given(values=VALUES, low=BOUND, width=st.floats(0, 4))
def test_an_interval_is_inside_outside_or_across(values, low, width):
    evidence = over_seeds("x", values, low, low + width)
    a, b = evidence.interval
    inside, apart = low <= a and b <= low + width, b < low or a > low + width
    assert evidence.outcome == ("holds" if inside else "fails" if apart else "undecided") and not (
        inside and apart
    )
    if evidence.outcome != "undecided":
        # the number agrees with its interval
        assert evidence.holds == (evidence.outcome == "holds")


@given(values=VALUES, low=BOUND, width=st.floats(0, 4), more=st.floats(0, 2))
def test_wider_bounds_never_turn_holding_into_not_holding_nor_make_a_failure(
    values, low, width, more
):
    rank = {"fails": 0, "undecided": 1, "holds": 2}
    narrow = over_seeds("x", values, low, low + width)
    wide = over_seeds("x", values, low - more, low + width + more)
    assert rank[narrow.outcome] <= rank[wide.outcome]


@given(x=st.floats(-5, 5), low=st.floats(-3, 3), width=st.floats(0, 4))
def test_evidence_holds_exactly_when_its_margin_is_not_negative(x, low, width):
    evidence = Evidence("x", x, low, low + width)
    assert evidence.holds == (evidence.margin >= 0)


def test_a_bootstrap_over_seeds_is_that_of_every_draw_by_itself_and_the_same_in_all_arrays():
    a, b = np.random.default_rng(1).normal(size=(2, 4, 3))
    found = bootstrap("largest mean", lambda v, w: float((v - w).mean(0).max()), (a, b), high=1.0)
    drawn = np.random.default_rng(0).integers(4, size=(REDRAWS, 4))
    np.testing.assert_allclose(found.sample.draws, (a - b)[drawn].mean(1).max(1))
    assert found.measured == pytest.approx((a - b).mean(0).max()) and found.seeds == 4


def test_a_bootstrap_leaves_out_draws_on_which_the_statistic_is_not_defined():
    values = np.array([0.0, 1.0, 2.0])  # one draw in 27 is of zeros alone
    found = bootstrap("inverse mean", lambda v: 1 / v.mean(), (values,))
    assert (
        0 < REDRAWS - len(found.sample.draws) < REDRAWS / 10
        and np.isfinite(found.sample.draws).all()
    )
