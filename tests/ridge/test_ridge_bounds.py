"""Norm bounds against their formulas."""

import numpy as np
import pytest

from theorylab.errors import InputError
from theorylab.ridge import KernelRidgePath, norm_bound, path_norm_bound


@pytest.mark.long
def test_norm_bounds_are_their_formulas():
    rng = np.random.default_rng(0)
    n = 15
    X, Y = rng.normal(size=(n, 30)), rng.normal(size=(n, 2))
    K = X @ X.T
    alphas = np.array([0.0, 0.1, 2.0])
    for i, alpha in enumerate(alphas):
        dual = np.linalg.solve(K + n * alpha * np.eye(n), Y)
        train, norm2 = np.mean(np.sum((Y - K @ dual) ** 2, 1)), np.sum(dual * (K @ dual))
        rademacher = train + np.sqrt(norm2 * np.trace(K)) / n
        np.testing.assert_allclose(norm_bound(K, Y, alphas)[i], rademacher, rtol=1e-9)
        arora = train + np.sqrt(2 * norm2 / n)
        np.testing.assert_allclose(norm_bound(K, Y, alphas, variant="arora")[i], arora, rtol=1e-9)
    path = KernelRidgePath.fit(K, Y)
    np.testing.assert_allclose(path_norm_bound(path, alphas), norm_bound(K, Y, alphas), rtol=1e-14)


def test_an_unknown_variant_is_refused():
    with pytest.raises(InputError, match="variant"):
        norm_bound(np.eye(2), [1.0, 2.0], [0.1], variant="vc")
