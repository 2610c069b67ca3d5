"""Kernel-vector products without the kernel.

A product is one backward and one forward-mode pass over the batch. Source: Novak, Sohl-Dickstein &
Schoenholz 2022.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PyTree

from theorylab import checks
from theorylab.errors import InputError
from theorylab.ntk.analysis import split
from theorylab.ntk.derivatives import pushforward
from theorylab.ntk.guard import inspect, require_finite, require_precision


@dataclass(frozen=True)
class NTKOperator:
    """A symmetric positive semi-definite matrix that is given by its products.

    `operator @ v` is `operator.matvec(v)`.

    Attributes:
        matvec: the product with a vector (size,), a pure function that can be jitted, vmapped and
            differentiated.
        shape: (size, size).
        dtype: type of the products.

    Source:
        See `ntk_operator`.
    """

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
    """The tangent kernel of `f(params, x)` on `x` as an operator that is known by its products.

    A product is v -> J (J^T v).

    Use it where N O is too large for a matrix (some ten thousands): for conjugate gradients,
    Lanczos (`ridge.gcv_slq`, `rmt.lanczos_quadrature`) or matfree. Where the matrix fits and is
    needed more than some hundred times, `empirical_ntk` is cheaper. One product costs about three
    passes over the batch; nothing of size N^2 or N P is stored.

    Args:
        f: as for `empirical_ntk`.
        params: PyTree of arrays; the kernel is that of its floating-point leaves.
        x: samples, leading axis N of at least 1.
        reduce: "full" takes vectors of length N O, sample by sample (entry n O + o); "sum_logits"
            takes vectors of length N, for the kernel of sum(f)/sqrt(O).
        precision: of every matrix product.

    Returns:
        An `NTKOperator` of shape (N O, N O) or (N, N).

    Raises:
        InputError: an unknown reduction or precision, inputs that `f` does not take, or a network
            whose outputs couple samples; on a product, a vector of another length, or derivatives
            that are not finite.

    Source:
        NTK-vector products: Novak, Sohl-Dickstein & Schoenholz 2022 (arXiv 2206.08720), section
        3.2.

    Examples:
        >>> import jax
        >>> import jax.numpy as jnp
        >>> f = lambda w, x: jnp.tanh(x @ w)
        >>> w = jax.random.normal(jax.random.key(0), (4, 2))
        >>> x = jax.random.normal(jax.random.key(1), (6, 4))
        >>> operator = ntk_operator(f, w, x)
        >>> operator.shape
        (12, 12)
        >>> v = jnp.ones(12)
        >>> J = jax.jacobian(f)(w, x).reshape(12, -1)
        >>> bool(jnp.allclose(operator @ v, J @ (J.T @ v), atol=1e-4))
        True
    """
    if not isinstance(reduce, str) or reduce not in ("full", "sum_logits"):
        raise InputError(f"reduce={reduce!r}: the operator is there for 'full' and 'sum_logits'")
    require_precision(precision)
    inspect(checks.function("f", f), params, x)
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
        shape, push = jax.eval_shape(outputs, weights), pushforward(outputs, weights)
    size = shape.shape[0] * shape.shape[1]

    def matvec(v: Float[Array, " size"]) -> Float[Array, " size"]:
        v = checks.finite("v", v)
        if v.shape != (size,):
            raise InputError(f"v: the operator takes vectors of shape ({size},), got {v.shape}")
        with jax.default_matmul_precision(precision):
            _, pullback = jax.vjp(outputs, weights)
            (tangent,) = pullback(v.reshape(shape.shape).astype(shape.dtype))
            product = push(tangent)[1].ravel()
        require_finite("the derivative of f", product)
        return product

    return NTKOperator(matvec, (size, size), shape.dtype)
