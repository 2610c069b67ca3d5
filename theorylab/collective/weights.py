"""How re-weighting learners weigh a batch: closed-form best responses and ratios, no training here.

All are pure functions for use under jit, vmap and grad; weights are constants to a gradient.

Source: CVaR and chi^2, D. Levy et al., "Large-Scale Methods for Distributionally Robust
Optimization" (2020); JTT, E. Liu et al. (2021); LfF, J. Nam et al. (2020); generalised
cross-entropy, Zhang and Sabuncu (2018), equation 6; group DRO, S. Sagawa et al. (2020), algorithm
1.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike
from jaxtyping import Array, Bool, Float, Int

from theorylab import checks
from theorylab.errors import InputError
from theorylab.overflow import in_range, representable
from theorylab.precision import is_traced

Weights = Float[Array, " n"]
_BISECTIONS = 60


@in_range()
def cvar_weights(losses: Float[ArrayLike, "n"], size: float) -> Weights:
    """Best response of CVaR: 1/(size n) on each of the size n largest losses.

    The sample at the edge of the tail takes what remains of it, so that any fraction in ]0, 1] is
    exact; 1 is ERM.

    Args:
        losses: (n,).
        size: tail fraction.

    Returns:
        (n,) weights of sum 1.

    Raises:
        InputError: a fraction out of range, losses that are not finite.

    Examples:
        >>> cvar_weights(jnp.array([3.0, 1.0, 2.0, 0.0]), 0.5).tolist()
        [0.5, 0.0, 0.5, 0.0]
    """
    checks.number("size", size, 0, 1, open_low=True)
    losses = _losses(losses)
    # a share below the type is still one of the largest loss
    tail = losses.size * jnp.maximum(jnp.asarray(size, losses.dtype), jnp.finfo(losses.dtype).tiny)
    rank = (
        jnp.zeros(losses.size, losses.dtype)
        .at[jnp.argsort(-losses)]
        .set(jnp.arange(losses.size, dtype=losses.dtype))
    )
    p = jnp.clip(tail - rank, 0, 1)
    return jax.lax.stop_gradient(p / p.sum())


@in_range()
def chi2_weights(losses: Float[ArrayLike, "n"], rho: float) -> Weights:
    """Maximiser of <p, losses> over laws p with mean((n p - 1)^2) / 2 <= rho.

    p is proportional to (losses - eta)_+. Where all weights are positive, p = (1 + sqrt(2 rho) (v -
    mean) / std) / n; else eta is found by bisection. A batch with n <= 1 + 2 rho puts all mass on
    its largest losses.

    Args:
        losses: (n,).
        rho: radius, >= 0; 0 is ERM.

    Returns:
        (n,) weights of sum 1.

    Raises:
        InputError: a negative radius, losses that are not finite.
    """
    checks.number("rho", rho, 0, float(jnp.finfo(jnp.float32).max))
    losses = _losses(losses)
    n, top = losses.size, losses.max()
    spread = jnp.maximum(top - losses.min(), jnp.finfo(losses.dtype).tiny)
    v = (losses - top) / spread  # in [-1, 0]: the answer does not depend on shift and scale
    std = v.std()
    slope = jnp.sqrt(2 * jnp.asarray(rho, v.dtype)) / jnp.where(std > 0, std, 1)
    everyone = (1 + slope * (v - v.mean())) / n

    def tail(eta: Array) -> Array:
        p = jnp.maximum(v - eta, 0)
        return p / p.sum()

    def halve(_: int, interval: tuple[Array, Array]) -> tuple[Array, Array]:
        low, high = interval
        middle = (low + high) / 2
        too_far = 0.5 * jnp.mean((n * tail(middle) - 1) ** 2) > rho
        return jnp.where(too_far, low, middle), jnp.where(too_far, middle, high)

    # the divergence of the tail grows with eta; just below the maximum only the largest losses are
    # left
    almost = jnp.asarray(-1e-3 * float(jnp.finfo(v.dtype).eps), v.dtype)
    low, _ = jax.lax.fori_loop(0, _BISECTIONS, halve, (-jnp.ones((), v.dtype), almost))
    found = jnp.where(std > 0, jnp.where(everyone.min() >= 0, everyone, tail(low)), 1 / n)
    return jax.lax.stop_gradient(found)


def jtt_weights(wrong: Bool[ArrayLike, "n"], lam: float) -> Weights:
    """Weights of JTT: lam where the first stage erred, 1 elsewhere.

    An up-weight of u extra copies is lam = 1 + u.

    Args:
        wrong: (n,) booleans, or 0 and 1.
        lam: >= 0.

    Returns:
        (n,) weights.

    Raises:
        InputError: a negative weight, other values.
    """
    checks.number("lam", lam, 0, float(jnp.finfo(jnp.float32).max))
    wrong = checks.within("wrong", wrong, 0, 1, whole=True)  # booleans, or 0 and 1
    return jnp.where(jnp.asarray(wrong, bool), jnp.asarray(lam, float), 1.0)


@in_range()
def gce_loss(logits: Float[Array, "n k"], labels: Int[Array, " n"], q: float = 0.7) -> Weights:
    """Generalised cross-entropy (1 - p_y^q) / q: its gradient is p_y^q times the cross-entropy's.

    q -> 0 is the cross-entropy, q = 1 the mean absolute error. (LfF's official code has q p_y^q: a
    rate q times ours.)

    Args:
        logits: (n, K).
        labels: (n,) integers.
        q: in ]0, 1].

    Returns:
        (n,) losses.

    Raises:
        InputError: an exponent out of range, labels that do not fit.
    """
    checks.number("q", q, 0, 1, open_low=True)
    logits = representable("logits", checks.finite("logits", logits, ndim=2))
    labels = jnp.asarray(_labels("labels", labels, "logits", logits, logits.shape[1]))
    log_p = jnp.take_along_axis(jax.nn.log_softmax(logits), labels[:, None], axis=1)[:, 0]
    return -jnp.expm1(q * log_p) / q


@in_range()
def lff_weights(
    biased: Float[Array, " n"],
    debiased: Float[Array, " n"],
    labels: Int[Array, " n"],
    *,
    num_classes: int,
) -> Weights:
    """Relative difficulty L_b / (L_b + L_d) of every sample.

    Both losses are first divided by the largest of their class.

    Args:
        biased, debiased: (n,) losses >= 0 of the two networks.
        labels: (n,) integers.
        num_classes: K.

    Returns:
        (n,) weights in [0, 1].

    Raises:
        InputError: negative losses, labels that do not fit.
    """

    biased = representable("biased", checks.nonnegative("biased", biased, ndim=1))
    debiased = representable("debiased", checks.nonnegative("debiased", debiased, ndim=1))
    labels = jnp.asarray(
        _labels("labels", labels, "biased", biased, checks.count("num_classes", num_classes))
    )
    checks.same_length(biased=biased, debiased=debiased)

    def relative(losses: Float[Array, " n"]) -> Float[Array, " n"]:
        largest = jax.ops.segment_max(losses, labels, num_segments=num_classes)[labels]
        return losses / jnp.where(largest > 0, largest, 1)

    b, d = relative(biased), relative(debiased)
    return jax.lax.stop_gradient(b / (b + d + 1e-8))


class GroupWeights(NamedTuple):
    """One step of group DRO.

    Attributes:
        weights: (n,) of the samples.
        q: (g,) weights of the groups after it.
    """

    weights: Float[Array, " n"]
    q: Float[Array, " g"]


@in_range()
def group_weights(
    q: Float[Array, " g"], losses: Float[Array, " n"], groups: Int[Array, " n"], step: float
) -> GroupWeights:
    """Weigh samples by group DRO, q_g growing as exp(step * mean loss of g).

    A sample weighs q_g / (members of g). A group without members in this batch keeps its q (up to
    normalisation) and its share goes to nobody.

    Args:
        q: (G,) weights of the groups.
        losses: (n,).
        groups: (n,) numbers below G.
        step: rate, >= 0.

    Returns:
        `GroupWeights` (weights, q).

    Raises:
        InputError: a q that is negative or all 0, groups that do not fit.
    """
    q, losses = jnp.asarray(checks.nonnegative("q", q, ndim=1)), _losses(losses)
    if not is_traced(q) and not bool(q.any()):
        raise InputError("q is all 0; weights of the groups, at least one positive, are needed")
    groups = jnp.asarray(
        _labels("groups (numbers of entries of q)", groups, "losses", losses, len(q))
    )
    checks.number("step", step, 0)
    members = jnp.zeros_like(q).at[groups].add(1)
    mean = jnp.zeros_like(q).at[groups].add(losses) / jnp.maximum(members, 1)
    q = jax.lax.stop_gradient(jax.nn.softmax(jnp.log(q) + step * mean))
    return GroupWeights((q / jnp.maximum(members, 1))[groups], q)


@in_range()
def cvar_risk(losses: Float[ArrayLike, "n"], size: float) -> Float[Array, ""]:
    """Mean of the worst fraction of the losses.

    Args:
        losses: (n,).
        size: the fraction, in ]0, 1].

    Returns:
        The mean.

    Raises:
        InputError: as `cvar_weights`.
    """
    return cvar_weights(losses, size) @ jnp.asarray(_losses(losses))


@in_range()
def chi2_risk(losses: Float[ArrayLike, "n"], rho: float) -> Float[Array, ""]:
    """Largest mean of the losses under a law within chi^2 divergence rho.

    Args:
        losses: (n,).
        rho: radius, >= 0.

    Returns:
        The mean.

    Raises:
        InputError: as `chi2_weights`.
    """
    return chi2_weights(losses, rho) @ jnp.asarray(_losses(losses))


def _losses(losses: Float[ArrayLike, "n"]) -> Float[Array, " n"]:
    array = representable("losses", checks.finite("losses", losses, ndim=1))
    return array if jnp.issubdtype(array.dtype, jnp.floating) else array.astype(float)


def _labels(
    name: str, labels: Int[ArrayLike, "n"], of: str, values: Array, classes: int
) -> Int[ArrayLike, "n"]:
    given = checks.real(name, labels)
    if given.shape[:1] != values.shape[:1]:
        raise InputError(
            f"{name} has shape {given.shape}, {of} {values.shape}; a label for each sample is "
            "needed"
        )
    return checks.labels(name, given, classes=classes)
