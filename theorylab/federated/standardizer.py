"""Zero mean and unit variance over all clients' features, from 2p + 1 numbers per client."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from jax.typing import ArrayLike
from jaxtyping import Bool, Float

from theorylab import checks
from theorylab.errors import InputError
from theorylab.federated.clients import each
from theorylab.overflow import in_range

_COLUMNS = 4096  # columns in float64 at once


class Moments(NamedTuple):
    """What one client sends of its features, in float64.

    Attributes:
        n: number of its examples.
        mean: (p,) means.
        m2: (p,) sums of squared deviations from them.

    Source:
        Chan, Golub, LeVeque (1983).
    """

    n: int
    mean: Float[np.ndarray, " p"]
    m2: Float[np.ndarray, " p"]


@dataclass(frozen=True)
class Standardizer:
    """The affine map (F - mean) / scale, the same for training and test features.

    Attributes:
        mean, scale: (p,) mean and population standard deviation; scale 1 where a column is
            constant.
        varies: (p,) False at constant columns (the head's bias, dead units).
        n: examples behind the statistics.

    Source:
        the pooled statistics of our derivation, docs/derivations/federated_least_squares.md,
        statements 7 and 10.
    """

    mean: Float[np.ndarray, " p"]
    scale: Float[np.ndarray, " p"]
    varies: Bool[np.ndarray, " p"]
    n: int

    @property
    def live(self) -> int:
        """Number of columns that vary.

        It is trace(Phi Phi^T) / n of the standardised training features.
        """
        return int(self.varies.sum())

    def apply(self, F: Float[ArrayLike, "n p"]) -> Float[np.ndarray, "n p"]:
        """Standardised features, in the precision of `F`."""
        F = np.asarray(checks.finite("F", F))
        if F.shape[-1:] != self.mean.shape:
            raise InputError(f"F has shape {F.shape}; (n, {len(self.mean)}) is needed")
        out = np.empty(F.shape, F.dtype if np.issubdtype(F.dtype, np.floating) else np.float64)
        for j in range(0, F.shape[-1], _COLUMNS):
            c = slice(j, j + _COLUMNS)
            out[..., c] = (F[..., c] - self.mean[c]) / self.scale[c]
        return out


@in_range()
def client_moments(F: Float[ArrayLike, "n_i p"]) -> Moments:
    """Compute what a client sends of its own features.

    Args:
        F: (n_i, p) features.

    Returns:
        Its `Moments`.

    Raises:
        InputError: no example, or NaN.

    Source:
        Chan, Golub, LeVeque (1983).
    """
    return _moments("F", F)


def _moments(name: str, F: Float[ArrayLike, "n_i p"]) -> Moments:
    F = np.asarray(checks.finite(name, F, ndim=2))
    mean, m2 = np.empty(F.shape[1]), np.empty(F.shape[1])
    for j in range(0, F.shape[1], _COLUMNS):
        c = slice(j, j + _COLUMNS)
        part = F[:, c].astype(np.float64)
        mean[c] = part.mean(0)
        m2[c] = np.square(part - mean[c]).sum(0)
    return Moments(len(F), mean, m2)


def combine_moments(moments: Sequence[Moments]) -> Moments:
    """Pool the moments of several clients: those of the union of their examples.

    M2 = sum_i M2_i + sum_i n_i (mean_i - mean)^2, which does not cancel as sums of squares do.

    Args:
        moments: one `Moments` per client.

    Returns:
        The pooled `Moments`.

    Raises:
        InputError: no client, or columns that do not fit.

    Source:
        Chan, Golub, LeVeque (1983); docs/derivations/federated_least_squares.md, statement 10.

    Examples:
        >>> parts = [np.array([[0.0], [2.0]]), np.array([[7.0]])]
        >>> pooled = combine_moments([client_moments(part) for part in parts])
        >>> pooled.n, pooled.mean.round(9).tolist(), pooled.m2.round(9).tolist()
        (3, [3.0], [26.0])
    """
    moments = [
        checks.instance("moments", m, Moments, "client_moments(F) of every client")
        for m in each("moments", moments)
    ]
    if len({np.shape(a) for m in moments for a in (m.mean, m.m2)}) != 1:
        raise InputError(
            f"moments of {len(moments)} clients; at least one, all with the same columns, is needed"
        )
    for i, m in enumerate(moments):
        checks.count(f"moments: n of client {i}", m.n)
        (
            checks.finite(f"moments: mean of client {i}", m.mean),
            checks.nonnegative(f"moments: m2 of client {i}", m.m2),
        )
    n = sum(m.n for m in moments)
    mean = np.sum([(m.n / n) * m.mean for m in moments], 0)
    return Moments(n, mean, np.sum([m.m2 + m.n * np.square(m.mean - mean) for m in moments], 0))


def federated_standardizer(feature_blocks: Sequence[Float[ArrayLike, "n_i p"]]) -> Standardizer:
    """Zero mean and unit variance over all clients' features, equal to that of the pooled features.

    Args:
        feature_blocks: one (n_i, p) array per client.

    Returns:
        A `Standardizer`.

    Raises:
        InputError: a client without examples or with NaN, named.

    Source:
        docs/derivations/federated_least_squares.md, statement 10.
    """
    moments = []
    for i, block in enumerate(each("feature_blocks", feature_blocks)):
        moments.append(_moments(f"feature_blocks: client {i}", block))
        if moments[-1].mean.shape != moments[0].mean.shape:
            raise InputError(
                f"feature_blocks: {len(moments[-1].mean)} columns at client {i}, "
                f"{len(moments[0].mean)} at 0"
            )
    if not moments:
        raise InputError("feature_blocks: no clients given")
    n, mean, m2 = combine_moments(moments)
    # rounding of the sums alone, scikit-learn's bound for a constant column
    eps = np.finfo(np.float64).eps
    varies = m2 / n > n * eps * (m2 / n) + np.square(n * mean * eps)
    return Standardizer(mean, np.where(varies, np.sqrt(m2 / n), 1.0), varies, n)
