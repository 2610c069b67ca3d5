import numpy as np
import pytest
from drawing import assert_drawn
from smoke_results import changed, computed

from theorylab.lab.claim import control_said
from theorylab.papers.certified_ensembles import PAPER, networks, theory
from theorylab.papers.certified_ensembles.claims import networks as of_networks
from theorylab.papers.certified_ensembles.claims import theory as of_theory
from theorylab.papers.certified_ensembles.experiments import TABLE
from theorylab.papers.certified_ensembles.published import DIGITS, GAUSSIAN
from theorylab.robustness.ensembles import (
    Polytope,
    ensemble_certificate,
    grid,
    member_certificates,
    vote_certificate,
)

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
    assert verdict.status in ("holds", "undecided"), verdict
    assert "accepted" not in {control_said(e) for e in verdict.controls.values()}


@pytest.mark.parametrize(
    "measure, experiment, damage",
    [
        (of_theory.excess("excess"), "calculus", {"excess": lambda x: x + 1e-9}),
        (of_theory.tight("tight"), "calculus", {"tight": lambda x: x + 1e-9}),
        (of_theory.polygon("one"), "polygon", {"one_sizes": lambda x: 1.001 * x}),
        (of_theory.none_of("below_all", of_theory.AGREE), "sweep", {"below_all": np.ones_like}),
        (of_theory.leads("runner_ups"), "leads", {"probability": lambda x: x + 1e-9}),
        (of_theory.crossed("crossed"), "ellipses", {"crossed_inradius": lambda x: 1.01 * x}),
        (of_theory.gaussian("gain"), "gaussian", {"loss": lambda x: x + 400}),
        (of_theory.bounded("svd"), "norms", {"svd": lambda x: 0.999 * x}),
        (of_theory.best("best"), "weights", {"best": lambda x: 0.99 * x}),
        (of_networks.unbroken("broken"), "attacked", {"member_broken": lambda x: x + 1}),
        (of_networks.further("ensemble"), "summary", {"ensemble": lambda x: x / 2}),
        (of_networks.by_regime((1, 2), (2,)), "summary", {"regimes": lambda x: x + 1}),
    ],
)
def test_a_claim_fails_when_its_numbers_are_wrong(results, measure, experiment, damage):
    damaged = changed(results, experiment, **damage)
    assert not all(e.holds for e in measure(damaged, SMOKE))


def test_a_sweep_looks_at_what_the_package_says_of_each_ensemble():
    """The batched cell against certificates that are made one by one."""
    cell = {"d": 3, "members": 3, "classes": 4, "ensembles": 30, "directions": 24, "seed": 3}
    found = theory.sweep(**cell, curved=False)
    rng = np.random.default_rng(3)
    scores = theory.CORRELATION * rng.normal(size=(30, 1, 4)) + rng.normal(size=(30, 3, 4))
    weights = rng.dirichlet(np.ones(3), 30)
    weights *= (rng.random(weights.shape) > 0.2) | (weights == weights.max(1, keepdims=True))
    weights /= weights.sum(1, keepdims=True)
    slopes, u = rng.normal(size=(30, 3, 4, 3)), grid(3, 24)
    for i in range(30):
        sets = [Polytope(w) for w in slopes[i]]
        members = member_certificates(sets, scores[i])
        t = ensemble_certificate(sets, scores[i], weights[i]).radial(u)
        each = np.stack([m.radial(u) for m in members])[weights[i] > 0]
        assert found["below_all"][i] == (t < each.min(0) * (1 - 1e-10)).any()
        assert found["beyond_all"][i] == (t > each.max(0) * (1 + 1e-10)).any()
        vote = vote_certificate(members, scores[i].argmax(1), weights[i])
        by_hand = theory._vote_lengths(
            np.stack([m.radial(u) for m in members])[None],
            scores[[i]],
            weights[[i]],
            np.array([vote.label]),
        )
        np.testing.assert_allclose(by_hand[0], vote.radial(u))


def test_radii_are_gaps_over_the_square_root_of_two():
    scores = np.array([[[3.0, 1.0], [0.0, 1.0]], [[2.0, 1.5], [2.0, 1.0]]])
    found = networks.radii(scores, np.array([1.0, 0.5]), np.array([0, 0]))
    np.testing.assert_allclose(
        found["member"], np.array([[2.0, -1], [1.0, 2.0]]) / 2**0.5 * [[1, 2**0.5], [1, 1]]
    )
    np.testing.assert_allclose(found["ensemble"], np.array([1.25, 0.0]) / (2**0.5 * 0.75))


def test_the_quick_preset_asks_for_every_number_that_is_known():
    preset = PAPER.preset("quick")
    assert {tuple(row) for row in TABLE} == set(GAUSSIAN)
    assert {row[0] for row in preset["images"]} == {"mnist", "fashion_mnist", "keel/optdigits"}
    assert max(DIGITS) <= max(of_networks.RADII) and set(DIGITS) <= set(of_networks.RADII)
