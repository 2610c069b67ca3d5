"""The adaptive attacker: whoever may try every attack on a prompt, and how attacks depend on it.

Source: Wei et al. 2023 (Jailbroken), section 4, for the adaptive row and its intervals; the bounds
are elementary: docs/derivations/jailbroken.md, statement 1.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Bool, Float
from scipy.stats import norm

from theorylab import checks


@dataclass(frozen=True)
class UnionBounds:
    """Between what an adaptive attacker's success lies, whatever the attacks depend on.

    Attributes:
        low: the largest single rate.
        independent: the rate if attacks succeeded independently of each other.
        high: the sum of the rates, at most 1.
    """

    low: float
    independent: float
    high: float


def adaptive_rate(success: Bool[Any, "a n"]) -> float:
    """Share of prompts on which at least one attack succeeds.

    Args:
        success: (a, n) whether each attack succeeds on each prompt.

    Returns:
        A number in [0, 1].

    Raises:
        InputError: what is no such table.

    Examples:
        >>> adaptive_rate([[True, False, False, False], [False, True, False, False]])
        0.5
    """
    return float(_success(success).any(0).mean())


def union_bounds(rates: Float[Any, " a"]) -> UnionBounds:
    """Bounds on the success of an adaptive attacker from the rates of single attacks.

    Both bounds are attained: the lower where the prompts that fall to one attack hold those of all
    weaker ones, the upper where no prompt falls to two attacks (or all prompts fall).

    Args:
        rates: (a,) success rate of each attack.

    Returns:
        `UnionBounds`.

    Raises:
        InputError: no rates, or some outside [0, 1].

    Examples:
        >>> round(union_bounds([0.34, 0.25, 0.22]).independent, 4)
        0.6139
    """
    rates = np.asarray(checks.within("rates", rates, 0, 1, ndim=1), float)
    checks.count("len(rates)", len(rates))
    independent = 1 - float(np.prod(1 - rates))
    return UnionBounds(float(rates.max()), independent, min(1.0, float(rates.sum())))


def union_excess(success: Bool[Any, "a n"]) -> float:
    """How much more often the adaptive attacker succeeds than if attacks were independent.

    It is negative where some prompts fall to everything.

    Args:
        success: (a, n) whether each attack succeeds on each prompt.

    Returns:
        A number in [-1, 1].

    Raises:
        InputError: what is no such table.
    """
    return adaptive_rate(success) - union_bounds(_success(success).mean(1)).independent


def normal_halfwidth(
    rate: Float[Any, "..."], n: int, *, confidence: float = 0.95
) -> Float[np.ndarray, "..."]:
    """Half the width of the normal interval of a rate over n prompts.

    Args:
        rate: (...) rates.
        n: prompts.
        confidence: of the interval.

    Returns:
        (...) half widths; 0 at rates 0 and 1, where `zero_failure_bound` says more.

    Raises:
        InputError: rates outside [0, 1], or counts and levels out of range.

    Examples:
        >>> [round(float(h), 3) for h in normal_halfwidth([0.93, 0.87], 317)]
        [0.028, 0.037]
    """
    rate = np.asarray(checks.within("rate", rate, 0, 1), float)
    n = checks.count("n", n)
    level = checks.number("confidence", confidence, 0, 1, open_low=True, open_high=True)
    return np.asarray(norm.isf((1 - level) / 2) * np.sqrt(rate * (1 - rate) / n))


# -------------------------------------------------------------------------------- inside


def _success(success: Any) -> np.ndarray:
    table = np.asarray(checks.within("success", success, 0, 1, whole=True, ndim=2))
    checks.count("success.shape[0]", table.shape[0])
    checks.count("success.shape[1]", table.shape[1])
    return table.astype(bool)
