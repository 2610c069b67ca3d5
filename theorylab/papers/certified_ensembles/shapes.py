"""Outlines of sets and certificates in the plane."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from theorylab.robustness.ensembles.algebra import difference
from theorylab.robustness.ensembles.averages import (
    compare_certificates,
    ensemble_certificate,
    member_certificates,
)
from theorylab.robustness.ensembles.certificates import grid, s_certificate
from theorylab.robustness.ensembles.sets import Ellipsoid, LpDualBall, Polytope, SupportSet

Found = Mapping[str, Any]
SETS: Mapping[str, SupportSet] = {
    "l1": LpDualBall(1.0, 1, 2),
    "l2": LpDualBall(1.0, 2, 2),
    "l∞": LpDualBall(1.0, np.inf, 2),
    "ellipse": Ellipsoid([[0.5, 0.35], [0.35, 1.2]]),
    "polygon": Polytope([[1.0, 0.0], [0.0, 2.0], [-1.0, -1.0]]),
}
_SQUARES = [
    Polytope([[1.0, 0.2], [-1.0, 0.6], [0.1, -0.8]]),
    Polytope([[0.2, 1.1], [0.7, -0.9], [-0.6, 0.1]]),
]
# three classes: both members agree on the runner-up; on the top class alone
SCORES = {
    "common runner-up": [[1.0, 0.2, -1.0], [1.0, 0.5, -1.0]],
    "other runner-ups": [[1.0, 0.2, -1.0], [1.0, -0.4, 0.5]],
}


def _outline(S: SupportSet, n: int) -> np.ndarray:
    """Points of the boundary of a set, one for each direction."""
    return S.farthest(grid(2, n))


def _boundary(Q: Any, n: int) -> np.ndarray:
    u = grid(2, n)
    return u * Q.radial(u)[:, None]


def gallery(n: int) -> Found:
    """S, S + (-S) and the certificate of a gap of 1, for five sets."""
    found = {}
    for name, S in SETS.items():
        found[f"{name}: set"] = _outline(S, n)
        found[f"{name}: difference"] = _outline(difference(S), n)
        found[f"{name}: certificate"] = _boundary(s_certificate(S, 1.0), n)
    return found


def sandwich(n: int) -> Found:
    """Certificates of two members and their ensemble, with a common runner-up and without."""
    found: dict[str, Any] = {}
    for name, scores in SCORES.items():
        given = np.array(scores)
        made = [*member_certificates(_SQUARES, given), ensemble_certificate(_SQUARES, given)]
        for part, Q in zip(("first", "second", "ensemble"), made, strict=True):
            found[f"{name}: {part}"] = _boundary(Q, n)
        found[f"{name}: says"] = np.array(compare_certificates(made[2], made[:2]))
    return found


def gain(n: int, lows: list[float]) -> Found:
    """Runner-ups that differ: the ensemble beats both the further the third class is behind."""
    found: dict[str, Any] = {"beats": []}
    for low in lows:
        scores = np.array([[1.0, 0.8, -low], [1.0, -low, 0.8]])
        members, Q = member_certificates(_SQUARES, scores), ensemble_certificate(_SQUARES, scores)
        found[f"ensemble {low:g}"] = _boundary(Q, n)
        found["beats"].append(compare_certificates(Q, members).beats_all)
    found["first"], found["second"] = (_boundary(Q, n) for Q in members)
    return found


def loss(n: int, shares: list[float]) -> Found:
    """Top classes that differ: the ensemble shrinks to nothing as the weights balance."""
    scores = np.array([[0.6, 0.0], [0.0, 0.6]])
    found: dict[str, Any] = {"worse": [], "area": []}
    members = member_certificates(_SQUARES, scores)
    for share in shares:
        Q = ensemble_certificate(_SQUARES, scores, np.array([share, 1 - share]))
        found[f"ensemble {share:g}"] = _boundary(Q, n)
        found["worse"].append(compare_certificates(Q, members).worse_than_all)
        found["area"].append(Q.volume(n=n).value)
    found["first"], found["second"] = (_boundary(Q, n) for Q in members)
    return found
