"""What every way to compute a kernel has in common: `Engine`.

An engine belongs to one network and one reduction. `analysis` takes the network apart, `layout`
cuts the kernel, and `fill` then asks for the `features` of tiles and for the kernel of two of them,
`contract`. Engines differ in these two, in the bytes that they take (`_account`) and in the orders
of contraction that pay (`_plan`). They are `xla.XlaEngine`, `host.HostEngine` and
`products.ProductEngine`.
"""

from collections.abc import Callable
from typing import Any

import jax
import numpy as np
from jax.sharding import Mesh
from jaxtyping import Array, PyTree

from theorylab.errors import InputError
from theorylab.ntk.analysis import Analysis, analyse
from theorylab.ntk.guard import probe
from theorylab.ntk.layout import SHARE, Account, Layout, Task, default_budget, first_tile, fit
from theorylab.ntk.plan import Plan, Reduce, Work, choose


class Engine:
    """The functions of one network and one reduction, compiled once for each shape they meet."""

    def __init__(self, f: Callable, reduce: Reduce, structured: bool, mesh: Mesh | None = None):
        self.f, self.reduce, self.structured = f, reduce, structured
        # its axes in automatic mode
        self.mesh = mesh if mesh is None else Mesh(mesh.devices, mesh.axis_names)
        self._probe = jax.jit(lambda params, x: probe(f, params, x))
        self._analyses: dict[Any, Analysis] = {}
        self._compiled: dict[Any, Any] = {}
        self._layouts: dict[Any, Layout] = {}

    @property
    def method(self) -> str:
        """Its name for what belongs to a kernel on disk."""
        return "structured" if self.structured else "jacobian"

    # What an engine of its own implements
    # ---------------------------------------------------------------------------

    def features(self, params: PyTree, x: PyTree, seeds: np.ndarray, plan: Plan) -> Any:
        """What one tile of samples contributes, for the outputs that `seeds` choose."""
        raise NotImplementedError

    def contract(self, left: Any, right: Any) -> Any:
        """The kernel (n, m, ...) of two tiles, an array of JAX or of NumPy."""
        raise NotImplementedError

    def traced(self, params: PyTree, x1: PyTree, x2: PyTree | None) -> Array:
        """The kernel in one piece, for use inside the caller's transformations."""
        raise NotImplementedError

    def _account(self, params: PyTree, x: PyTree, layout: Layout) -> Account:
        """The bytes that a layout takes, by the compiler's own account of each function."""
        raise NotImplementedError

    def _plan(self, analysis: Analysis, work: Work, tile: int, held: bool, budget: float) -> Plan:
        """The order of contraction of every block, for tiles of this size."""
        return choose(analysis.blocks, *work)

    def _search(self, params: PyTree, x: PyTree, task: Task, budget: float) -> Layout:
        """The layout for bytes `budget`; beyond it where nothing fits."""
        return self._fit(params, x, task, budget, self._first_tile(task))

    def _first_tile(self, task: Task) -> int:
        """Samples of a tile to begin the search with."""
        return first_tile(task)

    def _shardings(self, arguments: int) -> Any:
        """Where the arguments of a compiled function lie; None for one device."""
        return None

    # What all share
    # ---------------------------------------------------------------------------

    def probe(self, params: PyTree, x: PyTree) -> tuple[Array, Array, Array]:
        """The outputs of a few samples, together and alone, as `guard.probe` gives them."""
        return self._probe(params, x)

    def analysis(self, params: PyTree, x: PyTree) -> Analysis:
        """The network taken apart, once for each set of shapes."""
        sample = jax.tree.map(lambda leaf: jax.ShapeDtypeStruct(leaf.shape[1:], leaf.dtype), x)
        key = _spec(params), _spec(sample)
        if key not in self._analyses:
            self._analyses[key] = analyse(self.f, params, x, self.structured)
        return self._analyses[key]

    def layout(
        self, params: PyTree, x1: PyTree, x2: PyTree | None, memory_gb: float | None
    ) -> Layout:
        """Tiles as large as speed asks and the memory allows, found once for each set of shapes."""
        allowed = memory_gb * 1e9 if memory_gb else default_budget()
        key = (*map(_spec, (params, x1, x2)), allowed)
        if key not in self._layouts:
            layout = self._search(params, x1, self._task(params, x1, x2), SHARE * allowed)
            if layout.bytes > SHARE * allowed:
                need = layout.bytes / SHARE / 1e9
                raise InputError(
                    f"memory_gb={allowed / 1e9:.3g}: a pair of samples takes {need:.3g}; allow "
                    "that much."
                )
            self._layouts[key] = layout
        return self._layouts[key]

    def _task(self, params: PyTree, x1: PyTree, x2: PyTree | None) -> Task:
        analysis, (rows, columns) = self.analysis(params, x1), lengths(x1, x2)
        return Task(
            reduce=self.reduce,
            outputs=analysis.outputs,
            itemsize=analysis.dtype.itemsize,
            rows=rows,
            columns=columns,
            symmetric=x2 is None,
            devices=1 if self.mesh is None else self.mesh.size,
        )

    def _fit(
        self,
        params: PyTree,
        x: PyTree,
        task: Task,
        budget: float,
        tile: int,
        *,
        held: bool = True,
    ) -> Layout:
        """`layout.fit` with the plans and the account of this engine."""
        analysis = self.analysis(params, x)

        def plan(work: Work, tile: int) -> Plan:
            return self._plan(analysis, work, tile, held, budget)

        def account(layout: Layout) -> Account:
            return self._account(params, x, layout)

        return fit(task, budget, tile, plan, account, held=held)

    def _compile(self, function: Callable, static: Any, *args: Any) -> Any:
        """`function(static, *args)`, compiled once for these shapes; nothing is run."""
        key = (function.__name__, static, _spec(args))
        if key not in self._compiled:
            places = self._shardings(len(args))
            jitted = jax.jit(lambda *a: function(static, *a), in_shardings=places)
            self._compiled[key] = jitted.lower(*args).compile()
        return self._compiled[key]


def lengths(x1: PyTree, x2: PyTree | None) -> tuple[int, int]:
    """Samples of the rows and of the columns."""
    first = jax.tree.leaves(x1)[0].shape[0]
    return first, first if x2 is None else jax.tree.leaves(x2)[0].shape[0]


def _spec(tree: PyTree) -> tuple:
    """Structure, shapes and types: what a compiled function depends on."""
    leaves, structure = jax.tree.flatten(tree)
    return structure, tuple((leaf.shape, leaf.dtype) for leaf in leaves)
