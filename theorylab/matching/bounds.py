"""What the theorems promise, with constants: explicit regret bounds and the break-even of a
charging platform.

Jagadeesan et al. 2021, section 5; the constants follow from the sum of interval widths: a first
visit costs at most 4, the k-th later one 4 width sqrt(log(N T) / k), and Cauchy-Schwarz over pairs.
"""

import numpy as np

from theorylab.checks import count, nonnegative, number


def _check(n: int, m: int, horizon: int, width: float) -> None:
    for name, value in (("n", n), ("m", m), ("horizon", horizon)):
        count(name, value)
    number("width", width, 0.0, open_low=True)


def regret_bound(
    n: int, m: int, horizon: int, width: float, *, rounds: np.ndarray | int | None = None
) -> np.ndarray:
    """4 P + 8 width sqrt(log(N T) P M t): bound on cumulative instability after t `rounds` (default
    the horizon T).

    P = nm pairs, M = min(n, m) matches a round, N = n + m. It holds whenever all intervals hold the
    truth, for every price rule.
    """
    _check(n, m, horizon, width)
    t = np.asarray(horizon if rounds is None else nonnegative("rounds", rounds), float)
    return 4 * n * m + 8 * width * np.sqrt(np.log((n + m) * horizon) * n * m * min(n, m) * t)


def typed_regret_bound(kinds: int, n: int, m: int, horizon: int, width: float) -> float:
    """The same for `kinds`² pairs of types: 4 C² M (1 + c sqrt(L)) + 8 c sqrt(L C² M T), with no N
    but in M and L.

    A round can be M samples of one pair of types, all at the width from before it: hence M first
    visits, and sum k_t / sqrt(n_{t-1}) <= 2 sqrt(n) + M.
    """
    _check(n, m, horizon, width)
    kinds = count("kinds", kinds)
    pairs, matches, root = kinds**2, min(n, m), np.sqrt(np.log((n + m) * horizon))
    return float(
        4 * pairs * matches * (1 + width * root)
        + 8 * width * root * np.sqrt(pairs * matches * horizon)
    )


def break_even(n: int, m: int, horizon: int, width: float, friction: float) -> float:
    """Rounds after which a platform that charges `friction` has earned back its losses, at the
    latest (if every round matches min(n, m) pairs and all intervals hold): the root of 2 friction M
    t = 4 P + 8 width sqrt(log(NT) P M t)."""
    _check(n, m, horizon, width)
    number("friction", friction, 0.0, open_low=True)
    pairs, matches = n * m, min(n, m)
    a, b = 2 * friction * matches, 8 * width * np.sqrt(np.log((n + m) * horizon) * pairs * matches)
    root = (b + np.sqrt(b * b + 16 * a * pairs)) / (2 * a)
    return float(root * root)
