"""Effective regularisation κ(α, n) of ridge regression, with implicit derivatives.

Sources: Wei, Hu, Steinhardt 2022 (arXiv 2203.06176); Simon et al. 2021 (eigenlearning); Silverstein
& Bai 1995. κ is 1/m̃(-α), m̃ the companion Stieltjes transform of the sample covariance.
"""

from dataclasses import dataclass
from functools import partial

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike
from jaxtyping import Array, Float

from theorylab import checks
from theorylab.overflow import in_range
from theorylab.precision import as_float64, float64_inside
from theorylab.pytrees import register
from theorylab.rmt.inputs import as_spectrum, as_weights
from theorylab.rmt.results import DegreesOfFreedom
from theorylab.rmt.tails import PowerLawTail, require_tail, tail_dof

_BLOCK = 2**23  # eigenvalues x parameters evaluated at once: 64 MiB of float64
_MAX_NEWTON = 500


@register()
@dataclass(frozen=True)
class Balance:
    """What κ is weighed with.

    dof1 = Σ L, gap = Σ L(1-L) = dof1 - dof2, slack = 1 - dof1/n (α/κ at the solution).
    """

    dof1: Float[Array, ""]
    gap: Float[Array, ""]
    slack: Float[Array, ""]

    def slope(self, n: Float[Array, ""]) -> Float[Array, ""]:
        """The derivative ∂α/∂κ = 1 - dof2/n, without cancellation."""
        return self.slack + self.gap / n


def unlearned(eigenvalues: Float[Array, "p"], kappa: Float[Array, ""]) -> Float[Array, "p"]:
    """The share 1 - L = κ/(λ+κ) of each mode that is not learnt.

    0/0 counts as 1: a direction without variance is never learnt.
    """
    total = eigenvalues + kappa
    return jnp.where(total > 0, kappa / jnp.where(total > 0, total, 1.0), 1.0)


def balance(
    eigenvalues: Float[Array, "p"],
    weights: Float[Array, "p"],
    tail: PowerLawTail | None,
    n: Float[Array, ""],
    kappa: Float[Array, ""],
) -> Balance:
    """Sums at a given κ (no checks, caller's precision)."""
    missed = unlearned(eigenvalues, kappa)
    learnt = eigenvalues / jnp.where(eigenvalues + kappa > 0, eigenvalues + kappa, 1.0)
    dof1, gap = jnp.sum(weights * learnt), jnp.sum(weights * learnt * missed)
    if tail is not None:
        more, more_gap = tail_dof(tail, kappa)
        dof1, gap = dof1 + more, gap + more_gap
        return Balance(dof1, gap, 1 - dof1 / n)
    # With n >= rank, 1 - dof1/n is a sum of positive terms: no digits are lost at the interpolation
    # threshold.
    rank = jnp.sum(jnp.where(eigenvalues > 0, weights, 0.0))
    # 0 without variance, with the right derivative
    within = jnp.where(eigenvalues > 0, missed, missed - 1)
    slack = jnp.where(n >= rank, (n - rank + jnp.sum(weights * within)) / n, 1 - dof1 / n)
    return Balance(dof1, gap, slack)


def times(factor: Float[Array, ""], value: Float[Array, ""]) -> Float[Array, ""]:
    """The product factor * value.

    It is 0 where the factor is infinite (at the interpolation threshold) and the value vanishes.
    """
    return jnp.where(jnp.isinf(factor) & (value == 0), 0.0, factor * value)


def solve_kappa(
    eigenvalues: Float[Array, "p"],
    weights: Float[Array, "p"],
    tail: PowerLawTail | None,
    n: Float[Array, ""],
    alpha: Float[Array, ""],
) -> Float[Array, ""]:
    """Effective regularisation κ for scalar n and α (no checks, caller's precision)."""

    def excess(kappa: Float[Array, ""]) -> Float[Array, ""]:
        return kappa * balance(eigenvalues, weights, tail, n, kappa).slack - alpha

    def newton(_: object, guess: Float[Array, ""]) -> Float[Array, ""]:
        # `excess` is convex in κ and >= 0 at the guess, so Newton's iterates fall to the largest
        # root without a safeguard; they end when rounding stops them falling.
        def step(kappa: Float[Array, ""]) -> Float[Array, ""]:
            at = balance(eigenvalues, weights, tail, n, kappa)
            return (alpha + kappa * at.gap / n) / at.slope(n)

        def falling(state: tuple[Array, Array, Array]) -> Array:
            kappa, previous, count = state
            return (kappa < previous * (1 - 1e-15)) & (kappa > 0) & (count < _MAX_NEWTON)

        def advance(state: tuple[Array, Array, Array]) -> tuple[Array, Array, Array]:
            kappa, _, count = state
            return step(kappa), kappa, count + 1

        kappa, previous, _ = jax.lax.while_loop(
            falling, advance, (step(guess), guess, jnp.zeros((), jnp.int32))
        )
        return jnp.where(guess > 0, jnp.clip(jnp.minimum(kappa, previous), alpha, guess), 0.0)

    trace = jnp.sum(weights * eigenvalues) + (0.0 if tail is None else tail.total())
    guess = alpha + trace / n
    if tail is None:
        # Without a ridge and with n >= rank everything is learnt: κ = 0 exactly, where Newton would
        # creep.
        rank = jnp.sum(jnp.where(eigenvalues > 0, weights, 0.0))
        guess = jnp.where((alpha > 0) | (n < rank), guess, 0.0)
    return jax.lax.custom_root(
        excess,
        jax.lax.stop_gradient(guess),
        newton,
        lambda tangent, y: y / tangent(jnp.ones_like(y)),
    )


def over_grid(function, n: Float[Array, "..."], alpha: Float[Array, "..."], size: int):  # type: ignore[no-untyped-def]
    """Apply a function of scalars (n, α) over the broadcast grid.

    It goes in blocks that keep `size` x block within memory.
    """
    n, alpha = jnp.broadcast_arrays(n, alpha)
    if n.ndim == 0:
        return function(n, alpha)
    flat = jax.lax.map(
        lambda pair: function(*pair),
        (n.ravel(), alpha.ravel()),
        batch_size=max(1, _BLOCK // max(size, 1)),
    )
    return jax.tree.map(lambda x: x.reshape(n.shape + x.shape[1:]), flat)


@jax.jit
def _kappa(eigenvalues, weights, tail, n, alpha):  # type: ignore[no-untyped-def]
    return over_grid(partial(solve_kappa, eigenvalues, weights, tail), n, alpha, eigenvalues.size)


@jax.jit
def _balance(eigenvalues, weights, tail, n, kappa):  # type: ignore[no-untyped-def]
    return over_grid(partial(balance, eigenvalues, weights, tail), n, kappa, eigenvalues.size)


@in_range()
@float64_inside
def effective_regularization(
    eigenvalues: Float[ArrayLike, "p"],
    n: Float[ArrayLike, "..."] | float,
    alpha: Float[ArrayLike, "..."] | float,
    *,
    tail: PowerLawTail | None = None,
    weights: Float[ArrayLike, "p"] | None = None,
) -> Float[Array, "..."]:
    """Effective regularisation κ: the ridge that the population problem feels.

    It is the root κ >= 0 of 1 = α/κ + (1/n) Σ_i w_i λ_i/(λ_i + κ). Use it where the population
    spectrum is known; from a kernel matrix alone take `estimated_kappa`, or `KernelRidgePath.kappa`
    for many penalties. α = 0 gives the ridgeless limit: 0 when n >= rank. It is differentiable in
    eigenvalues, n, alpha, weights and tail (implicit function theorem), forward and reverse, to any
    order, and works under jit and vmap.

    Args:
        eigenvalues: (p,) of the population covariance, at least 0.
        n: number of samples; broadcasts against alpha.
        alpha: penalty of (1/n)‖y - Xβ‖² + α‖β‖² (solve with XXᵀ + nα I); the paper's λ.
        tail: adds the modes i > p of a power law.
        weights: (p,) multiplicities of the eigenvalues; None for 1.

    Returns:
        κ of the shape that n and alpha broadcast to, float64, in the unit of the eigenvalues.

    Raises:
        InputError: negative or non-finite input, n that is not above 0, or shapes that do not fit.

    Source:
        Wei, Hu & Steinhardt 2022 (arXiv 2203.06176); κ is 1/m̃(-α) of Silverstein & Bai 1995.

    Examples:
        >>> import numpy as np
        >>> spectrum = np.ones(100)
        >>> kappa = effective_regularization(spectrum, n=50, alpha=[0.0, 1.0])
        >>> np.round(kappa, 4).tolist()
        [1.0, 2.4142]
    """
    spectrum = as_spectrum("eigenvalues", eigenvalues)
    checks.positive("n", n)
    checks.nonnegative("alpha", alpha)
    checks.broadcast(n=n, alpha=alpha)
    require_tail("tail", tail, spectrum, weights)
    return _kappa(
        spectrum, as_weights("weights", weights, spectrum), tail, as_float64(n), as_float64(alpha)
    )


@in_range()
@float64_inside
def degrees_of_freedom(
    eigenvalues: Float[ArrayLike, "p"],
    kappa: Float[ArrayLike, "..."] | float,
    *,
    tail: PowerLawTail | None = None,
    weights: Float[ArrayLike, "p"] | None = None,
) -> DegreesOfFreedom:
    """Degrees of freedom dof1 = tr Σ(Σ+κ)⁻¹ and dof2 = tr Σ²(Σ+κ)⁻² of ridge regression.

    Args:
        eigenvalues: (p,) of the population covariance, at least 0.
        kappa: effective regularisation, of any shape, at least 0.
        tail: adds the modes i > p of a power law.
        weights: (p,) multiplicities of the eigenvalues; None for 1.

    Returns:
        `DegreesOfFreedom` (dof1, dof2), each of kappa's shape.

    Raises:
        InputError: negative or non-finite input, or shapes that do not match.
    """
    spectrum = as_spectrum("eigenvalues", eigenvalues)
    checks.nonnegative("kappa", kappa)
    require_tail("tail", tail, spectrum, weights)
    at = _balance(
        spectrum, as_weights("weights", weights, spectrum), tail, as_float64(1.0), as_float64(kappa)
    )
    return DegreesOfFreedom(at.dof1, at.dof1 - at.gap)


@in_range(infinite=True)
@float64_inside
def d_kappa(
    eigenvalues: Float[ArrayLike, "p"],
    n: Float[ArrayLike, "..."] | float,
    alpha: Float[ArrayLike, "..."] | float,
    *,
    tail: PowerLawTail | None = None,
    weights: Float[ArrayLike, "p"] | None = None,
) -> Float[Array, "..."]:
    """Derivative ∂κ/∂α = 1/(1 - dof2/n) >= 1, by which sampling inflates the risk.

    Args:
        eigenvalues: (p,) of the population covariance, at least 0.
        n: number of samples; broadcasts against alpha.
        alpha: ridge penalty, as in `effective_regularization`.
        tail: adds the modes i > p of a power law.
        weights: (p,) multiplicities of the eigenvalues; None for 1.

    Returns:
        An array of the shape that n and alpha broadcast to.

    Raises:
        InputError: as `effective_regularization`.
    """
    kappa = effective_regularization(eigenvalues, n, alpha, tail=tail, weights=weights)
    spectrum, n = as_spectrum("eigenvalues", eigenvalues), as_float64(n)
    return 1 / _balance(spectrum, as_weights("weights", weights, spectrum), tail, n, kappa).slope(n)
