"""Why GCV may be off where leave-one-out is right: samples whose leverages differ.

Source: our derivation, from GCV and PRESS in terms of the diagonal of I - S.
"""

from typing import Any

import jax.numpy as jnp
from jaxtyping import Array, Float

from theorylab import checks
from theorylab.double import float64_inside
from theorylab.precision import as_float64
from theorylab.ridge import modes as algebra
from theorylab.ridge.checks import require_penalties
from theorylab.ridge.path import FITTED, RidgePathBase


@float64_inside
def leverage_spread(path: RidgePathBase, alphas: Any) -> Float[Array, " l"]:
    """Squared coefficient of variation over samples of 1 - S_ii, the diagonal of I - S.

    Use it to say why GCV and leave-one-out differ: GCV puts the mean of 1 - S_ii where
    leave-one-out has each sample's own. If the held-out residuals have nothing to do with the
    leverages, then GCV / LOO = 1 + `leverage_spread`: what the random-matrix law needs is that this
    is about 1. Where it is not, select by "loo".

    Args:
        path: a fitted `KernelRidgePath` or `RidgePath`.
        alphas: a scalar or (L,) penalties >= 0, normalised convention; alpha = 0 is a limit.

    Returns:
        (L,), without a unit.

    Raises:
        InputError: something that is no fitted path, or penalties that are not finite and >= 0.
    """
    checks.instance("path", path, RidgePathBase, FITTED)
    require_penalties(alphas)
    penalties = jnp.atleast_1d(as_float64(alphas))
    diagonal = algebra._diagonal(path.modes, algebra._weights(path.modes, penalties))
    return jnp.var(diagonal, axis=0) / jnp.mean(diagonal, axis=0) ** 2
