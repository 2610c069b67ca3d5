"""The best possible ski rental: optimal distributions, trade-off curves, LP, certificates.

A gamma-robust algorithm (ratio at most gamma for every prediction) has consistency at least

    beta*_b(gamma) = max_m  rho^m - gamma (rho^m - 1 - m/b),  rho = b/(b-1)   on whole days, price b
    beta*(gamma)   = gamma ln(1 + 1/(gamma-1))                                as b grows

and both are attained. The second is a limit: at finite b algorithms lie *below* it, so test them
against the first.

Source: Wei, Zhang (2020, WZ), theorem for randomised ski rental; at finite b our derivation,
docs/derivations/ski_rental.md, statements 3 and 4.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Array, ArrayLike, Float

from theorylab import checks
from theorylab.errors import InputError
from theorylab.online.checks import backend, price, within
from theorylab.precision import float64_inside, is_traced
from theorylab.pytrees import register


@float64_inside
def smallest_robustness(b: int | None = None) -> Any:
    """Least robustness of any randomised algorithm: 1/(1-(1-1/b)^b), and e/(e-1) as b grows.

    Args:
        b: price; None for the limit.

    Returns:
        The ratio.

    Raises:
        InputError: a price below 2.

    Examples:
        >>> round(float(smallest_robustness(10)), 6), round(float(smallest_robustness()), 6)
        (1.53534, 1.581977)
    """
    return np.asarray(
        -1 / np.expm1(-1.0) if b is None else -1 / np.expm1(price(b) * np.log1p(-1 / b))
    )


@float64_inside
def tradeoff_deterministic(gamma: Any) -> Float[Array, "..."]:
    """Least consistency of gamma-robust deterministic algorithms as b grows, 1 + 1/(gamma-1).

    Args:
        gamma: robustness, >= 1.

    Returns:
        The ratio, of the shape of gamma; infinite below 2.

    Raises:
        InputError: values below 1.
    """
    g = within("gamma", gamma, 1.0)
    xp = backend(g)
    return xp.where(g >= 2 - 1e-12, 1 + 1 / xp.maximum(g - 1, 1e-300), xp.inf)


@float64_inside
def tradeoff_randomized(gamma: Any) -> Float[Array, "..."]:
    """Least consistency of gamma-robust algorithms as b grows, gamma ln(1 + 1/(gamma-1)).

    Args:
        gamma: robustness, >= 1.

    Returns:
        The ratio, of the shape of gamma; infinite below e/(e-1): no algorithm is that robust.

    Raises:
        InputError: values below 1.
    """
    g = within("gamma", gamma, 1.0)
    xp = backend(g)
    bounded = xp.clip(g, 1 + 1e-9, 1e300)
    value = xp.where(xp.isinf(g), 1.0, bounded * xp.log1p(1 / (bounded - 1)))
    return xp.where(g >= smallest_robustness() - 1e-12, value, xp.inf)


@float64_inside
def tradeoff_randomized_discrete(gamma: Any, b: int) -> Float[Array, "..."]:
    """Least consistency of gamma-robust algorithms at price b.

    `optimal_buy_distribution` attains it; it equals the optimum of the LP. For large predictions
    (from about 2b), where it is largest.

    Args:
        gamma: robustness, >= 1.
        b: price.

    Returns:
        The ratio, of the shape of gamma; infinite below `smallest_robustness(b)`.

    Raises:
        InputError: values out of range.

    Examples:
        >>> round(float(tradeoff_randomized_discrete(2.0, 10)), 6)  # below 2 ln 2 = 1.386294
        1.318324
    """
    b = price(b)
    g = within("gamma", gamma, 1.0)
    xp = backend(g)
    finite = xp.clip(g, 1 + 1e-9, 1e15)
    m = xp.clip(xp.floor(_kappa(finite) / -np.log1p(-1 / b)), 0, b - 1)
    # The maximum over m is flat to first order, but rounding can miss it by one.
    value = xp.stack([_dual_value(finite, b, xp.clip(m + d, 0, b)) for d in (-1, 0, 1)]).max(0)
    return xp.where(
        g >= smallest_robustness(b) * (1 - 1e-12), xp.where(xp.isinf(g), 1.0, value), xp.inf
    )


def _kappa(gamma: Any) -> Any:
    return backend(gamma).log1p(1 / (gamma - 1))


def _dual_value(gamma: Any, b: int, m: Any) -> Any:
    growth = backend(gamma, m).expm1(-m * np.log1p(-1 / b))  # rho^m - 1
    return 1 + growth - gamma * (growth - m / b)


@float64_inside
def optimal_buy_distribution(b: int, gamma: Any) -> Float[Array, " b"]:
    """Probabilities of the buying days of the optimal gamma-robust algorithm.

    For large predictions. Survival S_x = P(J >= x) = gamma - (gamma-1) (b/(b-1))^(x-1) where
    positive: it buys as early as robustness allows.

    Args:
        b: price.
        gamma: robustness, one number.

    Returns:
        (b,) probabilities; NaN under jit below the least robustness.

    Raises:
        InputError: a gamma below `smallest_robustness(b)`.

    Examples:
        >>> optimal_buy_distribution(5, 2.0).round(6).tolist()
        [0.25, 0.3125, 0.390625, 0.046875, 0.0]
    """
    b = price(b)
    least = float(smallest_robustness(b))
    g = within("gamma", gamma, least * (1 - 1e-12), open_high=True, ndim=0)  # vmap over many
    xp = backend(g)
    survival = g - (g - 1) * np.exp(-np.arange(b) * np.log1p(-1 / b))
    survival = xp.append(xp.maximum(survival, 0.0), 0.0)
    return xp.where(g >= least * (1 - 1e-12), survival[:-1] - survival[1:], xp.nan)


@dataclass(frozen=True)
class LPOptimum:
    """Optimum of the linear programme of ski rental.

    Attributes:
        consistency: at the prediction.
        distribution: (M,) probabilities of the buying days.
        multipliers: (M,) of the robustness constraints.
    """

    consistency: float
    distribution: np.ndarray
    multipliers: np.ndarray


def consistency_lp(
    b: int, prediction: int, gamma: float, *, max_days: int | None = None
) -> LPOptimum:
    """Least expected ratio at one prediction under gamma-robustness, by SciPy's HiGHS on the host.

    A reference for `tradeoff_randomized_discrete`, and for small predictions, where there is no
    closed form here. Not jit-able. Over distributions on the buying days 1..M with mass 1, with
    constraints for seasons of 1..M days.

    Args:
        b: price.
        prediction: days, from 1 on.
        gamma: robustness.
        max_days: M, by default the larger of 4b and the prediction.

    Returns:
        An `LPOptimum`.

    Raises:
        InputError: no distribution is gamma-robust, or values out of range.
    """
    from scipy.optimize import linprog

    b, y = price(b), checks.count("prediction", prediction, 1)
    g = float(within("gamma", gamma, 1.0, open_high=True, ndim=0))
    days = checks.count("max_days", max(4 * b, y) if max_days is None else max_days, b)
    j, x = np.arange(1.0, days + 1), np.arange(1.0, days + 1)[:, None]
    costs = np.where(x < j, x, j - 1 + b)
    objective = np.where(y < j, y, j - 1 + b) / min(y, b)
    # Dividing each constraint by OPT puts all of them on one scale.
    found = linprog(
        objective,
        A_ub=costs / np.minimum(x, b),
        b_ub=np.full(days, g),
        A_eq=np.ones((1, days)),
        b_eq=[1.0],
        bounds=(0, None),
        method="highs",
        options={"primal_feasibility_tolerance": 1e-10, "dual_feasibility_tolerance": 1e-10},
    )
    if found.status == 2:
        least = float(smallest_robustness(b))
        raise InputError(
            f"gamma = {g:g} is infeasible at b = {b}; needed: at least {least:.6g} (and a larger "
            "max_days)."
        )
    if not found.success:
        raise RuntimeError(
            f"HiGHS did not solve the LP at b={b}, prediction={y}, gamma={g}: {found.message}"
        )
    return LPOptimum(float(found.fun), np.asarray(found.x), -np.asarray(found.ineqlin.marginals))


@register()
@dataclass(frozen=True)
class Certificate:
    """Proof that no gamma-robust algorithm is more consistent: a hard law of seasons (Yao).

    Attributes:
        value: the bound on the consistency.
        seasons, weights: (m,) lengths and their weights, beside weight 1 on an endless season; in
            days, or (continuous) on a midpoint grid in units of b.
        cost: what every buying time costs at least under them.
    """

    value: Any
    seasons: Any
    weights: Any
    cost: Any


@float64_inside
def dual_certificate(gamma: Any, b: int, *, length: int | None = None) -> Certificate:
    """Certify the optimum at price b: weights w_j = rho^(m-j) / (b (b-1)) on seasons j = 1..m.

    Buying on any of the days 1..m+1 then costs exactly rho^m, and the bound is rho^m - gamma (rho^m
    - 1 - m/b).

    Args:
        gamma: robustness > 1.
        b: price.
        length: m, at most b; by default the best one, whose value is
            `tradeoff_randomized_discrete(gamma, b)`.

    Returns:
        A `Certificate`.

    Raises:
        InputError: values out of range; a missing `length` under jit.
    """
    b = price(b)
    g = within("gamma", gamma, 1.0, open_low=True, open_high=True)
    if length is None:
        checks.real("gamma", g, ndim=0)  # the best length is that of one gamma
        if is_traced(g):
            raise InputError("length is missing; needed under jit, where the best one is unknown.")
        length = int(np.argmax(_dual_value(g, b, np.arange(b + 1.0))))
    length = checks.count("length", length, 0, b)
    j, log_step = np.arange(1.0, length + 1), np.log1p(-1 / b)
    weights = np.exp((j - length) * log_step) / (b * (b - 1))
    return Certificate(_dual_value(g, b, length), j, weights, np.exp(-length * log_step))


@float64_inside
def continuous_certificate(gamma: Any, kappa: Any = None, *, points: int = 1000) -> Certificate:
    """Certify the limit of large b: weights e^(kappa-x) on seasons x in (0, kappa).

    Buying at any time in [0, kappa] costs exactly e^kappa, and the bound is e^kappa - gamma
    (e^kappa - 1 - kappa), in units of b.

    Args:
        gamma: robustness > 1.
        kappa: in [0, 1]; the best one, the default, is ln(gamma/(gamma-1)), whose value is
            `tradeoff_randomized(gamma)`.
        points: of the grid.

    Returns:
        A `Certificate`.

    Raises:
        InputError: values out of range.

    Source:
        WZ, proof of the theorem for randomised ski rental.
    """
    g = within("gamma", gamma, 1.0, open_low=True, open_high=True)
    if kappa is None:
        checks.real("gamma", g, ndim=0)  # the grid is that of one kappa
    k = _kappa(g) if kappa is None else within("kappa", kappa, 0.0, 1.0, ndim=0)
    points = checks.count("points", points)
    xp = backend(g, k)
    x = (np.arange(points) + 0.5) / points * k
    return Certificate(xp.exp(k) - g * (xp.expm1(k) - k), x, xp.exp(k - x), xp.exp(k))


@float64_inside
def exponential_density(t: Float[ArrayLike, "..."], kappa: Any) -> Float[Array, "..."]:
    """The optimal density e^t / (e^kappa - 1) of the buying time on [0, kappa].

    In continuous time, units of b.

    Args:
        t: times >= 0.
        kappa: end of the support, > 0.

    Returns:
        Densities, of the common shape; 0 beyond kappa.

    Raises:
        InputError: values out of range, shapes that do not broadcast.
    """
    # e^700 is a float64
    t, k = within("t", t, 0.0), within("kappa", kappa, 0.0, 700.0, open_low=True)
    checks.broadcast(t=t, kappa=k)
    xp = backend(t, k)
    return xp.where(t <= k, xp.exp(xp.minimum(t, k)) / xp.expm1(k), 0.0)


def continuous_ratios(
    density: Any, support: float, seasons: Float[ArrayLike, " s"], *, nodes: int = 64
) -> Float[Array, " s"]:
    """Expected cost over min(x, 1) in continuous time for a density of the buying time.

    In units of b. Gauss-Legendre with `nodes` nodes on either side of each season.

    Args:
        density: a smooth function of an array of times; the mass that it lacks to 1 buys at time
            `support` exactly, so `lambda t: 0 * t` is the deterministic algorithm.
        support: end of the density's support.
        seasons: (s,) lengths > 0 in units of b, infinity allowed.
        nodes: of the quadrature.

    Returns:
        (s,) ratios.

    Raises:
        InputError: a mass above 1, values out of range.
    """
    density = checks.function("density", density)
    end = np.asarray(within("support", support, 0.0, open_high=True, ndim=0))
    x = np.atleast_1d(np.asarray(within("seasons", seasons, 0.0, open_low=True, ndim=(0, 1))))
    at, weight = np.polynomial.legendre.leggauss(checks.count("nodes", nodes, 2))

    def integral(low: Any, high: Any, buying: bool) -> np.ndarray:
        t = low + (high - low) * (at + 1) / 2
        p = np.asarray(checks.finite("density (what it gave)", density(t)), np.float64)
        if p.shape not in ((), t.shape):
            raise InputError(
                f"density gave shape {p.shape} for times {t.shape}; the same shape is needed"
            )
        return ((high - low) / 2 * weight * p * ((1 + t) if buying else 1.0)).sum(-1)

    cut = np.minimum(x, end)[:, None]
    bought, before, after = (
        integral(0.0, cut, True),
        integral(0.0, cut, False),
        integral(cut, end, False),
    )
    atom = 1 - before - after
    if (atom < -1e-6).any():
        raise InputError(f"density has mass {1 - atom.min():g} on [0, {end:g}]; needed: at most 1.")
    later = np.where(x < end, x, 0.0)  # those who buy after the season rent throughout
    cost = bought + later * after + atom * np.where(x < end, x, 1 + end)
    return cost / np.minimum(x, 1.0)
