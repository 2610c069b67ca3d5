"""A ski-rental rule for every prediction, made of the optimum at each.

Each of its distributions is gamma-robust by itself, so the rule is; at each prediction it is as
consistent as any gamma-robust algorithm can be. From 2b days on that optimum is the closed form of
`optimal_buy_distribution`: its certificate needs that renting through the prediction costs no less
than buying on day m + 1, which is m + b with an m of at most b (`dual_certificate`). Below it is
that of the linear programme.

Source: Wei, Zhang (2020); docs/derivations/ski_rental.md, statements 3 and 4.
"""

from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Float

from theorylab import checks
from theorylab.errors import InputError
from theorylab.online.checks import price, within
from theorylab.online.ski_optimum import (
    consistency_lp,
    optimal_buy_distribution,
    smallest_robustness,
)


@dataclass(frozen=True)
class OptimalSkiRule:
    """What `optimal_ski_rule` makes: call it with a prediction and the price.

    Attributes:
        b: price.
        gamma: robustness.
        max_days: of the linear programmes.
        solved: distributions found so far, by prediction.
    """

    b: int
    gamma: float
    max_days: int
    solved: dict[int, np.ndarray] = field(default_factory=dict, repr=False, compare=False)

    def __call__(self, prediction: int, b: int | None = None) -> Float[np.ndarray, " K"]:
        """Probabilities of the buying days for one prediction."""
        if b is not None and price(b) != self.b:
            raise InputError(f"b = {b}; this rule is for the price {self.b}, make another")
        days = float(within("prediction", prediction, 0.0, ndim=0))
        if days >= 2 * self.b:
            return np.asarray(optimal_buy_distribution(self.b, self.gamma))
        # seasons have whole days; one of none costs nothing whatever is done
        days = max(1, int(checks.within("prediction", days, whole=True)))
        if days not in self.solved:
            found = consistency_lp(self.b, days, self.gamma, max_days=self.max_days)
            q = np.maximum(found.distribution, 0.0)
            self.solved[days] = q / q.sum()
        return self.solved[days]


def optimal_ski_rule(b: int, gamma: float, *, max_days: int | None = None) -> OptimalSkiRule:
    """Make the rule that is gamma-robust, and as consistent as can be at every single prediction.

    `optimal_buy_distribution` alone is meant for predictions from 2b on: measured at all of them it
    is far from consistent at small ones. Give this rule to `measure_ski_rule`, and a family of them
    to `ski_rental_curve`.

    Args:
        b: price, a whole number from 2 on.
        gamma: robustness, at least `smallest_robustness(b)`.
        max_days: last buying day of the linear programmes for predictions below 2b, by default 4b.
            Each is solved when it is first asked for, in a time that grows with the cube of it.

    Returns:
        A function (prediction, b) -> probabilities of the buying days.

    Raises:
        InputError: no distribution is that robust, or values out of range.

    Examples:
        >>> from theorylab.online import measure_ski_rule, tradeoff_randomized_discrete
        >>> measured = measure_ski_rule(optimal_ski_rule(5, 2.0), 5)
        >>> round(float(measured.robustness), 6), round(float(measured.consistency), 6)
        (2.0, 1.246875)
        >>> round(float(tradeoff_randomized_discrete(2.0, 5)), 6)
        1.246875
    """
    b = price(b)
    least = float(smallest_robustness(b))
    g = float(within("gamma", gamma, least * (1 - 1e-12), open_high=True, ndim=0))
    days = checks.count("max_days", 4 * b if max_days is None else max_days, 2 * b)
    return OptimalSkiRule(b, g, days)
