"""Weights of an ensemble that make its certificate as large as can be.

For the radius this is a linear program over the directions: with b = w / sum_i w_i D_i the lead is
linear and the widths are at most 1, and directions are added where they are violated. For the
volume the best weights are at a vertex of the polyhedron of leads of at least 1, as the volume is
convex in b: with two classes, or a common runner-up, the best ensemble is one member.

Source: our derivation, docs/derivations/certified_ensembles.md, statement 7.
"""

import itertools
import math
from collections.abc import Sequence
from typing import Literal, NamedTuple

import numpy as np
import scipy.optimize
from jax.typing import ArrayLike
from jaxtyping import Float

from theorylab import checks
from theorylab.errors import InputError
from theorylab.robustness.ensembles import extents
from theorylab.robustness.ensembles.algebra import difference, many_sets, minkowski
from theorylab.robustness.ensembles.averages import ensemble_certificate
from theorylab.robustness.ensembles.certificates import grid
from theorylab.robustness.ensembles.sets import SupportSet

VERTICES = 50_000


class Optimum(NamedTuple):
    """The best weights.

    Attributes:
        weights: (N,), sum 1.
        value: the radius or the volume of the certificate; 0 where no weights certify anything.
        label: the class that the ensemble then predicts.
    """

    weights: Float[np.ndarray, " N"]
    value: float
    label: int


def optimal_weights(
    sets: Sequence[SupportSet],
    scores: Float[ArrayLike, "N K"],
    *,
    objective: Literal["inradius", "volume"] = "inradius",
    label: int | None = None,
    n: int = 512,
    tol: float = 1e-9,
) -> Optimum:
    """The weights whose ensemble has the largest certified radius in l2, or the largest volume.

    With sets of equal shape and a common runner-up the best ensemble is the best member.

    Args:
        sets: N sets of one known dimension, of all scores of each member.
        scores: (N, K) at one point.
        objective: "inradius" or "volume".
        label: the class that is to be certified; None for the one that can be certified furthest.
        n: directions to begin with; for the volume, all that are looked at.
        tol: relative error of the radius.

    Returns:
        An `Optimum`.

    Raises:
        InputError: sets and scores that do not fit together, an unknown dimension, or more
            vertices than can be listed for a volume.

    Examples:
        >>> from theorylab.robustness.ensembles import Ellipsoid
        >>> flat = [Ellipsoid([[1 / 9, 0.0], [0.0, 1.0]]), Ellipsoid([[1.0, 0.0], [0.0, 1 / 9]])]
        >>> best = optimal_weights(flat, [[1.0, 0.0], [1.0, 0.0]])
        >>> best.weights.round(2), round(best.value, 4)
        (array([0.5, 0.5]), 0.2236)
    """
    checks.choice("objective", objective, ("inradius", "volume"))
    scores = np.asarray(checks.finite("scores", scores, ndim=2), np.float64)
    parts = many_sets("sets", sets)
    ensemble_certificate(parts, scores)  # looks at the shapes
    d = minkowski(parts).dimension
    if d is None:
        raise InputError("the dimension is not known; give one to the sets: LpDualBall(L, p, d)")
    n, classes = checks.count("n", n), scores.shape[1]
    checks.number("tol", tol, 0, open_low=True)
    if label is not None:
        checks.count("label", label, 0, classes - 1)
    found = [
        _best(parts, scores[:, [a]] - np.delete(scores, a, 1), d, objective, n, tol)
        for a in (range(classes) if label is None else [label])
    ]
    at = max(range(len(found)), key=lambda i: found[i][1])
    if found[at][1] <= 0:
        weights = np.full(len(parts), 1 / len(parts))
        top = int((weights @ scores).argmax()) if label is None else label
        return Optimum(weights, 0.0, top)
    return Optimum(*found[at], at if label is None else label)


def _best(
    parts: Sequence[SupportSet], leads: np.ndarray, d: int, objective: str, n: int, tol: float
) -> tuple[np.ndarray, float]:
    """Weights and value for one class, whose leads (N, K - 1) over the others are given."""
    weights = _endless(parts, leads, d, objective, n)
    if weights is not None:
        return weights, math.inf
    if objective == "volume":
        return _largest_volume(parts, leads, d, n)
    return _largest_radius(parts, leads, d, n, tol)


def _endless(
    parts: Sequence[SupportSet], leads: np.ndarray, d: int, objective: str, n: int
) -> np.ndarray | None:
    """Weights of members without a width, if these lead: then nothing changes the prediction.

    For a volume it is enough that one direction has none.
    """
    widths = [difference(S) for S in parts]
    if objective == "volume":
        flat = [extents.is_open(D, d, symmetric=True) for D in widths]
    else:
        flat = [extents.reach(D, d).high <= 0 for D in widths]
    which = np.flatnonzero(flat)
    for chosen in [which] if objective == "inradius" else [which[[i]] for i in range(len(which))]:
        if not len(chosen):
            continue
        z, found = _program(leads[chosen], np.ones((1, len(chosen))))
        if z > 0:
            weights = np.zeros(len(parts))
            weights[chosen] = found / found.sum()
            return weights
    return None


def _program(leads: np.ndarray, widths: np.ndarray) -> tuple[float, np.ndarray]:
    """The b >= 0 of the largest smallest lead with widths (n, N) b of at most 1."""
    count = len(leads)
    rows = np.block(
        [[-leads.T, np.ones((leads.shape[1], 1))], [widths, np.zeros((len(widths), 1))]]
    )
    ends = np.concatenate([np.zeros(leads.shape[1]), np.ones(len(widths))])
    goal = np.zeros(count + 1)
    goal[-1] = -1
    bounds = [(0, None)] * count + [(None, None)]
    done = scipy.optimize.linprog(goal, A_ub=rows, b_ub=ends, bounds=bounds)
    if done.status != 0:
        raise InputError(f"no best weights were found: {done.message}")
    return float(done.x[-1]), done.x[:-1]


def _largest_radius(
    parts: Sequence[SupportSet], leads: np.ndarray, d: int, n: int, tol: float
) -> tuple[np.ndarray, float]:
    widths = [difference(S) for S in parts]
    u = np.concatenate([grid(d, n), np.eye(d), *[extents.steepest(D, d)[:1] for D in widths]])
    b = np.zeros(len(parts))
    for _ in range(60):
        z, b = _program(leads, np.stack([D.support(u) for D in widths], 1))
        if z <= 0 or not b.sum() > 0:
            return b, 0.0
        together = minkowski(widths, b)
        worst = extents.steepest(together, d)[:4]
        if together.support(worst[0]) <= 1 + tol:
            break
        u = np.concatenate([u, worst])
    weights = b / b.sum()
    lead = float((weights @ leads).min())
    return weights, lead / extents.reach(minkowski(widths, weights), d).high


def _largest_volume(
    parts: Sequence[SupportSet], leads: np.ndarray, d: int, n: int
) -> tuple[np.ndarray, float]:
    count, rivals = leads.shape
    if math.comb(count + rivals, count) > VERTICES:
        raise InputError(
            f"a volume of {count} members and {rivals + 1} classes has more than {VERTICES} "
            "vertices to look at; use objective='inradius', or fewer members or classes"
        )
    u = grid(d, n)
    widths = np.stack([difference(S).support(u) for S in parts], 1)
    unit = math.exp(d / 2 * math.log(math.pi) - math.lgamma(d / 2 + 1))
    rows = np.concatenate([leads.T, np.eye(count)])
    ends = np.concatenate([np.ones(rivals), np.zeros(count)])
    best, weights = 0.0, np.full(count, 1 / count)
    for active in itertools.combinations(range(count + rivals), count):
        matrix = rows[list(active)]
        if abs(np.linalg.det(matrix)) < 1e-12 * np.abs(matrix).max() ** count:
            continue
        b = np.linalg.solve(matrix, ends[list(active)])
        if b.min() < -1e-12 or (leads.T @ b).min() < 1 - 1e-9 or not b.sum() > 0:
            continue
        b = np.maximum(b, 0)
        volume = unit * float(((widths @ b) ** -float(d)).mean())
        if volume > best:
            best, weights = volume, b / b.sum()
    return weights, best
