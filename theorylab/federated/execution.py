"""How the clients of a round are run: in one loop, batched, over a mesh, or from the host.

The results agree up to rounding; what a client does is in `local`.
"""

from collections.abc import Callable
from functools import lru_cache, partial
from typing import Any, Literal

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, PartitionSpec
from jaxtyping import Array, Int, Key

from theorylab import checks, linalg
from theorylab.cores import parallel_map
from theorylab.federated.clients import ClientData
from theorylab.federated.local import Client, LocalResult, Mine, Start
from theorylab.ntk.convolutions import has_convolutions

ClientAxis = Literal["map", "vmap", "threads", "host"] | Mesh
RunClients = Callable[[Start, Mine, Int[Array, " s"], Key[Array, " s"], ClientData], LocalResult]


def best_axis(client: Client, start: Start, mine: Mine, clients: ClientData) -> ClientAxis:
    """ "vmap" on an accelerator; on CPU "threads", and "host" for large convolutions.

    XLA runs the gradient of a convolution 3 to 30 times slower inside a loop than outside on CPU,
    and a convolution batched over models becomes a grouped one, slow there too.
    """
    if jax.default_backend() != "cpu":
        return "vmap"
    one = jax.tree.map(lambda a: jax.ShapeDtypeStruct(a.shape[1:], a.dtype), mine)
    return (
        "host"
        if has_convolutions(client.__call__, start, one, 0, jax.random.key(0), clients)
        else "threads"
    )


def run_clients(client: Client, axis: ClientAxis) -> RunClients:
    """How the clients of one round are run along a client axis: a function of what they are sent.

    It maps (start, what S clients take along, their numbers, their keys, all clients' data) to
    results with leading axis S. "threads" and "host" compile what they run themselves; the others
    may be called under jit.
    """
    if axis == "host":
        return _host(client)
    if axis == "threads":
        return _threads(client)
    if axis == "map":

        def mapped(
            start: Start, mine: Mine, chosen: Array, keys: Array, clients: ClientData
        ) -> LocalResult:
            return jax.lax.map(
                lambda a: client(start, a[0], a[1], a[2], clients), (mine, chosen, keys)
            )

        return mapped
    if axis == "vmap":
        return jax.vmap(client, in_axes=(None, 0, 0, 0, None))
    return _sharded(client, axis)


def check_axis(axis: Any) -> None:
    """Refuse what is not a `ClientAxis` or None."""
    if not isinstance(axis, Mesh):
        checks.choice("client_axis", axis, ("threads", "host", "map", "vmap", None))


def remembered(make: Callable[..., Any], *parts: Any) -> Any:
    """`make(*parts)`, where `make` is an `lru_cache`, so that what was compiled serves again.

    Parts that cannot be hashed (a user's function may hold arrays) are made again.
    """
    try:
        hash(parts)
    except TypeError:
        return make.__wrapped__(*parts)  # type: ignore[attr-defined]
    return make(*parts)


@lru_cache(maxsize=16)
def _stages(client: Client) -> tuple[Callable[..., Any], ...]:
    return jax.jit(client.begin), jax.jit(client.step, donate_argnums=1), jax.jit(client.finish)


def _host(client: Client) -> RunClients:
    begin, step, finish = remembered(_stages, client)

    def run(
        start: Start, mine: Mine, chosen: Array, keys: Array, clients: ClientData
    ) -> LocalResult:
        counts, numbers = np.asarray(clients.counts), np.asarray(chosen)
        first: tuple[Any, ...] = start, jax.tree.map(lambda a: a[0], mine), 0, keys[0], clients
        state: tuple[Any, ...] = jax.eval_shape(begin, *first)

        def one(s: int) -> LocalResult:
            i, own = numbers[s], jax.tree.map(lambda a: a[s], mine)
            carry, orders = begin(start, own, i, keys[s], clients)
            # the next line's step consumes it
            carry = jax.tree.map(lambda a: jnp.array(a, copy=True), carry)
            for t in range(int(client.local.step_counts(counts[i]))):
                carry = step(t, carry, orders, start, own, i, keys[s], clients)
            return finish(carry, i, clients)

        return _stacked(
            parallel_map(one, range(len(numbers)), threads=_at_once(step, 0, *state, *first))
        )

    return run


@lru_cache(maxsize=16)
def _one_client(client: Client) -> Callable[..., LocalResult]:
    def one(
        start: Start, mine: Mine, s: Any, chosen: Array, keys: Array, clients: ClientData
    ) -> LocalResult:
        return client(start, jax.tree.map(lambda a: a[s], mine), chosen[s], keys[s], clients)

    return jax.jit(one)


def _threads(client: Client) -> RunClients:
    one = remembered(_one_client, client)

    def run(
        start: Start, mine: Mine, chosen: Array, keys: Array, clients: ClientData
    ) -> LocalResult:
        def client(s: int) -> LocalResult:
            return one(start, mine, s, chosen, keys, clients)

        together = _at_once(one, start, mine, 0, chosen, keys, clients)
        return _stacked(parallel_map(client, range(len(chosen)), threads=together))

    return run


def _at_once(program: Callable[..., Any], *args: Any) -> int | None:
    """How many clients run at a time: one where they would wait for each other, else None.

    None is one per core.
    """
    return 1 if linalg.waiting_calls(program, *args) else None


@jax.jit
def _stacked(results: list[LocalResult]) -> LocalResult:
    return jax.tree.map(lambda *leaves: jnp.stack(leaves), *results)


def _sharded(client: Client, mesh: Mesh) -> RunClients:
    """Spread the chosen clients' data over all devices of the mesh.

    S is rounded up by running some twice.
    """
    mesh = Mesh(mesh.devices, mesh.axis_names)  # its axes in automatic mode
    names, devices = tuple(mesh.axis_names), mesh.size
    spread, everywhere = PartitionSpec(names), PartitionSpec()
    within = run_clients(client, "map" if jax.default_backend() == "cpu" else "vmap")

    # check_vma off: a loop's carry starts out equal on all devices and ends up different
    @partial(
        jax.shard_map,
        mesh=mesh,
        in_specs=(everywhere, spread, spread, spread),
        out_specs=spread,
        check_vma=False,
    )
    def shard(start: Start, mine: Mine, keys: Array, clients: ClientData) -> LocalResult:
        return within(start, mine, jnp.arange(clients.n_clients), keys, clients)

    def run(
        start: Start, mine: Mine, chosen: Array, keys: Array, clients: ClientData
    ) -> LocalResult:
        filled = jnp.arange(-(-len(chosen) // devices) * devices) % len(chosen)
        few: Any = jax.tree.map(lambda a: a[filled], (mine, keys))
        result = shard(start, *few, clients.take(chosen[filled]))
        return jax.tree.map(lambda a: a[: len(chosen)], result)

    return run
