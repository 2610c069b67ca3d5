"""Refusals that ridge regression adds to those of `theorylab.checks`."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from theorylab import checks
from theorylab.errors import InputError
from theorylab.overflow import require_answer
from theorylab.precision import is_traced
from theorylab.sparse import refuse_sparse


def require_targets(Y: Any, n: int, *, of: str, values: bool = True) -> None:
    """Refuse targets that are not (N,) or (N, C) for the N rows of the array called `of`."""
    refuse_sparse(Y=Y)
    (checks.finite if values else checks.real)("Y", Y, ndim=(1, 2))
    if np.shape(Y)[0] != n:
        raise InputError(
            f"Y has {np.shape(Y)[0]} rows but {of} has {n}; one row of targets per sample is needed"
        )


def require_problem(n: int, weights: Any, center: Any, check: Any) -> None:
    """Refuse options of a fit.

    These are sample weights that are not (N,) and positive, and an intercept of one sample.
    """
    checks.flag("check", check)
    if weights is not None:
        checks.positive("weights", weights, shape=(n,))
    if checks.flag("center", center) and n < 2:
        raise InputError(
            "center=True needs at least 2 samples: the intercept alone fits one sample"
        )


def require_weights(
    weights: Any, lost: int, bare: Callable[[], np.ndarray], rounding: float
) -> None:
    """Refuse sample weights that push the light samples below rounding of the heavy ones.

    lost: eigenvalues of the weighted kernel that count as zero. bare: those of the one without
    weights, asked for only where some are lost; as many must be zero up to `rounding` there.
    """
    spread = float(np.max(weights) / np.min(weights))
    if lost == 0 or spread < 1e3:
        return
    values = bare()
    if lost > int((values <= rounding * values.max()).sum()):
        raise InputError(
            f"weights span {spread:.2g}: in float64 the light samples vanish beside the heavy "
            "ones; use weights of a smaller span, or drop samples that are not to count"
        )


def require_penalties(alphas: Any) -> None:
    """Refuse penalties that are not a scalar or a vector of finite numbers >= 0."""
    checks.nonnegative("alphas", alphas, ndim=(0, 1))


def require_result(result: Any, given: dict[str, Any]) -> None:
    """Refuse a result that is NaN or infinite though what it is made of is finite.

    given: by the names of the arguments that it comes from.
    """
    if not is_traced(result) and not _finite(result) and _finite(given):
        require_answer(result, given)


def _finite(tree: Any) -> bool:
    with jax.enable_x64(True):
        return all(bool(jnp.isfinite(leaf).all()) for leaf in jax.tree.leaves(tree))
