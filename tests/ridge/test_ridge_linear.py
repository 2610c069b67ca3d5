"""RidgePath against the normal equations, NumPy's least squares and the kernel path of X X^T, for P
< N and P > N."""

import jax
import numpy as np
import pytest

from theorylab.errors import InputError
from theorylab.ridge import KernelRidgePath, RidgePath

N, C = 18, 3
ALPHAS = np.array([1e-4, 3e-2, 0.5, 20.0])
FROM_ZERO = np.array([0.0, 3e-2, 0.5, 20.0])
QUANTITIES = [
    "train_risk",
    "gcv_per_output",
    "loo_per_output",
    "kappa",
    "dkappa",
    "dof",
    "norm2",
    "dual",
    "intercept",
]


def problem(p, seed=0):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(N, p)) * np.arange(1, p + 1) ** -0.5 + 0.3
    return X, rng.normal(size=(N, C)) + X[:, :1], rng.uniform(0.3, 3.0, N)


@pytest.mark.long
@pytest.mark.parametrize("weighted, center", [(False, False), (True, True)])
@pytest.mark.parametrize("p", [6, 40])
def test_the_path_of_features_is_the_path_of_their_kernel(p, weighted, center):
    X, Y, w = problem(p)
    options = {"weights": w if weighted else None, "center": center}
    linear, kernel = RidgePath.fit(X, Y, **options), KernelRidgePath.fit(X @ X.T, Y, **options)
    for quantity in QUANTITIES:
        a, b = getattr(linear, quantity)(FROM_ZERO), getattr(kernel, quantity)(FROM_ZERO)
        # X X^T squares the condition number (up to 1e4 here), so agreement is to about 1e-12 of the
        # largest entry.
        np.testing.assert_allclose(
            a, b, rtol=1e-8, atol=1e-9 * np.abs(b).max() + 1e-12, err_msg=quantity
        )
    key = jax.random.key(0)
    np.testing.assert_allclose(
        linear.kfold(ALPHAS, 4, key), kernel.kfold(ALPHAS, 4, key), rtol=1e-9
    )
    new = problem(p, seed=1)[0]
    np.testing.assert_allclose(
        linear.predict(new, ALPHAS), kernel.predict(new @ X.T, ALPHAS), rtol=1e-8, atol=1e-9
    )
    np.testing.assert_allclose(linear.scale, kernel.scale, rtol=1e-12)
    np.testing.assert_allclose(linear.diag_cv, kernel.diag_cv, rtol=1e-12)


@pytest.mark.parametrize("p", [6, 40])
def test_coefficients_solve_the_weighted_centred_normal_equations(p):
    X, Y, w = problem(p)
    path = RidgePath.fit(X, Y, weights=w, center=True)
    Xc, Yc = X - w @ X / w.sum(), Y - w @ Y / w.sum()
    for i, alpha in enumerate(ALPHAS):
        beta = np.linalg.solve(
            Xc.T @ (w[:, None] * Xc) / N + alpha * np.eye(p), Xc.T @ (w[:, None] * Yc) / N
        )
        np.testing.assert_allclose(path.coef(ALPHAS)[i], beta, rtol=1e-8, atol=1e-11)
        np.testing.assert_allclose(
            path.intercept(ALPHAS)[i], (w @ Y - w @ X @ beta) / w.sum(), rtol=1e-9
        )


@pytest.mark.parametrize("p", [6, 40])
def test_ridgeless_coefficients_are_minimum_norm_least_squares(p):
    X, Y, _ = problem(p)
    expected = np.linalg.lstsq(X, Y, rcond=None)[0]
    np.testing.assert_allclose(
        RidgePath.fit(X, Y).coef(FROM_ZERO)[0], expected, rtol=1e-8, atol=1e-12
    )


def test_ridgeless_gcv_of_600_samples_and_200_features_both_ways():
    """A rank-deficient kernel at alpha = 0: (RSS/N)/(1 - rank/N)² from least squares, from X and
    from X X^T."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(600, 200))
    y = X @ rng.normal(size=200) / 200**0.5 + 0.3 * rng.normal(size=600)
    residual = y - X @ np.linalg.lstsq(X, y, rcond=None)[0]
    expected = np.mean(residual**2) / (1 - 200 / 600) ** 2
    # Here 0.09 * (1 - 1/3) / (1 - 1/3)² = 0.135 is expected, within a chi-square's spread of
    # sqrt(2/400) = 7 %.
    assert expected == pytest.approx(0.135, rel=0.2)
    for path in (RidgePath.fit(X, y), KernelRidgePath.fit(X @ X.T, y)):
        limit, near = path.gcv([0.0, 1e-10 * path.scale])
        np.testing.assert_allclose(limit, expected, rtol=1e-9)
        np.testing.assert_allclose(near, expected, rtol=1e-6)
        assert path.rank == 200


def test_the_path_is_traced_whole():
    X, Y, _ = problem(6)
    with jax.enable_x64(True):
        traced = jax.jit(lambda X, Y: RidgePath.fit(X, Y, center=True).coef(ALPHAS))(X, Y)
    np.testing.assert_allclose(
        traced, RidgePath.fit(X, Y, center=True).coef(ALPHAS), rtol=1e-9, atol=1e-12
    )


def test_bad_features_are_refused():
    X, Y, _ = problem(6)
    with pytest.raises(InputError, match=r"X holds nan; finite numbers"):
        RidgePath.fit(np.where(np.arange(6) + 6 * np.arange(N)[:, None] == 7, np.nan, X), Y)
    with pytest.raises(InputError, match="Y has 17 rows but X has 18"):
        RidgePath.fit(X, Y[1:])
    with pytest.raises(InputError, match="intercept alone"):
        RidgePath.fit(X[:1], Y[:1], center=True)
    with pytest.raises(InputError, match="X_test has shape"):
        RidgePath.fit(X, Y).predict(X[:, :5], [0.1])
    with pytest.raises(InputError, match="weights has shape"):
        RidgePath.fit(X, Y, weights=np.ones(3))
    low_rank = (X @ np.ones((6, 6)) + 0.1 * X[:, :1]).astype(np.float32)
    with pytest.raises(InputError, match="float64"):
        RidgePath.fit(low_rank, Y).gcv([0.0])
