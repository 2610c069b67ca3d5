"""Kernel ridge regression for a whole vector of penalties from one float64 eigendecomposition.

Source: GCV, Craven & Wahba 1978; leave-one-out, Allen 1974 (PRESS); as predictors of real risks,
Wei, Hu & Steinhardt 2022.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import scipy.linalg
from jax.typing import ArrayLike
from jaxtyping import Array, Float

from theorylab import checks, linalg
from theorylab.accuracy import DOUBLE, entry_accuracy, resolution
from theorylab.double import float64_inside, in_float64
from theorylab.errors import InputError
from theorylab.precision import as_float64, is_traced
from theorylab.pytrees import register
from theorylab.ridge.checks import (
    require_problem,
    require_result,
    require_targets,
    require_weights,
)
from theorylab.ridge.intercept import reflect, unit_root
from theorylab.ridge.modes import Modes
from theorylab.ridge.path import RidgePathBase
from theorylab.sparse import refuse_sparse

_TARGETS = "modes", "intercept_targets", "pull"  # fields that hold products of numbers given


@register()
@dataclass(frozen=True)
class KernelRidgePath(RidgePathBase):
    """Kernel ridge path of K (N, N) and Y (N, C).

    Build it with `KernelRidgePath.fit`; its methods evaluate GCV, leave-one-out, degrees of freedom
    and predictions for a whole vector of penalties.
    """

    @classmethod
    def fit(
        cls,
        K: Float[ArrayLike, "n n"],
        Y: Float[ArrayLike, "n *c"],
        *,
        weights: Float[ArrayLike, " n"] | None = None,
        center: bool = False,
        check: bool = True,
        accuracy: float | None = None,
    ) -> "KernelRidgePath":
        """Decompose the kernel once, about 9 N³ flops; every penalty then costs O(N² C).

        Use it up to N of about 30,000, and for many penalties. For one penalty, or up to about ten,
        `solve_ridge` is cheaper; for kernels known by products only, `gcv_slq`; for few features P
        < N, `RidgePath`. Under jit the whole path is traced. Gradients with respect to Y and alpha
        are safe; through K they pass the eigenvectors and are NaN for repeated eigenvalues: use
        `gcv_score` (no eigenvectors) for kernel learning.

        Args:
            K: (N, N) kernel between the training samples, *not* divided by N. Its dtype tells how
                far its eigenvalues can be trusted: a float32 kernel is refused where alpha + λ_N <
                1e-7 λ_1.
            Y: targets (N, C); (N,) counts as one output.
            weights: (N,) positive sample weights w_i of the squared errors (default 1, not
                normalised).
            center: fit an unpenalised intercept along.
            check: refuse bad input (below). Off, negative eigenvalues are set to zero and nothing
                is said. Under jit, vmap and grad only shapes can be checked.
            accuracy: relative accuracy of the entries of K, where its dtype promises more (computed
                in bfloat16 or TF32, or cast to float64 afterwards); None to believe the dtype, or
                what a kernel of `ntk.empirical_ntk` carries.

        Returns:
            A `KernelRidgePath`.

        Raises:
            InputError: a kernel that is not square, symmetric, finite and positive semi-definite
                beyond rounding, targets and weights that do not match it, weights so unequal
                that float64 loses the light samples, or numbers beyond its range.

        Source:
            Wei, Hu & Steinhardt 2022 (arXiv 2203.06176), whose λ is alpha here.

        Examples:
            >>> import numpy as np
            >>> rng = np.random.default_rng(0)
            >>> x = rng.normal(size=(50, 3))
            >>> y = x @ [1.0, 2.0, 3.0] + rng.normal(size=50)
            >>> path = KernelRidgePath.fit(x @ x.T, y)
            >>> alphas = path.scale * np.array([1e-4, 1e-2, 1.0])
            >>> path.gcv(alphas).shape, path.predict(x[:2] @ x.T, alphas).shape
            ((3,), (3, 2, 1))
            >>> np.round(path.dof(alphas), 2).tolist()
            [3.0, 2.91, 0.74]
            >>> round(path.select("gcv", alphas).alpha / path.scale, 6)
            0.0001
        """
        refuse_sparse(K=K)
        checks.symmetric("K", K, values=checks.flag("check", check))
        n = np.shape(K)[0]
        require_targets(Y, n, of="K", values=check)
        require_problem(n, weights, center, check)
        epsilon = entry_accuracy(K, accuracy)
        with jax.enable_x64(True):
            found = _traced_too(lambda: _decomposed(K, weights, center, check, epsilon), K, weights)
            fields = _traced_too(
                lambda: _fields(K, Y, weights, found, center, epsilon <= DOUBLE), K, Y, weights
            )
        if check:
            require_result([fields[name] for name in _TARGETS], {"K": K, "Y": Y})
        return cls(
            **fields,
            rounding=found[2] if check else 0.0,
            clipped=epsilon <= DOUBLE,
            centered=center,
        )

    def predict(
        self, K_test: Float[ArrayLike, "m n"], alphas: Float[ArrayLike, " l"]
    ) -> Float[Array, "l m c"]:
        """Predictions at M points from their kernel to the training samples.

        Args:
            K_test: (M, N), test by train, not divided by N.
            alphas: a scalar or (L,) penalties >= 0.

        Returns:
            (L, M, C), the intercept included.

        Raises:
            InputError: a kernel of another shape or that is not finite, or bad penalties.
        """
        refuse_sparse(K_test=K_test)
        checks.finite("K_test", K_test, ndim=2)
        if np.shape(K_test)[1] != self.n:
            raise InputError(
                f"K_test has shape {np.shape(K_test)}; (M, {self.n}), test by train, is needed"
            )
        self._require_carried("K_test", alphas, resolution(self.n, entry_accuracy(K_test)))
        return self._predict(K_test, alphas)

    @float64_inside
    def _predict(self, K_test: Any, alphas: Any) -> Any:
        dual = self._fit(self._penalties(alphas))
        fitted = jnp.einsum("mn,lnc->lmc", as_float64(K_test), dual)
        return self._answered(fitted + self._intercept(dual)[:, None, :], alphas, K_test=K_test)

    def _fit(self, alphas: Array) -> Array:
        return self._dual(alphas, fitted=True)


@partial(jax.jit, static_argnames="center")
def _prepare(
    K: Array, Y: Array, weights: Array | None, center: bool
) -> tuple[Array, Array, Array, Array]:
    """The symmetric matrix to decompose, and the weighted problem that goes with it.

    These are targets, root weights and the unpenalised direction.
    """
    Y = Y[:, None] if Y.ndim == 1 else Y
    n = K.shape[0]
    root = jnp.ones(n) if weights is None else jnp.sqrt(weights)
    matrix = root[:, None] * (K / 2 + K.T / 2) * root
    direction = jnp.zeros(n)
    if center:
        # Solve on the complement of the intercept's direction, in the basis that a reflection gives
        # it.
        direction = unit_root(root)
        matrix = reflect(direction, reflect(direction, matrix).T)[1:, 1:]
    return matrix, root[:, None] * Y, root, direction


def _eigh(matrix: Array) -> tuple[Array, Array]:
    if is_traced(matrix) or jax.default_backend() != "cpu":
        return linalg.eigh(matrix)
    # LAPACK's divide and conquer on a column-major copy that it may overwrite: the fastest driver
    # on a host.
    copy = np.array(np.asarray(matrix).T, order="F")
    try:
        values, vectors = scipy.linalg.eigh(
            copy, driver="evd", overwrite_a=True, check_finite=False
        )
    except np.linalg.LinAlgError:
        values, vectors = np.full(len(copy), np.nan), copy
    if not np.isfinite(values).all():  # as `linalg.eigh` says it
        values, vectors = np.full_like(values, np.nan), np.full_like(vectors, np.nan)
    return jnp.asarray(values), jnp.asarray(vectors)


@partial(jax.jit, static_argnames="center")
def _assemble(
    K: Array,
    values: Array,
    vectors: Array,
    targets: Array,
    root: Array,
    direction: Array,
    noise: Any,
    *,
    center: bool,
) -> dict[str, Any]:
    """Array fields of the path.

    Eigenvalues up to `noise` become zero, so that alpha = 0 knows the rank.
    """
    n = K.shape[0]
    if center:
        vectors = reflect(direction, jnp.concatenate([jnp.zeros((1, n - 1)), vectors]))
    modes = Modes(
        values=jnp.where(values <= noise, 0.0, values) / n,
        vectors=vectors,
        coords=vectors.T @ targets,
        rest=jnp.zeros_like(targets),
        intercept=direction,
        rest_dim=0,
    )
    return {
        "modes": modes,
        "root_weights": root,
        "intercept_targets": direction @ targets,
        "pull": K @ (root * direction),
        "diag_kernel": jnp.diagonal(K),
    }


def _traced_too(compute: Callable[[], Any], *arrays: Any) -> Any:
    return in_float64(compute) if is_traced(arrays) else compute()


def _decomposed(
    K: Any, weights: Any, center: bool, check: bool, epsilon: float
) -> tuple[Array, Array, float]:
    """Eigenvalues, eigenvectors, and the share of the largest eigenvalue that is rounding."""
    n = np.shape(K)[0]
    double = epsilon <= DOUBLE
    rounding_of_input = max(checks.kernel_rounding(K), 0.0 if double else max(n, 10) * epsilon)
    K, weights = as_float64(K), None if weights is None else as_float64(weights)
    matrix = _prepare(K, jnp.zeros(n), weights, center)[0]
    given = {"K": K} if weights is None else {"K": K, "weights": weights}
    if check:
        require_result(matrix, given)
    values, vectors = _eigh(matrix)
    if check:
        require_result(values, given)
    rounding = resolution(n, epsilon)
    if is_traced(values):
        return values, vectors, rounding
    if check:
        checks.positive_semidefinite("K", values, rounding_of_input)
    lowest, highest = np.asarray(values)[[0, -1]]
    # A negative eigenvalue shows how large the rounding in K really is.
    rounding = max(rounding, float(-2 * (lowest / highest)) if highest > 0 else 0.0)
    if check and double and weights is not None:
        lost = int((np.asarray(values) <= max(rounding * highest, 0.0)).sum())
        bare = lambda: np.asarray(_eigh(_prepare(K, jnp.zeros(n), None, center)[0])[0])  # noqa: E731
        require_weights(weights, lost, bare, rounding)
    return values, vectors, rounding


def _fields(
    K: Any, Y: Any, weights: Any, found: tuple[Array, Array, float], center: bool, double: bool
) -> dict[str, Any]:
    """Array fields of the path."""
    K, weights = as_float64(K), None if weights is None else as_float64(weights)
    problem = _prepare(K, as_float64(Y), weights, center)[1:]
    values, vectors, rounding = found
    noise = jnp.maximum(rounding * values[-1], 0.0) if double else jnp.zeros(())
    return _assemble(K, values, vectors, *problem, noise, center=center)
