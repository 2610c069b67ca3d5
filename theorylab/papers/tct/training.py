"""Cells with networks: federated runs of the baselines, and how good the layers are that FedAvg has
learned."""

from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree

from theorylab.federated.algorithms import centralized, fedavg, fednova, fedprox, scaffold
from theorylab.federated.fit import RoundDivergenceError, federated_fit
from theorylab.federated.models import as_functions
from theorylab.federated.rounds import Algorithm, FederatedState
from theorylab.nets.functional import functional
from theorylab.nets.losses import cross_entropy
from theorylab.papers.tct.worlds import World, build, functions, network

METHODS = {
    "fedavg": fedavg,
    "fedprox": fedprox,
    "scaffold": scaffold,
    "fednova": fednova,
    "centralized": centralized,
}


def train(
    world: Mapping[str, Any],
    method: str,
    options: Mapping[str, Any],
    rounds: int,
    keep: list[int],
    seed: int,
) -> Mapping[str, Any]:
    """Test accuracy before the first round and after every one (rounds + 1,), of the averaged
    model.

    Also its parameters as one vector after each of the rounds `keep`, and client 0's own model of
    that round. A run that diverges counts as chance from there on; `diverged` is the last finite
    round, or -1. What was to be kept later is kept of that one: a first stage that diverges ends
    with its last finite model.
    """
    place = build(world, seed)
    algorithm = METHODS[method](**options)
    kept: dict[int, FederatedState] = {}
    wanted = set(keep)

    def look(number: int, state: FederatedState) -> None:
        if number in wanted or number + 1 in wanted:
            kept[number] = state

    run = lambda rounds: federated_fit(  # noqa: E731
        place.model,
        place.clients,
        algorithm=algorithm,
        rounds=rounds,
        key=jax.random.key(seed),
        eval_data=(place.x_test, place.y_test),
        eval_batch_size=len(place.y_test),
        on_round=look,
        progress=False,
    )
    diverged = -1
    try:
        accuracy = run(rounds).accuracy
    except RoundDivergenceError as error:
        diverged = error.step
        wanted.add(diverged)
        accuracy = np.pad(
            run(diverged).accuracy, (0, rounds - diverged), constant_values=1 / place.classes
        )
    found = {"accuracy": accuracy, "diverged": diverged, "sizes": np.asarray(place.clients.counts)}
    for number in keep:
        last = number if diverged < 0 else min(number, diverged)
        if last in kept:
            found[f"params_{number}"] = np.asarray(ravel_pytree(kept[last].params)[0])
            if last:
                found[f"client_{number}"] = _client_zero(place, algorithm, kept[last - 1], seed)
    return found


def _client_zero(
    place: World, algorithm: Algorithm, before: FederatedState, seed: int
) -> np.ndarray:
    """Client 0's model at the end of a round, before the average: what the authors' example saves
    by mistake."""
    apply = as_functions(place.model, None)[0]
    federated = algorithm.bind(apply, cross_entropy, place.clients)
    local = federated.local(before, place.clients, jax.random.key(seed))
    return np.asarray(ravel_pytree(jax.tree.map(lambda a: a[0], local.params))[0])


@lru_cache(maxsize=4)
def _mixture(f: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
    """The network with the entries of `fixed` where `mask` is 1, and `free` elsewhere, which alone
    are trained."""

    def mixed(params: Any, x: Any) -> Any:
        fixed, mask = jax.lax.stop_gradient((params["fixed"], params["mask"]))
        return f(jax.tree.map(lambda m, a, b: m * a + (1 - m) * b, mask, fixed, params["free"]), x)

    return mixed


def layers(params: Any) -> list[list[str]]:
    """Paths of the parameters of every layer of a CNN, first layer first."""
    paths = [
        jax.tree_util.keystr(path) for path, _ in jax.tree_util.tree_flatten_with_path(params)[0]
    ]
    order = sorted({path.rpartition("[")[0] for path in paths}, key=lambda p: ("dense" in p, p))
    return [[path for path in paths if path.startswith(layer)] for layer in order]


def probe(
    stage1: Mapping[str, Any] | None,
    world: Mapping[str, Any],
    source: str,
    rounds: int,
    kept: list[int],
    options: Mapping[str, Any],
    seed: int,
    trained: Mapping[str, np.ndarray] | None = None,
) -> Mapping[str, Any]:
    """Test accuracy (len(kept),) when the first l layers stay as they are and the rest is drawn
    again and retrained.

    Retrained centrally, on all clients' images; the layers kept are those of `trained` (the results
    of `stage1`) after `rounds`, or of another initialisation. All l share one compiled step: which
    entries stay is data.
    """
    place = build(world, seed)
    mixed = _mixture(functions(world["model"], place.x_test.shape[1:])[0])
    fresh = functional(place.model)[1]
    unravel = ravel_pytree(fresh)[1]
    if trained is None:
        other = functional(network(world["model"], place.x_test.shape[1:], 10_000 + seed))[1]
    else:
        other = unravel(jnp.asarray(trained[f"params_{rounds}"]))
    paths = layers(fresh)
    accuracy = []
    for depth in kept:
        stays = {path for layer in paths[:depth] for path in layer}
        mask = jax.tree_util.tree_map_with_path(
            lambda path, a, stays=stays: jnp.full(
                a.shape, float(jax.tree_util.keystr(path) in stays)
            ),
            fresh,
        )
        params = {"free": fresh, "fixed": other, "mask": mask}
        whole = depth == len(paths)
        run = federated_fit(
            mixed,
            place.clients,
            params=params,
            algorithm=centralized(**options),
            rounds=1 - whole,
            key=jax.random.key(seed),
            eval_data=(place.x_test, place.y_test),
            eval_batch_size=len(place.y_test),
            eval_every=1,
            progress=False,
        )
        accuracy.append(run.accuracy[-1])
    return {"accuracy": np.array(accuracy), "layers": len(paths)}
