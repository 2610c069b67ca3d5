"""What the clients hold: padded arrays with a mask and the weights of the average.

Source: the weights p_i = n_i / n are those of McMahan et al. (2017).
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields
from functools import partial
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike
from jaxtyping import Array, Bool, Float, Int, PyTree, Shaped

from theorylab import checks
from theorylab.errors import InputError
from theorylab.overflow import representable
from theorylab.pytrees import register

Weights = Literal["size", "uniform"] | Float[ArrayLike, " N"]


class Examples(NamedTuple):
    """The examples of one client.

    Attributes:
        x, y: (n_i, ...) arrays, or PyTrees of them.
    """

    x: Any
    y: Any


@register()
@dataclass(frozen=True)
class ClientData:
    """N clients, n_max places each; build it with `pad_clients`.

    Attributes:
        x, y: (N, n_max, ...) arrays, or PyTrees of them. The places after a client's own examples
            hold copies of these, so that statistics over a batch (batch norm) see no zeros.
        mask: (N, n_max), True at a client's own examples, which come first.
        weights: (N,) p_i of the average of the clients; they sum to 1.
    """

    x: PyTree[Shaped[Array, "N n ..."]]
    y: PyTree[Shaped[Array, "N n ..."]]
    mask: Bool[Array, "N n"]
    weights: Float[Array, " N"]

    @property
    def n_clients(self) -> int:
        """Number of clients, N."""
        return self.mask.shape[0]

    @property
    def counts(self) -> Int[Array, " N"]:
        """Number of examples of each client."""
        return self.mask.sum(1, dtype=jnp.int32)

    def client(self, i: int) -> Examples:
        """(x, y) of client i without the padding, on the host."""
        i = checks.count("i", i, 0, self.n_clients - 1)
        own = np.asarray(self.mask[i])
        return Examples(*jax.tree.map(lambda a: np.asarray(a[i])[own], (self.x, self.y)))

    def pooled(self) -> "ClientData":
        """All examples in the hands of one client: the centralised problem."""
        own = np.asarray(self.mask)
        x, y = jax.tree.map(lambda a: jnp.asarray(np.asarray(a)[own][None]), (self.x, self.y))
        return ClientData(x, y, jnp.ones((1, own.sum()), bool), jnp.ones(1, self.weights.dtype))

    def take(self, chosen: Int[Array, " s"]) -> "ClientData":
        """The chosen clients alone, their weights as they were."""
        chosen = checks.within("chosen", chosen, 0, self.n_clients - 1, ndim=1)
        if not jnp.issubdtype(chosen.dtype, jnp.integer):
            raise InputError(
                f"chosen has dtype {chosen.dtype}; the numbers of clients, integers, are needed"
            )
        return ClientData(
            *(jax.tree.map(lambda a: a[chosen], getattr(self, f.name)) for f in fields(self))
        )


def pad_clients(
    x: PyTree[Shaped[ArrayLike, "n ..."]],
    y: PyTree[Shaped[ArrayLike, "n ..."]],
    parts: Sequence[Int[ArrayLike, " n_i"]],
    *,
    weights: Weights = "size",
    allow_missing: bool = False,
) -> ClientData:
    """Deal examples out to clients by their index arrays.

    `label_partition`, `dirichlet_partition`, `iid_partition` and `consecutive_pairs_partition` give
    these. Memory is N times the largest client's: for very unequal clients consider several runs.

    Args:
        x, y: all examples, leading axis n; arrays, or PyTrees of them.
        parts: N index arrays into the examples.
        weights: "size" for p_i = n_i / n, which makes the average minimise the pooled loss;
            "uniform" for 1 / N, as much published code has it; or N positive numbers, which are
            normalised.
        allow_missing: accept integer classes of `y` that no client holds.

    Returns:
        A `ClientData`.

    Raises:
        InputError: a client without examples, NaN or infinity at a client, numbers beyond JAX's
            floating type, a class held by nobody, indices out of range, weights that are not N
            positive numbers.

    Examples:
        >>> x, y = np.arange(5.0)[:, None], np.array([0, 1, 0, 1, 1])
        >>> clients = pad_clients(x, y, [np.array([0, 1, 2]), np.array([3, 4])])
        >>> clients.mask.tolist()
        [[True, True, True], [True, True, False]]
        >>> [round(float(p), 3) for p in clients.weights]
        [0.6, 0.4]
    """
    checks.flag("allow_missing", allow_missing)
    x, y = (jax.tree.map(partial(_numbers, name), a) for name, a in (("x", x), ("y", y)))
    if not jax.tree.leaves(x):
        raise InputError(f"x = {checks.shown(x)}; the examples, at least one array, are needed")
    sizes = {leaf.shape[0] if leaf.ndim else 0 for leaf in jax.tree.leaves((x, y))}
    if len(sizes) != 1 or 0 in sizes:
        shapes = ", ".join(str(leaf.shape) for leaf in jax.tree.leaves((x, y))[:5])
        raise InputError(
            f"x, y: shapes {shapes} given; the same leading axis, of at least one example, is "
            "needed"
        )
    places_of = [_indices(i, part, max(sizes)) for i, part in enumerate(each("parts", parts))]
    if not places_of:
        raise InputError("parts: no clients given, at least one index array is needed")
    for i, part in enumerate(places_of):
        for leaf in jax.tree.leaves((x, y)):
            if np.issubdtype(leaf.dtype, np.inexact) and not np.isfinite(leaf[part]).all():
                raise InputError(
                    f"x, y: NaN or infinite entries at client {i}; remove or fill them in first"
                )
    if (
        not allow_missing
        and isinstance(y, np.ndarray)
        and y.ndim == 1
        and np.issubdtype(y.dtype, np.integer)
    ):
        missing = np.setdiff1d(y, y[np.concatenate(places_of)])
        if missing.size:
            raise InputError(
                f"parts: class {', '.join(map(str, missing[:5].tolist()))} is held by none of the "
                f"{len(parts)} clients; mend the partition, or allow_missing=True to train without"
            )
    longest = max(map(len, places_of))
    places = np.stack([np.resize(part, longest) for part in places_of])
    mask = np.arange(longest) < np.array([len(part) for part in places_of])[:, None]
    x, y = (
        jax.tree.map(lambda a, name=name: representable(name, a[places]), tree)
        for name, tree in (("x", x), ("y", y))
    )
    return ClientData(
        x, y, jnp.asarray(mask), jnp.asarray(client_weights(weights, mask.sum(1)), float)
    )


def client_weights(weights: Weights, counts: Int[np.ndarray, " N"]) -> Float[np.ndarray, " N"]:
    """p_i in float64, summing to 1."""
    if isinstance(weights, str):
        if weights not in ("size", "uniform"):
            raise InputError(
                f"weights: {weights!r} given, 'size', 'uniform' or {len(counts)} numbers are needed"
            )
        weights = counts if weights == "size" else np.ones(len(counts))
    p = np.asarray(checks.positive("weights", weights, shape=(len(counts),)), np.float64)
    return p / p.sum()


def each(name: str, given: Any) -> Iterable[Any]:
    """Unpack what is given client by client: a sequence, or an array with the clients first."""
    if (
        isinstance(given, str | dict)
        or not hasattr(given, "__iter__")
        or getattr(given, "ndim", 1) == 0
    ):
        raise InputError(
            f"{name} = {checks.shown(given)}; a sequence with one entry a client is needed"
        )
    return given


def check_clients_given(clients: Any) -> None:
    """Refuse what `pad_clients` did not make, or what does not fit together."""
    checks.instance("clients", clients, ClientData, "clients made by pad_clients(x, y, parts)")
    shapes = [np.shape(leaf) for leaf in jax.tree.leaves((clients.mask, clients.x, clients.y))]
    mask, weights = shapes[0], np.shape(clients.weights)
    if len(mask) != 2 or 0 in mask or any(s[:2] != mask for s in shapes) or weights != mask[:1]:
        raise InputError(
            f"clients: shapes {', '.join(map(str, shapes[1:5]))}, mask {mask} and weights "
            f"{weights} given; (N, n, ...), (N, n) and (N,) are needed, as pad_clients makes them"
        )


def _numbers(name: str, leaf: Any) -> np.ndarray:
    return np.asarray(checks.real(name, leaf)) if np.size(leaf) else np.asarray(leaf)


def _indices(i: int, part: ArrayLike, n: int) -> np.ndarray:
    part = np.asarray(checks.real(f"parts: client {i}", part))
    if part.ndim != 1 or not np.issubdtype(part.dtype, np.integer):
        raise InputError(
            f"parts: client {i} has {part.dtype} of shape {part.shape}, an index array (n_i,) is "
            "needed"
        )
    if part.min() < 0 or part.max() >= n:
        raise InputError(
            f"parts: client {i} has indices {part.min()} to {part.max()}, 0 to {n - 1} are possible"
        )
    return part
