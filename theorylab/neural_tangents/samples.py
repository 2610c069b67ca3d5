"""Whether a function treats samples one by one, and how it looks with samples on axis 0."""

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from theorylab.errors import InputError
from theorylab.neural_tangents.trees import is_array
from theorylab.ntk import empirical_ntk
from theorylab.pytrees import register


def _none_is_leaf(x: Any) -> bool:
    return x is None


def _spread(axes: Any, tree: Any) -> list[Any]:
    """One axis, or None, for each leaf of a tree."""
    return jax.tree.leaves(
        jax.tree.broadcast(axes, tree, is_leaf=_none_is_leaf), is_leaf=_none_is_leaf
    )


class Sampled:
    """A function `f(params, x, **kwargs)` with samples on axis 0 of everything.

    The functions it makes are kept: the engine compiles once per function object.
    """

    def __init__(self, f: Callable[..., Any], vmap_axes: Any) -> None:
        self.f, self.vmap_axes = f, vmap_axes
        self.made: dict[Any, Callable[..., Any]] = {}
        self.independent: dict[Any, bool] = {}

    def kernel(
        self,
        engine: Callable[..., Any],
        axes: Any,
        number: int,
        params: Any,
        x1: Any,
        x2: Any,
        sides: tuple[dict[str, Any], dict[str, Any]],
    ) -> Any:
        """The kernel of output `number` by the engine; None where it is not for it."""
        left, right = (self._without_dead_keys(params, x1, side) for side in sides)
        arrays = {name for name, value in left.items() if _holds_arrays(value)}
        if self.vmap_axes is None and arrays:
            return None
        where = self._axes(params, x1, left, arrays, number)
        if where is None or where[2] in axes.traced or where[2] in axes.diagonal:
            return None
        x_axes, kw_axes, out_axis = where
        rows = _samples_first((x1, left), (x_axes, kw_axes), arrays)
        columns = None
        if x2 is not None:
            columns = _samples_first((x2, right), (x_axes, kw_axes), arrays)
        if rows is None or (x2 is not None and columns is None):
            return None
        if x2 is not None and _looks(rows) != _looks(columns):
            return None
        static = {name: value for name, value in left.items() if name not in arrays}
        g = self._function(x1, x_axes, kw_axes, out_axis, number, static)
        if g is None or not self._one_by_one(g, params, rows):
            return None
        try:
            found = engine(g, params, rows, columns, axes, out_axis)
        except InputError:  # coupled samples, or values that are not finite
            return None
        moved = jnp.asarray(found)
        if not set(range(axes.ndim)) - {out_axis} - set(axes.traced) - set(axes.diagonal):
            before = sum(axis < out_axis for axis in axes.diagonal)
            return jnp.moveaxis(moved, (0, 1), (before, before + 1))
        return moved

    def _axes(
        self, params: Any, x: Any, kwargs: dict[str, Any], arrays: set[str], number: int
    ) -> tuple[list[Any], dict[str, list[Any]], int] | None:
        """(axis of each leaf of x, of each leaf of keyword arguments, of the output)."""
        given = self.vmap_axes
        triple = isinstance(given, tuple) and len(given) == 3
        x_axes, out_axes, kw_axes = given if triple else (given, given, None)
        if given is None:
            x_axes = out_axes = 0
        outputs = jax.eval_shape(functools.partial(self.f, **kwargs), params, x)
        out = _spread(out_axes, outputs)[number]
        leaf = jax.tree.leaves(outputs)[number]
        if out is None or leaf.ndim == 0:
            return None
        names = {}
        for name in arrays:
            axis = given if isinstance(given, int) else (kw_axes or {}).get(name)
            names[name] = _spread(axis, kwargs[name])
        return _spread(x_axes, x), names, out % leaf.ndim

    def _function(
        self,
        x: Any,
        x_axes: list[Any],
        kw_axes: dict[str, list[Any]],
        out_axis: int,
        number: int,
        static: dict[str, Any],
    ) -> Callable[..., Any] | None:
        structure = jax.tree.structure(x)
        ndims = tuple(jnp.ndim(leaf) for leaf in jax.tree.leaves(x))
        try:
            named = tuple(sorted(static.items()))
            key = (structure, ndims, str(x_axes), str(kw_axes), out_axis, number, named)
            if key in self.made:
                return self.made[key]
        except TypeError:
            return None
        f = self.f

        def g(params: Any, rows: Any) -> Any:
            x, named = rows
            back = [jnp.moveaxis(v, 0, a) for v, a in zip(x, x_axes, strict=True)]
            kwargs = {
                name: jax.tree.unflatten(
                    given.structure,
                    [
                        jnp.moveaxis(v, 0, a)
                        for v, a in zip(given.leaves, kw_axes[name], strict=True)
                    ],
                )
                for name, given in named.items()
            }
            out = f(params, jax.tree.unflatten(structure, back), **kwargs, **static)
            return jnp.moveaxis(jax.tree.leaves(out)[number], out_axis, 0)

        self.made[key] = g
        return g

    def _one_by_one(self, g: Callable[..., Any], params: Any, rows: Any) -> bool:
        """Whether samples are independent, tried on numbers of the same shapes.

        Concrete data are looked at by the engine itself.
        """
        if self.vmap_axes is not None:
            return True
        leaves = jax.tree.leaves((params, rows))
        if not any(isinstance(leaf, jax.core.Tracer) for leaf in leaves):
            return True
        key = (id(g), str(jax.tree.map(_shape, (params, rows))))
        if key not in self.independent:
            self.independent[key] = _tried(g, params, rows)
        return self.independent[key]

    def _without_dead_keys(self, params: Any, x: Any, kwargs: dict[str, Any]) -> dict[str, Any]:
        """The keyword arguments without a random key that `f` does not use."""
        rng = kwargs.get("rng")
        if rng is None:
            return {name: value for name, value in kwargs.items() if name != "rng"}
        rest = {name: value for name, value in kwargs.items() if name != "rng"}
        jaxpr = jax.make_jaxpr(lambda rng: self.f(params, x, rng=rng, **rest))(rng).jaxpr
        live = {id(v) for v in jaxpr.outvars}
        for eqn in reversed(jaxpr.eqns):
            if eqn.effects or any(id(v) in live for v in eqn.outvars):
                live.update(id(v) for v in eqn.invars)
        return kwargs if any(id(v) in live for v in jaxpr.invars) else rest


def _shape(leaf: Any) -> tuple[Any, ...]:
    return jnp.shape(leaf), str(jnp.result_type(leaf))


def _holds_arrays(value: Any) -> bool:
    return any(is_array(leaf) and jnp.ndim(leaf) for leaf in jax.tree.leaves(value))


def _looks(rows: Any) -> list[Any]:
    return [(leaf.shape[1:], leaf.dtype) for leaf in jax.tree.leaves(rows)]


def _samples_first(given: Any, axes: Any, arrays: set[str]) -> Any:
    """(leaves of x, {name: (leaves, structure)}) with samples on axis 0; None where they lack."""
    (x, kwargs), (x_axes, kw_axes) = given, axes

    def moved(leaves: list[Any], where: list[Any]) -> list[Any] | None:
        if any(a is None or jnp.ndim(v) == 0 for v, a in zip(leaves, where, strict=True)):
            return None
        return [jnp.moveaxis(jnp.asarray(v), a, 0) for v, a in zip(leaves, where, strict=True)]

    rows = moved(jax.tree.leaves(x), x_axes)
    named: dict[str, Any] = {}
    for name in sorted(arrays):
        leaves, structure = jax.tree.flatten(kwargs[name])
        found = moved(leaves, kw_axes[name])
        if found is None:
            return None
        named[name] = _Named(found, structure)
    if not rows:
        return None
    sizes = {leaf.shape[0] for leaf in jax.tree.leaves((rows, named))}
    return (rows, named) if len(sizes) == 1 else None


@register("structure")
@dataclass(frozen=True)
class _Named:
    """Leaves of a keyword argument, and their structure."""

    leaves: list[Any]
    structure: Any


def _tried(g: Callable[..., Any], params: Any, rows: Any) -> bool:
    generator = np.random.default_rng(0)

    def fake(leaf: Any, n: int | None = None) -> Any:
        shape = jnp.shape(leaf) if n is None else (n, *jnp.shape(leaf)[1:])
        dtype = jnp.result_type(leaf)
        if jnp.issubdtype(dtype, jnp.inexact):
            return jnp.asarray(generator.normal(size=shape) / max(np.sqrt(shape[-1:] or 1)), dtype)
        return jnp.ones(shape, dtype)

    try:
        with jax.ensure_compile_time_eval():
            n = min(2, jax.tree.leaves(rows)[0].shape[0])
            empirical_ntk(
                g,
                jax.tree.map(fake, params),
                jax.tree.map(lambda leaf: fake(leaf, n), rows),
                method="jacobian",
            )
    except Exception:  # whatever it is, Jacobians of the whole batch are right
        return False
    return True
