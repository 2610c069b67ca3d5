"""Five networks under noise, and the ensembles that smoothing makes of them."""

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.tree_util import Partial

from theorylab.nets.fit import fit_seeds
from theorylab.papers.certified_ensembles.networks import MEMBERS, Sizes, pooled
from theorylab.robustness.ensembles.counts import ClassBounds, class_bounds
from theorylab.robustness.ensembles.smoothing import (
    average_of_smoothed,
    cohen_radius,
    smoothed_average,
    smoothed_counts,
)
from theorylab.robustness.networks import dense_network, dense_params

CONFIDENCE = 0.999


def _and_mean(params: Any, z: Any) -> Any:
    """Scores of the members, and their mean."""
    each = jax.vmap(dense_network, (0, None))(params, z)
    return jnp.concatenate([each, each.mean(0, keepdims=True)])


def smooth(
    data: str, sizes: list[int], sigma: float, draws: int, sample: bool | None, seed: int
) -> Mapping[str, Any]:
    """Certified radii (-1 where the class is wrong) of five smoothed networks, of ensembles (i) and
    (ii), and of one smoothed network of averaged scores, all from the same draws.

    A tenth of the draws, apart from the others, chooses the classes.
    """
    size = Sizes(*sizes)
    x, y, x_test, y_test = pooled(data, size, sample, seed)
    classes = int(y.max()) + 1
    keys = jax.random.split(jax.random.key(seed), MEMBERS)
    widths = [x.shape[1], size.units, size.units, classes]
    run = fit_seeds(
        dense_network,
        (x, y.astype(np.int32)),
        params=jax.vmap(lambda key: dense_params(key, widths))(keys),
        keys=keys,
        optimizer=optax.adam(2e-3),
        batch_size=min(128, len(x)),
        steps=size.steps,
        augment=lambda key, z: z + sigma * jax.random.normal(key, z.shape),
        progress=False,
    )

    scores = Partial(_and_mean, run.params)
    counts = [
        smoothed_counts(scores, x_test, key=jax.random.key(seed + i), draws=n, scale=sigma)
        for i, n in ((500_000, max(1, draws // 10)), (600_000, draws))
    ]
    choice, counted = counts
    found: dict[str, Any] = {"counts": counted, "labels": y_test}

    def kept(top: np.ndarray, radius: np.ndarray) -> np.ndarray:
        return np.where(top == y_test, radius, -1.0)

    single = class_bounds(counted, confidence=CONFIDENCE, label=choice.argmax(-1))
    alone = kept(single.top, _radius(single, sigma))
    found["member"], found["averaged_scores"] = alone[:MEMBERS], alone[MEMBERS]
    own = counted[:MEMBERS]
    label = choice[:MEMBERS].sum(0).argmax(-1)
    bounds = class_bounds(own, confidence=CONFIDENCE, label=label, members=MEMBERS)
    found["average"] = kept(*average_of_smoothed(bounds, sigma))
    found["probit"] = kept(*smoothed_average(bounds, np.full(MEMBERS, sigma)))
    rng = np.random.default_rng(seed)
    mixed = np.stack([c[rng.permutation(len(c))] if i else c for i, c in enumerate(own)])
    off = class_bounds(mixed, confidence=CONFIDENCE, label=label, members=MEMBERS)
    found["mixed"] = kept(*average_of_smoothed(off, sigma))
    return found


def _radius(bounds: ClassBounds, sigma: float) -> np.ndarray:
    """Cohen's radius of the chosen class against the strongest of the others."""
    mine = np.arange(bounds.lower.shape[-1]) == bounds.top[..., None]
    return cohen_radius(
        np.where(mine, bounds.lower, 0.0).max(-1),
        np.where(mine, 0.0, bounds.upper).max(-1),
        sigma=sigma,
    )
