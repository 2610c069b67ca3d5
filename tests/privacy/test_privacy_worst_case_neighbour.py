"""The worst neighbour of given data, against all neighbours of small ones."""

import jax
import numpy as np
import pytest

from theorylab.privacy import preprocessing, sensitivity
from theorylab.privacy.worst_case_neighbour import worst_replacement


def test_it_finds_the_worst_replacement_of_an_imputation():
    rows = np.full((12, 2), 0.6)
    rows[:4] = np.nan
    found = worst_replacement(preprocessing.impute_mean, rows, pairs=2000, key=jax.random.key(0))
    # from (.6, .6) to its opposite on the circle: the mean of 8 moves, which 4 see
    assert found.movement == pytest.approx(4 * (0.6 * np.sqrt(2) + 1) / 8, rel=1e-6)
    assert found.place >= 4 and found.tried == 2000
    assert found.movement <= sensitivity.mean_imputation(12, missing=4).total


def test_it_comes_close_to_a_grid_over_all_records():
    rng = np.random.default_rng(1)
    rows = rng.normal(size=(30, 2)) * [1.0, 0.4]
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)

    def project(data):
        return preprocessing.pca_project(data, rank=1)

    at = np.linspace(0, 2 * np.pi, 181)
    circle = np.stack([np.cos(at), np.sin(at)], 1)
    best, whole = 0.0, project(rows)
    for place in range(30):
        many = np.repeat(rows[None], len(circle), 0)
        many[:, place] = circle
        gap = np.linalg.norm(project(many) - whole, axis=-1)
        gap[:, place] = 0
        best = max(best, float(gap.sum(1).max()))
    found = worst_replacement(project, rows, pairs=4000, key=jax.random.key(2))
    assert 0.97 * best <= found.movement
    gap = preprocessing.eigengaps(rows, rank=1) - 2 / 30  # of any neighbour
    assert found.movement <= sensitivity.pca_projection(30, eigengap=float(gap)).total
