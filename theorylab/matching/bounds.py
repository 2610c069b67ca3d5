"""What the theorems promise, with constants: explicit regret bounds and break-even.

The constants follow from the sum of interval widths.

Source: Jagadeesan et al. (2021), section 5; docs/derivations/stable_prices.md, statements 6 and 7.
"""

import numpy as np

from theorylab.checks import count, nonnegative, number
from theorylab.overflow import in_range


def _checked(n: int, m: int, horizon: int, width: float) -> tuple[int, int, int, float]:
    """As Python's numbers: those of NumPy have few bits, and 16 times 16 of uint8 is 0."""
    sizes = count("n", n), count("m", m), count("horizon", horizon)
    return *sizes, float(number("width", width, 0.0, open_low=True))


def regret_bound(
    n: int, m: int, horizon: int, width: float, *, rounds: np.ndarray | int | None = None
) -> np.ndarray:
    """Bound the cumulative instability: 4 P + 8 width sqrt(log(N T) P M t).

    P = nm pairs, M = min(n, m) matches per round, N = n + m. It holds whenever all intervals hold
    the truth, for every price rule.

    Args:
        n, m: customers and providers.
        horizon: T.
        width: of the intervals, as in `unstructured`.
        rounds: t, by default the horizon.

    Returns:
        The bound, of the shape of `rounds`.

    Raises:
        InputError: counts below 1, a width that is not positive.

    Examples:
        >>> round(float(regret_bound(2, 2, 1000, 0.5)), 1)
        1046.4
    """
    n, m, horizon, width = _checked(n, m, horizon, width)
    t = np.asarray(horizon if rounds is None else nonnegative("rounds", rounds), float)
    return 4 * n * m + 8 * width * np.sqrt(np.log((n + m) * horizon) * n * m * min(n, m) * t)


def typed_regret_bound(kinds: int, n: int, m: int, horizon: int, width: float) -> float:
    """Bound the cumulative instability of the typed model, with no N but in M and L.

    4 C² M (1 + c sqrt(L)) + 8 c sqrt(L C² M T) for C `kinds` of agents. A round can be M samples of
    one pair of types, all at the width from before it: hence M first visits, and sum k_t /
    sqrt(n_{t-1}) <= 2 sqrt(n) + M.

    Args:
        kinds: types on each side.
        n, m: customers and providers.
        horizon: T.
        width: of the intervals, as in `typed`.

    Returns:
        The bound.

    Raises:
        InputError: counts below 1, a width that is not positive.
    """
    n, m, horizon, width = _checked(n, m, horizon, width)
    kinds = count("kinds", kinds)
    pairs, matches, root = kinds**2, min(n, m), np.sqrt(np.log((n + m) * horizon))
    return float(
        4 * pairs * matches * (1 + width * root)
        + 8 * width * root * np.sqrt(pairs * matches * horizon)
    )


@in_range()
def break_even(n: int, m: int, horizon: int, width: float, friction: float) -> float:
    """Rounds after which a platform that charges `friction` has earned its losses back, at most.

    If every round matches min(n, m) pairs and all intervals hold: the root of 2 friction M t = 4 P
    + 8 width sqrt(log(NT) P M t).

    Args:
        n, m: customers and providers.
        horizon: T.
        width: of the intervals, as in `unstructured`.
        friction: cost of leaving, per agent.

    Returns:
        The number of rounds.

    Raises:
        InputError: counts below 1, a width or friction that is not positive.
    """
    n, m, horizon, width = _checked(n, m, horizon, width)
    friction = float(number("friction", friction, 0.0, open_low=True))
    pairs, matches = n * m, min(n, m)
    a, b = 2 * friction * matches, 8 * width * np.sqrt(np.log((n + m) * horizon) * pairs * matches)
    root = (b + np.sqrt(b * b + 16 * a * pairs)) / (2 * a)
    return float(root * root)
