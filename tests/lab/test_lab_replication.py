import json
import math
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import toy
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from theorylab.errors import InputError
from theorylab.lab import (
    Claim,
    Evidence,
    Preset,
    Runner,
    Store,
    correlation,
    over_seeds,
    resampled,
    share,
)
from theorylab.lab.claim import Verdict
from theorylab.lab.replication import held_out, masked, pool, replicate
from theorylab.lab.replication_file import (
    committed,
    counts_text,
    held_text,
    read_replication,
    record_of_replication,
    standing,
    write_replication,
)
from theorylab.lab.reproduce import reproduce

HERE = Path(__file__).parent
QUICK = Preset("quick", {})
OUTSIDE = Evidence("x", 2.0, 0.0, 1.0)


def verdicts(runs, control=None, kind="claim", **options):
    """The verdicts of one claim at several base seeds; `runs` has the evidence of each."""
    found = []
    control = control or [[OUTSIDE]] * len(runs)
    for at in range(len(runs)):
        one, two = (lambda r, p, x=x: x for x in (runs[at], control[at]))
        found.append(
            Claim("c", "s", "here", (), one, {"wrong": two}, kind, **options).evaluate({}, QUICK)
        )
    return found


def over(values, low=0.0, high=1.0):
    return [over_seeds("x", values, low, high)]


def exact(value, low=0.0, high=1.0, label="x"):
    return [Evidence(label, value, low, high)]


def test_values_of_all_base_seeds_are_one_sample():
    runs = np.random.default_rng(0).normal(0.5, 0.1, size=(5, 4))
    (e,) = pool(verdicts([over(x) for x in runs])).evidence
    every = runs.ravel()
    assert e.kind == "sampled" and e.joint.measured == pytest.approx(every.mean())
    expected = stats.t.interval(0.95, 19, every.mean(), every.std(ddof=1) / 20**0.5)
    assert e.interval == pytest.approx(expected, rel=1e-12)


def test_ratios_of_all_base_seeds_are_one_sample_on_the_log_scale():
    runs = np.exp(np.random.default_rng(0).normal(2, 1, size=(5, 3)))
    ratios = [[over_seeds("x", x, low=1.0, scale="log")] for x in runs]
    (e,) = pool(verdicts(ratios)).evidence
    logs = np.log(runs).ravel()
    expected = np.exp(stats.t.interval(0.95, 14, logs.mean(), stats.sem(logs)))
    assert e.interval == pytest.approx(tuple(expected), rel=1e-12)
    assert e.joint.measured == pytest.approx(stats.gmean(runs.ravel()))
    other = [[over_seeds("x", x, low=1.0)] for x in runs[1:]]
    (mixed,) = pool(verdicts(ratios[:1] + other)).evidence  # two scales are no one sample
    assert mixed.joint.sample.size == 5


def test_successes_and_trials_are_added():
    (e,) = pool(verdicts([[share("x", k, n)] for k, n in ((3, 10), (5, 10), (40, 80))])).evidence
    exact_ = stats.binomtest(48, 100).proportion_ci(0.95, "exact")
    assert (
        e.interval == pytest.approx((exact_.low, exact_.high), abs=1e-12)
        and e.joint.measured == 0.48
    )


def test_correlations_are_averaged_by_fishers_z():
    (e,) = pool(verdicts([[correlation("r", r, n)] for r, n in ((0.5, 13), (0.7, 23))])).evidence
    z = (10 * math.atanh(0.5) + 20 * math.atanh(0.7)) / 30
    half = 1.959963984540054 / 30**0.5
    assert e.interval == pytest.approx((math.tanh(z - half), math.tanh(z + half)), rel=1e-12)


def test_of_resampled_statistics_the_base_seeds_are_the_sample():
    measured = [0.4, 0.5, 0.7]
    (e,) = pool(verdicts([[resampled("x", m, [m - 1, m, m + 1])] for m in measured])).evidence
    assert e.interval == pytest.approx(
        stats.t.interval(0.95, 2, np.mean(measured), stats.sem(measured))
    )


def test_pooled_measurements_of_a_claim_share_the_error():
    runs = np.random.default_rng(1).normal(size=(3, 2, 4))
    found = pool(
        verdicts([[over_seeds("a", a), over_seeds("b", b), Evidence("c", 1.0)] for a, b in runs])
    ).evidence
    for e, values in zip(found, runs.transpose(1, 0, 2).reshape(2, 12), strict=False):
        expected = stats.t.interval(0.975, 11, values.mean(), values.std(ddof=1) / 12**0.5)
        assert e.interval == pytest.approx(expected, rel=1e-12)
    assert [e.kind for e in found] == ["sampled", "sampled", "exact"]


@pytest.mark.parametrize(
    ("values", "kind", "status", "held"),
    [
        ([0.5, 0.5, 0.5], "exact", "holds", 3),
        ([1.5, 1.5, 1.5], "exact", "fails", 0),
        ([0.1, 0.5, 0.9], "varies", "holds", 3),
        ([1.1, 1.5, 1.9], "varies", "fails", 0),
        ([0.9, 0.95, 1.01], "varies", "undecided", 2),
        ([0.5, 0.5, math.nan], "varies", "fails", 2),
    ],
)
def test_what_has_no_sample_must_hold_or_fail_at_every_base_seed(values, kind, status, held):
    found = pool(verdicts([exact(x) for x in values]))
    assert (found.evidence[0].kind, found.status, found.held, found.of) == (kind, status, held, 3)
    if kind == "varies" and np.isfinite(values).all():
        assert found.evidence[0].interval == pytest.approx(
            stats.t.interval(0.95, 2, np.mean(values), stats.sem(values))
        )


def test_one_value_a_base_seed_becomes_a_sample_of_as_many():
    found = pool(verdicts([over([x]) for x in (0.9, 1.0, 1.1)]))
    assert found.evidence[0].kind == "sampled" and found.status == "undecided" and found.held == 2


def test_controls_are_pooled_as_the_claim_is():
    inside = [over([0.4, 0.5])] * 3
    tried = {
        "holds": [over([2.0, 2.1])] * 3,
        "vacuous": [over([0.5, 0.6])] * 3,
        "undecided": [over([x, x + 0.01]) for x in (0.8, 1.0, 1.2)],
    }
    for status, control in tried.items():
        assert pool(verdicts(inside, control)).status == status
    assert pool(verdicts(inside, tried["vacuous"])).held == 0
    assert pool(verdicts(inside, [exact(0.5), exact(2.0), exact(2.0)])).held == 2
    assert pool(verdicts(inside, [exact(0.5), exact(2.0), exact(2.0)])).status == "undecided"


def test_a_finding_is_held_where_the_numbers_are_outside_again():
    outside, inside = over([2.0, 2.1]), over([0.5, 0.6])
    found = pool(verdicts([outside, outside, inside], kind="finding"))
    assert (found.held, found.status) == (2, "undecided")
    assert pool(verdicts([outside] * 3, kind="finding")).status == "finding"
    assert pool(verdicts([inside] * 3, kind="finding")).status == "unsupported"


def test_pooling_narrows_what_single_runs_cannot_decide():
    rng = np.random.default_rng(2)
    runs = verdicts([over(x) for x in rng.normal(0.9, 0.1, size=(12, 4))])
    assert "undecided" in {v.status for v in runs} and pool(runs).status == "holds"


@pytest.mark.parametrize(
    "runs", [[exact(0.5), exact(0.5) * 2], [exact(0.5, label="a"), exact(0.5, label="b")]]
)
def test_measurements_that_do_not_match_decide_nothing_and_it_is_said(runs):
    found = pool(verdicts(runs))
    assert (
        found.status == "undecided"
        and found.remark.endswith("not pooled: the claim")
        and found.held == 2
    )
    control = pool(verdicts([exact(0.5)] * 2, runs))
    assert control.status == "undecided" and control.remark.endswith("not pooled: wrong")


def test_numbers_in_a_label_may_differ_between_base_seeds():
    labels = ("n=3: 1,024, ref. -2.5e-3", "n=3: 999.5, ref. 7")
    (e,) = pool(verdicts([exact(0.5, label=x) for x in labels])).evidence
    assert e.label == "n=3: …, ref. …" and masked(labels[0]) == masked(labels[1]) == masked(
        "n=…: …, ref. …"
    )


def test_bounds_that_a_run_makes_itself_are_applied_to_that_run():
    found = pool(verdicts([over([1.4, 1.5], high=2.0), over([0.4, 0.5], high=1.0)]))
    assert (
        found.evidence[0].kind == "varies"
        and not found.evidence[0].same_bounds
        and found.status == "holds"
    )


def test_a_skipped_claim_stays_skipped():
    claim = verdicts([exact(0.5)])[0].claim
    found = pool([Verdict(claim, "skipped")] * 3)
    assert (found.status, found.held, found.of) == ("skipped", 0, 0)


VALUES = st.lists(st.floats(-2, 2).map(lambda x: round(x, 3)), min_size=2, max_size=5)


@given(values=VALUES, low=st.floats(-2, 2), width=st.floats(0, 3), copies=st.integers(2, 5))
def test_copies_of_a_run_never_reverse_what_it_decided(values, low, width, copies):
    one = over_seeds("x", values, low, low + width)
    found = pool(verdicts([[one]] * copies))
    pooled_ = found.evidence[0].outcome
    assert pooled_ == one.outcome or one.outcome == "undecided"
    a, b = found.evidence[0].interval
    assert one.interval[0] - 1e-9 <= a <= b <= one.interval[1] + 1e-9


@given(
    values=st.lists(VALUES, min_size=2, max_size=3),
    low=st.floats(-2, 2),
    width=st.floats(0, 3),
    more=st.floats(0, 2),
)
def test_wider_bounds_never_make_a_replication_worse(values, low, width, more):
    rank = {"fails": 0, "undecided": 1, "holds": 2}
    narrow = pool(
        verdicts(
            [over(x, low, low + width) for x in values], [[Evidence("x", 99.0, 0, 1)]] * len(values)
        )
    )
    wide = pool(
        verdicts(
            [over(x, low - more, low + width + more) for x in values],
            [[Evidence("x", 99.0, 0, 1)]] * len(values),
        )
    )
    assert rank[narrow.status] <= rank[wide.status] and narrow.held <= wide.held


def test_base_seeds_are_held_out_unless_the_first_is_named():
    assert list(held_out(3)) == [101, 102, 103] and list(held_out(2, 7)) == [7, 8]
    with pytest.raises(InputError, match="at least 2 base seeds"):
        held_out(1)
    with pytest.raises(InputError, match="seed must be 0 or more"):
        held_out(2, -1)


def replicated(tmp_path, paper=toy.PAPER, seeds=(101, 102, 103)):
    run = Runner(Store(tmp_path / "store"))
    return replicate(paper, paper.preset("quick"), run, seeds), run


def test_a_replication_computes_every_base_seed_and_shared_cells_once(tmp_path):
    found, run = replicated(tmp_path)
    # six squares a base seed; the sum and what it needs do not depend on it
    assert run.computed == 3 * 6 + 3
    assert [(c.status, c.held, c.of) for c in found.claims] == [("holds", 3, 3), ("holds", 3, 3)]
    squares, sums = (c.evidence[0] for c in found.claims)
    noise = [
        np.random.default_rng(s).normal(size=3).mean() * 1e-3
        for b in (101, 102, 103)
        for s in (1000 * b, 1000 * b + 1)
    ]
    assert (
        squares.joint.measured == pytest.approx(np.mean(noise), abs=1e-12)
        and squares.joint.seeds == 6
    )
    assert squares.interval == pytest.approx(
        stats.t.interval(0.95, 5, np.mean(noise), stats.sem(noise)), abs=1e-9
    )
    assert (squares.kind, sums.kind) == ("sampled", "exact")


@pytest.mark.long
def test_a_stopped_replication_goes_on_where_it_was(tmp_path):
    marks = tmp_path / "marks"
    marks.mkdir()
    code = (
        f"import sys; sys.path.insert(0, {str(HERE)!r})\n"
        "import toy; from dataclasses import replace; from theorylab.lab import Runner, Store\n"
        "from theorylab.lab.replication import replicate\n"
        "paper = replace(toy.PAPER, presets=toy.presets(pause=0.2))\n"
        f"replicate(paper, paper.preset('quick'), Runner(Store({str(tmp_path / 'store')!r})), "
        f"(101, 102, 103))\n"
    )
    environment = {**os.environ, "TOY_MARKS": str(marks), "PYTHONPATH": str(HERE.parents[1])}
    process = subprocess.Popen([sys.executable, "-c", code], env=environment)
    deadline = time.time() + 60
    while len(list(marks.iterdir())) < 8 and time.time() < deadline:  # within the second base seed
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.wait()
    kept = len(list((tmp_path / "store").rglob("*.result")))
    assert 6 <= kept < 21
    resumed, run = replicated(tmp_path, replace(toy.PAPER, presets=toy.presets(pause=0.2)))
    assert run.computed == 21 - kept
    straight, _ = replicated(tmp_path / "other")
    joints = [[c.evidence[0].joint for c in found.claims] for found in (resumed, straight)]
    assert [e.measured for e in joints[0]] == [e.measured for e in joints[1]]


@pytest.fixture
def folder(tmp_path):
    """A gallery with the toy paper reproduced at base seed 0 and replicated at three others."""
    found, run = replicated(tmp_path)
    reproduce(toy.PAPER, toy.PAPER.preset("quick"), run, tmp_path / "figures")
    write_replication(record_of_replication(found), tmp_path / "figures" / "toy")
    return tmp_path / "figures"


def beside(folder, paper=toy.PAPER, preset=None):
    record = json.loads((folder / "toy" / "claims.json").read_text())
    return committed(record["claims"], paper, preset or paper.preset("quick"), folder)


def test_a_record_says_how_it_was_made_and_what_was_measured(folder):
    record = read_replication(toy.PAPER, "quick", folder / "toy")
    assert record["command"] == "theorylab verify toy --preset quick --replicate 3"
    assert (record["seeds"], record["family_level"], record["values"]["xs"]) == (
        [101, 102, 103],
        0.05,
        [1, 2, 3],
    )
    assert record["versions"]["numpy"] == np.__version__ and record["code"] and record["devices"]
    first, second = record["claims"]
    assert (first["id"], first["status"], first["held"], first["of"]) == ("squares", "holds", 3, 3)
    assert first["statuses"] == ["holds"] * 3 and first["controls"]["cube"]["outcome"] == "rejected"
    assert len(first["evidence"][0]["measured"]) == 3 and second["evidence"][0]["kind"] == "exact"


def test_a_replication_stands_beside_its_verdicts_and_counts_in_their_place(folder):
    claims = beside(folder)
    assert [held_text(c) for c in claims] == ["held 3 of 3"] * 2
    assert counts_text(claims) == "2 hold; replicated over 3 base seeds"
    claims[0]["status"] = "fails"  # this run alone
    assert standing(claims[0]) == "holds"
    other_values = beside(folder, preset=toy.PAPER.preset("quick", changes={"xs": [3]}))
    other_preset = beside(folder, preset=toy.PAPER.preset("smoke"))
    assert [c["replication"] for c in other_values + other_preset] == [None] * 4


def test_changed_bounds_make_the_replication_of_that_claim_stale(folder):
    path = folder / "toy" / "claims.json"
    record = json.loads(path.read_text())
    record["claims"][0]["evidence"][0]["high"] = 0.02
    path.write_text(json.dumps(record))
    first, second = beside(folder)
    assert (
        held_text(first) == "held 3 of 3, bounds changed since"
        and held_text(second) == "held 3 of 3"
    )
    first["status"] = "fails"
    assert standing(first) == "fails"
    assert counts_text([first, second]).endswith(
        "replicated over 3 base seeds; 1 of 2 replications stale"
    )


def test_changed_code_makes_a_replication_stale(folder, monkeypatch):
    monkeypatch.setattr("theorylab.lab.replication_file.code_of", lambda paper, names: "new")
    assert [held_text(c) for c in beside(folder)] == ["held 3 of 3, the code has changed since"] * 2


@pytest.mark.parametrize(
    "damage",
    [lambda t: t[: len(t) // 2], lambda t: t.replace('"held": 3', '"held": 2'), lambda t: "[]"],
)
def test_a_damaged_replication_is_refused_and_says_how_to_mend_it(folder, damage):
    path = folder / "toy" / "replication.json"
    path.write_text(damage(path.read_text()))
    with pytest.raises(
        InputError, match=r"replication.json is damaged .* theorylab verify toy --replicate R"
    ):
        read_replication(toy.PAPER, "quick", folder / "toy")
    with pytest.raises(InputError, match="damaged"):
        write_replication({"paper": "toy", "preset": "quick"}, folder / "toy")


def test_presets_stand_beside_each_other_in_one_file(folder):
    record = read_replication(toy.PAPER, "quick", folder / "toy")
    write_replication({**record, "preset": "smoke"}, folder / "toy")
    assert read_replication(toy.PAPER, "quick", folder / "toy") == record
    assert read_replication(toy.PAPER, "smoke", folder / "toy")["preset"] == "smoke"
    assert read_replication(toy.PAPER, "full", folder / "toy") is None
