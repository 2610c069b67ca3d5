"""Linear ridge regression for a whole vector of penalties from one float64 SVD.

Source: GCV, Craven & Wahba 1978; leave-one-out, Allen 1974 (PRESS).
"""

from dataclasses import dataclass
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike
from jaxtyping import Array, Float

from theorylab import checks, linalg
from theorylab.accuracy import DOUBLE, entry_accuracy
from theorylab.double import float64_inside, in_float64
from theorylab.errors import InputError
from theorylab.overflow import require_answer
from theorylab.precision import as_float64, is_traced
from theorylab.pytrees import register
from theorylab.ridge.checks import require_problem, require_targets, require_weights
from theorylab.ridge.intercept import reflect, unit_root
from theorylab.ridge.modes import Modes
from theorylab.ridge.path import RidgePathBase
from theorylab.sparse import refuse_sparse


@register()
@dataclass(frozen=True)
class RidgePath(RidgePathBase):
    """Ridge path of X (N, P) and Y (N, C), with P below or above N.

    Build it with `RidgePath.fit`; its methods are those of `KernelRidgePath`, and `coef`.

    Attributes:
        right: (M, P) right singular vectors.
    """

    right: Float[Array, "m p"]  # right singular vectors

    @classmethod
    def fit(
        cls,
        X: Float[ArrayLike, "n p"],
        Y: Float[ArrayLike, "n *c"],
        *,
        weights: Float[ArrayLike, " n"] | None = None,
        center: bool = False,
        check: bool = True,
        accuracy: float | None = None,
    ) -> "RidgePath":
        """Decompose the features once by their thin SVD.

        Use it for P features up to some ten thousand. It does not square the condition number as K
        = X X^T would, and gives the same quantities as `KernelRidgePath.fit(X @ X.T, Y)`, plus
        `coef`. Where P is much larger than N and X is only known by its kernel, use that. Singular
        values below float64 rounding count as zero; at alpha = 0 the fit is the minimum-norm
        least-squares one.

        Args:
            X: (N, P) features, one row per sample.
            Y: targets (N, C); (N,) counts as one output.
            weights: (N,) positive sample weights w_i of the squared errors (default 1, not
                normalised).
            center: fit an unpenalised intercept along (the columns of X are then centred within).
            check: refuse non-finite input. Under jit, vmap and grad only shapes can be checked.
            accuracy: relative accuracy of the entries of X, where its dtype promises more (computed
                in bfloat16 or TF32, or cast to float64 afterwards); None to believe the dtype.

        Returns:
            A `RidgePath`.

        Raises:
            InputError: empty, non-finite, sparse or mismatched arrays, or weights so unequal that
                float64 loses the light samples.

        Source:
            Craven & Wahba 1978 (GCV); scikit-learn's `Ridge(alpha=N * alpha)` has the same
            coefficients.

        Examples:
            >>> import numpy as np
            >>> x = np.array([[1.0, 0.0], [0.0, 1.0], [1.0, 1.0]])
            >>> path = RidgePath.fit(x, np.array([1.0, 2.0, 3.0]))
            >>> np.round(path.coef([0.0, 1.0])[:, :, 0], 4).tolist()
            [[1.0, 2.0], [0.625, 0.875]]
        """
        refuse_sparse(X=X)
        (checks.finite if checks.flag("check", check) else checks.real)("X", X, ndim=2)
        n = np.shape(X)[0]
        require_targets(Y, n, of="X", values=check)
        require_problem(n, weights, center, check)
        epsilon = entry_accuracy(X, accuracy)
        build = lambda: _build(cls, X, Y, weights, center, check, epsilon)  # noqa: E731
        with jax.enable_x64(True):
            if is_traced(X, Y, weights):
                return in_float64(build)
            path = build()
        if check:
            require_answer(path, {"X": X, "Y": Y, "weights": weights}, infinite=False)
        return path

    @float64_inside
    def coef(self, alphas: Float[ArrayLike, " l"]) -> Float[Array, "l p c"]:
        """Coefficients β with f(x) = x^T β (+ intercept).

        Args:
            alphas: a scalar or (L,) penalties >= 0.

        Returns:
            (L, P, C).
        """
        return self._answered(self._fit(self._penalties(alphas)), alphas)

    def predict(
        self, X_test: Float[ArrayLike, "m p"], alphas: Float[ArrayLike, " l"]
    ) -> Float[Array, "l m c"]:
        """Predictions at M points from their features.

        Args:
            X_test: (M, P).
            alphas: a scalar or (L,) penalties >= 0.

        Returns:
            (L, M, C), the intercept included.

        Raises:
            InputError: features of another width or that are not finite, or bad penalties.
        """
        refuse_sparse(X_test=X_test)
        checks.finite("X_test", X_test, ndim=2)
        features = self.right.shape[1]
        if np.shape(X_test)[1] != features:
            raise InputError(
                f"X_test has shape {np.shape(X_test)}; (M, {features}), as in the fit, is needed"
            )
        rounding = (4 * entry_accuracy(X_test)) ** 2
        self._require_carried("X_test", alphas, rounding)
        return self._predict(X_test, alphas)

    @float64_inside
    def _predict(self, X_test: Any, alphas: Any) -> Any:
        coef = self._fit(self._penalties(alphas))
        fitted = jnp.einsum("mp,lpc->lmc", as_float64(X_test), coef)
        return self._answered(fitted + self._intercept(coef)[:, None, :], alphas, X_test=X_test)

    def _fit(self, alphas: Array) -> Array:
        return _coefficients(self.modes, self.right, alphas)


@jax.jit
def _coefficients(modes: Modes, right: Array, alphas: Array) -> Array:
    """V diag(s / (s² + N alpha)) U^T Y with s² = N v."""
    shifted = modes.values[:, None] + alphas
    singular = jnp.sqrt(modes.values / modes.n)[:, None]
    gain = jnp.where(shifted > 0, singular / jnp.where(shifted > 0, shifted, 1.0), 0.0)
    return jnp.einsum("mp,ml,mc->lpc", right, gain, modes.coords, optimize=[(1, 2), (0, 1)])


@partial(jax.jit, static_argnames="center")
def _decompose(X: Array, Y: Array, weights: Array | None, center: bool) -> dict[str, Any]:
    """Array fields of the path."""
    Y = Y[:, None] if Y.ndim == 1 else Y
    n, p = X.shape
    root = jnp.ones(n) if weights is None else jnp.sqrt(weights)
    direction = unit_root(root) if center else jnp.zeros(n)
    matrix, targets = root[:, None] * X, root[:, None] * Y
    # With an intercept: the complement of its direction, in the basis that a reflection gives it.
    matrix = reflect(direction, matrix)[1:] if center else matrix
    left, singular, right = linalg.svd(matrix)
    left = (
        reflect(direction, jnp.concatenate([jnp.zeros((1, len(singular))), left]))
        if center
        else left
    )
    singular = jnp.where(
        singular <= max(n, p) * np.finfo(np.float64).eps * singular.max(), 0.0, singular
    )
    coords = left.T @ targets
    modes = Modes(
        values=singular**2 / n,
        vectors=left,
        coords=coords,
        rest=targets - jnp.outer(direction, direction @ targets) - left @ coords,
        intercept=direction,
        rest_dim=n - center - len(singular),
    )
    return {
        "modes": modes,
        "root_weights": root,
        "intercept_targets": direction @ targets,
        "pull": X.T @ (root * direction),
        "diag_kernel": (X**2).sum(1),
        "right": right,
    }


def _build(
    cls: Any, X: Any, Y: Any, weights: Any, center: bool, check: bool, epsilon: float
) -> RidgePath:
    weights = None if weights is None else as_float64(weights)
    X, Y = as_float64(X), as_float64(Y)
    fields = _decompose(X, Y, weights, center)
    if check and weights is not None and not is_traced(fields):
        lost = int((np.asarray(fields["modes"].values) == 0).sum())
        bare = lambda: np.asarray(_decompose(X, Y, None, center)["modes"].values)  # noqa: E731
        require_weights(weights, lost, bare, 0.0)
    # The SVD resolves singular values, not their squares.
    clipped = epsilon <= DOUBLE
    rounding = ((max(np.shape(X)) if clipped else 4) * epsilon) ** 2
    return cls(**fields, rounding=rounding if check else 0.0, clipped=clipped, centered=center)
