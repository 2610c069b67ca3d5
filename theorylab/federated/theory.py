"""Where FedAvg and SCAFFOLD go on least squares; how fast, in `rates`.

Notation: H_i = Phi_i^T Phi_i / n_i and b_i = Phi_i^T Y_i / n_i; A_i = (I - eta H_i)^M; S_i = eta
sum_{k<M} (I - eta H_i)^k, so that I - A_i = S_i H_i. All on the host in NumPy float64: the matrices
are small (p a few hundred at most), and their eigenvalues not those of symmetric ones.

Source: our derivations for the setting of Yu et al. (2022, TCT),
docs/derivations/federated_least_squares.md.
"""

from typing import NamedTuple

import numpy as np
from jax.typing import ArrayLike
from jaxtyping import Float, Int

from theorylab import checks
from theorylab.deprecation import old_arguments
from theorylab.errors import InputError
from theorylab.federated.clients import Weights, client_weights
from theorylab.federated.least_squares import check_blocks
from theorylab.federated.step_size import Blocks, blocks

Hessians = Float[ArrayLike, "N p p"]
Counts = Int[ArrayLike, " N"]


class Terms(NamedTuple):
    """The quadratic losses of all clients.

    Attributes:
        H: (N, p, p) Hessians.
        b: (N, p, K) linear terms.
        counts: (N,) numbers of examples.
    """

    H: Float[np.ndarray, "N p p"]
    b: Float[np.ndarray, "N p K"]
    counts: Int[np.ndarray, " N"]


class LocalOperators(NamedTuple):
    """What M local steps do: theta goes to A_i theta + S_i (b_i + h_i).

    Attributes:
        A: (N, p, p) (I - eta H_i)^M.
        S: (N, p, p) eta sum_{k<M} (I - eta H_i)^k.
    """

    A: Float[np.ndarray, "N p p"]
    S: Float[np.ndarray, "N p p"]


def least_squares_terms(Phi: Blocks, Y: Blocks) -> Terms:
    """Compute H_i and b_i of every client.

    Args:
        Phi, Y: (N, n, p) and (N, n, K), or one (n_i, p) and (n_i, K) array per client.

    Returns:
        `Terms` (H, b, counts).

    Raises:
        InputError: a client without examples or with NaN, named.
    """
    phi, y = blocks("Phi", Phi), blocks("Y", Y)
    check_blocks(phi, y)
    phi, y = [a.astype(np.float64) for a in phi], [a.astype(np.float64) for a in y]
    H = np.stack([a.T @ a / len(a) for a in phi])
    b = np.stack([a.T @ c / len(a) for a, c in zip(phi, y, strict=True)])
    return Terms(H, b, np.array([len(a) for a in phi]))


@old_arguments("H eta local_steps")
def local_operators(H: Hessians, *, eta: float, local_steps: int) -> LocalOperators:
    """Compute A_i and S_i: a client's M steps take theta to A_i theta + S_i (b_i + h_i).

    Args:
        H: (N, p, p) Hessians.
        eta: local step size.
        local_steps: M.

    Returns:
        `LocalOperators` (A, S).

    Raises:
        InputError: eta at or above 2 / lambda_max(H_i), with both numbers; H not symmetric
            matrices.
    """
    H = _hessians(H)
    local_steps = checks.count("local_steps", local_steps)
    eta = float(checks.number("eta", eta, 0, open_low=True))
    values, vectors = np.linalg.eigh(H)
    largest = values.max(1)
    if values.min() < -1e-5 * np.abs(values).max():  # what rounding leaves is set to 0 below
        raise InputError(
            f"H has a negative eigenvalue, {values.min():.3g}; Phi_i^T Phi_i / n_i of every "
            "client is needed"
        )
    if eta * largest.max() >= 2:
        raise InputError(
            f"eta: {eta:.6g} given, 0 < eta < 2 / lambda_max = {2 / largest.max():.6g} is needed "
            f"(client {int(np.argmax(largest))})"
        )
    values = np.maximum(values, 0)
    r = 1 - eta * values
    # (1 - r^M) / (eta l) without cancellation at small eta l
    with np.errstate(divide="ignore", invalid="ignore"):
        small = -np.expm1(local_steps * np.log1p(-np.minimum(eta * values, 0.5))) / (eta * values)
        sums = np.where(eta * values < 0.5, small, (1 - r**local_steps) / (eta * values))
    sums = eta * np.where(eta * values == 0, local_steps, sums)
    build = lambda f: (vectors * f[:, None]) @ vectors.transpose(0, 2, 1)  # noqa: E731
    return LocalOperators(build(r**local_steps), build(sums))


def global_optimum(
    H: Hessians,
    b: Float[ArrayLike, "N p K"],
    weights: Weights = "size",
    *,
    counts: Counts | None = None,
) -> Float[np.ndarray, "p K"]:
    """Minimiser of sum_i p_i F_i, of least norm where there are several.

    (sum p_i H_i) theta = sum p_i b_i.

    Args:
        H: (N, p, p) Hessians.
        b: (N, p, K) linear terms, or (N, p).
        weights: p_i: "size" for n_i / n, as in the runs, "uniform" for 1 / N, or N positive
            numbers.
        counts: (N,) n_i, that of `least_squares_terms`: "size" needs it.

    Returns:
        (p, K) theta*.

    Raises:
        InputError: shapes that do not fit, or NaN.
    """
    p, H, b = _terms(H, b, weights, counts)
    return np.linalg.lstsq(np.tensordot(p, H, 1), np.tensordot(p, b, 1), rcond=None)[0]


def fedavg_fixed_point(
    H: Hessians,
    b: Float[ArrayLike, "N p K"],
    *,
    eta: float,
    local_steps: int,
    weights: Weights = "size",
    counts: Counts | None = None,
) -> Float[np.ndarray, "p K"]:
    """Where FedAvg with M local steps goes: (sum p_i S_i H_i) theta = sum p_i S_i b_i.

    The optimum for M = 1, the mean of the clients' minimisers as M grows, biased between. From
    theta = 0, the solution of least norm where there are several.

    Args:
        H: (N, p, p) Hessians.
        b: (N, p, K) linear terms, or (N, p).
        eta: local step size below 2 / lambda_max.
        local_steps: M.
        weights: p_i: "size" for n_i / n, as in the runs, "uniform" for 1 / N, or N positive
            numbers.
        counts: (N,) n_i, that of `least_squares_terms`: "size" needs it.

    Returns:
        (p, K) theta.

    Raises:
        InputError: as `local_operators`.

    Source:
        docs/derivations/federated_least_squares.md, statement 2.

    Examples:
        >>> H, b = np.array([[[1.0]], [[4.0]]]), np.array([[[1.0]], [[0.0]]])  # minimisers 1 and 0
        >>> for M in (1, 4, 1000):
        ...     theta = fedavg_fixed_point(H, b, eta=0.2, local_steps=M, counts=[5, 5])
        ...     print(round(float(theta[0, 0]), 4))
        0.2
        0.3716
        0.5
    """
    p, H, b = _terms(H, b, weights, counts)
    _, S = local_operators(H, eta=eta, local_steps=local_steps)
    return np.linalg.lstsq(
        np.einsum("i,ijk,ikl->jl", p, S, H), np.einsum("i,ijk,ikl->jl", p, S, b), rcond=None
    )[0]


def min_norm_interpolator(
    Phi: Blocks | Float[ArrayLike, "n p"], Y: Blocks
) -> Float[np.ndarray, "p K"]:
    """Compute Phi^T (Phi Phi^T)^+ Y over all clients, the interpolator of least norm.

    FedAvg and SCAFFOLD from 0 tend to it if anything interpolates: ridgeless regression on the
    features. The least-squares solution of least norm where nothing does.

    Args:
        Phi, Y: (N, n, p) and (N, n, K), or one array per client, or one (n, p) and (n, K) for all.

    Returns:
        (p, K) theta.

    Raises:
        InputError: a client without examples or with NaN; shapes that do not fit.

    Source:
        docs/derivations/federated_least_squares.md, statement 4.
    """
    single = getattr(Phi, "ndim", None) == 2
    phi, y = (
        (blocks("Phi", [Phi]), blocks("Y", [Y])) if single else (blocks("Phi", Phi), blocks("Y", Y))
    )
    check_blocks(phi, y)
    stacked = np.concatenate(phi).astype(np.float64), np.concatenate(y).astype(np.float64)
    return np.linalg.lstsq(*stacked, rcond=None)[0]


def client_shares(weights: Weights, counts: Counts | None, n: int) -> Float[np.ndarray, " N"]:
    """(N,) p_i of n clients."""
    if counts is not None:
        counts = np.asarray(checks.positive("counts", counts))
        if counts.shape != (n,):
            raise InputError(
                f"counts has shape {counts.shape} and H {n} clients; one count a client is needed"
            )
    elif isinstance(weights, str) and weights == "size":
        raise InputError(
            "weights: 'size', the default, needs counts=, since H does not tell the sizes: give "
            "least_squares_terms(...).counts, or weights='uniform', or the numbers"
        )
    else:
        counts = np.ones(n, int)
    shape = (n,) if isinstance(weights, str) else checks.real("weights", weights).shape
    if shape != (n,):
        raise InputError(
            f"weights has shape {shape} and H {n} clients; one weight a client is needed"
        )
    return client_weights(weights, counts)


def _terms(
    H: Hessians, b: ArrayLike, weights: Weights, counts: Counts | None
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    H, b = _hessians(H), np.asarray(checks.finite("b", b, ndim=(2, 3)), np.float64)
    b = b[..., None] if b.ndim == 2 else b
    if b.shape[:2] != H.shape[:2]:
        raise InputError(
            f"H, b: shapes {H.shape}, {b.shape} given, (N, p, p) and (N, p, K) are needed"
        )
    return client_shares(weights, counts, len(H)), H, b


def _hessians(H: Hessians) -> np.ndarray:
    H = np.asarray(checks.finite("H", H, ndim=3), np.float64)
    if H.shape[1] != H.shape[2] or not np.allclose(H, H.transpose(0, 2, 1)):
        raise InputError(f"H has shape {H.shape}; symmetric (N, p, p) is needed")
    return H
