"""Cells with drawn noise: games played, counters, and random laws of predictions."""

from collections.abc import Mapping
from typing import Any

import jax
import numpy as np

from theorylab.privacy import online as po

Found = Mapping[str, Any]


def played(k: int, scale: float, beta: float, runs: int, seed: int, by: str, stream: str) -> Found:
    """E[M] by simulation beside the exact value, T = 2^k - 1.

    stream: "adversary", the one that the bisection ends with, or "informative", up to 2^10 examples
      of which all are.
    by: "rounds", fresh noise in every round; "stretches", run by run lengths, for any k.
    `late` is the exact value with an error of one round.
    """
    rounds, key = 2**k - 1, jax.random.key(seed)
    learner = po.calibrate(rounds, beta, threshold_scale=scale, test_scale=scale)
    if stream == "adversary":
        on = po.adversary_for(po.REFERENCE_EPSILON)(learner, rounds).stream
    else:
        on = po.front_loaded(rounds, min(rounds, 2**10))
    if by == "rounds":
        mistakes = po.simulate_online_game(key, learner, on, runs).mistakes
    else:
        mistakes = po.simulate_mistakes(key, learner, on, runs)
    return {
        "mean": mistakes.mean(),
        "se": mistakes.std(ddof=1) / np.sqrt(runs),
        "exact": learner.expected_mistakes(on),
        "late": float(learner.survival(on, on.ones).sum()),
    }


def uniform(k: int, epsilon: float, beta: float, runs: int, seed: int, feedback: str) -> Found:
    """A learner that answers at random until it fires, against the adversary that skips the middle
    of three parts, T = 2^k: exact, simulated, and what is guaranteed."""
    rounds = 2**k
    fires = po.calibrate(rounds, beta, threshold_scale=1 / epsilon, test_scale=1 / epsilon)
    learner = po.UniformFiring(fires, "mistakes" if feedback == "mistakes" else "examples")
    adversary = po.BisectionAdversary(epsilon, parts=3, skip_middle=True)
    attack, certain = adversary(learner, rounds), adversary.steps(rounds)
    found: dict[str, Any] = {
        "exact": attack.mistakes,
        "steps": attack.steps,
        "bound": certain * (1 - 3 * beta) / 2,
        "survival": attack.survival[:certain],
        "plain": fires.expected_mistakes(attack.stream),
        "mean": attack.mistakes,
        "se": 0.0,
    }
    if runs:
        games = po.simulate_online_game(jax.random.key(seed), learner, attack.stream, runs)
        found |= {"mean": games.mean, "se": games.standard_error}
    return found


def counters(doublings: int, epsilon: float, noise: str, runs: int, seed: int) -> Found:
    """Draws (runs,) of the largest error of a tree counter over T = 2^doublings rounds; `single`
    are those of noise of scale 1/epsilon in every round, which is not private."""
    kind: Any = noise
    counter = po.TreeCounter(2**doublings, epsilon, kind, 1e-6 if noise == "gaussian" else None)
    key = jax.random.key(seed)
    rng = np.random.default_rng(seed)
    # the largest of T absolute values of Laplace noise, by its cdf
    u = rng.random(runs) ** (1 / 2**doublings)
    return {
        "largest": np.asarray(counter.largest_errors(key, runs)),
        "scale": counter.scale,
        "levels": counter.levels,
        "single": -np.log1p(-u) / epsilon,
    }


def counter_learner(doublings: int, hypotheses: int, epsilon: float, runs: int, seed: int) -> Found:
    """The learner made of counters on ones alone: its mistakes (runs,) with alpha the 0.9-quantile
    of the largest error of all counters, and with a twentieth of it.

    alpha comes from draws of its own. `missed` is how often an error exceeds it.
    """
    rounds = 2**doublings
    counter, stream = po.TreeCounter(rounds, epsilon), po.front_loaded(rounds, rounds)
    keys = jax.random.split(jax.random.key(seed), 3)
    largest = [
        np.asarray(counter.largest_errors(k, runs * hypotheses)).reshape(runs, -1).max(1)
        for k in keys[:2]
    ]
    alpha = float(np.quantile(largest[0], 0.9))
    mistakes = {
        name: po.simulate_counter_learner(
            keys[2], counter, stream, alpha=share * alpha, hypotheses=hypotheses, runs=runs
        )
        for name, share in (("mistakes", 1.0), ("hasty", 0.05))
    }
    return {**mistakes, "alpha": alpha, "ones": rounds, "missed": (largest[1] > alpha).sum()}


def lemma(rounds: int, most_ones: int, beta: float, points: int, laws: int, seed: int) -> Found:
    """Random laws of predictions with `most_ones` ones on `points` points, and the quiet point that
    each has: the union bound there, and the most loud points in a round."""
    rng = np.random.default_rng(seed)
    union, loud, ones, found = [], [], [], []
    for _ in range(laws):
        marginals = np.zeros((rounds, points))
        for row in marginals:  # a mixture of sets of points, with weights of many sizes
            for w in rng.dirichlet(np.full(300, 0.05)):
                row[rng.choice(points, most_ones, replace=False)] += w
        quiet = po.quiet_point(np.minimum(marginals, 1.0), beta)
        union.append(quiet.probability)
        loud.append(quiet.loud.max())
        ones.append(quiet.most_ones)
        found.append(quiet.point >= 0)
    return {
        "union": np.array(union),
        "loud": np.array(loud),
        "ones": np.array(ones),
        "found": np.array(found),
        "needed": po.concentration_domain(rounds, most_ones, beta),
    }
