"""Zero mean and unit variance over all clients' features, from 2p + 1 numbers a client (Chan,
Golub, LeVeque 1983)."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from jax.typing import ArrayLike
from jaxtyping import Bool, Float

from theorylab import checks
from theorylab.errors import InputError
from theorylab.federated.clients import each

_COLUMNS = 4096  # columns in float64 at once


class Moments(NamedTuple):
    """What one client sends: n_i, its means (p,) and its sums of squared deviations from them (p,),
    in float64."""

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
    """

    mean: Float[np.ndarray, " p"]
    scale: Float[np.ndarray, " p"]
    varies: Bool[np.ndarray, " p"]
    n: int

    @property
    def live(self) -> int:
        """Number of columns that vary, which is trace(Phi Phi^T) / n of the standardised training
        features."""
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


def client_moments(F: Float[ArrayLike, "n_i p"]) -> Moments:
    """What a client computes from its own features."""
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
    """Of the union: M2 = sum_i M2_i + sum_i n_i (mean_i - mean)^2, which does not cancel as sums of
    squares do."""
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
    """Statistics of all clients' features together, equal to those of the pooled features.

    Raises:
        InputError: a client without examples or with NaN, named.
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
