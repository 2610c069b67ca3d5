"""One measured number, the bounds that a statement sets it, and its confidence interval.

A measurement that was sampled is judged by its interval: inside the bounds it *holds*, outside it
*fails*, across a bound it is *undecided*. All intervals of one claim hold together at
`FAMILY_LEVEL`, and so do those of each of its controls.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np

from theorylab.errors import InputError
from theorylab.lab.sample import (
    Correlation,
    Draws,
    GeometricMean,
    Interval,
    Mean,
    Sample,
    Share,
)

Outcome = Literal["holds", "fails", "undecided"]
# How often at most one of the intervals of a claim may miss, when all are asked together
# (Bonferroni).
FAMILY_LEVEL = 0.05
REDRAWS = 1000  # bootstrap draws of the seeds


@dataclass(frozen=True)
class Evidence:
    """One measured number and the closed interval `[low, high]` in which the claim says it lies.

    Attributes:
        label: what was measured.
        measured: the number.
        low, high: the bounds, of the statement and never of the run.
        sample: what the number was sampled from; None for an exact number. `over_seeds`, `share`,
            `correlation`, `bootstrap` and `resampled` make evidence with one.
        seeds: over how many seeds it was measured, for the reader.
        error: how often the confidence interval may miss; `jointly` divides `FAMILY_LEVEL` among
            the evidence of a claim.
    """

    label: str
    measured: float
    low: float = -math.inf
    high: float = math.inf
    sample: Sample | None = None
    seeds: int = 1
    error: float = FAMILY_LEVEL

    @property
    def holds(self) -> bool:
        """Whether the measured number itself is inside the bounds, whatever its interval."""
        return bool(self.finite and self.low <= self.measured <= self.high)

    @property
    def finite(self) -> bool:
        """Whether the measured number is finite."""
        return math.isfinite(self.measured)

    @property
    def interval(self) -> Interval | None:
        """The confidence interval; None when exact, or sampled too little for one."""
        return self.sample.interval(1 - self.error) if self.sample and self.finite else None

    @property
    def outcome(self) -> Outcome:
        """By the interval: inside the bounds, outside of them, or across one.

        Without an interval, by the number.
        """
        interval = self.interval
        if interval is None:
            return "holds" if self.holds else "fails"
        if self.low <= interval[0] and interval[1] <= self.high:
            return "holds"
        return "fails" if interval[1] < self.low or self.high < interval[0] else "undecided"

    @property
    def margin(self) -> float:
        """Distance to the nearer bound; negative outside."""
        return min(self.measured - self.low, self.high - self.measured)


def over_seeds(
    label: str,
    values: Any,
    low: float = -math.inf,
    high: float = math.inf,
    scale: Literal["linear", "log"] = "linear",
) -> Evidence:
    """Make evidence from one value per seed: their mean, with the Student interval of the mean.

    Ratios of positive quantities are judged on the log scale: a seed at which the denominator is
    small hides on the linear one that all seeds exceed the bound. Not for differences, nor for
    what is divided by one: they may not be above 0.

    Args:
        label: what was measured.
        values: one number per seed. One that is not finite makes a measurement that is not finite,
            which fails a claim.
        low, high: the bounds of the statement, in the units of the values on both scales.
        scale: "linear"; or "log", for values above 0: the geometric mean, whose interval is
            Student's of the mean logarithm, transformed back. It lies within the bounds where that
            of the logarithms lies within theirs.

    Returns:
        `Evidence`.

    Raises:
        InputError: a value that is not above 0, on the log scale.

    Examples:
        >>> found = over_seeds("accuracy", [0.91, 0.93, 0.92], low=0.9)
        >>> round(found.measured, 4), found.outcome
        (0.92, 'undecided')
        >>> ratios = [60.0, 90.0, 300.0]
        >>> [over_seeds("ratio", ratios, low=5, scale=s).outcome for s in ("linear", "log")]
        ['undecided', 'holds']
    """
    numbers = tuple(np.asarray(values, dtype=np.float64).ravel().tolist())
    if scale == "log" and any(v <= 0 for v in numbers):
        raise InputError(
            f"over_seeds {label!r}: {min(numbers):.6g} has no logarithm; the log scale needs "
            "values above 0. Compare what may be 0 or below by a difference"
        )
    sample = GeometricMean(numbers) if scale == "log" else Mean(numbers)
    return Evidence(label, sample.estimate, low, high, sample, sample.size)


def share(
    label: str,
    successes: int,
    trials: int,
    low: float = -math.inf,
    high: float = math.inf,
    seeds: int = 1,
) -> Evidence:
    """Make evidence from independent trials: the share of successes.

    With the interval of Clopper and Pearson.

    Args:
        label: what was measured.
        successes, trials: whole numbers, 0 <= successes <= trials.
        low, high: the bounds of the statement.
        seeds: over how many seeds, for the reader.

    Returns:
        `Evidence`.

    Raises:
        InputError: no trial, or more successes than trials.
    """
    if not (trials >= 1 and 0 <= successes <= trials):
        raise InputError(
            f"share {label!r}: {successes} successes in {trials} trials; give 0 <= successes <= "
            "trials, and at least one trial"
        )
    sample = Share(int(successes), int(trials))
    return Evidence(label, sample.estimate, low, high, sample, seeds)


def correlation(
    label: str, value: float, pairs: int, low: float = -1.0, high: float = 1.0, seeds: int = 1
) -> Evidence:
    """Make evidence from a correlation over independent pairs.

    With Fisher's interval, from four pairs on.

    Args:
        label: what was measured.
        value: the correlation.
        pairs: how many.
        low, high: the bounds of the statement.
        seeds: over how many seeds, for the reader.

    Returns:
        `Evidence`.

    Raises:
        InputError: a value outside [-1, 1], a count below 1.
    """
    return Evidence(label, float(value), low, high, Correlation(float(value), int(pairs)), seeds)


def resampled(
    label: str,
    measured: float,
    draws: Any,
    low: float = -math.inf,
    high: float = math.inf,
    seeds: int = 1,
) -> Evidence:
    """Make evidence from a statistic that is no mean and its bootstrap draws.

    With their percentile interval. The interval of m measurements needs quantiles at .025 / m, so
    give at least 100 m draws. Over seeds, `bootstrap` draws by itself.

    Args:
        label: what was measured.
        measured: the statistic of the sample itself.
        draws: its values on bootstrap draws.
        low, high: the bounds of the statement.
        seeds: over how many seeds, for the reader.

    Returns:
        `Evidence`.

    Raises:
        InputError: draws that are not finite.
    """
    sample = Draws(float(measured), tuple(np.asarray(draws, dtype=np.float64).ravel().tolist()))
    if not np.isfinite(sample.draws).all():
        raise InputError(
            f"resampled {label!r}: a draw is not finite; draw again where the statistic is not "
            "defined"
        )
    return Evidence(label, sample.measured, low, high, sample, seeds)


def bootstrap(
    label: str,
    statistic: Callable[..., float],
    arrays: Sequence[np.ndarray],
    low: float = -math.inf,
    high: float = math.inf,
) -> Evidence:
    """Make evidence from a statistic of arrays, with a bootstrap over the seeds.

    The same draws in all arrays. Draws on which the statistic is not defined (not finite) are left
    out.

    Args:
        label: what was measured.
        statistic: of the arrays.
        arrays: (seeds, ...) each.
        low, high: the bounds of the statement.

    Returns:
        `Evidence`.

    Raises:
        InputError: arrays of different numbers of seeds.
    """
    count = len(arrays[0])
    drawn = np.sort(np.random.default_rng(0).integers(count, size=(REDRAWS, count)), axis=1)
    # few seeds have few different draws: each is computed once
    distinct, which = np.unique(drawn, axis=0, return_inverse=True)
    with np.errstate(divide="ignore", invalid="ignore"):
        values = np.array([float(statistic(*(a[at] for a in arrays))) for at in distinct])[
            which.ravel()
        ]
    return resampled(
        label, float(statistic(*arrays)), values[np.isfinite(values)], low, high, count
    )


def jointly(evidence: Sequence[Evidence]) -> tuple[Evidence, ...]:
    """The same evidence with intervals that hold all together at `FAMILY_LEVEL`.

    Each gets its share of the error.
    """
    sampled = sum(e.interval is not None for e in evidence)
    return tuple(replace(e, error=FAMILY_LEVEL / max(sampled, 1)) for e in evidence)


def number_json(x: float) -> float | str | None:
    """A number as the records hold it: six significant digits, None for an infinity."""
    return None if math.isinf(x) else "nan" if math.isnan(x) else float(f"{x:.6g}")


def evidence_json(e: Evidence) -> dict[str, Any]:
    """What a record holds of one measurement."""
    interval = [number_json(x) for x in e.interval] if e.interval else None
    return {
        "label": e.label,
        "measured": number_json(e.measured),
        "low": number_json(e.low),
        "high": number_json(e.high),
        "interval": interval,
        "seeds": e.seeds,
        "holds": e.holds,
        "outcome": e.outcome,
    }
