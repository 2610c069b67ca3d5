"""The empirical neural tangent kernel of any JAX function.

Jacot, Gabriel, Hongler (2018): J(x) = df(params, x)/dparams and kernel(x, x') = J(x) J(x')^T.
Structured derivatives after Novak, Sohl-Dickstein, Schoenholz (2022, arXiv 2206.08720), with the
order of contraction chosen block by block.
"""

import contextlib
import functools
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Literal, get_args

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh
from jaxtyping import PyTree

from theorylab import checks
from theorylab.accuracy import carrying
from theorylab.digests import tree_digest
from theorylab.errors import InputError
from theorylab.ntk.analysis import Analysis
from theorylab.ntk.engine import Engine
from theorylab.ntk.fill import fill
from theorylab.ntk.guard import (
    calling,
    refuse_coupling,
    require_outputs,
    require_precision,
    require_real_parameters,
    run_probe,
    samples,
)
from theorylab.ntk.host import HostEngine
from theorylab.ntk.identity import function_digest
from theorylab.ntk.layout import Layout, default_budget
from theorylab.ntk.plan import Reduce, show, table
from theorylab.ntk.products import ProductEngine
from theorylab.ntk.store import KernelStore, open_folder, recorded_memory_gb
from theorylab.ntk.xla import XlaEngine
from theorylab.precision import is_traced

Method = Literal["auto", "structured", "jacobian", "ntk_vp"]


def empirical_ntk(  # noqa: PLR0913
    f: Callable[[PyTree, PyTree], PyTree],
    params: PyTree,
    x1: PyTree,
    x2: PyTree | None = None,
    *,
    reduce: Reduce = "trace",
    method: Method = "auto",
    memory_gb: float | None = None,
    mesh: Mesh | None = None,
    precision: str = "highest",
    dtype: Any = None,
    out: str | Path | None = None,
    progress: bool = False,
    explain: bool = False,
) -> Any:
    """Empirical neural tangent kernel of `f(params, x)`, exact up to rounding.

    Use it whenever the kernel matrix fits on this machine, in memory or on disk (`out`). For
    products with the kernel alone, without the matrix, use `ntk_operator`; for a cheap
    approximation with an error bar, `sketch_ntk`; for the limit of infinite width, `infinite`.
    Which reduction and which method is the subject of docs/guides/choosing.md.

    With J(x) = df(params, x)/dparams and T(x, x') = J(x) J(x')^T of shape (O, O), where O counts
    the outputs per sample, raveled in the order of `jax.tree.leaves`,

    - `reduce="full"` returns (N1, N2, O, O), entry [n, m, o, p] = T(x1[n], x2[m])[o, p];
    - `"diagonal"` returns (N1, N2, O), the diagonal of T;
    - `"trace"` returns (N1, N2), the mean of the diagonal of T (`trace_axes=(-1,)` of
      neural-tangents);
    - `"sum_logits"` returns (N1, N2), 1/O times the sum of all entries of T: the kernel of
      sum(f)/sqrt(O), the pseudo-NTK.

    Repeated calls with the same function object `f` reuse its compiled code: define `f` once,
    outside of loops.

    Parameters and outputs are real. The kernel of a network of complex parameters or outputs is
    that of their real and imaginary parts, each a parameter or an output of its own: write `f` so
    (complex numbers inside of `f`, and complex data, are no obstacle); complex ones are refused.

    Args:
        f: any JAX function of a PyTree of parameters and a PyTree of arrays that share a leading
            axis of samples; it returns arrays with the same leading axis.
        params: PyTree of arrays; the kernel is that of its floating-point leaves.
        x1: samples of the rows, leading axis N1.
        x2: samples of the columns, leading axis N2. None means `x1`, and only the upper triangle is
            computed.
        reduce: what is kept of the pairs of outputs, as above.
        method: "auto" or "structured" takes every layer with a rule (dense, convolution, embedding,
            also a weight used several times, or in a `scan`) apart into data and cotangents, and
            everything else by its Jacobian; "jacobian" uses Jacobians throughout; "ntk_vp" takes
            NTK-vector products column by column, with the least memory and the most passes.
        memory_gb: bound in GB (1e9 bytes) of the working memory besides the result; None for a
            quarter of the machine's memory, or half of what an accelerator has left. Work is cut
            into tiles of samples, and of outputs, to stay below it.
        mesh: shards the samples of each tile over all axes of a mesh of devices.
        precision: of every matrix product; "highest" means no TF32.
        dtype: parameters and data are cast to it first; float64 needs no further setup.
        out: a folder, which keeps the kernel in `kernel.npy`, resumes what an interrupted call had
            finished, and belongs to one kernel: another function, other parameters, data or
            settings are refused. What is damaged there is computed again. A second process waits
            for the first and takes over what it has finished.
        progress: show a progress bar.
        explain: print the order of contraction that was chosen for each block.

    Returns:
        A NumPy array in host memory (kernels outgrow devices), float32 or wider; a read-only memory
        map with `out`. Where it was computed in less (bfloat16, float16, TF32) it carries its
        accuracy, which `ridge` and `gradient_flow` heed. Under `jit`, `grad` or `vmap` of the
        caller it is a traced array, computed in one piece.

    Raises:
        InputError: inputs that do not fit together, complex parameters or outputs, outputs without
            the axis of samples, a network whose outputs couple samples (batch norm in training
            mode, dropout), a kernel with non-finite entries, or a budget that cannot hold one pair
            of samples.

    Source:
        Jacot, Gabriel & Hongler 2018; structured derivatives after Novak, Sohl-Dickstein &
        Schoenholz 2022 (arXiv 2206.08720); "sum_logits" is the pseudo-NTK of Mohamadi, Bae &
        Sutherland 2023 (arXiv 2206.12543).

    Examples:
        >>> import jax
        >>> import jax.numpy as jnp
        >>> def f(w, x):
        ...     return jnp.tanh(x @ w)
        >>> w = jax.random.normal(jax.random.key(0), (4, 2))
        >>> x = jax.random.normal(jax.random.key(1), (6, 4))
        >>> kernel = empirical_ntk(f, w, x)
        >>> jacobian = jax.jacobian(f)(w, x).reshape(6, 2, -1)
        >>> bool(jnp.allclose(kernel, jnp.einsum("nop,mop->nm", jacobian, jacobian) / 2, atol=1e-5))
        True
        >>> empirical_ntk(f, w, x, x[:3], reduce="full").shape
        (6, 3, 2, 2)
    """
    checks.function("f", f)
    _check_options(reduce, method, memory_gb, mesh, precision, dtype, out)
    checks.flag("progress", progress)
    checks.flag("explain", explain)
    require_real_parameters("params", params)
    if method == "ntk_vp" and (explain or mesh is not None):
        raise InputError(
            "method='ntk_vp': explain and mesh are for the other methods; it has one order and no "
            "shards"
        )
    shape: tuple[int, ...] = samples("x1", x1), samples("x2", x1 if x2 is None else x2)
    with _numbers(dtype, precision):
        params, x1, x2 = _cast((params, x1, x2), dtype)
        _require_alike(x1, x2)
        engine = _engine(f, reduce, method, mesh, precision)
        if shape[0] and _inspect(engine, params, x1, x2):
            return engine.traced(params, x1, x2)
        identity = None if out is None else function_digest(f, params, x1)
        # compiled for what the function is now, should it close over what has changed
        if out is not None:
            engine = _engine(f, reduce, method, mesh, precision, identity)
        analysis = engine.analysis(params, x1)
        shape += {
            "full": (analysis.outputs, analysis.outputs),
            "diagonal": (analysis.outputs,),
        }.get(reduce, ())
        kind = jnp.promote_types(analysis.dtype, jnp.float32)
        if 0 in shape:
            return np.zeros(shape, kind)
        recorded = None if out is None else recorded_memory_gb(Path(out))
        memory_gb = memory_gb or recorded or default_budget() / 1e9
        layout = engine.layout(params, x1, x2, memory_gb)
        if explain:
            assert layout.work is not None  # as every layout that was searched for
            show(table(analysis.blocks, analysis.names, layout.plan, layout.work))
        with contextlib.ExitStack() as stack:
            if out is None:
                store = KernelStore(np.zeros(shape, kind), x2 is None)
            else:
                setup = {"f": identity, **_setup(params, x1, x2, engine, precision, layout)}
                folder = open_folder(Path(out), shape, kind, x2 is None, setup, memory_gb)
                store = stack.enter_context(folder)
            fill(store, engine, layout, params, x1, x2, progress)
            return carrying(store.result(), _accuracy(analysis, precision))


def _check_options(
    reduce: Any, method: Any, memory_gb: Any, mesh: Any, precision: Any, dtype: Any, out: Any
) -> None:
    """Refuse options that are none."""
    checks.choice("reduce", reduce, get_args(Reduce))
    checks.choice("method", method, get_args(Method))
    if memory_gb is not None:
        checks.number("memory_gb", memory_gb, 0.0, open_low=True)
    if mesh is not None:
        checks.instance("mesh", mesh, Mesh, "a jax.sharding.Mesh, or None,")
    if out is not None:
        checks.instance("out", out, (str, Path), "the path of a folder, or None,")
    require_precision(precision)
    _require_dtype(dtype)


@contextlib.contextmanager
def _numbers(dtype: Any, precision: str) -> Iterator[None]:
    """With 64-bit numbers where they are asked for, and this precision of products."""
    wide = dtype is not None and jnp.dtype(dtype) == np.dtype("float64")
    with (
        jax.enable_x64(True) if wide else contextlib.nullcontext(),
        jax.default_matmul_precision(precision),
    ):
        yield


def _inspect(engine: Engine, params: PyTree, x1: PyTree, x2: PyTree | None) -> bool:
    """Whether the caller traces; refuse a network without a kernel sample by sample."""
    few = jax.tree.map(lambda leaf: leaf[:3], x1)
    with calling(engine.f, params=params, x1=x1):
        require_outputs(engine.f, params, x1)
        probed = run_probe(engine.probe, params, few)
    if is_traced(probed, params, x1, x2):
        return True
    refuse_coupling(*probed)
    return False


@functools.lru_cache(maxsize=32)
def _engine(
    f: Callable,
    reduce: Reduce,
    method: Method,
    mesh: Mesh | None,
    precision: str,
    identity: str | None = None,
) -> Engine:
    """One engine, with its compiled functions, for every network and setting in recent use."""
    kind: type[Engine] = XlaEngine
    if method == "ntk_vp":
        kind = ProductEngine
    elif mesh is None and jax.default_backend() == "cpu":
        kind = HostEngine
    return kind(f, reduce, method in ("auto", "structured"), mesh)


def _accuracy(analysis: Analysis, precision: str) -> float:
    """What the entries are accurate to, by the coarsest numbers that the network computes with."""
    floating = [s.dtype for s in analysis.graph.shapes if jnp.issubdtype(s.dtype, jnp.inexact)]
    accuracy = 4 * max(float(jnp.finfo(dtype).eps) for dtype in floating)
    if accuracy < 1e-6 and jax.default_backend() == "cpu":
        return 0.0
    products = {"highest": 0.0, "float32": 0.0, "high": 2.0**-15}.get(str(precision), 2.0**-8)
    return max(accuracy if accuracy > 1e-6 else 0.0, products)


def _cast(tree: PyTree, dtype: Any) -> PyTree:
    """The tree as arrays, with floating-point numbers of the type that is asked for."""

    def one(leaf: Any) -> Any:
        leaf = jnp.asarray(leaf)
        if dtype is None or not jnp.issubdtype(leaf.dtype, jnp.inexact):
            return leaf
        if jnp.iscomplexobj(leaf):  # complex data stay complex
            return leaf.astype(jnp.promote_types(dtype, jnp.complex64))
        return leaf.astype(dtype)

    return jax.tree.map(one, tree)


def _require_dtype(dtype: Any) -> None:
    try:
        inexact = dtype is None or jnp.issubdtype(jnp.dtype(dtype), jnp.floating)
    except TypeError:
        inexact = False
    if not inexact:
        raise InputError(
            f"dtype = {checks.shown(dtype)}; a floating-point type, or None, is needed"
        )


def _require_alike(x1: PyTree, x2: PyTree | None) -> None:
    """Refuse samples of the columns that look different from those of the rows."""

    def look(x: PyTree) -> list[tuple]:
        return [(leaf.shape[1:], leaf.dtype.name) for leaf in jax.tree.leaves(x)]

    if x2 is not None and look(x1) != look(x2):
        raise InputError(f"x2: samples must look like those of x1, {look(x1)}, got {look(x2)}")


def _setup(
    params: PyTree, x1: PyTree, x2: PyTree | None, engine: Engine, precision: str, layout: Layout
) -> dict[str, Any]:
    """What a kernel on disk belongs to, besides its function."""
    return {
        "params": tree_digest(params),
        "x1": tree_digest(x1),
        "x2": None if x2 is None else tree_digest(x2),
        "reduce": engine.reduce,
        "method": engine.method,
        "precision": str(precision),
        "tile": layout.tile,
        "chunk": layout.chunk,
    }
