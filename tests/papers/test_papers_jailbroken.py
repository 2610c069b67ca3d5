"""The room: its claims on doctored outcomes, its cells, and what its presets share."""

import numpy as np
import pytest

from theorylab.lab import Results, Row
from theorylab.lab.claim import control_said
from theorylab.papers.jailbroken import PAPER, exact, published, tables
from theorylab.papers.jailbroken.claims import CLAIMS
from theorylab.papers.jailbroken.experiments import NARROW, PARITY, conditions, patched, run_of
from theorylab.papers.jailbroken.testing import OPENINGS, drawn_tests
from theorylab.safety import REWRITES, adaptive_rate, partial_coverage
from theorylab.safety.attack_sets import ATTACKS

QUICK = PAPER.preset("quick")
PLACE = {name: i for i, name in enumerate(ATTACKS)}
N = QUICK["prompts"]
FORCED = {"forced_0": 0.73, "forced_1": 0.74, "forced_2": 0.75, "forced_4": 0.76}
# BAD of each attack, by condition, as the claims expect it; none is 0 throughout
BAD = {
    "base model": {a: 1.0 for a in ATTACKS if a != "encoding_4"},
    "narrow": {
        "prefix": 0.7,
        "encoding_1": 0.48,
        "encoding_2": 0.34,
        "encoding_3": 0.44,
        "prefix_encoding_1": 0.48,
        **FORCED,
    },
    "patched": {"encoding_1": 0.48, "encoding_2": 0.35, "encoding_3": 0.45, **FORCED},
    "partial": {"prefix": 0.05, "encoding_1": 0.24, "prefix_encoding_1": 0.47, **FORCED},
    "parity": {"encoding_1": 0.04, "encoding_2": 0.08, "prefix_encoding_1": 0.02, **FORCED},
}
CAPABLE = {"encoding_1": 0.85, "encoding_2": 0.7, "encoding_3": 0.75, "encoding_4": 0.0}


def first(share):
    """Nine right letters on the first prompts."""
    return np.where(np.arange(N) < round(share * N), 9, 0)


def outcomes(condition, small=False):
    """Arrays of `tested` under a condition: the same prompts fall to every attack."""
    right, null = np.zeros((2, len(ATTACKS), N), int), np.zeros((2, len(ATTACKS), N), int)
    for name, i in PLACE.items():
        able = 0.01 if small and "encoding" in name else CAPABLE.get(name, 1.0)
        bad = min(BAD[condition].get(name, 0.0), able)
        if small:
            bad = {"prefix": 0.25}.get(name, 0.0)
        right[0, i], right[1, i] = first(able), first(bad)
        null[1, i] = np.where((right[1, i] == 0) & (name != "encoding_4") & (able > 0.5), 10, 0)
    return {"right": right, "null": null}


def condition_of(run):
    for name, known in conditions(QUICK).items():
        if run == known:
            return name
    return "patched"


def outcome_row(cell):
    small = cell["base"]["model"]["width"] == 32
    condition = condition_of(cell["run"])
    found = outcomes(condition, small and condition != "base model")
    return {part: a[:, [PLACE[name] for name in cell["attacks"]]] for part, a in found.items()}


def opened_row(cell):
    beta = np.inf if cell["run"] is None else cell["run"]["beta"]
    odds = np.full((2, len(OPENINGS), N), 5.0)
    odds[1] -= 2 / beta
    return {"log_odds": odds}


def guarded_row(cell):
    rng = np.random.default_rng(cell["seed"])
    area = np.full(len(REWRITES), 0.5) + 0.05 * rng.normal(size=len(REWRITES))
    area[0] = 1.0
    flagged = np.zeros((2, len(REWRITES), N), bool)
    flagged[1, 0] = True
    flagged[1, 1:] = np.arange(N) % 2  # independent of what is executed
    return {"auroc": area, "auroc_shuffled": area - 0.5 * (area > 0.9), "flagged": flagged}


def arrays_of(name, cell):
    if name in ("tested", "held_out"):
        return outcome_row(cell)
    if name == "opened":
        return opened_row(cell)
    if name == "guarded":
        return guarded_row(cell)
    if name == "tilted":
        return {k: np.asarray(v) for k, v in exact.tilted(**cell).items()}
    if name == "off_support":
        return {k: np.asarray(v) for k, v in exact.off_support(**cell).items()}
    return {}


COMPUTED = {
    e.name: [Row(c, arrays_of(e.name, c)) for c in e.cells(QUICK)] for e in PAPER.experiments
}


def doctored(change=lambda name, cell, arrays: arrays):
    return {
        name: Results(tuple(Row(r.cell, change(name, r.cell, r.arrays)) for r in rows))
        for name, rows in COMPUTED.items()
    }


def verdict(claim, results):
    return next(c for c in CLAIMS if c.id == claim).evaluate(results, QUICK)


JUDGED = [c for c in CLAIMS if "quick" in c.presets]


@pytest.mark.parametrize("claim", JUDGED, ids=lambda c: c.id)
def test_claims_hold_on_outcomes_as_expected_and_their_controls_are_rejected(claim):
    found = claim.evaluate(doctored(), QUICK)
    expected = "finding" if claim.kind == "finding" else "holds"
    assert found.status == expected, found
    assert {control_said(e) for e in found.controls.values()} <= {"rejected"}


def set_bad(run, attack, share, experiment="tested", size=48):
    """A change of how often an attack succeeds after one run."""

    def change(name, cell, arrays):
        if name != experiment or cell["run"] != run or cell["base"]["model"]["width"] != size:
            return arrays
        right = arrays["right"].copy()
        right[1, PLACE[attack]] = first(share)
        return arrays | {"right": right}

    return change


def set_able(run, attack, share):
    def change(name, cell, arrays):
        if name != "tested" or cell["run"] != run or cell["base"]["model"]["width"] != 48:
            return arrays
        right = arrays["right"].copy()
        right[0, PLACE[attack]] = first(share)
        return arrays | {"right": right}

    return change


def spoil(experiment, **changes):
    def change(name, cell, arrays):
        if name != experiment:
            return arrays
        return {k: changes[k](v) if k in changes else v for k, v in arrays.items()}

    return change


NARROW_RUN = run_of(QUICK, NARROW)
PARITY_RUN = run_of(QUICK, PARITY)
PARTIAL_RUN = run_of(QUICK, partial_coverage(QUICK["partial"]))
PATCHED_RUN = run_of(QUICK, patched(QUICK, "prefix"))


@pytest.mark.parametrize(
    ("claim", "change"),
    [
        ("narrow_leaves_holes", set_bad(NARROW_RUN, "none", 0.1)),
        ("narrow_leaves_holes", set_bad(NARROW_RUN, "encoding_2", 0.2)),
        ("narrow_leaves_holes", set_able(NARROW_RUN, "encoding_1", 0.5)),
        ("capability_gate", set_bad(NARROW_RUN, "encoding_4", 0.1)),
        ("combination_beats_single", set_bad(PARTIAL_RUN, "encoding_1", 0.4)),
        ("patch_moves_the_hole", set_bad(PATCHED_RUN, "prefix", 0.1)),
        ("parity_repairs", set_bad(PARITY_RUN, "encoding_2", 0.2)),
        ("parity_repairs", set_able(PARITY_RUN, "encoding_2", 0.5)),
        ("published_order", set_bad(PARTIAL_RUN, "prefix", 0.3)),
        ("thresholds", set_bad(PARITY_RUN, "encoding_1", 0.6)),
        ("scale_does_not_fix", set_bad(NARROW_RUN, "none", 0.1, size=32)),
        ("scale_does_not_fix", set_bad(NARROW_RUN, "prefix", 0.6, size=32)),
        ("weak_model_is_not_attackable", set_bad(NARROW_RUN, "encoding_2", 0.1, size=32)),
        ("forcing_more_helps", set_bad(NARROW_RUN, "forced_2", 0.6)),
        ("parity_leaves_forcing", set_bad(PARITY_RUN, "forced_4", 0.1)),
        ("held_out_agrees", set_bad(NARROW_RUN, "prefix", 0.4, experiment="held_out")),
        ("tilted_policy", spoil("tilted", ascended=lambda a: a + 1e-3)),
        ("worked_example", spoil("tilted", log_odds=lambda x: x + 0.01)),
        ("slope_is_reward", spoil("tilted", log_odds=lambda x: 1.01 * x)),
        ("network_tilt", spoil("opened", log_odds=lambda x: -x)),
        ("capability_bounds_attacks", set_able(NARROW_RUN, "encoding_2", 0.1)),
        ("off_support", spoil("off_support", change=lambda x: x + 1e-9)),
        ("guard_reads_plain", spoil("guarded", auroc=lambda a: a - 0.05)),
        ("guard_blind", spoil("guarded", auroc=lambda a: a + 0.2)),
        ("guarded_success", spoil("guarded", flagged=lambda f: f & (np.arange(N) < N // 3))),
    ],
)
def test_claims_fail_on_spoiled_outcomes(claim, change):
    found = verdict(claim, doctored(change))
    assert found.status == "fails", found


def test_the_finding_falls_where_the_form_holds():
    def exact_form(name, cell, arrays):
        if name != "tested" or cell["run"] != NARROW_RUN:
            return arrays
        null = arrays["null"].copy()
        for attack in tables.ENCODINGS:
            i = PLACE[attack]
            bad, able = BAD["narrow"][attack], CAPABLE[attack]
            null[1, i] = 10 * (np.arange(N) >= round(N * (1 - (1 - bad / able))))
        return arrays | {"null": null}

    assert verdict("coverage_form", doctored()).status == "finding"
    assert verdict("coverage_form", doctored(exact_form)).status == "unsupported"


WORLDS = QUICK.seeds(QUICK["worlds"])
SAMPLED = [c for c in JUDGED if {"tested", "opened", "held_out", "guarded"} & set(c.needs)]


@pytest.mark.parametrize("claim", SAMPLED, ids=lambda c: c.id)
def test_sampled_claims_take_every_world_and_give_an_interval(claim):
    worlds = QUICK["guard"]["worlds"] if claim.needs == ("guarded",) else len(WORLDS)
    for measure in (claim.measure, *claim.controls.values()):
        found = measure(doctored(), QUICK)
        assert all(e.seeds == worlds and e.interval is not None for e in found)


@pytest.mark.parametrize(
    ("claim", "change"),
    [
        ("narrow_leaves_holes", set_bad(NARROW_RUN, "encoding_2", 0.05)),
        ("combination_beats_single", set_bad(PARTIAL_RUN, "encoding_1", 0.47)),
        ("capability_bounds_attacks", set_able(NARROW_RUN, "encoding_2", 0.1)),
        ("held_out_agrees", set_bad(NARROW_RUN, "prefix", 0.4, experiment="held_out")),
        ("network_tilt", spoil("opened", log_odds=lambda x: -x)),
    ],
)
@pytest.mark.parametrize("world", WORLDS)
def test_a_world_that_disagrees_leaves_a_claim_undecided(claim, change, world):
    def in_one(name, cell, arrays):
        return change(name, cell, arrays) if cell.get("seed") == world else arrays

    assert verdict(claim, doctored(in_one)).status == "undecided"


def test_the_adaptive_row_is_the_union_of_the_attacks_that_rewrite():
    rows = tables.of(doctored(), QUICK, NARROW_RUN)
    success = rows.rows[0]["right"][1][[PLACE[a] for a in REWRITES]] == 9
    assert tables.rate(rows, "adaptive")[0] == pytest.approx(adaptive_rate(success))
    assert not any(name.startswith(("forced", "misled")) for name in REWRITES)


def test_base_models_are_those_of_the_other_rooms():
    """Experiments of one home share cells whose parameters are equal."""
    from theorylab import papers

    other = papers.get("safety_finetuning")
    for preset in ("quick", "medium"):
        theirs = other.experiment("base").cells(other.preset(preset))
        ours = PAPER.experiment("base").cells(PAPER.preset(preset))
        alike = [cell for cell in ours if cell["model"] == theirs[0]["model"]]
        assert alike and all(cell in theirs for cell in alike)
    assert PAPER.experiment("base").home == other.experiment("base").home


def test_every_run_is_made_once_and_full_has_a_sweep_of_coverages():
    for preset in PAPER.presets.values():
        cells = [str(c) for c in PAPER.experiment("tuned").cells(preset)]
        assert len(set(cells)) == len(cells)
    full = PAPER.preset("full")
    assert full["worlds"] == 5 and full["prompts"] == 2000
    widths = [m["model"]["width"] for m in full["models"].values()]
    assert widths == [64, 128, 192, 384]


def test_held_out_prompts_are_other_prompts():
    from theorylab.safety import base_models as models

    world = models.world_of({"scale": "mini"}, 0)
    one, other = (np.asarray(drawn_tests(world, 0, g, 50)["unsafe"].text) for g in (0, 1))
    again = np.asarray(drawn_tests(world, 0, 0, 50)["unsafe"].text)
    assert (one != other).any()
    np.testing.assert_array_equal(one, again)


def test_published_rates_are_ordered_as_the_text_says():
    for m in range(2):
        rates = {name: row[m] for name, row in published.CURATED.items()}
        assert rates["none"] <= rates["prefix injection"] < rates["combination 3"]
        assert max(rates.values()) == rates["adaptive"] == 1.0
    assert set(published.BESIDE.values()) <= set(published.CURATED)
