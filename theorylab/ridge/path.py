"""What kernel and linear ridge paths share: one decomposition, then a whole vector of penalties.

Sources: GCV, Craven & Wahba 1978; as the predictor of real representations' risk, Wei, Hu &
Steinhardt, "More Than a Toy" (ICML 2022); KARE, Jacot et al. 2020, is the same number; exact
leave-one-out of a linear smoother, Allen's PRESS.
"""

from dataclasses import dataclass, field, replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike
from jaxtyping import Array, Float, PRNGKeyArray

from theorylab import checks
from theorylab.accuracy import DOUBLE
from theorylab.double import float64_inside
from theorylab.errors import InputError
from theorylab.precision import as_float64, is_traced
from theorylab.ridge import modes as algebra
from theorylab.ridge.checks import require_penalties, require_result
from theorylab.ridge.folds import fold_labels, fold_members
from theorylab.ridge.modes import Modes
from theorylab.ridge.results import Criterion, PathSummary, Selection

_STATIC = {"static": True}  # a part of the PyTree's structure, also in subclasses
_MAX = float(np.finfo(np.float64).max)
FITTED = "a fitted path, KernelRidgePath.fit(K, Y) or RidgePath.fit(X, Y),"


@dataclass(frozen=True)
class RidgePathBase:
    """Methods of `KernelRidgePath` and `RidgePath`.

    Penalties `alphas` are a scalar or a vector (L,) of numbers >= 0.

    The problem solved, for each output, with K = X X^T for linear ridge:

        minimise over f (and b if centred)   (1/N) Σ_i w_i (y_i - f(x_i) - b)² + alpha ‖f‖²

    so alpha is the penalty in the *normalised* convention: scikit-learn's `alpha` is N * alpha, and
    a penalty relative to the kernel's mean trace is alpha / (tr K / N) (`scale` is tr K / N). alpha
    = 0 is the limit alpha -> 0: the minimum-norm least-squares fit. Risks are summed over the C
    outputs; `*_per_output` keep them apart.
    """

    modes: Modes
    root_weights: Float[Array, " n"]  # square roots of the sample weights
    intercept_targets: Float[Array, " c"]  # unpenalised coordinate of the weighted targets
    # linear map from dual (or coef) to what the fit adds to that coordinate
    pull: Float[Array, " n_or_p"]
    diag_kernel: Float[Array, " n"]
    # eigenvalues below this share of the largest are rounding of the input
    rounding: float = field(metadata=_STATIC)
    # are such eigenvalues set to zero (float64 input) or refused (less)
    clipped: bool = field(metadata=_STATIC)
    centered: bool = field(metadata=_STATIC)

    @property
    def n(self) -> int:
        """Number of training samples N."""
        return self.modes.n

    @property
    def eigenvalues(self) -> Float[np.ndarray, " m"]:
        """Eigenvalues of K/N (weighted and centred, if they were asked for), descending."""
        return np.sort(np.asarray(self.modes.values))[::-1]

    @property
    def scale(self) -> float:
        """The unit of relative penalties, tr K / N."""
        return float(self.eigenvalues.sum())

    @property
    def condition(self) -> float:
        """Largest over smallest eigenvalue of the modes; infinite for a rank-deficient problem."""
        values = self.eigenvalues
        return float(values[0] / values[-1]) if values[-1] > 0 else float("inf")

    @property
    def rank(self) -> int:
        """Number of eigenvalues above rounding."""
        return int((self.eigenvalues > 0).sum())

    @property
    def diag_cv(self) -> float:
        """Coefficient of variation of diag K.

        Above about 0.5, leverage is uneven: compare GCV with LOO.
        """
        diagonal = np.asarray(self.diag_kernel)
        return float(diagonal.std() / diagonal.mean()) if diagonal.mean() > 0 else 0.0

    def train_risk(self, alphas: Float[ArrayLike, " l"]) -> Float[Array, " l"]:
        """Mean squared residual (1/N) Σ_i w_i ‖y_i - ŷ_i‖², shape (L,)."""
        return self._evaluate(algebra.train_risk, alphas).sum(-1)

    def gcv(self, alphas: Float[ArrayLike, " l"]) -> Float[Array, " l"]:
        """Generalised cross-validation (1/N)‖(I - S)y‖² / (tr(I - S)/N)², shape (L,).

        At alpha = 0 it is the limit.

        A rank-deficient problem at alpha = 0 gives (RSS/N) / (1 - rank/N)². Estimates the
        in-distribution risk of i.i.d. samples only: duplicated or augmented samples break it
        (`gcv_loo_ratio` tells).
        """
        return self._evaluate(algebra.gcv, alphas).sum(-1)

    def gcv_per_output(self, alphas: Float[ArrayLike, " l"]) -> Float[Array, "l c"]:
        """GCV of each output, shape (L, C)."""
        return self._evaluate(algebra.gcv, alphas)

    kare = gcv

    def loo(self, alphas: Float[ArrayLike, " l"]) -> Float[Array, " l"]:
        """Exact leave-one-out risk (1/N) Σ_i w_i ‖y_i - ŷ_i^(-i)‖², shape (L,).

        The refits keep the absolute penalty N * alpha (and refit the intercept), as a grid search
        in scikit-learn does.
        """
        return self._evaluate(algebra.loo, alphas).sum(-1)

    def loo_per_output(self, alphas: Float[ArrayLike, " l"]) -> Float[Array, "l c"]:
        """Leave-one-out risk of each output, shape (L, C)."""
        return self._evaluate(algebra.loo, alphas)

    def gcv_loo_ratio(self, alphas: Float[ArrayLike, " l"]) -> Float[Array, " l"]:
        """The ratio GCV / LOO, shape (L,), a diagnostic of GCV's hypothesis that is free.

        LOO needs no random-matrix law; outside about [0.85, 1.2] the law does not hold for this
        kernel and penalty. Targets that are all zero leave no risk to compare: 1.
        """
        return self._gcv_loo_ratio(alphas)

    @float64_inside
    def _gcv_loo_ratio(self, alphas: Any) -> Any:
        path = self._scaled()[0]
        gcv, loo = jnp.asarray(path.gcv(alphas)), jnp.asarray(path.loo(alphas))
        nothing = (gcv == 0) & (loo == 0)
        return jnp.where(nothing, 1.0, gcv / jnp.where(nothing, 1.0, loo))

    def kfold(
        self, alphas: Float[ArrayLike, " l"], k: int, key: PRNGKeyArray
    ) -> Float[Array, " l"]:
        """Exact k-fold cross-validation risk over random folds, shape (L,).

        As for `loo`, the refits keep the absolute penalty N * alpha. No refit is done: each penalty
        costs N³/k.

        Args:
            alphas: a scalar or (L,) penalties >= 0; above 0 for a rank-deficient problem.
            k: number of folds, from 2 to N.
            key: draws the folds, `fold_labels(N, k, key)`.

        Returns:
            (L,), summed over outputs.

        Raises:
            InputError: bad penalties, a number of folds out of range, or alpha = 0 without full
                rank.
        """
        require_penalties(alphas)
        k = checks.count("k", k)
        labels = fold_labels(self.n, k, key)
        if (
            not is_traced(alphas, self.modes)
            and _least(alphas) == 0
            and (self.rank < self.n - self.centered)
        ):
            raise InputError(
                "alphas holds 0; kfold at alpha = 0 needs a full-rank kernel; give penalties > 0 "
                "or use loo"
            )
        members = fold_members(labels, k)
        if not is_traced(alphas, self.modes):
            self._require_folds(_least(alphas), members)
        return self._evaluate(algebra.kfold, alphas, members).sum(-1)

    def _require_folds(self, alpha: float, members: Any) -> None:
        """Refuse a penalty at which the systems of the folds are singular up to rounding."""
        with jax.enable_x64(True):
            share = float(algebra.fold_condition(self.modes, jnp.asarray(alpha), members))
        limit = 1e2 * self.n * float(np.finfo(np.float64).eps)
        if share < limit:
            raise InputError(
                f"alphas holds {alpha:.3g}; some fold then decides a system of condition "
                f"{1 / max(share, 1e-300):.1g}, beyond float64: use larger penalties, or loo"
            )

    def kappa(self, alphas: Float[ArrayLike, " l"]) -> Float[Array, " l"]:
        """Estimated effective regularisation κ̂ = 1 / s(alpha), shape (L,).

        s = (1/N) tr (K/N + alpha)^{-1} is the Stieltjes transform at -alpha.

        Zero at alpha = 0 if the problem is rank-deficient; the intercept's direction is left out of
        the trace.
        """
        return self._evaluate(algebra.kappa, alphas)

    def dkappa(self, alphas: Float[ArrayLike, " l"]) -> Float[Array, " l"]:
        """The derivative of `kappa`, κ̂² (1/N) tr (K/N + alpha)^{-2} >= 1, shape (L,)."""
        return self._evaluate(algebra.dkappa, alphas)

    def dof(self, alphas: Float[ArrayLike, " l"]) -> Float[Array, " l"]:
        """Effective degrees of freedom tr S = N (1 - alpha/κ̂), intercept included, shape (L,)."""
        return self._evaluate(algebra.dof, alphas)

    def leverage(self, alphas: Float[ArrayLike, " l"]) -> Float[Array, "l n"]:
        """Diagonal of the smoother S, intercept included, shape (L, N)."""
        return self._evaluate(algebra.leverage, alphas)

    def norm2(self, alphas: Float[ArrayLike, " l"]) -> Float[Array, " l"]:
        """Squared norm of the fit, y^T K (K + N alpha)^{-2} y summed over outputs, shape (L,)."""
        return self._evaluate(algebra.norm2, alphas).sum(-1)

    @float64_inside
    def dual(self, alphas: Float[ArrayLike, " l"]) -> Float[Array, "l n c"]:
        """Dual weights a with f(x) = Σ_i a_i k(x_i, x), shape (L, N, C).

        With a rank-deficient kernel they hold the residual / (N alpha), which k annuls: for small
        penalties leave that sum to `predict`, which keeps only what is fitted.
        """
        return self._answered(self._dual(self._penalties(alphas)), alphas)

    @float64_inside
    def summary(self, alphas: Float[ArrayLike, " l"]) -> PathSummary:
        """GCV, LOO, κ̂, degrees of freedom, train risk and dual weights at once.

        It is cheaper than one by one.
        """
        penalties = self._penalties(alphas)
        singular = (
            is_traced(alphas, self.modes) or _least(alphas) + float(self.eigenvalues[-1]) <= 0
        )
        # the limit alpha -> 0 of residuals is not that of dual weights
        if singular or self.modes.rest_dim:
            loo, dual = algebra.loo(self.modes, penalties), algebra.dual(self.modes, penalties)
        else:
            loo, dual = algebra.loo_and_dual(self.modes, penalties)
        found = PathSummary(
            gcv=algebra.gcv(self.modes, penalties).sum(-1),
            loo=loo.sum(-1),
            kappa=algebra.kappa(self.modes, penalties),
            dof=algebra.dof(self.modes, penalties),
            train_risk=algebra.train_risk(self.modes, penalties).sum(-1),
            dual=dual * self.root_weights[:, None],
        )
        return self._answered(found, alphas)

    @float64_inside
    def intercept(self, alphas: Float[ArrayLike, " l"]) -> Float[Array, "l c"]:
        """Intercept b of a centred fit, zeros otherwise, shape (L, C)."""
        return self._answered(self._intercept(self._fit(self._penalties(alphas))), alphas)

    def select(
        self,
        criterion: Criterion = "gcv",
        alphas: Float[ArrayLike, " l"] | None = None,
        *,
        per_output: bool = False,
    ) -> Selection:
        """The penalty that minimises GCV or leave-one-out.

        It needs concrete arrays (not under jit).

        Args:
            criterion: "gcv", or "loo" where leverages differ between samples.
            alphas: (L,) penalties offered; None for `default_alphas`.
            per_output: one penalty for each output.

        Returns:
            A `Selection`.

        Raises:
            InputError: an unknown criterion or bad penalties.
        """
        checks.choice("criterion", criterion, ("gcv", "loo"))
        checks.flag("per_output", per_output)
        if alphas is not None:
            require_penalties(alphas)
        offered: Any = np.atleast_1d(
            np.asarray(self.default_alphas() if alphas is None else alphas, dtype=np.float64)
        )
        scores: Any = (
            self.gcv_per_output(offered) if criterion == "gcv" else self.loo_per_output(offered)
        )
        scores = scores if per_output else scores.sum(-1)
        best = scores.argmin(0)
        score = scores.min(0)
        alpha, at_edge = (
            offered[best],
            (offered[best] == offered.min()) | (offered[best] == offered.max()),
        )
        if per_output:
            return Selection(alpha, score, at_edge, offered, scores, criterion)
        return Selection(float(alpha), float(score), bool(at_edge), offered, scores, criterion)

    def default_alphas(self, num: int = 40) -> Float[np.ndarray, " num"]:
        """Logarithmic grid of penalties up to 10 times tr K / N.

        It begins at 1e-8 times that, or at what the input's precision carries.
        """
        checks.count("num", num)
        if self.scale == 0:
            raise InputError("K is zero: there is no scale for a default grid; give alphas")
        lowest = max(
            1e-8 * self.scale,
            0.0 if self.clipped else 10 * self.rounding * float(self.eigenvalues[0]),
        )
        return np.geomspace(lowest, min(10 * self.scale, 0.25 * _MAX), num)

    @float64_inside
    def _evaluate(self, quantity: Any, alphas: Any, *more: Any) -> Any:
        return self._answered(quantity(self.modes, self._penalties(alphas), *more), alphas)

    def _answered(self, result: Any, alphas: Any, **test: Any) -> Any:
        """The result, unless finite numbers drove it beyond float64."""
        targets = self.modes.coords, self.modes.rest, self.intercept_targets
        require_result(
            result, {"alphas": alphas, "Y": targets, "K or X": self.modes.values, **test}
        )
        return result

    def _scaled(self) -> tuple["RidgePathBase", float]:
        """The path of the targets divided by a power of two, which makes them of order 1; and it.

        Squares of the targets then stay in range, and no digit changes. Traced ones stay.
        """
        targets = self.modes.coords, self.modes.rest
        if is_traced(targets):
            return self, 1.0
        largest = max(float(np.abs(t).max(initial=0.0)) for t in map(np.asarray, targets))
        unit = float(np.ldexp(1.0, np.clip(np.frexp(largest)[1], -1000, 1000)))
        with jax.enable_x64(True):
            coords, rest = (jnp.asarray(np.asarray(t) / unit) for t in targets)
        return replace(self, modes=replace(self.modes, coords=coords, rest=rest)), unit

    def _penalties(self, alphas: Any) -> Float[Array, " l"]:
        require_penalties(alphas)
        if not is_traced(alphas, self.modes):
            self._require_resolved(_least(alphas))
        return jnp.atleast_1d(as_float64(alphas))

    def _require_carried(self, name: str, alphas: Any, rounding: float) -> None:
        """Refuse test data too coarse for what this penalty amplifies."""
        if is_traced(alphas, self.modes) or rounding <= max(self.rounding, 1e3 * DOUBLE * self.n):
            return
        values = self.eigenvalues
        floor = float(values[values > 0][-1]) if (values > 0).any() else np.inf
        alpha, noise = _least(alphas), rounding * float(values[0])
        if self.rounding > 0 and alpha < noise and floor + alpha < noise:
            raise InputError(
                f"alpha = {alpha:.3g} amplifies what {name} is rounded to: smallest eigenvalue "
                f"{floor:.3g}, largest {float(values[0]):.3g} (of K/N); compute {name} in the "
                f"precision of the fit, or use alpha >= {noise:.2g}"
            )

    def _require_resolved(self, alpha: float) -> None:
        """Refuse a penalty too small to hide eigenvalues that are only rounding of the input."""
        values = self.eigenvalues
        noise = self.rounding * float(values[0])
        if self.clipped:
            # Zeroed eigenvalues are a true rank deficiency only if a gap separates them from the
            # rest.
            kept = values[values > 0]
            ambiguous = 0 < len(kept) < len(values) and kept[-1] < 1e3 * noise
            smallest = float(kept[-1]) if ambiguous else np.inf
        else:
            smallest = float(values[-1])
        if alpha < noise and smallest + alpha < (1e3 if self.clipped else 1) * noise:
            raise InputError(
                f"alpha = {alpha:.3g} leaves a system that the input's precision cannot carry: "
                f"smallest eigenvalue {smallest:.3g}, largest {float(values[0]):.3g} (of K/N), "
                f"resolved only down to {noise:.2g}; use alpha >= "
                f"{noise:.2g}{'' if self.clipped else ' or compute it in float64'}"
            )

    def _dual(self, alphas: Array, *, fitted: bool = False) -> Array:
        return algebra.dual(self.modes, alphas, fitted=fitted) * self.root_weights[:, None]

    def _fit(self, alphas: Array) -> Array:
        """The representation of f that `pull` acts on: (L, N or P, C)."""
        raise NotImplementedError

    def _intercept(self, fit: Array) -> Array:
        if not self.centered:
            return jnp.zeros((fit.shape[0], fit.shape[2]))
        pulled = jnp.einsum("p,lpc->lc", self.pull, fit)
        return (self.intercept_targets - pulled) / jnp.linalg.norm(self.root_weights)


def _least(alphas: Any) -> float:
    """The least penalty; NumPy's, for of JAX's operations a trace around this makes tracers."""
    return float(np.asarray(alphas, np.float64).min())
