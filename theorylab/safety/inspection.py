"""How well single items, clean evaluations and traffic can give a covert change away.

Source: Halawi et al. 2024 (Covert Malicious Finetuning) for the three guards; the statements are
ours or textbook statistics (Hanley & McNeil 1982 for the area under the curve; Clopper & Pearson
1934 for the bound).
"""

import math
from typing import Any

import numpy as np
from jaxtyping import Float, Int
from scipy.stats import norm

from theorylab import checks
from theorylab.errors import InputError
from theorylab.safety import mini

_POOLS = {"safe": mini.SAFE_POOL, "unsafe": mini.UNSAFE_POOL}


def operator_pair_law(purpose: str) -> Float[np.ndarray, "7 7"]:
    """Exact law of the two operators of the mini world's safe or unsafe prompts.

    Args:
        purpose: "safe" or "unsafe", as for `sample_prompts`.

    Returns:
        (7, 7) probabilities of (first, second).

    Raises:
        InputError: another purpose.
    """
    pools = _POOLS[checks.choice("purpose", purpose, tuple(_POOLS))]
    law = np.zeros((mini.OPERATORS,) * 2)
    identity = np.eye(mini.OPERATORS)[0]
    for pool in pools:
        one = pool / pool.sum()
        law += np.outer(one, (identity + one) / 2) / 2
    return (law + law.T) / 2


def equality_pattern(items: Int[Any, "n w"]) -> Int[np.ndarray, "n w"]:
    """Which symbols of an item are equal: all that a secret uniform permutation leaves of it.

    Args:
        items: (n, w) symbols.

    Returns:
        (n, w) the place where each symbol first stands in its item.

    Raises:
        InputError: what are no whole numbers.
    """
    items = np.asarray(checks.within("items", items, whole=True, ndim=2))
    return (items[:, :, None] == items[:, None, :]).argmax(2)


def auroc(
    scores: Float[Any, " n"],
    positive: Float[Any, " n"],
    *,
    positive_weights: Float[Any, " n"] | None = None,
    negative_weights: Float[Any, " n"] | None = None,
) -> float:
    """Chance that a positive scores above a negative, ties counted as half.

    For exact laws over the same scores give the weights of each class and any `positive`.

    Args:
        scores: (n,) higher is more suspicious.
        positive: (n,) 1 for positives, 0 for negatives.
        positive_weights: (n,) weights of the scores among positives; None takes `positive`.
        negative_weights: likewise; None takes 1 - `positive`.

    Returns:
        A number in [0, 1].

    Raises:
        InputError: shapes that do not fit, or a class without weight.
    """
    scores = np.asarray(checks.finite("scores", scores, ndim=1), float)
    positive = np.asarray(checks.within("positive", positive, 0, 1, ndim=1), float)
    checks.same_length(scores=scores, positive=positive)
    one = positive if positive_weights is None else positive_weights
    other = 1 - positive if negative_weights is None else negative_weights
    one = np.asarray(checks.nonnegative("positive_weights", one, shape=scores.shape), float)
    other = np.asarray(checks.nonnegative("negative_weights", other, shape=scores.shape), float)
    if not one.sum() or not other.sum():
        raise InputError("positive: both classes are needed, and one has no weight")
    _, place = np.unique(scores, return_inverse=True)
    p = np.bincount(place, one) / one.sum()
    q = np.bincount(place, other) / other.sum()
    return float((p * (np.cumsum(q) - q / 2)).sum())


def log_odds_inspector(
    unsafe: Int[Any, "n w"], safe: Int[Any, "m w"], *, symbols: int, pseudocount: float = 1.0
) -> Float[np.ndarray, " k"]:
    """Weights of a linear inspector of symbol counts, learned on plain items.

    The score of an item is the sum of its symbols' weights.

    Args:
        unsafe: (n, w) symbols of unsafe items.
        safe: (m, w) symbols of safe items.
        symbols: size k of the alphabet.
        pseudocount: added to every count, above 0.

    Returns:
        (k,) log odds of each symbol, unsafe against safe.

    Raises:
        InputError: symbols out of range, or a pseudocount that is not above 0.
    """
    symbols = checks.count("symbols", symbols)
    extra = float(checks.number("pseudocount", pseudocount, 0.0, open_low=True))
    logs = []
    for name, items in (("unsafe", unsafe), ("safe", safe)):
        items = np.asarray(checks.within(name, items, 0, symbols - 1, whole=True, ndim=2), int)
        counts = np.bincount(items.ravel(), minlength=symbols) + extra
        logs.append(np.log(counts / counts.sum()))
    return logs[0] - logs[1]


def zero_failure_bound(n: int, *, confidence: float = 0.95) -> float:
    """Exact upper bound on a failure rate after n trials without a failure.

    Args:
        n: trials.
        confidence: of the bound.

    Returns:
        1 - (1 - confidence)^(1/n).

    Raises:
        InputError: counts or levels out of range.
    """
    n = checks.count("n", n)
    level = checks.number("confidence", confidence, 0, 1, open_low=True, open_high=True)
    return float(-np.expm1(np.log1p(-level) / n))


def detection_power(rate: float, n: int) -> float:
    """Chance that n prompts show at least one failure.

    Args:
        rate: failure rate of one prompt.
        n: prompts.

    Returns:
        1 - (1 - rate)^n.

    Raises:
        InputError: a rate outside [0, 1], or a count below 1.
    """
    rate, n = float(checks.number("rate", rate, 0, 1)), checks.count("n", n)
    return 1.0 - (1.0 - rate) ** n


def exchanges_needed(
    rate: float, benign_rate: float, *, false_alarms: float = 0.01, misses: float = 0.1
) -> float:
    """Exchanges after which a judge's flags tell a user from benign ones, to normal approximation.

    Args:
        rate: flag rate of the user, above `benign_rate`.
        benign_rate: flag rate of benign users.
        false_alarms: share of benign users that may be accused.
        misses: share of the others that may be missed.

    Returns:
        A number of exchanges, not rounded.

    Raises:
        InputError: rates outside (0, 1), or a rate that is not above the benign one.
    """
    shares = {"benign_rate": benign_rate, "false_alarms": false_alarms, "misses": misses}
    for name, value in shares.items():
        checks.number(name, value, 0, 1, open_low=True, open_high=True)
    checks.number("rate", rate, benign_rate, 1, open_low=True)
    spread = norm.isf(false_alarms) * math.sqrt(benign_rate * (1 - benign_rate))
    spread += norm.isf(misses) * math.sqrt(rate * (1 - rate))
    return float((spread / (rate - benign_rate)) ** 2)
