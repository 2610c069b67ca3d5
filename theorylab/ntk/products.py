"""The kernel column by column, by NTK-vector products.

A product is a backward pass at one sample and a forward-mode pass at many.

The cheapest in memory, no per-sample gradient is ever stored; 3 N1 N2 O passes for O outputs
(Novak, Sohl-Dickstein, Schoenholz 2022, arXiv 2206.08720, section 3.2), so it pays where parameters
are many, samples few and O is small.
"""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PyTree

from theorylab.ntk.analysis import split
from theorylab.ntk.derivatives import pushforward
from theorylab.ntk.engine import Engine
from theorylab.ntk.layout import Account, Layout, samples_like, tree_bytes
from theorylab.ntk.plan import Plan, Reduce
from theorylab.ntk.xla import as_if_unknown


class ProductEngine(Engine):
    """What `Engine` offers, with the samples themselves in the place of their features."""

    method = "ntk_vp"

    def features(self, params: PyTree, x: PyTree, seeds: np.ndarray, plan: Plan) -> Any:
        """The samples themselves, with the seeds: nothing is computed before the products."""
        return params, x, seeds

    def contract(self, left: Any, right: Any) -> Float[Array, "n m ..."]:
        """The kernel (n, m, ...) of two tiles of samples, by NTK-vector products."""
        (params, x, q), (_, y, r) = left, right
        return self._compile(self._block, None, params, x, q, y, r)(params, x, q, y, r)

    def traced(self, params: PyTree, x1: PyTree, x2: PyTree | None) -> Array:
        """The kernel in one piece, for use inside the caller's transformations."""
        analysis = self.analysis(params, x1)
        layout = Layout(1, analysis.outputs, analysis.outputs, 2, Plan((), False), 0)
        seeds = as_if_unknown(layout.seeds(0, self.reduce, analysis.dtype))
        kernel = self._block(None, params, x1, seeds, x1 if x2 is None else x2, seeds)
        return kernel / analysis.outputs if self.reduce == "trace" else kernel

    def _account(self, params: PyTree, x: PyTree, layout: Layout) -> Account:
        tile = samples_like(x, layout.tile)
        seeds = layout.seeds(0, self.reduce, self.analysis(params, x).dtype)
        block = self._compile(self._block, None, params, tile, seeds, tile, seeds)
        scratch = block.memory_analysis().temp_size_in_bytes
        return Account(tree_bytes(tile), scratch + 2 * tree_bytes(block.out_info))

    def _block(
        self, _plan: None, params: PyTree, x: PyTree, q: Any, y: PyTree, r: Any
    ) -> Float[Array, "n m ..."]:
        return kernel_block(self.f, params, x, jnp.asarray(q), y, jnp.asarray(r), self.reduce)


def kernel_block(
    f: Any,
    params: PyTree,
    x: PyTree,
    q: Float[Array, "q o"],
    y: PyTree,
    r: Float[Array, "r o"],
    reduce: Reduce,
) -> Float[Array, "n m ..."]:
    """The kernel of samples x and y for the combinations q and r of outputs.

    Its shape is that of `contract`.
    """
    weights, fixed, join = split(params)

    def outputs(weights: list[Array], samples: PyTree) -> Float[Array, "n o"]:
        leaves = jax.tree.leaves(f(join(weights, fixed), samples))
        return jnp.concatenate([leaf.reshape(leaf.shape[0], -1) for leaf in leaves], 1)

    push = pushforward(lambda w: outputs(w, x), weights)

    def columns(sample: PyTree) -> Float[Array, "r n q"]:
        one = jax.tree.map(lambda leaf: leaf[None], sample)
        _, pullback = jax.vjp(lambda w: outputs(w, one)[0], weights)

        def column(cotangent: Float[Array, " o"]) -> Float[Array, "n o"]:
            return push(pullback(cotangent)[0])[1]

        form = "rno,qo->rnq" if reduce == "full" else "rno,ro->rn"
        kind = jnp.promote_types(q.dtype, jnp.float32)
        return jnp.einsum(form, jax.vmap(column)(r), q, preferred_element_type=kind)

    found = jax.lax.map(columns, y)
    if reduce == "full":
        return found.transpose(2, 0, 3, 1)
    return found.transpose(2, 0, 1) if reduce == "diagonal" else jnp.sum(found, 1).T
