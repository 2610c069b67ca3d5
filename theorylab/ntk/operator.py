"""Kernel-vector products without the kernel: one backward and one forward-mode pass over the
batch."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PyTree

from theorylab import checks
from theorylab.errors import InputError
from theorylab.ntk.features import split
from theorylab.ntk.guard import calling, require_precision, samples


@dataclass(frozen=True)
class NTKOperator:
    """A symmetric positive semi-definite matrix given by its products. `operator @ v` is
    `operator.matvec(v)`."""

    matvec: Callable[[Float[Array, " size"]], Float[Array, " size"]]
    shape: tuple[int, int]
    dtype: Any

    def __matmul__(self, v: Float[Array, " size"]) -> Float[Array, " size"]:
        return self.matvec(v)


def ntk_operator(
    f: Callable,
    params: PyTree,
    x: PyTree,
    *,
    reduce: Literal["full", "sum_logits"] = "full",
    precision: str = "highest",
) -> NTKOperator:
    """The kernel of `f(params, x)` on `x` as an operator v -> J (J^T v), for matfree, CG and the
    like.

    "full": vectors of length N * O, sample by sample (entry n * O + o). "sum_logits": length N, the
    kernel of sum(f)/sqrt(O). A product costs about three passes over the batch; nothing of size N^2
    or N * P is stored. `matvec` can be jitted, vmapped and differentiated.
    """
    if reduce not in ("full", "sum_logits"):
        raise InputError(f"reduce={reduce!r}: the operator is there for 'full' and 'sum_logits'")
    require_precision(precision)
    samples("x", x, some=True)
    with calling(f, params=params, x=x):
        jax.eval_shape(f, params, x)
    weights, fixed, join = split(jax.tree.map(jnp.asarray, params))

    def outputs(weights: list[Array]) -> Float[Array, "n o"]:
        leaves = jax.tree.leaves(f(join(weights, fixed), x))
        flat = jnp.concatenate([leaf.reshape(leaf.shape[0], -1) for leaf in leaves], 1)
        return (
            flat
            if reduce == "full"
            else jnp.sum(flat, 1, keepdims=True) / jnp.sqrt(flat.shape[1]).astype(flat.dtype)
        )

    with jax.default_matmul_precision(precision):
        shape = jax.eval_shape(outputs, weights)
    size = shape.shape[0] * shape.shape[1]

    def matvec(v: Float[Array, " size"]) -> Float[Array, " size"]:
        v = checks.finite("v", v)
        if v.shape != (size,):
            raise InputError(f"v: the operator takes vectors of shape ({size},), got {v.shape}")
        with jax.default_matmul_precision(precision):
            _, pullback = jax.vjp(outputs, weights)
            tangent = pullback(v.reshape(shape.shape).astype(shape.dtype))
            return jax.jvp(outputs, (weights,), tangent)[1].ravel()

    return NTKOperator(matvec, (size, size), shape.dtype)
