"""Cells of the convex stage: the tangent features of a trained network, and every way of fitting
them."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree
from scipy.sparse.linalg import eigsh

from theorylab.federated.convexified import Convexified, FeatureOptions, convexify
from theorylab.federated.gram import fedavg_gram, gram, scaffold_gram
from theorylab.federated.least_squares import scaffold_least_squares
from theorylab.federated.standardizer import federated_standardizer
from theorylab.nets.functional import functional
from theorylab.papers.tct.worlds import World, build, functions
from theorylab.ridge.kernel import KernelRidgePath

Arrays = Mapping[str, Any]
FEATURES = 999_983  # added to the seed: the key of head and coordinates, that everybody shares


def convex(
    stage1: Mapping[str, Any] | None,
    world: Mapping[str, Any],
    tangent: Mapping[str, Any],
    solves: Sequence[Sequence[Any]],
    rounds: int,
    ridges: list[float],
    seed: int,
    trained: Arrays | None = None,
) -> Arrays:
    """Test and training accuracy after every round of stage 2, for several ways of solving it.

    stage1: the cell whose results are `trained`.
    tangent: where the features are taken, and how many: rounds1, rounds of stage 1 (0: the
    initialisation); which, "params", the averaged model, or "client", client 0's; p, coordinates of
    the gradient, None for all.
    solves: [algorithm, M, c, standardise, q, rounds] each, with eta = c / max_i lambda_max(H_i), on
      the first q of the p coordinates. "scaffold" and "fedavg"; "pooled", gradient descent on all
      examples in one place, M steps per round; "shuffled", SCAFFOLD whose clients get each other's
      corrections. Accuracies (solves, rounds), the last one repeated where a solve has fewer
      rounds.
    ridges: of ridge regression on the features of the first solve, as multiples of lambda_max(G);
      "ridgeless_accuracy" is that of the limit.
    """
    place = build(world, seed)
    problem, test = features(world, place, seed, trained, **tangent)
    labels, sizes = np.concatenate(problem.labels), [len(a) for a in problem.labels]
    y = np.concatenate(problem.targets())
    found: dict[str, Any] = {"sizes": sizes, "p": test.shape[1]}
    seen: dict[str, list[Any]] = {
        name: [None] * len(solves) for name in ("accuracy", "train_accuracy", "eta")
    }
    for standardize, q in dict.fromkeys((s[3], s[4]) for s in solves):
        kernel, kernel_test, live = kernels(problem, test, standardize, q)
        curvatures = _curvatures(kernel, sizes)
        whole = eigsh(kernel, k=1, v0=np.ones(len(y)), return_eigenvectors=False)[0] / len(y)
        tag = "" if standardize else "raw_"
        found.setdefault(f"{tag}curvature", curvatures)
        found.setdefault(f"{tag}trace", np.trace(kernel) / len(y))
        found.setdefault(f"{tag}live", live)
        for i, (algorithm, steps, c, own, coordinates, own_rounds) in enumerate(solves):
            if (own, coordinates) != (standardize, q):
                continue
            eta = c / (whole if algorithm == "pooled" else curvatures.max())
            options = {
                "eta": eta,
                "local_steps": steps,
                "rounds": own_rounds,
                "weights": problem.weights,
            }
            if algorithm == "shuffled":
                fitted, predicted = _shuffled(kernel, kernel_test, y, sizes, **options)
            else:
                shared = [len(y)] if algorithm == "pooled" else sizes
                options["weights"] = "size" if algorithm == "pooled" else problem.weights
                run = (scaffold_gram if algorithm == "scaffold" else fedavg_gram)(
                    kernel, y, shared, **options
                )
                fitted, predicted = run.fitted, run.predict(kernel_test)
            filled = (0, rounds - own_rounds)
            seen["accuracy"][i] = np.pad(
                (predicted.argmax(-1) == place.y_test).mean(-1), filled, "edge"
            )
            seen["train_accuracy"][i] = np.pad(
                (fitted.argmax(-1) == labels).mean(-1), filled, "edge"
            )
            seen["eta"][i] = eta
        if ridges and "ridgeless_accuracy" not in found:
            found |= _ridge(kernel, kernel_test, y, place.y_test, whole * np.asarray(ridges))
    return found | {name: np.array(values) for name, values in seen.items()}


def features(
    world: Mapping[str, Any],
    place: World,
    seed: int,
    trained: Arrays | None,
    *,
    rounds1: int,
    which: str,
    p: int | None,
) -> tuple[Convexified, np.ndarray]:
    """The convex problem before standardisation, and the features of the test images."""
    f, hidden = functions(world["model"], place.x_test.shape[1:])
    params = functional(place.model)[1]
    if trained is not None:
        params = ravel_pytree(params)[1](trained[f"{which}_{rounds1}"])
    problem = convexify(
        (f, params),
        place.clients,
        FeatureOptions(hidden=hidden, n_coords=p, standardize=False, batch_size=125),
        key=jax.random.key(FEATURES + seed),
    )
    return problem, problem.map(place.x_test)


def kernels(
    problem: Convexified, test: np.ndarray, standardize: bool, q: int | None
) -> tuple[np.ndarray, np.ndarray, int]:
    """Gram matrices (n, n) and (m, n) on a random q of the coordinates, and how many of these
    vary."""
    order = np.random.default_rng(0).permutation(test.shape[1])[:q]
    blocks = [
        block if q in (None, test.shape[1]) else block[:, order] for block in problem.features
    ]
    seen = test if q in (None, test.shape[1]) else test[:, order]
    standardizer = federated_standardizer(blocks)
    if standardize:
        blocks, seen = [standardizer.apply(block) for block in blocks], standardizer.apply(seen)
    phi = np.concatenate(blocks)
    return gram(phi), gram(seen, phi), standardizer.live


def _curvatures(kernel: np.ndarray, sizes: Sequence[int]) -> np.ndarray:
    """lambda_max(H_i) of every client from its block of the Gram matrix."""
    own = np.split(np.arange(len(kernel)), np.cumsum(sizes)[:-1])
    return np.array([np.linalg.eigvalsh(kernel[np.ix_(i, i)])[-1] / len(i) for i in own])


def _shuffled(
    kernel: np.ndarray,
    kernel_test: np.ndarray,
    y: np.ndarray,
    sizes: Sequence[int],
    *,
    rounds: int,
    **options: Any,
) -> tuple[np.ndarray, np.ndarray]:
    """SCAFFOLD where after every round each client gets the next one's correction. Fitted values
    and predictions.

    In the coordinates of the examples' span: Phi is only defined up to a rotation, and n is less
    than p.
    """
    values, vectors = np.linalg.eigh(kernel)
    kept = values > 1e-12 * values[-1]
    root = (vectors[:, kept] * np.sqrt(values[kept])).astype(np.float32)
    seen = kernel_test @ (vectors[:, kept] / np.sqrt(values[kept]))
    cuts = np.cumsum(sizes)[:-1]
    state, thetas = None, []
    for _ in range(rounds):
        run = scaffold_least_squares(
            np.split(root, cuts),
            np.split(y.astype(np.float32), cuts),
            rounds=1,
            state=state,
            **options,
        )
        h, local = (np.roll(a, 1, 0) for a in (run.state.h, run.state.local))
        state = replace(run.state, h=jnp.asarray(h), local=jnp.asarray(local))
        thetas.append(run.theta)
    return np.stack([root @ t for t in thetas]), np.stack([seen @ t for t in thetas])


def _ridge(
    kernel: np.ndarray,
    kernel_test: np.ndarray,
    y: np.ndarray,
    labels: np.ndarray,
    alphas: np.ndarray,
) -> Arrays:
    predicted = np.asarray(
        KernelRidgePath.fit(kernel, y).predict(kernel_test, np.array([0.0, *alphas]))
    )
    accuracy = (predicted.argmax(-1) == labels).mean(-1)
    return {"ridgeless_accuracy": accuracy[0], "ridge_accuracy": accuracy[1:]}
