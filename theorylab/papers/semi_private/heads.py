"""Cells of private linear heads on features of real data: over directions, records and methods.

Descent is over all records at once, so that the epsilon of a cell is that of one Gaussian
mechanism. A head in all principal directions is one without projection: turning the features
changes nothing.
"""

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from theorylab.errors import InputError
from theorylab.papers.semi_private.bases import standard
from theorylab.privacy.dp_sgd import (
    LinearHead,
    Training,
    noise_multiplier,
    simulate_descents,
    spent_epsilon,
)
from theorylab.privacy.dp_sgd.baselines import (
    AdaptiveScales,
    GradientEmbedding,
    private_pca,
    random_projection,
)
from theorylab.privacy.dp_sgd.calibration import total_epsilon
from theorylab.privacy.online.keys import separate_ledger
from theorylab.ridge import RidgePath

Arrays = Mapping[str, np.ndarray]
HEAD = LinearHead("softmax")
SHAPES = (40, 360)  # numbers of directions that are compiled, beside all of them


def over_directions(
    ranks: list[int],
    epsilons: list[float],
    step_sizes: list[float],
    share: float,
    train: Arrays,
    test: Arrays,
    basis: Arrays,
    **given: Any,
) -> Mapping[str, Any]:
    """Test accuracies (ranks, epsilons) of heads on the leading directions, and epsilons spent.

    ranks: 0 stands for all directions. epsilons: 0 stands for no privacy. share: of the private
    records that is there. given: delta, steps, seed, and which features these are.
    """
    delta, steps, seed = given["delta"], given["steps"], given["seed"]
    kept = basis["private"][: round(share * len(basis["private"]))]
    x, y = standard(train["features"][kept], basis), train["labels"][kept]
    x_test = standard(test["features"], basis)
    few = basis["vectors"][:, : SHAPES[-1]]
    turned, turned_test = x @ few, x_test @ few
    d, classes = x.shape[1], int(train["labels"].max()) + 1
    noises = [noise_multiplier(e, delta=delta, steps=steps) if e else 0.0 for e in epsilons]
    training = Training(
        steps,
        step_size=np.array(step_sizes),
        clip=1.0,
        noise_multiplier=np.array(noises),
    )
    accuracy = []
    for rank in ranks:
        many = min(rank or d, d)
        if SHAPES[-1] < many < d:
            raise InputError(f"ranks holds {rank}; at most {SHAPES[-1]}, or 0 for all, are needed")
        padded = min(d, next(size for size in (*SHAPES, d) if size >= many))
        inside, outside = (turned, turned_test) if padded < d else (x, x_test)
        moving = (np.arange(padded) < many).astype(np.float32)
        found = simulate_descents(
            HEAD,
            HEAD.start(padded, classes),
            inside[:, :padded] * moving,
            y,
            training=training,
            keys=jax.random.split(jax.random.key(seed), 1),
            moving={"weights": moving[:, None], "bias": jnp.ones(())},
        )
        accuracy.append(_accuracy(found.params, outside[:, :padded] * moving, test["labels"]))
    spent = [spent_epsilon(z, delta=delta, steps=steps) if z else 0.0 for z in noises]
    return {"accuracy": np.array(accuracy), "spent": np.array(spent), "private": len(y)}


def _accuracy(params: Any, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Accuracies (settings,) of heads (1, settings, d, classes)."""
    weights, bias = (np.asarray(params[name])[0] for name in ("weights", "bias"))
    return np.array(
        [((x @ w + b).argmax(1) == y).mean() for w, b in zip(weights, bias, strict=True)]
    )


def methods(
    method: str,
    rank: int,
    epsilon: float,
    train: Arrays,
    test: Arrays,
    basis: Arrays,
    **given: Any,
) -> Mapping[str, Any]:
    """Test accuracy of one method at the same epsilon, and the epsilon that it spent.

    GEP and AdaDPS use the public records with random labels, as they have none. given: delta,
    steps, step_size, share of the private records, seed, and which features these are.
    """
    delta, steps, seed = given["delta"], given["steps"], given["seed"]
    rows = basis["private"][: round(given["share"] * len(basis["private"]))]
    x, x_test = (standard(part, basis) for part in (train["features"][rows], test["features"]))
    y, classes = train["labels"][rows], int(train["labels"].max()) + 1
    keys = jax.random.split(jax.random.key(seed), 2)
    noise = noise_multiplier(epsilon, delta=delta, steps=steps)
    parts = [(noise, 1.0, steps)]
    if method == "DP-PCA":  # half of the budget each
        first = np.sqrt(2) * noise_multiplier(epsilon, delta=delta, steps=1)
        parts = [(first, 1.0, 1), (np.sqrt(2) * noise, 1.0, steps)]
    projection = _projection(method, rank, x, basis, parts[0][0], keys[0])
    if projection is not None:
        x, x_test = x @ projection, x_test @ projection
    found = simulate_descents(
        _gradient(method, rank, basis, classes, seed),
        HEAD.start(x.shape[1], classes),
        x,
        y,
        training=Training(
            steps,
            step_size=given["step_size"],
            clip=1.0,
            noise_multiplier=np.array([parts[-1][0]]),
        ),
        keys=keys[1:],
    )
    return {
        "accuracy": _accuracy(found.params, x_test, test["labels"])[0],
        "spent": total_epsilon(parts, delta=delta),
    }


def _projection(
    method: str, rank: int, x: np.ndarray, basis: Arrays, noise: float, key: jax.Array
) -> np.ndarray | None:
    if method == "PILLAR":
        return basis["vectors"][:, :rank]
    if method == "Johnson-Lindenstrauss":
        return np.asarray(random_projection(key, x.shape[1], rank))
    if method == "DP-PCA":
        with separate_ledger():  # a study of public data, which may be made again
            clip = float(x.shape[1]) ** 0.5
            return np.asarray(private_pca(x, rank=rank, noise_multiplier=noise, clip=clip, key=key))
    return None


def _gradient(method: str, rank: int, basis: Arrays, classes: int, seed: int) -> Any:
    """The linear head itself, or with GEP's or AdaDPS' use of public records."""
    if method not in ("GEP", "AdaDPS"):
        return HEAD
    public = standard(basis["public"][:256], basis)
    made_up = np.random.default_rng(seed).integers(0, classes, len(public))
    given = jnp.asarray(public), jnp.asarray(made_up)
    if method == "GEP":
        return GradientEmbedding(HEAD, *given, rank=rank)
    return AdaptiveScales(HEAD, *given)


def defects(classes: list[int], train: Arrays, basis: Arrays, **where: Any) -> Mapping[str, Any]:
    """Low-rank defects (d,) of a linear classifier of two classes, over public directions.

    The classifier is a ridge regression on private records, with the penalty of generalised
    cross-validation.
    """
    rows = basis["private"][np.isin(train["labels"][basis["private"]], classes)]
    x = standard(train["features"][rows], basis).astype(np.float64)
    signs = np.where(train["labels"][rows] == classes[0], -1.0, 1.0)
    path = RidgePath.fit(x, signs)
    weights = np.asarray(path.coef(np.array([path.select("gcv").alpha])))[0, :, 0]
    kept = np.sqrt(np.cumsum((basis["vectors"].T.astype(np.float64) @ weights) ** 2))
    return {
        "defect": np.maximum(0.0, 1 - kept / np.linalg.norm(weights)),
        "records": len(rows),
    }
