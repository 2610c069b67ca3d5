"""The algebra of ridge regression in its own eigenbasis.

These are pure functions of the modes and a vector of penalties.

Every linear smoother here has the form I - S = U diag(alpha / (v + alpha)) U^T (+ the same at v = 0
on the rest). All ratios (GCV, LOO, d kappa) are computed from the *rescaled* weights w = (v_min +
alpha) / (v + alpha), which have no 0/0 at alpha = 0: if some v = 0 the limit alpha -> 0 puts all
weight on these modes, and w becomes their indicator.
"""

from dataclasses import dataclass, replace
from functools import partial

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from theorylab import linalg
from theorylab.pytrees import register

# Below this share of the residual projector a sample is alone in its direction (leverage 1);
# eigenvectors are known to about 1e-15 / gap, so a projector's diagonal is known to much better
# than this.
ALONE = 1e-10
_CAREFUL = 32  # samples whose share of the residual projector is computed to all digits


@register("rest_dim")
@dataclass(frozen=True)
class Modes:
    """Eigenmodes of a (weighted, centred) ridge problem with N samples, C outputs and M modes.

    values (M,): eigenvalues of K/N. vectors (N, M): orthonormal. coords (M, C): vectors^T Y.
    rest (N, C): the part of Y outside the modes (zero eigenvalue), whose space has dimension
    rest_dim.
    intercept (N,): unit vector of the unpenalised direction, zeros if there is none.
    """

    values: Float[Array, " m"]
    vectors: Float[Array, "n m"]
    coords: Float[Array, "m c"]
    rest: Float[Array, "n c"]
    intercept: Float[Array, " n"]
    rest_dim: int

    @property
    def n(self) -> int:
        """Number of samples N."""
        return self.vectors.shape[0]


def _ratio(a: Array, b: Array, otherwise: float) -> Array:
    """The ratio a / b where b > 0, `otherwise` elsewhere, with finite gradients on both sides."""
    return jnp.where(b > 0, a / jnp.where(b > 0, b, 1.0), otherwise)


def _with_rest(modes: Modes, of_values: Array, of_rest: Array) -> Array:
    """Append the row of the rest to a (M, ...) array, if there is a rest."""
    return jnp.concatenate([of_values, of_rest[None]]) if modes.rest_dim else of_values


def _shifted(modes: Modes, alphas: Array) -> Array:
    """The sums v + alpha, one row per mode and one for the rest: (M or M + 1, L)."""
    values = _with_rest(modes, modes.values, jnp.zeros(()))
    return values[:, None] + alphas[None, :]


def _weights(modes: Modes, alphas: Array) -> Array:
    shifted = _shifted(modes, alphas)
    return _ratio(shifted.min(0), shifted, 1.0)


def _shrink(modes: Modes, alphas: Array) -> Array:
    """The eigenvalues alpha / (v + alpha) of I - S."""
    return _ratio(alphas[None, :], _shifted(modes, alphas), 1.0)


def _counts(modes: Modes) -> Array:
    return _with_rest(modes, jnp.ones_like(modes.values), jnp.asarray(float(modes.rest_dim)))


def _power(modes: Modes) -> Array:
    """Squared coordinates of the targets per mode: (M or M + 1, C)."""
    return _with_rest(modes, modes.coords**2, (modes.rest**2).sum(0))


def _split(modes: Modes, weights: Array) -> tuple[Array, Array]:
    """Weights of the modes (M, L) and of the rest (L,) (zero if there is no rest)."""
    m = modes.values.shape[0]
    return weights[:m], weights[m] if modes.rest_dim else jnp.zeros(weights.shape[1])


def _diagonal(modes: Modes, weights: Array) -> Float[Array, "n l"]:
    """Diagonal of U diag(w) U^T + w_rest P_rest, one column per penalty: one GEMM."""
    of_modes, of_rest = _split(modes, weights)
    return modes.vectors**2 @ (of_modes - of_rest) + of_rest * (1 - modes.intercept**2)[:, None]


def _apply(modes: Modes, weights: Array) -> Float[Array, "n l c"]:
    """(U diag(w) U^T + w_rest P_rest) Y for every penalty and output: one GEMM."""
    of_modes, of_rest = _split(modes, weights)
    stacked = of_modes[:, :, None] * modes.coords[:, None, :]
    out = (modes.vectors @ stacked.reshape(len(stacked), -1)).reshape(modes.n, *stacked.shape[1:])
    return out + of_rest[:, None] * modes.rest[:, None, :] if modes.rest_dim else out


@jax.jit
def train_risk(modes: Modes, alphas: Array) -> Float[Array, "l c"]:
    """Mean squared training residual of each output."""
    return _shrink(modes, alphas).T ** 2 @ _power(modes) / modes.n


@jax.jit
def gcv(modes: Modes, alphas: Array) -> Float[Array, "l c"]:
    """Generalised cross-validation of each output."""
    weights = _weights(modes, alphas)
    return (weights.T**2 @ _power(modes) / modes.n) / (_counts(modes) @ weights / modes.n)[
        :, None
    ] ** 2


@jax.jit
def kappa(modes: Modes, alphas: Array) -> Float[Array, " l"]:
    """Estimated effective regularisation κ̂."""
    shifted = _shifted(modes, alphas)
    return shifted.min(0) * (modes.n / (_counts(modes) @ _weights(modes, alphas)))


@jax.jit
def dkappa(modes: Modes, alphas: Array) -> Float[Array, " l"]:
    """Derivative of κ̂ with respect to the penalty."""
    weights = _weights(modes, alphas)
    return modes.n * (_counts(modes) @ weights**2) / (_counts(modes) @ weights) ** 2


@jax.jit
def dof(modes: Modes, alphas: Array) -> Float[Array, " l"]:
    """Effective degrees of freedom tr S, intercept included."""
    return modes.n - _counts(modes) @ _shrink(modes, alphas)


@jax.jit
def leverage(modes: Modes, alphas: Array) -> Float[Array, "l n"]:
    """Diagonal of the smoother S."""
    return 1 - _diagonal(modes, _shrink(modes, alphas)).T


@jax.jit
def norm2(modes: Modes, alphas: Array) -> Float[Array, "l c"]:
    """Squared norm of the fit, of each output."""
    shifted = modes.values[:, None] + alphas
    slope = _ratio(_ratio(modes.values[:, None], shifted, 0.0), shifted, 0.0)
    return slope.T @ modes.coords**2 / modes.n


@partial(jax.jit, static_argnames="fitted")
def dual(modes: Modes, alphas: Array, *, fitted: bool = False) -> Float[Array, "l n c"]:
    """Dual weights in the weighted coordinates.

    fitted: without the zero modes, which carry the residual / (N alpha) and nothing of the fit.
    """
    shifted = _shifted(modes, alphas)
    gain = _ratio(jnp.ones(()), shifted, 0.0)
    if fitted:
        values = _with_rest(modes, modes.values, jnp.zeros(()))
        gain = jnp.where(values[:, None] > 0, gain, 0.0)
    return jnp.moveaxis(_apply(modes, gain / modes.n), 1, 0)


def _rest_diagonal(modes: Modes) -> Float[Array, " n"]:
    """Diagonal of the projector on the rest, without cancellation where it is smallest."""
    rest = jnp.maximum(1 - modes.intercept**2 - (modes.vectors**2).sum(1), 0.0)
    least = jax.lax.top_k(-rest, min(modes.n, _CAREFUL))[1]
    rows = jnp.zeros((len(least), modes.n)).at[jnp.arange(len(least)), least].set(1.0)
    for _ in range(2):
        rows = rows - rows @ modes.intercept[:, None] * modes.intercept
        rows = rows - (rows @ modes.vectors) @ modes.vectors.T
    return rest.at[least].set((rows**2).sum(1))


def _cleaned(modes: Modes) -> tuple[Modes, Float[Array, " n"], Bool[Array, " n"]]:
    """The modes without rounding where it would decide, at small penalties.

    A sample that is alone in its direction has no share in the zero modes. What rounding leaves it
    there has weight 1, and what counts has weights alpha / (v + alpha). Second: the diagonal of the
    projector on the rest. Third: which samples these are.
    """
    zero = modes.values <= 0
    rest = _rest_diagonal(modes) if modes.rest_dim else jnp.zeros(modes.n)
    share = modes.vectors**2 @ zero.astype(rest.dtype) + rest
    # how well eigenvectors across the gap, and the rest, are known
    epsilon = jnp.finfo(rest.dtype).eps
    gap = jnp.where(zero, jnp.inf, modes.values).min() / modes.values.max()
    limit = jnp.minimum(ALONE, (50 * modes.n**0.5 * epsilon / gap) ** 2 + 4 * modes.n * epsilon**2)
    alone = (share <= limit) & (zero.any() | modes.rest_dim > 0)
    vectors = jnp.where(alone[:, None] & zero, 0.0, modes.vectors)
    outside = jnp.where(alone[:, None], 0.0, modes.rest)
    return replace(modes, vectors=vectors, rest=outside), jnp.where(alone, 0.0, rest), alone


def _held_out(modes: Modes, alphas: Array) -> tuple[Array, Array, Array]:
    """Residuals (N, L, C) and diagonal (N, L, 1) of I - S, rescaled, and their ratio.

    At alpha = 0 with zero modes, a sample alone in its direction has residual 0 and leverage 1:
    there the next order of the resolvent, the pseudo-inverse, decides.
    """
    clean, rest, alone = _cleaned(modes)
    weights = _weights(modes, alphas)
    positive = jnp.where(modes.values > 0, modes.values, jnp.inf)
    # so far below the other eigenvalues that alpha / (v + alpha) would underflow
    limit = _shifted(modes, alphas).min(0) <= 1e-200 * positive.min()
    of_modes, of_rest = _split(modes, weights)
    diagonal = (clean.vectors**2 @ of_modes + rest[:, None] * of_rest)[:, :, None]
    residual = _apply(clean, weights)
    pseudo = jnp.where(modes.values > 0, positive.min() / positive, 0.0)
    second = _ratio(
        clean.vectors @ (pseudo[:, None] * modes.coords), (clean.vectors**2 @ pseudo)[:, None], 0.0
    )
    chosen = (alone[:, None] & limit)[:, :, None]
    return residual, diagonal, jnp.where(chosen, second[:, None], _ratio(residual, diagonal, 0.0))


@jax.jit
def loo(modes: Modes, alphas: Array) -> Float[Array, "l c"]:
    """Mean squared leave-one-out residual, exact for every alpha >= 0."""

    def mean_square(alphas: Array) -> Array:
        return (_held_out(modes, alphas)[2] ** 2).mean(0)

    # The (N, batch, C) residuals of a batch stay below 2^25 numbers (256 MiB).
    batch = max(1, 2**25 // modes.coords.shape[1] // modes.n)
    if alphas.shape[0] <= batch:
        return mean_square(alphas)
    return jax.lax.map(lambda alpha: mean_square(alpha[None])[0], alphas, batch_size=batch)


@jax.jit
def loo_and_dual(modes: Modes, alphas: Array) -> tuple[Float[Array, "l c"], Float[Array, "l n c"]]:
    """The quantities `loo` and `dual` for the price of one.

    Dual weights are rescaled residuals, so they share the large GEMM.
    """
    floor = _shifted(modes, alphas).min(0)
    residual, _, held_out = _held_out(modes, alphas)
    return (held_out**2).mean(0), jnp.moveaxis(residual / modes.n / floor[:, None], 1, 0)


def _fold_system(
    modes: Modes, weights: Array, row: Int[Array, " f"], keep: Bool[Array, " f"]
) -> Float[Array, "f f"]:
    """Rescaled (I - S)_FF of a fold F; the identity where its indices are padding."""
    of_modes, of_rest = _split(modes, weights)
    vectors, intercept = modes.vectors[row], modes.intercept[row]
    block = (vectors * (of_modes - of_rest)[:, 0]) @ vectors.T
    block += of_rest[0] * (jnp.eye(len(row)) - jnp.outer(intercept, intercept))
    return jnp.where(keep[:, None] & keep[None, :], block, jnp.eye(len(row)))


def _folds(modes: Modes, members: Int[Array, "k f"]) -> tuple[Array, Array]:
    """Rows of each fold, and which of them are no padding."""
    inside = members < modes.n
    return jnp.where(inside, members, 0), inside


@jax.jit
def fold_condition(modes: Modes, alpha: Array, members: Int[Array, "k f"]) -> Float[Array, ""]:
    """Smallest eigenvalue of the rescaled (I - S)_FF (at most 1), of the worst fold."""
    weights = _weights(modes, alpha[None])

    def smallest(fold: tuple[Array, Array]) -> Array:
        return linalg.eigvalsh(_fold_system(modes, weights, *fold))[0]

    return jax.lax.map(smallest, _folds(modes, members)).min()


@jax.jit
def kfold(modes: Modes, alphas: Array, members: Int[Array, "k f"]) -> Float[Array, "l c"]:
    """Mean squared held-out residual: on a fold F it is (I - S)_FF^{-1} of the training residual.

    members holds the indices of each fold, padded with N.
    """
    folds = _folds(modes, members)

    def one_penalty(alpha: Array) -> Array:
        weights = _weights(modes, alpha[None])
        residual = _apply(modes, weights)[:, 0]

        def one_fold(row: Array, keep: Array) -> Array:
            block = _fold_system(modes, weights, row, keep)
            held_out = linalg.solve(block, jnp.where(keep[:, None], residual[row], 0.0))
            return (held_out**2).sum(0)

        return jax.lax.map(lambda fold: one_fold(*fold), folds).sum(0) / modes.n

    return jax.lax.map(one_penalty, alphas)
