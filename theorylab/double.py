"""Float64 inside, differentiated and batched in float64 too, whatever the caller runs in.

`precision.float64_inside` computes in float64. What JAX does with the computation afterwards in
the caller's float32 (the backward pass of a gradient, a batch), it does without 64-bit types: the
programs mix types and fail, or lose digits. Here the computation is one operation of its own. JAX
asks it for its derivative, its transpose, its batched and its compiled form, and each of them is
made with 64-bit types on. Concrete arrays never come here.
"""

import functools
from collections.abc import Callable, Sequence
from typing import Any, ParamSpec, TypeVar

import jax
import jax.extend.core as jc
import jax.numpy as jnp
import numpy as np
from jax.interpreters import ad, batching, mlir

from theorylab.precision import float64_inside as plain
from theorylab.precision import is_traced

P = ParamSpec("P")
R = TypeVar("R")
Flat = Callable[..., Sequence[Any]]

_call = jc.Primitive("theorylab_double")
_call.multiple_results = True


def float64_inside(function: Callable[P, R]) -> Callable[P, R]:
    """`precision.float64_inside`, for functions that are differentiated or batched.

    Use it as a decorator wherever gradients are promised. Both modes, every order, under jit and
    vmap; what is traced is handed back in the caller's types.
    """
    concrete = plain(function)

    @functools.wraps(function)
    def wrapped(*args: P.args, **kwargs: P.kwargs) -> R:
        given = args, kwargs
        if not is_traced(given) and not any(map(callable, jax.tree.leaves(given))):
            return concrete(*args, **kwargs)
        return in_float64(lambda: concrete(*args, **kwargs))

    return wrapped


def in_float64(compute: Callable[[], R]) -> R:
    """What `compute()` gives, as one operation whose derivatives are made with 64-bit types on.

    Args:
        compute: closes over the arrays it is differentiated by; its result is a PyTree, of which
            arrays are handed on and all else stays as it is.
    """
    held: list[Any] = []

    def flat() -> list[Any]:
        leaves, tree = jax.tree.flatten(compute())
        arrays = [isinstance(leaf, jax.Array | np.ndarray) for leaf in leaves]
        held.append((tree, arrays, [None if a else x for a, x in zip(arrays, leaves, strict=True)]))
        return [jnp.asarray(x) for a, x in zip(arrays, leaves, strict=True) if a]

    # the caller's default types are those of what comes out; 64 bits are turned on inside
    program = jax.make_jaxpr(flat)()
    constants, function = _opened(program)
    if not is_traced(constants):  # functions among the arguments close over no traced arrays
        return compute()
    found = iter(_bind(function, *constants))
    tree, arrays, rest = held[-1]
    return jax.tree.unflatten(
        tree, [next(found) if a else x for a, x in zip(arrays, rest, strict=True)]
    )


def _opened(program: Any) -> tuple[list[Any], Flat]:
    """The constants of a program, tracers of the caller among them, and a function of these."""
    jaxpr = getattr(program, "jaxpr", program)
    variables = [*jaxpr.constvars, *jaxpr.invars]
    whole = jc.Jaxpr((), variables, jaxpr.outvars, jaxpr.eqns, jaxpr.effects, jaxpr.debug_info)
    return list(getattr(program, "consts", ())), jc.jaxpr_as_fun(jc.ClosedJaxpr(whole, ()))


def _bind(function: Flat, *args: Any) -> list[Any]:
    # Python's numbers have the caller's types
    args = tuple(a if hasattr(a, "dtype") else np.asarray(a, jnp.result_type(a)) for a in args)
    with jax.enable_x64(True):  # else NumPy's float64 would be cut
        args = tuple(
            a if isinstance(a, jax.Array) else jnp.asarray(np.asarray(a, a.dtype)) for a in args
        )
        shapes = tuple(jax.eval_shape(function, *args))
    return _call.bind(*args, function=function, shapes=shapes)


def _run(*args: Any, function: Flat, shapes: Any) -> list[Any]:
    with jax.enable_x64(True):
        return list(function(*args))


_call.def_impl(_run)
_call.def_abstract_eval(
    lambda *args, function, shapes: [jax.core.ShapedArray(s.shape, s.dtype) for s in shapes]
)


def _jvp(primals: Sequence[Any], tangents: Sequence[Any], *, function: Flat, shapes: Any) -> Any:
    moving = [i for i, t in enumerate(tangents) if not isinstance(t, ad.Zero)]
    still = [p for i, p in enumerate(primals) if i not in moving]

    def change(*args: Any) -> list[Any]:
        """The tangents out, from the values that stay, those that move, and their tangents."""
        first, second = len(still), len(still) + len(moving)
        points = tuple(args[first:second])
        steps = (t.astype(p.dtype) for t, p in zip(args[second:], points, strict=True))

        def of(*moved: Any) -> list[Any]:
            return list(function(*_merged(moving, moved, args[:first])))

        found = jax.jvp(of, points, tuple(steps))[1]
        return [_floating(t, s) for t, s in zip(found, shapes, strict=True)]

    out = _bind(function, *primals)
    moved = _bind(change, *still, *(primals[i] for i in moving), *(tangents[i] for i in moving))
    return out, [
        t if jnp.issubdtype(s.dtype, jnp.inexact) else ad.Zero(_nothing(s))
        for t, s in zip(moved, shapes, strict=True)
    ]


def _nothing(shape: Any) -> Any:
    return jax.core.ShapedArray(shape.shape, jax.dtypes.float0)


def _floating(tangent: Any, shape: Any) -> Any:
    """Tangents of whole numbers are of no type that a program holds."""
    return tangent if jnp.issubdtype(shape.dtype, jnp.inexact) else jnp.zeros(shape.shape)


def _transpose(cotangents: Sequence[Any], *args: Any, function: Flat, shapes: Any) -> list[Any]:
    linear = [i for i, a in enumerate(args) if ad.is_undefined_primal(a)]
    known = [a for a in args if not ad.is_undefined_primal(a)]
    avals = [jax.ShapeDtypeStruct(args[i].aval.shape, args[i].aval.dtype) for i in linear]
    given = [i for i, c in enumerate(cotangents) if not isinstance(c, ad.Zero)]

    def back(*values: Any) -> list[Any]:
        fixed = values[: len(known)]

        def of(*moved: Any) -> list[Any]:
            out = function(*_merged(linear, moved, fixed))
            return [out[i] for i in given]

        # float64 that the caller went on with in float32 comes back so
        seeds = [
            c.astype(shapes[i].dtype) for c, i in zip(values[len(known) :], given, strict=True)
        ]
        return list(jax.linear_transpose(of, *avals)(seeds))

    found = iter(_bind(back, *known, *(cotangents[i] for i in given)))
    return [next(found) if i in linear else None for i in range(len(args))]


def _merged(places: Sequence[int], chosen: Sequence[Any], others: Sequence[Any]) -> list[Any]:
    """Arguments in order: those of these places, and the others between them."""
    first, second = iter(chosen), iter(others)
    total = len(chosen) + len(others)
    return [next(first) if i in places else next(second) for i in range(total)]


def _batch(args: Sequence[Any], axes: Sequence[Any], *, function: Flat, shapes: Any) -> Any:
    batched = jax.vmap(lambda *a: list(function(*a)), in_axes=tuple(axes))
    return _bind(batched, *args), [0] * len(shapes)


def _lower(context: Any, *args: Any, function: Flat, shapes: Any) -> Any:
    with jax.enable_x64(True):
        return mlir.lower_fun(function, multiple_results=True)(context, *args)


ad.primitive_jvps[_call] = _jvp
ad.primitive_transposes[_call] = _transpose
batching.primitive_batchers[_call] = _batch
mlir.register_lowering(_call, _lower)
