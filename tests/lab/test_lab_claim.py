import math

import pytest

from theorylab.lab import Claim, Evidence, Preset, over_seeds
from theorylab.lab.outcomes import control_said, together

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
