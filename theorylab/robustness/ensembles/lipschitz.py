"""Dense networks whose Lipschitz constant in l2 is known, and upper bounds of spectral norms.

A spectral norm that is estimated by power iteration is too small, and a certificate made of it is
none. `spectral_bound` is an upper bound that is proved: a singular value decomposition with its own
residual added, or the Frobenius norm of a high power of the Gram matrix, which falls to the norm
from above. The second one is differentiable, and layers that are divided by it are at most
1-Lipschitz at every step of training. GroupSort (Anil et al. 2019) reorders units, which changes no
length, so a network of such layers is 1-Lipschitz as a map into R^K.

Source: Anil, Lucas & Grosse 2019 (GroupSort); Delattre et al. 2023 (Gram iteration); our
derivation, docs/derivations/certified_ensembles.md, statement 9.
"""

import itertools
import math
from collections.abc import Sequence
from typing import Any, Literal

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike
from jaxtyping import Array, Float, Key

from theorylab import checks
from theorylab.errors import InputError
from theorylab.nets.inputs import sizes
from theorylab.robustness.ensembles.sets import Polytope, Zonotope

Layers = list[dict[str, Array]]
# of a product of matrices: a multiple of the machine epsilon for each entry that is summed
EPSILON = float(np.finfo(np.float64).eps)
ROUNDING = 4 * EPSILON


def group_sort(x: Float[Array, "*n m"], size: int = 2) -> Float[Array, "*n m"]:
    """Units sorted within groups of neighbours: an activation that keeps the length of gradients.

    Args:
        x: (*n, m) units.
        size: of a group, a divisor of m; 2 is MaxMin.

    Returns:
        (*n, m), each group in rising order.

    Raises:
        InputError: a number of units that groups of this size do not fill.

    Examples:
        >>> import numpy as np
        >>> group_sort(np.array([3.0, 1.0, -2.0, 5.0])).tolist()
        [1.0, 3.0, -2.0, 5.0]
    """
    size = checks.count("size", size)
    x = jnp.asarray(x)
    if x.ndim == 0 or x.shape[-1] % size:
        raise InputError(f"x has shape {x.shape}; a last axis of groups of {size} is needed")
    groups = x.reshape(*x.shape[:-1], -1, size)
    if size == 2:  # a sort of two, without sorting
        pair = jnp.stack([groups.min(-1), groups.max(-1)], -1)
    else:
        pair = jnp.sort(groups, axis=-1)
    return pair.reshape(x.shape)


def spectral_bound(
    w: Float[ArrayLike, "m n"], *, method: Literal["svd", "gram"] = "svd", steps: int = 12
) -> float:
    """An upper bound of the spectral norm of a matrix, rounding of float64 included.

    Args:
        w: (m, n), as it is used: float32 weights are taken exactly.
        method: "svd", the largest singular value plus what its decomposition leaves over, tight to
            rounding; "gram", a norm of a power of the Gram matrix, within a factor of
            rank^(1 / 2^steps).
        steps: squarings of the Gram matrix.

    Returns:
        A number that the norm does not exceed.

    Raises:
        InputError: entries that are not finite.

    Examples:
        >>> 2.0 <= spectral_bound([[2.0, 0.0], [0.0, 1.0]]) <= 2.0 + 1e-12
        True
    """
    w = np.asarray(checks.finite("w", w, ndim=2), np.float64)
    checks.choice("method", method, ("svd", "gram"))
    if method == "gram":
        return _gram_host(w, checks.count("steps", steps))
    if not w.any():
        return 0.0
    top = _power_of_two(w)
    w = w / top
    u, s, vt = np.linalg.svd(w, full_matrices=False)
    k = len(s)
    n = sum(w.shape) + 2
    # |fl(A B) - A B| <= gamma_n |A| |B|, whose norm is at most n eps |A|_F |B|_F
    lost = np.linalg.norm(w - (u * s) @ vt) + EPSILON * n * k * float(s[0])
    tilt = [np.linalg.norm(np.eye(k) - g) + EPSILON * n * k for g in (u.T @ u, vt @ vt.T)]
    bound = math.sqrt((1 + tilt[0]) * (1 + tilt[1])) * float(s[0]) + float(lost)
    return top * bound * (1 + 8 * ROUNDING)


def gram_bound(w: Float[Array, "m n"], *, steps: int = 5) -> Float[Array, ""]:
    """The bound of `spectral_bound(method="gram")`, differentiable, for layers in training.

    Args:
        w: (m, n).
        steps: squarings; the bound is within a factor of rank^(1 / 2^(steps + 1)).

    Returns:
        The bound, up to rounding of the precision in use.
    """
    gram = w.T @ w if w.shape[0] >= w.shape[1] else w @ w.T
    log, power = jnp.zeros((), gram.dtype), 1.0
    for _ in range(steps):
        size = jnp.sqrt(jnp.maximum(jnp.square(gram).sum(), jnp.finfo(gram.dtype).tiny))
        gram = gram / size
        log = log + jnp.log(size) / power
        gram = gram @ gram
        power = 2 * power
    tail = jnp.sqrt(jnp.maximum(jnp.square(gram).sum(), jnp.finfo(gram.dtype).tiny))
    return jnp.exp((log + jnp.log(tail) / power) / 2)


def power_iteration(w: Float[ArrayLike, "m n"], *, key: Key[Array, ""], steps: int = 10) -> float:
    """The estimate of a spectral norm by power iteration: a lower bound, never a certificate.

    Args:
        w: (m, n).
        key: draws the start.
        steps: products with w^T w.

    Returns:
        |w v| for the unit vector v that the steps end with.

    Raises:
        InputError: entries that are not finite.
    """
    w = np.asarray(checks.finite("w", w, ndim=2), np.float64)
    bits = np.asarray(jax.random.key_data(checks.key("key", key)))  # no program for each shape
    v = np.random.default_rng(bits).standard_normal(w.shape[1])
    for _ in range(checks.count("steps", steps, 0)):
        v = w.T @ (w @ (v / np.linalg.norm(v)))
        if not v.any():
            return 0.0
    return float(np.linalg.norm(w @ v) / np.linalg.norm(v))


def lipschitz_params(key: Key[Array, ""], widths: Sequence[int]) -> Layers:
    """Layers for `lipschitz_mlp`: orthogonal weights, biases of 0.

    Args:
        key: draws them.
        widths: units of every layer, input and output included; hidden ones even, for groups of 2.

    Returns:
        One {"w": (i, o), "b": (o,)} a layer.

    Raises:
        InputError: fewer than two widths.
    """
    checks.key("key", key)
    widths = sizes("widths", widths, least=2)
    make = jax.nn.initializers.orthogonal()
    return [
        {"w": make(jax.random.fold_in(key, n), (i, o), jnp.float32), "b": jnp.zeros(o)}
        for n, (i, o) in enumerate(itertools.pairwise(widths))
    ]


def spectral_dense(layer: dict[str, Array], x: Array, *, steps: int = 5) -> Array:
    """A dense layer divided by the Gram bound of its weights where that is above 1.

    Args:
        layer: {"w": (i, o), "b": (o,)}.
        x: (*n, i).
        steps: of `gram_bound`.

    Returns:
        (*n, o), at most 1-Lipschitz in l2 but for rounding.
    """
    return jnp.dot(x, layer["w"] / gram_bound(layer["w"], steps=steps)) + layer["b"]


def lipschitz_mlp(
    params: Layers, x: Float[Array, "n ..."], *, group: int = 2, steps: int = 5
) -> Float[Array, "n K"]:
    """Scores of a GroupSort network whose layers are divided by bounds of their norms.

    For training. What is certified is the network of `sealed` parameters, `dense_sorted`.

    Args:
        params: from `lipschitz_params`.
        x: (n, ...) samples, which are flattened.
        group: size of the groups that are sorted.
        steps: of `gram_bound`.

    Returns:
        (n, K) scores.

    Raises:
        InputError: hidden units that groups of this size do not fill.
    """
    x = x.reshape(len(x), -1)
    for layer in params[:-1]:
        x = group_sort(spectral_dense(layer, x, steps=steps), group)
    return spectral_dense(params[-1], x, steps=steps)


def sealed(params: Layers, *, steps: int = 5) -> list[dict[str, np.ndarray]]:
    """The weights that the layers of `lipschitz_mlp` use, divided once and for all, in float64.

    Args:
        params: from training.
        steps: of `gram_bound` there.

    Returns:
        Layers for `dense_sorted` and `network_bound`.
    """
    found = []
    for layer in params:
        w = np.asarray(layer["w"], np.float64)
        norm = np.asarray(gram_bound(jnp.asarray(w, jnp.float32), steps=steps), np.float64)
        found.append({"w": w / norm, "b": np.asarray(layer["b"], np.float64)})
    return found


def dense_sorted(layers: Any, x: Float[ArrayLike, "n ..."], *, group: int = 2) -> Any:
    """Scores of a GroupSort network with these weights as they are.

    Args:
        layers: from `sealed`; NumPy arrays give NumPy in float64, others JAX.
        x: (n, ...) samples.
        group: size of the groups that are sorted.

    Returns:
        (n, K) scores.

    Raises:
        InputError: hidden units that groups of this size do not fill.
    """
    host = isinstance(layers[0]["w"], np.ndarray) and isinstance(x, np.ndarray)
    hidden: Any = np.asarray(x, np.float64) if host else jnp.asarray(x)
    hidden = hidden.reshape(len(hidden), -1)
    for i, layer in enumerate(layers):
        hidden = hidden @ layer["w"] + layer["b"]
        if i + 1 < len(layers):
            if host:
                hidden = np.sort(hidden.reshape(len(hidden), -1, group), axis=-1).reshape(
                    hidden.shape
                )
            else:
                hidden = group_sort(hidden, group)
    return hidden


def network_bound(layers: Any, *, method: Literal["svd", "gram"] = "svd") -> float:
    """A certified Lipschitz constant in l2 of a network, as a map from inputs to all of its scores.

    It is the product of the layers' norms, for activations that are 1-Lipschitz: GroupSort, ReLU,
    absolute value. Certify with `lipschitz_certificate(bound, gap, of="vector")`.

    Args:
        layers: {"w": (i, o), ...} of each layer, as they are used.
        method: of `spectral_bound`.

    Returns:
        The product of upper bounds.

    Raises:
        InputError: weights that are not finite.
    """
    return math.prod(spectral_bound(layer["w"], method=method) for layer in layers) * (
        1 + len(layers) * ROUNDING
    )


def relu_set(layers: Any, output: int = 0) -> Zonotope:
    """The set of one output of a ReLU network with one hidden layer, by the calculus.

    h = sum_j a_j relu(<w_j, x> + b_j) + b is S-Lipschitz for the sum of the segments from 0 to
    a_j w_j: sound at every x, and the smallest set where the pre-activations are independent.

    Args:
        layers: two of {"w": (i, o), ...}.
        output: which output.

    Returns:
        A `Zonotope`.

    Raises:
        InputError: another number of layers, or an output that is not there.

    Examples:
        >>> first, last = [[1.0, 1.0], [1.0, -1.0]], [[1.0], [-1.0]]
        >>> S = relu_set([{"w": first}, {"w": last}])
        >>> S.support([[1.0, 0.0], [0.0, 1.0], [0.0, -1.0]])
        array([1., 2., 0.])
    """
    first, last = _two(layers)
    checks.count("output", output, 0, last.shape[1] - 1)
    edges = first.T * last[:, [output]]
    return Zonotope(edges / 2, edges.sum(0) / 2)


def relu_gradients(layers: Any, x: Float[ArrayLike, "n d"], output: int = 0) -> Polytope:
    """The gradients of one output of such a network that samples show: from inside, no certificate.

    Args:
        layers: two of {"w": (i, o), "b": (o,)}.
        x: (n, d) samples.
        output: which output.

    Returns:
        A `Polytope` inside of the smallest set, which `relu_set` holds.

    Raises:
        InputError: as `relu_set`, or samples of another dimension.
    """
    first, last = _two(layers)
    checks.count("output", output, 0, last.shape[1] - 1)
    x = np.asarray(checks.finite("x", x, shape=(None, first.shape[0])), np.float64)
    active = x @ first + np.asarray(layers[0].get("b", 0.0), np.float64) > 0
    active = np.unique(active, axis=0)
    return Polytope(active @ (first.T * last[:, [output]]))


def _two(layers: Any) -> tuple[np.ndarray, np.ndarray]:
    if len(layers) != 2:
        raise InputError(f"layers: {len(layers)} given; a hidden and an output layer are needed")
    first, last = (np.asarray(checks.finite("w", layer["w"], ndim=2)) for layer in layers)
    if first.shape[1] != last.shape[0]:
        raise InputError(f"layers of shapes {first.shape}, {last.shape} do not follow one another")
    return first.astype(np.float64), last.astype(np.float64)


def _power_of_two(w: np.ndarray) -> float:
    """A power of two near the largest entry, by which a division is exact."""
    return float(2.0 ** np.frexp(np.abs(w).max())[1])


def _gram_host(w: np.ndarray, steps: int) -> float:
    """The Gram bound in float64, what rounding may have taken away added at every squaring."""
    if not w.any():
        return 0.0
    top = _power_of_two(w)
    w = w / top
    gram = w.T @ w if w.shape[0] >= w.shape[1] else w @ w.T
    k, inner = len(gram), max(w.shape)
    # |fl(W^T W) - W^T W| <= gamma |W|^T |W|, whose norm is at most gamma |W|_F^2
    slack = ROUNDING * (inner + 2) * float(np.square(w).sum())
    log, power = 0.0, 1.0
    for _ in range(steps):
        size = float(np.linalg.norm(gram)) * (1 + ROUNDING * (k * k + 2))
        gram, slack = gram / size, slack / size
        log += math.log(size) / power
        # |(G + E)^2 - G^2| <= 2 |G| |E| + |E|^2 and |G|_F <= 1; the product is rounded too
        gram, slack = gram @ gram, 2 * slack + slack * slack + ROUNDING * (k + 4)
        power *= 2
    tail = float(np.linalg.norm(gram)) * (1 + ROUNDING * (k * k + 2)) + slack
    return top * math.exp((log + math.log(tail) / power) / 2) * (1 + 64 * ROUNDING)
