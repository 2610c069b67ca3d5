"""Tiles over all devices of a mesh, which may belong to several processes.

Every process runs the same program (`jax.distributed`). Together they compute each tile; the first
one alone writes it.
"""

import time
from collections.abc import Callable, Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.experimental import multihost_utils
from jax.sharding import Mesh, NamedSharding, PartitionSpec
from jaxtyping import Array, PyTree

from theorylab.errors import InputError
from theorylab.files import digest
from theorylab.ntk.engine import lengths
from theorylab.ntk.fill import fill
from theorylab.ntk.large.store import Tile
from theorylab.ntk.large.work import Network
from theorylab.ntk.layout import Task
from theorylab.ntk.plan import Plan
from theorylab.ntk.store import KernelStore
from theorylab.ntk.xla import XlaEngine

_TILE = 256  # samples of a tile for each device
_TEXT = 1024  # bytes of what the first process tells the others


class MeshEngine(XlaEngine):
    """What `XlaEngine` offers, with samples spread over the devices of all processes."""

    def features(self, params: PyTree, x: PyTree, seeds: np.ndarray, plan: Plan) -> Any:
        """Features of a tile: each device has those of its samples."""
        whole, rows = PartitionSpec(), PartitionSpec(self._mesh.axis_names)
        placed = self._place(params, whole), self._place(x, rows), self._place(seeds, whole)
        return super().features(*placed, plan)

    def contract(self, left: Any, right: Any) -> np.ndarray:
        """The kernel (n, m, ...) of two tiles, whole in every process."""
        return multihost_utils.process_allgather(super().contract(left, right), tiled=True)

    @property
    def _mesh(self) -> Mesh:
        assert self.mesh is not None
        return self.mesh

    def _place(self, tree: PyTree, spec: PartitionSpec) -> PyTree:
        sharding = NamedSharding(self._mesh, spec)

        def place(leaf: Any) -> Array:
            host = np.asarray(leaf)
            return jax.make_array_from_callback(host.shape, sharding, lambda part: host[part])

        return jax.tree.map(place, tree)

    def _first_tile(self, task: Task) -> int:
        return min(_TILE * self._mesh.size, max(task.rows, task.columns))


def require_mesh(mesh: Mesh) -> None:
    """Refuse a mesh that leaves out a process: it would wait for ever."""
    inside = {device.process_index for device in mesh.devices.flat}
    if inside != set(range(jax.process_count())):
        raise InputError(
            f"executor: the mesh has devices of processes {sorted(inside)} of "
            f"{jax.process_count()}; one of every process is needed, e.g. "
            'jax.make_mesh((len(jax.devices()),), ("samples",))'
        )


def described(mesh: Mesh) -> str:
    """The mesh in words: by how many devices samples are cut decides how sums are rounded."""
    shape = " x ".join(map(str, mesh.devices.shape))
    return f"{shape} {mesh.devices.flat[0].device_kind}"


def agree(setup: str) -> None:
    """Refuse a call that other processes make with something else."""
    if jax.process_count() > 1:
        own = np.frombuffer(bytes.fromhex(digest(setup.encode())), np.uint8)
        every = multihost_utils.process_allgather(own).reshape(-1, own.size)
        if (every != every[0]).any():
            raise InputError(
                "f, params, x1, x2 and settings differ between the processes of the mesh; call "
                "with the same in all of them"
            )


def first() -> bool:
    """Whether this process is the one that writes."""
    return jax.process_index() == 0


def told(text: str) -> str:
    """What the first process says, in every process."""
    if jax.process_count() == 1:
        return text
    raw = text.encode()[:_TEXT]
    line = np.zeros(_TEXT, np.uint8)
    line[: len(raw)] = np.frombuffer(raw, np.uint8)
    heard = np.asarray(multihost_utils.broadcast_one_to_all(line), np.uint8)
    return heard.tobytes().rstrip(b"\0").decode(errors="replace")


def wanted(missing: list[Tile] | None, tiles: list[Tile]) -> list[Tile]:
    """The tiles that the first process lacks, in every process."""
    lacked = set(missing or ())
    mask = np.array([tile in lacked for tile in tiles], np.int32)
    if jax.process_count() > 1:
        mask = np.asarray(multihost_utils.broadcast_one_to_all(mask))
    return [tile for tile, lacking in zip(tiles, mask, strict=True) if lacking]


def blocks(
    engine: MeshEngine,
    network: Network,
    tiles: list[Tile],
    samples: Callable[[Tile], tuple[PyTree, PyTree | None]],
) -> Iterator[tuple[Tile, np.ndarray, float]]:
    """Each tile with its numbers and its seconds; every process must take all of them."""
    params, memory_gb = network.cast(network.params), network.settings["memory_gb"]
    for tile in tiles:
        began = time.monotonic()
        rows, columns = (None if x is None else network.cast(x) for x in samples(tile))
        layout = engine.layout(params, rows, columns, memory_gb)
        analysis = engine.analysis(params, rows)
        outputs = {"full": (analysis.outputs,) * 2, "diagonal": (analysis.outputs,)}
        shape = (*lengths(rows, columns), *outputs.get(engine.reduce, ()))
        dtype = jnp.promote_types(analysis.dtype, jnp.float32)
        store = KernelStore(np.zeros(shape, dtype), columns is None)
        fill(store, engine, layout, params, rows, columns, False)
        yield tile, store.result(), time.monotonic() - began
