"""Lanczos where Krylov spaces close early, against dense functions of matrices."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from theorylab import krylov

N = 50


def laplacian() -> np.ndarray:
    """Its vectors are even or odd, and so are some probes: 24 in 100 close by chance."""
    return 2.1 * np.eye(N) - np.eye(N, k=1) - np.eye(N, k=-1)


MATRICES = {
    "laplacian": laplacian(),
    "identity": 2 * np.eye(N),
    "low rank": np.eye(N) + np.ones((N, N)),
    "two values": np.diag(np.r_[np.ones(25), 2 * np.ones(25)]),
    "no closing": np.diag(np.arange(1.0, N + 1)) + 0.1 * (np.eye(N, k=1) + np.eye(N, k=-1)),
    "zero": np.zeros((N, N)),
}


def quadratures(matrix: np.ndarray, starts: np.ndarray, steps: int) -> tuple[np.ndarray, ...]:
    with jax.enable_x64(True):
        one = lambda z: krylov.tridiagonal(lambda v: jnp.asarray(matrix) @ v, z, steps)  # noqa: E731
        diagonal, off, kept = jax.jit(jax.vmap(one))(jnp.asarray(starts))
        nodes, weights = jax.jit(jax.vmap(krylov.gauss))(diagonal, off, kept)
    return np.asarray(nodes), np.asarray(weights), np.asarray(kept)


@pytest.mark.parametrize("name", MATRICES)
def test_quadrature_is_exact_at_full_depth_whether_the_space_closes_or_not(name: str) -> None:
    matrix = MATRICES[name]
    starts = np.sign(np.random.default_rng(0).normal(size=(200, N)))
    nodes, weights, kept = quadratures(matrix, starts, N)
    values, vectors = np.linalg.eigh(matrix)
    powers = (starts @ vectors) ** 2 / N
    for function in (lambda x: x**2, lambda x: np.exp(-x), lambda x: 1 / (x + 0.3)):
        got = (weights * function(nodes)).sum(1)
        np.testing.assert_allclose(got, powers @ function(values), rtol=1e-11, atol=1e-13)
    np.testing.assert_allclose(weights.sum(1), 1, rtol=1e-13)
    assert (weights[np.arange(N) >= kept[:, None]] == 0).all()
    # no node is invented: each is an eigenvalue
    assert np.abs(nodes[..., None] - values).min(-1).max() < 1e-11
    closes = {"laplacian": 10, "no closing": 0}.get(name, 200)
    assert (kept < N).sum() >= closes and (closes > 0) == bool((kept < N).any())


def test_a_start_of_zero_and_of_any_length() -> None:
    starts = np.stack([np.zeros(N), 1e-150 * np.ones(N), 1e150 * np.ones(N)])
    nodes, weights, kept = quadratures(np.eye(N) + np.ones((N, N)), starts, 5)
    assert kept.tolist() == [1, 1, 1]
    np.testing.assert_allclose((nodes * weights).sum(1)[1:], N + 1)
    assert np.isfinite(nodes).all()


@pytest.mark.long
def test_derivatives_pass_a_space_that_closes() -> None:
    rng = np.random.default_rng(0)
    start, change = np.sign(rng.normal(size=N)), rng.normal(size=(N, N))
    change = change + change.T
    with jax.enable_x64(True):

        def form(t: jax.Array) -> jax.Array:
            product = lambda v: 2 * v + v.sum() + t * (change @ v)  # noqa: E731
            nodes, weights = krylov.gauss(*krylov.tridiagonal(product, jnp.asarray(start), 12))
            return (weights * jnp.log(nodes)).sum()

        slopes = jax.jvp(form, (0.0,), (1.0,))[1], jax.grad(form)(0.0)
    values, vectors = np.linalg.eigh(2 * np.eye(N) + np.ones((N, N)))
    gaps = values[:, None] - values
    near = np.abs(gaps) < 1e-8
    ratios = np.where(
        near, 1 / values[:, None], np.subtract.outer(np.log(values), np.log(values))
    ) / np.where(near, 1, gaps)
    c = vectors.T @ start
    exact = c @ (ratios * (vectors.T @ change @ vectors)) @ c / N  # Daleckii and Krein
    np.testing.assert_allclose(slopes, exact, rtol=1e-9)
