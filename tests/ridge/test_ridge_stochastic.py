"""Stochastic Lanczos GCV against the exact path, with error bars checked as error bars."""

import jax
import numpy as np
import pytest

from theorylab.errors import InputError
from theorylab.ridge import KernelRidgePath, gcv_slq

N = 60
rng = np.random.default_rng(0)
X = rng.normal(size=(N, 90)) * np.arange(1, 91) ** -0.5
K, Y = X @ X.T, rng.normal(size=(N, 2)) + X[:, :1]
ALPHAS = np.array([1e-2, 0.1, 1.0])


@pytest.mark.long
def test_the_estimate_lies_within_its_error_bars():
    path = KernelRidgePath.fit(K, Y)
    estimate = gcv_slq(K, Y, ALPHAS, jax.random.key(0), num_probes=40, depth=40)
    # Four standard errors: a fixed key, and a chance of 6e-5 per entry for a random one.
    assert (np.abs(estimate.gcv - path.gcv(ALPHAS)) < 4 * estimate.standard_error).all()
    assert (np.abs(estimate.kappa - path.kappa(ALPHAS)) < 4 * estimate.kappa_error).all()
    assert (estimate.standard_error < 0.2 * estimate.gcv).all() and (
        estimate.truncation < 1e-6 * estimate.gcv
    ).all()
    np.testing.assert_allclose(estimate.dof, N * (1 - ALPHAS / estimate.kappa), rtol=1e-12)


def test_the_standard_error_is_that_of_random_signs():
    """Var z^T A z = 2 Σ_{i≠j} A_ij² for random signs; GCV's relative error is twice the trace's."""
    m = 40
    estimate = gcv_slq(K, Y, ALPHAS, jax.random.key(0), num_probes=m, depth=40)
    for i, alpha in enumerate(ALPHAS):
        A = np.linalg.inv(K / N + alpha * np.eye(N))
        relative = np.sqrt(2 * (np.sum(A**2) - np.sum(np.diag(A) ** 2)) / m) / np.trace(A)
        # A standard deviation from 40 probes is itself known to 1/sqrt(78) = 11 %: three of these.
        np.testing.assert_allclose(
            estimate.standard_error[i] / estimate.gcv[i], 2 * relative, rtol=0.34
        )
        np.testing.assert_allclose(estimate.kappa_error[i] / estimate.kappa[i], relative, rtol=0.34)


def test_a_multiple_of_the_identity_is_exact_without_error():
    """The numerator carries no sampling error: with K = t I both parts are exact from one step."""
    estimate = gcv_slq(2.0 * np.eye(N), Y, ALPHAS, jax.random.key(0), num_probes=40, depth=40)
    np.testing.assert_allclose(estimate.gcv, np.full(3, np.sum(Y**2) / N), rtol=1e-12)
    np.testing.assert_allclose(estimate.standard_error, 0.0, atol=1e-12)


def test_a_function_and_its_matrix_give_the_same():
    by_function = gcv_slq(
        lambda v: X @ (X.T @ v), Y, ALPHAS, jax.random.key(1), num_probes=40, depth=40
    )
    by_matrix = gcv_slq(K, Y, ALPHAS, jax.random.key(1), num_probes=40, depth=40)
    np.testing.assert_allclose(by_function.gcv, by_matrix.gcv, rtol=1e-9)


def test_a_krylov_space_that_closes_early_is_cut_there():
    """Rank 5: beyond six steps Lanczos has nothing but rounding to go on."""
    Z = X[:, :5]
    estimate = gcv_slq(Z @ Z.T, Y, ALPHAS, jax.random.key(0), num_probes=40, depth=40)
    exact = KernelRidgePath.fit(Z @ Z.T, Y).gcv(ALPHAS)
    assert (np.abs(estimate.gcv - exact) < 4 * estimate.standard_error).all()
    assert (estimate.truncation < 1e-9 * exact).all()


@pytest.mark.long
def test_too_few_steps_show_as_truncation():
    estimate = gcv_slq(K, Y, [1e-4], jax.random.key(0), num_probes=4, depth=5)
    assert estimate.truncation[0] > 0.01 * estimate.gcv[0]


@pytest.mark.parametrize(
    "alphas, options, message",
    [
        ([0.0], {}, "alphas holds 0"),
        ([0.1], {"num_probes": 1}, "num_probes = 1; a whole number of at least 2"),
        ([0.1], {"depth": 0}, "depth = 0; a whole number of at least 1"),
    ],
)
def test_what_lanczos_cannot_reach_is_refused(alphas, options, message):
    with pytest.raises(InputError, match=message):
        gcv_slq(K, Y, alphas, jax.random.key(0), **options)


@pytest.mark.long
@pytest.mark.parametrize(
    ("kernel", "singular"),
    [
        (np.eye(N), False),
        (np.eye(N) + np.ones((N, N)), False),
        (np.ones((N, N)), True),
        (X[:, :3] @ X[:, :3].T, True),
    ],
    ids=["identity", "identity plus constant", "constant", "rank 3"],
)
def test_kernels_and_targets_whose_krylov_spaces_close(kernel, singular):
    """Against the exact path, also for a target of zeros and a penalty whose square underflows."""
    targets = np.stack([Y[:, 0], np.zeros(N), np.ones(N)], 1)
    if singular:
        with pytest.raises(InputError, match="alphas holds 1e-160; Lanczos finds"):
            gcv_slq(kernel, targets, [1.0, 1e-160], jax.random.key(0), num_probes=4)
    alphas = np.array([1e-9 if singular else 1e-160, 1e-3, 1.0])
    for y in (targets, targets[:, 1]):
        estimate = gcv_slq(kernel, y, alphas, jax.random.key(0), num_probes=40)
        exact = KernelRidgePath.fit(kernel, y).gcv(alphas)
        assert (np.abs(estimate.gcv - exact) <= 5 * estimate.standard_error + 1e-9 * exact).all()
        assert np.isfinite([estimate.truncation, estimate.kappa, estimate.dof]).all()


def test_a_kernel_of_zeros():
    estimate = gcv_slq(np.zeros((N, N)), Y, [1e-160, 1.0], jax.random.key(0))
    np.testing.assert_allclose(estimate.gcv, (Y**2).sum() / N)  # nothing is fitted
    np.testing.assert_allclose(estimate.kappa, [1e-160, 1.0])
    np.testing.assert_allclose(estimate.dof, 0, atol=1e-12)
