"""Composed sets as sums of points, segments, round parts and the rest, merged where that is exact.

Source: our derivation, docs/derivations/certified_ensembles.md, statement 1.
"""

import math
from typing import NamedTuple

import numpy as np

from theorylab.robustness.ensembles.algebra import Hull, Image, Reflected, Scaled, Sum
from theorylab.robustness.ensembles.sets import (
    Box,
    Ellipsoid,
    LpDualBall,
    Polytope,
    SupportSet,
    Zonotope,
)

POINTS = 2**15  # how many points of a sum are listed


class Terms(NamedTuple):
    """A set as a sum: points, segments about a centre, round parts F B_2, and sets of other kinds.

    Attributes:
        points: (m, d), whose hull is a part; they hold the centre of the others.
        segments: (k, d) half edges.
        round: (d, j) matrices F of parts F B_2.
        other: sets.
    """

    points: np.ndarray
    segments: np.ndarray
    round: tuple[np.ndarray, ...]
    other: tuple[SupportSet, ...]


def terms_of(S: SupportSet, d: int) -> Terms:
    """A set as a sum of parts of few kinds, merged where that is exact."""
    if isinstance(S, LpDualBall | Ellipsoid | Box | Polytope | Zonotope):
        return _base_terms(S, d)
    if isinstance(S, Scaled):
        return _mapped(terms_of(S.base, d), float(S.factor) * np.eye(d), float(S.factor))
    if isinstance(S, Reflected):
        return _mapped(terms_of(S.base, d), -np.eye(d), -1.0)
    if isinstance(S, Image):
        return _mapped(terms_of(S.base, len(S.A)), S.A, None)
    if isinstance(S, Sum):
        parts = [
            terms_of(Scaled(part, float(w)), d)
            for part, w in zip(S.parts, S.weights, strict=True)
            if w > 0
        ]
        return _merged(parts, S, d)
    if isinstance(S, Hull):
        inner = [as_points(terms_of(part, d)) for part in S.parts]
        if all(points is not None for points in inner):
            points = np.unique(np.concatenate(inner), axis=0)  # type: ignore[arg-type, var-annotated]
            return Terms(points, np.zeros((0, d)), (), ())
    return Terms(np.zeros((1, d)), np.zeros((0, d)), (), (S,))


def _base_terms(S: SupportSet, d: int) -> Terms:
    empty, zero = np.zeros((0, d)), np.zeros((1, d))
    if isinstance(S, LpDualBall):
        return _ball_terms(S, d)
    if isinstance(S, Ellipsoid):
        lower = np.linalg.cholesky((S.Sigma + S.Sigma.T) / 2)
        return Terms(zero, empty, (np.linalg.inv(lower).T,), ())
    if isinstance(S, Box):
        half = np.diag((S.hi - S.lo) / 2)
        return Terms(((S.lo + S.hi) / 2)[None], half[np.diag(half) > 0], (), ())
    if isinstance(S, Polytope):
        return Terms(np.unique(S.vertices, axis=0), empty, (), ())
    if isinstance(S, Zonotope):
        centre = np.zeros(d) if S.centre is None else S.centre
        kept = S.generators[np.abs(S.generators).max(1) > 0]
        return Terms(centre[None], kept, (), ())
    return Terms(zero, empty, (), (S,))


def _ball_terms(S: LpDualBall, d: int) -> Terms:
    empty, zero, size = np.zeros((0, d)), np.zeros((1, d)), float(S.L)
    if size == 0:
        return Terms(zero, empty, (), ())
    if S.p == 1:
        return Terms(zero, size * np.eye(d), (), ())
    if S.p == math.inf:
        return Terms(size * np.concatenate([np.eye(d), -np.eye(d)]), empty, (), ())
    if S.p == 2:
        return Terms(zero, empty, (size * np.eye(d),), ())
    return Terms(zero, empty, (), (S,))


def _mapped(terms: Terms, A: np.ndarray, factor: float | None) -> Terms:
    """The terms of A^T S; factor: A is that multiple of the identity."""
    if factor == 0:
        return Terms(0 * terms.points[:1], terms.segments[:0], (), ())
    if factor is None:
        other: tuple[SupportSet, ...] = tuple(Image(part, A) for part in terms.other)
    elif factor > 0:
        other = tuple(Scaled(part, factor) for part in terms.other)
    else:
        other = tuple(Scaled(Reflected(part), -factor) for part in terms.other)
    segments = terms.segments @ A
    return Terms(
        terms.points @ A,
        segments[np.abs(segments).max(1, initial=0) > 0],
        tuple(A.T @ F for F in terms.round),
        other,
    )


def _merged(parts: list[Terms], S: SupportSet, d: int) -> Terms:
    points, other = np.zeros((1, d)), [s for p in parts for s in p.other]
    for part in parts:
        if len(points) * len(part.points) <= POINTS:
            points = np.unique((points[:, None] + part.points).reshape(-1, d), axis=0)
        else:
            other.append(Polytope(part.points))
    segments = np.concatenate([np.zeros((0, d)), *[p.segments for p in parts]])
    return Terms(points, segments, _joined([F for p in parts for F in p.round]), tuple(other))


def _joined(roots: list[np.ndarray]) -> tuple[np.ndarray, ...]:
    """Round parts of proportional shapes become one."""
    kept: list[np.ndarray] = []
    for F in roots:
        shape = F @ F.T
        size = np.linalg.norm(shape)
        for i, G in enumerate(kept):
            other = G @ G.T
            ratio = size / np.linalg.norm(other)
            if np.abs(shape - ratio * other).max() <= 1e-14 * size:
                kept[i] = (1 + math.sqrt(ratio)) * G
                break
        else:
            if size > 0:
                kept.append(F)
    return tuple(kept)


def as_points(terms: Terms) -> np.ndarray | None:
    """The vertices of a sum of points and few segments; None where there are too many, or none."""
    if terms.round or terms.other:
        return None
    if len(terms.points) * 2.0 ** len(terms.segments) > POINTS:
        return None
    points = terms.points
    for g in terms.segments:
        points = np.concatenate([points + g, points - g])
    return points


def symmetric(points: np.ndarray) -> bool:
    """Whether points are the same set when reflected, exactly."""
    return bool(np.array_equal(np.unique(points, axis=0), np.unique(-points, axis=0)))
