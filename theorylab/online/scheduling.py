"""Non-clairvoyant scheduling in closed form: optimum, exact worst cases, bounds, hard instances.

Everything is exact; "lam" is the consistency minus one (WZ's lambda), "spjf_share" a the share of
the processor that preferential round robin gives to the predicted-shortest job.

Source: Wei, Zhang (2020, WZ), the two-stage schedule and the lower bound for every n; Purohit,
Svitkina, Kumar (2018, PSK), preferential round robin; exact costs and ratios:
docs/derivations/scheduling.md.
"""

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Array, ArrayLike, Float

from theorylab import checks
from theorylab.online.checks import MOST, answered, backend, jobs, within
from theorylab.precision import float64_inside
from theorylab.pytrees import register


@register()
@dataclass(frozen=True)
class Instance:
    """One or many instances.

    Attributes:
        sizes: (..., n).
        nudge: (..., n) infinitesimal parts of the sizes.
        predictions: (..., n).
    """

    sizes: Float[ArrayLike, "... n"]
    nudge: Float[ArrayLike, "... n"]
    predictions: Float[ArrayLike, "... n"]


@float64_inside
def opt_cost(sizes: Float[ArrayLike, "... n"]) -> Float[Array, "..."]:
    """Least sum of completion times: sum_j (n-j+1) x_(j) over increasing sizes, shortest first.

    Args:
        sizes: (..., n) >= 0.

    Returns:
        (...) costs.

    Raises:
        InputError: negative or non-finite sizes, or a cost beyond float64.

    Examples:
        >>> float(opt_cost([3.0, 1.0])), float(round_robin_cost([3.0, 1.0]))
        (5.0, 6.0)
    """
    x, _, _ = jobs(sizes, None, None)
    return _ordered(x, 1.0, 0.0)


def _ordered(x: Any, places: Any, shift: Any) -> Any:
    """Sum over increasing sizes x_(j) of (places (n-j+1) - shift) x_(j): nothing is subtracted."""
    xp = backend(x, places, shift)
    weights = xp.asarray(places)[..., None] * np.arange(x.shape[-1], 0, -1)
    with np.errstate(over="ignore"):
        cost = xp.sum(xp.sort(x, axis=-1) * (weights - xp.asarray(shift)[..., None]), axis=-1)
    return answered(cost, sizes=x)


@float64_inside
def round_robin_cost(sizes: Float[ArrayLike, "... n"]) -> Float[Array, "..."]:
    """Cost of round robin, 2 OPT - sum x exactly (statement 1).

    Args:
        sizes: (..., n) >= 0.

    Returns:
        (...) costs.

    Raises:
        InputError: negative or non-finite sizes, or a cost beyond float64.
    """
    x, _, _ = jobs(sizes, None, None)
    return _ordered(x, 2.0, 1.0)


@float64_inside
def prr_perfect_cost(sizes: Float[ArrayLike, "... n"], spjf_share: Any) -> Float[Array, "..."]:
    """Cost of preferential round robin on correct predictions: (2 OPT - (1-a) sum x) / (1+a).

    Exactly (statement 2). On wrong predictions run `schedule`.

    Args:
        sizes: (..., n) >= 0.
        spjf_share: a, in [0, 1].

    Returns:
        (...) costs.

    Raises:
        InputError: negative or non-finite sizes, a share out of range, or a cost beyond float64.

    Examples:
        >>> float(prr_perfect_cost([1.0, 2.0], 0.0)), float(prr_perfect_cost([1.0, 2.0], 1.0))
        (5.0, 4.0)
    """
    x, _, _ = jobs(sizes, None, None)
    a = within("spjf_share", spjf_share, 0.0, 1.0)
    checks.broadcast(**{"sizes (without the jobs)": x[..., :0].sum(-1), "spjf_share": a})
    return _ordered(x, 2 / (1 + a), (1 - a) / (1 + a))


@float64_inside
def prr_consistency(n: int, spjf_share: Any) -> Float[Array, "..."]:
    """Exact consistency of preferential round robin on n jobs, 2(n+a) / ((1+a)(n+1)).

    Attained by equal sizes (statement 2).

    Args:
        n: jobs.
        spjf_share: a, in [0, 1].

    Returns:
        The ratio, of the shape of a.

    Raises:
        InputError: a count below 1, a share out of range.
    """
    a = within("spjf_share", spjf_share, 0.0, 1.0)
    return 2 * (checks.count("n", n, 1, MOST) + a) / ((1 + a) * (n + 1))


@float64_inside
def prr_robustness(n: int, spjf_share: Any) -> Float[Array, "..."]:
    """Worst ratio of preferential round robin over all predictions, 2n / ((1-a)(n+1) + 2a).

    Attained by `prr_hard_instance`; proved for n = 2, for larger n never exceeded in search
    (statement 3).

    Args:
        n: jobs.
        spjf_share: a, in [0, 1].

    Returns:
        The ratio, of the shape of a.

    Raises:
        InputError: a count below 1, a share out of range.

    Examples:
        >>> round(float(prr_robustness(2, 0.5)), 6), round(float(prr_consistency(2, 0.5)), 6)
        (1.6, 1.111111)
    """
    a = within("spjf_share", spjf_share, 0.0, 1.0)
    return 2 * checks.count("n", n, 1, MOST) / ((1 - a) * (n + 1) + 2 * a)


@float64_inside
def prr_share(n: int, lam: Any) -> Float[Array, "..."]:
    """Share a at which preferential round robin on n jobs is (1+lam)-consistent.

    Args:
        n: jobs, from 2 on.
        lam: in [0, (n-1)/(n+1)].

    Returns:
        a, of the shape of lam.

    Raises:
        InputError: values out of range.
    """
    length = (1 + _lam(n, lam)) * (n + 1)
    return backend(length).clip((2 * n - length) / (length - 2), 0.0, 1.0)


class PrrGuarantees(NamedTuple):
    """Published ratios of preferential round robin.

    Attributes:
        robustness: 2 / (1 - a), with any predictions.
        consistency: 1 / a, with perfect ones.
        refined: (1 + a) / (2 a), with perfect ones, the smaller bound.
    """

    robustness: Float[Array, "..."]
    consistency: Float[Array, "..."]
    refined: Float[Array, "..."]


@float64_inside
def prr_guarantees(spjf_share: Any) -> PrrGuarantees:
    """Published guarantees of PSK: robustness 2/(1-a), consistency 1/a, refined (1+a)/(2a).

    They hold for every n and are not tight; see `prr_consistency` and `prr_robustness` for the
    exact values.

    Args:
        spjf_share: a, in ]0, 1[.

    Returns:
        `PrrGuarantees`, each of the shape of a.

    Raises:
        InputError: a share out of range, or so small that its inverse is beyond float64.
    """
    a = within("spjf_share", spjf_share, 0.0, 1.0, open_low=True, open_high=True)
    with np.errstate(over="ignore"):
        found = PrrGuarantees(2 / (1 - a), 1 / a, (1 + a) / (2 * a))
    return answered(found, spjf_share=a)


@float64_inside
def prr_hard_instance(n: int, spjf_share: float) -> Instance:
    """The worst case of preferential round robin (statement 3).

    A job predicted shortest ends together with n-1 jobs of size 1.

    Args:
        n: jobs.
        spjf_share: a, in [0, 1[.

    Returns:
        An `Instance` of n jobs.

    Raises:
        InputError: a count below 1, a share out of range.
    """
    a = float(within("spjf_share", spjf_share, 0.0, 1.0, open_high=True, ndim=0))
    sizes = np.ones(checks.count("n", n, 1))
    sizes[0] = (a * n + 1 - a) / (1 - a)
    predictions = np.ones(n)
    predictions[0] = 0.5
    return Instance(sizes, np.zeros(n), predictions)


def _lam(n: int, lam: Any) -> Any:
    end = (checks.count("n", n, 2, MOST) - 1) / (n + 1)
    value = within("lam", lam, 0.0, end + 1e-12)
    return backend(value).minimum(value, end)


@float64_inside
def scheduling_lower_bound(n: int, lam: Any) -> Float[Array, "..."]:
    """Robustness that no deterministic (1+lam)-consistent algorithm for n jobs can beat.

    (n + n(n+1) lam) / (1 + (n+1)(n+2) lam / 2); from n at lam = 0 to 2n/(n+1), the ratio of round
    robin, beyond which round robin is consistent enough. Attained for n = 2, and in search for n =
    3 and 4.

    Args:
        n: jobs.
        lam: in [0, (n-1)/(n+1)].

    Returns:
        The ratio, of the shape of lam.

    Raises:
        InputError: values out of range.

    Source:
        WZ's theorem for every n.

    Examples:
        >>> round(float(scheduling_lower_bound(2, 0.1)), 6)  # 1 + 1 / (1 + 6 lam)
        1.625
    """
    if checks.count("n", n) == 1:
        return 0 * within("lam", lam, 0.0) + 1
    lam = _lam(n, lam)
    return (n + n * (n + 1) * lam) / (1 + (n + 1) * (n + 2) * lam / 2)


@float64_inside
def two_stage_hard_ratios(n: int, lam: Any) -> Float[Array, "... n"]:
    """Ratios of the two-stage schedule on `two_stage_hard_instance(n, lam, k)` for k = 1..n.

    Lower estimates of its robustness (statement 4): from n = 5 on `two_stage_small_job_instances`
    can be worse.

    Args:
        n: jobs, from 2 on.
        lam: in [0, (n-1)/(n+1)].

    Returns:
        (..., n) ratios.

    Raises:
        InputError: values out of range.
    """
    share = (_lam(n, lam) * (n + 1) / (n - 1))[..., None]
    k = np.arange(1.0, n + 1)
    served = n * share  # time at which stage one ends
    cost = k * served + (1 - share) * k * (k + 1) / 2 + (n - k) * (served + k * (1 - share))
    opt = share * (n - k) * (n - k + 1) / 2 + k * (n - k) * share + k * (k + 1) / 2
    return cost / opt


@float64_inside
def two_stage_hard_instance(n: int, lam: float, correct: int = 1) -> Instance:
    """Equal predictions 1, some right, the others just above what stage one serves them.

    Args:
        n: jobs, from 2 on.
        lam: in [0, (n-1)/(n+1)].
        correct: how many jobs have size 1.

    Returns:
        An `Instance` of n jobs.

    Raises:
        InputError: values out of range.

    Source:
        docs/derivations/scheduling.md, statement 4.
    """
    checks.number("lam", lam)
    share = float(_lam(n, lam)) * (n + 1) / (n - 1)
    correct = checks.count("correct", correct, at_most=n)
    late = np.arange(n) >= correct
    if share >= 1:
        late[:] = False
    return Instance(np.where(late, share, 1.0), late.astype(float), np.ones(n))


@float64_inside
def two_stage_small_job_instances(n: int, lam: float, small: Float[ArrayLike, " s"]) -> Instance:
    """Instances with one small right job, which ends in stage one.

    Beside it a right job of size 1, and n-2 jobs predicted at 1 that are just above what stage one
    serves them. From n = 5 on they push the two-stage schedule above the lower bound, which equal
    predictions do from n = 6 on.

    Args:
        n: jobs, from 3 on.
        lam: in [0, (n-1)/(n+1)].
        small: (s,) sizes of the small job, in ]0, 1].

    Returns:
        An `Instance` of shape (s, n).

    Raises:
        InputError: values out of range.
    """
    size = within("small", small, 0.0, 1.0, open_low=True).reshape(-1, 1)
    n = checks.count("n", n, 3)
    checks.number("lam", lam)
    opt = n * size + n * (n - 1) / 2
    # in stage one, by jobs that outlast it
    served = (2 * float(_lam(n, lam)) * opt / (n - 1) - size) / (n - 1)
    ends = size <= served
    late = ends & (served < 1) & (np.arange(n) >= 2)
    sizes = np.where(late, served, np.where(np.arange(n) == 0, size, 1.0))
    predictions = np.where(np.arange(n) == 0, size, np.ones(n))
    return Instance(sizes, late.astype(float), np.broadcast_to(predictions, sizes.shape))


@float64_inside
def competitive_ratio(
    cost: Float[ArrayLike, "..."], sizes: Float[ArrayLike, "... n"]
) -> Float[Array, "..."]:
    """Compute cost / OPT, with 0/0 = 1: jobs of size 0 are served optimally.

    Of a cost above 0 for jobs that are all of size 0 it is infinite.

    Args:
        cost: (...) >= 0.
        sizes: (..., n) >= 0.

    Returns:
        (...) ratios.

    Raises:
        InputError: negative numbers, shapes that do not fit, or a ratio beyond float64.
    """
    paid, opt = within("cost", cost, 0.0), opt_cost(sizes)
    checks.broadcast(**{"cost": paid, "sizes (without the jobs)": opt})
    xp = backend(paid, opt)
    with np.errstate(over="ignore"):
        ratio = answered(xp.divide(paid, xp.where(opt == 0, 1.0, opt)), cost=paid, sizes=opt)
    return xp.where(opt == 0, xp.where(paid == 0, 1.0, xp.inf), ratio)
