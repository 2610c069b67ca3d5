import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from theorylab.errors import InputError
from theorylab.lab import (
    FAMILY_LEVEL,
    Claim,
    Evidence,
    Preset,
    bootstrap,
    correlation,
    over_seeds,
    resampled,
    share,
)
from theorylab.lab.claim import REDRAWS, control_said, jointly, together

QUICK = Preset("quick", {})


def judged(measured, control, kind="claim", presets=("quick",)):
    def say(value):
        return lambda results, preset: [Evidence("x", value, 0.0, 1.0)]

    claim = Claim(
        "c", "x in [0, 1]", "here", (), say(measured), {"wrong": say(control)}, kind, presets
    )
    return claim.evaluate({}, QUICK)


@pytest.mark.parametrize(
    ("measured", "control", "kind", "status", "failed"),
    [
        (0.5, 2.0, "claim", "holds", False),
        (1.5, 2.0, "claim", "fails", True),
        (0.5, 0.7, "claim", "vacuous", True),
        (0.5, math.nan, "claim", "vacuous", True),
        (math.nan, 2.0, "claim", "fails", True),
        (1.5, 2.0, "finding", "finding", False),
        (0.5, 2.0, "finding", "unsupported", True),
        (math.nan, 2.0, "finding", "unsupported", True),
    ],
)
def test_the_status_follows_from_the_claim_and_its_control(measured, control, kind, status, failed):
    verdict = judged(measured, control, kind)
    assert (verdict.status, verdict.failed) == (status, failed)
    assert verdict.as_json()["controls"]["wrong"]["rejected"] == (control == 2.0)


def test_a_claim_without_a_control_cannot_be_declared():
    with pytest.raises(ValueError, match="has no control"):
        Claim("c", "x", "here", (), lambda r, p: [])


def test_a_measurement_without_evidence_is_an_error():
    claim = Claim("c", "x", "here", (), lambda r, p: [], {"w": lambda r, p: [Evidence("x", 1.0)]})
    with pytest.raises(ValueError, match="no evidence"):
        claim.evaluate({}, QUICK)


def test_a_preset_too_small_for_the_claim_is_reported_and_nothing_is_measured():
    verdict = judged(5.0, 0.5, presets=("full",))
    assert verdict.status == "skipped" and not verdict.failed and verdict.tightest() is None


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


INSIDE, ACROSS, OUTSIDE = [0.5, 0.51, 0.49], [0.9, 1.0, 1.1], [2.0, 2.01, 1.99]


@pytest.mark.parametrize(
    ("values", "control", "kind", "status", "failed"),
    [
        (INSIDE, OUTSIDE, "claim", "holds", False),
        (ACROSS, OUTSIDE, "claim", "undecided", False),
        (OUTSIDE, OUTSIDE, "claim", "fails", True),
        (INSIDE, ACROSS, "claim", "undecided", False),
        (INSIDE, INSIDE, "claim", "vacuous", True),
        (ACROSS, INSIDE, "claim", "undecided", False),
        (OUTSIDE, OUTSIDE, "finding", "finding", False),
        (ACROSS, OUTSIDE, "finding", "undecided", False),
        (INSIDE, OUTSIDE, "finding", "unsupported", True),
        (OUTSIDE, ACROSS, "finding", "undecided", False),
    ],
)
def test_the_status_of_sampled_measurements(values, control, kind, status, failed):
    def say(x):
        return lambda results, preset: [over_seeds("x", x, 0.0, 1.0)]

    verdict = Claim(
        "c", "x in [0, 1]", "here", (), say(values), {"wrong": say(control)}, kind
    ).evaluate({}, QUICK)
    assert (verdict.status, verdict.failed) == (status, failed)
    said = {"holds": "accepted", "fails": "rejected", "undecided": "undecided"}[
        over_seeds("", control, 0, 1).outcome
    ]
    assert verdict.as_json()["controls"]["wrong"]["outcome"] == said


def test_one_failing_measurement_decides_over_undecided_ones():
    evidence = [
        over_seeds("a", ACROSS, 0, 1),
        over_seeds("b", OUTSIDE, 0, 1),
        over_seeds("c", INSIDE, 0, 1),
    ]
    assert [together(evidence), together(evidence[::2]), together(evidence[2:])] == [
        "fails",
        "undecided",
        "holds",
    ]
    assert control_said([*evidence, Evidence("nan", math.nan)]) == "broken"


@given(x=st.floats(-5, 5), low=st.floats(-3, 3), width=st.floats(0, 4))
def test_evidence_holds_exactly_when_its_margin_is_not_negative(x, low, width):
    evidence = Evidence("x", x, low, low + width)
    assert evidence.holds == (evidence.margin >= 0)


def test_the_tightest_evidence_is_the_violated_one():
    claim = Claim(
        "c",
        "x",
        "here",
        (),
        lambda r, p: [Evidence("a", 0.5, 0, 1), Evidence("b", 9.0, high=1.0)],
        {"w": lambda r, p: [Evidence("x", 2.0, 0, 1)]},
    )
    assert claim.evaluate({}, QUICK).tightest().label == "b"


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
