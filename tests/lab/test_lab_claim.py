import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from theorylab.lab import Claim, Evidence, Preset, over_seeds

QUICK = Preset("quick", {})


def judged(measured, control, kind="claim", presets=("quick",)):
    def say(value):
        return lambda results, preset: [Evidence("x", value, 0.0, 1.0)]

    claim = Claim("c", "x in [0, 1]", "here", (), say(measured), {"wrong": say(control)}, kind, presets)
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
    from scipy import stats

    x = np.array([1.0, 1.5, 0.7, 1.1])
    evidence = over_seeds("x", x, 0.9, 2.0)
    low, high = stats.t.interval(0.95, 3, loc=x.mean(), scale=stats.sem(x))
    assert evidence.interval == pytest.approx((low, high)) and evidence.holds and evidence.marginal
    assert over_seeds("x", [1.0]).interval is None


@given(x=st.floats(-5, 5), low=st.floats(-3, 3), width=st.floats(0, 4))
def test_evidence_holds_exactly_when_its_margin_is_not_negative(x, low, width):
    evidence = Evidence("x", x, low, low + width)
    assert evidence.holds == (evidence.margin >= 0)


def test_the_tightest_evidence_is_the_violated_one():
    claim = Claim("c", "x", "here", (), lambda r, p: [Evidence("a", 0.5, 0, 1), Evidence("b", 9.0, high=1.0)],
                  {"w": lambda r, p: [Evidence("x", 2.0, 0, 1)]})  # fmt: skip
    assert claim.evaluate({}, QUICK).tightest().label == "b"
