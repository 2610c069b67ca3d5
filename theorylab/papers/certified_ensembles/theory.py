"""Checks of the theory on random functions and ensembles, and the exact examples."""

import math
from collections.abc import Mapping
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import scipy.special

from theorylab.robustness.ensembles.algebra import (
    difference,
    hull,
    linear_image,
    minkowski,
    reflect,
    scale,
)
from theorylab.robustness.ensembles.averages import (
    ensemble_certificate,
    ensemble_gap,
    ensemble_regime,
    prediction_gap,
)
from theorylab.robustness.ensembles.certificates import grid, s_certificate
from theorylab.robustness.ensembles.counts import class_bounds
from theorylab.robustness.ensembles.lipschitz import power_iteration, spectral_bound
from theorylab.robustness.ensembles.sets import Ellipsoid, LpDualBall, Polytope
from theorylab.robustness.ensembles.weights import optimal_weights

Found = Mapping[str, Any]
POLYGON = [[1.0, 0.0], [0.0, 2.0], [-1.0, -1.0]]
ELLIPSES = [np.diag([1 / 9, 1.0]), np.diag([1.0, 1 / 9])]
REGIMES = ("disagree", "agree_A", "agree_AB")
CORRELATION = 1.2  # size of the part of random scores that the members share


def calculus(pairs: int, seed: int) -> Found:
    """Largest excess of h(y) - h(x) over the support function that the calculus gives, by rule."""
    rng = np.random.default_rng(seed)
    V, W = rng.normal(size=(2, 6, 3))
    b, c = rng.normal(size=(2, 6))
    A = rng.normal(size=(3, 3))
    S, T = Polytope(V), Polytope(W)
    x, y = 2 * rng.normal(size=(2, pairs, 3))
    h, k = (lambda z: (z @ V.T + b).max(1)), (lambda z: (z @ W.T + c).max(1))
    rules = {
        "max-affine": (h, S),
        "negative": (lambda z: -h(z), reflect(S)),
        "sum": (lambda z: h(z) + 0.5 * k(z), minkowski([S, scale(T, 0.5)])),
        "composition": (lambda z: h(z @ A.T + 1.0), linear_image(S, A)),
        "maximum": (lambda z: np.maximum(h(z), k(z)), hull([S, T])),
        "minimum": (lambda z: np.minimum(h(z), k(z)), hull([S, T])),
        "squashed": (lambda z: np.tanh(h(z)), hull([scale(S, 0.0), S])),
    }
    found: dict[str, Any] = {"rules": np.array(list(rules))}
    rise = [f(y) - f(x) for f, _ in rules.values()]
    sets = [over for _, over in rules.values()]
    found["excess"] = [float((r - s.support(y - x)).max()) for r, s in zip(rise, sets, strict=True)]
    # two wrong sets: the one of h for all, and each of them reflected
    found["plain"] = [float((r - S.support(y - x)).max()) for r in rise]
    found["two_sided"] = [
        float((np.abs(r) - s.support(y - x)).max()) for r, s in zip(rise, sets, strict=True)
    ]
    # the functions that no larger certificate would hold for
    delta, gap = x, 1.5
    top, other = gap - S.support(-delta), S.support(delta)
    found["tight"] = float(np.abs(top - other - (gap - difference(S).support(delta))).max())
    found["tight_one_width"] = float(np.abs(top - other - (gap - S.support(delta))).max())
    return found


def polygon() -> Found:
    """Widths, radii and area of the reference polygon, and of its set made two-sided."""
    found: dict[str, Any] = {}
    S = Polytope(POLYGON)
    both = hull([S, reflect(S)])
    u = np.array([[1.0, 0.0], [0.0, 1.0], [1.0, 1.0]])
    for name, over in (("one", S), ("two", both)):
        Q = s_certificate(over, 1.0)
        found[f"{name}_width"] = difference(over).support(u)
        found[f"{name}_length"] = Q.radial(u)
        found[f"{name}_sizes"] = [Q.volume(n=20_000).value, Q.inradius(), Q.outradius()]
    return found


@partial(jax.jit, static_argnames="curved")
def _lengths(sets: Any, scores: Any, weights: Any, u: Any, curved: bool) -> Any:
    """Certified lengths of members (e, N, n) and ensembles (e, n)."""

    def one(own: Any, scores: Any, weights: Any) -> Any:
        made = [Ellipsoid(a) if curved else Polytope(a) for a in own]
        gaps = prediction_gap(scores).gap
        members = [s_certificate(S, g).radial(u) for S, g in zip(made, gaps, strict=True)]
        return jnp.stack(members), ensemble_certificate(made, scores, weights).radial(u)

    return jax.vmap(one)(sets, scores, weights)


def sweep(
    d: int, members: int, classes: int, ensembles: int, directions: int, curved: bool, seed: int
) -> Found:
    """Random ensembles: lengths against the theorems, and for linear scores against the scores.

    Weights are Dirichlet's, one in five of them 0. Linear scores s + <w, delta> have the hull of
    their gradients for a set.
    """
    rng = np.random.default_rng(seed)
    shared = CORRELATION * rng.normal(size=(ensembles, 1, classes))
    scores = shared + rng.normal(size=(ensembles, members, classes))
    weights = rng.dirichlet(np.ones(members), ensembles)
    weights *= (rng.random(weights.shape) > 0.2) | (weights == weights.max(1, keepdims=True))
    weights /= weights.sum(1, keepdims=True)
    u = grid(d, directions)
    if curved:
        root = rng.normal(size=(ensembles, members, d, d))
        sets = root @ np.swapaxes(root, -1, -2) + 0.1 * np.eye(d)
    else:
        sets = rng.normal(size=(ensembles, members, classes, d))
    with jax.enable_x64(True):
        parts = tuple(jnp.asarray(sets[:, i]) for i in range(members))
        each, together = jax.tree.map(
            np.asarray, _lengths(parts, jnp.asarray(scores), jnp.asarray(weights), u, curved)
        )
    regimes = np.array([ensemble_regime(s, w) for s, w in zip(scores, weights, strict=True)])
    gaps = prediction_gap(scores).gap
    mean_gap = (weights * gaps).sum(1)
    averaged = np.einsum("ei,eik->ek", weights, scores)
    lead = prediction_gap(averaged)
    counted = (weights > 0)[:, :, None]
    low = np.where(counted, each, np.inf).min(1)
    high = np.where(counted, each, 0.0).max(1)
    tol = 1e-10
    found: dict[str, Any] = {
        "regime": np.array([REGIMES.index(r) for r in regimes]),
        "below_all": (together < low * (1 - tol)).any(1),
        "beyond_all": (together > high * (1 + tol)).any(1),
        "better": (together > high * (1 + tol)).all(1),
        "worse": (together < low * (1 - tol)).all(1),
        "lead_short": lead.gap < mean_gap - 1e-12,
        "lead_equal": np.abs(lead.gap - mean_gap) <= 1e-12,
    }
    if curved:
        return found
    slope = np.einsum("ei,eikd->ekd", weights, sets)
    votes_before, _ = _vote(scores, weights)

    def changed(lengths: np.ndarray) -> np.ndarray:
        delta = lengths[..., None] * u
        now = averaged[:, None] + np.einsum("ekd,end->enk", slope, delta)
        return (now.argmax(-1) != lead.top[:, None]).any(1)

    inside = together * (1 - 1e-9)
    found["changed"] = changed(inside)
    found["changed_doubled"] = changed(2 * together)
    ratio = np.where(lead.gap > 0, mean_gap / np.where(lead.gap > 0, lead.gap, 1.0), 0.0)
    found["changed_mean_gap"] = changed(inside * ratio[:, None])
    found["vote_changed"] = _vote_changed(scores, sets, weights, inside, u, votes_before)
    safe = _vote_lengths(each, scores, weights, votes_before) * (1 - 1e-9)
    found["vote_safe_changed"] = _vote_changed(scores, sets, weights, safe, u, votes_before)
    return found


def _vote(scores: np.ndarray, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The class with most votes (e, ...), and its share."""
    chosen = scores.argmax(-1)[..., None] == np.arange(scores.shape[-1])
    share = (weights[..., None] * chosen).sum(-2)
    return share.argmax(-1), share.max(-1)


def _vote_changed(
    scores: np.ndarray,
    sets: np.ndarray,
    weights: np.ndarray,
    lengths: np.ndarray,
    u: np.ndarray,
    before: np.ndarray,
) -> np.ndarray:
    """Whether a vote changes at these lengths along any direction."""
    moved = scores[:, None] + lengths[..., None, None] * np.einsum("eikd,nd->enik", sets, u)
    now, _ = _vote(moved, weights[:, None])
    return ((now != before[:, None]) & (lengths > 0)).any(1)


def _vote_lengths(
    each: np.ndarray, scores: np.ndarray, weights: np.ndarray, label: np.ndarray
) -> np.ndarray:
    """Lengths up to which members that are certain of the label hold more than half (e, n)."""
    for_it = scores.argmax(-1) == label[:, None]
    order = np.argsort(-each, axis=1)
    held = np.cumsum(np.take_along_axis((weights * for_it)[..., None] + 0 * each, order, 1), 1)
    enough = held > 0.5
    along = np.take_along_axis(np.take_along_axis(each, order, 1), enough.argmax(1)[:, None], 1)[
        :, 0
    ]
    return np.where(enough.any(1), along, 0.0)


def gaussian(members: int, shift: float, classes: int, trials: int, seed: int) -> Found:
    """Ensembles of Gaussian scores, class 0 ahead by a shift: how often they gain and lose."""
    rng = np.random.default_rng(seed)
    counts = np.zeros(4, np.int64)
    ratio_of = np.zeros(2)
    size = max(1, 400_000 // (members * classes))
    for start in range(0, trials, size):
        many = min(size, trials - start)
        scores = rng.normal(size=(members, many, classes))
        scores[..., 0] += shift
        one, together = prediction_gap(scores), ensemble_gap(scores)
        agree = (one.top == one.top[0]).all(0)
        counts += [
            agree.sum(),
            (together.gap > one.gap.max(0)).sum(),
            (together.gap < one.gap.min(0)).sum(),
            (one.gap.mean(0) > one.gap.max(0) - 1e-12).sum(),
        ]
        ratio_of += [together.gap.sum(), one.gap.mean(0).sum()]
    return {
        "agree": counts[0],
        "gain": counts[1],
        "loss": counts[2],
        "gain_mean_gap": counts[3],
        "ratio": ratio_of[0] / ratio_of[1],
    }


def leads(lows: list[float], shares: list[float], most: int) -> Found:
    """Exact gaps: runner-ups that differ, probabilities, and members that disagree."""
    r = 0.2
    differing = [np.array([[1.0, 1 - r, -low], [1.0, -low, 1 - r]]) for low in lows]
    found = {
        "runner_ups": [ensemble_gap(s).gap for s in differing],
        "mean_gaps": [prediction_gap(s).gap.mean() for s in differing],
    }
    count = np.arange(2, most + 1)
    probability = []
    for n in count:
        scores = np.zeros((n, n + 1))
        scores[:, 0] = (1 + r) / 2
        scores[np.arange(n), np.arange(1, n + 1)] = (1 - r) / 2
        probability.append(float(ensemble_gap(scores).gap))
    opposite = np.array([[0.6, 0.0], [0.0, 0.6]])
    return found | {
        "members": count,
        "probability": probability,
        "closed": (1 + r) / 2 - (1 - r) / (2 * count),
        "opposite": [ensemble_gap(opposite, np.array([a, 1 - a])).gap for a in shares],
        "opposite_closed": np.abs(2 * np.array(shares) - 1) * 0.6,
    }


def ellipses(shares: list[float]) -> Found:
    """Two crossed ellipses with a common runner-up, and two balls: sizes over the weight of one."""
    found: dict[str, Any] = {}
    scores = [[1.0, 0.0], [1.0, 0.0]]
    pairs = {
        "crossed": [Ellipsoid(s) for s in ELLIPSES],
        "equal": [LpDualBall(1.0, 2, 2), LpDualBall(3.0, 2, 2)],
    }
    for name, sets in pairs.items():
        made = [ensemble_certificate(sets, scores, [a, 1 - a]) for a in shares]  # type: ignore[arg-type]
        found[f"{name}_inradius"] = [Q.inradius() for Q in made]
        found[f"{name}_area"] = [Q.volume().value for Q in made]
    return found


def best_weights(count: int, seed: int) -> Found:
    """Best weights of random ensembles of three against a grid of weights, and equal shapes."""
    rng = np.random.default_rng(seed)
    steps = 20
    simplex = [
        np.array([i / steps, j / steps, (steps - i - j) / steps])
        for i in range(steps + 1)
        for j in range(steps + 1 - i)
    ]
    u = grid(2, 360)
    found: dict[str, list[float]] = {k: [] for k in ("best", "grid", "uniform", "alike", "member")}
    for _ in range(count):
        scores = rng.normal([2.0, 0.0, 0.0], size=(3, 3))
        sets = [Polytope(rng.normal(size=(4, 2))) for _ in range(3)]
        widths = np.stack([difference(S).support(u) for S in sets])
        lengths = [ensemble_gap(scores, w).gap / (w @ widths).max() for w in simplex]
        best = optimal_weights(sets, scores)
        found["best"].append(best.value)
        found["grid"].append(float(max(lengths)))
        found["uniform"].append(ensemble_certificate(sets, scores).inradius())
        common = np.array([[1.0 + r, 1.0, -1.0] for r in rng.uniform(0.1, 1, 3)])
        constants = rng.uniform(0.5, 2, 3)
        alike = [scale(sets[0], c) for c in constants]
        found["alike"].append(optimal_weights(alike, common).value)
        members = [
            s_certificate(S, s[0] - 1.0).inradius() for S, s in zip(alike, common, strict=True)
        ]
        found["member"].append(max(members))
    return found


def norms(count: int, seed: int) -> Found:
    """Bounds of spectral norms over the norms, of matrices made with known singular values; and how
    often a map moves a pair of points by more than a constant allows."""
    rng = np.random.default_rng(seed)
    found: dict[str, list[float]] = {k: [] for k in ("svd", "gram", "power", "broken_power")}
    for i in range(count):
        m, n = rng.integers(8, 65, 2)
        k = min(m, n)
        q, p = (np.linalg.qr(rng.normal(size=(s, k)))[0] for s in (m, n))
        values = np.sort(1 - rng.uniform(0, 0.2, k))[::-1]  # close together, as in trained layers
        w = (q * values) @ p.T
        power = power_iteration(w, key=jax.random.key(seed + i), steps=10)
        found["svd"].append(spectral_bound(w) / values[0])
        found["gram"].append(spectral_bound(w, method="gram") / values[0])
        found["power"].append(power / values[0])
        found["broken_power"].append(float(np.linalg.norm(w @ p[:, 0]) > power))
    return found


def coverage(points: int, classes: int, draws: int, confidence: float, seed: int) -> Found:
    """How often bounds of class probabilities fail at once, divided among classes and not."""
    rng = np.random.default_rng(seed)
    p = rng.dirichlet(2 * np.ones(classes), points)
    counts = rng.multinomial(draws, p)
    found = {}
    # at the second confidence for all, each of the 2 K bounds fails as the first one allows for all
    for name, share in (("split", confidence), ("unsplit", 1 - 2 * classes * (1 - confidence))):
        bounds = class_bounds(counts, confidence=share)
        wrong = (p < bounds.lower) | (p > bounds.upper)
        found[name] = wrong.any(1).sum()
    # two members: Jensen's inequality where both are above one half, and below
    a, b = rng.uniform(0.5, 1, (2, points))
    c, e = rng.uniform(0.02, 0.48, (2, points))
    probit = scipy.special.ndtri
    found["above_half"] = ((probit(a) + probit(b)) / 2 - probit((a + b) / 2)).min()
    found["below_half"] = ((probit(c) + probit(e)) / 2 - probit((c + e) / 2)).min()
    slope = 1 / (0.5 * math.sqrt(2 * math.pi))
    z = np.linspace(-1e-4, 1e-4, 3)
    measured = np.diff(scipy.special.ndtr(z / 0.5))[0] / np.diff(z)[0]
    return found | {"slope": measured, "slope_closed": slope}
