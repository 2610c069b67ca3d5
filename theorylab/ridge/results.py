"""What ridge paths give back: the penalty that was selected, and the quantities of many penalties.

Sources: GCV, Craven & Wahba 1978; exact leave-one-out, Allen's PRESS.
"""

from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from jaxtyping import Array, Float

from theorylab.pytrees import register

Criterion = Literal["gcv", "loo"]


@dataclass(frozen=True)
class Selection:
    """The penalty that minimises a criterion.

    Attributes:
        alpha: the winner; a float, or (C,) when selected per output.
        score: its criterion, of the same shape.
        at_edge: whether the winner is the smallest or largest penalty offered.
        alphas: (L,) penalties offered.
        scores: (L,) or (L, C), the whole curve.
        criterion: "gcv" or "loo".
    """

    alpha: float | np.ndarray
    score: float | np.ndarray
    at_edge: bool | np.ndarray
    alphas: np.ndarray = field(repr=False)
    scores: np.ndarray = field(repr=False)
    criterion: str


@register()
@dataclass(frozen=True)
class PathSummary:
    """What `summary` returns for L penalties.

    Attributes:
        gcv: (L,) generalised cross-validation, summed over outputs.
        loo: (L,) exact leave-one-out risk, summed over outputs.
        kappa: (L,) estimated effective regularisation κ̂.
        dof: (L,) effective degrees of freedom.
        train_risk: (L,) mean squared training residual, summed over outputs.
        dual: (L, N, C) dual weights.
    """

    gcv: Float[Array, " l"]
    loo: Float[Array, " l"]
    kappa: Float[Array, " l"]
    dof: Float[Array, " l"]
    train_risk: Float[Array, " l"]
    dual: Float[Array, "l n c"]
