"""Semi-supervised EM: maximum likelihood from labelled and unlabelled points.

EM's step is theta <- (sum_l y x + sum_u x tanh<x, theta>) / (n_l + n_u). It converges at the rate
of the share of missing information, slowly at small s. A scoring step, EM's times the inverse of
the information, has the same fixed points and costs as much: the information follows from the
second moment of the points. With Anderson's extrapolation of the last two steps, a handful is
enough. Such a step is kept only where it does not lower the likelihood, else EM's own step is
taken, which never does.

Source: Dempster, Laird, Rubin (1977) for EM; the information is that of
docs/derivations/mixture_information.md, statement 4.
"""

import warnings
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from theorylab import linalg
from theorylab.checks import flag, number
from theorylab.deprecation import old_arguments
from theorylab.mixtures.checks import floats, labelled, steps, unlabelled
from theorylab.precision import is_traced

FACTORS = 20  # of a product that is less than 2^20
_Z = np.linspace(-7, 7, 57)  # a step size needs few digits
_P = np.exp(-(_Z**2) / 2) / np.exp(-(_Z**2) / 2).sum()


class Likelihood(NamedTuple):
    """Stationary points of k likelihoods, and how they were reached."""

    theta: Float[Array, "k d"]
    steps: Array  # (k,)
    error: Float[Array, " k"]  # estimated distance of theta from the fixed point


class Problems(NamedTuple):
    """k problems that share the noise of their unlabelled points.

    Problem j has the first n_u[j] points of the blocks, shifted by shift[j] e_1, and n_l[j]
    labelled points.
    """

    n_u: Any  # (k,)
    shift: Any  # (k,)
    labelled_sum: Float[Array, "k d"]  # of y x
    n_l: Any  # (k,)
    moment: Float[Array, "k d d"]  # mean of x x^T over the unlabelled points


@old_arguments(iterations="max_steps", tolerance="tol")
def ssl_em(
    X_l: Float[Array, "n_l d"],
    y_l: Float[Array, " n_l"],
    X_u: Float[Array, "n_u d"],
    theta0: Float[Array, " d"],
    *,
    max_steps: int = 200,
    tol: float = 1e-5,
    scoring: bool = True,
) -> Float[Array, " d"]:
    """Estimate theta* by semi-supervised EM from labelled and unlabelled points.

    Asymptotically efficient: excess risk A / (n_l + q(s) n_u), see `predicted_excess`. In the model
    it is the best of the learners here; on real data start from `fit_mixture` and `select_weight`.
    Where the steps run out before the tolerance is met, a RuntimeWarning says so (not under `jit`).

    Args:
        X_l: (n_l, d) labelled samples.
        y_l: (n_l,) labels -1 or +1.
        X_u: (n_u, d) unlabelled samples.
        theta0: (d,) start, which should be SSL-W: from zero or a wrong sign it may stay there.
        max_steps: steps at most.
        tol: estimated distance from the fixed point at which to stop.
        scoring: False takes EM's steps alone.

    Returns:
        (d,) estimate.

    Raises:
        InputError: shapes that do not fit, other labels, values out of range.

    Examples:
        >>> from theorylab.mixtures import sample_2gmm, sl_estimator, ssl_weighted, ul_plus
        >>> star = jnp.array([1.5, 0.0, 0.0])
        >>> X, y = sample_2gmm(jax.random.key(0), star, 2000)
        >>> start = ssl_weighted(sl_estimator(X[:20], y[:20]), ul_plus(X[:20], y[:20], X[20:]), 0.1)
        >>> theta = ssl_em(X[:20], y[:20], X[20:], start)
        >>> bool(jnp.linalg.norm(theta - star) < 0.1)
        True
    """
    X_l, y_l = labelled(X_l, y_l)
    X_u = unlabelled(X_u, X_l.shape[1])
    theta0 = floats("theta0", theta0, shape=X_l.shape[1:])
    max_steps = steps("max_steps", max_steps)
    number("tol", tol, 0.0, open_low=True)
    flag("scoring", scoring)
    columns = jnp.concatenate([X_u, jnp.ones((len(X_u), 1), X_u.dtype)], axis=1).T
    points = jnp.pad(columns, ((0, 0), (0, -len(X_u) % FACTORS)))[None]
    problem = Problems(
        n_u=jnp.asarray([len(X_u)]),
        shift=jnp.zeros(1, X_u.dtype),
        labelled_sum=(y_l @ X_l).astype(X_u.dtype)[None],
        n_l=jnp.asarray([len(X_l)]),
        moment=(X_u.T @ X_u / len(X_u))[None],
    )
    found = maximise(
        points,
        problem,
        theta0.astype(X_u.dtype)[None],
        max_steps=max_steps,
        tol=tol,
        scoring=scoring,
    )
    if not is_traced(found.error) and not found.error[0] <= tol:
        warnings.warn(
            f"EM has not converged in {int(found.steps[0])} steps (about "
            f"{float(found.error[0]):.2g} from the fixed point, tol {tol:g}); raise "
            "max_steps, or tol",
            RuntimeWarning,
            stacklevel=3,
        )
    return found.theta[0]


def maximise(
    points: Float[Array, "b d+1 n"],
    problems: Problems,
    theta0: Float[Array, "k d"],
    *,
    max_steps: int,
    tol: float,
    scoring: bool = True,
    blocks: Any = None,
) -> Likelihood:
    """EM for k problems at once that share their noise: each step is two matrix products.

    The last row of `points` is 1: with it, the shift is a part of the product. n must be a multiple
    of `FACTORS`. blocks: how many blocks hold points that count, may be traced (all by default).
    """
    n_u, shift, labelled_sum, n_l, moment = problems
    n, dtype = points.shape[2], points.dtype
    blocks = len(points) if blocks is None else blocks
    total = jnp.asarray(n_l + n_u, dtype)
    # A likelihood per point that fell by less than this did so by rounding.
    slack = 32 * jnp.finfo(dtype).eps
    rounding = 2 * jnp.finfo(dtype).eps  # of EM's step

    def evaluate(theta: Array) -> tuple[Array, Array]:
        """The log likelihoods per point without their constant part, and EM's steps."""
        lifted = jnp.concatenate([theta, shift[:, None] * theta[:, :1]], axis=1)

        def add(b: Any, sums: tuple[Array, Array]) -> tuple[Array, Array]:
            u = lifted @ points[b]
            counted = b * n + jnp.arange(n) < n_u[:, None]
            size = jnp.abs(u)
            small = jnp.exp(-2 * size)  # tanh and log cosh from one exponential
            pull = jnp.where(counted, jnp.copysign((1 - small) / (1 + small), u), 0)
            # One logarithm of a product of factors in [1, 2] is cheaper than as many logarithms.
            products = jnp.prod(
                jnp.where(counted, 1 + small, 1).reshape(len(theta), FACTORS, -1), axis=1
            )
            gain = jnp.sum(jnp.where(counted, size - np.log(2), 0), axis=1) + jnp.sum(
                jnp.log(products), axis=1
            )
            return sums[0] + pull @ points[b].T, sums[1] + gain

        pulled, gain = jax.lax.fori_loop(
            0, blocks, add, (jnp.zeros_like(lifted), jnp.zeros_like(theta[:, 0]))
        )
        mean = (labelled_sum + pulled[:, :-1]).at[:, 0].add(shift * pulled[:, -1]) / total[:, None]
        height = (jnp.sum(labelled_sum * theta, axis=1) + gain) / total - jnp.sum(
            theta**2, axis=1
        ) / 2
        return height, mean

    information = _information(theta0, moment, n_l, n_u) if scoring else None

    def going(at: _State) -> Array:
        return (at.error > tol) & (at.count < max_steps)

    def body(at: _State) -> _State:
        height, safe = evaluate(at.theta)
        failed = at.bold & (height < at.height - slack * (1 + jnp.abs(at.height)))
        step = safe - at.theta
        if information is not None:
            step = information.solve(total[:, None] * step, at.trusted)
        # The error of steps that shrink by a factor r is step r / (1 - r).
        length, before = jnp.linalg.norm(step, axis=1), jnp.linalg.norm(at.step, axis=1)
        shrunk = jnp.minimum(length / before, 1 - tol)
        error = jnp.where(at.fresh, length, length * shrunk / (1 - shrunk))
        error = jnp.where(jnp.linalg.norm(safe - at.theta, axis=1) <= rounding, 0, error)
        ahead = at.theta + step
        if scoring:  # Anderson's extrapolation of the last two steps
            change = step - at.step
            share = jnp.sum(change * step, axis=1) / jnp.maximum(
                jnp.sum(change**2, axis=1), jnp.finfo(dtype).tiny
            )
            share = jnp.where(at.fresh, 0, share)[:, None]
            ahead = ahead - share * (at.theta - at.last + change)
        yes = jnp.ones_like(failed)
        kept = _State(
            ahead,
            height,
            at.theta,
            step,
            safe,
            yes & scoring,
            ~yes,
            at.trusted,
            error,
            at.count + 1,
        )
        again = at._replace(
            theta=at.safe,
            bold=~yes,
            fresh=yes,
            trusted=~yes,
            error=jnp.full_like(error, jnp.inf),
            count=at.count + 1,
        )
        return _choose(going(at), _choose(failed, again, kept), at)

    no = jnp.zeros(len(theta0), bool)
    low = jnp.full(len(theta0), -jnp.inf, dtype)
    start = _State(
        theta0,
        low,
        theta0,
        jnp.zeros_like(theta0),
        theta0,
        no,
        ~no,
        ~no,
        -low,
        jnp.zeros(len(theta0), int),
    )
    end = jax.lax.while_loop(lambda at: jnp.any(going(at)), body, start)
    return Likelihood(
        jnp.where((end.error <= tol)[:, None], end.theta, end.safe), end.count, end.error
    )


class _State(NamedTuple):
    theta: Array  # to be judged next
    height: Array  # the likelihood at the last point kept,
    last: Array  # that point,
    step: Array  # the step that was found there,
    safe: Array  # and EM's step from there
    bold: Array  # whether theta is not that
    fresh: Array  # whether `last` and `step` say nothing of what comes
    trusted: Array  # whether no step has failed yet
    error: Array
    count: Array  # type: ignore[assignment]


def _choose(which: Array, a: Any, b: Any) -> Any:
    """A where `which` (k,), else b, leaf by leaf."""
    return jax.tree.map(lambda x, y: jnp.where(which.reshape(-1, *[1] * (x.ndim - 1)), x, y), a, b)


class _Information(NamedTuple):
    """What stands for the information at a point, see `_information`."""

    factor: Array  # (k, d, d) Cholesky factor
    sound: Array  # (k,) whether it exists and is well away from singular
    unit: Array  # (k, d)
    across: Array  # eigenvalues of Fisher's information, (k,)
    along: Array

    def solve(self, gradient: Array, trusted: Array) -> Array:
        """The inverse information times the gradients (k, d).

        Fisher's where it is not sound or not `trusted` (k,).
        """
        exact = linalg.cho_solve(self.factor, gradient[..., None])[..., 0]
        part = jnp.sum(gradient * self.unit, axis=1, keepdims=True) * self.unit
        mean = (gradient - part) / self.across[:, None] + part / self.along[:, None]
        return jnp.where((self.sound & trusted)[:, None], exact, mean)


def _information(theta: Array, moment: Array, n_l: Any, n_u: Any) -> _Information:
    """Nearly the observed information at theta, of points of these second moments.

    The Hessian of minus the log likelihood is (n_l + n_u) I - sum_u sech^2<x, theta> x x^T. The
    mean of that sum is known, and so is the mean of x x^T, of which the sample has `moment`: the
    map that takes the one mean to the other is applied to the sample's moment. Where the difference
    is not positive definite, the mean is taken (Fisher's).
    """
    dtype, eye = theta.dtype, jnp.eye(theta.shape[1], dtype=theta.dtype)
    s2 = jnp.sum(theta**2, axis=1)
    length = jnp.where(s2 > 0, jnp.sqrt(s2), 1)
    x = s2[:, None] + jnp.sqrt(s2)[:, None] * jnp.asarray(_Z, dtype)
    sech2, p = 1 - jnp.tanh(x) ** 2, jnp.asarray(_P, dtype)
    # eigenvalues of the mean of sech^2 x x^T
    across, along = sech2 @ p, (sech2 * (x / length[:, None]) ** 2) @ p
    unit = theta / length[:, None]
    # T moment T, where T = a (I - u u^T) + b u u^T squared takes I + theta theta^T to that mean.
    a, b = jnp.sqrt(across), jnp.sqrt(along / (1 + s2))
    pulled = jnp.einsum("kij,kj->ki", moment, unit)
    corner = jnp.sum(pulled * unit, axis=1)
    side = (a * (b - a))[:, None] * pulled + ((b - a) ** 2 * corner / 2)[:, None] * unit
    cross = side[:, :, None] * unit[:, None]
    seen = across[:, None, None] * moment + cross + jnp.swapaxes(cross, 1, 2)
    total = jnp.asarray(n_l + n_u, dtype)
    factor = linalg.cholesky(total[:, None, None] * eye - n_u[:, None, None] * seen)
    # A start near zero has no information: EM's step, of information n_l + n_u, is not exceeded a
    # thousandfold.
    floor = 1e-3 * total
    # False for NaN
    sound = jnp.min(jnp.diagonal(factor, axis1=1, axis2=2), axis=1) > jnp.sqrt(floor)
    across, along = (jnp.maximum(total - n_u * share, floor) for share in (across, along))
    return _Information(factor, sound, unit, across, along)
