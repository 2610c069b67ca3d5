"""Everything by XLA: one device, or a mesh of devices over which the samples of a tile are cut."""

import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec
from jaxtyping import Array, Float, PyTree

from theorylab.ntk.analysis import split
from theorylab.ntk.contract import contract
from theorylab.ntk.engine import Engine
from theorylab.ntk.features import Feature, sample_features
from theorylab.ntk.layout import Account, Layout, samples_like, tree_bytes
from theorylab.ntk.plan import Plan, Work, choose


class XlaEngine(Engine):
    """Features and their contraction as two compiled functions."""

    def features(self, params: PyTree, x: PyTree, seeds: np.ndarray, plan: Plan) -> list[Feature]:
        """Features of a tile; compiled for its shapes on first use."""
        return self._compile(self._features, plan, params, x, seeds)(params, x, seeds)

    def contract(self, left: list[Feature], right: list[Feature]) -> Any:
        """The kernel (n, m, ...) of two tiles."""
        return self._compile(self._contract, None, left, right)(left, right)

    def traced(self, params: PyTree, x1: PyTree, x2: PyTree | None) -> Array:
        """The kernel in one piece, for use inside the caller's transformations."""
        analysis, task = self.analysis(params, x1), self._task(params, x1, x2)
        samples, pairs = task.rows + task.columns, task.rows * task.columns
        work = Work(self.reduce, task.outputs, samples, pairs, task.itemsize)
        layout = Layout(task.rows, task.outputs, task.outputs, 2, choose(analysis.blocks, *work), 0)
        seeds = as_if_unknown(layout.seeds(0, self.reduce, analysis.dtype))
        left = self._features(layout.plan, params, x1, seeds)
        right = left if x2 is None else self._features(layout.plan, params, x2, seeds)
        kernel = self._contract(None, left, right)
        return kernel / analysis.outputs if self.reduce == "trace" else kernel

    def _features(self, plan: Plan, params: PyTree, x: PyTree, seeds: Any) -> list[Feature]:
        analysis = self.analysis(params, x)

        def batch(params: PyTree, x: PyTree, seeds: Array) -> list[Feature]:
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

    def _contract(
        self, _plan: None, left: list[Feature], right: list[Feature]
    ) -> Float[Array, "n m ..."]:
        if self.mesh is None:
            return contract(left, right, self.reduce)
        mesh, (rows, _) = self.mesh, _specs(self.mesh)

        # a device holds its rows of the left and gathers all of the right
        def row_block(left: list[Feature], right: list[Feature]) -> Array:
            gather = functools.partial(
                jax.lax.all_gather, axis_name=mesh.axis_names, axis=0, tiled=True
            )
            return contract(left, jax.tree.map(gather, right), self.reduce)

        sharded = jax.shard_map(
            row_block, mesh=mesh, in_specs=(rows, rows), out_specs=rows, check_vma=False
        )
        return sharded(left, right)

    def _account(self, params: PyTree, x: PyTree, layout: Layout) -> Account:
        tile = samples_like(x, layout.tile)
        seeds = layout.seeds(0, self.reduce, self.analysis(params, x).dtype)
        features = self._compile(self._features, layout.plan, params, tile, seeds)
        shapes = features.out_info
        contraction = self._compile(self._contract, None, shapes, shapes)
        deriving = features.memory_analysis().temp_size_in_bytes
        contracting = contraction.memory_analysis().temp_size_in_bytes
        contracting += 2 * tree_bytes(contraction.out_info)
        return Account(tree_bytes(shapes), tree_bytes(tile) + max(deriving, contracting))

    def _shardings(self, arguments: int) -> tuple[NamedSharding, ...] | None:
        """Samples are cut by rows; parameters before and seeds after them are on every device."""
        if self.mesh is None:
            return None
        mesh, (rows, whole) = self.mesh, _specs(self.mesh)
        specs = (rows, rows) if arguments == 2 else (whole, rows, whole)
        return tuple(NamedSharding(mesh, spec) for spec in specs)


def as_if_unknown(seeds: np.ndarray) -> Array:
    """One-hot seeds that a compiler cannot look into.

    With 128 samples and two outputs, that for TPU v5e folds them into a broadcast that its own
    verifier refuses (libtpu 0.0.52).
    """
    return jax.lax.optimization_barrier(jnp.asarray(seeds))


def _specs(mesh: Mesh) -> tuple[PartitionSpec, PartitionSpec]:
    """Cut along the samples over all axes of the mesh; not cut."""
    return PartitionSpec(mesh.axis_names), PartitionSpec()
