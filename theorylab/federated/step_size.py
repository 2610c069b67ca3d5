"""Largest curvature of the clients' least-squares losses, and the step sizes that it allows."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from jax.typing import ArrayLike
from jaxtyping import Array, Float
from scipy.sparse.linalg import LinearOperator, eigsh

from theorylab import checks
from theorylab.errors import InputError
from theorylab.federated.clients import each
from theorylab.overflow import in_range

Blocks = Float[np.ndarray, "N n p"] | Float[Array, "N n p"] | Sequence[Float[ArrayLike, "n_i p"]]


@in_range()
def max_curvatures(Phi: Blocks) -> Float[np.ndarray, " N"]:
    """Compute lambda_max(H_i) of every client, H_i = Phi_i^T Phi_i / n_i.

    By Lanczos, in the features' precision.

    Args:
        Phi: (N, n, p), or one (n_i, p) array per client.

    Returns:
        (N,) curvatures.

    Raises:
        InputError: a client without examples or with NaN.

    Source:
        docs/derivations/federated_least_squares.md, statement 6.
    """
    return np.array([_max_eigenvalue(block) for block in blocks("Phi", Phi)])


def stable_step_size(Phi: Blocks, c: float = 1.0) -> float:
    """Choose eta = c / max_i lambda_max(H_i), which is stable for 0 < c < 2.

    With standardised features it scales as 1 / p: never copy a step size between values of p.

    Args:
        Phi: (N, n, p), or one (n_i, p) array per client.
        c: share of 1 / lambda_max.

    Returns:
        The step size.

    Raises:
        InputError: c outside (0, 2); features that are all zero.

    Source:
        docs/derivations/federated_least_squares.md, statements 6 and 7.

    Examples:
        >>> round(stable_step_size([np.diag([1.0, 2.0]), np.eye(2)]), 6)  # lambda_max = 4 / 2
        0.5
    """
    c = checks.number("c", c, 0, 2, open_low=True, open_high=True)  # stable
    largest = max_curvatures(Phi).max()
    if not largest > 0:
        raise InputError(
            f"Phi: lambda_max(H_i) = {largest}; features that are not all zero are needed"
        )
    return float(c / largest)


def check_step_size(
    eta: float,
    Phi: Sequence[Float[np.ndarray, "n_i p"]],
    curvatures: Float[np.ndarray, " N"] | None = None,
) -> None:
    """Refuse eta >= 2 / lambda_max(H_i) up front, with both numbers.

    Its NaN would come only after hundreds of steps.
    """
    checks.number("eta", eta, 0, open_low=True)
    curvatures = max_curvatures(Phi) if curvatures is None else curvatures
    i = int(np.argmax(curvatures))
    if eta * curvatures[i] >= 2:
        raise InputError(
            f"eta: {eta:.6g} given, below 2 / lambda_max = {2 / curvatures[i]:.6g} is needed "
            f"(lambda_max(H_i) = {curvatures[i]:.6g} at client {i}); take "
            "eta=stable_step_size(Phi)"
        )


def blocks(name: str, given: Any) -> list[np.ndarray]:
    """One floating-point (n_i, columns) array a client; one axis is added to vectors of targets."""
    if getattr(given, "ndim", None) == 2 and name == "Phi":
        raise InputError(
            f"{name}: shape {given.shape} given, (N, n, p) or one (n_i, p) array a client is needed"
        )
    arrays = [
        _block(f"{name}: client {i}", block, (1, 2) if name == "Y" else 2)
        for i, block in enumerate(each(name, given))
    ]
    if not arrays:
        raise InputError(f"{name}: no clients given")
    arrays = [a if np.issubdtype(a.dtype, np.floating) else a.astype(np.float64) for a in arrays]
    arrays = [a[:, None] if a.ndim == 1 and name == "Y" else a for a in arrays]
    for i, a in enumerate(arrays):
        if a.shape[1:] != arrays[0].shape[1:]:
            raise InputError(
                f"{name}: shape {a.shape} at client {i}, (n_i, {arrays[0].shape[-1]}) is needed"
            )
        if not np.isfinite(a).all():
            raise InputError(f"{name}: NaN or infinite entries at client {i}; remove them")
    return arrays


def _block(name: str, block: Any, ndim: int | tuple[int, ...]) -> np.ndarray:
    if 0 in getattr(block, "shape", ()):
        raise InputError(f"{name} has no examples (shape {block.shape}); drop it")
    return np.asarray(checks.real(name, block, ndim=ndim))


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
