import dataclasses

import jax
import numpy as np
import pytest
from drawing import assert_drawn
from smoke_results import changed, computed

from theorylab import matching as mm
from theorylab.lab import Results, Row
from theorylab.papers.matching_markets import PAPER, learning, static
from theorylab.papers.matching_markets.claims import instability, platform, regret, shared

pytestmark = pytest.mark.long  # the room is run once for all of them

SMOKE = PAPER.preset("smoke")


def cells(name):
    return next(e for e in PAPER.experiments if e.name == name).cells(SMOKE)


@pytest.fixture(scope="module")
def results():
    return computed(PAPER, SMOKE)


def test_the_example_is_worked_out_by_hand(results):
    row = next(iter(results["example"]))
    # C-Q at 11: net C = 12 - 11 = 1, Q = -10 + 11 = 1, P = 0; C and P could have 9 - 5 = 4
    # together, 3 more than 1 + 0.
    assert (row["instability"], row["difference"]) == (3, 2)
    np.testing.assert_allclose(row["interval"], [5, 7], atol=1e-9)
    t = row["payments"]
    # C-P at t: net C = 9 - t, P = t - 5; C and Q have 2 together; nobody below 0.
    expected = np.maximum(t - 7, 0) + np.maximum(5 - t, 0)
    np.testing.assert_allclose(row["curve"], expected, atol=1e-9)


def test_the_regret_cell_sums_what_simulate_records(results):
    row = next(iter(results["regret"]))
    c = row.cell
    keys = jax.random.split(jax.random.key(c["seed"]), 2)
    market = jax.vmap(lambda key: mm.random_market(key, c["k"]))(
        jax.random.split(keys[0], c["runs"])
    )
    width = c["learner"]["width"]
    algorithm = mm.match_ucb(mm.unstructured((4, 4), horizon=c["horizon"], width=width))
    trace = mm.simulate(
        jax.random.split(keys[1], c["runs"]),
        market,
        algorithm,
        c["horizon"],
        noise_std=c["noise"],
        frictions=c["frictions"],
    )
    np.testing.assert_allclose(row["regret"][:, -1], trace.instability.sum(1))
    np.testing.assert_allclose(row["profit"][:, -1, 1], (0.3 * trace.matched - trace.width).sum(1))
    np.testing.assert_allclose(row["bound"][-1], mm.regret_bound(4, 4, c["horizon"], width))
    assert (row["chain"] <= 0).all() and row["covered"].all()


def test_break_even_is_the_round_after_the_last_loss():
    profit = np.array(
        [[-1.0, 1.0, -1.0, 2.0, 3.0], [-1.0, -1.0, -1.0, -1.0, -1.0], [1.0, 2.0, 3.0, 4.0, 5.0]]
    )
    assert learning._break_even(profit, np.arange(1, 6)).tolist() == [4, 6, 1]


def test_late_rates_are_one_when_the_profit_is_the_friction_less_the_widths():
    width, matched = np.full((2, 20), 0.3), np.full((2, 20), 4.0)
    frictions = np.array([0.5, 1.0])
    profit = frictions * matched[..., None] - width[..., None]
    trace = dataclasses.make_dataclass("T", ["profit", "width", "matched"])(profit, width, matched)
    rate = learning._late_rate(trace, frictions)
    np.testing.assert_allclose(rate[..., 0], 1.0)
    np.testing.assert_allclose(rate[0, :, 1], 1 - 0.3 / (frictions * 4))


def test_random_outcomes_are_matchings_with_transfers_that_cancel():
    rng = np.random.default_rng(0)
    market = mm.Market(*rng.uniform(-1, 1, (2, 3, 4)))
    for _ in range(20):
        o = static._random_outcome(rng, market)
        taken = o.row_to_col[o.row_to_col >= 0]
        assert len(set(taken)) == len(taken) and o.tau_row.sum() + o.tau_col.sum() == pytest.approx(
            0, abs=1e-12
        )


@pytest.mark.parametrize("figure", PAPER.figures, ids=lambda f: f.name)
def test_every_figure_draws_from_its_csv(results, figure):
    assert_drawn(figure, results, SMOKE)


@pytest.mark.parametrize(
    "claim", [c for c in PAPER.claims if "smoke" in c.presets], ids=lambda c: c.id
)
def test_exact_claims_hold_at_the_smallest_preset_and_their_evidence_is_finite(results, claim):
    verdict = claim.evaluate(results, SMOKE)
    assert all(e.holds for e in verdict.evidence), verdict


@pytest.mark.parametrize(
    "measure, experiment, damage",
    [
        (instability.three_forms("assignment"), "properties", {"lp": lambda x: x + 1e-6}),
        (instability.zero_iff_stable("assignment"), "properties", {"assignment": lambda x: 0 * x}),
        (
            instability.at_least_difference("assignment"),
            "properties",
            {"assignment": lambda x: x - 1e-3},
        ),
        (instability.lipschitz(2.0), "properties", {"change": lambda x: 10 * x}),
        (instability.key_lemma("ucb"), "properties", {"ucb": lambda x: x + 10}),
        (instability.gap_lemma(1.0), "properties", {"rough": lambda x: x + 100}),
        (instability.charging("charged"), "properties", {"charged_unrest": lambda x: x + 1e-6}),
        (instability.figure_one(5.0), "example", {"interval": lambda x: x + 0.01}),
        (regret.chain(), "regret", {"chain": lambda x: x + 1e6}),
        (regret.chain(), "regret", {"chain": lambda x: np.where(np.arange(3) == 1, 1.0, x)}),
        (regret.intervals_hold(), "regret", {"covered": np.zeros_like}),
        (platform.profit_slope(True), "regret", {"late_rate": lambda x: 1.1 * x}),
        (platform.even_in_time(1.0), "regret", {"earned": lambda x: x + 1e6}),
        (platform.ntu_lemma("breach"), "ntu", {"breach": lambda x: x + 100}),
        (platform.ntu_learns("late"), "ntu", {"late": lambda x: x + 100}),
    ],
)
def test_a_claim_fails_when_its_numbers_are_wrong(results, measure, experiment, damage):
    preset = SMOKE
    assert not all(e.holds for e in measure(changed(results, experiment, **damage), preset))


def test_rates_are_judged_by_growth():
    def made(exponent):
        rounds = np.array([1000, 10_000])
        return Row(
            {"rule": "midpoint"},
            {"rounds": rounds, "regret": rounds[None] ** exponent * np.ones((3, 1))},
        )

    preset = PAPER.preset("quick")
    slow, fast = ({"rules": Results((made(e),))} for e in (0.1, 0.5))
    assert regret.logarithmic("midpoint")(slow, preset)[0].holds
    assert not regret.logarithmic("midpoint")(fast, preset)[0].holds
    assert regret.keeps_losing("midpoint")(fast, preset)[0].holds
    assert not regret.keeps_losing("midpoint")(slow, preset)[0].holds


def test_the_quick_preset_asks_for_every_cell_that_a_claim_reads():
    preset = PAPER.preset("quick")
    by_name = {e.name: e.cells(preset) for e in PAPER.experiments}
    assert {(c["k"], 4000) for c in by_name["regret"] if c["horizon"] == 4000} == {
        (k, h) for k, h, _ in regret.REFERENCE if h == 4000
    }
    assert {c["rule"] for c in by_name["rules"]} == {"midpoint", "row", "col", "max_slack"}
    assert 12 in {c["k"] for c in by_name["structured"]}


def test_ratios_of_means_count_the_error_of_both():
    rng = np.random.default_rng(0)
    top, bottom = 2 + 0.1 * rng.normal(size=400), 1 + 0.1 * rng.normal(size=400)
    evidence = shared.of_means("ratio", top, bottom)
    # delta method: relative errors of independent means add in squares
    half = 1.96 * 2 * np.hypot(0.1 / 2, 0.1) / 20
    assert evidence.measured == pytest.approx(2, abs=0.03)
    assert np.ptp(evidence.interval) / 2 == pytest.approx(half, rel=0.15)
    assert shared.of_means("slope", 8 + 0 * top, 1 + 0 * top, base=4.0).measured == pytest.approx(
        1.5
    )


def test_intervals_may_fail_as_often_as_their_level_says_and_no_more():
    def made(failed):
        return {
            "regret": Results((Row({"horizon": 1000}, {"covered": np.arange(1000) >= failed}),))
        }

    # at 1/1000 a run, 1000 runs give at most three failures in 98.1 % of experiments (Poisson)
    assert (
        regret.intervals_hold()(made(3), SMOKE)[0].holds
        and not regret.intervals_hold()(made(4), SMOKE)[0].holds
    )
