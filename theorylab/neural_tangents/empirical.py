"""Kernels of finite networks: `empirical_ntk_fn` and its kin, over `theorylab.ntk.empirical_ntk`.

The engine takes functions that treat samples one by one. Where a function couples them, or where
the axis of samples itself is traced or diagonal, Jacobians of the whole batch are contracted.
"""

import enum
import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from theorylab.errors import InputError
from theorylab.neural_tangents.contraction import Axes
from theorylab.neural_tangents.samples import Sampled
from theorylab.neural_tangents.trees import any_ranks, nothing, select, two_sides, wanted
from theorylab.ntk import empirical_ntk

METHODS: tuple[Any, ...] = ("auto", "jacobian", "ntk_vp", "structured")


class NtkImplementation(enum.IntEnum):
    """How the NTK is computed; the values are those of neural-tangents."""

    AUTO = 0
    JACOBIAN_CONTRACTION = 1
    NTK_VECTOR_PRODUCTS = 2
    STRUCTURED_DERIVATIVES = 3


DEFAULT_NTK_IMPLEMENTATION = NtkImplementation.JACOBIAN_CONTRACTION


def empirical_nngp_fn(
    f: Callable[..., Any], trace_axes: Any = (-1,), diagonal_axes: Any = ()
) -> Callable[..., Any]:
    """A function that computes products of outputs: `nngp_fn(x1, x2, params, **kwargs)`.

    Args:
        f: `f(params, x, **kwargs)`, whose outputs are an array or a tree of arrays.
        trace_axes: output axes over which the mean is taken.
        diagonal_axes: output axes of which equal entries alone are kept.

    Returns:
        The function; its kernel has the axes (n1, n2, ...), pairs side by side.

    Raises:
        InputError: on a call, axes that do not exist, or are in both lists.

    Source:
        neural-tangents, `empirical_nngp_fn`.
    """

    @any_ranks
    def nngp_fn(x1: Any, x2: Any, params: Any, **apply_fn_kwargs: Any) -> Any:
        left, right = two_sides(apply_fn_kwargs, x1, x2)
        f1 = f(params, x1, **left)
        f2 = f1 if nothing(x2) else f(params, x2, **right)

        def one(a: Any, b: Any) -> Any:
            axes = Axes(a.ndim, trace_axes, diagonal_axes)
            axes.check(a.shape, b.shape)
            return axes.contract(a, b) / axes.size(a.shape)

        return jax.tree.map(one, f1, f2)

    return nngp_fn


def empirical_ntk_fn(
    f: Callable[..., Any],
    trace_axes: Any = (-1,),
    diagonal_axes: Any = (),
    vmap_axes: Any = None,
    implementation: int = DEFAULT_NTK_IMPLEMENTATION,
    **ignored: Any,
) -> Callable[..., Any]:
    """A function that computes the empirical NTK: `ntk_fn(x1, x2, params, **kwargs)`.

    Args:
        f: `f(params, x, **kwargs)`, whose outputs are an array or a tree of arrays.
        trace_axes: output axes over which the mean is taken.
        diagonal_axes: output axes of which equal entries alone are kept.
        vmap_axes: the axes of samples: an int for all inputs and outputs, or (of the inputs, of the
            outputs, of keyword arguments); None if `f` may couple samples, which is then found out.
        implementation: an `NtkImplementation`; all give one value.
        **ignored: `_j_rules`, `_s_rules`, `_fwd`: settings of neural-tangents' own rules.

    Returns:
        The function; its kernel has the axes (n1, n2, ...), pairs side by side.

    Raises:
        InputError: an unknown implementation; on a call, axes that do not exist.

    Source:
        neural-tangents, `empirical_ntk_fn`.
    """
    if unknown := set(ignored) - {"_j_rules", "_s_rules", "_fwd"}:
        raise InputError(f"empirical_ntk_fn: no argument {sorted(unknown)}")
    try:
        method = METHODS[NtkImplementation(implementation)]
    except ValueError:
        raise InputError(f"implementation = {implementation}; 0, 1, 2 or 3 is needed") from None
    sampled = Sampled(f, vmap_axes)

    @any_ranks
    def ntk_fn(x1: Any, x2: Any, params: Any, **apply_fn_kwargs: Any) -> Any:
        x2 = None if nothing(x2) else x2
        sides = two_sides(apply_fn_kwargs, x1, x2)
        outputs = jax.eval_shape(functools.partial(f, **sides[0]), params, x1)
        leaves, structure = jax.tree.flatten(outputs)
        found = []
        for number, leaf in enumerate(leaves):
            axes = Axes(leaf.ndim, trace_axes, diagonal_axes)
            kernel = sampled.kernel(
                functools.partial(_engine, method=method), axes, number, params, x1, x2, sides
            )
            if kernel is None:
                kernel = _jacobians(f, axes, number, params, x1, x2, sides)
            found.append(kernel)
        return jax.tree.unflatten(structure, found)

    return ntk_fn


def _engine(
    g: Callable[..., Any], params: Any, x1: Any, x2: Any, axes: Axes, sample: int, *, method: Any
) -> Any:
    """The kernel of `g`, whose samples are on axis 0 of inputs and outputs, by the engine."""
    rest = [axis for axis in range(axes.ndim) if axis != sample]
    shape = jax.eval_shape(g, params, x1).shape[1:]
    whole = [axis for axis in rest if axis not in axes.traced and axis not in axes.diagonal]
    if not whole and not axes.diagonal:
        return empirical_ntk(g, params, x1, x2, reduce="trace", method=method)
    if not whole:
        k = jnp.asarray(empirical_ntk(g, params, x1, x2, reduce="diagonal", method=method))
        k = k.reshape(*k.shape[:2], *shape)
        return k.mean(tuple(2 + rest.index(axis) for axis in axes.traced))
    k = jnp.asarray(empirical_ntk(g, params, x1, x2, reduce="full", method=method))
    k = k.reshape(*k.shape[:2], *shape, *shape)
    k = jnp.moveaxis(k, 1, 1 + len(shape))  # (n1, *shape, n2, *shape)
    first = jnp.moveaxis(k, 0, sample)
    both = jnp.moveaxis(first, axes.ndim, axes.ndim + sample)
    return axes.reduce(both)


def _jacobians(
    f: Callable[..., Any],
    axes: Axes,
    number: int,
    params: Any,
    x1: Any,
    x2: Any,
    sides: tuple[dict[str, Any], dict[str, Any]],
) -> Any:
    """The kernel by Jacobians of the whole batch, whatever `f` does with it."""
    inexact, rejoin = _inexact(params)

    def jacobian(x: Any, kwargs: dict[str, Any]) -> tuple[tuple[int, ...], Any]:
        def g(p: Any) -> Any:
            return jax.tree.leaves(f(rejoin(p), x, **kwargs))[number]

        shape = jax.eval_shape(g, inexact).shape
        fewer = sum(p.size for p in inexact) < jnp.zeros(shape).size
        return shape, (jax.jacfwd if fewer else jax.jacrev)(g)(inexact)

    shape1, j1 = jacobian(x1, sides[0])
    shape2, j2 = (shape1, j1) if x2 is None else jacobian(x2, sides[1])
    axes.check(shape1, shape2)
    total: Any = 0.0
    for a, b in zip(j1, j2, strict=True):
        total = total + axes.contract(a, b, a.ndim - len(shape1))
    return total / axes.size(shape1)


def _inexact(params: Any) -> tuple[list[Any], Callable[[list[Any]], Any]]:
    """The floating-point leaves, and how to put them back."""
    leaves, structure = jax.tree.flatten(params)
    leaves = [jnp.asarray(leaf) for leaf in leaves]
    moves = [jnp.issubdtype(leaf.dtype, jnp.inexact) for leaf in leaves]

    def rejoin(moved: list[Any]) -> Any:
        given = iter(moved)
        return jax.tree.unflatten(
            structure, [next(given) if m else leaf for m, leaf in zip(moves, leaves, strict=True)]
        )

    return [leaf for m, leaf in zip(moves, leaves, strict=True) if m], rejoin


def empirical_kernel_fn(
    f: Callable[..., Any],
    trace_axes: Any = (-1,),
    diagonal_axes: Any = (),
    vmap_axes: Any = None,
    implementation: int = DEFAULT_NTK_IMPLEMENTATION,
    **ignored: Any,
) -> Callable[..., Any]:
    """A function that computes both kernels: `kernel_fn(x1, x2, get, params, **kwargs)`.

    Args:
        f: `f(params, x, **kwargs)`, whose outputs are an array or a tree of arrays.
        trace_axes: output axes over which the mean is taken.
        diagonal_axes: output axes of which equal entries alone are kept.
        vmap_axes: the axes of samples, as for `empirical_ntk_fn`.
        implementation: an `NtkImplementation`.
        **ignored: as for `empirical_ntk_fn`.

    Returns:
        The function; `get` is "nngp", "ntk", a tuple of these, or None for both.

    Raises:
        InputError: an unknown implementation; on a call, axes that do not exist, an unknown `get`.

    Source:
        neural-tangents, `empirical_kernel_fn`.
    """
    kernels = {
        "nngp": empirical_nngp_fn(f, trace_axes, diagonal_axes),
        "ntk": empirical_ntk_fn(f, trace_axes, diagonal_axes, vmap_axes, implementation, **ignored),
    }

    def kernel_fn(
        x1: Any, x2: Any, get: Any = None, params: Any = None, **apply_fn_kwargs: Any
    ) -> Any:
        names = wanted(get)[1] or ("nngp", "ntk")
        if unknown := set(names) - set(kernels):
            raise InputError(f"get = {sorted(unknown)}; 'nngp' and 'ntk' there are")
        found = {name: kernels[name](x1, x2, params, **apply_fn_kwargs) for name in names}
        return _inside_out(found, get)

    return kernel_fn


def _inside_out(found: dict[str, Any], get: Any) -> Any:
    """From trees by name to a tree of what `get` asks for."""
    first = next(iter(found.values()))
    if isinstance(first, dict):
        return {key: _inside_out({n: v[key] for n, v in found.items()}, get) for key in first}
    if isinstance(first, (list, tuple)):
        rows = [dict(zip(found, each, strict=True)) for each in zip(*found.values(), strict=True)]
        return type(first)([_inside_out(row, get) for row in rows])
    return select("EmpiricalKernel", found, get)


def empirical_ntk_vp_fn(
    f: Callable[..., Any], x1: Any, x2: Any, params: Any, **apply_fn_kwargs: Any
) -> Callable[[Any], Any]:
    """A function that multiplies the NTK with a vector, without the NTK itself.

    Args:
        f: `f(params, x, **kwargs)`.
        x1: samples of the rows.
        x2: samples of the columns; None for `x1`.
        params: parameters.
        **apply_fn_kwargs: passed on to `f`.

    Returns:
        A function from what looks like `f(params, x2)` to what looks like `f(params, x1)`.

    Source:
        neural-tangents, `empirical_ntk_vp_fn`; Novak et al. 2022.
    """
    left, right = two_sides(apply_fn_kwargs, x1, x2)
    f1 = lambda p: f(p, x1, **left)  # noqa: E731
    f2 = f1 if nothing(x2) else lambda p: f(p, x2, **right)

    def ntk_vp_fn(cotangents: Any) -> Any:
        return jax.jvp(f1, (params,), jax.vjp(f2, params)[1](cotangents))[1]

    return ntk_vp_fn
