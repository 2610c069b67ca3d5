"""Kernel and linear ridge regression: whole penalty paths, generalised cross-validation, leave-one-out.

    path = KernelRidgePath.fit(K, Y)            # one float64 eigendecomposition
    path.gcv(alphas), path.loo(alphas)          # every quantity for a vector of penalties
    path.predict(K_test, [path.select().alpha])

Penalties are in the normalised convention (1/N)‖y - Xβ‖² + alpha ‖β‖² everywhere.
"""

from theorylab.ridge.bounds import norm_bound, path_norm_bound
from theorylab.ridge.kernel import KernelRidgePath
from theorylab.ridge.linear import RidgePath
from theorylab.ridge.path import Selection, fold_labels

__all__ = ["KernelRidgePath", "RidgePath", "Selection", "fold_labels", "norm_bound", "path_norm_bound"]
