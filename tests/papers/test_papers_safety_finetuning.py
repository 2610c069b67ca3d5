"""The room: its cells against brute force, and its claims on doctored numbers."""

from itertools import product

import numpy as np
import pytest
from scipy import stats

from theorylab.lab import Preset, Results, Row
from theorylab.lab.claim import control_said
from theorylab.papers.safety_finetuning import PAPER, published, tables
from theorylab.papers.safety_finetuning.claims import CLAIMS
from theorylab.papers.safety_finetuning.claims.shared import reaches
from theorylab.safety import BAD, GOOD, SITES

QUICK = PAPER.preset("quick")
RNG = np.random.default_rng(0)
LAYERS = 3
# what the claims at quick expect: (executed, refused) of safe, unsafe, competing tasks, mixed text
RATES = {
    "none": [(1, 0), (1, 0), (1, 0), (1, 0)],
    "supervised": [(1, 0), (0, 1), (0.8, 0.1), (0.2, 0.8)],
    "dpo": [(0.95, 0), (0, 1), (0.3, 0.1), (0.1, 0.5)],
    "unlearning": [(0.95, 0), (0, 1), (0.2, 0.1), (0, 0.6)],
}
GAPS = {"none": 0.5, "supervised": 8.0, "dpo": 18.0, "unlearning": 20.0}


def measured_row(cell, protocol, lr):
    """A row of `measured` as the paper would have it: strong protocols far apart."""
    sets = cell["looking"]["sets"]
    growth = 1.0 if protocol != "supervised" else (lr / QUICK["lr"]) ** 0.3
    gap = GAPS[protocol] * growth
    rates = np.zeros((len(sets), 3))
    rates[:4, :2] = RATES[protocol]
    if protocol == "supervised":
        rates[2, 0] = min(0.8 / growth**2, 1.0)
    verdicts = np.zeros((len(sets), 100), int)
    verdicts[2, :50], verdicts[2, 50:80] = BAD, GOOD
    tau = np.zeros((len(sets), 100))
    tau[2] = np.where(verdicts[2] == BAD, gap / 2, -gap / 4)
    slopes = np.ones((2, 2, 9)) * np.array([[[6.0], [6.0]], [[0.7], [0.9]]])
    if protocol == "supervised":
        slopes[0, 1], slopes[1, 1] = 60.0, 0.004
    if protocol in ("dpo", "unlearning"):
        slopes[1, 0] = 1.7
    depth = np.linspace(0.2, 1, LAYERS)
    arrays = {
        "rates": rates,
        "verdicts": verdicts,
        "tau": tau,
        "gap": np.tile(gap * depth, (len(SITES), 1)),
        "gap_shuffled": 0.05 * gap * depth,
        "slopes": slopes,
    }
    if protocol != "none":
        arrays["projection"] = np.full((2, LAYERS, 15), 0.83)
        arrays["baseline"] = np.full((2, LAYERS), 0.88)
        arrays["acted"] = np.ones((LAYERS, 2, 5)) * np.array([1.0, 1.2])[:, None]
    return arrays


def path_arrays(cell, protocol):
    amounts, sets = np.array(cell["amounts"]), cell["looking"]["sets"]
    rates = np.zeros((len(amounts), len(sets), 3))
    rates[:, 0, 0] = 1.0 if protocol == "supervised" else np.where(amounts > 1.2, 0.3, 0.97)
    rates[:, 1, 1] = np.clip(2 * amounts - 0.7, 0, 1)
    rates[:, 2, 0] = np.clip(1.6 - 0.8 * amounts, 0, 1)
    return {"rates": rates, "gap": amounts}


OPENED = {"supervised": [0, 0.5, 0.9], "dpo": [0, 0.3, 0.5], "unlearning": [0, 0.2, 0.1]}


def doctored(change=lambda name, cell, arrays: arrays):
    """Results of every experiment that claims read, as claims expect them, or changed."""
    found = {}
    for experiment in PAPER.experiments:
        rows = []
        for cell in experiment.cells(QUICK):
            run = cell.get("run") or {"protocol": "none", "lr": 0.0}
            arrays = arrays_of(experiment.name, cell, run)
            rows.append(Row(cell, change(experiment.name, cell, arrays)))
        found[experiment.name] = Results(tuple(rows))
    return found


def arrays_of(name, cell, run):
    protocol = run["protocol"]
    if name == "measured":
        return measured_row(cell, protocol, run["lr"])
    if name == "path":
        return path_arrays(cell, protocol)
    if name == "fragility":
        return {"opened": np.array(OPENED[protocol], float)}
    if name == "base":
        return {"parameters": np.zeros(40)}
    if name == "tuned":
        rng = np.random.default_rng(0 if protocol != "supervised" else 1)
        return {"parameters": rng.normal(size=40) * run["lr"]}
    if name == "gradients":
        ratios = {"dpo_cosine": 1.0, "dpo_ratio": 0.05, "wrong_cosine": 0.7, "wrong_ratio": 0.1}
        return {k: np.array(v) for k, v in ratios.items()}
    if name == "laws":
        mean, variance = ((391.125, 163935 / 64), (71.671875, 60.0))[cell["variant"] == "safe"]
        return {
            "mean": np.array(mean),
            "variance": np.array(variance),
            "sampled_mean": np.array(mean + 0.01),
        }
    if name == "letters":
        used = np.arange(30)[None] < np.array([29, 26, 25, 24])[:, None]
        return {"unigram": used / used.sum(1, keepdims=True)}
    told = {(0, 1): 955, (1, 1): 870}.get((cell["index"], cell["order"]), 670)
    return {"right": np.array(told), "trials": np.array(1000)}


JUDGED = [c for c in CLAIMS if "quick" in c.presets]


@pytest.mark.parametrize("claim", JUDGED, ids=lambda c: c.id)
def test_claims_hold_on_numbers_like_the_papers_and_their_controls_are_rejected(claim):
    verdict = claim.evaluate(doctored(), QUICK)
    expected = "finding" if claim.kind == "finding" else "holds"
    assert verdict.status == expected, verdict
    assert {control_said(e) for e in verdict.controls.values()} <= {"rejected"}


def spoil(experiment, **changes):
    """A change of some arrays of one experiment, of every cell that has them."""

    def change(name, cell, arrays):
        if name != experiment:
            return arrays
        return {k: changes[k](v) if k in changes else v for k, v in arrays.items()}

    return change


def turned(name, cell, arrays):
    """The change of DPO in another direction."""
    dpo = name == "tuned" and cell["run"]["protocol"] == "dpo"
    return {"parameters": arrays["parameters"][::-1]} if dpo else arrays


@pytest.mark.parametrize(
    ("claim", "change"),
    [
        ("base_executes", spoil("measured", rates=lambda r: 0.9 * r)),
        ("tuned_refuses", spoil("measured", rates=lambda r: r * np.array([1.0, 0.9, 1.0]))),
        ("weak_protocol_fails", spoil("measured", rates=lambda r: 0.2 * r)),
        ("stronger_by_rate", spoil("measured", rates=lambda r: 0 * r + 0.5)),
        ("same_direction", spoil("gradients", dpo_cosine=lambda c: c - 1e-3)),
        ("same_direction", spoil("gradients", dpo_ratio=lambda c: c + 1e-3)),
        ("same_change", turned),
        ("extrapolation_helps", spoil("path", rates=lambda r: r[::-1])),
        ("extrapolation_harms", spoil("path", rates=lambda r: r[::-1])),
        ("clusters_form", spoil("measured", gap=lambda g: g + 5.0)),
        ("strong_protocols", spoil("measured", gap=lambda g: np.sqrt(np.abs(g)))),
        ("grows_with_rate", spoil("measured", gap=lambda g: 1 / g)),
        ("grows_with_depth", spoil("measured", gap=lambda g: g[:, ::-1])),
        ("executed_look_safe", spoil("measured", tau=lambda t: 0.2 * t)),
        ("probability_saturates", spoil("measured", slopes=lambda s: s + 0.2)),
        ("steeper_on_safe", spoil("measured", slopes=lambda s: s + 2.0)),
        ("fragile", spoil("fragility", opened=lambda o: o[::-1])),
        ("exact_moments", spoil("laws", variance=lambda v: v + 1e-3)),
        ("grammar_laws", spoil("laws", sampled_mean=lambda m: m + 2.0)),
        ("grammar_laws", spoil("letters", unigram=lambda u: u[::-1])),
        ("local_branch", spoil("locality", right=lambda r: r - 80)),
    ],
)
def test_claims_fail_on_damaged_numbers(claim, change):
    judged = next(c for c in CLAIMS if c.id == claim)
    verdict = judged.evaluate(doctored(change), QUICK)
    assert verdict.status == "fails", verdict


def test_a_gap_of_any_sign_reaches_another_exactly_if_it_is_no_smaller():
    gaps = [-20.0, -3.0, -0.1, 0.0, 0.1, 3.0, 20.0]
    for one, other in product(gaps, gaps):
        found = reaches("x", np.array([one]), np.array([other]))
        assert found.holds == (one >= other) and abs(found.measured) <= 1
        if min(one, other) > 0:
            assert found.measured == pytest.approx(np.tanh(np.log(one / other) / 2))


@pytest.mark.parametrize("smallest", [0.02, 0.0, -0.02])
def test_clusters_form_although_the_base_models_gap_is_hardly_there_in_one_world(smallest):
    def change(name, cell, arrays):
        if name == "measured" and cell["run"] is None:
            gap = (smallest, 0.1, 0.2)[cell["seed"]]
            return {**arrays, "gap": np.full_like(arrays["gap"], gap)}
        return arrays

    claim = next(c for c in CLAIMS if c.id == "clusters_form")
    assert {e.outcome for e in claim.evaluate(doctored(change), QUICK).evidence} == {"holds"}


def test_slopes_fall_although_they_do_so_much_farther_in_one_world():
    falls = [40.0, 90.0, 300.0]

    def change(name, cell, arrays):
        if name == "measured" and (cell["run"] or {}).get("protocol") == "supervised":
            slopes = arrays["slopes"].copy()
            slopes[1, 1] = 0.9 / falls[cell["seed"]]
            return {**arrays, "slopes": slopes}
        return arrays

    claim = next(c for c in CLAIMS if c.id == "probability_saturates")
    verdict = claim.evaluate(doctored(change), QUICK)
    found = verdict.evidence[0]
    assert found.measured == pytest.approx(np.prod(falls) ** (1 / 3))
    logs = np.log(falls)
    level = 1 - 0.05 / len(verdict.evidence)
    expected = stats.t.interval(level, 2, logs.mean(), stats.sem(logs))
    assert found.interval == pytest.approx(tuple(np.exp(expected)))


@pytest.mark.parametrize(
    ("claim", "change"),
    [
        ("null_space", spoil("measured", projection=lambda x: x + 0.1)),
        ("selective", spoil("measured", acted=lambda a: a * np.array([1.0, 2.0])[:, None])),
        ("logit_falls", spoil("measured", slopes=lambda s: np.minimum(s, 5.0))),
    ],
)
def test_findings_fall_when_the_statement_reproduces(claim, change):
    judged = next(c for c in CLAIMS if c.id == claim)
    assert judged.evaluate(doctored(change), QUICK).status == "unsupported"


def test_claims_of_the_full_scale_are_measured_on_its_six_runs():
    full = Preset("full", QUICK.values)
    results = doctored(
        spoil("measured", gap=lambda g: g * np.array([0.01, 0.5, 1.0])),
    )
    scale = {c.id: c.evaluate(results, full) for c in CLAIMS if c.presets == ("full",)}
    assert scale["depth_at_scale"].status == "holds"
    assert scale["rates_at_scale"].status == "fails"  # 8 x .5 against 18: no factor of 5
    assert {control_said(e) for e in scale["depth_at_scale"].controls.values()} == {"rejected"}


def test_the_runs_are_those_of_figure_3_and_published_gaps_are_ordered_as_the_text_says():
    panels = tables.panels_of_figure_3(QUICK)
    gaps = [published.last_gap(protocol, medium) for protocol, medium, _ in panels]
    assert [round(g, 2) for g in gaps] == [0.65, 96.0, 64.0, 2.8, 12.5, 1.55]
    measured = next(e for e in PAPER.experiments if e.name == "measured")
    found = {(c["run"] or {}).get("protocol", "none") for c in measured.cells(QUICK)}
    assert found == {"none", "unlearning", "dpo", "supervised"}


def test_tau_by_verdict_is_the_mean_of_each_group():
    rows = tables.of(doctored()["measured"], "supervised", QUICK["lr"])
    found = tables.tau_by_verdict(rows, "competing_tasks")
    np.testing.assert_allclose(found, [[4.0, -2.0]] * QUICK["worlds"])
    mixed = tables.tau_by_verdict(rows, "competing_tasks", shuffle=True)
    assert abs(mixed[0, 0] - mixed[0, 1]) < 2.0


def test_every_test_prompt_of_a_set_is_the_same_whichever_others_are_asked_for():
    from theorylab.papers.safety_finetuning.measuring import _look

    base = {name: PAPER.preset("smoke")[name] for name in ("world", "model", "training")}
    looking = PAPER.preset("smoke")["looking"] | {"prompts": 8}
    one = _look(base, looking, 0, ["safe", "unsafe", "encoded"])
    other = _look(base, looking, 0, ["encoded"])
    np.testing.assert_array_equal(one.sets["encoded"].executed, other.sets["encoded"].executed)
    seen, means = (np.asarray(s["safe"].executed) for s in (one.sets, one.means))
    assert (seen != means).any()


@pytest.mark.long
def test_the_change_of_weights_is_measured_as_by_brute_force():
    from theorylab.papers.safety_finetuning.measuring import measured
    from theorylab.safety import base_models as models

    smoke = PAPER.preset("smoke")
    base = {name: smoke[name] for name in ("world", "model", "training")}
    net = models.network_of(base["world"], base["model"])
    rng = np.random.default_rng(0)
    size = len(net.vector(models._module(base["world"], base["model"], models.stream(0, 1))))
    start = {"parameters": rng.normal(0, 0.1, size).astype(np.float32)}
    end = {"parameters": start["parameters"] + rng.normal(0, 0.01, size).astype(np.float32)}
    looking = smoke["looking"] | {"prompts": 12, "leading": 5}
    run = {"protocol": "dpo", "lr": 1.0}
    found = measured(base, run, looking, 0, start, end)
    before, after = (net.params(v["parameters"]) for v in (start, end))
    W = np.asarray(before["blocks"][1]["mlp_in"]["kernel"], float).T
    D = np.asarray(after["blocks"][1]["mlp_in"]["kernel"], float).T - W
    assert found["size"][0, 1] == pytest.approx(np.linalg.norm(D) / np.linalg.norm(W), rel=1e-4)
    values = np.linalg.svd(D, compute_uv=False)
    np.testing.assert_allclose(found["singular"][0, 1], values, rtol=1e-3)
    assert found["gap"].shape == (4, 2) and found["acted"].shape == (2, 2, 12)
    assert found["rates"].sum(1) == pytest.approx(1)
