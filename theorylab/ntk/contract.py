"""The kernel of two sets of samples from their features."""

import jax.numpy as jnp
from jaxtyping import Array, Float

from theorylab.ntk.plan import Reduce


def contract(left: list[tuple[Array, ...]], right: list[tuple[Array, ...]], reduce: Reduce) -> Float[Array, "n m ..."]:
    """Sum of the blocks' kernels: (n, m, q, q) for "full", (n, m, q) for "diagonal", (n, m) where outputs are merged."""
    merged = reduce in ("trace", "sum_logits")
    form = "nm" if merged else {"full": "nmqr", "diagonal": "nmq"}[reduce]
    total = None
    for u, v in zip(left, right, strict=True):
        part = _grams(u, v, form) if len(u) == 2 else _gradients(u[0], v[0], form)
        total = part if total is None else total + part
    return total


def _gradients(g: Float[Array, "n q p"], h: Float[Array, "m q p"], form: str) -> Array:
    if form == "nm":
        return _dot("np,mp->nm", g[:, 0], h[:, 0])
    return _dot({"nmq": "nqp,mqp->nmq", "nmqr": "nqp,mrp->nmqr"}[form], g, h)


def _grams(u: tuple[Array, Array], v: tuple[Array, Array], form: str) -> Array:
    (a, d), (e, h) = u, v
    if a.dtype.kind == "i":  # rows of an embedding table: two positions meet where they look up the same row
        data = ((a[:, :, :, None, None] == e.transpose(1, 2, 0)[None, :, None]) & (a >= 0)[..., None, None]).astype(
            d.dtype
        )
        data = data.transpose(1, 0, 2, 4, 3)  # from (n, b, s, t, m) to (b, n, s, m, t)
    else:
        data = _dot("nbsc,mbtc->bnsmt", a, e)
    if form == "nm":
        return jnp.sum(data * _dot("nbsf,mbtf->bnsmt", d[:, 0], h[:, 0]), (0, 2, 4))
    if form == "nmq":
        return jnp.sum(data[None] * _dot("nqbsf,mqbtf->qbnsmt", d, h), (1, 3, 5)).transpose(1, 2, 0)
    cotangents = _dot("nqbsf,mrbtf->bnqsmrt", d, h)
    return jnp.sum(data[:, :, None, :, :, None] * cotangents, (0, 3, 6)).transpose(0, 2, 1, 3)


def _dot(formula: str, a: Array, b: Array) -> Array:
    kind = jnp.promote_types(jnp.promote_types(a.dtype, b.dtype), jnp.float32)  # never accumulate below float32
    return jnp.einsum(formula, a, b, precision="highest", preferred_element_type=kind)
