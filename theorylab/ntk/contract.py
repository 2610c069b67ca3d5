"""The kernel of two sets of samples from their features."""

import functools

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from theorylab.ntk.plan import Reduce
from theorylab.ntk.rules import are_rows


def contract(
    left: list[tuple[Array, ...]], right: list[tuple[Array, ...]], reduce: Reduce
) -> Float[Array, "n m ..."]:
    """The kernel of two tiles, as the sum of the kernels of their blocks.

    The shape is (n, m, q, q) for "full", (n, m, q) for "diagonal" and (n, m) with outputs merged.
    """
    form = {"full": "nmqr", "diagonal": "nmq"}.get(reduce, "nm")
    pairs = zip(left, right, strict=True)
    parts = [_grams(u, v, form) if len(u) == 2 else _gradients(u[0], v[0], form) for u, v in pairs]
    return functools.reduce(jnp.add, parts)


def _gradients(g: Float[Array, "n q p"], h: Float[Array, "m q p"], form: str) -> Array:
    if form == "nm":
        return _products(g[:, 0], h[:, 0])
    return _dot({"nmq": "nqp,mqp->nmq", "nmqr": "nqp,mrp->nmqr"}[form], g, h)


def _products(g: Float[Array, "n p"], h: Float[Array, "m p"]) -> Float[Array, "n m"]:
    """The product g h^T.

    Matrix products on CPUs are slow where few rows meet very many columns: take those a piece at a
    time.
    """
    whole = functools.partial(_dot, "np,mp->nm")
    length = 1 << 14
    pieces = g.shape[1] // length
    if max(g.shape[0], h.shape[0]) > 48 or pieces < 4:
        return whole(g, h)

    def chunked(g: Array, h: Array) -> Array:
        def step(i: Array, total: Array) -> Array:
            return total + whole(
                *(jax.lax.dynamic_slice_in_dim(a, i * length, length, 1) for a in (g, h))
            )

        rest = whole(g[:, pieces * length :], h[:, pieces * length :])
        return jax.lax.fori_loop(0, pieces, step, rest)

    return jax.lax.platform_dependent(g, h, cpu=chunked, default=whole)


def _grams(u: tuple[Array, ...], v: tuple[Array, ...], form: str) -> Array:
    (a, d), (e, h) = u, v  # data and cotangents of the left and of the right samples
    # rows of an embedding table: two positions meet where they look up the same row
    if are_rows(a):
        left, right = a.transpose(1, 0, 2)[..., None, None], e.transpose(1, 0, 2)[:, None, None]
        data = ((left == right) & (left >= 0)).astype(d.dtype)
    else:
        data = _dot("nbsc,mbtc->bnsmt", a, e)
    if form == "nm":
        return jnp.sum(data * _dot("nbsf,mbtf->bnsmt", d[:, 0], h[:, 0]), (0, 2, 4))
    if form == "nmq":
        return jnp.sum(data[None] * _dot("nqbsf,mqbtf->qbnsmt", d, h), (1, 3, 5)).transpose(1, 2, 0)
    cotangents = _dot("nqbsf,mrbtf->bnqsmrt", d, h)
    return jnp.sum(data[:, :, None, :, :, None] * cotangents, (0, 3, 6)).transpose(0, 2, 1, 3)


def _dot(formula: str, a: Array, b: Array) -> Array:
    # never accumulate below float32
    kind = jnp.promote_types(jnp.promote_types(a.dtype, b.dtype), jnp.float32)
    return jnp.einsum(formula, a, b, preferred_element_type=kind)
