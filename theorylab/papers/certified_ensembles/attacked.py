"""Attacks on the networks and their ensemble, inside and outside of what is certified."""

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from theorylab.papers.certified_ensembles.networks import radii
from theorylab.robustness.attacks import pgd
from theorylab.robustness.ensembles.lipschitz import dense_sorted


def _mean_scores(params: Any, x: Any) -> Any:
    """Scores of an ensemble whose layers have a leading axis of members."""
    return jax.vmap(lambda layers: dense_sorted(layers, x))(params).mean(0)


def attack(
    images: int, attack_steps: int, radii_at: list[float], net: Mapping[str, np.ndarray], **_: Any
) -> Mapping[str, Any]:
    """Of the first group: how many images that are certified at a radius an attack of that radius
    moves, for the ensemble and one member; and of those certified at a third of it."""
    x = jnp.asarray(net["images"][:images], jnp.float32)
    layers = [
        {name: jnp.asarray(net[f"{name}{i}"][0], jnp.float32) for name in "wb"} for i in range(3)
    ]
    found = radii(net["scores"][0], net["constants"][0], net["labels"])
    result: dict[str, Any] = {}
    for name, params, certified in (
        ("ensemble", layers, found["ensemble_any"][:images]),
        ("member", jax.tree.map(lambda a: a[:1], layers), found["member_any"][0, :images]),
    ):
        before = np.asarray(_mean_scores(params, x).argmax(-1))
        held, broken, broken_third = [], [], []
        for eps in radii_at:
            moved = pgd(
                _mean_scores, params, x, before, eps=eps, steps=attack_steps, norm="l2", bounds=None
            )
            after = np.asarray(_mean_scores(params, moved).argmax(-1))
            held.append((certified > eps).sum())
            broken.append(((certified > eps) & (after != before)).sum())
            broken_third.append(((certified > eps / 3) & (after != before)).sum())
        result |= {
            f"{name}_certified": held,
            f"{name}_broken": broken,
            f"{name}_broken_third": broken_third,
        }
    return result
