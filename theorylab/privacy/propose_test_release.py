"""Propose, test, release: a guarantee that needs no promise about the data.

The sensitivity of a pre-processing is bounded only on nice data sets (an eigengap, a median among
close neighbours). The test asks, privately, how many records would have to be replaced before the
data stop being nice, and releases only when that *margin* is comfortable. Margins here change by
at most 1 when one record is replaced.
Sources: Dwork & Lei 2009; the margins and the guarantee:
docs/derivations/private_preprocessing.md, statement 6.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import jax
import numpy as np

from theorylab import checks
from theorylab.errors import InputError
from theorylab.privacy.online.keys import spend
from theorylab.privacy.preprocessing import eigengaps
from theorylab.privacy.sensitivity import TURN

T = TypeVar("T")


@dataclass(frozen=True)
class Released(Generic[T]):
    """The outcome of a private test.

    Attributes:
        passed: whether the test passed; this is public.
        value: what was released, None where the test failed.
    """

    passed: bool
    value: T | None


@dataclass(frozen=True)
class MarginTest:
    """A private test whether the data are far from those that are not nice.

    Args:
        epsilon: what the test may cost, above 0.
        delta: probability of releasing although the margin is 0, above 0 and below 1/2.

    Raises:
        InputError: an argument out of range.
    """

    epsilon: float
    delta: float

    def __post_init__(self) -> None:
        """Refuse budgets that are none."""
        checks.number("epsilon", self.epsilon, 0.0, open_low=True)
        checks.number("delta", self.delta, 0.0, 0.5, open_low=True, open_high=True)

    @property
    def threshold(self) -> float:
        """Noisy margins up to this one fail: log(1 / (2 delta)) / epsilon."""
        return math.log(1 / (2 * self.delta)) / self.epsilon

    @property
    def failure_probability(self) -> float:
        """What to add to the delta of what is released: e^epsilon delta; epsilon adds as it is.

        It is 1 where that is above 1, and the whole then guarantees nothing.
        """
        return math.exp(min(self.epsilon, -math.log(self.delta))) * self.delta

    def release_probability(self, margin: float) -> float:
        """How probable it is that data of this margin pass.

        Args:
            margin: at least 0.

        Returns:
            A probability.

        Raises:
            InputError: a negative margin.
        """
        above = self.epsilon * (float(checks.number("margin", margin, 0.0)) - self.threshold)
        return math.exp(above) / 2 if above <= 0 else 1 - math.exp(-above) / 2

    def margin_needed(self, failure: float) -> float:
        """The margin at which data pass but for this probability.

        Args:
            failure: probability of not passing, above 0 and at most 1/2.

        Returns:
            threshold + log(1 / (2 failure)) / epsilon.

        Raises:
            InputError: a probability out of range.
        """
        missed = float(checks.number("failure", failure, 0.0, 0.5, open_low=True))
        return self.threshold - math.log(2 * missed) / self.epsilon

    def release(
        self, mechanism: Callable[[jax.Array], T], *, margin: float, key: jax.Array
    ) -> Released[T]:
        """Run the mechanism when the data pass the test.

        The whole is (epsilon of the mechanism + epsilon, its delta + failure_probability)-private
        on all data sets, for a mechanism whose guarantee holds on the nice ones.

        Args:
            mechanism: from a key, that has not been used, to what is released.
            margin: of the data, from a margin function of this module.
            key: typed key; it is spent, and refused if it was used before.

        Returns:
            Whether the test passed, and what was released.

        Raises:
            InputError: an argument of another kind, or a key that was used before.
        """
        checks.function("mechanism", mechanism)
        distance = float(checks.number("margin", margin, 0.0))
        test_key, run_key = jax.random.split(spend(key))
        with jax.enable_x64(True):
            noise = float(jax.random.laplace(test_key, dtype=np.float64)) / self.epsilon
        passed = distance + noise > self.threshold
        return Released(passed, mechanism(run_key) if passed else None)


def eigengap_margin(records: Any, *, rank: int, eigengap: float, centred: bool = False) -> float:
    """A lower bound on the replacements that bring the eigengap below its bound.

    Args:
        records: (n, d) in the unit ball.
        rank: number of principal directions.
        eigengap: the bound of `sensitivity.pca_projection`, in (0, 1].
        centred: whether the mean is subtracted first (its `centre` is not "none").

    Returns:
        max(0, n (gap - eigengap) / 2): one replacement moves the gap by at most 2 / n, centred by
        at most 3√3 / n.

    Raises:
        InputError: an argument out of range.
    """
    rows = np.asarray(checks.finite("records", records, ndim=2), np.float64)
    bound = float(checks.number("eigengap", eigengap, 0.0, 1.0, open_low=True))
    least = float(eigengaps(rows, rank=rank, centred=centred)) - bound
    return max(0.0, len(rows) * least / (2 * TURN["covariance" if centred else "none"]))


def std_margin(column: Any, *, min_std: float) -> float:
    """A lower bound on the replacements that bring the standard deviation below its bound.

    Args:
        column: (n,) entries in [-1, 1].
        min_std: the bound of `sensitivity.standard_scaling`, in (0, 1].

    Returns:
        max(0, n (variance - min_std²) / 4): one replacement moves the variance by at most 4 / n.

    Raises:
        InputError: an argument out of range.
    """
    entries = np.asarray(checks.within("column", column, -1.0, 1.0, ndim=1), np.float64)
    bound = float(checks.number("min_std", min_std, 0.0, 1.0, open_low=True))
    return max(0.0, entries.size * (float(entries.var()) - bound**2) / 4)


def missing_margin(records: Any, *, missing: int) -> float:
    """How many records would have to be replaced before more than this many are missing.

    Args:
        records: (n, ...) with NaN in the missing ones.
        missing: the bound of the imputations, below n.

    Returns:
        max(0, missing + 1 - the number that is missing).

    Raises:
        InputError: an argument out of range.
    """
    rows = np.asarray(checks.real("records", records), np.float64)
    if rows.ndim == 0:
        raise InputError(f"records = {checks.shown(records)}; an array of records is needed")
    bound = checks.count("missing", missing, at_least=0, at_most=max(len(rows) - 1, 0))
    gone = int(np.isnan(rows.reshape(len(rows), -1)).any(1).sum())
    return float(max(0, bound + 1 - gone))


def median_margin(column: Any, *, gap: float) -> float:
    """How many replacements bring a gap beside the lower median above its bound.

    After j replacements the gap is at most the widest stretch of j + 2 neighbouring order
    statistics around the median; entries beyond the ends are at -1 and 1.

    Args:
        column: (n,) entries in [-1, 1], without missing ones.
        gap: the bound of `sensitivity.median_imputation`, in (0, 2].

    Returns:
        The number, 0 where a gap is above the bound already.

    Raises:
        InputError: an argument out of range.
    """
    entries = np.sort(np.asarray(checks.within("column", column, -1.0, 1.0, ndim=1), np.float64))
    bound = float(checks.number("gap", gap, 0.0, 2.0, open_low=True))
    n = entries.size
    padded = np.concatenate([np.full(n + 1, -1.0), entries, np.ones(n + 1)])
    middle = n + 1 + (n - 1) // 2
    for replaced in range(n):
        ends = middle + np.arange(replaced + 2)
        if (padded[ends] - padded[ends - replaced - 1]).max() > bound:
            return float(replaced)
    return float(n)
