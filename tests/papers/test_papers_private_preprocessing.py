"""The room of private pre-processing: cells against brute force, claims on doctored numbers."""

import jax
import numpy as np
import pytest
from drawing import assert_drawn
from scipy.optimize import minimize
from smoke_results import changed, computed

from theorylab.lab.claim import control_said
from theorylab.papers.private_preprocessing import (
    PAPER,
    accounting,
    learning,
    movement,
    real,
    synthetic,
)
from theorylab.papers.private_preprocessing.claims import accounting as costs
from theorylab.papers.private_preprocessing.claims import learning as learned
from theorylab.papers.private_preprocessing.claims import movement as moved
from theorylab.papers.private_preprocessing.tables import ATTAINED, REFUTED
from theorylab.privacy import preprocessing, renyi
from theorylab.privacy.online import separate_ledger

SMOKE = PAPER.preset("smoke")
room = pytest.mark.long  # the room is run once for all of them


@pytest.fixture(scope="module")
def results():
    return computed(PAPER, SMOKE)


@room
@pytest.mark.parametrize("figure", PAPER.figures, ids=lambda f: f.name)
def test_every_figure_draws_from_its_csv(results, figure):
    assert_drawn(figure, results, SMOKE)


JUDGED = [c for c in PAPER.claims if "smoke" in c.presets]


@room
@pytest.mark.parametrize("claim", JUDGED, ids=lambda c: c.id)
def test_claims_hold_and_each_control_is_rejected(results, claim):
    verdict = claim.evaluate(results, SMOKE)
    assert verdict.status == "holds", verdict
    said = {name: control_said(evidence) for name, evidence in verdict.controls.items()}
    assert set(said.values()) <= {"rejected"}


@room
@pytest.mark.parametrize(
    "measure, experiment, damage",
    [
        (costs.closed_form("package"), "closed_form", {"package": lambda x: x * (1 + 1e-9)}),
        (costs.hybrids("smooth_first"), "hybrids", {"smooth_first": lambda x: 0.99 * x}),
        (costs.imputation("full"), "imputation", {"full": lambda x: 1.001 * x}),
        (costs.between("full"), "imputation", {"full": lambda x: x - 1e-6}),
        (costs.behind(True), "mechanisms", {"epsilon": lambda x: x[::-1]}),
        (costs.coupled("bound"), "sampled_sums", {"bound": lambda x: 0.9 * x}),
        (costs.spread("spread"), "last_iterate", {"spread": lambda x: 0.999 * x}),
        (costs.conversions("exact"), "gaussian", {"exact": lambda x: 1.001 * x}),
        (costs.limit("limit"), "sampled_accounting", {"limit": lambda x: 1.2 * x}),
        (moved.bounds(), "search", {"ratio": lambda x: 1.2 * x}),
        (moved.bounds(), "search", {"violations": lambda x: x + 1}),
        (moved.sound("full"), "search", {"full": lambda x: x / 10}),
        (moved.attacks("imputation"), "attack", {"delta": lambda x: x / 100}),
        (moved.outside("chain", "first entry positive"), "chain", {"movement": lambda x: 0 * x}),
        (moved.rotated("aligned"), "signs", {"movement": lambda x: 9 * x}),
        (moved.given(), "turned", {"movement": lambda x: 3 * x}),
        (moved.probabilities(), "probabilities", {"release": lambda x: 1.001 * x}),
        (moved.private("outside"), "probabilities", {"loss": lambda x: 1.01 * x}),
        (moved.margins(), "margins", {"change": lambda x: 1.2 * x}),
        (learned.spent(True), "pipelines", {"factor": lambda x: 0.5 * x}),
        (learned.images(), "images", {"worst": lambda x: 9 * x}),
    ],
)
def test_a_claim_fails_when_its_numbers_are_wrong(results, measure, experiment, damage):
    assert all(e.holds for e in measure(results, SMOKE))
    damaged = changed(results, experiment, **damage)
    assert not all(e.holds for e in measure(damaged, SMOKE))


def test_the_convex_minorant_is_isotonic_regression_in_closed_form():
    rng = np.random.default_rng(0)
    for _ in range(30):
        s = rng.exponential(size=6) * (rng.random(6) < 0.7)
        at = range(6)
        slopes = [max(min(s[j : k + 1].mean() for k in at[i:]) for j in at[: i + 1]) for i in at]
        half = float(np.sum(np.square(slopes)) / 2)
        assert half == pytest.approx(accounting._minorant_cost(s), rel=1e-12)


def test_greedy_keeping_is_that_of_the_package_where_clusters_are_far_apart():
    rng = np.random.default_rng(1)
    spots = np.array([[-0.8, 0.0], [0.0, 0.8], [0.8, 0.0]])
    rows = spots[rng.integers(0, 3, 20)] + 0.02 * rng.random((20, 2))
    kept = preprocessing.keep_one(rows, diameter=0.1)
    np.testing.assert_array_equal(movement._greedy(rows, 0.1), rows[kept.kept])


def test_an_attack_found_by_search_is_an_exact_divergence_between_neighbours():
    found = movement.search("mean imputation", 2000, 3)
    # up to four of thirteen missing: (n / (n - m))² at most
    assert 1.5 < float(found["attack"]) <= (13 / 9) ** 2 + 1e-9
    assert float(found["attack"]) <= float(found["full"]) * (1 + 1e-9)


def test_what_was_said_of_studies_names_studies():
    assert set(ATTAINED) | set(REFUTED) <= set(movement.STUDIES)


@pytest.mark.long
def test_the_best_loss_is_that_of_another_optimiser():
    rows, labels = synthetic.low_rank(300, 5, [0.4, 0.3], 0.1, 0)
    cap = 2.0

    def loss(w):
        w = w * min(1.0, cap / max(np.linalg.norm(w), 1e-12))
        return learning.logistic_loss(w, rows, labels)

    other = min(
        minimize(loss, x, method="Nelder-Mead", options={"maxiter": 9000}).fun
        for x in (np.ones(5), -np.ones(5))
    )
    assert learning.best_loss(rows, labels, cap) == pytest.approx(other, abs=2e-5)


def test_data_of_nearly_low_rank_have_the_spectrum_asked_for():
    rows, labels = synthetic.low_rank(20_000, 30, [0.4, 0.32, 0.23], 0.05, 0)
    assert np.linalg.norm(rows, axis=1).max() <= 1 + 1e-12
    gaps = preprocessing.eigengaps(rows, rank=3)
    assert 0.14 < gaps < 0.19 and abs(labels.mean()) < 0.1


def test_gaps_are_imputed_only_where_some_were_promised():
    parts, promised, labels = real.blocks(real.SAMPLE, 300, 0)
    for rows, share in zip(parts, promised, strict=True):
        gone = np.isnan(rows).any(1).mean()
        assert gone <= share and (share > 0) == (gone > 0)
    assert set(labels.tolist()) == {-1.0, 1.0}


def test_words_for_missing_categories_are_gaps_only_where_promised():
    entries = np.array([0.0, 1.0, 2.0, np.nan])
    names = ("Female", "Male", "Unknown")
    gaps = real._categories(entries, names, True)
    assert np.isnan(gaps).any(1).tolist() == [False, False, True, True]
    kept = real._categories(entries[:3], names, False)
    np.testing.assert_array_equal(kept, np.eye(3))


def test_numbers_at_the_end_of_a_code_are_gaps():
    ages = np.array([0.0, 49.0, 97.0, 99.0])
    found = real._number(ages, (49.0, 49.0), True)[:, 0]
    np.testing.assert_allclose(found[:3], [-1, 0, 48 / 49])
    assert np.isnan(found[3])


def test_the_movement_of_imputed_attributes_is_within_what_is_paid_for():
    """Every record of the sample replaced by every other: images of the others move less."""
    parts, promised, labels = real.blocks(real.SAMPLE, 60, 1)
    n = len(labels)
    found = real.missing(
        real.SAMPLE, 60, [1.0], 1, {"steps": 2, "step_size": 1.0, "radius": 1.0}, 1
    )
    rows = np.concatenate(parts, 1)
    assert (np.isnan(rows).sum(0) <= (np.array(promised) * n).astype(int)).all()

    def images(table):
        return np.concatenate([preprocessing.impute_mean(x[:, None]) for x in table.T], 1) / 2

    worst, whole = 0.0, images(rows)
    for place in range(n):
        for record in (np.ones(4), -np.ones(4), rows[(place + 1) % n]):
            other = rows.copy()
            other[place] = record
            gap = np.linalg.norm(images(other) - whole, axis=1)
            worst = max(worst, float(np.delete(gap, place).sum()))
    assert 0 < worst <= float(found["movement"])


def test_the_central_limit_is_that_of_the_exact_gaussian():
    found = accounting.sampled_accounting(0.01, 1.0, 1000, [2], 1e-5)
    shift = 0.01 * np.sqrt(1000 * np.expm1(1.0))
    assert float(found["limit"]) == pytest.approx(renyi.gaussian_epsilon(shift, delta=1e-5))


def test_noise_is_drawn_from_keys_of_the_seed():
    rows, labels = synthetic.low_rank(50, 4, [0.5, 0.3], 0.1, 0)
    descent = {"steps": 3, "step_size": 1.0, "radius": 1.0}
    with separate_ledger():
        one, two = (
            learning.averaged_loss(rows, labels, descent, 0.5, jax.random.key(k)) for k in (1, 2)
        )
    with separate_ledger():
        again = learning.averaged_loss(rows, labels, descent, 0.5, jax.random.key(1))
    assert one == again != two
