"""l2-penalised logistic regression by Newton's method: penalty paths, batches, padded samples.

Objective, mean over the samples: (1/n) sum_i log(1 + exp(-y_i <w, x_i>)) + (lam/2) ||w||^2. At lam
-> 0 on separable data the direction of w tends to that of the maximum margin; a small lam needs
many digits, so everything is float64 and the norm of the gradient is reported with every fit.

Newton's system is solved on the smaller side. With more features than samples (the rule here) w =
X^T a and B = I + W^1/2 K W^1/2 / (n lam) with K = X X^T is factorised: n^3 / 3 flops per step.
Otherwise the Hessian X^T W X / n + lam.

Source: Rasmussen and Williams (2006), algorithm 3.1.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike
from jaxtyping import Array, Bool, Float, Int

from theorylab.checks import choice, count, finite, number, positive
from theorylab.deprecation import old_field
from theorylab.errors import InputError
from theorylab.overflow import require_answer
from theorylab.precision import float64_inside, is_traced
from theorylab.pytrees import register
from theorylab.shift.checks import batched_signs, sample_mask
from theorylab.shift.newton import gram, newton_path
from theorylab.shift.sweeps import announce_unconverged


@register("tol")
@dataclass(frozen=True)
class LogisticFit:
    """A path of L penalties, for each problem of a batch (axes *b).

    Attributes:
        coef: (*b, L, p) weights.
        lams: (L,) penalties, in the order given.
        gradient_norm: (*b, L) norm of the objective's gradient at `coef`.
        steps: (*b, L) Newton steps taken.
        train_error: (*b, L) share of samples on the wrong side of their (observed) label, ties
            counted as wrong.
        objective: (*b, L).
        tol: the gradient norm that was asked for.
    """

    coef: Float[Array, "*b l p"]
    lams: Float[Array, " l"]
    gradient_norm: Float[Array, "*b l"]
    steps: Int[Array, "*b l"]
    train_error: Float[Array, "*b l"]
    objective: Float[Array, "*b l"]
    tol: float

    iterations = old_field("iterations", "steps")

    @property
    def converged(self) -> Bool[Array, "*b l"]:
        """Where the gradient norm is what was asked for."""
        return self.gradient_norm <= self.tol


def fit_logistic_path(
    X: Float[ArrayLike, "*b n p"],
    y: Float[ArrayLike, "*b n"],
    lams: Float[ArrayLike, " l"] | Sequence[float],
    *,
    mask: Bool[ArrayLike, "*b n"] | None = None,
    tol: float = 1e-8,
    max_steps: int = 100,
    batch_size: int | None = None,
    precision: str = "float64",
) -> LogisticFit:
    """Fit weights that minimise the mean logistic loss plus (lam/2) ||w||^2, for every penalty.

    There is no intercept; `theorylab.mixtures.fit_logistic` has one. The penalties are gone through
    from the largest to the smallest (under jit: as given), each from the solution before. A fit
    that misses `tol` after `max_steps` Newton steps is returned with its gradient norm and
    announced by a RuntimeWarning (under jit nothing can be announced: look at `converged`).

    Args:
        X: (*b, n, p) samples, with any number of batch axes in front.
        y: (*b, n) labels -1 or 1.
        lams: penalties > 0, one or many.
        mask: (*b, n) which samples count; padding is False. n in the objective is their number.
        tol: the gradient norm to reach.
        max_steps: Newton steps per penalty.
        batch_size: problems solved at once; by default one after the other on CPU (LAPACK is
            parallel itself), all at once elsewhere. Memory grows with this number, not with the
            batch.
        precision: "float64", or "float32" for comparison: give it a `tol` that it can reach, 1e-6
            say.

    Returns:
        A `LogisticFit`.

    Raises:
        InputError: shapes that do not fit together, labels other than -1 and 1, penalties that are
            not positive, or numbers whose squares leave the floating type.

    Examples:
        >>> X, y = np.array([[1.0, 0.0], [0.0, 1.0], [-1.0, 0.0]]), np.array([1.0, 1.0, -1.0])
        >>> fit = fit_logistic_path(X, y, [0.1])
        >>> np.asarray(fit.coef).round(4).tolist(), bool(fit.converged.all())
        ([[1.3608, 0.9378]], True)
    """
    shape = np.shape(finite("X", X, ndim=tuple(range(2, 8))))
    if np.shape(finite("y", y)) != shape[:-1]:
        raise InputError(
            f"y has shape {np.shape(y)} but X has {shape}; one label for each sample is needed"
        )
    batched_signs("y", y, shape[:-1])
    lams = positive("lams", lams, ndim=(0, 1))  # 1e-6 is nearly none
    number("tol", tol, 0.0)
    max_steps = count("max_steps", max_steps)
    mask = jnp.ones(shape[:-1], bool) if mask is None else sample_mask("mask", mask, shape[:-1])
    choice("precision", precision, ("float64", "float32"))
    size = int(np.prod(shape[:-2]))
    if batch_size is None:
        batch_size = 1 if jax.default_backend() == "cpu" else size
    batch_size = count("batch_size", batch_size)
    found = _fit(X, y, lams, mask, tol, max_steps, min(batch_size, size), precision)
    require_answer(found, {"X": X, "lams": lams})
    fit = LogisticFit(**found, tol=tol)
    if not is_traced(fit.gradient_norm):
        announce_unconverged(fit.gradient_norm, fit.converged, tol, max_steps)
    return fit


@float64_inside
def _fit(
    X: Any,
    y: Any,
    lams: Any,
    mask: Any,
    tol: float,
    max_steps: int,
    batch_size: int,
    precision: str,
) -> Any:
    dtype = jnp.float64 if precision == "float64" else jnp.float32
    lams = jnp.atleast_1d(jnp.asarray(lams, dtype))
    # traced penalties cannot be sorted (their order is data): they are taken as they come
    order = (
        np.arange(lams.size) if is_traced(lams) else np.argsort(-np.asarray(lams), kind="stable")
    )
    found = _batched(
        jnp.asarray(X, dtype),
        jnp.asarray(y, dtype),
        lams[order],
        jnp.asarray(mask, bool),
        jnp.asarray(tol, dtype),
        max_steps,
        batch_size,
    )
    back = np.argsort(order)
    taken = {
        name: value[..., back, :] if name == "coef" else value[..., back]
        for name, value in found.items()
    }
    return taken | {"lams": lams}


@partial(jax.jit, static_argnums=(5, 6))
def _batched(
    X: Array, y: Array, lams: Array, mask: Array, tol: Array, max_steps: int, batch_size: int
) -> Any:
    batch, (n, p) = X.shape[:-2], X.shape[-2:]

    def problem(one: tuple[Array, Array, Array]) -> dict[str, Array]:
        x, labels, counted = one
        return newton_path(x, gram(x, counted), labels, counted, lams, tol, max_steps)

    flat = (X.reshape(-1, n, p), y.reshape(-1, n), mask.reshape(-1, n))
    # no batches of 1: XLA's batched products are several times slower on CPU
    found = jax.lax.map(problem, flat, batch_size=batch_size if batch_size > 1 else None)
    return {name: value.reshape(*batch, *value.shape[1:]) for name, value in found.items()}
