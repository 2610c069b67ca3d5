"""Least squares over the clients, solved by Gram matrix or by features, for one group of outputs.

Source: Yu, Wei, Karimireddy, Ma, Jordan (2022), "TCT: convexifying federated learning using
bootstrapped neural tangent kernels".
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from jaxtyping import Float

from theorylab.federated.gram import fedavg_gram, gram, scaffold_gram
from theorylab.federated.least_squares import (
    EachRound,
    fedavg_least_squares,
    scaffold_least_squares,
)
from theorylab.federated.step_size import stable_step_size

# theta, fitted (T, n, K), predicted (T, m, K)
Solved = tuple[np.ndarray, np.ndarray, np.ndarray | None]


@dataclass(frozen=True)
class ClientProblem:
    """Least squares over the clients; what does not depend on the algorithm is computed once."""

    phi: list[Float[np.ndarray, "n_i p"]]
    y: list[Float[np.ndarray, "n_i K"]]
    weights: Float[np.ndarray, " N"]

    @property
    def n(self) -> int:
        """Examples of all clients."""
        return sum(map(len, self.phi))

    @cached_property
    def stacked(self) -> Float[np.ndarray, "n p"]:
        """(n, p) features of all clients."""
        return np.concatenate(self.phi)

    @cached_property
    def gram(self) -> Float[np.ndarray, "n n"]:
        """(n, n) Gram matrix of the features."""
        return gram(self.stacked)

    @cached_property
    def max_curvature(self) -> float:
        """max_i lambda_max(H_i)."""
        return 1 / stable_step_size(self.phi)

    def by_gram(self, algorithm: str, seen: np.ndarray | None, **options: Any) -> Solved:
        """Solve in the examples' span: float64, a cost independent of M and p."""
        solver = scaffold_gram if algorithm == "scaffold" else fedavg_gram
        sizes = [len(a) for a in self.phi]
        run = solver(self.gram, np.concatenate(self.y), sizes, weights=self.weights, **options)
        theta = self.stacked.T @ run.dual.astype(self.stacked.dtype)
        return (
            theta,
            run.fitted,
            None if seen is None else _predict(seen, self.stacked, run.trajectory),
        )

    def by_primal(self, algorithm: str, seen: np.ndarray | None, **options: Any) -> Solved:
        """Solve in the coordinates of the features, in their precision."""
        solver = scaffold_least_squares if algorithm == "scaffold" else fedavg_least_squares
        both = self.stacked if seen is None else np.concatenate([self.stacked, seen])
        y = [block.astype(self.stacked.dtype) for block in self.y]
        run = solver(self.phi, y, weights=self.weights, keep=EachRound(both), **options)
        outputs: Any = run.predictions
        n = len(self.stacked)
        return run.theta, outputs[:, :n], None if seen is None else outputs[:, n:]


def _predict(
    seen: Float[np.ndarray, "m p"],
    phi: Float[np.ndarray, "n p"],
    dual: Float[np.ndarray, "T n K"],
    columns: int = 4096,
) -> Float[np.ndarray, "T m K"]:
    """Predict seen theta_t with theta_t = phi^T a_t, some columns at a time.

    Fewer operations than the Gram matrix (m, n).
    """
    t, n, k = dual.shape
    a = dual.transpose(1, 0, 2).reshape(n, t * k).astype(phi.dtype)
    total = np.zeros((len(seen), t * k))
    for j in range(0, phi.shape[1], columns):
        total += seen[:, j : j + columns] @ (phi[:, j : j + columns].T @ a)
    return total.reshape(-1, t, k).transpose(1, 0, 2)
