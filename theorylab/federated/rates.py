"""How fast FedAvg and SCAFFOLD go on least squares: matrices of their rounds, spectral radii.

Notation as in `theory`: H_i, A_i = (I - eta H_i)^M and S_i = eta sum_{k<M} (I - eta H_i)^k.

Source: our derivations for the setting of Yu et al. (2022, TCT),
docs/derivations/federated_least_squares.md.
"""

import numpy as np
from jaxtyping import Float

from theorylab.federated.clients import Weights
from theorylab.federated.theory import Counts, Hessians, client_shares, local_operators


def fedavg_round_matrix(
    H: Hessians,
    *,
    eta: float,
    local_steps: int,
    weights: Weights = "size",
    counts: Counts | None = None,
) -> Float[np.ndarray, "p p"]:
    """Compute sum p_i A_i: a FedAvg round is theta+ = (sum p_i A_i) theta + sum p_i S_i b_i.

    Args:
        H: (N, p, p) Hessians.
        eta: local step size below 2 / lambda_max.
        local_steps: M.
        weights: p_i: "size" for n_i / n, as in the runs, "uniform" for 1 / N, or N positive
            numbers.
        counts: (N,) n_i, that of `least_squares_terms`: "size" needs it.

    Returns:
        (p, p) matrix.

    Raises:
        InputError: as `local_operators`.

    Source:
        docs/derivations/federated_least_squares.md, statement 2.
    """
    A, _ = local_operators(H, eta=eta, local_steps=local_steps)
    return np.tensordot(client_shares(weights, counts, len(A)), A, 1)


def scaffold_round_matrix(
    H: Hessians,
    *,
    eta: float,
    local_steps: int,
    weights: Weights = "size",
    counts: Counts | None = None,
) -> Float[np.ndarray, "p*(N+1) p*(N+1)"]:
    """Compute the linear part of one round of SCAFFOLD on (theta, h_1, ..., h_N).

    theta+ = sum p_i (A_i theta + S_i h_i), h_i+ = h_i + (theta+ - theta_i) / (M eta).

    Args:
        H: (N, p, p) Hessians.
        eta: local step size below 2 / lambda_max.
        local_steps: M.
        weights: p_i: "size" for n_i / n, as in the runs, "uniform" for 1 / N, or N positive
            numbers.
        counts: (N,) n_i, that of `least_squares_terms`: "size" needs it.

    Returns:
        (p (N+1), p (N+1)) matrix.

    Raises:
        InputError: as `local_operators`.

    Source:
        docs/derivations/federated_least_squares.md, statement 5.
    """
    A, S = local_operators(H, eta=eta, local_steps=local_steps)
    p = client_shares(weights, counts, len(A))
    n, d = A.shape[:2]
    local = np.zeros((n, d, n + 1, d))  # theta_i of (theta, h)
    local[:, :, 0] = A
    local[np.arange(n), :, np.arange(1, n + 1)] = S
    theta = np.tensordot(p, local, 1)
    h = (theta - local) / (int(local_steps) * float(eta))
    h[np.arange(n), :, np.arange(1, n + 1)] += np.eye(d)
    return np.concatenate([theta[None], h]).reshape((n + 1) * d, (n + 1) * d)


def fedavg_spectral_radius(
    H: Hessians,
    *,
    eta: float,
    local_steps: int,
    weights: Weights = "size",
    counts: Counts | None = None,
) -> float:
    """Asymptotic rate of FedAvg towards its own fixed point; 1 where the H_i share a null space.

    Args:
        H: (N, p, p) Hessians.
        eta: local step size below 2 / lambda_max.
        local_steps: M.
        weights: p_i: "size" for n_i / n, as in the runs, "uniform" for 1 / N, or N positive
            numbers.
        counts: (N,) n_i, that of `least_squares_terms`: "size" needs it.

    Returns:
        The factor by which the distance shrinks per round.

    Raises:
        InputError: as `local_operators`.

    Source:
        docs/derivations/federated_least_squares.md, statement 5.
    """
    return float(
        np.abs(
            np.linalg.eigvalsh(
                fedavg_round_matrix(
                    H, eta=eta, local_steps=local_steps, weights=weights, counts=counts
                )
            )
        ).max()
    )


def scaffold_spectral_radius(
    H: Hessians,
    *,
    eta: float,
    local_steps: int,
    weights: Weights = "size",
    counts: Counts | None = None,
) -> float:
    """Asymptotic rate of SCAFFOLD: spectral radius of its round where sum p_i h_i = 0.

    Every round keeps that sum. The radius is 1 where the H_i share a null space, in which nothing
    moves: restrict the features to their row span first.

    Args:
        H: (N, p, p) Hessians.
        eta: local step size below 2 / lambda_max.
        local_steps: M.
        weights: p_i: "size" for n_i / n, as in the runs, "uniform" for 1 / N, or N positive
            numbers.
        counts: (N,) n_i, that of `least_squares_terms`: "size" needs it.

    Returns:
        The factor by which the distance shrinks per round.

    Raises:
        InputError: as `local_operators`.

    Source:
        docs/derivations/federated_least_squares.md, statement 5.
    """
    T = scaffold_round_matrix(H, eta=eta, local_steps=local_steps, weights=weights, counts=counts)
    n, d = np.shape(H)[:2]
    p = client_shares(weights, counts, n)
    # columns 2..N of the left singular vectors of p span what is orthogonal to p
    basis = np.linalg.svd(p[:, None])[0][:, 1:]
    inside = np.zeros((n + 1, n))
    inside[0, 0], inside[1:, 1:] = 1, basis
    inside = np.kron(inside, np.eye(d))
    return float(np.abs(np.linalg.eigvals(inside.T @ T @ inside)).max())
