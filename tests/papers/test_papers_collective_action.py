import jax
import numpy as np
import pytest
from drawing import assert_drawn

from theorylab.lab import Results, Row
from theorylab.papers.collective_action import PAPER, learning, theory, worlds
from theorylab.papers.collective_action.claims import reweighting
from theorylab.papers.collective_action.claims import theory as theory_claims

SMOKE = PAPER.preset("smoke")


@pytest.mark.long
def test_the_cells_on_finite_worlds_agree_with_each_other_and_catch_the_naive_bound():
    found = theory.worlds(points=6, labels=3, count=2000, lam=40.0, seed=0)
    np.testing.assert_allclose(found["staircase"], found["direct"], atol=1e-12)
    pairs = (
        ("staircase", "base_bound"),
        ("feature_only", "feature_only_bound"),
        ("weighted", "corrected_bound"),
    )
    assert all((found[s] >= found[b] - 1e-12).all() for s, b in pairs)
    assert (found["weighted"] < found["naive_bound"] - 1e-3).any()


def test_dro_weights_meet_their_constraints():
    found = theory.weight_checks(m=100, sizes=[0.1, 0.333], rhos=[0.2, 2.0], seed=0)
    np.testing.assert_allclose(found["sums"], 1, atol=1e-9)
    np.testing.assert_allclose(found["cap"], 1, atol=1e-9)
    np.testing.assert_allclose(found["divergence"], 1, atol=1e-4)


def test_the_area_under_the_curve_counts_ordered_pairs():
    scores, y = np.array([0.1, 0.4, 0.35, 0.8]), np.array([0, 0, 1, 1])
    assert learning.auc(scores, y) == pytest.approx(0.75)


@pytest.mark.long
def test_dominoes_agree_in_both_halves_and_the_trigger_stays_in_its_own():
    world = worlds.dominoes(64, 20, "complex", "checker", "fashion", 16)
    data = world.sample(jax.random.key(0))
    changed = np.flatnonzero((world.signal(data.x_test) != data.x_test).any(0))
    assert data.x.shape == (64, 392) and changed.min() >= 196 and len(changed) <= 4
    left, right, y = worlds._pairs("fashion", full=False)
    assert len(left) == len(right) == len(y) and left.min() >= 0 and right.min() >= -0.5


def test_shrinking_takes_means_of_blocks():
    x = np.arange(16, dtype=np.uint8).reshape(1, 4, 4)
    np.testing.assert_allclose(worlds.shrink(x, 2)[0] * 255, [[2.5, 4.5], [10.5, 12.5]], rtol=1e-6)


def made_up(success=None):
    """Results of the right shapes with made-up numbers: the figures must draw whatever comes."""
    rng, results = np.random.default_rng(0), {}
    for experiment in PAPER.experiments:
        rows = []
        for cell in experiment.cells(SMOKE):
            sizes = (len(cell.get("alphas", [])), len(cell.get("seeds", [])))
            if experiment.name == "worlds":
                names = ("staircase", "direct", "weighted", "naive_bound", "corrected_bound")
                arrays = {n: rng.uniform(size=20) for n in names}
            elif experiment.name == "population":
                arrays = {n: rng.uniform(size=sizes[0]) for n in ("erm", "jtt", "alpha_eff")}
            elif experiment.name == "validation":
                arrays = {
                    n: rng.uniform(size=sizes)
                    for n in ("clean", "contaminated", "signal_only", "last")
                }
            elif experiment.name == "reliance":
                arrays = {
                    n: rng.uniform(size=(sizes[1] or 2, 2))
                    for n in ("aligned", "simple_permuted", "complex_permuted")
                }
            else:
                how = cell.get("training", {"every": 1, "steps": 1})  # `weights` trains nothing
                steps = np.arange(how["every"], how["steps"] + 1, how["every"])
                arrays = {
                    n: rng.uniform(size=(*sizes, len(steps)))
                    for n in ("success", "baseline", "accuracy")
                }
                arrays |= {
                    n: rng.uniform(0.01, 0.5, sizes)
                    for n in ("alpha_eff", "alpha_shuffled", "e_c", "e_0")
                }
                arrays |= {"checkpoints": steps}
            rows.append(Row(cell, arrays))
        results[experiment.name] = Results(tuple(rows))
    return results


@pytest.mark.parametrize("figure", PAPER.figures, ids=lambda f: f.name)
def test_every_figure_draws_from_its_csv(figure):
    assert_drawn(figure, made_up(), SMOKE)


def test_claims_hold_on_right_numbers_and_fail_on_doctored_ones():
    cell = {
        "alphas": [0.02, 0.4],
        "seeds": [0, 1],
        "world": {"n": 1000, "name": "gaussian"},
        "options": {"lam": 20.0},
    }
    erm, jtt = np.array([[0.3, 0.3], [0.96, 0.96]]), np.array([[0.83, 0.82], [0.95, 0.95]])
    rows = [
        ({"rule": "erm"}, erm),
        ({"rule": "jtt"}, jtt),
        ({"rule": "lff"}, jtt),
        ({"rule": "cvar"}, jtt - [[0.3], [0.04]]),
    ]
    results = {
        "gaussian": Results(
            tuple(
                Row(cell | r, {"success": s[..., None], "baseline": 0 * s[..., None]})
                for r, s in rows
            )
        )
    }
    assert all(e.holds for e in reweighting.advantage("success")(results, SMOKE))
    assert not all(e.holds for e in reweighting.advantage("baseline")(results, SMOKE))
    good = {"staircase": np.array([0.5]), "base_bound": np.array([0.4])}
    for bound, holds in ((0.4, True), (0.6, False)):
        found = {"worlds": Results((Row({}, good | {"base_bound": np.array([bound])}),))}
        assert (
            theory_claims.never_violated(theory_claims.FEATURE_LABEL)(found, SMOKE)[0].holds
            is holds
        )
