"""How far a set reaches from the origin, and how little.

These are the largest and the smallest value of its support function over unit directions. Both
decide the radii of certificates. The largest is a maximum of a convex function and NP-hard for sums
of many segments, so the answer is a pair of bounds. It is exact for points, boxes, ellipsoids and
for sums of few points and segments; in two and three dimensions the directions are searched branch
by branch; else the lower bound is found by ascent from many starts, and the upper one by the
triangle inequality.

Source: our derivation, docs/derivations/certified_ensembles.md, statement 2.
"""

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import scipy.optimize

from theorylab.robustness.ensembles.algebra import (
    Hull,
    Image,
    Intersection,
    Reflected,
    Scaled,
)
from theorylab.robustness.ensembles.sets import LpDualBall, SupportSet, norm
from theorylab.robustness.ensembles.terms import Terms, as_points, symmetric, terms_of

CELLS = 6000  # how many parts of the sphere are looked at together
# relative distance of the two bounds at which a search ends, by the dimension
CLOSE = {2: 1e-10, 3: 1e-6}
FLAT = 1e-10  # below this share of the largest, a width is none
STARTS = 64


class Extent(NamedTuple):
    """Two bounds of one number.

    Attributes:
        low, high: it lies between them; equal where it is known.
    """

    low: float
    high: float


def reach(S: SupportSet, d: int) -> Extent:
    """The largest norm of a point of a set, which is its largest support over unit directions."""
    if d == 1:
        exact = float(S.support(np.array([[1.0], [-1.0]])).max())
        return Extent(max(exact, 0.0), max(exact, 0.0))
    if isinstance(S, Hull):
        found = [reach(part, d) for part in S.parts]
        return Extent(max(e.low for e in found), max(e.high for e in found))
    if isinstance(S, Scaled):
        inner = reach(S.base, d)
        return Extent(float(S.factor) * inner.low, float(S.factor) * inner.high)
    terms = terms_of(S, d)
    exact = _exact_reach(terms)  # type: ignore[assignment]
    if exact is not None:
        return Extent(exact, exact)
    low = max(float(S.support(_climb(S, d)).max()), 0.0)
    high = max(_upper(terms), low)
    if d <= 3 and high > low:
        low, high = _branch(S, d, low, high)
    return Extent(low, high)


def least(S: SupportSet, d: int) -> Extent:
    """The smallest support of a set over unit directions; 0 or below if it does not hold a ball.

    Its upper bound is attained. In more than three dimensions the lower one may be 0.
    """
    if d == 1:
        exact = float(S.support(np.array([[1.0], [-1.0]])).min())
        return Extent(exact, exact)
    terms = terms_of(S, d)
    top = reach(S, d).high
    if not top > 0 or _is_flat(terms, d):
        return Extent(0.0, 0.0)
    if _is_round(terms):
        exact = float(np.linalg.svd(terms.round[0], compute_uv=False)[-1])
        return Extent(exact, exact)
    if _open_side(terms):
        return Extent(-top, 0.0)
    high = _descent(S, d)
    if high <= FLAT * top:
        return Extent(min(high, 0.0), min(high, 0.0))
    low = _lower(terms)
    if d <= 3 and high > low:
        low, high = _branch_down(S, d, low, high)
    return Extent(min(low, high), high)


def is_open(S: SupportSet, d: int, *, symmetric: bool) -> bool:
    """Whether some direction has a support of 0 or below; a symmetric set need only be flat."""
    if symmetric and d > 1:
        return _is_flat(terms_of(S, d), d)
    return least(S, d).high <= 0


def steepest(S: SupportSet, d: int) -> np.ndarray:
    """Unit directions (n, d) in which ascents from many starts end, the best one first."""
    u = np.array([[1.0], [-1.0]]) if d == 1 else _climb(S, d)
    return u[np.argsort(-S.support(u))]


def _exact_reach(terms: Terms) -> float | None:
    points = as_points(terms._replace(round=()))
    if points is None:
        return None
    if not terms.round:
        return float(norm(points, 2).max())
    if len(terms.round) > 1:
        return None
    F = terms.round[0]
    values = np.linalg.svd(F, compute_uv=False)
    if not points.any():
        return float(values[0])
    ball = len(values) == len(F) and values[-1] >= values[0] * (1 - 1e-14)
    return float(norm(points, 2).max() + values[0]) if ball else None


def _upper(terms: Terms) -> float:
    """The sum of the reaches of the terms, each from above."""
    total = float(norm(terms.points, 2).max())
    if len(terms.segments):
        lengths = float(norm(terms.segments, 2).sum())
        spectral = math.sqrt(len(terms.segments)) * float(np.linalg.norm(terms.segments, 2))
        total += min(lengths, spectral)
    total += sum(float(np.linalg.norm(F, 2)) for F in terms.round)
    return total + sum(_upper_of(S, terms.points.shape[1]) for S in terms.other)


def _upper_of(S: SupportSet, d: int) -> float:
    if isinstance(S, LpDualBall):
        return float(S.L) * (d ** max(0.0, 1 / S.p - 0.5))
    if isinstance(S, Scaled):
        return float(S.factor) * _upper_of(S.base, d)
    if isinstance(S, Reflected):
        return _upper_of(S.base, d)
    if isinstance(S, Image):
        return float(np.linalg.norm(S.A, 2)) * _upper_of(S.base, len(S.A))
    if isinstance(S, Hull):
        return max(reach(part, d).high for part in S.parts)
    if isinstance(S, Intersection):
        return min(reach(part, d).high for part in S.parts)
    return _upper(terms_of(S, d))


def _lower(terms: Terms) -> float:
    """The sum of the least supports of terms that are symmetric about the origin."""
    if len(terms.points) > 1 and not symmetric(terms.points):
        return 0.0
    if len(terms.points) == 1 and terms.points.any():
        return 0.0
    return sum(
        float(np.linalg.svd(F, compute_uv=False)[-1]) for F in terms.round if F.shape[1] >= len(F)
    )


def _is_round(terms: Terms) -> bool:
    """Whether the set is one ellipsoid about the origin."""
    rest = len(terms.segments) or terms.other or terms.points.any()
    return not rest and len(terms.round) == 1


def _is_flat(terms: Terms, d: int) -> bool:
    """Whether the set and the origin lie in a hyperplane."""
    rows = [terms.points, terms.segments, *(F.T for F in terms.round)]
    drawn = np.random.default_rng(0).standard_normal((8 * d, d))
    rows += [S.farthest(np.concatenate([drawn, -drawn])) for S in terms.other]
    values = np.linalg.svd(np.concatenate(rows), compute_uv=False)
    return len(values) < d or values[d - 1] <= FLAT * values[0]


def _open_side(terms: Terms) -> bool:
    """Whether a set of points lies on one side of a hyperplane through the origin."""
    points = as_points(terms)
    if points is None or symmetric(points):
        return False
    found = scipy.optimize.linprog(
        points.sum(0), A_ub=points, b_ub=np.zeros(len(points)), bounds=(-1.0, 1.0)
    )
    return bool(found.status == 0 and found.fun < -FLAT * norm(points, 2).max())


def _starts(d: int) -> np.ndarray:
    axes = np.concatenate([np.eye(d), -np.eye(d)])
    drawn = np.random.default_rng(0).standard_normal((STARTS, d))
    return np.concatenate([axes, drawn / norm(drawn, 2)[:, None]])


def _climb(S: SupportSet, d: int, steps: int = 200) -> np.ndarray:
    """Where ascents u <- s(u) / |s(u)| end; the support falls in none of them."""
    u, before = _starts(d), -math.inf
    for _ in range(steps):
        point = S.farthest(u)
        length = norm(point, 2)
        if length.sum() <= before * (1 + 1e-14):
            break
        before = float(length.sum())
        some = (length > 0)[:, None]
        u = np.where(some, point / np.where(some[:, 0], length, 1.0)[:, None], u)
    return u


def _descent(S: SupportSet, d: int, steps: int = 200) -> float:
    """The best of many descents on the sphere, with steps that shrink where they do not help."""
    u = _starts(d)
    value, rate = S.support(u), np.full(len(u), 0.5)
    for _ in range(steps):
        slope = S.farthest(u)
        slope = slope - (slope * u).sum(1, keepdims=True) * u
        size = norm(slope, 2)[:, None]
        new = u - rate[:, None] * slope / np.where(size > 0, size, 1.0)
        new = new / norm(new, 2)[:, None]
        there = S.support(new)
        better = there < value
        u, value = np.where(better[:, None], new, u), np.where(better, there, value)
        rate = np.where(better, 1.2 * rate, 0.7 * rate)
        if rate.max() < 1e-13:
            break
    return float(value.min())


def _sphere(d: int) -> np.ndarray:
    """The cones (c, d, d) over the faces of the cross-polytope, unit vectors in the rows."""
    signs = np.stack(np.meshgrid(*[[-1.0, 1.0]] * d, indexing="ij"), -1).reshape(-1, d)
    return signs[:, :, None] * np.eye(d)


def _split(cones: np.ndarray) -> np.ndarray:
    """Each cone in two, at the middle of its longest edge."""
    d = cones.shape[1]
    pairs = [(i, j) for i in range(d) for j in range(i)]
    lengths = np.stack([((cones[:, i] - cones[:, j]) ** 2).sum(1) for i, j in pairs])
    i, j = np.array(pairs)[lengths.argmax(0)].T
    row = np.arange(len(cones))
    middle = cones[row, i] + cones[row, j]
    middle = middle / norm(middle, 2)[:, None]
    one, other = cones.copy(), cones.copy()
    one[row, i], other[row, j] = middle, middle
    return np.concatenate([one, other])


def _branch(S: SupportSet, d: int, low: float, high: float) -> tuple[float, float]:
    """The largest support, by cones.

    On a cone it is at most that of the linear function through its values at the edges, whose
    largest value on unit vectors is its norm.
    """

    def bound(cones: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        values = S.support(cones)
        return values.max(1), norm(np.linalg.solve(cones, values[..., None])[..., 0], 2)

    return _search(d, bound, low, high)


def _branch_down(S: SupportSet, d: int, low: float, high: float) -> tuple[float, float]:
    """The smallest support: on a cone it is at least a tangent's smallest value at its edges."""

    def bound(cones: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        middle = cones.sum(1)
        middle = middle / norm(middle, 2)[:, None]
        tangent = (cones @ S.farthest(middle)[..., None])[..., 0].min(1)
        # the weights of unit vectors of an orthant that make a unit vector sum to 1 ... sqrt(d)
        tangent = np.where(tangent < 0, math.sqrt(d) * tangent, tangent)
        values = np.minimum(S.support(cones).min(1), S.support(middle))
        return -values, -np.maximum(tangent, low)

    low = low if low > 0 else -math.inf
    found = _search(d, bound, -high, -low)
    return -found[1], -found[0]


def _search(
    d: int, bound: Callable[[Any], tuple[Any, Any]], low: float, high: float
) -> tuple[float, float]:
    """Branch and bound of a largest value over the sphere, between low and high."""
    cones = _sphere(d)
    for _ in range(80):
        attained, most = bound(cones)
        low = max(low, float(attained.max()))
        close = low + CLOSE[d] * abs(low)
        open_ = most > close
        if not open_.any():
            return low, min(high, close)
        high = min(high, max(float(most.max()), low))
        cones = _split(cones[open_])
        if len(cones) > CELLS:
            break
    return low, max(high, low)
