import dataclasses

import numpy as np
import pytest
from drawing import assert_drawn

from theorylab.lab import Results, Row
from theorylab.online import TwoStage, opt_cost, schedule
from theorylab.papers.learning_augmented import PAPER, scheduling, ski

CHEAP = ("optimum", "surface", "certificate", "deterministic", "algorithms", "psk_ski")
OTHERS = ("two_stage", "two_stage_blind", "two_stage_longer", "prr")


@pytest.fixture(scope="module")
def results():
    """The smoke preset: cells of ski rental as they are, those of scheduling made up in the right
    shapes."""
    preset = PAPER.preset("smoke")
    found = {}
    for name in CHEAP:
        experiment = PAPER.experiment(name)
        found[name] = Results(tuple(Row(c, experiment.run(**c)) for c in experiment.cells(preset)))
    rng = np.random.default_rng(0)
    ones, share = (
        np.ones((5, 3)),
        {"bound": 2.0, "two_stage": 2.1, "prr": 2.2, "simulated": 2.1, "prr_simulated": 2.2},
    )
    rows = {
        "identities": {
            "simulated": ones + 0.2,
            "formula": ones + 0.2,
            "opt": ones[0],
            "total": ones[0] / 2,
            "round_robin": 1.5 * ones[0],
        },
        "search": {"ratio": np.asarray(1.6), "evaluated": np.asarray(10)},
        "hard": {k: np.full(8, v) for k, v in share.items()}
        | {"attacked": np.full((8, 2), 2.3), "small_job": np.full(8, 1.9)},
        "psk_jobs": {"ratio": rng.uniform(1, 2, (4, 2, 40))},
    }
    for name, arrays in rows.items():
        found[name] = Results(tuple(Row(c, arrays) for c in PAPER.experiment(name).cells(preset)))
    return found


def claim(name):
    return next(c for c in PAPER.claims if c.id == name)


def doctored(results, experiment, array, change):
    rows = tuple(
        dataclasses.replace(r, arrays={**r.arrays, array: change(r[array])})
        for r in results[experiment]
    )
    return {**results, experiment: Results(rows)}


@pytest.mark.parametrize("figure", PAPER.figures, ids=lambda f: f.name)
def test_every_figure_draws_from_its_csv(results, figure):
    assert_drawn(figure, results, PAPER.preset("smoke"))


@pytest.mark.parametrize(
    "name",
    [
        "lp_is_closed_form",
        "primal_is_dual",
        "limit_from_below",
        "nothing_beats_the_optimum",
        "deterministic_product",
        "deterministic_bound",
        "randomized_is_exact",
        "published_guarantees",
        "psk_ski_table",
        "round_robin_identity",
    ],
)
def test_claims_on_ski_rental_hold_and_reject_their_controls(results, name):
    assert claim(name).evaluate(results, PAPER.preset("smoke")).status == "holds"


@pytest.mark.parametrize(
    ("name", "experiment", "array", "change"),
    [
        ("lp_is_closed_form", "optimum", "closed", lambda a: a + 1e-6),
        ("primal_is_dual", "optimum", "excess", lambda a: a + 1e-6),
        ("nothing_beats_the_optimum", "algorithms", "R", lambda a: a - [1e-4, 0.0]),
        ("deterministic_bound", "deterministic", "robustness", lambda a: 0.999 * a),
        ("randomized_is_exact", "algorithms", "branches", lambda a: a * [1, 1, 1.001, 1]),
        ("published_guarantees", "algorithms", "D", lambda a: a * 1.2),
        ("psk_ski_table", "psk_ski", "mean", lambda a: a + 0.3),
        ("round_robin_identity", "identities", "round_robin", lambda a: a * 1.001),
        ("two_stage_two_jobs", "search", "ratio", lambda a: a + 0.5),
        ("lower_bound_holds", "hard", "attacked", lambda a: 0.8 * a),
    ],
)
def test_claims_fail_on_doctored_results(results, name, experiment, array, change):
    verdict = claim(name).evaluate(
        doctored(results, experiment, array, change), PAPER.preset("smoke")
    )
    assert verdict.status == "fails"


def test_a_finite_price_below_the_limit_curve_is_no_violation(results):
    verdict = claim("nothing_beats_the_optimum").evaluate(results, PAPER.preset("smoke"))
    control = verdict.controls["the bound of the limit, at finite b"]
    assert verdict.status == "holds" and any(e.measured < -0.03 for e in control)


def test_the_simulated_experiment_agrees_with_its_exact_expectation():
    found = ski.psk(100, 400, [0.0, 100.0], 20_000, 3)
    # Four standard errors of the mean, plus rounding where nothing is random.
    assert (np.abs(found["mean"] - found["exact"]) <= 4 * found["error"] + 1e-12).all()
    # By hand at no noise: D buys on day 50 if the season is 100 days or more and pays 149 for 100.
    assert found["exact"][0, 0] == pytest.approx((301 * 1.49 + 99) / 400, rel=1e-12)
    assert found["exact"][3, 1] == pytest.approx((301 * 1.99 + 99) / 400, rel=1e-12)


@pytest.mark.long
def test_cells_of_scheduling_agree_with_what_they_name():
    found = scheduling.hard(3, [0.1, 0.25])
    np.testing.assert_allclose(found["simulated"], found["bound"], rtol=1e-12)
    np.testing.assert_allclose(found["prr_simulated"], [2.25, 1.8], rtol=1e-9)
    assert (found["attacked"] >= found["bound"][:, None] - 1e-9).all()
    jobs = scheduling.psk(10, [0.0, 100.0], 5, 0)["ratio"]
    x = scheduling.pareto(np.random.default_rng(0), (5, 10))
    np.testing.assert_allclose(jobs[3, 0], schedule(TwoStage(0.1), x).cost / opt_cost(x))
    assert x.min() >= 1 and np.allclose(jobs[1, 0], 1)


def test_presets_name_searches_that_the_claims_need():
    for name in ("quick", "full"):
        cells = PAPER.experiment("search").cells(PAPER.preset(name))
        assert {c["policy"] for c in cells} == set(OTHERS) == set(scheduling.POLICIES)
        big = [c for c in cells if c["policy"] == "two_stage" and not c["perfect"]]
        assert {c["n"] for c in big} == {2, 3, 4, 5, 6} and min(
            c["instances"] for c in big
        ) >= 1_000_000
