"""Kernel ridge regression for a whole vector of penalties from one float64 eigendecomposition."""

from dataclasses import dataclass
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import scipy.linalg
from jax.tree_util import register_dataclass
from jaxtyping import Array, Float

from theorylab.errors import InputError
from theorylab.ridge.checks import (
    require_kernel,
    require_positive_semidefinite,
    require_real,
    require_targets,
    require_weights,
)
from theorylab.ridge.modes import Modes
from theorylab.ridge.path import RidgePathBase, reflect, unit_root
from theorylab.ridge.precision import as_float64, float64_inside, input_epsilon, is_traced


@partial(register_dataclass, data_fields=RidgePathBase._data, meta_fields=RidgePathBase._meta)
@dataclass(frozen=True)
class KernelRidgePath(RidgePathBase):
    """Kernel ridge path of K (N, N) and Y (N, C): build it with `KernelRidgePath.fit`."""

    @classmethod
    def fit(
        cls,
        K: Float[Array, "n n"],
        Y: Float[Array, "n c"] | Float[Array, " n"],
        *,
        weights: Float[Array, " n"] | None = None,
        center: bool = False,
        check: bool = True,
    ) -> "KernelRidgePath":
        """Decompose once (9 N³ flops or so); every penalty then costs O(N² C).

        Args:
            K: kernel between the N training samples, *not* divided by N. Its dtype tells how far its eigenvalues can
                be trusted: a float32 kernel is refused where alpha + λ_N < 1e-7 λ_1.
            Y: targets (N, C); (N,) counts as one output.
            weights: positive sample weights w_i of the squared errors (default 1, not normalised).
            center: fit an unpenalised intercept along.
            check: refuse bad input (below). Off, negative eigenvalues are set to zero and nothing is said. Under jit,
                vmap and grad only shapes can be checked.

        Under jit the whole path is traced. Gradients with respect to Y and alpha are safe; through K they pass the
        eigenvectors and are NaN for repeated eigenvalues: use `gcv_score` (no eigenvectors) for kernel learning.

        Raises:
            InputError: non-square, non-symmetric, not positive semi-definite beyond rounding, non-finite, mismatched.
        """
        require_kernel(K, values=check)
        n = np.shape(K)[0]
        require_targets(Y, n, of="K", values=check)
        if weights is not None:
            require_weights(weights, n)
        if center and n < 2:
            raise InputError("center=True needs at least 2 samples: the intercept alone fits one sample.")
        with jax.enable_x64(True):
            return _build(cls, K, Y, weights, center, check)

    def predict(self, K_test: Float[Array, "m n"], alphas: Float[Array, " l"]) -> Float[Array, "l m c"]:
        """Predictions at M points from their kernel K_test (M, N) to the training samples, shape (L, M, C)."""
        require_real("K_test", K_test, ndim=(2,))
        if np.shape(K_test)[1] != self.n:
            raise InputError(f"K_test has shape {np.shape(K_test)}; (M, {self.n}), test by train, is needed.")
        return self._predict(K_test, alphas)

    @float64_inside
    def _predict(self, K_test: Any, alphas: Any) -> Any:
        dual = self._dual(self._penalties(alphas))
        return jnp.einsum("mn,lnc->lmc", as_float64(K_test), dual) + self._intercept(dual)[:, None, :]

    def _fit(self, alphas: Array) -> Array:
        return self._dual(alphas)


def _decompose(K: Any, Y: Any, weights: Any, center: bool) -> tuple[Array, Array, Array, Array, Array, Array]:
    """Eigenvalues, eigenvectors, targets, root weights, unpenalised direction and K itself, all in float64."""
    K, Y = as_float64(K), as_float64(Y)
    Y = Y[:, None] if Y.ndim == 1 else Y
    n = K.shape[0]
    root = jnp.ones(n) if weights is None else jnp.sqrt(as_float64(weights))
    direction = unit_root(root) if center else jnp.zeros(n)
    weighted = K if weights is None else root[:, None] * K * root
    if not center:
        return *_eigh(weighted), root[:, None] * Y, root, direction, K
    # Solve on the complement of the intercept's direction, in the basis that a reflection gives it.
    inner = reflect(direction, reflect(direction, weighted).T)[1:, 1:]
    values, vectors = _eigh(inner)
    vectors = reflect(direction, jnp.concatenate([jnp.zeros((1, n - 1)), vectors]))
    return values, vectors, root[:, None] * Y, root, direction, K


def _eigh(K: Array) -> tuple[Array, Array]:
    """Eigenvalues and eigenvectors of the symmetric part of K."""
    if is_traced(K) or jax.default_backend() != "cpu":
        return jnp.linalg.eigh(K)
    # LAPACK's divide and conquer on a column-major copy that it may overwrite: the fastest driver on a host.
    host = np.asarray(K)
    values, vectors = scipy.linalg.eigh(
        np.asfortranarray((host + host.T) / 2), driver="evd", overwrite_a=True, check_finite=False
    )
    return jnp.asarray(values), jnp.asarray(vectors)


def _build(cls: Any, K: Any, Y: Any, weights: Any, center: bool, check: bool) -> "KernelRidgePath":
    epsilon = input_epsilon(K)
    values, vectors, targets, root, direction, K = _decompose(K, Y, weights, center)
    n = K.shape[0]
    double = epsilon <= np.finfo(np.float64).eps
    # A float32 kernel's eigenvalues are trusted down to 1e-7 of the largest, about its machine epsilon.
    rounding = max(n, 10) * epsilon if double else max(1e-7, epsilon if epsilon > 1e-6 else 0.0)
    if check:
        # Entries computed with cancellation (distances) lose some digits more: a thousand times machine precision.
        require_positive_semidefinite(values, max(n, 10) * epsilon * (1e3 if double else 1))
    if not is_traced(values) and values.max() > 0:
        # A negative eigenvalue shows how large the rounding in K really is.
        rounding = max(rounding, float(-2 * values.min() / values.max()))
    if double:
        # What rounding has made of a zero eigenvalue becomes zero again, so that alpha = 0 knows the rank.
        values = jnp.where(values <= rounding * values.max(), 0.0, values)
    modes = Modes(
        values=jnp.maximum(values, 0.0) / n,
        vectors=vectors,
        coords=vectors.T @ targets,
        rest=jnp.zeros_like(targets),
        intercept=direction,
        rest_dim=0,
    )
    return cls(
        modes=modes,
        root_weights=root,
        intercept_targets=direction @ targets,
        pull=K @ (root * direction),
        diag_kernel=jnp.diagonal(K),
        rounding=rounding,
        clipped=double,
        centered=center,
    )
