"""Norm-based generalisation bounds, which "More Than a Toy" shows to miss how risk falls with N.

Both are uniform-convergence complexities of the smallest kernel ball that holds the ridge fit. The
paper's exact constant is unknown; these are the standard forms, and no claim should rest on their
constants.

Source: Bartlett & Mendelson 2002; Arora et al. 2019; compared in Wei, Hu & Steinhardt 2022.
"""

from typing import Any, Literal

import numpy as np
from jax.typing import ArrayLike
from jaxtyping import Array, Float

from theorylab import checks
from theorylab.ridge.kernel import KernelRidgePath
from theorylab.ridge.path import FITTED, RidgePathBase

Variant = Literal["rademacher", "arora"]


def norm_bound(
    K: Float[ArrayLike, "n n"],
    Y: Float[ArrayLike, "n *c"],
    alphas: Float[ArrayLike, " l"],
    *,
    variant: Variant = "rademacher",
) -> Float[Array, " l"]:
    """Train risk plus complexity of the kernel ridge fit, for each penalty.

    Use it as a baseline; an estimate of the risk is `KernelRidgePath.gcv`. With ‖f‖² = Y^T K (K + N
    alpha)^{-2} Y summed over outputs (Y^T K^{-1} Y at alpha = 0), the complexity is

    - "rademacher": sqrt(‖f‖² tr K) / N, the complexity of the ball of radius ‖f‖;
    - "arora": sqrt(2 ‖f‖² / N), which takes k(x, x) to be about 1: normalise K first.

    Args:
        K: (N, N) kernel between the training samples, not divided by N.
        Y: (N, C) or (N,) targets.
        alphas: a scalar or (L,) penalties >= 0, normalised convention.
        variant: "rademacher" or "arora".

    Returns:
        (L,).

    Raises:
        InputError: as `KernelRidgePath.fit`; an unknown variant.

    Source:
        "rademacher": Bartlett & Mendelson 2002; "arora": Arora et al. 2019.
    """
    checks.choice("variant", variant, ("rademacher", "arora"))
    return path_norm_bound(KernelRidgePath.fit(K, Y), alphas, variant=variant)


def path_norm_bound(
    path: RidgePathBase, alphas: Any, *, variant: Variant = "rademacher"
) -> Float[Array, " l"]:
    """The bound `norm_bound` of a path that is already fitted, without a second decomposition.

    Args:
        path: a fitted `KernelRidgePath` or `RidgePath`.
        alphas: a scalar or (L,) penalties >= 0, normalised convention.
        variant: "rademacher" or "arora".

    Returns:
        (L,).

    Raises:
        InputError: something that is no fitted path, bad penalties, an unknown variant.

    Source:
        See `norm_bound`.
    """
    checks.instance("path", path, RidgePathBase, FITTED)
    checks.choice("variant", variant, ("rademacher", "arora"))
    scaled, unit = path._scaled()
    norm = scaled.norm2(alphas) ** 0.5
    if variant == "rademacher":
        complexity = norm * (np.asarray(path.diag_kernel).sum() ** 0.5 / path.n)
    else:
        complexity = norm * (2 / path.n) ** 0.5
    with np.errstate(over="ignore"):
        bound = unit * (unit * scaled.train_risk(alphas) + complexity)
    return path._answered(bound, alphas)
