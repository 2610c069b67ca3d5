import math

import pytest

from theorylab.errors import InputError
from theorylab.lab import Claim, Evidence, Runner, Store, over_seeds
from theorylab.lab.claim import Verdict
from theorylab.lab.runner import total_seconds
from theorylab.report import failed, lines, read_records, verify, write_records
from theorylab.report.verdicts import bound_text, margin, measured_text, record_of, relative_margin


def evidence(measured, low=None, high=None, interval=None, seeds=1):
    return {
        "label": "q",
        "measured": measured,
        "low": low,
        "high": high,
        "interval": interval,
        "seeds": seeds,
    }


def test_margins_are_distances_to_the_nearer_bound():
    assert margin(evidence(0.3, 0.0, 1.0)) == pytest.approx(0.3)
    assert margin(evidence(0.9, 0.0, 1.0)) == pytest.approx(0.1)
    assert margin(evidence(2.0, None, 1.5)) == pytest.approx(-0.5)
    assert (
        math.isnan(margin(evidence("nan", 0.0, 1.0)))
        and margin(evidence(None, None, 1.0)) == -math.inf
    )
    assert (
        relative_margin(evidence("nan", 0, 1))
        < relative_margin(evidence(2, 0, 1))
        < relative_margin(evidence(0.5, 0, 1))
    )


def test_a_measurement_is_written_with_its_interval_and_its_bound():
    assert (
        measured_text(evidence(0.123456, interval=[0.1, 0.2], seeds=4))
        == "q: 0.1235 [0.1, 0.2] (4 seeds)"
    )
    assert measured_text(evidence(0.5, interval=[None, None])) == "q: 0.5 [inf, inf]"
    assert [
        bound_text(evidence(0, *b)) for b in ((0, 1), (2, None), (None, 3), (1, 1), (None, None))
    ] == [
        "in [0, 1]",
        "≥ 2",
        "≤ 3",
        "= 1",
        "any number",
    ]


def test_a_line_tells_the_tightest_evidence_the_controls_and_the_seconds(toy_run, toy_paper):
    preset, runner = toy_paper.preset("quick"), Runner(Store(toy_run / "results"))
    record = verify(toy_paper, preset, runner)
    first, second = lines(record)
    assert (
        first.status == second.status == "holds"
        and first.controls == "1 of 1"
        and first.bound == "in [-0.01, 0.01]"
    )
    assert "(2 seeds)" in first.measured and not failed(record)
    assert first.seconds == round(
        total_seconds(runner.run(toy_paper, preset, toy_paper.claims[0].needs)), 2
    )


def test_an_interval_that_reaches_over_the_bound_leaves_the_claim_undecided(toy_paper):
    preset = toy_paper.preset("quick")
    for values, status in (((0.4, 0.5, 0.6), "holds"), ((0.4, 0.8, 1.2), "undecided")):
        one = lambda results, preset, x=values: [over_seeds("x", x, 0.0, 1.0)]  # noqa: E731
        out = lambda results, preset: [Evidence("x", 2.0, 0.0, 1.0)]  # noqa: E731
        claim = Claim("c", "x <= 1", "eq. 1", (), one, {"all": out})
        record = record_of(toy_paper, preset, [(claim, claim.evaluate({}, preset))], {})
        assert lines(record)[0].status == status and not failed(record)


def test_a_broken_claim_fails_the_record(toy_run, broken_paper):
    record = verify(broken_paper, broken_paper.preset("quick"), Runner(Store(toy_run / "results")))
    line = lines(record)[-1]
    assert failed(record) and line.failed and line.status == "fails" and float(line.margin) == -1.0


def test_a_finding_says_that_it_does_not_reproduce(toy_paper):
    outside = lambda results, preset: [Evidence("x", 2.0, 0.0, 1.0)]  # noqa: E731
    claim = Claim(
        "f", "x is at most 1", "eq. 7", ("squares",), outside, kind="finding", note="Ours is 2."
    )
    preset = toy_paper.preset("quick")
    (line,) = lines(record_of(toy_paper, preset, [(claim, claim.evaluate({}, preset))], {}))
    assert line.remark == "not reproduced at this scale: Ours is 2." and not line.failed
    missing, skipped = record_of(
        toy_paper, preset, [(claim, None), (claim, Verdict(claim, "skipped"))], {}
    )["claims"]
    assert missing["status"] == "missing" and skipped["status"] == "skipped"


def test_records_are_read_back_and_other_files_are_refused(toy_paper, tmp_path):
    record = record_of(toy_paper, toy_paper.preset("quick"), [], {})
    write_records(tmp_path / "v.json", {"toy": record})
    assert read_records(tmp_path / "v.json")["toy"]["code"] == record["code"]
    write_records(tmp_path / "v.json", {"other": record}, keep=True)
    assert set(read_records(tmp_path / "v.json")) == {"toy", "other"}
    (tmp_path / "w.json").write_text('{"toy": []}')
    for name in ("w.json", "absent.json"):
        with pytest.raises(InputError, match="give the JSON that"):
            read_records(tmp_path / name)
