"""Local statistics: known spacing ratios, rigid and independent levels."""

import numpy as np
import pytest

from theorylab.rmt import Semicircle, delocalization, eigenvalue_rigidity, level_spacing_ratio


def goe(n: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    w = np.random.default_rng(seed).standard_normal((n, n))
    return np.linalg.eigh((w + w.T) / np.sqrt(2 * n))


@pytest.mark.long
def test_spacing_ratio_tells_random_matrices_from_independent_levels():
    # the ratio has s.d. ~ .26 per level: ± .26/√m, three s.e.
    ratios = [float(level_spacing_ratio(goe(200, seed)[0])) for seed in range(5)]
    assert abs(np.mean(ratios) - 0.5307) < 3 * 0.26 / np.sqrt(1000)
    poisson = float(level_spacing_ratio(np.random.default_rng(0).random(4000)))
    assert abs(poisson - (2 * np.log(2) - 1)) < 3 * 0.28 / np.sqrt(4000)
    assert float(level_spacing_ratio([0.0, 1.0, 3.0])) == 0.5


def test_eigenvalues_are_rigid_and_draws_are_not():
    n = 300
    values, vectors = goe(n, 0)
    middle = slice(n // 4, 3 * n // 4)
    rigid = np.asarray(eigenvalue_rigidity(values, Semicircle()))[middle]
    draws = Semicircle().quantile(np.random.default_rng(0).random(n))
    loose = np.asarray(eigenvalue_rigidity(draws, Semicircle()))
    assert np.abs(rigid).max() < 4 * np.log(n) / n < np.abs(loose[middle]).max()
    largest = np.asarray(delocalization(vectors))
    assert largest.mean() < 2 * np.sqrt(2 * np.log(n)) and largest.min() >= 1
    np.testing.assert_allclose(np.asarray(delocalization(np.eye(4))), 2.0)


def test_bad_input_is_named():
    for call in (
        lambda: level_spacing_ratio([1.0, 2.0]),
        lambda: eigenvalue_rigidity(np.ones((2, 2)), Semicircle()),
        lambda: delocalization(np.ones(3)),
    ):
        with pytest.raises(ValueError, match="has shape"):
            call()
