"""What a measurement was sampled from, kept so that any confidence interval can be had.

A sample knows its estimate, its interval at a level, and how it is pooled with samples of other
base seeds. An `interval` of None says that the sample is too small for one.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

Interval = tuple[float, float]


class Sample(Protocol):
    """What every sample can say of itself."""

    @property
    def size(self) -> int:
        """How many values, trials, pairs or draws it has."""
        ...

    @property
    def estimate(self) -> float:
        """The number that is compared with the bounds."""
        ...

    def interval(self, level: float) -> Interval | None:
        """The confidence interval at a level such as 0.95; None for too small a sample."""
        ...


@dataclass(frozen=True)
class Mean:
    """Independent values, one per seed. The interval is Student's, of their mean."""

    values: tuple[float, ...]

    @property
    def size(self) -> int:
        """How many values, trials, pairs or draws it has."""
        return len(self.values)

    @property
    def estimate(self) -> float:
        """The number that is compared with the bounds."""
        if len(set(self.values)) == 1:
            # a mean of equal numbers is off by rounding, and may cross a bound by it
            return self.values[0]
        return float(np.mean(self.values)) if self.values else math.nan

    def interval(self, level: float) -> Interval | None:
        """The confidence interval at a level such as 0.95; None for too small a sample."""
        from scipy import stats

        if self.size < 2:
            return None
        spread = 0.0 if len(set(self.values)) == 1 else float(np.std(self.values, ddof=1))
        half = float(stats.t.isf((1 - level) / 2, self.size - 1)) * spread / math.sqrt(self.size)
        return self.estimate - half, self.estimate + half


@dataclass(frozen=True)
class GeometricMean:
    """Independent values above 0, one per seed: the exponential of the mean of their logarithms.

    The interval is Student's of that mean, transformed back. For ratios, of which one small
    denominator makes a mean that says little and an interval that reaches below 0.
    """

    values: tuple[float, ...]

    @property
    def size(self) -> int:
        """How many values, trials, pairs or draws it has."""
        return len(self.values)

    @property
    def estimate(self) -> float:
        """The number that is compared with the bounds."""
        if len(set(self.values)) == 1:
            # there and back through the logarithm is off by rounding, and may cross a bound by it
            return self.values[0]
        return math.exp(self._logs.estimate)

    def interval(self, level: float) -> Interval | None:
        """The confidence interval at a level such as 0.95; None for too small a sample."""
        found = self._logs.interval(level)
        if found is None or len(set(self.values)) == 1:
            return found and (self.values[0], self.values[0])
        low, high = np.exp(found)  # unlike math.exp gives infinity where few values differ wildly
        return float(low), float(high)

    @property
    def _logs(self) -> Mean:
        return Mean(tuple(float(v) for v in np.log(self.values)))


@dataclass(frozen=True)
class Share:
    """Successes in independent trials.

    The interval is that of Clopper and Pearson, which never covers too seldom.
    """

    successes: int
    trials: int

    @property
    def size(self) -> int:
        """How many values, trials, pairs or draws it has."""
        return self.trials

    @property
    def estimate(self) -> float:
        """The number that is compared with the bounds."""
        return self.successes / self.trials

    def interval(self, level: float) -> Interval | None:
        """The confidence interval at a level such as 0.95; None for too small a sample."""
        from scipy import stats

        tail, k, n = (1 - level) / 2, self.successes, self.trials
        low = float(stats.beta.ppf(tail, k, n - k + 1)) if k else 0.0
        return low, float(stats.beta.isf(tail, k + 1, n - k)) if k < n else 1.0


@dataclass(frozen=True)
class Correlation:
    """A correlation over independent pairs.

    The interval is Fisher's: normal in the inverse hyperbolic tangent.
    """

    value: float
    pairs: int

    @property
    def size(self) -> int:
        """How many values, trials, pairs or draws it has."""
        return self.pairs

    @property
    def estimate(self) -> float:
        """The number that is compared with the bounds."""
        return self.value

    @property
    def z(self) -> float:
        """The inverse hyperbolic tangent of the correlation, which is close to normal."""
        return math.atanh(min(max(self.value, -0.9999999), 0.9999999))

    def interval(self, level: float) -> Interval | None:
        """The confidence interval at a level such as 0.95; None for too small a sample."""
        from scipy import stats

        if self.pairs < 4 or math.isnan(self.value):
            return None
        half = float(stats.norm.isf((1 - level) / 2)) / math.sqrt(self.pairs - 3)
        return math.tanh(self.z - half), math.tanh(self.z + half)


@dataclass(frozen=True)
class Draws:
    """A statistic that is no mean, and its values on bootstrap draws.

    The interval is between their quantiles.
    """

    measured: float
    draws: tuple[float, ...]

    @property
    def size(self) -> int:
        """How many values, trials, pairs or draws it has."""
        return len(self.draws)

    @property
    def estimate(self) -> float:
        """The number that is compared with the bounds."""
        return self.measured

    def interval(self, level: float) -> Interval | None:
        """The confidence interval at a level such as 0.95; None for too small a sample."""
        if self.size < 2:
            return None
        low, high = np.quantile(self.draws, [(1 - level) / 2, (1 + level) / 2])
        return float(low), float(high)


def pooled(samples: Sequence[Sample]) -> Sample | None:
    """One sample from those of several base seeds; None when they are not of one kind.

    Values are put together, on the scale they were given on, successes and trials added,
    correlations averaged with the weights of Fisher's z. Of a statistic with bootstrap draws, the
    measured values of the base seeds are the sample.
    """
    kinds = {type(s) for s in samples}
    if len(kinds) != 1:
        return None
    if kinds == {Mean}:
        return Mean(tuple(v for s in samples if isinstance(s, Mean) for v in s.values))
    if kinds == {GeometricMean}:
        return GeometricMean(
            tuple(v for s in samples if isinstance(s, GeometricMean) for v in s.values)
        )
    if kinds == {Share}:
        shares = [s for s in samples if isinstance(s, Share)]
        return Share(sum(s.successes for s in shares), sum(s.trials for s in shares))
    if kinds == {Correlation} and min(s.size for s in samples) > 3:
        found = [s for s in samples if isinstance(s, Correlation)]
        weights = [s.pairs - 3 for s in found]
        z = float(np.average([s.z for s in found], weights=weights))
        return Correlation(math.tanh(z), sum(weights) + 3)
    return Mean(tuple(s.estimate for s in samples))
