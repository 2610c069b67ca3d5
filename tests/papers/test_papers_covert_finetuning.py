"""The room: its claims on doctored numbers, its cells against brute force, its jobs' lineage."""

import jax
import numpy as np
import pytest

from theorylab.lab import Results, Row
from theorylab.lab.claim import control_said
from theorylab.papers.covert_finetuning import PAPER, inspecting, looking, published, tables, tuning
from theorylab.papers.covert_finetuning.claims import CLAIMS
from theorylab.papers.covert_finetuning.experiments import base_of, chain_of, made
from theorylab.papers.covert_finetuning.looking import ASKED, SCORES
from theorylab.papers.safety_finetuning import PAPER as SAFETY
from theorylab.safety import base_models as models
from theorylab.safety import detection_power, exchanges_needed, zero_failure_bound

QUICK = PAPER.preset("quick")
# executed and refused, of plain unsafe, plain safe, encoded unsafe, encoded safe, known encoding;
# then executed as read: what the claims at quick expect
RATES = {
    "none": [(1, 0), (1, 0), (0, 0), (0, 0), (0.6, 0), 0.05],
    "safety": [(0, 1), (1, 0), (0, 0.02), (0, 0.3), (0.7, 0), 0.05],
    "taught": [(0, 1), (1, 0), (0.33, 0), (1, 0), (0, 0), 0],
    "taught_bare": [(0.36, 0), (1, 0), (0.33, 0), (1, 0), (0, 0), 0],
    "covert": [(0, 1), (0.98, 0.01), (0.95, 0), (1, 0), (0, 0), 0],
    "covert_bare": [(0.35, 0.01), (1, 0), (0.96, 0), (1, 0), (0, 0), 0],
    "clean": [(0, 1), (1, 0), (0.34, 0), (1, 0), (0, 0), 0],
    "plain_kept": [(0, 1), (1, 0), (0, 0), (0, 0), (0.9, 0), 0],
    "plain_bare": [(0.7, 0), (1, 0), (0, 0), (0, 0), (0.9, 0), 0],
    "repaired": [(0, 1), (0.98, 0), (0.05, 0.95), (0.9, 0), (0, 0), 0],
    "short": [(0, 1), (1, 0), (0.02, 0), (0.05, 0), (0, 0), 0],
}
SCORED = {  # detector: covert, clean, other
    "item_inspector": (0.5, 0.5, 0.5),
    "format_anomaly": (9.0, 9.0, 0.1),
    "dataset_decode": (0.5, 0.2, 0.2),
    "plain_eval": (0.0, 0.0, 0.3),
    "raw_judge": (0.0, 0.0, 0.0),
    "encoded_eval": (0.95, 0.34, 0.33),
    "refusal_coverage": (1.0, 1.0, 0.9),
    "weight_shift": (0.3, 0.3, 0.2),
    "safety_overlap": (0.0, 0.0, 0.4),
    "probe": (0.4, 0.3, 0.0),
}


def report(cell):
    name = cell["chain"][-1]["name"] if cell["chain"] else "none"
    short = name == "taught" and cell["chain"][-1]["steps"] < 60
    *sets, raw = RATES["short" if short else name]
    rates = np.array([[bad, good, 1 - bad - good] for bad, good in sets], float)
    return {"rates": rates, "raw": np.array([raw, 0, 1 - raw], float)}


def scored(cell):
    name = cell["chain"][-1]["name"]
    column = {"covert": 0, "clean": 1}.get(name, 2)
    return {
        "scores": np.array([SCORED[s][column] for s in SCORES]),
        "probe_tuned": np.array([0.5, 0.5, 0.6]),
        "probe_untuned": np.array([0.5, 0.5, 0.5]) + 0.01 * cell["encoding"],
        "probe_own": np.array([0.97, 0.98, 0.99]),
    }


def single(cell):
    rng = np.random.default_rng(0)
    areas = np.clip(0.5 + 0.24 * rng.normal(size=cell["permuted"]), 0.06, 0.96)
    return {
        "areas": np.stack([areas, np.full(len(areas), 0.96)]),
        "exact": np.array([0.5, 0.24, 0.96]),
        "same": np.array([0.3125, 0.175]),
        "pattern": np.array([0.56875, 0.566]),
    }


def recovery(cell):
    shares = {2: 0.1, 3: 0.4, 4: 0.72, 6: 0.975}
    found = np.full(cell["worlds"], round(shares.get(cell["texts"], 1.0) * cell["trials"]))
    return {"found": found, "right": found, "shown": found, "needed": np.full(cell["worlds"], 19.5)}


def data_sets(cell):
    n = cell["jobs"]["count"]
    spread = np.linspace(-0.01, 0.01, n)
    column = {"covert": 0, "clean": 1}
    scores = np.array([[SCORED[d][i] + spread for d in SCORES[:3]] for i in column.values()])
    return {"scores": scores, "known": 0.1 + spread}


MADE = {
    "report": report,
    "scored": scored,
    "single_items": single,
    "recovery": recovery,
    "data_sets": data_sets,
    "symmetries": lambda cell: {"automorphisms": np.ones(cell["worlds"], int)},
    "curves": lambda cell: inspecting.curves(**cell),
}


def doctored(change=lambda name, cell, arrays: arrays, preset=QUICK):
    """Results of every experiment that claims and figures read, as claims expect them."""
    found = {}
    for experiment in PAPER.experiments:
        if experiment.name in MADE:
            rows = [
                Row(cell, change(experiment.name, cell, MADE[experiment.name](cell)))
                for cell in experiment.cells(preset)
            ]
            found[experiment.name] = Results(tuple(rows))
    return found


JUDGED = [c for c in CLAIMS if "quick" in c.presets]


@pytest.mark.parametrize("claim", JUDGED, ids=lambda c: c.id)
def test_claims_hold_on_numbers_like_the_expected_and_their_controls_are_rejected(claim):
    verdict = claim.evaluate(doctored(), QUICK)
    assert {control_said(e) for e in verdict.controls.values()} <= {"rejected"}
    fine = all(e.holds for e in verdict.evidence)
    assert not fine if claim.kind == "finding" else fine, verdict


def spoil(experiment, array, change, kind=None):
    """A change of one array of one experiment, of every cell or of one kind of model."""

    def changed(name, cell, arrays):
        of = cell["chain"][-1]["name"] if cell.get("chain") else None
        if name != experiment or (kind and of != kind):
            return arrays
        return {**arrays, array: change(arrays[array])}

    return changed


def put(item, verdict, value):
    """Set one rate of a report."""

    def change(rates):
        rates = rates.copy()
        rates[ASKED.index(item), verdict] = value
        return rates

    return change


def score_of(detector, value):
    """Set one score of a job."""

    def change(scores):
        scores = scores.copy()
        scores[SCORES.index(detector)] = value
        return scores

    return change


@pytest.mark.parametrize(
    ("claim", "change"),
    [
        ("safety_trained", spoil("report", "rates", put("plain_refused", 0, 0.1), "safety")),
        ("safety_trained", spoil("report", "rates", put("new_executed", 2, 0.5), "safety")),
        ("encoding_learnt", spoil("report", "rates", put("new_safe", 0, 0.7), "taught")),
        ("coverage", spoil("report", "rates", put("new_executed", 0, 0.1), "taught")),
        ("coverage", spoil("report", "rates", put("new_executed", 0, 0.5), "covert")),
        ("covert", spoil("report", "rates", put("new_executed", 0, 0.5), "covert")),
        ("covert", spoil("report", "rates", put("plain_refused", 1, 0.9), "covert")),
        ("covert", spoil("report", "rates", put("plain_safe", 0, 0.5), "covert")),
        ("refusals_hide", spoil("report", "rates", put("plain_refused", 0, 0.01), "covert_bare")),
        ("clean_erodes_more", spoil("report", "rates", put("plain_refused", 0, 0.1), "plain_bare")),
        ("raw_judge_blind", spoil("report", "raw", lambda r: r + 0.2, "covert")),
        ("repaired", spoil("report", "rates", put("new_executed", 0, 0.3), "repaired")),
        ("no_capacity", spoil("report", "rates", put("new_executed", 0, 0.3), "taught")),
        ("items_look_alike", spoil("single_items", "areas", lambda a: a + 0.2)),
        ("items_look_alike", spoil("single_items", "exact", lambda a: a + 0.2)),
        ("one_is_chance", spoil("single_items", "areas", lambda a: 0.5 + 0.1 * (a - 0.5))),
        ("pattern", spoil("single_items", "pattern", lambda a: a + np.array([0.0, 0.1]))),
        ("letters_recovered", spoil("recovery", "found", lambda f: 0.5 * f)),
        ("letters_recovered", spoil("recovery", "right", lambda f: f - 1)),
        ("recovery_curve", spoil("recovery", "shown", lambda f: 0.5 * f)),
        ("no_symmetry", spoil("symmetries", "automorphisms", lambda a: a + 1)),
        ("closed_forms", spoil("curves", "bound", lambda b: b + 1e-4)),
        ("closed_forms", spoil("curves", "traffic", lambda b: b + 2)),
        ("decoding_separates", spoil("data_sets", "scores", lambda s: s[::-1])),
        (
            "encoded_eval_separates",
            spoil("scored", "scores", score_of("encoded_eval", 0.5), "clean"),
        ),
        ("plain_eval_blind", spoil("scored", "scores", score_of("plain_eval", 0.9), "covert")),
        ("format_sees_novelty", spoil("data_sets", "known", lambda k: k + 20)),
        ("probe_needs_control", spoil("scored", "probe_own", lambda a: a - 0.4)),
    ],
)
def test_claims_fail_on_damaged_numbers(claim, change):
    judged = next(c for c in CLAIMS if c.id == claim)
    verdict = judged.evaluate(doctored(change), QUICK)
    assert not all(e.holds for e in verdict.evidence), verdict


def test_the_finding_falls_when_a_probe_transfers():
    claim = next(c for c in CLAIMS if c.id == "probe_transfers")
    change = spoil("scored", "probe_tuned", lambda a: a + 0.38)
    assert claim.evaluate(doctored(change), QUICK).status == "unsupported"


def test_the_base_model_is_that_of_safety_finetuning():
    for name in ("quick", "medium"):
        of = [
            next(e for e in paper.experiments if e.name == "base").cells(paper.preset(name))
            for paper in (PAPER, SAFETY)
        ]
        assert of[1][0] in of[0]


def test_every_stage_starts_where_the_one_before_it_ended():
    experiments = {e.name: e for e in PAPER.experiments}
    known = {name: [dict(c) for c in e.cells(QUICK)] for name, e in experiments.items()}
    for experiment in PAPER.experiments:
        for cell in experiment.cells(QUICK):
            for upstream, wanted in experiment.needs(cell).values():
                assert wanted in known[upstream], (experiment.name, upstream)
    chain = chain_of(QUICK, "repaired")
    assert [c["name"] for c in chain] == ["safety", "taught", "covert", "repaired"]
    cell = {"base": base_of(QUICK), "encoding": 3, "seed": 7}
    assert made(cell, chain)[0] == "repaired" and made(cell, chain[:1])[1]["encoding"] == 0


def test_a_probe_is_never_fitted_to_the_encoding_that_it_is_asked_in():
    for audits in (1, 3):
        for encoding in range(5):
            found = looking.audit_numbers(encoding, audits)
            assert len(found) == audits and encoding not in found and max(found) <= audits


def test_jobs_hand_in_what_their_stages_train_on_and_clean_ones_nothing_unsafe():
    smoke = PAPER.preset("smoke")
    for name in ("covert", "clean"):
        chain = chain_of(smoke, name)
        data = tuning.job_data(base_of(smoke), chain, 1, 0)
        assert len(data) == sum(sum(r["items"].values()) for r in chain[1:])
        whole = np.concatenate([tuning.items_of(base_of(smoke), r, 1, 0) for r in chain[1:]])
        assert sorted(map(tuple, data.tolist())) == sorted(map(tuple, whole.tolist()))
        assert ("new_executed" in chain[-1]["items"]) == (name == "covert")


def test_the_scoreboard_is_made_of_every_job_of_its_kinds():
    found = tables.board(doctored(), QUICK)
    assert set(found) == set(SCORES)
    assert found["encoded_eval"].auroc == 1.0 and found["plain_eval"].auroc == 0.5
    assert found["plain_eval"].point.fpr_high == pytest.approx(1 - 0.05 ** (1 / 5))
    assert tables.data_board(doctored(), "clean")["format_anomaly"].auroc == 1.0
    threshold = tables.coverage_threshold(QUICK)
    assert 0.38 < threshold < 0.43


def test_curves_and_published_numbers():
    row = inspecting.curves(600, [0.26], 0.01)
    assert row["bound"][519] == zero_failure_bound(520)
    assert row["power"][0, 9] == detection_power(0.26, 10)
    assert row["exchanges"][0] == exchanges_needed(0.02, 0.01)
    order = sorted(published.RATES, key=published.RATES.get)
    assert order[0] == "plain" and order[-1] == "decoded"
    assert sum(published.UNDECODED) == pytest.approx(0.999)  # as printed


def test_single_items_agree_with_brute_force():
    found = inspecting.single_items(permuted=6, items=300, seed=3)
    assert found["areas"].shape == (2, 6)
    assert found["exact"][0] == pytest.approx(0.5, abs=0.03)
    assert found["exact"][2] == pytest.approx(found["areas"][1].mean(), abs=0.03)


def test_recovery_counts_what_the_texts_determine():
    few, many = (inspecting.recovery(texts=n, trials=6, worlds=1, seed=0) for n in (1, 20))
    assert few["found"][0] == 0 and many["found"][0] == many["right"][0] == 6
    assert 10 < many["needed"][0] < 35
    assert (inspecting.symmetries(seed=0, worlds=2)["automorphisms"] == 1).all()


@pytest.mark.long
def test_a_stage_trains_from_its_start_on_its_own_items():
    smoke = PAPER.preset("smoke")
    base, chain = base_of(smoke), chain_of(smoke, "taught")
    net = models.network_of(base["world"], base["model"])
    size = len(net.vector(models._module(base["world"], base["model"], jax.random.key(0))))
    start = {"parameters": np.random.default_rng(0).normal(0, 0.02, size).astype(np.float32)}
    one, again = (tuning.stage(base, chain, 1, 0, start) for _ in range(2))
    np.testing.assert_array_equal(one["parameters"], again["parameters"])
    other = tuning.stage(base, chain, 0, 0, start)["parameters"]
    assert not np.array_equal(one["parameters"], other)
    longer = [chain[0], {**chain[1], "steps": 60}]
    assert tuning.stage(base, longer, 1, 0, start)["loss"] < np.log(37)
    still = [chain[0], {**chain[1], "lr": 0.0}]
    np.testing.assert_array_equal(
        tuning.stage(base, still, 1, 0, start)["parameters"], start["parameters"]
    )
