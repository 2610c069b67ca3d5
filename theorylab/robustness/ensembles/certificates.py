"""Certificates of scores whose sets are known: perturbations that leave the prediction as it is.

At a point where class A leads by a gap r, the certificate of scores with a set S is the open set of
all delta with D(delta) < r, where D is the width of S: r times the polar of S + (-S). Where the
sets of differences between scores are known, the pairwise certificate is larger. A certificate is
convex and open, and empty where the gap is 0.

Three conventions give three radii for a constant L in l2, r / (2 L) for scores that are each
L-Lipschitz, r / (sqrt(2) L) for an L-Lipschitz map into R^K, and r / L for a single margin; the
certificate says which it is.

Source: Petrov et al. 2023; our derivation, docs/derivations/certified_ensembles.md, statement 2.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike
from jaxtyping import Array, Float, Key

from theorylab import checks
from theorylab.errors import InputError
from theorylab.precision import is_traced
from theorylab.pytrees import register
from theorylab.robustness.ensembles import extents
from theorylab.robustness.ensembles.algebra import (
    Hull,
    Scaled,
    common_dimension,
    difference,
    many_sets,
    one_set,
)
from theorylab.robustness.ensembles.sets import LpDualBall, SupportSet, norm, numbers, vectors

Convention = Literal["components", "vector", "margin", "pairwise"]


class Volume(NamedTuple):
    """A volume, and how far off it may be.

    Attributes:
        value: the volume; infinite where the certificate is unbounded.
        error: standard error of the directions drawn; 0 in one and two dimensions, where none are.
    """

    value: float
    error: float


@register("convention")
@dataclass(frozen=True)
class Certificate:
    """The open convex set of all delta with rho_{D_c}(delta) < r_c for every c.

    Attributes:
        sets: the sets D_c of differences of scores, one or one for each rival class.
        gaps: (c,) the leads r_c of the predicted class.
        convention: "components", "vector", "margin" or "pairwise".
    """

    sets: tuple[SupportSet, ...]
    gaps: Any
    convention: Convention = "pairwise"

    @property
    def dimension(self) -> int | None:
        """The dimension of perturbations, None for any."""
        return common_dimension(self.sets)

    def contains(self, delta: Float[ArrayLike, "*n d"]) -> np.ndarray:
        """Whether the prediction is certain not to change; a tie at the boundary is possible.

        Args:
            delta: (*n, d) perturbations.

        Returns:
            (*n) booleans. Where a gap is 0 they are false, but for directions in which the set of
            that pair has a support below 0, and the rival falls.

        Raises:
            InputError: perturbations of another dimension.
        """
        rho, gaps, xp = self._values(delta)
        return xp.all(rho < gaps, axis=-1)

    def radial(self, u: Float[ArrayLike, "*n d"]) -> Float[np.ndarray, "*n"]:
        """The length up to which perturbations along each direction are certain.

        Args:
            u: (*n, d) directions; their length does not matter.

        Returns:
            (*n) lengths, infinite in directions in which no difference of scores can fall, and 0
            where a gap is 0.

        Raises:
            InputError: directions of another dimension, or a direction of zeros.
        """
        u = vectors("u", u, self.dimension)
        length = norm(u if is_traced(u) else np.asarray(u, np.float64), 2, _space(u))
        if not is_traced(length) and not (length > 0).all():
            raise InputError("u holds a row of zeros; a direction has some length")
        rho, gaps, xp = self._values(u / length[..., None] if is_traced(u) else u)
        if not is_traced(u):
            rho = rho / length[..., None]
        up = rho > 0
        along = xp.where(up, gaps / xp.where(up, rho, 1.0), xp.inf)
        return xp.where(gaps > 0, along, 0.0).min(-1)

    def inradius(self) -> float:
        """The radius of a ball around 0, in l2, inside of which the prediction is certain.

        It is the largest such radius for all but sums of many parts in more than three dimensions,
        where it is a smaller one that is proved; `inradius_bounds` tells.

        Returns:
            The radius; infinite for sets of one point, 0 for an empty certificate.

        Raises:
            InputError: a dimension that is not known.
        """
        return self.inradius_bounds().low

    def inradius_bounds(self) -> extents.Extent:
        """Two bounds of the largest radius of a ball in the certificate, in l2.

        Returns:
            `Extent`; a ball of radius `low` is certain, one above `high` is not.

        Raises:
            InputError: a dimension that is not known.
        """
        if self._is_empty():
            return extents.Extent(0.0, 0.0)
        found = extents.reach(self._body(), self._known())
        return extents.Extent(_inverse(found.high), _inverse(found.low))

    def outradius(self) -> float:
        """The length of the longest perturbation that is certain.

        It describes and promises nothing. In more than three dimensions it is the longest that a
        search finds, unless one ellipsoid makes the certificate.

        Returns:
            A length, infinite for an unbounded certificate.

        Raises:
            InputError: a dimension that is not known.
        """
        if self._is_empty():
            return 0.0
        found = extents.least(self._body(), self._known())
        return _inverse(max(found.high, 0.0))

    def volume(self, *, key: Key[Array, ""] | None = None, n: int = 4096) -> Volume:
        """The volume, in two dimensions the area.

        Args:
            key: draws the directions in three and more dimensions.
            n: directions.

        Returns:
            `Volume`; in high dimensions few directions hold most of it: look at its error.

        Raises:
            InputError: a missing key, or a dimension that is not known.
        """
        d, n = self._known(), checks.count("n", n, 8)
        if self._is_empty():
            return Volume(0.0, 0.0)
        if extents.is_open(self._body(), d, symmetric=self.convention != "pairwise"):
            return Volume(math.inf, 0.0)
        if d <= 2:
            lengths = self.radial(grid(d, n))
            return Volume(float(2 * lengths.mean() if d == 1 else math.pi * (lengths**2).mean()), 0)
        if key is None:
            raise InputError(f"key = None; in {d} dimensions the directions are drawn: give a key")
        drawn = np.asarray(jax.random.normal(checks.key("key", key), (n, d)), np.float64)
        logs = d * np.log(self.radial(drawn))
        unit = math.exp(d / 2 * math.log(math.pi) - math.lgamma(d / 2 + 1) + logs.max())
        shares = np.exp(logs - logs.max())
        return Volume(unit * float(shares.mean()), unit * float(shares.std(ddof=1)) / math.sqrt(n))

    def _values(self, v: Any) -> tuple[Any, Any, Any]:
        """Supports (*n, c), gaps (c,), and the namespace of both."""
        v = vectors("delta", v, self.dimension)
        xp = jnp if is_traced(v, self) else np
        rho = xp.stack([part.support(v) for part in self.sets], -1)
        return rho, numbers(self.gaps, xp), xp

    def _is_empty(self) -> bool:
        if is_traced(self):
            raise InputError("radii and volumes are computed outside of jit, vmap and grad alone")
        return not bool((np.asarray(self.gaps) > 0).all())

    def _known(self) -> int:
        if self.dimension is None:
            raise InputError("the dimension is not known; give one to the set: LpDualBall(L, p, d)")
        return self.dimension

    def _body(self) -> SupportSet:
        """The set whose support function is below 1 exactly on the certificate."""
        gaps = np.asarray(self.gaps, np.float64)
        if len(self.sets) == 1:
            return Scaled(self.sets[0], 1 / float(gaps[0]))
        return Hull(
            tuple(Scaled(part, 1 / float(g)) for part, g in zip(self.sets, gaps, strict=True))
        )


def s_certificate(S: SupportSet, gap: float) -> Certificate:
    """The certificate of scores that all have the set S, at a point with this gap.

    Where more is known about differences of scores, `pairwise_certificate` is larger; it is so for
    a map that is Lipschitz as a whole (`lipschitz_certificate`).

    Args:
        S: set of every score, as a function of the input.
        gap: lead of the predicted class over the runner-up, at least 0.

    Returns:
        The `Certificate` {delta : D(delta) < gap}, D the width of S.

    Raises:
        InputError: a negative gap.

    Examples:
        >>> from theorylab.robustness.ensembles import Polytope
        >>> Q = s_certificate(Polytope([[1.0, 0.0], [0.0, 2.0], [-1.0, -1.0]]), 1.0)
        >>> Q.radial([[1.0, 0.0], [0.0, 1.0]]).round(5)
        array([0.5    , 0.33333])
        >>> round(Q.inradius(), 6), round(Q.outradius(), 6), round(Q.volume().value, 4)
        (0.316228, 0.632456, 0.6)
    """
    return Certificate((difference(one_set("S", S)),), _gaps(gap, 0), "components")


def pairwise_certificate(sets: Sequence[SupportSet], gaps: Float[ArrayLike, " c"]) -> Certificate:
    """The certificate from the sets of the differences f_c - f_A, one for each rival class c.

    Args:
        sets: D_c, the set of f_c - f_A; where each score has a set of its own it is
            `minkowski([S_c, reflect(S_A)])`.
        gaps: (c,) leads f_A - f_c, each at least 0.

    Returns:
        The `Certificate` of all delta with rho_{D_c}(delta) < gaps[c] for every c.

    Raises:
        InputError: sets and gaps of different numbers, dimensions that differ, or a negative gap.
    """
    parts, leads = many_sets("sets", sets), _gaps(gaps, 1)
    if len(leads) != len(parts):
        raise InputError(f"gaps: {len(leads)} given for {len(parts)} sets; one each is needed")
    return Certificate(parts, leads, "pairwise")


def lipschitz_certificate(
    L: float,
    gap: float,
    *,
    of: Literal["components", "vector", "margin"] = "components",
    p: float = 2.0,
    d: int | None = None,
) -> Certificate:
    """The ball of a Lipschitz constant and a gap, in each of the three conventions.

    Args:
        L: Lipschitz constant in l_p, at least 0.
        gap: lead of the predicted class.
        of: what L belongs to: "components", each score by itself (radius gap / (2 L)); "vector",
            the map into R^K with the l2 norm (gap / (sqrt(2) L)); "margin", the difference of the
            two scores itself (gap / L).
        p: norm of perturbations.
        d: dimension, for radii in l2 and volumes.

    Returns:
        A `Certificate` that is a ball in l_p.

    Raises:
        InputError: a negative constant or gap, or options out of range.
    """
    checks.choice("of", of, ("components", "vector", "margin"))
    factor = {"components": 2.0, "vector": math.sqrt(2.0), "margin": 1.0}[of]
    L = checks.number("L", L, 0)
    return Certificate((LpDualBall(factor * L, p, d),), _gaps(gap, 0), of)


def grid(d: int, n: int) -> Float[np.ndarray, "n d"]:
    """Unit directions on which certificates are compared.

    Args:
        d: dimension.
        n: how many; in one dimension there are two.

    Returns:
        (n, d) unit vectors: equal angles in two dimensions, a scrambled Sobol sequence, always the
        same, in more.

    Raises:
        InputError: counts below 1.
    """
    d, n = checks.count("d", d), checks.count("n", n)
    if d == 1:
        return np.array([[1.0], [-1.0]])
    if d == 2:
        angle = 2 * math.pi * np.arange(n) / n
        return np.stack([np.cos(angle), np.sin(angle)], 1)
    from scipy import stats

    power = max(1, math.ceil(math.log2(n)))
    drawn = stats.qmc.Sobol(d, seed=0).random_base2(power)[:n]
    normal = stats.norm.ppf(np.clip(drawn, 1e-12, 1 - 1e-12))
    return normal / norm(normal, 2)[:, None]


def _gaps(gap: Any, ndim: int) -> Any:
    gap = checks.nonnegative("gap" if ndim == 0 else "gaps", gap, ndim=ndim)
    return gap.reshape(-1) if is_traced(gap) else np.asarray(gap, np.float64).reshape(-1)


def _inverse(value: float) -> float:
    return 1 / value if value > 0 else math.inf


def _space(v: Any) -> Any:
    return jnp if is_traced(v) else np
