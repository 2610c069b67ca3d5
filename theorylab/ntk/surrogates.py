"""Cheaper kernels: features of a scalar head, subsets of parameters, random projections, landmarks.

Scalar random heads: Wei, Hu, Steinhardt (2022), Yu et al. (2022, TCT). Sums of logits: Mohamadi,
Bae, Sutherland (2023). Random projections of gradients: Park et al. (2023, TRAK).
"""

import functools
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, get_args

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, PyTree

from theorylab import checks
from theorylab.errors import InputError
from theorylab.ntk.empirical import empirical_ntk
from theorylab.ntk.features import split
from theorylab.ntk.guard import inspect, require_arrays, require_finite, rows
from theorylab.ntk.kronecker import kronecker_projection, relative_variance

Head = Literal["logit_sum", "per_class", "random"]
_ENTRIES = 1 << 24  # entries of a dense random projection that exist at once


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
    return _batched(_gradient_of(f, params, head), x, batch_size, kept)


@dataclass(frozen=True)
class Sketch:
    """Projected gradients of a scalar output, whose Gram matrix estimates its kernel without bias.

    Attributes:
        features: (n, k); `features @ features.T` is the estimate.
        variance: of a diagonal entry, relative, at most; None for 2/k, which dense projections
            have.

    Source:
        See `sketch_ntk`.
    """

    features: Float[np.ndarray, "n k"]
    # of a diagonal entry, relative, at most; None: 2/k, what dense projections have
    variance: float | None = None

    @property
    def relative_error(self) -> float:
        """Relative standard error of a diagonal entry, at most.

        It is sqrt(2/k), and more for Kronecker projections.
        """
        return math.sqrt(2 / self.features.shape[1] if self.variance is None else self.variance)

    def kernel(self) -> Float[np.ndarray, "n n"]:
        """The estimated kernel (n, n)."""
        return self.features @ self.features.T

    def standard_error(self) -> Float[np.ndarray, "n n"]:
        """Standard error (n, n) of every entry of the estimated kernel.

        It is sqrt((K_nn K_mm + K_nm^2)/k) at the estimated K, exact for Gaussian projections and an
        upper bound for the others; for Kronecker projections at most `relative_error` times
        sqrt(K_nn K_mm).
        """
        kernel = self.kernel()
        norms = np.outer(kernel.diagonal(), kernel.diagonal())
        if self.variance is not None:
            return np.sqrt(self.variance * norms)
        return np.sqrt((norms + kernel**2) / self.features.shape[1])


def sketch_ntk(
    f: Callable,
    params: PyTree,
    x: PyTree,
    k: int,
    key: Array,
    *,
    kind: Literal["gaussian", "rademacher", "sjlt", "kronecker"] = "rademacher",
    nonzeros: int = 8,
    batch_size: int = 64,
) -> Sketch:
    """Random projection of the gradients of sum(f)/sqrt(O) to `k` numbers per sample.

    Use it where the kernel of many samples is needed to a few per cent: its cost grows with N, not
    with N^2, and the result says how wrong it is. For an exact kernel use `empirical_ntk`. A sketch
    with k < N has a singular kernel: do not regress on it without a ridge.

    Variance of an entry, with gradients g and h: (|g|^2 |h|^2 + <g, h>^2)/k for "gaussian"; less 2
    sum g_i^2 h_i^2 / k for "rademacher" and for "sjlt"; for "kronecker" at most ((1 + 2/k1)(1 +
    2/k2) - 1) |g|^2 |h|^2, which layers and positions average down.

    Args:
        f: `f(params, x)` with O outputs per sample.
        params: PyTree of arrays.
        x: samples, leading axis n.
        k: numbers kept per sample.
        key: draws the projection; the same key gives the same projection always.
        kind: "gaussian" and "rademacher" are dense, with a cost that grows with k. "sjlt", the
            sparse Johnson-Lindenstrauss transform, sends each parameter, with a random sign, to one
            of k/nonzeros buckets in each of `nonzeros` independent blocks; its cost does not grow
            with k. "kronecker" projects data and cotangents of each layer apart, k = k1 k2 as
            evenly as k divides, and never forms the gradients: the cheapest where layers are wide.
        nonzeros: blocks of "sjlt"; they divide k.
        batch_size: samples at a time.

    Returns:
        A `Sketch` with features (n, k).

    Raises:
        InputError: an unknown kind, counts below 1, k that `nonzeros` does not divide, or inputs
            that `f` does not take.

    Source:
        Random projections of gradients: Park et al. 2023 (TRAK); layer-wise Kronecker projections:
        Choe et al. 2024 (arXiv 2405.13954).

    Examples:
        >>> import jax
        >>> import jax.numpy as jnp
        >>> import numpy as np
        >>> f = lambda w, x: jnp.tanh(x @ w)
        >>> w = jax.random.normal(jax.random.key(0), (30, 2))
        >>> x = jax.random.normal(jax.random.key(1), (6, 30))
        >>> sketch = sketch_ntk(f, w, x, 400, jax.random.key(2))
        >>> sketch.features.shape, round(sketch.relative_error, 3)
        ((6, 400), 0.071)
        >>> exact = empirical_ntk(f, w, x, reduce="sum_logits")
        >>> bool((np.abs(sketch.kernel() - exact) < 5 * sketch.standard_error()).all())
        True
    """
    checks.choice("kind", kind, ("gaussian", "rademacher", "sjlt", "kronecker"))
    checks.count("k", k)
    checks.count("nonzeros", nonzeros)
    checks.key("key", key)
    if kind == "sjlt" and k % nonzeros:
        raise InputError(
            f"k={k}: needs a positive number, for 'sjlt' a multiple of nonzeros={nonzeros}"
        )
    _check(f, params, x)
    params, x = jax.tree.map(jnp.asarray, (params, x))
    if kind == "kronecker":
        whole = functools.partial(_projected, k=k, kind="rademacher", nonzeros=nonzeros)
        factored = kronecker_projection(f, params, x, k, whole)
        return Sketch(
            _batched(lambda sample: factored(sample, key), x, batch_size, None),
            relative_variance(k),
        )
    gradient = _gradient_of(f, params, "logit_sum")
    project = lambda sample: _projected(gradient(sample), key, k, kind, nonzeros)  # noqa: E731
    return Sketch(_batched(project, x, batch_size, None))


def _projected(
    g: Float[Array, " p"], key: Array, k: int, kind: str, nonzeros: int
) -> Float[Array, " k"]:
    """The projection of a whole gradient, piece by piece."""
    length = max(1, min(g.size, _ENTRIES // (nonzeros if kind == "sjlt" else k)))
    pieces = jnp.pad(g, (0, -g.size % length)).reshape(-1, length)

    def step(total: Array, piece: tuple[Array, Array]) -> tuple[Array, None]:
        number, part = piece
        return total + _project(part, k, kind, nonzeros, jax.random.fold_in(key, number)), None

    return jax.lax.scan(step, jnp.zeros(k, g.dtype), (jnp.arange(len(pieces)), pieces))[0]


def _project(
    g: Float[Array, " p"], k: int, kind: str, nonzeros: int, key: Array
) -> Float[Array, " k"]:
    if kind == "gaussian":
        return jnp.dot(
            g, jax.random.normal(key, (g.size, k), g.dtype), precision="highest"
        ) / math.sqrt(k)
    if kind == "rademacher":
        return jnp.dot(
            g, jax.random.rademacher(key, (g.size, k), g.dtype), precision="highest"
        ) / math.sqrt(k)
    places, signs = jax.random.split(key)
    bucket = jax.random.randint(places, (nonzeros, g.size), 0, k // nonzeros)
    signed = g * jax.random.rademacher(signs, (nonzeros, g.size), g.dtype)
    add = lambda values, where: jnp.zeros(k // nonzeros, g.dtype).at[where].add(values)  # noqa: E731
    return jax.vmap(add)(signed, bucket).ravel() / math.sqrt(nonzeros)


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


def _gradient_of(f: Callable, params: PyTree, head: Head) -> Callable[[PyTree], Array]:
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


def _batched(one: Callable, x: PyTree, batch_size: int, coords: np.ndarray | None) -> np.ndarray:
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
