"""What functions do to their sets: scaled, reflected, added, composed, maxima and minima.

If h_i is S_i-Lipschitz, then c h (c >= 0) is `scale(S, c)`, -h is `reflect(S)`, a sum with weights
is `minkowski`, h(A x + b) is `linear_image(S, A)`, and the larger or the smaller of several is
`hull`. Nothing is computed but the support functions of the parts: no vertex of a sum is ever
listed.

Source: Petrov et al. 2023; our derivation, docs/derivations/certified_ensembles.md, statement 1.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jax.typing import ArrayLike
from jaxtyping import Float

from theorylab import checks
from theorylab.errors import InputError
from theorylab.precision import is_traced
from theorylab.pytrees import register
from theorylab.robustness.ensembles.sets import SupportSet, given, numbers, settle


@register()
@dataclass(frozen=True)
class Scaled(SupportSet):
    """The set c S; made by `scale`."""

    base: SupportSet
    factor: Any

    @property
    def dimension(self) -> int | None:
        """The dimension, None for any."""
        return self.base.dimension

    def _support(self, v: Any, xp: Any) -> Any:
        return numbers(self.factor, xp) * self.base._support(v, xp)

    def _farthest(self, v: Any, xp: Any) -> Any:
        return numbers(self.factor, xp) * self.base._farthest(v, xp)


@register()
@dataclass(frozen=True)
class Reflected(SupportSet):
    """The set -S; made by `reflect`."""

    base: SupportSet

    @property
    def dimension(self) -> int | None:
        """The dimension, None for any."""
        return self.base.dimension

    def _support(self, v: Any, xp: Any) -> Any:
        return self.base._support(-v, xp)

    def _farthest(self, v: Any, xp: Any) -> Any:
        return -self.base._farthest(-v, xp)


@register()
@dataclass(frozen=True)
class Sum(SupportSet):
    """The Minkowski sum of w_i S_i; made by `minkowski`."""

    parts: tuple[SupportSet, ...]
    weights: Any

    @property
    def dimension(self) -> int | None:
        """The dimension, None for any."""
        return common_dimension(self.parts)

    def _support(self, v: Any, xp: Any) -> Any:
        weights = numbers(self.weights, xp)
        return sum(w * part._support(v, xp) for w, part in zip(weights, self.parts, strict=True))

    def _farthest(self, v: Any, xp: Any) -> Any:
        weights = numbers(self.weights, xp)
        return sum(w * part._farthest(v, xp) for w, part in zip(weights, self.parts, strict=True))


@register()
@dataclass(frozen=True)
class Image(SupportSet):
    """The set A^T S; made by `linear_image`."""

    base: SupportSet
    A: Any

    def __post_init__(self) -> None:
        settle(self, "A", lambda a: checks.finite("A", a))
        if given(self.A) and np.ndim(self.A) < 2:
            raise InputError(f"A has shape {np.shape(self.A)}; (k, d) is needed")

    @property
    def dimension(self) -> int | None:
        """The dimension."""
        return int(np.shape(self.A)[-1])

    def _support(self, v: Any, xp: Any) -> Any:
        return self.base._support(v @ numbers(self.A, xp).T, xp)

    def _farthest(self, v: Any, xp: Any) -> Any:
        a = numbers(self.A, xp)
        return self.base._farthest(v @ a.T, xp) @ a


@register()
@dataclass(frozen=True)
class Hull(SupportSet):
    """The convex hull of a union; made by `hull`."""

    parts: tuple[SupportSet, ...]

    @property
    def dimension(self) -> int | None:
        """The dimension, None for any."""
        return common_dimension(self.parts)

    def _support(self, v: Any, xp: Any) -> Any:
        return xp.stack([part._support(v, xp) for part in self.parts]).max(0)

    def _farthest(self, v: Any, xp: Any) -> Any:
        values = xp.stack([part._support(v, xp) for part in self.parts])
        points = xp.stack([part._farthest(v, xp) for part in self.parts])
        best = values.argmax(0)[None, ..., None]
        return xp.take_along_axis(points, best, 0)[0]


@register("steps")
@dataclass(frozen=True)
class Intersection(SupportSet):
    """The intersection of sets, its support function bounded from above; made by `intersect`."""

    parts: tuple[SupportSet, ...]
    steps: int = 500

    @property
    def dimension(self) -> int | None:
        """The dimension, None for any."""
        return common_dimension(self.parts)

    def _support(self, v: Any, xp: Any) -> Any:
        return self._split(v, xp)[0]

    def _farthest(self, v: Any, xp: Any) -> Any:
        """The mean of the parts' points at the best split: near the intersection, not in it."""
        split = self._split(v, xp)[1]
        return sum(part._farthest(w, xp) for part, w in zip(self.parts, split, strict=True)) / len(
            self.parts
        )

    def _split(self, v: Any, xp: Any) -> tuple[Any, Any]:
        """The smallest sum of rho_i(w_i) that was found over vectors w_i that add up to v."""
        if xp is not np:
            raise InputError("an intersection is computed outside of jit, vmap and grad alone")
        count = len(self.parts)
        whole = np.stack(
            [np.where((np.arange(count) == i)[:, None], v[..., None, :], 0.0) for i in range(count)]
        )  # all of v on one part
        starts = [*whole, np.broadcast_to(v[..., None, :] / count, whole[0].shape)]
        best, at = np.full(v.shape[:-1], np.inf), starts[0].copy()
        for start in starts:
            w = start.copy()
            for step in range(self.steps):
                split = np.moveaxis(w, -2, 0)
                value = sum(part._support(s, np) for part, s in zip(self.parts, split, strict=True))
                better = value < best
                best, at = np.where(better, value, best), np.where(better[..., None, None], w, at)
                points = np.stack(
                    [p._farthest(s, np) for p, s in zip(self.parts, split, strict=True)], -2
                )
                slope = points - points.mean(-2, keepdims=True)
                size = np.sqrt((slope**2).sum((-2, -1), keepdims=True))
                reach = np.sqrt((v**2).sum(-1))[..., None, None] / np.sqrt(step + 1.0)
                w = w - reach * slope / np.where(size > 0, size, 1.0)
        return best, np.moveaxis(at, -2, 0)


def scale(S: SupportSet, c: float | Any) -> SupportSet:
    """The set c S of c times a function.

    Args:
        S: the set.
        c: factor of at least 0; for a negative one, `reflect(scale(S, -c))`.

    Returns:
        A set with rho(v) = c rho_S(v); for c = 0, {0}.

    Raises:
        InputError: a negative factor.
    """
    one_set("S", S)
    value = checks.real("c", c, ndim=0)
    if not is_traced(value) and not 0 <= float(value) < np.inf:
        raise InputError(
            f"c = {float(value):g}; a finite factor of at least 0 is needed: the set of -h is "
            "reflect(S), and of c h for c < 0 it is reflect(scale(S, -c))"
        )
    return Scaled(S, value if is_traced(value) else float(value))


def reflect(S: SupportSet) -> SupportSet:
    """The set -S of the negative of a function.

    Args:
        S: the set.

    Returns:
        A set with rho(v) = rho_S(-v).

    Raises:
        InputError: what is no set.
    """
    return Reflected(one_set("S", S))


def minkowski(
    sets: Sequence[SupportSet], weights: Float[ArrayLike, " n"] | None = None
) -> SupportSet:
    """The Minkowski sum of w_i S_i, the set of the weighted sum of functions.

    Args:
        sets: of one dimension.
        weights: (n,) at least 0; None for 1 each. They need not sum to 1.

    Returns:
        A set with rho(v) = sum_i w_i rho_i(v).

    Raises:
        InputError: no sets, dimensions that differ, or weights that are negative or of another
            number.

    Examples:
        >>> from theorylab.robustness.ensembles import Box, LpDualBall
        >>> both = minkowski([LpDualBall(1.0, 2), Box([0.0, 0.0], [2.0, 2.0])], [0.5, 0.5])
        >>> float(both.support([3.0, 4.0]))
        9.5
    """
    parts = many_sets("sets", sets)
    shares = np.ones(len(parts)) if weights is None else weights
    shares = checks.nonnegative("weights", shares, ndim=1)
    if len(shares) != len(parts):
        raise InputError(f"weights: {len(shares)} given for {len(parts)} sets; one each is needed")
    return Sum(parts, shares if is_traced(shares) else np.asarray(shares, np.float64))


def linear_image(S: SupportSet, A: Float[ArrayLike, "k d"]) -> SupportSet:
    """The set A^T S of a function h(A x + b), where h has the set S.

    Args:
        S: a set of dimension k.
        A: (k, d), of any rank.

    Returns:
        A set of dimension d with rho(v) = rho_S(A v).

    Raises:
        InputError: a matrix that does not fit the set.
    """
    one_set("S", S)
    matrix = checks.finite("A", A, ndim=2)
    if S.dimension not in (None, matrix.shape[0]):
        raise InputError(
            f"A has shape {matrix.shape}; ({S.dimension}, d) is needed for a set of dimension "
            f"{S.dimension}"
        )
    return Image(S, matrix)


def hull(sets: Sequence[SupportSet]) -> SupportSet:
    """The convex hull of sets, the set of the maximum and of the minimum of functions.

    Args:
        sets: of one dimension.

    Returns:
        A set with rho(v) = max_i rho_i(v).

    Raises:
        InputError: no sets, or dimensions that differ.
    """
    return Hull(many_sets("sets", sets))


def intersect(sets: Sequence[SupportSet], *, steps: int = 500) -> SupportSet:
    """The intersection of sets, that of a function known to be Lipschitz for each of them.

    Its support function is the smallest sum of rho_i(w_i) over vectors that add up to v. It is
    approached from above, by subgradients, so that certificates made of it hold after any number of
    steps.

    Args:
        sets: of one dimension, with a point in common.
        steps: of the search, from each of its starts.

    Returns:
        A set, to be used outside of `jit`.

    Raises:
        InputError: no sets, or dimensions that differ.
    """
    return Intersection(many_sets("sets", sets), checks.count("steps", steps))


def difference(S: SupportSet) -> SupportSet:
    """The set S + (-S) of the difference of two functions that share a set; it is symmetric.

    Args:
        S: the set.

    Returns:
        A set with rho(v) = rho_S(v) + rho_S(-v).

    Raises:
        InputError: what is no set.
    """
    return minkowski([one_set("S", S), reflect(S)])


def width(S: SupportSet, v: Float[ArrayLike, "*n d"]) -> Float[np.ndarray, "*n"]:
    """The width D(v) = rho_S(v) + rho_S(-v) of a set in each direction, a seminorm.

    Args:
        S: the set.
        v: (*n, d) directions.

    Returns:
        (*n) widths, 0 in directions in which the set is flat.

    Raises:
        InputError: as `SupportSet.support`.

    Examples:
        >>> from theorylab.robustness.ensembles import Polytope
        >>> width(Polytope([[1.0, 0.0], [0.0, 2.0], [-1.0, -1.0]]), [[1.0, 0.0], [1.0, 1.0]])
        array([2., 4.])
    """
    return difference(S).support(v)


def one_set(name: str, S: Any) -> SupportSet:
    """A set, or an `InputError`."""
    return checks.instance(name, S, SupportSet, "a set, such as LpDualBall(1.0, 2),")


def many_sets(name: str, sets: Any) -> tuple[SupportSet, ...]:
    """Sets of one dimension, or an `InputError`."""
    if isinstance(sets, SupportSet) or not isinstance(sets, Sequence) or not sets:
        raise InputError(f"{name} = {checks.shown(sets)}; a list of at least one set is needed")
    parts = tuple(one_set(f"{name}[{i}]", part) for i, part in enumerate(sets))
    common_dimension(parts)
    return parts


def common_dimension(parts: Sequence[SupportSet]) -> int | None:
    """The dimension that sets share, None where each of them fits any."""
    found = [part.dimension for part in parts]
    known = {d for d in found if d is not None}
    if len(known) > 1:
        raise InputError(f"sets of dimensions {found} do not fit; all of one dimension are needed")
    return next(iter(known), None)
