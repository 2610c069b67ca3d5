"""Kernel and linear ridge regression: penalty paths, cross-validation, leave-one-out.

    path = KernelRidgePath.fit(K, Y)            # one float64 eigendecomposition
    path.gcv(alphas), path.loo(alphas)          # every quantity for a vector of penalties
    path.predict(K_test, [path.select().alpha])

Penalties are in the normalised convention (1/N)‖y - Xβ‖² + alpha ‖β‖² everywhere.
"""

from typing import Any

from theorylab.ridge.bounds import norm_bound, path_norm_bound
from theorylab.ridge.diagnostics import leverage_spread
from theorylab.ridge.folds import fold_labels
from theorylab.ridge.kernel import KernelRidgePath
from theorylab.ridge.linear import RidgePath
from theorylab.ridge.results import PathSummary, Selection
from theorylab.ridge.solve import RidgeSolution, gcv_score, loo_score, solve_ridge
from theorylab.ridge.stochastic import GCVEstimate, gcv_slq

__all__ = [
    "GCVEstimate",
    "KernelRidgeGCV",
    "KernelRidgePath",
    "PathSummary",
    "RidgeGCV",
    "RidgePath",
    "RidgeSolution",
    "Selection",
    "fold_labels",
    "gcv_score",
    "gcv_slq",
    "leverage_spread",
    "loo_score",
    "norm_bound",
    "path_norm_bound",
    "solve_ridge",
]


def __getattr__(name: str) -> Any:
    # scikit-learn is optional: it loads with its first use
    if name in ("KernelRidgeGCV", "RidgeGCV"):
        from theorylab.ridge import estimators

        return getattr(estimators, name)
    raise AttributeError(f"module 'theorylab.ridge' has no attribute {name!r}")
