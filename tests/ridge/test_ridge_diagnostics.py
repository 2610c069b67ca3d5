"""The spread of leverages, and what it says of GCV against leave-one-out."""

import numpy as np
import pytest

from theorylab.ridge import KernelRidgePath, RidgePath, leverage_spread


def kernel(n=60, p=90):
    x = np.random.default_rng(0).normal(size=(n, p)) * np.arange(1, p + 1) ** -0.7
    return x, x @ x.T


def test_it_is_the_squared_coefficient_of_variation_of_the_residual_projector():
    x, k = kernel()
    path, alphas = KernelRidgePath.fit(k, np.ones(60)), np.array([0.0, 1e-2])
    found = leverage_spread(path, alphas)
    inverses = [np.diag(np.linalg.inv(k + 60 * a * np.eye(60))) for a in alphas]
    np.testing.assert_allclose(found, [d.var() / d.mean() ** 2 for d in inverses], rtol=1e-6)
    np.testing.assert_allclose(
        leverage_spread(RidgePath.fit(x, np.ones(60)), alphas[1]), found[1:], rtol=1e-8
    )


def test_it_is_how_much_gcv_exceeds_leave_one_out_for_residuals_that_ignore_leverage():
    # Y = (K + N alpha) diag((K + N alpha)^-1): sample i has held-out residual 1 in output i,
    # whatever its leverage.
    _, k = kernel()
    scale = np.exp(0.5 * np.random.default_rng(1).normal(size=60))
    k, alpha = k * np.outer(scale, scale), 1e-3
    system = k + 60 * alpha * np.eye(60)
    diagonal = np.diag(np.linalg.inv(system))
    # held-out residual matrix: the identity
    path = KernelRidgePath.fit(k, system @ np.diag(diagonal))
    spread = float(leverage_spread(path, alpha)[0])
    assert spread > 0.2 and float(path.gcv_loo_ratio(alpha)[0]) == pytest.approx(
        1 + spread, rel=1e-8
    )


def test_bad_penalties_are_refused():
    with pytest.raises(ValueError, match=r"alphas holds -1; .* at least 0"):
        leverage_spread(KernelRidgePath.fit(np.eye(3), np.ones(3)), [-1.0])
