"""The core/nuisance/noise data model, and the exact compression of its nuisance block.

x = (x_S, x_N): the signal block carries the clean label with a margin, the nuisance block
N(0, sigma^2 I_k) knows nothing of it, and training labels are flipped with probability eta. Out of
distribution the nuisance block moves.

Compression: a learner whose solution lies in the span of the samples and does not care for
rotations (l2-logistic, ridge, minimum norm, gradient descent from 0) sees X_N only through X_N
X_N^T. That is a Wishart matrix, and Bartlett's decomposition draws its triangular factor directly,
at a cost that does not depend on k. Not valid for l1 penalties, coordinate-wise optimizers (Adam,
sign descent) or a random start.

Source: our model of the setting of Sanyal, Hu, Yu, Ma, Wang, Schölkopf (2025), "Accuracy on the
wrong line"; Bartlett (1933); docs/derivations/memorisation.md, statement 6.
"""

from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike
from jaxtyping import Array, Bool, Float, Key

from theorylab import linalg
from theorylab.checks import count, finite, instance, number, signs
from theorylab.checks import key as checked_key
from theorylab.errors import InputError
from theorylab.precision import as_float64, float64_inside, is_traced
from theorylab.pytrees import register


@dataclass(frozen=True)
class NuisanceModel:
    """Sizes and scales of the data model.

    Attributes:
        d_s: coordinates of the signal block.
        gap: margin between the clean classes along the label's direction.
        k: nuisance coordinates.
        energy: k sigma^2, the mean squared length of the nuisance block. It acts on the signal
            problem as a ridge penalty, so that k is varied at fixed energy.
        tau: scale of the out-of-distribution shift of each nuisance coordinate.
        shortcut: strength of a spurious feature `shortcut * y`, negated in a share 1 - `agree` of
            the samples and, out of distribution, in a share `agree`. 0: none.
        agree: share of the samples in which the shortcut agrees with the label.

    Raises:
        InputError: counts below 1, negative scales, a share outside [0, 1].
    """

    d_s: int = 50
    gap: float = 0.25
    k: int = 50_000
    energy: float = 25.0
    tau: float = 0.5
    shortcut: float = 0.0
    agree: float = 0.95

    def __post_init__(self) -> None:
        count("d_s", self.d_s)
        count("k", self.k)
        for name in ("gap", "energy", "tau", "shortcut"):
            number(name, getattr(self, name), 0.0)
        number("agree", self.agree, 0.0, 1.0)

    @property
    def sigma(self) -> float:
        """Standard deviation of a nuisance coordinate in distribution."""
        return float(np.sqrt(self.energy / self.k))

    @property
    def sigma_ood(self) -> float:
        """Standard deviation of a nuisance coordinate out of distribution."""
        return float(np.hypot(self.sigma, self.tau))


@register()
@dataclass(frozen=True)
class TrainingSet:
    """Training samples with the nuisance block in compressed coordinates.

    Attributes:
        x_s: (n, d) signal block: d_s coordinates, and the shortcut's as the last one if the model
            has it.
        nuisance: (n, min(n, k)) factor L with L L^T distributed as X_N X_N^T.
        y, noisy: (n,) clean and observed labels, -1 or 1.
        direction: (d,) unit vector whose sign is the clean label.
    """

    x_s: Float[Array, "n d"]
    nuisance: Float[Array, "n m"]
    y: Float[Array, " n"]
    noisy: Float[Array, " n"]
    direction: Float[Array, " d"]

    @property
    @float64_inside
    def x(self) -> Float[Array, "n d+m"]:
        """Both blocks side by side: what a learner is given."""
        return jnp.concatenate([as_float64(self.x_s), as_float64(self.nuisance)], axis=1)


class SignalSample(NamedTuple):
    """Points of the signal block and their clean labels.

    Attributes:
        x_s: (n, d_s).
        y: (n,) -1 or 1.
    """

    x_s: Float[Array, "n d"]
    y: Float[Array, " n"]


class FlippedLabels(NamedTuple):
    """Observed labels, and which of them are wrong.

    Attributes:
        noisy: (n,) -1 or 1.
        flipped: (n,) True where the clean label is the other one.
    """

    noisy: Float[Array, " n"]
    flipped: Bool[Array, " n"]


@float64_inside
def sample_signal(
    key: Key[Array, ""],
    n: int,
    d_s: int,
    gap: float,
    *,
    direction: Float[ArrayLike, " d"] | None = None,
) -> SignalSample:
    """Draw signal block and clean labels: z ~ N(0, I), y = sign <u, z>, x_S = z + gap y u.

    Args:
        key: typed key.
        n: samples.
        d_s: coordinates.
        gap: margin, >= 0.
        direction: u (d_s,), normalised here; the first axis by default.

    Returns:
        `SignalSample` (x_s, y).

    Raises:
        InputError: counts below 1, a negative gap, a direction of another length or zero.
    """
    n, d_s = count("n", n), count("d_s", d_s)
    number("gap", gap, 0.0)
    u = _unit(direction, d_s)
    z = jax.random.normal(checked_key("key", key), (n, d_s), jnp.float64)
    y = jnp.where(z @ u >= 0, 1.0, -1.0)
    return SignalSample(z + gap * y[:, None] * u, y)


@float64_inside
def flip_labels(key: Key[Array, ""], y: Float[ArrayLike, " n"], eta: ArrayLike) -> FlippedLabels:
    """Flip each label with probability eta, and tell which ones.

    From one key, a larger eta flips a superset.

    Args:
        key: typed key.
        y: (n,) labels -1 or 1.
        eta: probability, in [0, 1].

    Returns:
        `FlippedLabels` (noisy, flipped).

    Raises:
        InputError: labels other than -1 and 1, a probability outside [0, 1].
    """
    y = as_float64(signs("y", y))
    number("eta", eta, 0.0, 1.0)
    flipped = jax.random.uniform(checked_key("key", key), y.shape, jnp.float64) < eta
    return FlippedLabels(jnp.where(flipped, -y, y), flipped)


@float64_inside
def nuisance_factor(key: Key[Array, ""], n: int, k: int, sigma: float) -> Float[Array, "n m"]:
    """Draw the Bartlett factor of n samples with k nuisance features N(0, sigma^2).

    L (n, min(n, k)) is lower triangular, off-diagonal entries N(0, 1), squared diagonal chi^2 with
    k - i degrees of freedom (i = 0, 1, ...), all times sigma; L L^T ~ X_N X_N^T. Time and memory
    are O(n min(n, k)) whatever k is.

    Args:
        key: typed key.
        n: samples.
        k: nuisance features.
        sigma: their standard deviation.

    Returns:
        L (n, min(n, k)).

    Raises:
        InputError: counts below 1, a negative sigma.
    """
    n, k = count("n", n), count("k", k)
    number("sigma", sigma, 0.0)
    return _bartlett(checked_key("key", key), n, min(n, k), k, sigma)


def bartlett(key: Array, n: int, m: int, k: ArrayLike, sigma: ArrayLike) -> Array:
    """`nuisance_factor` for traced code, with k and sigma as data and m = min(n, k) columns."""
    key_diagonal, key_below = jax.random.split(key)
    diagonal = chi(key_diagonal, jnp.asarray(k) - jnp.arange(m, dtype=jnp.float64))
    below = jnp.tril(jax.random.normal(key_below, (n, m), jnp.float64), -1)
    return jnp.asarray(sigma) * below.at[jnp.arange(m), jnp.arange(m)].set(diagonal)


_bartlett = jax.jit(bartlett, static_argnums=(1, 2))  # k and sigma are data


def chi(key: Array, freedom: Float[Array, " m"]) -> Float[Array, " m"]:
    """Draw chi variates of >= 1 degrees of freedom by rejection, for all entries at once.

    Marsaglia and Tsang (2000). `jax.random.gamma` loops over its entries and takes seconds to
    compile.
    """
    key, key_one = jax.random.split(key)
    shape = jnp.maximum(freedom, 2.0) / 2 - 1 / 3
    scale = 1 / jnp.sqrt(9 * shape)

    def propose(state: tuple[Array, Array, Array]) -> tuple[Array, Array, Array]:
        key, value, accepted = state
        key, key_x, key_u = jax.random.split(key, 3)
        x = jax.random.normal(key_x, shape.shape, shape.dtype)
        v = (1 + scale * x) ** 3
        bound = x**2 / 2 + shape * (1 - v + jnp.log(jnp.maximum(v, 1e-300)))
        fits = (v > 0) & (jnp.log(jax.random.uniform(key_u, shape.shape, shape.dtype)) < bound)
        return key, jnp.where(accepted, value, shape * v), accepted | fits

    empty = jnp.zeros_like(shape)
    half = jax.lax.while_loop(lambda state: ~state[2].all(), propose, (key, empty, empty > 0))[1]
    one = jnp.abs(jax.random.normal(key_one, shape.shape, shape.dtype))
    return jnp.where(freedom < 2, one, jnp.sqrt(2 * half))


@float64_inside
def compress_block(x_n: Float[ArrayLike, "n k"]) -> Float[Array, "n m"]:
    """Compress an explicit nuisance block: lower-triangular L with L L^T = X_N X_N^T.

    By QR of X_N^T: exact at any rank.

    Args:
        x_n: (n, k) block.

    Returns:
        L (n, min(n, k)).

    Raises:
        InputError: a block that is not a finite matrix.
    """
    return linalg.qr_r(as_float64(finite("x_n", x_n, ndim=2)).T).T


def draw_training_set(
    key: Key[Array, ""], model: NuisanceModel, n: int, eta: ArrayLike
) -> TrainingSet:
    """Draw n training samples of the model with label noise eta, the nuisance block compressed.

    From one key, all but the observed labels does not depend on eta, and a larger eta flips a
    superset of labels. Many sets and fits at once: `sweep`.

    Args:
        key: typed key.
        model: a `NuisanceModel`.
        n: samples.
        eta: share of wrong labels, in expectation.

    Returns:
        A `TrainingSet`.

    Raises:
        InputError: a count below 1, a probability outside [0, 1].
    """
    instance("model", model, NuisanceModel, "a NuisanceModel")
    key_signal, key_flip, key_nuisance, key_shortcut = jax.random.split(checked_key("key", key), 4)
    x_s, y = sample_signal(key_signal, n, model.d_s, model.gap)
    noisy, _ = flip_labels(key_flip, y, eta)
    direction = np.eye(model.d_s)[0]
    if model.shortcut:
        spurious, _ = flip_labels(key_shortcut, y, 1 - model.agree)
        x_s = _append(x_s, model.shortcut * spurious)
        direction = np.append(direction, 0.0)
    return TrainingSet(
        x_s, nuisance_factor(key_nuisance, n, model.k, model.sigma), y, noisy, direction
    )


@float64_inside
def _append(x: Array, column: Array) -> Array:
    return jnp.concatenate([as_float64(x), as_float64(column)[:, None]], axis=1)


def check_direction(direction: Any, d: int) -> Any:
    """A direction in d dimensions, of any length but 0."""
    given = finite("direction", direction, shape=(d,))
    if not is_traced(given) and not np.asarray(given).any():
        raise InputError("direction is zero; a vector of any length above 0 is needed")
    return given


def _unit(direction: Float[ArrayLike, " d"] | None, d_s: int) -> Array:
    if direction is None:
        return jnp.zeros(d_s, jnp.float64).at[0].set(1.0)
    u = as_float64(check_direction(direction, d_s))
    return u / jnp.linalg.norm(u)
