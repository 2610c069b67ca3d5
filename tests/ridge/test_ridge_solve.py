"""The Cholesky route against the eigendecomposition route, and its gradients against finite
differences."""

import os
import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from theorylab.errors import InputError
from theorylab.ridge import KernelRidgePath, gcv_score, loo_score, solve_ridge

N = 18
rng = np.random.default_rng(0)
X, Y = rng.normal(size=(N, 40)), rng.normal(size=(N, 2))
K = X @ X.T


@pytest.mark.long
@pytest.mark.parametrize("block", [2048, 18, 5])
def test_cholesky_and_eigenvectors_agree(block):
    path = KernelRidgePath.fit(K, Y)
    for alpha in (0.1, 0.0):
        solution = solve_ridge(K, Y, alpha, block=block)
        for quantity in ("gcv", "loo", "kappa", "dof", "train_risk"):
            expected = getattr(path, quantity)([alpha])[0]
            np.testing.assert_allclose(getattr(solution, quantity), expected, rtol=1e-9, atol=1e-14)
        np.testing.assert_allclose(solution.dual, path.dual([alpha])[0], rtol=1e-8, atol=1e-12)
        np.testing.assert_allclose(solution.leverage, path.leverage([alpha])[0], rtol=1e-9)


@pytest.mark.long
@pytest.mark.parametrize("score", [gcv_score, loo_score])
def test_gradients_in_the_kernel_the_targets_and_the_penalty(score):
    rng = np.random.default_rng(1)
    dK, dY, alpha, h = rng.normal(size=(N, N)), rng.normal(size=Y.shape), 0.3, 1e-6
    dK = dK + dK.T
    with jax.enable_x64(True):
        gK, gY, ga = map(
            np.asarray, jax.grad(score, (0, 1, 2))(jnp.asarray(K), jnp.asarray(Y), alpha)
        )
    # Central differences at h = 1e-6: rounding 1e-16 / 1e-6 leaves 1e-9 of the value.
    for gradient, step in (
        (np.sum(gK * dK), (dK, 0, 0)),
        (np.sum(gY * dY), (0, dY, 0)),
        (ga, (0, 0, 1.0)),
    ):
        up, down = (
            score(K + s * h * step[0], Y + s * h * step[1], alpha + s * h * step[2])
            for s in (1, -1)
        )
        np.testing.assert_allclose(gradient, (up - down) / (2 * h), rtol=1e-5, atol=1e-8)


def test_gradients_are_finite_and_exact_in_float32_code_where_eigenvalues_repeat():
    """K = t I has GCV = mean y² whatever t: its gradient along I is 0, though all eigenvalues
    coincide."""
    gradient = jax.jit(jax.grad(gcv_score))(jnp.eye(5), jnp.arange(5.0), 0.1)
    assert gradient.dtype == jnp.float32 and np.isfinite(gradient).all()
    np.testing.assert_allclose(np.trace(gradient), 0.0, atol=1e-6)
    np.testing.assert_allclose(gcv_score(np.eye(5), np.arange(5.0), 0.1), 6.0, rtol=1e-12)


@pytest.mark.long
def test_rows_spread_over_devices_give_the_same_solution():
    """In a process of its own: three virtual devices, and a number of samples that they do not
    divide."""
    code = """
import jax, numpy as np
from theorylab.ridge import KernelRidgePath, solve_ridge
X = np.random.default_rng(0).normal(size=(16, 30)); K = X @ X.T; Y = X[:, :2]
mesh = jax.sharding.Mesh(np.array(jax.devices()), ("rows",))
assert mesh.devices.size == 3
split = solve_ridge(K, Y, 0.1, block=6, mesh=mesh)
path = KernelRidgePath.fit(K, Y)
np.testing.assert_allclose(split.loo, path.loo([0.1])[0], rtol=1e-9)
np.testing.assert_allclose(split.dual, path.dual([0.1])[0], rtol=1e-8, atol=1e-12)
"""
    environment = os.environ | {
        "XLA_FLAGS": "--xla_force_host_platform_device_count=3",
        "JAX_PLATFORMS": "cpu",
    }
    environment["PYTHONPATH"] = os.pathsep.join(filter(None, sys.path))
    subprocess.run([sys.executable, "-c", code], check=True, env=environment, timeout=120)


def test_what_cholesky_cannot_carry_is_refused():
    with pytest.raises(InputError, match="not positive definite"):
        solve_ridge(-np.eye(3), np.ones(3), 0.1)
    with pytest.raises(InputError, match="one penalty"):
        solve_ridge(K, Y, [0.1, 0.2])
    with pytest.raises(InputError, match="block = 0"):
        solve_ridge(K, Y, 0.1, block=0)
    with pytest.raises(InputError, match=r"alpha = -0.1; finite numbers of at least 0"):
        solve_ridge(K, Y, -0.1)
