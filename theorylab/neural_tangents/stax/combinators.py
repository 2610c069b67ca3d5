"""Layers in a row, side by side, again and again; and what comes between branches."""

import functools
import operator
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from theorylab.errors import InputError
from theorylab.neural_tangents.kernel import Kernel
from theorylab.neural_tangents.requirements import Layer, combined, finished, requires
from theorylab.neural_tangents.trees import typed


def _keys(rng: Any, n: int) -> list[Any]:
    return [None] * n if rng is None else list(jax.random.split(typed(rng), n))


def serial(*layers: Layer) -> Layer:
    """One layer after the other."""
    inits, applies, kernels = zip(*layers, strict=True) if layers else ((), (), ())

    def init_fn(rng: Any, input_shape: Any) -> tuple[Any, list[Any]]:
        params, rng = [], typed(rng)
        for init in inits:
            rng, one = jax.random.split(rng)
            input_shape, p = init(one, input_shape)
            params.append(p)
        return input_shape, params

    def apply_fn(params: Any, inputs: Any, **kwargs: Any) -> Any:
        rngs = _keys(kwargs.pop("rng", None), len(applies))
        for apply, p, rng in zip(applies, params, rngs, strict=True):
            inputs = apply(p, inputs, rng=rng, **kwargs)
        return inputs

    @requires(**combined(list(kernels), operator.rshift))
    def kernel_fn(k: Any, **kwargs: Any) -> Any:
        for kernel in kernels:
            k = kernel(k, **kwargs)
        return k

    return finished("serial", init_fn, apply_fn, kernel_fn)


def parallel(*layers: Layer) -> Layer:
    """Layers side by side, on a list of inputs."""
    inits, applies, kernels = zip(*layers, strict=True)

    def init_fn(rng: Any, input_shape: Any) -> tuple[Any, list[Any]]:
        rngs = _keys(rng, len(inits))
        found = [f(r, s) for f, r, s in zip(inits, rngs, input_shape, strict=True)]
        return type(input_shape)([shape for shape, _ in found]), [p for _, p in found]

    def apply_fn(params: Any, inputs: Any, **kwargs: Any) -> Any:
        rngs = _keys(kwargs.pop("rng", None), len(applies))
        return type(inputs)(
            [
                f(p, x, rng=r, **kwargs)
                for f, p, x, r in zip(applies, params, inputs, rngs, strict=True)
            ]
        )

    @requires(**combined(list(kernels), operator.and_))
    def kernel_fn(ks: Any, **kwargs: Any) -> Any:
        return type(ks)([f(k, **kwargs) for f, k in zip(kernels, ks, strict=True)])

    return finished("parallel", init_fn, apply_fn, kernel_fn)


def repeat(layer: Layer, n: int) -> Layer:
    """A layer n times over, compiled once; it keeps the shape of its input."""
    init, apply, kernel = layer

    def init_fn(rng: Any, input_shape: Any) -> tuple[Any, Any]:
        rng = typed(rng)
        shape, _ = init(rng, input_shape)
        if shape != input_shape:
            raise InputError(
                f"repeat: the layer turns shape {input_shape} into {shape}; it has to keep it, "
                "else write serial(*([layer] * n))"
            )

        def one(rng: Any, _: Any) -> tuple[Any, Any]:
            rng, own = jax.random.split(rng)
            return rng, init(own, input_shape)[1]

        return shape, jax.lax.scan(one, rng, None, n)[1]

    def apply_fn(params: Any, inputs: Any, **kwargs: Any) -> Any:
        rng = kwargs.pop("rng", None)
        rngs = None if rng is None else jax.random.split(typed(rng), n)

        def one(x: Any, given: Any) -> tuple[Any, None]:
            p, own = given
            return apply(p, x, **kwargs, **({} if own is None else {"rng": own})), None

        return jax.lax.scan(one, inputs, (params, rngs), n)[0]

    @requires(**combined([kernel], operator.rshift))
    def kernel_fn(k: Any, **kwargs: Any) -> Any:
        if n == 0:
            return k
        k = kernel(k, **kwargs)  # brings the shapes and flags that then stay
        return jax.lax.scan(lambda k, _: (kernel(k, **kwargs), None), k, None, n - 1)[0]

    return finished("repeat", init_fn, apply_fn, kernel_fn)


def FanOut(num: int) -> Layer:
    """The input, `num` times."""

    def init_fn(rng: Any, input_shape: Any) -> tuple[Any, tuple[()]]:
        return [input_shape] * num, ()

    def apply_fn(params: Any, inputs: Any, **kwargs: Any) -> Any:
        return [inputs] * num

    def kernel_fn(k: Any, **kwargs: Any) -> Any:
        return [k] * num

    return finished("FanOut", init_fn, apply_fn, kernel_fn)


def _require_one_layout(name: str, ks: Any) -> None:
    fields = ("diagonal_batch", "diagonal_spatial", "batch_axis", "channel_axis")
    for field in fields:
        values = [getattr(k, field) for k in ks]
        if any(value != values[0] for value in values):
            raise NotImplementedError(f"{name}: branches differ in {field}: {values}")


def _require_one_shape(name: str, ks: Any) -> None:
    shapes = [(k.shape1, k.shape2) for k in ks]
    if any(shape != shapes[0] for shape in shapes):
        raise InputError(f"{name}: branches of shapes {shapes}; equal ones are needed")


def _require_gaussian(name: str, ks: Any) -> None:
    if len(ks) > 1 and not all(k.is_gaussian for k in ks):
        raise NotImplementedError(
            f"{name}: branches are taken for independent, which needs each to end in a Dense, Conv "
            "or attention; end them so"
        )


def _fold(fn: Callable[[Any, Any], Any], values: list[Any]) -> Any:
    return None if any(v is None for v in values) else functools.reduce(fn, values)


def _each(ks: Any, field: str) -> list[Any]:
    return [getattr(k, field) for k in ks]


def sum_kernels(ks: Any) -> Kernel:
    """The kernel of the sum of independent branches."""
    _require_one_layout("FanInSum", ks)
    _require_one_shape("FanInSum", ks)
    _require_gaussian("FanInSum", ks)
    names = ("nngp", "ntk", "cov1", "cov2")
    return ks[0].replace(
        **{name: _fold(operator.add, _each(ks, name)) for name in names},
        is_gaussian=all(_each(ks, "is_gaussian")),
    )


def multiply_kernels(ks: Any) -> Kernel:
    """The kernel of the product of independent branches."""
    _require_one_layout("FanInProd", ks)
    _require_one_shape("FanInProd", ks)

    def both(a: tuple[Any, Any], b: tuple[Any, Any]) -> tuple[Any, Any]:
        if a[1] is None or b[1] is None:
            return a[0] * b[0], None
        return a[0] * b[0], a[1] * b[0] + a[0] * b[1]

    nngp, ntk = functools.reduce(both, [(k.nngp, k.ntk) for k in ks])
    return ks[0].replace(
        nngp=nngp,
        ntk=ntk,
        cov1=_fold(operator.mul, _each(ks, "cov1")),
        cov2=_fold(operator.mul, _each(ks, "cov2")),
        is_gaussian=len(ks) == 1 and ks[0].is_gaussian,
    )


def in_all(masks: list[Any]) -> Any:
    """What is masked in all branches that have masks."""
    given = [mask for mask in masks if mask is not None]
    return functools.reduce(jnp.logical_and, given) if given else None
