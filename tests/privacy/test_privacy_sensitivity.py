"""Bounds on sensitivities: never exceeded by the adversaries, attained where they say so."""

import dataclasses
from decimal import Decimal, localcontext

import jax
import numpy as np
import pytest

from theorylab.errors import InputError
from theorylab.privacy import preprocessing, sensitivity, worst_case
from theorylab.privacy import worst_case_spectral as spectral
from theorylab.privacy import worst_case_studies as studies

# study, and the part of its bound that a search of some thousand pairs reaches at least
STUDIES = {
    "mean imputation": (studies.imputation_study, 0.999),
    "median imputation": (lambda: studies.imputation_study("median"), 0.999),
    "trimmed mean imputation": (lambda: studies.imputation_study("trimmed mean"), 0.98),
    "regression imputation": (studies.regression_imputation_study, 0.1),
    "quantization": (studies.quantization_study, 0.99),
    "dropping duplicates": (studies.dropping_study, 0.5),
    "dropping exact duplicates": (lambda: studies.dropping_study(separated=True), 0.7),
    "keeping one": (studies.keeping_one_study, 0.99),
    "keeping one, in order": (lambda: studies.keeping_one_study(order_matters=True), 0.8),
    "projection": (spectral.projection_study, 0.999),
    "projection, four dimensions": (lambda: spectral.projection_study(d=4, rank=2), 0.5),
    "projection, centred covariance": (
        lambda: spectral.projection_study(centre="covariance"),
        0.8,
    ),
    "projection, centred records": (lambda: spectral.projection_study(centre="records"), 0.3),
    "reduction": (spectral.reduction_study, 0.5),
    "reduction, centred covariance": (lambda: spectral.reduction_study(centre="covariance"), 0.6),
    "reduction, centred records": (lambda: spectral.reduction_study(centre="records"), 0.3),
    "scaling": (spectral.scaling_study, 0.7),
}


@pytest.mark.parametrize("name", STUDIES)
def test_no_neighbours_exceed_the_bound_and_some_come_close(name):
    build, reached = STUDIES[name]
    found = worst_case.search_neighbours(build(), pairs=3000, key=jax.random.key(1))
    assert found.violations == 0 and found.inside > 1000
    assert reached <= found.largest_ratio <= 1 + 1e-9
    assert (~((found.first == found.second) | np.isnan(found.first + found.second))).any(
        1
    ).sum() <= 1


@pytest.mark.slow
@pytest.mark.parametrize("name", STUDIES)
def test_no_neighbours_of_a_hundred_thousand_exceed_the_bound(name):
    build, reached = STUDIES[name]
    found = worst_case.search_neighbours(build(), pairs=100_000, key=jax.random.key(2))
    assert found.violations == 0 and found.largest_ratio >= reached


@pytest.mark.parametrize("name", ["mean imputation", "quantization", "projection"])
def test_a_bound_that_is_a_tenth_too_small_is_refuted(name):
    study = STUDIES[name][0]()
    small = dataclasses.replace(study, bound=lambda a, b: 0.9 * study.bound(a, b))
    found = worst_case.search_neighbours(small, pairs=2000, key=jax.random.key(1))
    assert found.violations > 0


@pytest.mark.parametrize("n", [10, 1000])
def test_projection_turns_exactly_as_far_as_its_bound(n):
    base = np.diag([0.6, 0.4]) * (n - 1) / n
    pair = [np.array([1.0, s]) / np.sqrt(2) for s in (1, -1)]
    values, vectors = zip(*(np.linalg.eigh(base + np.outer(x, x) / n) for x in pair), strict=True)
    first, second = (np.outer(v[:, 1], v[:, 1]) for v in vectors)
    gap = min(v[1] - v[0] for v in values)
    turned = np.linalg.norm(first - second, 2)
    bound = sensitivity.pca_projection(n, eigengap=gap)
    assert turned == pytest.approx(bound.each, rel=1e-9)


def test_totals_are_those_of_the_text():
    assert sensitivity.mean_imputation(10, missing=4).total == pytest.approx(8 / 6)
    assert sensitivity.median_imputation(10, missing=4, gap=0.1).total == pytest.approx(0.4)
    trimmed = sensitivity.trimmed_mean_imputation(10, missing=2, trimmed=0)
    assert trimmed == sensitivity.mean_imputation(10, missing=2)
    assert sensitivity.pca_projection(10**7, eigengap=0.2).total == pytest.approx(5, rel=1e-6)
    centred = sensitivity.pca_projection(10**7, eigengap=0.2, centre="records")
    assert centred.total == pytest.approx(1.5 * np.sqrt(3) / 0.2 + 2, rel=1e-6)
    assert sensitivity.deduplication_keeping_one(9, diameter=0.1).total == 0.1
    assert sensitivity.standard_scaling(10**6, min_std=0.5).total == pytest.approx(8, rel=1e-5)


def test_reduction_costs_hardly_more_than_projection_when_there_are_many_records():
    for n, most in ((100, 1.006), (10_000, 1.000001)):
        project = sensitivity.pca_projection(n, eigengap=0.1).total
        reduce = sensitivity.pca_reduction(n, eigengap=0.1).total
        assert project <= reduce <= most * project
    assert sensitivity.pca_reduction(5, eigengap=0.2).each == pytest.approx(np.sqrt(2))


def test_the_length_of_a_ridge_fit_is_within_the_length_its_sensitivity_uses():
    rng = np.random.default_rng(3)
    for penalty in (0.01, 0.1, 1.0):
        bound = sensitivity.regression_imputation(10**4, missing=1, penalty=penalty).each
        length = bound * 10**4 * penalty / 2 - 1
        for _ in range(200):
            z = rng.normal(size=(20, 2)) * [1, rng.random()]
            z /= np.linalg.norm(z, axis=1, keepdims=True) * (1 + 5 * rng.random())
            theta = np.linalg.solve(z.T @ z + 20 * penalty * np.eye(2), z.T @ np.sign(z[:, 0]))
            assert np.linalg.norm(theta) <= length


def test_a_total_that_no_movement_adds_up_to_is_refused():
    with pytest.raises(InputError, match=r"total = 5; at most records \* each = 3"):
        sensitivity.Sensitivity(3, 1.0, 5.0)


def test_the_mean_moves_far_where_the_data_are_centred():
    """Centred records of either sign of the bound: against data sets that were drawn to turn."""
    rng = np.random.default_rng(9)
    for centre in ("covariance", "records"):
        for _ in range(200):
            n = int(rng.integers(8, 60))
            rho = rng.uniform(0.3, 0.99)
            others = np.stack(
                [np.sqrt(1 - rho**2) * rng.choice([-1, 1], n - 1), np.full(n - 1, -rho)], 1
            )
            angle = rng.uniform(0.5, 1.5)
            pair = [
                np.vstack([others, [[side * np.sin(angle), np.cos(angle)]]]) for side in (1, -1)
            ]
            gap = min(preprocessing.eigengaps(x, rank=1, centred=True) for x in pair)
            if gap * n < 2.6:
                continue
            one, two = (preprocessing.pca_project(x, rank=1, centre=centre) for x in pair)
            moved = np.linalg.norm(one - two, axis=1)[:-1]
            bound = sensitivity.pca_projection(n, eigengap=float(gap), centre=centre)
            assert moved.sum() <= bound.total * (1 + 1e-9)
            assert moved.max() <= bound.each * (1 + 1e-9)


def test_imputed_targets_move_by_at_most_the_range_they_are_clipped_to():
    assert sensitivity.regression_imputation(10, missing=3, penalty=1e-4).each == 2.0


@pytest.mark.parametrize("n", [10, 10**4, 10**8, 10**12, 10**18])
def test_coordinates_of_many_records_are_not_said_to_stand_still(n):
    """The chord of a small angle, beside one of 60 digits: 2 - 2 cos is 0 in float64 from 1e-8."""
    with localcontext() as context:
        context.prec = 60
        sine = 1 / (Decimal(n) / 2)
        chord = (2 - 2 * (1 - sine * sine).sqrt()).sqrt()
        want = float((n - 1) * chord)
    assert sensitivity.pca_reduction(n, eigengap=0.5).total == pytest.approx(want, rel=1e-12)
