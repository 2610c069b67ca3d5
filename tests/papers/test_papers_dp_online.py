import numpy as np
import pytest
from drawing import assert_drawn
from smoke_results import changed, computed

from theorylab.lab.claim import control_said
from theorylab.papers.dp_online import PAPER, exact, sampled, tables
from theorylab.papers.dp_online.claims import mechanisms, mistakes
from theorylab.papers.dp_online.published import COUNTER_QUANTILES, FRONT, PARTS, ROWS
from theorylab.privacy import online as po

pytestmark = pytest.mark.long  # the room is run once for all of them

SMOKE = PAPER.preset("smoke")


@pytest.fixture(scope="module")
def results():
    return computed(PAPER, SMOKE)


@pytest.mark.parametrize("figure", PAPER.figures, ids=lambda f: f.name)
def test_every_figure_draws_from_its_csv(results, figure):
    assert_drawn(figure, results, SMOKE)


JUDGED = [c for c in PAPER.claims if "smoke" in c.presets]


@pytest.mark.parametrize("claim", JUDGED, ids=lambda c: c.id)
def test_claims_hold_and_each_control_is_rejected(results, claim):
    verdict = claim.evaluate(results, SMOKE)
    assert verdict.status == ("finding" if claim.kind == "finding" else "holds"), verdict
    said = {name: control_said(evidence) for name, evidence in verdict.controls.items()}
    assert set(said.values()) <= {"rejected"}


@pytest.mark.parametrize(
    "measure, experiment, damage",
    [
        (mistakes.reference_rows(), "game", {"theta": lambda x: x + 0.5}),
        (mistakes.reference_rows(), "game", {"mistakes": lambda x: 1.01 * x}),
        (mistakes.invariants("private"), "game", {"survival": lambda x: x - 0.3}),
        (mistakes.invariants("private"), "game", {"mass": lambda x: 100 * x}),
        (mistakes.printed_claim("private"), "game", {"mistakes": lambda x: x / 20}),
        (mistakes.slope(np.log(2)), "front", {"mistakes": lambda x: x**1.01}),
        (mistakes.shame_claim(), "shame", {"survival": lambda x: x - 0.6}),
        (mistakes.shame_mistakes("whole"), "shame", {"played": lambda x: x + 1e-6}),
        (mistakes.regimes("own"), "regime", {"least": lambda x: x - 0.2}),
        (mistakes.regimes("own"), "regime", {"mistakes": lambda x: x / 2}),
        (mistakes.growth_curves("lower"), "figure_one", {"lower": lambda x: 30 * x}),
        (mechanisms.audited("above"), "audit", {"log_ratio": lambda x: x + 1e-5}),
        (mechanisms.audited("above"), "audit", {"delta": lambda x: x + 1e-6}),
        (mechanisms.only_locally_private("hazard"), "horizon", {"step": lambda x: 2 * x}),
        (mistakes.ones_alone("mistakes"), "concentrated", {"mistakes": lambda x: x / 3}),
        (mechanisms.uniform_bound("exact"), "uniform", {"exact": lambda x: x / 2}),
        (mechanisms.standardised("played", "exact"), "played", {"mean": lambda x: x + 1}),
        (mechanisms.quiet(True), "lemma", {"union": lambda x: x + 0.11}),
        (mechanisms.counter_quantiles("largest"), "counters", {"largest": lambda x: 1.3 * x}),
        (mechanisms.proposition_three("mistakes"), "learner", {"mistakes": lambda x: 9 * x}),
        (mistakes.dimensions("closed"), "dimensions", {"found": lambda x: x + 1}),
        (mechanisms.tight(1.0), "heat", {"mistakes": lambda x: 2 * x}),
    ],
)
def test_a_claim_fails_when_its_numbers_are_wrong(results, measure, experiment, damage):
    damaged = changed(results, experiment, **damage)
    assert not all(e.holds for e in measure(damaged, SMOKE))


def test_the_printed_step_would_be_believed_of_a_learner_that_never_fires(results):
    still = changed(results, "shame", survival=np.ones_like)
    assert all(e.holds for e in mistakes.printed_step(still, SMOKE))
    assert not any(e.holds for e in mistakes.printed_step(results, SMOKE))


def test_an_error_of_one_round_shows(results):
    """A one is a mistake if the tests before it are silent; with its own test it is fewer."""
    for row in results["game"].where(learner="private"):
        assert row["late"] < row["mistakes"]
    row = next(iter(results["game"].where(learner="private", k=6)))
    learner = po.AboveThreshold(float(row["theta"]), *[2 / np.log(1.5)] * 2)
    stream = po.RunLengthStream(63, tuple(int(64 - left) for left in row["to_the_end"]))
    pmf = learner.firing_pmf(stream)
    silent = 1 - np.concatenate([[0], np.cumsum(pmf[:-1])])
    assert float(row["mistakes"]) == pytest.approx(sum(silent[o - 1] for o in stream.ones))
    assert float(row["late"]) == pytest.approx(sum(silent[o] for o in stream.ones))


def test_the_largest_of_many_laplace_draws_is_drawn_by_its_law():
    found = sampled.counters(4, 0.5, "laplace", 4000, 0)["single"]
    by_hand = np.abs(np.random.default_rng(1).laplace(0, 2.0, (4000, 16))).max(1)
    np.testing.assert_allclose(
        np.quantile(found, [0.2, 0.9]), np.quantile(by_hand, [0.2, 0.9]), rtol=0.05
    )


def test_the_audit_cell_looks_at_every_round_of_every_neighbour():
    found = exact.audit("above", 1.0, 0.1, 4, "none")
    # 15 rounds and no firing, for 15 changes
    assert found["exact"] and found["events"] == 15 * 16 == found["histogram"].sum()


def test_the_table_of_games_has_the_reference_beside_ours(results):
    table = tables.games(results, SMOKE)
    for k in SMOKE["k"]:
        row = table.where(k=k, quantity="theta")
        assert float(row["reference"][0]) == ROWS[k][0]
        assert float(row["ours"][0]) == pytest.approx(ROWS[k][0], rel=1e-3)


def test_the_quick_preset_asks_for_every_number_that_is_known():
    preset = PAPER.preset("quick")
    by_name = {e.name: e.cells(preset) for e in PAPER.experiments}
    assert {c["k"] for c in by_name["game"]} == set(ROWS)
    assert {c["epsilon"] for c in by_name["front"]} == set(FRONT)
    asked = {(c["epsilon"], c["k"]) for c in by_name["regime"] if c["rule"] == "smallest"}
    assert asked == set(PARTS)
    counted = {c["doublings"] for c in by_name["counters"] if c["noise"] == "laplace"}
    assert counted <= set(COUNTER_QUANTILES) and max(counted) == 12
    seeds = {c["seed"] for name in by_name for c in by_name[name] if "seed" in c}
    assert seeds == {0}
