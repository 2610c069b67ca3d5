"""Penalties down to zero: cancellation, rank deficiency, unequal weights, and input precision.

Against exact refits in 60 digits, the minimum-norm limit, and float64.
"""

import jax
import mpmath
import numpy as np
import pytest

from theorylab.accuracy import AccurateTo, carrying, entry_accuracy
from theorylab.errors import InputError
from theorylab.ridge import KernelRidgeGCV, KernelRidgePath, RidgePath, gcv_slq, solve_ridge

N = 9
rng = np.random.default_rng(1)
BASE, Y = rng.normal(size=(N, 2)), rng.normal(size=N)
DUMMY = np.eye(N)[:, 4:5]
DESIGNS = {
    "alone": np.hstack([BASE, DUMMY]),
    "two alone": np.hstack([BASE, np.eye(N)[:, 4:6]]),
    "nearly alone": np.hstack([BASE, DUMMY + 1e-6 * rng.normal(size=(N, 1))]),
    "alone beside a repeated column": np.hstack([BASE, BASE[:, :1], DUMMY]),
}


def exact_loo(X, y, alpha, center, w):
    """Refits in 60 digits (alpha = 1e-60 stands for the limit)."""
    mpmath.mp.dps = 160
    Z = np.hstack([X, np.ones((len(X), 1))]) if center else X
    total = mpmath.mpf(0)
    for i in range(len(X)):
        keep = np.arange(len(X)) != i
        root = mpmath.matrix(Z[keep])
        scaled = mpmath.diag([mpmath.mpf(v) for v in w[keep]]) * root
        system = root.T * scaled
        for a in range(X.shape[1]):
            system[a, a] += len(X) * mpmath.mpf(alpha)
        fit = mpmath.lu_solve(system, scaled.T * mpmath.matrix(y[keep]))
        residual = mpmath.mpf(y[i]) - (mpmath.matrix(Z[i : i + 1]) * fit)[0]
        total += mpmath.mpf(w[i]) * residual**2
    return float(total / len(X))


@pytest.mark.long
@pytest.mark.parametrize("center", [False, True])
@pytest.mark.parametrize("name", DESIGNS)
def test_leave_one_out_at_tiny_penalties_is_refitting(name, center):
    X, w = DESIGNS[name], rng.uniform(0.5, 2, N)
    for path in (
        RidgePath.fit(X, Y, weights=w, center=center),
        KernelRidgePath.fit(X @ X.T, Y, weights=w, center=center),
    ):
        alphas = [1e-200, 1e-18, 1e-14, 1e-6]
        expected = [exact_loo(X, Y, max(a, 1e-60), center, w) for a in alphas]
        try:
            got, summary = path.loo(alphas), path.summary(alphas).loo
        except InputError:  # the kernel squares the condition: an eigenvalue at rounding
            assert name == "nearly alone" and isinstance(path, KernelRidgePath)
            continue
        np.testing.assert_allclose(got, expected, rtol=1e-7)
        np.testing.assert_allclose(summary, expected, rtol=1e-7)
        np.testing.assert_allclose(path.loo([0.0]), expected[:1], rtol=1e-7)


@pytest.mark.parametrize("center", [False, True])
def test_predictions_of_a_rank_deficient_kernel_do_not_cancel(center):
    X, new = rng.normal(size=(30, 4)), rng.normal(size=(6, 4))
    y = rng.normal(size=(30, 2))
    design = np.hstack([X, np.ones((30, 1))]) if center else X
    limit = np.linalg.lstsq(design, y, rcond=None)[0]
    limit = new @ limit[:4] + (limit[4] if center else 0)
    path = KernelRidgePath.fit(X @ X.T, y, center=center)
    for alpha in (0.0, 1e-300, 1e-30, 1e-18, 1e-15):
        np.testing.assert_allclose(path.predict(new @ X.T, [alpha])[0], limit, rtol=1e-9)
        model = KernelRidgeGCV([alpha], kernel="precomputed", fit_intercept=center)
        np.testing.assert_allclose(
            model.fit(X @ X.T, y).predict(new @ X.T), limit, rtol=1e-9, atol=1e-12
        )
    # heavy samples: the penalty is tiny beside them
    heavy = KernelRidgePath.fit(X @ X.T, y, center=center, weights=np.full(30, 1e14))
    np.testing.assert_allclose(heavy.predict(new @ X.T, [1e-3])[0], limit, rtol=1e-9)


def test_weights_under_which_light_samples_vanish_are_refused():
    X = rng.normal(size=(12, 20))
    w = np.r_[1e18, np.ones(11)]
    with pytest.raises(InputError, match=r"weights span 1e\+18"):
        KernelRidgePath.fit(X @ X.T, rng.normal(size=12), weights=w)
    with pytest.raises(InputError, match="weights span"):
        RidgePath.fit(X, rng.normal(size=12), weights=np.r_[1e36, np.ones(11)])
    # true rank deficiency is none of the weights' doing
    low = X[:, :3]
    path = KernelRidgePath.fit(low @ low.T, rng.normal(size=12), weights=np.r_[1e6, np.ones(11)])
    assert path.rank == 3


def test_kfold_refuses_folds_that_are_singular_up_to_rounding():
    X = np.hstack([BASE, DUMMY])
    path, key = RidgePath.fit(X, Y), jax.random.key(0)
    with pytest.raises(InputError, match="some fold then decides a system of condition"):
        path.kfold([1.0, 1e-16], 3, key)
    assert np.isfinite(path.kfold([1e-6], 3, key)).all()


def singular32(seed):
    x = np.random.default_rng(seed).normal(size=(40, 39))
    return (x @ x.T).astype(np.float32)


@pytest.mark.long
@pytest.mark.parametrize("seed", range(5))
def test_no_solver_inverts_the_rounding_of_a_float32_kernel(seed):
    kernel, y = singular32(seed), np.random.default_rng(seed).normal(size=40)
    calls = {
        "told": (kernel.astype(np.float64), {"accuracy": 1e-6}),
        "float32": (kernel, {}),
        "carried": (carrying(kernel.astype(np.float64), 1e-6), {}),
    }
    for K, told in calls.values():
        with pytest.raises(InputError, match="precision cannot carry"):
            KernelRidgePath.fit(K, y, **told).gcv([0.0])
        with pytest.raises(InputError, match=r"precision cannot carry|not positive definite"):
            solve_ridge(K, y, 0.0, **told)
        with pytest.raises(InputError, match="Lanczos finds eigenvalues"):
            gcv_slq(K, y, [1e-12], jax.random.key(0), **told)
        inverse = np.linalg.inv(kernel.astype(np.float64) + 40 * np.eye(40))
        exact = (inverse @ y @ (inverse @ y)) * 40 / np.trace(inverse) ** 2
        np.testing.assert_allclose(solve_ridge(K, y, 1.0, **told).gcv, exact, rtol=1e-9)
        np.testing.assert_allclose(KernelRidgePath.fit(K, y, **told).gcv([1.0]), exact, rtol=1e-9)
    with pytest.raises(InputError, match="accuracy = 2"):
        KernelRidgePath.fit(kernel, y, accuracy=2)


def test_coarse_test_kernels_at_a_penalty_that_amplifies_them():
    x = rng.normal(size=(20, 30)) * np.geomspace(1, 1e-5, 30)
    path = KernelRidgePath.fit(x @ x.T, rng.normal(size=20))
    cross = (x[:3] @ x.T).astype(np.float32)
    with pytest.raises(InputError, match="amplifies what K_test is rounded to"):
        path.predict(cross, [0.0])
    np.testing.assert_allclose(
        path.predict(cross, [1.0]), path.predict(x[:3] @ x.T, [1.0]), rtol=1e-4
    )


def test_an_array_carries_its_accuracy_through_views_and_arithmetic():
    kernel = carrying(np.eye(4, dtype=np.float32), 0.03)
    for derived in (kernel[:2, :2], kernel / 2, kernel.astype(np.float64), kernel.T + 1):
        assert isinstance(derived, AccurateTo) and entry_accuracy(derived) == 0.03
    assert type(carrying(np.eye(2, dtype=np.float32), 1e-9)) is np.ndarray
    assert entry_accuracy(kernel, 0.1) == 0.1
