"""Measured consistency-robustness curves of any online algorithm, beside what is possible.

    rule = lambda lam: lambda y, b: deterministic_buy_day(y, b, lam)
    curve = ski_rental_curve(rule, [0.2, 0.5, 1.0], b=100)
    curve = scheduling_curve(TwoStage, [0.1, 0.2], n=3, key=jax.random.key(0))
    curve.consistency, curve.robustness, curve.optimum

Source: Wei, Zhang (2020), definitions of consistency and robustness.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Array

from theorylab import checks
from theorylab.online.checks import price
from theorylab.online.policies import Policy
from theorylab.online.scheduling import Instance, scheduling_lower_bound
from theorylab.online.search import proof_adversary, worst_case_search
from theorylab.online.ski import as_distribution, ski_ratios
from theorylab.online.ski_optimum import tradeoff_randomized_discrete

SkiRule = Callable[[int, int], Any]


@dataclass(frozen=True)
class SkiMeasure:
    """Worst ratios of a ski-rental rule over the predictions tried, and where they occur.

    Attributes:
        consistency: worst ratio at season = prediction.
        robustness: worst ratio at any season.
        consistent_at: the prediction of the former.
        robust_at: (prediction, season) of the latter.
        predictions: those tried.
        by_prediction: (predictions, 2) consistency and worst ratio at each.
    """

    consistency: float
    robustness: float
    consistent_at: int
    robust_at: tuple[int, int]
    predictions: np.ndarray
    by_prediction: np.ndarray


@dataclass(frozen=True)
class TradeoffCurve:
    """Measured points of a family of algorithms, and the optimum beside them.

    Attributes:
        parameters: (P,) of the family.
        consistency, robustness: (P,) measured.
        optimum: (P,) ski rental: least consistency possible at the measured robustness; scheduling:
            least robustness possible at the measured consistency.
        kind: which of the two, "consistency" or "robustness".
        witnesses: the worst instances, for scheduling.
    """

    parameters: np.ndarray
    consistency: np.ndarray
    robustness: np.ndarray
    optimum: np.ndarray
    kind: str
    witnesses: tuple[Instance, ...] = ()

    @property
    def excess(self) -> np.ndarray:
        """How far above the optimum the algorithms are; never negative beyond rounding."""
        return (self.consistency if self.kind == "consistency" else self.robustness) - self.optimum


def measure_ski_rule(
    rule: SkiRule, b: int, *, predictions: Sequence[int] | None = None
) -> SkiMeasure:
    """Compute the exact consistency and robustness of a ski-rental rule on whole days.

    The rule is called on the host with whole numbers, so NumPy, JAX and plain Python rules all do.
    Every season is tried that can matter: up to one day beyond the support, b and the prediction (a
    rule that may never buy is also given an endless season, so its robustness is infinite).

    Args:
        rule: (prediction, b) -> buying day, or probabilities (K,).
        b: price, a whole number from 2 on.
        predictions: to try, by default 1..4b and 1000 b.

    Returns:
        A `SkiMeasure`.

    Raises:
        InputError: a rule that gives no buying day nor a distribution; values out of range.

    Examples:
        >>> measured = measure_ski_rule(lambda y, b: b, 10)  # break even, whatever the prediction
        >>> float(measured.consistency), float(measured.robustness)
        (1.9, 1.9)
    """
    b, rule = price(b), checks.function("rule", rule)
    predictions = [*range(1, 4 * b + 1), 1000 * b] if predictions is None else predictions
    tried = np.asarray(checks.within("predictions", predictions, 1, whole=True, ndim=1))
    # predictions with the same answer are measured together
    groups: dict[bytes, tuple[np.ndarray, list[int]]] = {}
    for i, y in enumerate(tried.astype(int).tolist()):
        q = as_distribution(rule(y, b))
        groups.setdefault(q.tobytes(), (q, []))[1].append(i)
    found = np.empty((tried.size, 3))  # consistency, worst ratio, its season
    for q, members in groups.values():
        seasons = np.arange(1, max(q.size, b) + 2)
        ratios = np.asarray(ski_ratios(q, b, np.concatenate([seasons, tried[members], [np.inf]])))
        at = int(np.argmax(ratios[: seasons.size]))
        worst = (
            (np.inf, np.iinfo(np.int64).max) if np.isinf(ratios[-1]) else (ratios[at], seasons[at])
        )
        found[members, 0], found[members, 1:] = ratios[seasons.size : -1], worst
    c, r = int(np.argmax(found[:, 0])), int(np.argmax(found[:, 1]))
    return SkiMeasure(
        found[c, 0],
        found[r, 1],
        int(tried[c]),
        (int(tried[r]), int(found[r, 2])),
        tried,
        found[:, :2],
    )


def ski_rental_curve(
    family: Callable[[float], SkiRule],
    parameters: Sequence[float],
    b: int,
    *,
    predictions: Sequence[int] | None = None,
) -> TradeoffCurve:
    """Measure a family of ski-rental rules, beside the least consistency at price b.

    The optimum is `tradeoff_randomized_discrete` at the measured robustness, the exact one for this
    price; the curve of the limit of large b is not a bound at finite b.

    Args:
        family: parameter -> rule, see `measure_ski_rule`.
        parameters: (P,) numbers.
        b, predictions: as there.

    Returns:
        A `TradeoffCurve`.

    Raises:
        InputError: as there.
    """
    checks.function("family", family), checks.finite("parameters", parameters, ndim=1)
    measured = [measure_ski_rule(family(p), b, predictions=predictions) for p in parameters]
    consistency, robustness = (
        np.asarray([getattr(m, k) for m in measured]) for k in ("consistency", "robustness")
    )
    optimum = np.asarray(tradeoff_randomized_discrete(robustness, b))
    return TradeoffCurve(
        np.asarray(parameters, float), consistency, robustness, optimum, "consistency"
    )


def scheduling_curve(
    family: Callable[[float], Policy],
    parameters: Sequence[float],
    n: int,
    *,
    key: Array,
    instances: int = 100_000,
    wakes: int | None = None,
    **search: Any,
) -> TradeoffCurve:
    """Measure a family of scheduling policies on n jobs, beside the lower bound for n jobs.

    Consistency by search over correct predictions, robustness by search over all and by the proof's
    adversary; both are lower estimates, so a point may move away from the bound with more
    `instances`, never below it. Where the measured consistency is beyond round robin's 2n/(n+1) the
    optimum is that ratio.

    Args:
        family: parameter -> policy. A family of PyTrees, such as `lambda p: Partial(rates, p)` of
            `jax.tree_util` for a function rates(p, view), is compiled once; a family of closures
            once per parameter.
        parameters: (P,) numbers.
        n: jobs, from 2 on.
        key: typed key of the search.
        instances: tried at least.
        wakes: wake-ups that a policy may request.
        search: options of `worst_case_search`.

    Returns:
        A `TradeoffCurve`.

    Raises:
        InputError: values out of range, a policy that breaks its contract.
    """
    import jax

    n, instances = checks.count("n", n, 2), checks.count("instances", instances)
    (
        checks.function("family", family),
        checks.finite("parameters", parameters, ndim=1),
        checks.key("key", key),
    )
    consistency, robustness, witnesses = [], [], []
    for i, parameter in enumerate(parameters):
        policy = family(parameter)
        keys = jax.random.split(jax.random.fold_in(key, i))
        perfect, any_ = (
            worst_case_search(
                policy, n, key=k, instances=instances, perfect=p, wakes=wakes, **search
            )
            for k, p in zip(keys, (True, False), strict=True)
        )
        worst = max((any_, proof_adversary(policy, n, wakes=wakes)), key=lambda w: w.ratio)
        consistency.append(perfect.ratio)
        robustness.append(worst.ratio)
        witnesses.append(worst.instance)
    lam = np.clip(np.asarray(consistency) - 1, 0.0, (n - 1) / (n + 1))
    optimum = np.asarray(scheduling_lower_bound(n, lam))
    return TradeoffCurve(
        np.asarray(parameters, float),
        np.asarray(consistency),
        np.asarray(robustness),
        optimum,
        "robustness",
        tuple(witnesses),
    )
