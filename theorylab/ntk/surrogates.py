"""Cheaper kernels: features of a scalar head, subsets of parameters, landmarks.

Scalar random heads: Wei, Hu, Steinhardt (2022), Yu et al. (2022, TCT). Sums of logits: Mohamadi,
Bae, Sutherland (2023).
"""

import math
from collections.abc import Callable
from typing import Any, Literal, get_args

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, PyTree

from theorylab import checks
from theorylab.errors import InputError
from theorylab.ntk.analysis import split
from theorylab.ntk.empirical import empirical_ntk
from theorylab.ntk.guard import inspect, require_arrays, require_finite, rows

Head = Literal["logit_sum", "per_class", "random"]


def random_head(f: Callable, params: PyTree, x: PyTree, key: Array) -> tuple[Callable, PyTree]:
    """A network with one output: a fresh random linear head on the outputs of `f`.

    Use it to make a scalar network of one with W hidden features; `entk_features(head="random")`
    does it for you.

    Args:
        f: `f(params, x)`, whose raveled outputs are the W hidden features.
        params: parameters of `f`.
        x: samples; only looked at for their shape.
        key: draws the head. One key gives one head: share it between training and test data.

    Returns:
        `(g, new_params)` with `g(new_params, x)` of shape (N, 1). The head's weights, N(0, 1/W),
        and its bias 0 are parameters too.

    Raises:
        InputError: inputs that `f` does not take, or what is no typed key.

    Source:
        Wei, Hu & Steinhardt 2022; Yu et al. 2022 (TCT).
    """
    _check(f, params, x)
    checks.key("key", key)
    one = jax.tree.map(lambda leaf: jnp.asarray(leaf)[:1], x)
    width = jax.eval_shape(lambda p, x: _outputs(f, p, x), params, one).shape[1]
    weight = jax.random.normal(key, (width,)) / math.sqrt(width)

    def g(new: PyTree, x: PyTree) -> Float[Array, "n 1"]:
        return (_outputs(f, new["body"], x) @ new["head"]["w"] + new["head"]["b"])[:, None]

    return g, {"body": params, "head": {"w": weight, "b": jnp.zeros(())}}


def sample_coordinates(params: PyTree, p: int, key: Array) -> Int[np.ndarray, " p"]:
    """Some of all parameters, drawn without replacement, in increasing order.

    They number the floating-point leaves, raveled one after the other in the order of
    `jax.tree.leaves`; `entk_features(coords=...)` takes them.

    Args:
        params: PyTree of arrays with P numbers in all.
        p: how many are drawn, from 1 to P.
        key: typed key.

    Returns:
        Integers (p,).

    Raises:
        InputError: more coordinates than there are parameters, leaves that are no arrays, or what
            is no typed key.

    Source:
        Subsets of gradient coordinates as in Yu et al. 2022 (TCT).
    """
    require_arrays("params", params)
    total = _size(params)
    checks.key("key", key)
    if checks.count("p", p) > total:
        raise InputError(f"p = {p}; params holds {total} numbers: choose 1 to {total}")
    return np.sort(np.asarray(jax.random.choice(key, total, (p,), replace=False)))


def entk_features(
    f: Callable,
    params: PyTree,
    x: PyTree,
    *,
    head: Head = "logit_sum",
    coords: Int[Array, " p"] | None = None,
    key: Array | None = None,
    batch_size: int = 64,
) -> Float[np.ndarray, "n ..."]:
    """Per-sample gradients of a scalar output: features whose Gram matrix is an empirical NTK.

    Use it where a linear model on the features is wanted (federated learning, TCT) or where N is
    far below the number of parameters. For the kernel itself `empirical_ntk` never forms gradients
    of that size.

    Args:
        f: `f(params, x)` with K outputs per sample.
        params: PyTree of arrays.
        x: samples, leading axis N.
        head: "logit_sum" takes gradients of sum(f)/sqrt(K), shape (N, p), the pseudo-NTK;
            "per_class" of each output, shape (N, K, p); "random" of a fresh linear head that `key`
            draws on the outputs of `f`, which are then the hidden features, shape (N, p): the
            head's own bias and weights are the last parameters (TCT's construction).
        coords: (p,) numbers of the parameters to keep (`sample_coordinates`); None for all. With
            head="random" draw them from the parameters that `random_head` returns.
        key: draws the head; needed with head="random" alone.
        batch_size: samples at a time; the device holds this many gradients of all parameters.

    Returns:
        A NumPy array (N, p) or (N, K, p).

    Raises:
        InputError: an unknown head, a missing key, coordinates out of range, or inputs that `f`
            does not take.

    Source:
        Wei, Hu & Steinhardt 2022; Yu et al. 2022 (TCT); sums of logits: Mohamadi, Bae & Sutherland
        2023.

    Examples:
        >>> import jax
        >>> import jax.numpy as jnp
        >>> import numpy as np
        >>> f = lambda w, x: jnp.tanh(x @ w)
        >>> w = jax.random.normal(jax.random.key(0), (4, 2))
        >>> x = jax.random.normal(jax.random.key(1), (6, 4))
        >>> features = entk_features(f, w, x)
        >>> features.shape
        (6, 8)
        >>> kernel = empirical_ntk(f, w, x, reduce="sum_logits")
        >>> np.allclose(features @ features.T, kernel, atol=1e-5)
        True
    """
    checks.choice("head", head, get_args(Head))
    _check(f, params, x)
    if head == "random":
        if key is None:
            raise InputError("key: head='random' draws a linear head; pass key=jax.random.key(...)")
        f, params = random_head(f, params, x, key)
    kept = None if coords is None else rows("coords", coords, _size(params), distinct=True)
    return batched(gradient_of(f, params, head), x, batch_size, kept)


def nystrom_features(
    f: Callable,
    params: PyTree,
    x: PyTree,
    landmarks: Int[Array, " m"],
    *,
    rcond: float = 1e-6,
    **options: Any,
) -> Float[np.ndarray, "n m"]:
    """Features whose Gram matrix approximates the kernel from some of its columns (Nyström).

    Use it where the spectrum falls fast and m landmarks stand for all N samples: m columns are
    computed in place of N. The approximation C W^+ C^T is exact on the landmarks and below the
    kernel everywhere (the error is positive semi-definite).

    Args:
        f: as for `empirical_ntk`.
        params: PyTree of arrays.
        x: samples, leading axis N.
        landmarks: (m,) numbers of the samples that are landmarks, or a mask (N,).
        rcond: eigenvalues of W below this share of the largest are dropped.
        **options: go to `empirical_ntk`; `reduce` must be "trace" or "sum_logits".

    Returns:
        A float64 NumPy array (N, m) or with fewer columns, where eigenvalues were dropped.

    Raises:
        InputError: landmarks out of range, `rcond` outside [0, 1), or a reduction with several
            numbers per pair.

    Source:
        Williams & Seeger 2001.
    """
    checks.number("rcond", rcond, 0.0, 1.0, open_high=True)
    places = rows("landmarks", landmarks, _check(f, params, x), distinct=False)
    chosen = jax.tree.map(lambda leaf: jnp.asarray(leaf)[places], x)
    columns = np.asarray(empirical_ntk(f, params, x, chosen, **options), np.float64)
    if columns.ndim != 2:
        raise InputError(
            "reduce: Nystrom features need one number a pair; choose 'trace' or 'sum_logits'"
        )
    core = columns[places]
    values, vectors = np.linalg.eigh((core + core.T) / 2)
    kept = values > rcond * values[-1]
    return columns @ (vectors[:, kept] / np.sqrt(values[kept]))


def _check(f: Callable, params: PyTree, x: PyTree) -> int:
    """The number of samples of a network that has a kernel sample by sample."""
    return inspect(checks.function("f", f), params, x)


def _size(params: PyTree) -> int:
    return sum(leaf.size for leaf in split(jax.tree.map(jnp.asarray, params))[0])


def _outputs(f: Callable, params: PyTree, x: PyTree) -> Float[Array, "n o"]:
    leaves = jax.tree.leaves(f(params, x))
    return jnp.concatenate([leaf.reshape(leaf.shape[0], -1) for leaf in leaves], 1)


def gradient_of(f: Callable, params: PyTree, head: Head) -> Callable[[PyTree], Array]:
    """The raveled gradient for one sample: (p,), or (K, p) per class."""
    weights, fixed, join = split(jax.tree.map(jnp.asarray, params))

    def gradient(sample: PyTree) -> Array:
        batch = jax.tree.map(lambda leaf: leaf[None], sample)
        out, pullback = jax.vjp(lambda w: _outputs(f, join(w, fixed), batch)[0], weights)
        seeds = (
            jnp.eye(out.size, dtype=out.dtype)
            if head == "per_class"
            else jnp.ones((1, out.size), out.dtype)
        )
        if head == "logit_sum":
            seeds = seeds / math.sqrt(out.size)
        (rows,) = jax.vmap(pullback)(seeds)
        rows = jnp.concatenate([leaf.reshape(len(seeds), -1) for leaf in rows], 1)
        return rows if head == "per_class" else rows[0]

    return gradient


def batched(one: Callable, x: PyTree, batch_size: int, coords: np.ndarray | None) -> np.ndarray:
    """`one` of every sample, a batch at a time, kept on the host."""
    checks.count("batch_size", batch_size)
    x = jax.tree.map(jnp.asarray, x)
    n = jax.tree.leaves(x)[0].shape[0]

    @jax.jit
    def batch(part: PyTree) -> Array:
        rows = jax.vmap(one)(part)
        return rows if coords is None else rows[..., jnp.asarray(coords)]

    with jax.default_matmul_precision("highest"):
        parts = [
            batch(jax.tree.map(lambda a, i=i: a[i : i + batch_size], x))
            for i in range(0, n, batch_size)
        ]
    found = np.concatenate([np.asarray(part) for part in parts])
    require_finite("the gradient of f", found)
    return found
