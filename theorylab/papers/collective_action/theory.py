"""Cells on finite spaces: do the exact staircase and the bounds hold on random worlds, and what
does JTT do exactly."""

from collections.abc import Mapping
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from theorylab.collective import bounds, finite, reweighted, weights
from theorylab.collective.generators import random_world

# P0 of two points and two labels; everybody's signal is point 1
EXAMPLE = np.array([[0.5, 0.3], [0.15, 0.05]])


def worlds(points: int, labels: int, count: int, lam: float, seed: int) -> Mapping[str, Any]:
    """Exact success in `count` random worlds at random sizes, beside every bound on it (count,).

    `merged` is the success of a learner that confuses pairs of points, `weighted` that of
    population JTT.
    """
    with jax.enable_x64(True):
        found = _worlds(jax.random.split(jax.random.key(seed), count), points, labels, lam)
    found = {name: np.asarray(value) for name, value in found.items()}
    alpha, gap, xi = (found[k] for k in ("alpha", "gap", "xi"))
    return found | {
        "base_bound": bounds.base_bound(alpha, gap, xi),
        "half_gap_bound": bounds.base_bound(alpha, gap / 2, xi),
        "feature_only_bound": bounds.feature_only_bound(alpha, found["floor"], xi),
        "high_floor_bound": bounds.feature_only_bound(alpha, np.sqrt(found["floor"]), xi),
        "merged_bound": bounds.base_bound(alpha, found["merged_gap"], found["merged_xi"]),
        "blind_bound": bounds.base_bound(alpha, found["merged_gap"], found["xi"] / 2),
    }


@partial(jax.jit, static_argnums=(1, 2))
def _worlds(keys: Any, points: int, labels: int, lam: float) -> dict[str, Any]:
    phi = np.arange(points) // 2

    def one(key: Any) -> dict[str, Any]:
        for_world, for_size, for_lam = jax.random.split(key, 3)
        # traced: not the ints that users give
        world: Any = random_world(for_world, points=points, labels=labels)
        law, g, y = world
        alpha = jax.random.uniform(for_size, minval=0.02, maxval=0.98)
        mixtures = {
            s: (1 - alpha) * law + alpha * finite.planted_law(law, g, y, strategy=s)
            for s in ("feature_label", "feature_only")
        }
        weight: Any = jax.random.uniform(for_lam, minval=1.0, maxval=lam)
        jtt = reweighted.population_jtt(law, g, y, alpha, weight)
        corrected, naive = (
            reweighted.reweighted_bound(law, g, y, alpha, jtt.weights, corrected=c)
            for c in (True, False)
        )
        return {
            "alpha": alpha,
            "gap": finite.suboptimality_gap(law, g, y),
            "xi": finite.uniqueness(law, g),
            "floor": finite.label_floor(law, y),
            "staircase": finite.success_staircase(law, g, y, alpha),
            "shifted": finite.success_staircase(law, g, y, 0.9 * alpha),
            "direct": finite.success_of(mixtures["feature_label"], law, g, y),
            "feature_only": finite.success_of(mixtures["feature_only"], law, g, y),
            "merged": finite.success_staircase(law, g, y, alpha, phi=phi),
            "merged_gap": finite.suboptimality_gap(law, g, y, phi=phi),
            "merged_xi": finite.uniqueness(law, g, phi=phi),
            "weighted": jtt.success,
            "corrected_bound": corrected,
            "naive_bound": naive,
        }

    return jax.vmap(one)(keys)


def population(lam: float, alphas: list[float]) -> Mapping[str, Any]:
    """ERM and population JTT on the example of two points, over sizes."""
    signal = np.array([1, 1])
    jtt = reweighted.population_jtt(EXAMPLE, signal, 1, np.asarray(alphas), lam)
    return {
        "erm": finite.success_staircase(EXAMPLE, signal, 1, np.asarray(alphas)),
        "jtt": jtt.success,
        "alpha_eff": jtt.alpha_eff,
        "e_c": jtt.e_c,
        "e_0": jtt.e_0,
        "threshold": finite.thresholds(EXAMPLE, signal, 1)[1],
    }


def weight_checks(m: int, sizes: list[float], rhos: list[float], seed: int) -> Mapping[str, Any]:
    """Check 7: sums, largest weights over their cap, and how active the chi^2 constraint is, on
    random losses."""
    with jax.enable_x64(True):
        losses = jnp.exp(jax.random.normal(jax.random.key(seed), (m,)))
        cvar = [np.asarray(weights.cvar_weights(losses, a)) for a in sizes]
        chi2 = [np.asarray(weights.chi2_weights(losses, r)) for r in rhos]
        limits = [weights.cvar_weights(losses, 1.0), weights.chi2_weights(losses, 0.0)]
    return {
        "sums": np.array([p.sum() for p in cvar + chi2]),
        "cap": np.array([p.max() * a * m for p, a in zip(cvar, sizes, strict=True)]),
        "divergence": np.array(
            [0.5 * ((m * p - 1) ** 2).mean() / r for p, r in zip(chi2, rhos, strict=True)]
        ),
        "from_uniform": np.array([np.abs(m * np.asarray(p) - 1).max() for p in limits]),
    }
