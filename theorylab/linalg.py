"""Factorisations that never wait for XLA's threads, and run in float64 wherever the rest does.

Compiled programs of the package call LAPACK only through these.

From jaxlib 0.10.0 to 0.11.0, LAPACK on CPU splits a batch of matrices over the threads of XLA's
pool and *blocks* until they are done. Where such calls themselves run on the pool, in programs run
side by side or in independent branches of one program, each of them holds a thread while it waits
for work that only these threads could do: with as many calls as threads the process stands still
for ever. A call for one matrix runs where it is called and waits for nothing. So on these versions
a batch on CPU is a loop over its matrices, which makes the wait impossible, whatever else runs. On
accelerators, and on other versions, a batch is one call.

A TPU has no float64. XLA emulates it, and its compiler takes minutes for one eigendecomposition
(164 s for 500 x 500, libtpu 0.0.52). So a program for a TPU hands matrices in float64 to NumPy on
its host where they are decomposed (eigenvalues, singular values, QR, LU) and goes on with what
comes back.

Real matrices (..., n, n), any number of leading axes, under jit, vmap and differentiation (not
differentiable: `qr_r`).
"""

from collections.abc import Callable, Iterable
from functools import partial, wraps
from typing import Any

import jax
import jax.numpy as jnp
import jaxlib
import numpy as np
from jaxtyping import Array, Float

Matrix = Float[Array, "*b m n"]

_VERSION = tuple(int(part) for part in jaxlib.__version__.split(".")[:3])
# changed in jaxlib on 7 April 2026 and back on 21 July 2026
BATCHES_WAIT = (0, 10, 0) <= _VERSION <= (0, 11, 0)
_ON_LAPACK = (
    "cholesky",
    "triangular_solve",
    "lu",
    "eigh",
    "eig",
    "svd",
    "qr",
    "geqrf",
    "geqp3",
    "householder_product",
    "ormqr",
    "schur",
    "hessenberg",
    "tridiagonal",
    "tridiagonal_solve",
)


def _one_by_one(
    signature: str, function: Callable[..., Any], on_host: Callable[..., Any] | None = None
) -> Callable[..., Any]:
    """`function` of single matrices, made to take batches.

    On CPU it is a loop where a batched call would wait, else one call. `on_host` is the same in
    NumPy, for float64 on a TPU.
    """
    looped = jax.custom_batching.sequential_vmap(function)

    @wraps(function)
    def single(*arrays: Array) -> Any:
        ways: dict[str, Any] = {"cpu": looped} if BATCHES_WAIT else {}
        if on_host is not None and arrays[0].dtype == jnp.float64:
            ways["tpu"] = partial(_handed_over, function, on_host)
        if not ways:
            return function(*arrays)
        return jax.lax.platform_dependent(*arrays, default=function, **ways)

    return jnp.vectorize(single, signature=signature)


def _handed_over(function: Callable[..., Any], on_host: Callable[..., Any], *arrays: Array) -> Any:
    """The host's answer, of the shapes that `function` gives."""
    shapes = jax.eval_shape(function, *arrays)
    call = partial(_or_nan, on_host, shapes)
    return jax.pure_callback(call, shapes, *arrays, vmap_method="broadcast_all")


def _or_nan(on_host: Callable[..., Any], shapes: Any, *arrays: Any) -> Any:
    """What NumPy gives; NaN, as XLA's routines say it, for what has no decomposition."""
    arrays = tuple(np.asarray(a) for a in arrays)
    try:
        return jax.tree.map(np.asarray, on_host(*arrays))
    except np.linalg.LinAlgError:
        batch = arrays[0].shape[:-2]
        return jax.tree.map(lambda s: np.full((*batch, *s.shape), np.nan, s.dtype), shapes)


_cholesky = _one_by_one("(n,n)->(n,n)", lambda a: jnp.linalg.cholesky(a, symmetrize_input=False))
_eigh = _one_by_one(
    "(n,n)->(n),(n,n)",
    lambda a: tuple(jnp.linalg.eigh(a, symmetrize_input=False)),
    lambda a: tuple(np.linalg.eigh(a)),
)
_svd = _one_by_one(
    "(m,n)->(m,k),(k),(k,n)",
    lambda a: tuple(jnp.linalg.svd(a, full_matrices=False)),
    lambda a: tuple(np.linalg.svd(a, full_matrices=False)),
)
_solve = _one_by_one("(n,n),(n,k)->(n,k)", jnp.linalg.solve, np.linalg.solve)
qr_r = _one_by_one(
    "(m,n)->(k,n)", lambda a: jnp.linalg.qr(a, mode="r"), lambda a: np.linalg.qr(a, mode="r")
)
qr_r.__doc__ = "The upper-triangular R (..., min(m, n), n) of a = Q R."


def _triangular(lower: bool, trans: int) -> Callable[..., Any]:
    def single(a: Array, b: Array) -> Array:
        return jax.scipy.linalg.solve_triangular(a, b, trans=trans, lower=lower)

    return _one_by_one("(n,n),(n,k)->(n,k)", single)


_TRIANGULAR = {
    (lower, trans): _triangular(lower, trans) for lower in (False, True) for trans in (0, 1)
}


def solve_triangular(a: Matrix, b: Matrix, *, lower: bool = False, trans: int = 0) -> Matrix:
    """Solution x of a x = b with a triangular matrix.

    Args:
        a: (..., n, n), of which only the lower (or upper) triangle is read.
        b: (..., n, k).
        lower: whether the triangle is the lower one.
        trans: 1 solves a^T x = b.

    Returns:
        x of shape (..., n, k).
    """
    triangle = jnp.tril(a) if lower else jnp.triu(a)
    return jax.lax.custom_linear_solve(
        lambda x: jnp.matmul(triangle.mT if trans else triangle, x),
        jnp.broadcast_to(b, (*jnp.broadcast_shapes(a.shape[:-2], b.shape[:-2]), *b.shape[-2:])),
        lambda _, rhs: _TRIANGULAR[lower, trans](triangle, rhs),
        lambda _, rhs: _TRIANGULAR[lower, 1 - trans](triangle, rhs),
    )


def solve(a: Matrix, b: Matrix) -> Matrix:
    """Solution x of a x = b, by an LU factorisation.

    For a positive definite matrix `cholesky` and `cho_solve` are cheaper.

    Args:
        a: (..., n, n).
        b: (..., n, k).

    Returns:
        x of shape (..., n, k).
    """
    return jax.lax.custom_linear_solve(
        lambda x: jnp.matmul(a, x),
        jnp.broadcast_to(b, (*jnp.broadcast_shapes(a.shape[:-2], b.shape[:-2]), *b.shape[-2:])),
        lambda _, rhs: _solve(a, rhs),
        lambda _, rhs: _solve(a.mT, rhs),
    )


def cho_solve(factor: Matrix, b: Matrix) -> Matrix:
    """Solution x of L L^T x = b for a lower-triangular Cholesky factor L.

    Args:
        factor: L (..., n, n), as `cholesky` gives it.
        b: (..., n, k).

    Returns:
        x of shape (..., n, k).
    """
    return solve_triangular(factor, solve_triangular(factor, b, lower=True), lower=True, trans=1)


def cholesky(a: Matrix) -> Matrix:
    """Lower-triangular L with L L^T = (a + a^T) / 2.

    Args:
        a: (..., n, n), symmetric positive definite.

    Returns:
        L of shape (..., n, n); NaN where the matrix is not positive definite.
    """
    return _factor((a + a.mT) / 2)


@jax.custom_jvp
def _factor(a: Matrix) -> Matrix:
    return _cholesky(a)


@_factor.defjvp
def _factor_jvp(primals: tuple[Array], tangents: tuple[Array]) -> tuple[Array, Array]:
    """The derivative dL = L phi(L^-1 dA L^-T).

    Here phi takes the lower triangle, and half of the diagonal.
    """
    factor = _factor(primals[0])
    left = solve_triangular(factor, tangents[0], lower=True)
    inner = solve_triangular(factor, left.mT, lower=True).mT
    halved = jnp.tril(inner) - jnp.eye(inner.shape[-1], dtype=inner.dtype) * inner / 2
    return factor, factor @ halved


def eigh(a: Matrix) -> tuple[Float[Array, "*b n"], Matrix]:
    """Eigenvalues and eigenvectors of (a + a^T) / 2.

    Args:
        a: (..., n, n), symmetric.

    Returns:
        Eigenvalues (..., n), ascending, and eigenvectors (..., n, n) in the columns.
    """
    return _eigen((a + a.mT) / 2)


def eigvalsh(a: Matrix) -> Float[Array, "*b n"]:
    """Eigenvalues of (a + a^T) / 2.

    Args:
        a: (..., n, n), symmetric.

    Returns:
        Eigenvalues (..., n), ascending.
    """
    return eigh(a)[0]


@jax.custom_jvp
def _eigen(a: Matrix) -> tuple[Array, Array]:
    return _eigh(a)


@_eigen.defjvp
def _eigen_jvp(primals: tuple[Array], tangents: tuple[Array]) -> tuple[Any, Any]:
    """The derivatives dw = diag(V^T dA V) and dV = V (F * V^T dA V).

    F_ij = 1 / (w_j - w_i) off the diagonal.
    """
    values, vectors = _eigen(primals[0])
    eye = jnp.eye(values.shape[-1], dtype=values.dtype)
    inner = vectors.mT @ tangents[0] @ vectors
    gaps = eye + values[..., None, :] - values[..., None]
    turned = vectors @ ((1 / gaps - eye) * inner)
    return (values, vectors), (jnp.diagonal(inner, axis1=-2, axis2=-1), turned)


@jax.custom_jvp
def svd(a: Matrix) -> tuple[Matrix, Float[Array, "*b k"], Matrix]:
    """Thin singular value decomposition.

    Args:
        a: (..., m, n).

    Returns:
        U (..., m, k), s (..., k), falling, and V^T (..., k, n) with k = min(m, n).
    """
    return _svd(a)


@svd.defjvp
def _svd_jvp(primals: tuple[Array], tangents: tuple[Array]) -> tuple[Any, Any]:
    """As in J. Townsend, "Differentiating the singular value decomposition" (2016)."""
    (a,), (da,) = primals, tangents
    left, values, right = svd(a)
    s, eye = values[..., None, :], jnp.eye(values.shape[-1], dtype=values.dtype)
    inner = left.mT @ da @ right.mT
    gaps = 1 / ((s - s.mT) * (s + s.mT) + eye) - eye
    outside_left = (da @ right.mT - left @ inner) / s
    outside_right = ((da.mT @ left - right.mT @ inner.mT) / s).mT
    turned_left = left @ (gaps * (inner * s + s.mT * inner.mT)) + outside_left
    turned_right = (gaps * (s.mT * inner + inner.mT * s)).mT @ right + outside_right
    return (left, values, right), (
        turned_left,
        jnp.diagonal(inner, axis1=-2, axis2=-1),
        turned_right,
    )


def waiting_calls(function: Callable[..., Any], *args: Any) -> set[str]:
    """Names of the LAPACK calls on batches in a program, which may wait for XLA's threads for ever.

    Only a program without them may run beside others (`cores.parallel_map`); on versions and
    devices where a batch does not wait, there are none.

    Args:
        function: the program, as a function that JAX can trace.
        *args: arguments of the shapes it is asked about.

    Returns:
        A set of names such as "cholesky", empty where nothing waits.
    """
    if not BATCHES_WAIT or jax.default_backend() != "cpu":
        return set()
    trace = function.trace(*args) if hasattr(function, "trace") else jax.jit(function).trace(*args)
    return set(_batched(trace.jaxpr))


def _batched(jaxpr: Any) -> Iterable[str]:
    for eqn in jaxpr.eqns:
        if eqn.primitive.name in _ON_LAPACK and any(v.aval.ndim > 2 for v in eqn.invars):
            yield eqn.primitive.name
        params = dict(eqn.params)
        if params.get("branches_platforms"):  # of `platform_dependent`: the branch that a CPU takes
            taken = ["cpu" in (names or ("cpu",)) for names in params["branches_platforms"]].index(
                True
            )
            params["branches"] = params["branches"][taken]
        for leaf in jax.tree.leaves(list(params.values()), is_leaf=_is_program):
            if _is_program(leaf):
                yield from _batched(getattr(leaf, "jaxpr", leaf))


def _is_program(value: Any) -> bool:
    return hasattr(value, "eqns") or hasattr(value, "jaxpr")
