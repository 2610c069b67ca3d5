"""Largest curvature of the clients' least-squares losses, and the step sizes that it allows."""

from collections.abc import Sequence

import numpy as np
from jax.typing import ArrayLike
from jaxtyping import Array, Float
from scipy.sparse.linalg import LinearOperator, eigsh

from theorylab.errors import InputError

Blocks = Float[np.ndarray, "N n p"] | Float[Array, "N n p"] | Sequence[Float[ArrayLike, "n_i p"]]


def max_curvatures(Phi: Blocks) -> Float[np.ndarray, " N"]:
    """lambda_max(H_i) of every client, H_i = Phi_i^T Phi_i / n_i, by Lanczos in the features' precision."""
    return np.array([_max_eigenvalue(np.asarray(block)) for block in Phi])


def stable_step_size(Phi: Blocks, c: float = 1.0) -> float:
    """eta = c / max_i lambda_max(H_i): stable for 0 < c < 2. With standardised features it scales as 1 / p (Prop. 6).

    Raises:
        InputError: c outside (0, 2); features that are all zero.
    """
    if not 0 < c < 2:
        raise InputError(f"c: {c} given, 0 < c < 2 is stable")
    largest = max_curvatures(Phi).max()
    if not largest > 0:
        raise InputError(f"Phi: lambda_max(H_i) = {largest}; features that are not all zero are needed")
    return float(c / largest)


def check_step_size(
    eta: float, Phi: Sequence[Float[np.ndarray, "n_i p"]], curvatures: Float[np.ndarray, " N"] | None = None
) -> None:
    """Refuse eta >= 2 / lambda_max(H_i) up front, with both numbers: its NaN comes only after hundreds of steps."""
    if not (np.isfinite(eta) and eta > 0):
        raise InputError(f"eta: {eta} given, a positive number is needed")
    curvatures = max_curvatures(Phi) if curvatures is None else curvatures
    i = int(np.argmax(curvatures))
    if eta * curvatures[i] >= 2:
        raise InputError(
            f"eta: {eta:.6g} given, below 2 / lambda_max = {2 / curvatures[i]:.6g} is needed (lambda_max(H_i) = "
            f"{curvatures[i]:.6g} at client {i}); take eta=stable_step_size(Phi)"
        )


def _max_eigenvalue(phi: Float[np.ndarray, "n p"]) -> float:
    n, p = phi.shape
    if not phi.any():
        return 0.0
    if min(n, p) <= 32:
        gram = phi.astype(np.float64)
        return float(np.linalg.norm(gram, 2) ** 2 / n)
    product = (lambda v: phi @ (phi.T @ v)) if n <= p else (lambda v: phi.T @ (phi @ v))
    operator = LinearOperator((min(n, p),) * 2, matvec=product, dtype=phi.dtype)
    start = np.random.default_rng(0).normal(size=min(n, p)).astype(phi.dtype)
    return float(eigsh(operator, k=1, v0=start, return_eigenvectors=False, tol=1e-6)[0] / n)
