"""The room on PILLAR: its cells against hand computations, its claims on doctored numbers."""

import numpy as np
import pytest
from drawing import assert_drawn
from smoke_results import changed, computed

from theorylab.lab import Results, Row
from theorylab.lab.claim import control_said
from theorylab.papers.semi_private import PAPER, bases, experiments, features, heads, tables, theory
from theorylab.papers.semi_private.claims import real
from theorylab.papers.semi_private.claims import theory as claims
from theorylab.papers.semi_private.published import ACCOUNTED, POSTER

SMOKE = PAPER.preset("smoke")


@pytest.fixture(scope="module")
def results():
    return computed(PAPER, SMOKE)


@pytest.mark.long
@pytest.mark.parametrize("figure", PAPER.figures, ids=lambda f: f.name)
def test_every_figure_draws_from_its_csv(results, figure):
    assert_drawn(figure, results, SMOKE)


@pytest.mark.long
@pytest.mark.parametrize(
    "claim", [c for c in PAPER.claims if "smoke" in c.presets], ids=lambda c: c.id
)
def test_claims_hold_and_each_control_is_rejected(results, claim):
    verdict = claim.evaluate(results, SMOKE)
    assert verdict.status == ("finding" if claim.kind == "finding" else "holds"), verdict
    said = {name: control_said(evidence) for name, evidence in verdict.controls.items()}
    assert set(said.values()) <= {"rejected"}


@pytest.mark.long
@pytest.mark.parametrize(
    "measure, experiment, damage",
    [
        (claims.margins("sharp"), "margins", {"unscaled": lambda x: x - 0.3}),
        (claims.margins("safe"), "margins", {"unscaled": lambda x: x - 1.5}),
        (claims.attained("sharp"), "counterexample", {"unscaled": lambda x: x + 1e-6}),
        (claims.one_side("sharp"), "counterexample", {"sharp": lambda x: x + 1}),
        (claims.sampled_directions(1.0), "sampled", {"errors": lambda x: 100 * x}),
        (claims.shifted(1.0), "shifted", {"change": lambda x: 3 * x}),
        (claims.shifted(1.0), "shifted", {"error": lambda x: 100 * x}),
        (claims.accounted(), "accounted", {"epsilon": lambda x: 1.02 * x}),
        (real.spent(), "curves", {"spent": lambda x: 1.0001 * x}),
        (real.spent(), "methods", {"spent": lambda x: 0.9 * x}),
    ],
)
def test_a_claim_fails_when_its_numbers_are_wrong(results, measure, experiment, damage):
    assert all(e.holds for e in measure(results, SMOKE))
    assert not all(e.holds for e in measure(changed(results, experiment, **damage), SMOKE))


@pytest.mark.long
def test_the_printed_margin_would_be_believed_of_points_that_keep_theirs(results):
    kept = changed(results, "counterexample", unscaled=lambda x: x + 2)
    assert all(e.holds for e in claims.printed_margin(kept, SMOKE))
    assert not any(e.holds for e in claims.printed_margin(results, SMOKE))


@pytest.mark.long
def test_private_and_public_records_are_disjoint_and_all_there(results):
    for row in results["directions"]:
        private, public = row["private"], row["public"]
        assert len(set(private.tolist())) == len(private)
        assert len(private) + len(public) == row.cell["records"]
        order = np.random.default_rng(row.cell["seed"]).permutation(row.cell["records"])
        np.testing.assert_array_equal(order[len(public) :], private)
        np.testing.assert_allclose(row["centre"], public.astype(np.float32).mean(0), atol=1e-3)


def curves(accuracy, ranks=(5, 20, 40, 120, 360, 0), **cell):
    """Rows of made-up curves, one a split: accuracy (ranks, epsilons)."""
    cell = {"data": "cifar10", "source": "cifar10", "network": "efficientnet_lite0", **cell}
    cell |= {"ranks": list(ranks), "epsilons": [0.1, 0.7, 0.0]}
    rng = np.random.default_rng(0)
    rows = [
        Row(
            {**cell, "seed": k},
            {
                "accuracy": accuracy + 1e-4 * rng.normal(size=(6, 3)),
                "spent": np.array([0.1, 0.7, 0]),
            },
        )
        for k in range(4)
    ]
    return {"curves": Results(tuple(rows))}


GOOD = np.array(
    [
        [0.5, 0.55, 0.55],
        [0.65, 0.7, 0.7],
        [0.66, 0.73, 0.74],
        [0.64, 0.75, 0.76],
        [0.6, 0.75, 0.77],
        [0.55, 0.74, 0.78],
    ]
)


@pytest.mark.parametrize(
    "measure, wrong",
    [
        (real.ahead(0.1), 1 - GOOD),
        (real.past_the_optimum(0.1), 1 - GOOD),
        (real.rising(0.0), 1 - GOOD),
        (real.middle(0.7), GOOD[:, ::2].repeat(2, 1)[:, :3]),
    ],
)
def test_curves_of_the_paper_s_shape_are_accepted_and_others_are_not(measure, wrong):
    assert {e.outcome for e in measure(curves(GOOD), SMOKE)} == {"holds"}
    assert "fails" in {e.outcome for e in measure(curves(wrong), SMOKE)}


def test_the_number_of_records_is_found_between_sizes_on_a_log_scale():
    assert tables.needed([100, 400], np.array([0.8, 1.0])) == pytest.approx(200)
    assert np.isnan(tables.needed([100, 400], np.array([0.5, 0.8])))
    assert np.isnan(tables.needed([100, 400], np.array([0.95, 0.99])))


def test_pixels_are_pooled_by_means_of_blocks():
    image = np.arange(16, dtype=np.uint8).reshape(1, 4, 4)
    expected = np.array([2.5, 4.5, 10.5, 12.5]) / 255
    np.testing.assert_allclose(features.pooled(image, 2)[0], expected, rtol=1e-6)
    colour = np.stack([image, 2 * image, 3 * image], -1)
    np.testing.assert_allclose(features.pooled(colour, 2)[0].reshape(4, 3)[:, 1], 2 * expected)


def test_a_head_on_all_directions_is_a_head_without_projection():
    """Turning the features turns the head: without noise, accuracy over all directions is the one
    of softmax regression by clipped gradient descent, written by hand."""
    rng = np.random.default_rng(0)
    y = rng.integers(0, 3, 300)
    x = (rng.normal(size=(300, 12)) + 2 * np.eye(12)[y]).astype(np.float32)
    train = {"features": x, "labels": y}
    basis = bases.directions(100, 0, train, train)
    found = heads.over_directions(
        [0, 12], [0.0], [0.5], 1.0, train, train, basis, delta=1e-5, steps=3, seed=0
    )
    z, w, b = bases.standard(x, basis), np.zeros((12, 3)), np.zeros(3)
    mine = z[basis["private"]], y[basis["private"]]
    for _ in range(3):
        scores = np.exp(mine[0] @ w + b)
        pull = scores / scores.sum(1, keepdims=True) - np.eye(3)[mine[1]]
        norms = np.sqrt((pull**2).sum(1) * ((mine[0] ** 2).sum(1) + 1))
        pull *= np.minimum(1, 1 / norms)[:, None]
        w, b = w - 0.5 / 200 * mine[0].T @ pull, b - 0.5 / 200 * pull.sum(0)
    share = ((z @ w + b).argmax(1) == y).mean()
    np.testing.assert_allclose(found["accuracy"], share, atol=0.004)
    assert found["private"] == 200 and found["spent"].tolist() == [0.0]


def test_the_counter_example_is_where_every_classifier_errs():
    found = theory.counterexample(0.3, np.pi / 6, 0.1)
    assert float(found["least_error"]) == pytest.approx(0.1)
    assert float(found["printed"]) == pytest.approx(0.247, abs=1e-3)
    assert float(found["sharp"]) == pytest.approx(float(found["unscaled"]), abs=1e-12)


def test_presets_ask_for_the_settings_that_are_known():
    quick = PAPER.preset("quick")
    by_name = {e.name: e.cells(quick) for e in PAPER.experiments}
    assert len(by_name["accounted"]) == len(ACCOUNTED)
    assert set(experiments.EPSILONS) == set(POSTER)
    assert {c["data"] for c in by_name["curves"]} == {"cifar10", "fashion_mnist", "mnist", "adult"}
    assert {c["source"] for c in by_name["curves"] if c["data"] == "mnist"} == {
        *("mnist", "fashion_mnist")
    }
    medium = {e.name: e.cells(PAPER.preset("medium")) for e in PAPER.experiments}
    assert "reviews" in {c["data"] for c in medium["curves"]}
    assert not any(e.data(SMOKE) for e in PAPER.experiments)
