"""Five GroupSort networks with certified Lipschitz constants and their ensemble, on images."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array

from theorylab.data.loading import load
from theorylab.nets.fit import fit_seeds
from theorylab.nets.losses import cross_entropy
from theorylab.robustness.ensembles.averages import ensemble_gap, ensemble_regime, prediction_gap
from theorylab.robustness.ensembles.certificates import lipschitz_certificate
from theorylab.robustness.ensembles.lipschitz import (
    dense_sorted,
    lipschitz_mlp,
    lipschitz_params,
    network_bound,
    power_iteration,
    sealed,
)

Found = Mapping[str, Any]
MEMBERS = 5
TEMPERATURE = 20.0
REGIMES = ("disagree", "agree_A", "agree_AB")


class Sizes(NamedTuple):
    """The places of `sizes`: pixels per side, hidden units, training and test images, steps."""

    side: int
    units: int
    train: int
    test: int
    steps: int


def pooled(
    data: str, sizes: Sizes, sample: bool | None, seed: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Images in [0, 1], averaged over blocks of pixels, as rows; the seed draws which."""
    found = load(data, sample=sample) if data == "fashion_mnist" else load(data)
    rng = np.random.default_rng(seed)
    if not found.is_image:  # a table of pixels: one pool, from which both parts are drawn
        x, y = found.merged()
        rows = rng.permutation(len(x))[: sizes.train + sizes.test]
        x, y = x[rows].astype(np.float32) / np.float32(x.max()), y[rows]
        return x[: sizes.train], y[: sizes.train], x[sizes.train :], y[sizes.train :]
    parts = []
    for images, labels, count in (
        (found.x_train, found.y_train, sizes.train),
        (found.x_test, found.y_test, sizes.test),
    ):
        rows, side = rng.permutation(len(images))[:count], sizes.side
        block = images.shape[1] // side
        cut = images[rows].astype(np.float32).reshape(-1, side, block, side, block) / 255
        parts += [cut.mean((2, 4)).reshape(len(cut), -1), labels[rows]]
    return parts[0], parts[1], parts[2], parts[3]


def _weighted(params: Any, x: Any) -> Array:
    """Scores, and in a last column how often the member has drawn the sample."""
    drawn = jax.lax.stop_gradient(params["drawn"])[x["row"]]
    scores = TEMPERATURE * lipschitz_mlp(params["layers"], x["image"])
    return jnp.concatenate([scores, drawn[:, None]], 1)


def _weighted_loss(outputs: Array, y: Array) -> Array:
    return outputs[:, -1] * cross_entropy(outputs[:, :-1], y)


def members(
    data: str, sizes: list[int], share: float, groups: int, sample: bool | None, seed: int
) -> Found:
    """Scores (g, 5, n, K) in float64 of sealed networks with their Lipschitz constants.

    Every member draws its own bootstrap sample, `share` of the training set in size.
    """
    size = Sizes(*sizes)
    x, y, x_test, y_test = pooled(data, size, sample, seed)
    classes, count = int(y.max()) + 1, groups * MEMBERS
    keys = jax.random.split(jax.random.key(seed), count)
    rng = np.random.default_rng(seed)
    drawn = np.stack(
        [rng.multinomial(round(share * len(x)), np.full(len(x), 1 / len(x))) for _ in keys]
    )
    widths = [x.shape[1], size.units, size.units, classes]
    layers = jax.vmap(lambda key: lipschitz_params(key, widths))(keys)
    run = fit_seeds(
        _weighted,
        ({"image": x, "row": np.arange(len(x), dtype=np.int32)}, y.astype(np.int32)),
        params={"layers": layers, "drawn": drawn.astype(np.float32) / share},
        keys=keys,
        optimizer=optax.adam(3e-3),
        batch_size=min(128, len(x)),
        steps=size.steps,
        loss=_weighted_loss,
        progress=False,
    )
    sealed_nets = [
        sealed(jax.tree.map(lambda a, s=s: np.asarray(a)[s], run.params["layers"]))
        for s in range(count)
    ]
    scores = np.stack([dense_sorted(net, x_test) for net in sealed_nets])
    constants = np.array([network_bound(net) for net in sealed_nets])
    powers = [
        np.prod([power_iteration(layer["w"], key=keys[s], steps=3) for layer in net])
        for s, net in enumerate(sealed_nets)
    ]
    shape = (groups, MEMBERS)
    found: dict[str, Any] = {
        "scores": scores.reshape(*shape, len(x_test), classes),
        "constants": constants.reshape(shape),
        "powers": np.reshape(powers, shape),
        "labels": y_test,
        "images": x_test,
    }
    for i in range(len(sealed_nets[0])):
        for name in "wb":
            stacked = np.stack([net[i][name] for net in sealed_nets])
            found[f"{name}{i}"] = stacked.reshape(*shape, *stacked.shape[1:])
    return found


def radii(scores: np.ndarray, constants: np.ndarray, labels: np.ndarray) -> dict[str, np.ndarray]:
    """Certified radii of a group, (5, n) and (n,); -1 where the prediction is wrong."""
    each, together = prediction_gap(scores), ensemble_gap(scores)
    own = [
        np.array([lipschitz_certificate(L, 1.0, of="vector", d=1).inradius()]) for L in constants
    ]
    unit = lipschitz_certificate(float(constants.mean()), 1.0, of="vector", d=1).inradius()
    member = np.stack([gap * size for gap, size in zip(each.gap, own, strict=True)])
    return {
        "member": np.where(each.top == labels, member, -1.0),
        "ensemble": np.where(together.top == labels, together.gap * unit, -1.0),
        "member_any": member,
        "ensemble_any": np.asarray(together.gap * unit),
    }


def summary(grid: list[float], net: Mapping[str, np.ndarray], **_: Any) -> Found:
    """Certified accuracy on a grid of radii, and how the ensemble lies to its members."""
    at, labels = np.array(grid), net["labels"]
    rng = np.random.default_rng(0)
    curves: dict[str, list[Any]] = {"member": [], "ensemble": [], "mixed": []}
    counts = []
    for scores, constants in zip(net["scores"], net["constants"], strict=True):
        found = radii(scores, constants, labels)
        # a wrong ensemble, whose members look at other images
        mixed = np.stack([s[rng.permutation(len(s))] if i else s for i, s in enumerate(scores)])
        curves["member"].append((found["member"][..., None] >= at).mean(1))
        curves["ensemble"].append((found["ensemble"][..., None] >= at).mean(0))
        off = radii(mixed, constants, labels)["ensemble"]
        curves["mixed"].append((off[..., None] >= at).mean(0))
        regime = ensemble_regime(scores)
        low, high = found["member_any"].min(0), found["member_any"].max(0)
        together, tol = found["ensemble_any"], 1e-9
        counts.append(
            [
                [(regime == r).sum() for r in REGIMES],
                [((regime == r) & (together < low * (1 - tol))).sum() for r in REGIMES],
                [((regime == r) & (together > high * (1 + tol))).sum() for r in REGIMES],
            ]
        )
    return {**curves, "regimes": np.array(counts)}
