"""Tiles: the kernel of a network, block by block under a memory budget.

Kernels are computed in float64 unless told otherwise.
"""

from functools import partial
from math import ceil, isqrt
from typing import Any, NamedTuple, Protocol

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import NamedSharding, PartitionSpec
from jax.typing import ArrayLike
from jaxtyping import Array, Float

from theorylab import checks
from theorylab.double import in_float64
from theorylab.errors import InputError
from theorylab.ntk.infinite.state import State
from theorylab.ntk.infinite.state import positions as count_positions
from theorylab.precision import is_traced

# covariance-sized arrays alive at once inside a tile: two kernels, old and new, and temporaries
LIVE_ARRAYS = 8
LARGEST_TILE = 1024  # beyond this nothing is gained, and the last tiles overlap more


class Kernels(NamedTuple):
    """Both infinite-width kernels of one network.

    Attributes:
        nngp: (n1, n2, ...) covariance of the outputs at initialisation.
        ntk: (n1, n2, ...) tangent kernel.

    Source:
        Lee et al. 2018 (NNGP); Jacot et al. 2018 (NTK).
    """

    nngp: Float[Array, "n1 n2 ..."]
    ntk: Float[Array, "n1 n2 ..."]


class Network(Protocol):
    """What is asked of a network here; `layer.Layer` has it."""

    def output_shape(self, input_shape: tuple[int, ...], /) -> tuple[int, ...]:
        """Shape of the outputs, batch axis first."""
        ...

    def propagate(self, state: State, /) -> State:
        """Carry the covariances through the network."""
        ...

    def needs_full(self, full: bool, /) -> bool:
        """Whether covariances between different positions are needed before it."""
        ...


def compute(
    net: Network,
    x1: ArrayLike,
    x2: ArrayLike | None,
    *,
    get: str,
    positions: str,
    dtype: Any,
    memory_gb: float,
    mesh: jax.sharding.Mesh | None,
) -> Float[Array, "n1 n2 ..."] | Kernels:
    """The kernels that `Layer.kernel` describes."""
    checks.choice("get", get, ("ntk", "nngp", "both"))
    checks.choice("positions", positions, ("all", "same"))
    checks.number("memory_gb", memory_gb, 0.0, open_low=True)
    if mesh is not None:
        checks.instance("mesh", mesh, jax.sharding.Mesh, "a jax.sharding.Mesh, or None,")
    try:
        dtype = jnp.dtype(jnp.float64 if dtype is None else dtype)
    except TypeError:
        raise InputError(
            f"dtype = {checks.shown(dtype)}; float64 (default) or float32 is needed"
        ) from None
    if dtype not in (jnp.float32, jnp.float64):
        raise InputError(f"dtype={dtype}: kernels are computed in float64 (default) or float32")
    if is_traced(net, x1, x2):  # derivatives and batches of it are made in its own precision
        return in_float64(lambda: _computed(net, x1, x2, get, positions, dtype, memory_gb, mesh))
    return _computed(net, x1, x2, get, positions, dtype, memory_gb, mesh)


def _computed(
    net: Network,
    x1: ArrayLike,
    x2: ArrayLike | None,
    get: str,
    positions: str,
    dtype: Any,
    memory_gb: float,
    mesh: jax.sharding.Mesh | None,
) -> Float[Array, "n1 n2 ..."] | Kernels:
    symmetric = x2 is None
    # float64 has to be on while tracing and computing; the caller's own setting is left as it is.
    with jax.enable_x64(dtype == jnp.float64 or jnp.result_type(float) == jnp.float64):
        a = _checked("x1", x1, dtype)
        b = a if symmetric else _checked("x2", x2, dtype)
        if a.shape[1:] != b.shape[1:]:
            raise InputError(
                f"x2: samples of shape {b.shape[1:]} but x1 has samples of shape {a.shape[1:]}; "
                "both need the same"
            )
        spatial = net.output_shape(a.shape)[1:-1]
        full = positions == "all" and spatial != ()
        rows, columns = _sides(net, a, b, full, symmetric, memory_gb, mesh)
        kernels = _tiled(
            partial(_tile, net, get=get, full=full, mesh=mesh), a, b, rows, columns, symmetric
        )
        shape = (a.shape[0], b.shape[0], *spatial, *(spatial if full else ()))
        kernels = {name: k.reshape(shape) for name, k in kernels.items()}
    return Kernels(**kernels) if get == "both" else kernels[get]


def _checked(name: str, x: Any, dtype: Any) -> Array:
    x = checks.finite(name, x)
    if x.ndim < 2:
        raise InputError(
            f"{name} has shape {x.shape}; (n, d) or (n, *spatial, channels) is needed: add a "
            "batch axis"
        )
    return jnp.asarray(x if isinstance(x, jax.core.Tracer) else np.asarray(x), dtype)


def _sides(
    net: Network,
    x1: Array,
    x2: Array,
    full: bool,
    symmetric: bool,
    memory_gb: float,
    mesh: jax.sharding.Mesh | None,
) -> tuple[int, int]:
    """Rows and columns of a tile, so that its live covariances fit into the budget."""
    size = count_positions(x1.shape[1:-1])
    pair = LIVE_ARRAYS * x1.dtype.itemsize * size ** (2 if net.needs_full(full) else 1)
    most = int(min(memory_gb, 1e9) * 1e9 / pair)
    if most < 1:
        raise InputError(
            f"memory_gb={memory_gb}: one pair of samples with {size} positions needs "
            f"{pair / 1e9:.3g} GB; raise it"
        )
    n1, n2 = x1.shape[0], x2.shape[0]
    side = min(isqrt(most), LARGEST_TILE)
    rows = ceil(n1 / ceil(n1 / side))
    if mesh is not None:
        devices = mesh.shape[mesh.axis_names[0]]
        rows = min(ceil(rows / devices) * devices, n1 // devices * devices)
        if rows == 0:
            raise InputError(
                f"mesh: {n1} rows of x1 cannot be spread over {devices} devices; use fewer devices"
            )
    return rows, rows if symmetric else ceil(n2 / ceil(n2 / side))


def _tiled(tile: Any, x1: Array, x2: Array, rows: int, columns: int, symmetric: bool) -> Any:
    """The loop over tiles.

    All tiles have one shape (the last ones overlap), so that the kernel compiles once.
    """
    starts1, starts2 = _starts(x1.shape[0], rows), _starts(x2.shape[0], columns)
    pairs = [(i, j) for i in starts1 for j in starts2]
    if symmetric:
        # Diagonal tiles last: where overlapping tiles disagree in the last bit, they have the final
        # word, so the result is symmetric to the bit.
        pairs = [(i, j) for i, j in pairs if i < j] + [(i, i) for i in starts1]
    out: Any = None
    for i, j in pairs:
        part = tile(x1[i : i + rows], x2[j : j + columns], i - j if symmetric else None)
        if symmetric and i == j:
            part = jax.tree.map(lambda k: (k + _transpose(k)) / 2, part)
        if len(pairs) == 1:
            return part
        if out is None:
            n = (x1.shape[0], x2.shape[0])
            out = jax.tree.map(lambda k, n=n: jnp.zeros(n + k.shape[2:], k.dtype), part)
        out = _place(out, part, i, j)
        if symmetric and i != j:
            out = _place(out, jax.tree.map(_transpose, part), j, i)
    return out


def _starts(n: int, tile: int) -> list[int]:
    return [min(i * tile, n - tile) for i in range(ceil(n / tile))]


def _transpose(k: Array) -> Array:
    """Swap the samples of (n1, n2), (n1, n2, P) or (n1, n2, P, P).

    The two positions of each pair are swapped with them.
    """
    return k.transpose(1, 0, 3, 2) if k.ndim == 4 else jnp.swapaxes(k, 0, 1)


@partial(jax.jit, donate_argnums=0)
def _place(out: Any, part: Any, row: int, column: int) -> Any:
    def one(o: Array, p: Array) -> Array:
        return jax.lax.dynamic_update_slice(o, p, (row, column) + (0,) * (p.ndim - 2))

    return jax.tree.map(one, out, part)


def _tile(
    net: Network, x1: Array, x2: Array, offset: int | None, *, get: str, full: bool, mesh: Any
) -> Any:
    if mesh is not None:
        x1 = jax.device_put(x1, NamedSharding(mesh, PartitionSpec(mesh.axis_names[0])))
        x2 = jax.device_put(x2, NamedSharding(mesh, PartitionSpec()))
    return _kernels(net, x1, x2, offset, get=get, full=full)


@partial(jax.jit, static_argnames=("get", "full"))
def _kernels(
    net: Network, x1: Array, x2: Array, offset: int | None, *, get: str, full: bool
) -> Any:
    """The wanted kernels of one tile, positions flattened.

    Row i and column i + offset are the same sample.
    """

    # Differentiating backwards recomputes a tile instead of keeping all its intermediate
    # covariances.
    @jax.checkpoint
    def kernels(net: Network, x1: Array, x2: Array) -> Any:
        state = net.propagate(_inputs(x1, x2, offset, net.needs_full(full), full))
        state = state if full else state.at_equal_positions()
        size = count_positions(state.spatial)
        shape = (x1.shape[0], x2.shape[0], *[size] * (1 + full if state.spatial else 0))
        wanted = {"nngp": state.nngp, "ntk": state.ntk}
        return {name: k.reshape(shape) for name, k in wanted.items() if get in (name, "both")}

    return kernels(net, x1, x2)


def _inputs(x1: Array, x2: Array, offset: int | None, full: bool, wanted: bool) -> State:
    """Covariances of the data: inner products over channels, divided by their number."""
    spatial, channels = x1.shape[1:-1], x1.shape[-1]
    size = count_positions(spatial)
    a, b = (x.reshape(x.shape[0], size, channels) for x in (x1, x2))
    full = full and spatial != ()  # vectors have one position only
    pairs, own = ("ipc,jqc->ijpq", "ipc,iqc->ipq") if full else ("ipc,jpc->ijp", "ipc,ipc->ip")
    field = spatial * 2 if full else spatial

    def gram(how: str, u: Array, v: Array) -> Array:
        g = jnp.einsum(how, u, v, precision=jax.lax.Precision.HIGHEST) / channels
        return g.reshape(*g.shape[: g.ndim - 1 - full], *field)

    nngp = gram(pairs, a, b)
    same = None
    if offset is not None:
        same = jnp.arange(a.shape[0])[:, None] + offset == jnp.arange(b.shape[0])[None]
    return State(
        nngp=nngp,
        ntk=jnp.zeros_like(nngp),
        cov1=gram(own, a, a),
        cov2=gram(own, b, b),
        same=same,
        spatial=spatial,
        full=full,
        wanted=wanted,
    )
