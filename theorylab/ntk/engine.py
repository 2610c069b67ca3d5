"""The compiled pieces of a kernel computation, and how they are cut to fit the memory."""

import dataclasses
import functools
import math
import os
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec
from jaxtyping import Array, Float, PyTree

from theorylab.errors import InputError
from theorylab.ntk.contract import contract
from theorylab.ntk.features import Analysis, analyse, sample_features, split
from theorylab.ntk.guard import probe
from theorylab.ntk.plan import Plan, Reduce, choose

_TILE = 256  # samples a tile at most: products of this size run at full speed
# of the budget is planned; the rest is for the scratch of convolutions and products, in no account
_SHARE = 0.7
# a symmetric kernel: tiles on each side, where each keeps at least the second number of samples
_TRIANGLE = 4, 64


@dataclasses.dataclass(frozen=True)
class Layout:
    """How a kernel is cut: samples a tile, outputs a chunk, tiles of features held at once."""

    tile: int
    chunk: int
    outputs: int
    resident: int
    plan: Plan
    bytes: int  # estimate of the working memory
    costs: tuple = ()  # what the plan was chosen for, as `plan.choose` takes it after the blocks

    def passes(self, reduce: Reduce) -> list[tuple[int, int]]:
        """The pairs of output chunks that each tile of the kernel takes, by their first outputs."""
        starts = range(0, 1 if reduce == "sum_logits" else self.outputs, self.chunk)
        return [(q, r) for q in starts for r in starts if reduce == "full" or q == r]

    def seeds(self, start: int, reduce: Reduce, dtype: Any) -> Float[np.ndarray, "q o"]:
        """The cotangents of the outputs of one chunk.

        They are one-hot rows, zero rows beyond the last output, or one even row for the sum.
        """
        if reduce == "sum_logits":
            return np.full((1, self.outputs), 1 / math.sqrt(self.outputs), dtype)
        return np.eye(self.chunk, self.outputs, start, dtype)


class Engine:
    """The functions of one network and one reduction, compiled once for each shape they meet."""

    def __init__(self, f: Callable, reduce: Reduce, structured: bool, mesh: Mesh | None):
        self.f, self.reduce, self.structured = f, reduce, structured
        # its axes in automatic mode
        self.mesh = mesh if mesh is None else Mesh(mesh.devices, mesh.axis_names)
        self._probe = jax.jit(lambda params, x: probe(f, params, x))
        self._analyses: dict[Any, Analysis] = {}
        self._compiled: dict[Any, Any] = {}
        self._layouts: dict[Any, Layout] = {}

    def probe(self, params: PyTree, x: PyTree) -> tuple[Array, Array, Array]:
        """The outputs of a few samples, together and alone, as `guard.probe` gives them."""
        return self._probe(params, x)

    def analysis(self, params: PyTree, x: PyTree) -> Analysis:
        """The network taken apart, once for each set of shapes."""
        key = (
            _spec(params),
            _spec(jax.tree.map(lambda leaf: jax.ShapeDtypeStruct(leaf.shape[1:], leaf.dtype), x)),
        )
        if key not in self._analyses:
            self._analyses[key] = analyse(self.f, params, x, self.structured)
        return self._analyses[key]

    def features(self, params: PyTree, x: PyTree, seeds: np.ndarray, plan: Plan) -> Any:
        """Features of a tile; compiled for its shapes on first use."""
        return self._compile(self._features, plan, params, x, seeds)(params, x, seeds)

    def contract(self, left: Any, right: Any) -> Any:
        """The kernel (n, m, ...) of two tiles, an array of JAX or of NumPy."""
        return self._compile(self._contract, None, left, right)(left, right)

    def traced(self, params: PyTree, x1: PyTree, x2: PyTree | None) -> Array:
        """The kernel in one piece, for use inside the caller's transformations."""
        analysis = self.analysis(params, x1)
        n1, n2 = lengths(x1, x2)
        plan = choose(
            analysis.blocks,
            self.reduce,
            analysis.outputs,
            n1 + n2,
            n1 * n2,
            analysis.dtype.itemsize,
        )
        layout = Layout(n1, analysis.outputs, analysis.outputs, 2, plan, 0)
        seeds = layout.seeds(0, self.reduce, analysis.dtype)
        left = self._features(plan, params, x1, seeds)
        kernel = self._contract(
            None, left, left if x2 is None else self._features(plan, params, x2, seeds)
        )
        return kernel / analysis.outputs if self.reduce == "trace" else kernel

    def layout(
        self, params: PyTree, x1: PyTree, x2: PyTree | None, memory_gb: float | None
    ) -> Layout:
        """Tiles as large as speed asks and the memory allows.

        They are judged by the compiler's own account of each function.
        """
        allowed = memory_gb * 1e9 if memory_gb else default_budget()
        key = (*map(_spec, (params, x1, x2)), allowed)
        if key not in self._layouts:
            layout = self._best(params, x1, x2, _SHARE * allowed)
            if layout.bytes > _SHARE * allowed:
                need = layout.bytes / _SHARE / 1e9
                raise InputError(
                    f"memory_gb={allowed / 1e9:.3g}: a pair of samples takes {need:.3g}; allow "
                    "that much."
                )
            self._layouts[key] = layout
        return self._layouts[key]

    def _best(self, params: PyTree, x1: PyTree, x2: PyTree | None, budget: float) -> Layout:
        """The layout for bytes `budget`; beyond it where nothing fits."""
        return self._fitting(params, x1, x2, budget, self._first_tile(*lengths(x1, x2), x2 is None))

    def _fitting(
        self,
        params: PyTree,
        x1: PyTree,
        x2: PyTree | None,
        budget: float,
        tile: int,
        held: bool = True,
    ) -> Layout:
        """The largest tiles within the budget, from `tile` samples down.

        Beyond the budget where even a pair of samples is.

        `held`: the features of tiles stay for the tiles they meet next, else they are made for
        every pair of tiles.
        """
        analysis, (n1, n2) = self.analysis(params, x1), lengths(x1, x2)
        devices = self.mesh.size if self.mesh is not None else 1
        tile, chunk = (
            math.ceil(tile / devices) * devices,
            1 if self.reduce == "sum_logits" else analysis.outputs,
        )
        while True:
            pairs = n1 * n2 / 2 + n1 * tile / 2 if x2 is None else n1 * n2
            samples = n1 + (0 if x2 is None else n2) if held else made(n1, n2, tile, x2 is None)
            costs = (self.reduce, analysis.outputs, samples, pairs, analysis.dtype.itemsize)
            layout = Layout(
                tile,
                chunk,
                analysis.outputs,
                2,
                self._chosen(analysis, costs, tile, held, budget),
                0,
            )
            each, extra = self._memory(params, x1, layout)
            least = each * (1 if x2 is None and tile >= n1 else 2) + extra
            if least <= budget or (tile == devices and chunk == 1):
                break
            shrink = (
                0.95
                * ((budget - extra) / (least - extra) if budget > extra else budget / least) ** 0.7
            )
            if tile > devices:
                shares = max(1, min(tile - devices, int(tile * shrink)))
                tile = max(1, even(max(n1, n2), shares) // devices) * devices
            else:
                chunk = max(1, min(chunk - 1, int(chunk * shrink)))
        tiles = math.ceil(n1 / tile) + math.ceil(n2 / tile)
        resident = max(2, min(int((budget - extra) // each), tiles)) if held else 2
        used = min(resident, tiles - (math.ceil(n2 / tile) if x2 is None else 0))
        return dataclasses.replace(
            layout, resident=resident, bytes=int(max(least, used * each + extra)), costs=costs
        )

    def _first_tile(self, n1: int, n2: int, symmetric: bool) -> int:
        parts = min(_TRIANGLE[0], max(1, n1 // _TRIANGLE[1])) if symmetric else 1
        return min(_TILE, math.ceil(max(n1, n2) / parts))

    def _chosen(
        self, analysis: Analysis, costs: tuple, tile: int, held: bool, budget: float
    ) -> Plan:
        return choose(analysis.blocks, *costs)

    def _memory(self, params: PyTree, x: PyTree, layout: Layout) -> tuple[int, int]:
        """Bytes of one tile of features, and of what else computing and contracting them takes."""
        analysis = self.analysis(params, x)
        tile = jax.tree.map(
            lambda leaf: jax.ShapeDtypeStruct((layout.tile, *leaf.shape[1:]), leaf.dtype), x
        )
        seeds = layout.seeds(0, self.reduce, analysis.dtype)
        features = self._compile(self._features, layout.plan, params, tile, seeds)
        shapes = features.out_info
        contraction = self._compile(self._contract, None, shapes, shapes)
        held = tree_bytes(shapes)
        first, second = features.memory_analysis(), contraction.memory_analysis()
        block = tree_bytes(contraction.out_info)
        return held, tree_bytes(tile) + max(
            first.temp_size_in_bytes, second.temp_size_in_bytes + 2 * block
        )

    def _compile(self, function: Callable, static: Any, *args: Any) -> Any:
        key = (function.__name__, static, _spec(args))
        if key not in self._compiled:
            jitted = jax.jit(lambda *a: function(static, *a), in_shardings=self._places(len(args)))
            self._compiled[key] = jitted.lower(*args).compile()
        return self._compiled[key]

    def _places(self, arguments: int) -> tuple[NamedSharding, ...] | None:
        """Where arguments lie on a mesh.

        Samples are cut by rows; the parameters before and the seeds after them are whole on every
        device.
        """
        if self.mesh is None:
            return None
        mesh, (rows, whole) = self.mesh, _specs(self.mesh)
        specs = (rows, rows) if arguments == 2 else (whole, rows, whole)
        return tuple(NamedSharding(mesh, spec) for spec in specs)

    def _features(
        self, plan: Plan, params: PyTree, x: PyTree, seeds: np.ndarray
    ) -> list[tuple[Array, ...]]:
        analysis = self.analysis(params, x)

        def batch(params: PyTree, x: PyTree, seeds: Array) -> list[tuple[Array, ...]]:
            weights, fixed, _ = split(params)
            one = lambda sample: sample_features(analysis, plan, weights, fixed, sample, seeds)  # noqa: E731
            return jax.vmap(one)(jax.tree.leaves(x))

        if self.mesh is None:
            return batch(params, x, jnp.asarray(seeds))
        rows, whole = _specs(self.mesh)
        sharded = jax.shard_map(
            batch, mesh=self.mesh, in_specs=(whole, rows, whole), out_specs=rows, check_vma=False
        )
        return sharded(params, x, jnp.asarray(seeds))

    def _contract(self, _plan: None, left: list, right: list) -> Float[Array, "n m ..."]:
        if self.mesh is None:
            return contract(left, right, self.reduce)
        mesh, (rows, _) = self.mesh, _specs(self.mesh)

        def row_block(
            left: list, right: list
        ) -> Array:  # a device holds its rows of the left and gathers all of the right
            gather = functools.partial(
                jax.lax.all_gather, axis_name=mesh.axis_names, axis=0, tiled=True
            )
            return contract(left, jax.tree.map(gather, right), self.reduce)

        sharded = jax.shard_map(
            row_block, mesh=mesh, in_specs=(rows, rows), out_specs=rows, check_vma=False
        )
        return sharded(left, right)


def lengths(x1: PyTree, x2: PyTree | None) -> tuple[int, int]:
    """Samples of the rows and of the columns."""
    first = jax.tree.leaves(x1)[0].shape[0]
    return first, first if x2 is None else jax.tree.leaves(x2)[0].shape[0]


def made(n1: int, n2: int, tile: int, symmetric: bool) -> int:
    """Samples of all pairs of tiles."""
    rows, columns = math.ceil(n1 / tile), math.ceil(n2 / tile)
    return tile * (rows**2 if symmetric else 2 * rows * columns)


def even(samples: int, tile: int) -> int:
    """Samples of a tile, at most about `tile`: even shares, large ones multiples of eight."""
    share = math.ceil(samples / math.ceil(samples / tile))
    return share if share < 64 else min(tile, math.ceil(share / 8) * 8)


def _specs(mesh: Mesh) -> tuple[PartitionSpec, PartitionSpec]:
    """Cut along the samples over all axes of the mesh; not cut."""
    return PartitionSpec(mesh.axis_names), PartitionSpec()


def _spec(tree: PyTree) -> tuple:
    """Structure, shapes and types: what a compiled function depends on."""
    leaves, structure = jax.tree.flatten(tree)
    return structure, tuple((leaf.shape, leaf.dtype) for leaf in leaves)


def tree_bytes(tree: PyTree) -> int:
    """Bytes of all arrays of a tree."""
    return sum(math.prod(leaf.shape) * leaf.dtype.itemsize for leaf in jax.tree.leaves(tree))


def default_budget() -> float:
    """A quarter of the machine's memory, half of an accelerator's."""
    stats = jax.devices()[0].memory_stats() or {}
    if "bytes_limit" in stats:
        return 0.5 * (stats["bytes_limit"] - stats.get("bytes_in_use", 0))
    return 0.25 * os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
