"""Cells without noise: laws, adversaries and audits of learners whose firing law is known."""

import math
from collections.abc import Mapping
from itertools import product
from typing import Any

import numpy as np

from theorylab.privacy import online as po

Found = Mapping[str, Any]


def _above(rounds: int, beta: float, scale: float) -> po.AboveThreshold:
    return po.calibrate(rounds, beta, threshold_scale=scale, test_scale=scale)


def game(k: int, epsilon: float, learner: str, beta: float) -> Found:
    """The adversary against AboveThreshold on T = 2^k - 1 rounds: every row of its trace beside its
    guarantees, E[M], and E[M] of ones alone.

    learner: "private", noise 2/epsilon, or "not private", a tenth of 1/epsilon.
    `late` counts a one as missed only if its own test is silent as well: an error of one round.
    """
    rounds = 2**k - 1
    scale = {"private": 2.0, "not private": 0.1}[learner] / epsilon
    law, adversary = _above(rounds, beta, scale), po.adversary_for(epsilon)
    attack = adversary(law, rounds)
    survival, mass = adversary.bounds(beta, 0.0, attack.steps)
    return {
        "theta": law.threshold,
        "mistakes": attack.mistakes,
        "late": float(law.survival(attack.stream, attack.stream.ones).sum()),
        "front": law.expected_front_loaded(rounds),
        "survival": attack.survival,
        "mass": attack.mass,
        "survival_bound": survival,
        "mass_bound": mass,
        "halved_mass_bound": beta * 0.5 ** np.arange(attack.steps + 1),
        "to_the_end": np.array([float(rounds + 1 - o) for o in attack.stream.ones]),
        "certain": adversary.steps(rounds),
        "bound": po.mistake_lower_bound(rounds, epsilon, 0.0, beta).value,
        "plain_bound": adversary.steps(rounds) * (1 - 3 * beta),
        "printed_bound": po.printed_lower_bounds(rounds, 1e-4, beta).bisection,
    }


def front(epsilon: float, noise: float, beta: float, doublings: list[int]) -> Found:
    """theta and E[M] on ones alone, for T = 2^doublings and noise scales noise / epsilon."""
    learners = [_above(2**k, beta, noise / epsilon) for k in doublings]
    mistakes = [
        learner.expected_front_loaded(2**k) for learner, k in zip(learners, doublings, strict=True)
    ]
    return {"theta": np.array([r.threshold for r in learners]), "mistakes": np.array(mistakes)}


def regime(epsilon: float, k: int, beta: float, rule: str) -> Found:
    """The adversary at any epsilon on T = 2^k rounds, against b1 = b2 = 1/epsilon.

    rule: "own", with its guarantee; "smallest", parts of the smallest mass; "uncut", without the
    first cut.
    """
    own, rounds = po.adversary_for(epsilon), 2**k
    adversary = {
        "own": own,
        "smallest": po.BisectionAdversary(epsilon, own.repeats, own.parts, first_cut=own.first_cut),
        "uncut": po.BisectionAdversary(epsilon, own.repeats, own.parts, weight=own.weight),
    }[rule]
    attack = adversary(_above(rounds, beta, 1 / epsilon), rounds)
    certain = min(own.steps(rounds), attack.steps)
    return {
        "mistakes": attack.mistakes,
        "steps": attack.steps,
        "repeats": own.repeats,
        "parts": own.parts,
        "certain": certain,
        "survival": attack.survival,
        "least": float(attack.survival[:certain].min()),
        "least_of_all": float(attack.survival[:-1].min()),
        "promised": 1 - (3 if own.weight is None else 2) * beta,
        "bound": po.bisection_bound(own, rounds, 0.0, beta).value,
    }


def figure_one(epsilon: float, delta: float, beta: float, log_rounds: list[float]) -> Found:
    """The curves of the paper's schematic, computed: lower bound, AboveThreshold, Name & Shame.

    `careless` is the lower bound of a proof that forgets what delta costs at every step.
    """
    rounds = [max(1, int(math.exp(x))) for x in log_rounds]
    adversary = po.weighted_adversary(epsilon)
    bounds = [po.mistake_lower_bound(T, epsilon, delta, beta).value for T in rounds]
    return {
        "lower": np.array(bounds),
        "parts_lower": np.array(
            [po.bisection_bound(adversary, T, delta, beta).value for T in rounds]
        ),
        "careless": np.array([adversary.steps(T) * (1 - 2 * beta) for T in rounds]),
        "saturation": (1 - 2 * beta) ** 2 / (16 * delta),
        "printed": np.array([math.log(T) / 8 for T in rounds]),
        "svt": np.array([_above(T, beta, 1 / epsilon).expected_front_loaded(T) for T in rounds]),
        "svt_double_noise": np.array(
            [_above(T, beta, 2 / epsilon).expected_front_loaded(T) for T in rounds]
        ),
        "shame": np.array(
            [po.name_and_shame_expected_mistakes(delta, min(T, 10**9)) for T in rounds]
        ),
    }


def audit(learner: str, epsilon: float, beta: float, k: int, stream: str) -> Found:
    """The whole firing law on all neighbouring streams of T = 2^k - 1 rounds (up to 511), or on a
    choice of them beyond.

    learner: "above", b1 = b2 = 1/epsilon; "little noise", four fifths of it; "textbook", b1 =
    2/epsilon and b2 = 4/epsilon; "hazard", private in every round. stream: "none", "some" (the
    adversary's) or "many" ones.
    """
    rounds = 2**k - 1
    base = _above(rounds, beta, 1 / epsilon)
    law: po.FiringLaw = {
        "above": base,
        "little noise": _above(rounds, beta, 0.8 / epsilon),
        "textbook": po.calibrate(rounds, beta, threshold_scale=2 / epsilon, test_scale=4 / epsilon),
        "hazard": po.StationaryHazard(base.threshold, epsilon),
    }[learner]
    few = po.adversary_for(min(epsilon, po.REFERENCE_EPSILON))(base, rounds).stream
    many = min(int(base.threshold + 5 / epsilon), rounds)
    chosen = {
        "none": po.RunLengthStream(rounds),
        "some": few,
        "many": po.front_loaded(rounds, many),
    }
    on = chosen[stream]
    changes = (
        list(range(1, rounds + 1))
        if rounds <= 511
        else sorted({1, 2, 2**20, on.count(rounds) + 1, rounds // 2, *on.ones[:3], *on.ones[-2:]})
    )
    audits = list(po.neighbour_audits(law, on, epsilon=epsilon, changes=changes))
    ratios = np.concatenate([a.log_ratios for a in audits])
    edges = np.linspace(-2, 2, 81) * epsilon
    return {
        "log_ratio": max(a.log_ratio for a in audits),
        "delta": max(a.delta for a in audits),
        "exact": all(a.exact for a in audits),
        "events": len(ratios),
        "edges": edges,
        "histogram": np.histogram(np.clip(ratios, edges[0], edges[-1]), edges)[0],
    }


def horizon(epsilon: float, ones: int, doublings: list[int], beta: float) -> Found:
    """How the audited loss grows with T: a stationary hazard beside AboveThreshold, on ones in
    front and a further one."""
    found: dict[str, list[float]] = {"hazard": [], "above": [], "step": []}
    threshold = _above(2 ** max(doublings), beta, 1 / epsilon).threshold
    hazard = po.StationaryHazard(threshold, epsilon)
    for k in doublings:
        stream = po.front_loaded(2**k, min(ones, 2**k - 1))
        at = len(stream.ones) + 1
        for name, law in (("hazard", hazard), ("above", _above(2**k, beta, 1 / epsilon))):
            found[name].append(po.firing_time_audit(law, stream, at, epsilon=epsilon).log_ratio)
        found["step"].append(max(hazard.step_log_ratio(c) for c in range(2 * int(threshold) + 2)))
    return {name: np.array(values) for name, values in found.items()}


def shame(delta: float, k: int, ones: list[int]) -> Found:
    """Name & Shame: the adversary's trace, E[M] by the law and on a class of points, and the
    largest delta of its neighbours."""
    law, rounds = po.NameAndShame(delta), 2**k - 1
    attack = po.adversary_for(po.REFERENCE_EPSILON)(law, rounds)
    spent = [
        po.firing_time_audit(law, po.front_loaded(40, n), 40, epsilon=1e-9).delta
        for n in (0, 1, 10, 39)
    ]
    points = [
        po.name_and_shame_mistakes(po.point_class(3), [1] * n, [True] * n, delta=delta)
        for n in ones
    ]
    return {
        "survival": attack.survival,
        "mass": attack.mass,
        "mistakes": attack.mistakes,
        "delta": max(spent),
        "formula": np.array([po.name_and_shame_expected_mistakes(delta, n) for n in ones]),
        "played": np.array(points),
        "law": np.array([law.expected_mistakes(po.front_loaded(n, n)) for n in ones]),
    }


def concentrated(epsilon: float, rounds: int, betas: list[float]) -> Found:
    """E[M] of ones alone against case I of the lower bound, over beta; `tenth` has a tenth of the
    noise that epsilon asks for."""
    return {
        "mistakes": np.array(
            [_above(rounds, b, 1 / epsilon).expected_front_loaded(rounds) for b in betas]
        ),
        "tenth": np.array(
            [_above(rounds, b, 0.1 / epsilon).expected_front_loaded(rounds) for b in betas]
        ),
        "bound": np.array([po.concentration_bound(rounds, epsilon, 0.0, b).value for b in betas]),
        "printed": np.array([math.log(1 / b) / (16 * po.REFERENCE_EPSILON) for b in betas]),
    }


def dimensions(points: list[int]) -> Found:
    """Littlestone dimensions of thresholds, points, all functions and those with few ones, beside
    their closed forms; `wrong` are near misses."""
    found: list[int] = []
    closed: list[int] = []
    wrong: list[int] = []
    for n in points:
        few = max(n // 2, 1)
        for rows, right, miss in (
            (po.threshold_class(n), int(math.log2(n + 1)), int(math.log2(n))),
            (po.point_class(n), int(n > 1), int(math.log2(n))),
            (po.k_point_class(n, n), n, n - 1),
            (po.k_point_class(n, few), few, few + 1),
        ):
            found.append(po.littlestone_dimension(rows))
            closed.append(right)
            wrong.append(miss)
    return {"found": np.array(found), "closed": np.array(closed), "wrong": np.array(wrong)}


def soa(points: int, rounds: int) -> Found:
    """The most mistakes of SOA, and of its opposite, over all realisable streams of `rounds`
    points, for three classes."""
    classes = (
        po.threshold_class(points),
        po.point_class(points),
        po.k_point_class(points, 2),
    )
    worst, opposite = [], []
    for rows in classes:
        learner = po.standard_optimal_algorithm(rows)
        worst.append(0)
        opposite.append(0)
        for order in product(range(points), repeat=rounds):
            for row in rows:
                state, wrong, right = learner.init(), 0, 0
                for x in order:
                    guess = learner.predict(state, x)
                    wrong, right = wrong + (guess != row[x]), right + (guess == row[x])
                    state = learner.update(state, x, bool(row[x]))
                worst[-1], opposite[-1] = max(worst[-1], wrong), max(opposite[-1], right)
    found = [po.littlestone_dimension(rows) for rows in classes]
    return {
        "worst": np.array(worst),
        "opposite": np.array(opposite),
        "dimension": np.array(found),
    }
