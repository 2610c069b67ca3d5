"""Graphs: `Aggregate` sums over the neighbours of each node."""

import enum
import string
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import jax
import jax.numpy as jnp

from theorylab.errors import InputError
from theorylab.neural_tangents.kernel import Kernel
from theorylab.neural_tangents.masks import masking
from theorylab.neural_tangents.requirements import Bool, Diagonal, Layer, finished, requires
from theorylab.neural_tangents.stax.common import keep_shape, kernel_of
from theorylab.neural_tangents.trees import axes_of
from theorylab.ntk.infinite.state import State


class AggregateImplementation(enum.Enum):
    """How `pattern` is given: an array over pairs of nodes, or a list of edges."""

    DENSE = "DENSE"
    SPARSE = "SPARSE"


def dense_pattern(edges: Any, agg_shape: tuple[int, ...], samples: int) -> Any:
    """(n, *nodes, *nodes) counts of edges, from (n, edges[, dims], 2) senders and receivers."""
    if edges.shape[-1] != 2:
        raise InputError(f"pattern: shape {edges.shape}; senders and receivers, 2, come last")
    if edges.ndim == 3 and len(agg_shape) == 1:
        edges = edges[:, :, None, :]
    if edges.ndim != 4 or edges.shape[2] != len(agg_shape) or edges.shape[0] != samples:
        raise InputError(
            f"pattern: shape {edges.shape}; ({samples}, edges, {len(agg_shape)}, 2) is needed"
        )
    size = 1
    for n in agg_shape:
        size *= n

    def number(nodes: Any) -> tuple[Any, Any]:
        flat = jnp.zeros(nodes.shape[:-1], int)
        for d, n in enumerate(agg_shape):
            flat = flat * n + nodes[..., d]
        return flat, (nodes >= 0).all(-1)

    (senders, seen1), (receivers, seen2) = number(edges[..., 0]), number(edges[..., 1])

    def one(s: Any, r: Any, there: Any) -> Any:
        zero = jnp.zeros((size, size))
        return zero.at[jnp.where(there, s, 0), jnp.where(there, r, 0)].add(there.astype(float))

    found = jax.vmap(one)(senders, receivers, seen1 & seen2)
    return found.reshape(samples, *agg_shape, *agg_shape)


class _Graph:
    """Which axes are nodes, and how patterns are read."""

    def __init__(
        self, aggregate_axis: Any, batch_axis: int, channel_axis: int, read: Callable[..., Any]
    ) -> None:
        self.over, self.ends, self.read = aggregate_axis, (batch_axis, channel_axis), read

    def axes(self, ndim: int) -> tuple[tuple[int, ...], int, int]:
        """(axes of nodes, axis of samples, axis of channels)."""
        batch, channel = (axis % ndim for axis in self.ends)
        if self.over is None:
            return tuple(a for a in range(ndim) if a not in (batch, channel)), batch, channel
        return axes_of(self.over, ndim), batch, channel

    def dense(self, pattern: Any, shape: tuple[int, ...]) -> Any:
        """The pattern as (n, *nodes, *nodes)."""
        over, batch, _ = self.axes(len(shape))
        return self.read(pattern, tuple(shape[a] for a in over), shape[batch])

    def apply(self, x: Any, pattern: Any) -> Any:
        """Sums over neighbours."""
        over, batch, _ = self.axes(x.ndim)
        letters = string.ascii_lowercase[: x.ndim]
        moved = {a: string.ascii_uppercase[a] for a in over}
        here = letters[batch] + "".join(letters[a] for a in over)
        out = "".join(moved.get(a, letters[a]) for a in range(x.ndim))
        matrix = self.dense(pattern, x.shape).astype(x.dtype)
        how = f"{letters},{here}{''.join(moved.values())}->{out}"
        return jnp.einsum(how, x, matrix, optimize=True)

    def kernel(self, k: Kernel, patterns: tuple[Any, Any]) -> Callable[[State, Kernel], State]:
        """What the sums do to covariances."""
        over, batch, channel = self.axes(len(k.shape1))
        matrices = [
            self.dense(p, shape) for p, shape in zip(patterns, (k.shape1, k.shape2), strict=True)
        ]
        spatial = [a for a in range(len(k.shape1)) if a not in (batch, channel)]
        places = [spatial.index(a) for a in over]
        return lambda state, k: _aggregated(state, [matrices[s - 1] for s in state.sides], places)


def Aggregate(
    aggregate_axis: Any = None,
    batch_axis: int = 0,
    channel_axis: int = -1,
    to_dense: Callable[[Any], Any] | None = lambda p: p,
    implementation: str = AggregateImplementation.DENSE.value,
) -> Layer:
    """Sums over neighbours, by the adjacency arrays of `pattern=`."""
    sparse = AggregateImplementation(implementation) is AggregateImplementation.SPARSE
    given = (lambda p: p) if to_dense is None else to_dense
    read = dense_pattern if sparse else lambda pattern, nodes, samples: given(pattern)
    graph = _Graph(aggregate_axis, batch_axis, channel_axis, read)

    def apply_fn(params: Any, inputs: Any, *, pattern: Any = None, **kwargs: Any) -> Any:
        return inputs if pattern is None else graph.apply(inputs, pattern)

    def kernel_fn(k: Kernel, *, pattern: Any = (None, None), **kwargs: Any) -> Kernel:
        patterns = (None, None) if pattern is None else tuple(pattern)
        if all(p is None for p in patterns):
            return k
        if any(p is None for p in patterns):
            raise NotImplementedError(
                "Aggregate: one of the two patterns is None; give both (an identity for no edges)"
            )
        return kernel_of(graph.kernel(k, patterns))(k, **kwargs)

    needs = requires(
        batch_axis=batch_axis,
        channel_axis=channel_axis,
        diagonal_spatial=Diagonal(input=Bool.NO, output=Bool.NO),
    )
    return finished(
        "Aggregate", *masking(keep_shape, apply_fn, needs(kernel_fn), remask_kernel=True)
    )


def _aggregated(state: State, matrices: list[Any], places: list[int]) -> State:
    dims = len(state.spatial)
    if not places or not dims:
        return state
    if not state.full:
        raise InputError(
            "Aggregate: needs covariances of all pairs of nodes; compute the kernel before it with "
            "diagonal_spatial=False"
        )
    first = string.ascii_lowercase[:dims]
    second = string.ascii_lowercase[dims : 2 * dims]
    one, two = ({d: string.ascii_uppercase[side * dims + d] for d in places} for side in (0, 1))
    out1 = "".join(one.get(d, first[d]) for d in range(dims))
    out2 = "".join(two.get(d, second[d]) for d in range(dims))
    here1 = "".join(first[d] for d in places) + "".join(one.values())
    here2 = "".join(second[d] for d in places) + "".join(two.values())

    def cross(cov: Any, left: Any, right: Any, lead: int) -> Any:
        rows = "yz" if lead == 2 else "yy"
        batch = "yz"[:lead]
        how = f"{batch}{first}{second},{rows[0]}{here1},{rows[1]}{here2}->{batch}{out1}{out2}"
        return jnp.einsum(how, cov, left.astype(cov.dtype), right.astype(cov.dtype), optimize=True)

    left, right = matrices
    return replace(
        state,
        nngp=cross(state.nngp, left, right, 2),
        ntk=cross(state.ntk, left, right, 2),
        cov1=cross(state.cov1, left, left, 1),
        cov2=cross(state.cov2, right, right, 1),
    )
