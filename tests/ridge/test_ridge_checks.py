"""Every refusal: one line that names the argument, what was given and the mend."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from theorylab.errors import InputError
from theorylab.ridge import KernelRidgePath

N = 8


def kernel(smallest=0.1, largest=10.0):
    """A kernel with prescribed extreme eigenvalues."""
    basis = np.linalg.qr(np.random.default_rng(0).normal(size=(N, N)))[0]
    K = basis * np.geomspace(largest, smallest, N) @ basis.T if smallest > 0 else basis
    return (K + K.T) / 2


Y = np.arange(float(N))


def perturbed(i, j, value):
    K = kernel()
    K[i, j] = value
    return K


@pytest.mark.parametrize(
    "arguments, message",
    [
        ((np.ones((3, N)), Y), r"shape \(3, 8\); a square kernel"),
        ((np.ones(N), Y), r"K has shape \(8,\); an array with 2 axes"),
        ((np.zeros((0, 0)), np.zeros(0)), "is empty"),
        ((perturbed(0, 1, 5.0), Y), "not symmetric"),
        ((perturbed(2, 2, np.nan), Y), "K holds nan; finite numbers"),
        ((perturbed(2, 2, -30.0), Y), "not positive semi-definite"),
        ((kernel() - 0.101 * np.eye(N), Y), "not positive semi-definite"),
        ((kernel(), Y[1:]), "Y has 7 rows but K has 8"),
        ((kernel(), Y[:, None, None]), "Y has shape"),
        ((kernel(), np.where(Y == 3, np.inf, Y)), "Y holds inf; finite numbers"),
        ((kernel() + 0j, Y), "dtype complex128"),
        (([[1.0, 2.0], [3.0]], Y), "K = .*a rectangular array of numbers"),
    ],
)
def test_bad_training_data_is_refused(arguments, message):
    with pytest.raises(InputError, match=message) as refusal:
        KernelRidgePath.fit(*arguments)
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize(
    "weights, message",
    [(np.zeros(N), "weights holds 0; finite numbers above 0"), (np.ones(3), "weights has shape")],
)
def test_bad_weights_are_refused(weights, message):
    with pytest.raises(InputError, match=message):
        KernelRidgePath.fit(kernel(), Y, weights=weights)


@pytest.mark.parametrize(
    "alphas, message",
    [
        ([-0.1], "alphas holds -0.1; .* at least 0"),
        ([np.nan], "alphas holds nan"),
        ([[0.1]], "alphas has shape"),
        ([], "empty"),
    ],
)
def test_bad_penalties_are_refused(alphas, message):
    with pytest.raises(InputError, match=message):
        KernelRidgePath.fit(kernel(), Y).gcv(alphas)


def test_a_test_kernel_of_the_wrong_shape_is_refused():
    with pytest.raises(InputError, match=r"\(M, 8\), test by train"):
        KernelRidgePath.fit(kernel(), Y).predict(np.ones((3, 7)), [0.1])


def test_ridgeless_float32_is_refused_where_its_precision_ends():
    """λ_N < 1e-7 λ_1: refused in float32 with the number and the mend, carried in float64."""
    K = kernel(smallest=3e-8, largest=1.0)
    path = KernelRidgePath.fit(jnp.asarray(K, jnp.float32), Y)
    with pytest.raises(InputError, match=r"use alpha >= 1\.\de-08 or compute it in float64"):
        path.gcv([0.0])
    assert np.isfinite(path.gcv([1e-7])).all()
    assert np.isfinite(KernelRidgePath.fit(K, Y).gcv([0.0])).all()
    assert np.isfinite(
        KernelRidgePath.fit(kernel(1e-5, 1.0).astype(np.float32), Y).gcv([0.0])
    ).all()


def test_ridgeless_float64_is_refused_where_the_rank_is_ambiguous():
    """A spectrum that decays smoothly into rounding has no rank; one with a gap has."""
    x = np.linspace(0, 1, 40)
    smooth = np.exp(-((x[:, None] - x) ** 2))
    with pytest.raises(InputError, match="resolved only down to"):
        KernelRidgePath.fit(smooth, x).loo([0.0])
    assert np.isfinite(KernelRidgePath.fit(smooth, x).loo([1e-9])).all()
    assert KernelRidgePath.fit(np.outer(x, x), x).rank == 1


def test_kernels_with_rounding_in_them_pass():
    """Slight asymmetry and slightly negative eigenvalues of the input's own precision are not
    refused."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(60, 5)).astype(np.float32)
    path = KernelRidgePath.fit(X @ X.T, X[:, 0])
    exact = KernelRidgePath.fit(X.astype(np.float64) @ X.T.astype(np.float64), X[:, 0])
    alphas = exact.scale * np.array([1e-2, 1.0])
    # A kernel known to float32 rounding gives risks to sqrt(N) 6e-8 / 1e-2, about 5e-5.
    np.testing.assert_allclose(path.gcv(alphas), exact.gcv(alphas), rtol=5e-5)


def test_check_false_sees_only_shapes():
    bent = kernel() - 0.2 * np.eye(N)
    assert np.isfinite(KernelRidgePath.fit(bent, Y, check=False).gcv([0.1])).all()
    tiny = kernel(3e-8, 1.0).astype(np.float32)
    assert np.isfinite(KernelRidgePath.fit(tiny, Y, check=False).gcv([0.0])).all()
    assert np.isnan(KernelRidgePath.fit(kernel(), Y * np.nan, check=False).gcv([0.1])).all()
    with pytest.raises(InputError, match="square"):
        KernelRidgePath.fit(np.ones((3, 4)), np.ones(3), check=False)
    with pytest.raises(InputError, match="square"):
        jax.jit(lambda K: KernelRidgePath.fit(K, np.ones(3)).gcv([0.1]))(np.ones((3, 4)))
