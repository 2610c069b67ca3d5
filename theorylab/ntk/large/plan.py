"""What a large kernel will take, before it is begun."""

import dataclasses
import math
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import PyTree

from theorylab import checks
from theorylab.errors import InputError
from theorylab.ntk.analysis import Analysis, analyse
from theorylab.ntk.guard import require_outputs, require_real_parameters
from theorylab.ntk.large.store import Grid
from theorylab.ntk.plan import Plan, Work, choose, gradient_cost, gram_cost


@dataclasses.dataclass(frozen=True)
class TilePlan:
    """The tiles of a kernel, with their bytes and their arithmetic.

    Attributes:
        shape: of the kernel.
        dtype: of its entries.
        tiles: to be computed.
        tile_bytes: of one whole tile, which is one chunk on disk.
        array_bytes: of the whole array.
        sample_bytes: of the samples of one tile, rows and columns.
        derivation_flop: forward and backward passes of all tiles, by XLA's count for one sample.
        contraction_flop: products of what these passes give, all tiles.

    Source:
        Costs of the two orders of contraction after Novak, Sohl-Dickstein & Schoenholz 2022 (arXiv
        2206.08720, table 1).
    """

    shape: tuple[int, ...]
    dtype: str
    tiles: int
    tile_bytes: int
    array_bytes: int
    sample_bytes: int
    derivation_flop: float
    contraction_flop: float

    @property
    def flop(self) -> float:
        """All arithmetic."""
        return self.derivation_flop + self.contraction_flop

    def seconds(self, *, rate: float, workers: int = 1) -> float:
        """Time of the arithmetic.

        Args:
            rate: what one worker reaches, in operations a second.
            workers: how many there are.

        Returns:
            Seconds until the last tile: the worker with the most tiles has whole ones.

        Raises:
            InputError: a rate that is not above 0, or no workers.
        """
        checks.number("rate", rate, 0.0, open_low=True)
        checks.count("workers", workers)
        return math.ceil(self.tiles / workers) * self.flop / self.tiles / rate

    def __str__(self) -> str:
        lines = {
            "kernel": f"{' x '.join(f'{n:,}' for n in self.shape)} {self.dtype}",
            "on disk": f"{self.array_bytes / 1e9:.3g} GB",
            "tiles": f"{self.tiles:,} of {self.tile_bytes / 1e6:.3g} MB",
            "samples of a tile": f"{self.sample_bytes / 1e6:.3g} MB",
            "derivatives": f"{self.derivation_flop / 1e12:.3g} TFLOP",
            "contraction": f"{self.contraction_flop / 1e12:.3g} TFLOP",
        }
        return "\n".join(f"{name:18} {text}" for name, text in lines.items())


def plan_tiles(
    f: Callable[[PyTree, PyTree], PyTree],
    params: PyTree,
    x1: PyTree,
    x2: PyTree | None = None,
    *,
    tile: int = 2048,
    reduce: Any = "trace",
) -> TilePlan:
    """What `tiled_ntk` will compute, move and write, without computing it.

    Use it to choose `tile`: small tiles derive the same samples more often, large ones lose more
    with a worker and need more memory. Nothing is run and no data are looked at, so samples may be
    shapes.

    Args:
        f: a function of parameters and samples, as `empirical_ntk` takes it.
        params: PyTree of arrays, or of `jax.ShapeDtypeStruct`.
        x1: samples of the rows, leading axis N1, or `jax.ShapeDtypeStruct` of them.
        x2: those of the columns, leading axis N2; None for a symmetric kernel.
        tile: samples of a tile on each side.
        reduce: as `empirical_ntk` takes it.

    Returns:
        A `TilePlan`. Its arithmetic is that of exact tiles with the order of contraction that is
        cheapest for a tile, without what a device adds by padding. It is no measured time:
        `TilePlan.seconds` takes the rate that a first tile shows.

    Raises:
        InputError: a function that cannot be called so, or a tile or a reduction that is none.

    Source:
        Costs of the two orders of contraction after Novak, Sohl-Dickstein & Schoenholz 2022 (arXiv
        2206.08720, table 1).

    Examples:
        >>> import jax
        >>> def f(w, x):
        ...     return jax.numpy.tanh(x @ w)
        >>> w = jax.ShapeDtypeStruct((100, 2), "float32")
        >>> x = jax.ShapeDtypeStruct((5000, 100), "float32")
        >>> plan = plan_tiles(f, w, x, tile=1000)
        >>> plan.tiles, plan.array_bytes
        (15, 100000000)
    """
    checks.function("f", f)
    checks.count("tile", tile)
    checks.choice("reduce", reduce, ("full", "diagonal", "trace", "sum_logits"))
    params, x1, x2 = (_shapes(n, a) for n, a in (("params", params), ("x1", x1), ("x2", x2)))
    require_real_parameters("params", params)
    n1 = _length("x1", x1)
    n2 = n1 if x2 is None else _length("x2", x2)
    try:
        require_outputs(f, params, x1)
        analysis = analyse(f, params, x1)
        one = jax.tree.map(lambda leaf: jax.ShapeDtypeStruct((1, *leaf.shape[1:]), leaf.dtype), x1)
        counted = jax.jit(f).lower(params, one).cost_analysis() or {}
    except InputError:
        raise
    except (TypeError, ValueError, KeyError, IndexError, AttributeError) as error:
        said = " ".join(f"{type(error).__name__}: {error}".split())[:160]
        raise InputError(
            f"f cannot be called with params and x1 of these shapes ({said})"
        ) from error
    outputs = analysis.outputs
    kept = {"full": (outputs, outputs), "diagonal": (outputs,)}.get(reduce, ())
    dtype = np.dtype(jnp.promote_types(analysis.dtype, jnp.float32))
    grid = Grid((n1, n2, *kept), dtype, tile, x2 is None)
    passes = 1 + (1 if reduce == "sum_logits" else outputs)  # one forward, one backward an output
    derived, contracted = 0.0, 0.0
    for i, j in grid.tiles():
        rows, columns = grid.span(i, 0), grid.span(j, 1)
        n, m = rows.stop - rows.start, columns.stop - columns.start
        alone = grid.symmetric and i == j
        samples, pairs = n + m * (not alone), n * m / (2 if alone else 1)
        derived += samples * passes * float(counted.get("flops", 0.0))
        contracted += _contraction(analysis, reduce, samples, pairs)
    each = sum(math.prod(s.shape[1:]) * s.dtype.itemsize for s in jax.tree.leaves(x1))
    entry = math.prod(kept) * dtype.itemsize
    return TilePlan(
        grid.shape,
        dtype.name,
        len(grid.tiles()),
        tile * tile * entry,
        n1 * n2 * entry,
        2 * tile * each,
        derived,
        contracted,
    )


def _contraction(analysis: Analysis, reduce: Any, samples: int, pairs: float) -> float:
    """Operations of one tile after the passes, in the order that `choose` takes."""
    work = Work(reduce, analysis.outputs, samples, pairs, analysis.dtype.itemsize)
    plan: Plan = choose(analysis.blocks, *work)
    return sum(
        (gram_cost if gram else gradient_cost)(block, *work).flop
        for block, gram in zip(analysis.blocks, plan.grams, strict=True)
    )


def _shapes(name: str, tree: PyTree) -> PyTree:
    """Shapes and types of arrays, or of what says its own."""

    def one(leaf: Any) -> Any:
        if not hasattr(leaf, "shape"):
            leaf = checks.real(name, leaf)
        return jax.ShapeDtypeStruct(leaf.shape, jnp.result_type(leaf.dtype))

    return jax.tree.map(one, tree)


def _length(name: str, x: PyTree) -> int:
    shapes = [leaf.shape for leaf in jax.tree.leaves(x)]
    sizes = {shape[0] if shape else 0 for shape in shapes}
    if len(sizes) != 1 or 0 in sizes:
        raise InputError(
            f"{name}: every array needs the same leading axis of samples, at least one; got shapes "
            f"{shapes}"
        )
    return sizes.pop()
