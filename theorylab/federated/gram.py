"""SCAFFOLD and FedAvg on least squares through the Gram matrix, whatever the number of local steps.

With theta = Phi^T a, h_i = Phi^T beta_i and G = Phi Phi^T over all clients' examples, client i's M
steps touch the fitted values u = G_i: a alone:

    u_{k+1} = B u_k + q,  B = I - (eta / n_i) G_ii,  q = eta (G_i: beta_i + G_ii Y_i / n_i)
    sum_{k<M} u_k = s1(B) u_0 + s2(B) q
    s1(r) = sum_{k<M} r^k,  s2(r) = sum_{k<M} (M - 1 - k) r^k
    a_i = a + M eta beta_i - (eta / n_i) E_i delta_i,  delta_i = sum_{k<M} u_k - M Y_i

The functions of B come from one eigendecomposition of each G_ii. Since sum_i p_i beta_i = 0,
averaging gives a+ = a - sum_i p_i (eta / n_i) E_i delta_i, and the h update becomes beta_i+ = (a+ -
a) / (M eta) + E_i delta_i / (M n_i): only G_i: beta_i has to be carried, and a round is one product
G a+ and one of each V_i.

Source: our derivation, docs/derivations/federated_least_squares.md, statement 8.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike
from jaxtyping import Array, Float, Int

from theorylab import checks, linalg
from theorylab.errors import InputError
from theorylab.federated.clients import Weights, client_weights
from theorylab.federated.step_size import check_step_size


@dataclass(frozen=True)
class GramRun:
    """Rounds of SCAFFOLD or FedAvg in the dual: NumPy arrays in float64.

    Attributes:
        dual: (n, K) a after the last round; theta = Phi^T a.
        trajectory: (rounds, n, K) a after every round.
        fitted: (rounds, n, K) predictions G a on the training examples after every round.
    """

    dual: Float[np.ndarray, "n K"]
    trajectory: Float[np.ndarray, "T n K"]
    fitted: Float[np.ndarray, "T n K"]

    def predict(self, G_eval: Float[ArrayLike, "m n"]) -> Float[np.ndarray, "T m K"]:
        """Predictions after every round at other examples.

        Args:
            G_eval: (m, n) their products with the training features.

        Returns:
            (rounds, m, K) predictions.

        Raises:
            InputError: another number of columns.
        """
        G_eval = np.asarray(
            checks.finite("G_eval", G_eval, shape=(None, len(self.dual))), np.float64
        )
        t, n, k = self.trajectory.shape
        a = self.trajectory.transpose(1, 0, 2).reshape(n, t * k)
        return (G_eval @ a).reshape(-1, t, k).transpose(1, 0, 2)


def scaffold_gram(
    G: Float[ArrayLike, "n n"],
    Y: Float[ArrayLike, "n K"],
    sizes: Sequence[int],
    *,
    eta: float,
    local_steps: int,
    rounds: int,
    weights: Weights = "size",
) -> GramRun:
    """Compute the iterates of `scaffold_least_squares` from theta = 0, at a cost without M and p.

    Use it up to n of about 20,000 (memory: G, and N n_max^2 numbers for the eigenvectors, in
    float64); beyond, or with few features, `scaffold_least_squares`.

    Args:
        G: (n, n) Gram matrix of the features of all examples, client after client.
        Y: (n, K) targets in the same order, or (n,).
        sizes: n_i, summing to n.
        eta: local step size below 2 / lambda_max(H_i) for every client.
        local_steps: M, gradient steps per round.
        rounds: number of rounds.
        weights: p_i of the average, as for `pad_clients`.

    Returns:
        A `GramRun`.

    Raises:
        InputError: eta of 2 / lambda_max or above, with both numbers; a client without examples or
            with NaN; shapes that do not fit.

    Source:
        our derivation, docs/derivations/federated_least_squares.md, statement 8.

    Examples:
        >>> phi, y = np.array([[1.0, 0.0], [0.0, 2.0]]), np.array([1.0, 2.0])
        >>> run = scaffold_gram(gram(phi), y, [1, 1], eta=0.2, local_steps=5, rounds=200)
        >>> (phi.T @ run.dual).round(6).ravel().tolist()
        [1.0, 1.0]
    """
    return _run(True, G, Y, sizes, eta, local_steps, rounds, weights)


def fedavg_gram(
    G: Float[ArrayLike, "n n"],
    Y: Float[ArrayLike, "n K"],
    sizes: Sequence[int],
    *,
    eta: float,
    local_steps: int,
    rounds: int,
    weights: Weights = "size",
) -> GramRun:
    """Compute the iterates of `fedavg_least_squares` from theta = 0, at a cost without M and p.

    Args:
        G: (n, n) Gram matrix of the features of all examples, client after client.
        Y: (n, K) targets in the same order, or (n,).
        sizes: n_i, summing to n.
        eta: local step size below 2 / lambda_max(H_i) for every client.
        local_steps: M, gradient steps per round.
        rounds: number of rounds.
        weights: p_i of the average, as for `pad_clients`.

    Returns:
        A `GramRun`.

    Raises:
        InputError: as `scaffold_gram`.

    Source:
        our derivation, docs/derivations/federated_least_squares.md, statement 8.
    """
    return _run(False, G, Y, sizes, eta, local_steps, rounds, weights)


def gram(
    Phi: Float[ArrayLike, "n p"],
    other: Float[ArrayLike, "m p"] | None = None,
    *,
    columns: int = 4096,
) -> Float[np.ndarray, "n m"]:
    """Compute Phi other^T (Phi Phi^T by default), summed in float64, a block of columns at a time.

    Args:
        Phi: (n, p) features.
        other: (m, p) features; Phi itself if None.
        columns: columns per block.

    Returns:
        (n, m) products.

    Raises:
        InputError: NaN, or shapes that do not fit.

    Source:
        definition.
    """
    phi = np.asarray(checks.finite("Phi", Phi, ndim=2))
    second = (
        phi
        if other is None
        else np.asarray(checks.finite("other", other, shape=(None, phi.shape[1])))
    )
    columns = checks.count("columns", columns)
    with jax.enable_x64(True):
        total = jnp.zeros((len(phi), len(second)), jnp.float64)
        for j in range(0, phi.shape[1], columns):
            a = jnp.asarray(phi[:, j : j + columns], jnp.float64)
            b = a if other is None else jnp.asarray(second[:, j : j + columns], jnp.float64)
            total = total + jnp.dot(a, b.T, precision="highest")
        return np.asarray(total)


def power_sums(
    r: Float[np.ndarray, "..."], steps: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """r^M, s1 = sum_{k<M} r^k and s2 = sum_{k<M} (M - 1 - k) r^k for M = `steps`, by doubling.

    Sums of terms of one sign for r >= 0, so exact to rounding also near r = 1, where the closed
    forms cancel.
    """
    power, s1, s2, m = np.ones_like(r), np.zeros_like(r), np.zeros_like(r), 0
    for bit in bin(steps)[2:]:
        power, s1, s2, m = power * power, s1 * (1 + power), s2 * (1 + power) + m * s1, 2 * m
        if bit == "1":
            power, s1, s2, m = power * r, 1 + r * s1, s1 + s2, m + 1
    return power, s1, s2


class _Problem(NamedTuple):
    gram: Float[Array, "n n"]
    vectors: Float[Array, "N m m"]  # of each G_ii, padded with zeros
    values: Float[Array, "N m"]
    targets: Float[Array, "N m K"]
    places: Int[Array, "N m"]  # row of G for every place, n for the padding
    counts: Float[Array, "N 1 1"]
    weights: Float[Array, "N 1 1"]


def _run(
    correct: bool,
    G: Float[ArrayLike, "n n"],
    Y: Float[ArrayLike, "n K"],
    sizes: Sequence[int],
    eta: float,
    local_steps: int,
    rounds: int,
    weights: Weights,
) -> GramRun:
    local_steps, rounds = (
        checks.count("local_steps", local_steps),
        checks.count("rounds", rounds, 0),
    )
    G, Y, counts = _checked(G, Y, sizes)
    with jax.enable_x64(True):
        problem = _problem(G, Y, counts, client_weights(weights, counts))
        check_step_size(eta, (), np.asarray(problem.values.max(1)) / counts)
        r = 1 - eta * np.asarray(problem.values) / counts[:, None]
        sums = [jnp.asarray(s)[..., None] for s in power_sums(r, local_steps)[1:]]
        run = _scan(problem, *sums, float(eta), float(local_steps), rounds, correct)
        trajectory, fitted = map(np.asarray, run)
    return GramRun(trajectory[-1] if rounds else np.zeros(Y.shape), trajectory, fitted)


def _problem(
    G: Float[np.ndarray, "n n"],
    Y: Float[np.ndarray, "n K"],
    counts: Int[np.ndarray, " N"],
    p: Float[np.ndarray, " N"],
) -> _Problem:
    n, longest = len(G), counts.max()
    inside = np.arange(longest) < counts[:, None]
    starts = np.cumsum(counts) - counts
    places = np.where(inside, starts[:, None] + np.arange(longest), n)
    rows = np.minimum(places, n - 1)
    block = np.stack([G[np.ix_(r, r)] * np.outer(i, i) for r, i in zip(rows, inside, strict=True)])
    values, vectors = linalg.eigh(jnp.asarray(block))
    targets = jnp.asarray(Y[rows] * inside[..., None])
    column = lambda a: jnp.asarray(a, jnp.float64)[:, None, None]  # noqa: E731
    # rounding leaves eigenvalues of -1e-16 lambda_max where G_ii is singular; r > 1 would grow with
    # M
    return _Problem(
        jnp.asarray(G),
        vectors,
        jnp.maximum(values, 0),
        targets,
        jnp.asarray(places),
        column(counts),
        column(p),
    )


@partial(jax.jit, static_argnames=("rounds", "correct"))
def _scan(
    problem: _Problem,
    s1: Float[Array, "N m 1"],
    s2: Float[Array, "N m 1"],
    eta: float,
    local_steps: float,
    rounds: int,
    correct: bool,
) -> tuple[Array, Array]:
    g, v, values, y, places, n_i, p = problem
    n, k = len(g), y.shape[2]
    values = values[..., None]
    rotate = lambda a: jnp.einsum("nij,nik->njk", v, a, precision="highest")  # noqa: E731
    back = lambda a: jnp.einsum("nij,njk->nik", v, a, precision="highest")  # noqa: E731
    scatter = lambda a: jnp.zeros((n, k), a.dtype).at[places].set(a, mode="drop")  # noqa: E731
    gather = lambda a: a.at[places].get(mode="fill", fill_value=0)  # noqa: E731
    rotated_y = rotate(y)

    def one_round(
        carry: tuple[Array, Array, Array], _: None
    ) -> tuple[tuple[Array, Array, Array], tuple[Array, Array]]:
        a, fitted, shift = carry  # (n, K), G a, and G_i: beta_i rotated (N, m, K)
        q = eta * (shift + values * rotated_y / n_i)
        delta = s1 * rotate(gather(fitted)) + s2 * q - local_steps * rotated_y
        new = a - scatter(p * eta / n_i * back(delta))
        new_fitted = jnp.dot(g, new, precision="highest")
        if correct:
            moved = rotate(gather(new_fitted - fitted)) / (local_steps * eta)
            shift = moved + values * delta / (local_steps * n_i)
        return (new, new_fitted, shift), (new, new_fitted)

    start = (jnp.zeros((n, k), g.dtype), jnp.zeros((n, k), g.dtype), jnp.zeros_like(rotated_y))
    return jax.lax.scan(one_round, start, None, length=rounds)[1]


def _checked(
    G: ArrayLike, Y: ArrayLike, sizes: Sequence[int]
) -> tuple[Float[np.ndarray, "n n"], Float[np.ndarray, "n K"], Int[np.ndarray, " N"]]:
    G, Y = (
        np.asarray(checks.real("G", G, ndim=2), np.float64),
        np.asarray(checks.real("Y", Y, ndim=(1, 2)), np.float64),
    )
    counts = np.asarray(checks.real("sizes", sizes, ndim=1))
    Y = Y[:, None] if Y.ndim == 1 else Y
    if G.shape[0] != G.shape[1]:
        raise InputError(f"G has shape {G.shape}; a square (n, n) Gram matrix is needed")
    checks.real("Y", Y, shape=(len(G), None))
    if not np.issubdtype(counts.dtype, np.integer) or counts.sum() != len(G):
        raise InputError(
            f"sizes = {checks.shown(counts.tolist())}; whole numbers that sum to {len(G)} are "
            "needed"
        )
    for i, end in enumerate(np.cumsum(counts)):
        if counts[i] < 1:
            raise InputError(f"sizes: client {i} has {counts[i]} examples; drop it")
        rows = slice(end - counts[i], end)
        if not (np.isfinite(G[rows]).all() and np.isfinite(Y[rows]).all()):
            raise InputError(f"G, Y: NaN or infinite entries at client {i}; remove them")
    if not np.allclose(G, G.T, rtol=1e-5, atol=1e-6 * np.abs(G).max()):
        raise InputError(
            "G: not symmetric; give Phi @ Phi.T of all clients' features, in one order"
        )
    return G, Y, counts
