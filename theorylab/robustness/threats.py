"""Sets of perturbations: balls in l-infinity, l2 and l1, and a union of segments.

A bound asks a set one thing, the smallest value of a linear function over it; an attack asks for
its projection. `B_{eps,k}` is the union of the segments {b s_j : |b| <= eps} along k orthonormal
directions, not their convex hull: a linear function is smallest at the same value on both, so
bounds see the hull, and an exact attack searches the k lines.
Source: De Bartolomeis et al. 2023, section 4 and appendix A.2 (segments).
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike
from jaxtyping import Array, Float

from theorylab import checks
from theorylab.errors import InputError
from theorylab.precision import is_traced
from theorylab.pytrees import register
from theorylab.robustness.packing import summed

Norm = Literal["linf", "l2"]
ORTHONORMAL = 1e-4  # how far directions may be from orthonormal


@register("p", "clip")
@dataclass(frozen=True)
class LpBall:
    """All x + delta with ||delta||_p <= eps over all entries of a sample, cut by a box if asked.

    The functions that take it refuse a negative eps and another p; the ball itself does not.

    Args:
        eps: radius, in the units of x; a number, or a traced one during training.
        p: 1, 2 or infinity (`math.inf`).
        clip: smallest and largest value that an entry of x + delta may take, or None. Bounds then
            hold for the ball cut by the box.

    Examples:
        >>> ball = LpBall(0.5, p=2)
        >>> ball.lowest(jnp.array([[3.0, 4.0]]), jnp.array([1.0, 0.0])).tolist()  # 3 - 0.5 * 5
        [0.5]
    """

    eps: Any
    p: float = math.inf
    clip: tuple[float, float] | None = None

    def lowest(self, rows: Float[Array, "r *s"], x: Float[Array, "*s"]) -> Float[Array, " r"]:
        """The smallest value of each row's linear function over the set around x.

        With a clip and p other than infinity, the larger one of the minima over the ball and over
        the box around it: a lower bound.
        """
        if self.adds_up:
            return self.lowest_sum(rows, x, summed)
        flat, at = rows.reshape(len(rows), -1), x.ravel()
        ball = flat @ at - self.eps * dual_norm(flat, self.p)
        if self.clip is None:
            return ball
        low, high = self.box(at)
        box = flat @ ((low + high) / 2) - jnp.abs(flat) @ ((high - low) / 2)
        return jnp.maximum(ball, box)

    @property
    def norm(self) -> Norm:
        """The name of the norm, for attacks, which know these two."""
        return "linf" if self.p == math.inf else "l2"

    @property
    def adds_up(self) -> bool:
        """Whether the smallest value of a linear function comes from sums over its entries."""
        return self.p != 1

    def lowest_sum(
        self,
        rows: Float[Array, "c *s"],
        x: Float[Array, "*s"],
        total: Callable[[Array], Array],
    ) -> Float[Array, " r"]:
        """`lowest` by sums.

        `total` gives the sum of each row, or of each function's part of a row that several
        functions share.
        """
        if self.p == math.inf and self.clip is None:
            return total(rows * x - self.eps * jnp.abs(rows))
        box = None
        if self.clip is not None:
            low, high = self.box(x)
            box = total(rows * ((low + high) / 2) - jnp.abs(rows) * ((high - low) / 2))
            if self.p == math.inf:
                return box
        ball = total(rows * x) - self.eps * _root(total(jnp.square(rows)))
        return ball if box is None else jnp.maximum(ball, box)

    def box(self, x: Array) -> tuple[Array, Array]:
        """The smallest box that holds the set around x: its lower and upper corner."""
        if self.clip is None:
            return x - self.eps, x + self.eps
        low, high = self.clip
        # x is in the set, whether or not it is inside the box
        return (
            jnp.minimum(jnp.maximum(x - self.eps, low), x),
            jnp.maximum(jnp.minimum(x + self.eps, high), x),
        )


@register()
@dataclass(frozen=True)
class LineUnion:
    """All x + b s_j with |b| <= eps and j <= k: a union of k segments through x, B_{eps,k}.

    Attributes:
        eps: largest length, in the units of x.
        directions: (k, *shape of a sample) orthonormal directions; the first k rows of one basis
            give nested sets.
    """

    eps: Any
    directions: Float[ArrayLike, "k ..."]

    @property
    def adds_up(self) -> bool:
        """Whether the smallest value of a linear function comes from sums over its entries."""
        return False

    def lowest(self, rows: Float[Array, "r *s"], x: Float[Array, "*s"]) -> Float[Array, " r"]:
        """The smallest value of each row's linear function over the set around x."""
        flat = rows.reshape(len(rows), -1)
        along = jnp.asarray(self.directions, flat.dtype).reshape(len(self.directions), -1)  # type: ignore[arg-type]
        return flat @ x.ravel() - self.eps * jnp.abs(flat @ along.T).max(1)

    def box(self, x: Array) -> tuple[Array, Array]:
        """The smallest box that holds the set around x: its lower and upper corner."""
        reach = jnp.abs(jnp.asarray(self.directions, x.dtype)).max(0).reshape(x.shape)
        return x - self.eps * reach, x + self.eps * reach


Threat = LpBall | LineUnion


def dual_norm(rows: Float[Array, "r d"], p: float) -> Float[Array, " r"]:
    """The norm dual to l_p of each row: the largest value of its linear function on the unit ball.

    Its gradient at a row of zeros is zero.
    """
    if p == math.inf:
        return jnp.abs(rows).sum(1)
    if p == 1:
        return jnp.abs(rows).max(1)
    return _root(jnp.square(rows).sum(1))


def _root(square: Array) -> Array:
    """The square root, its gradient at 0 zero."""
    some = square > 0
    return jnp.where(some, jnp.sqrt(jnp.where(some, square, 1.0)), 0.0)


def checked_threat(threat: Any, shape: tuple[int, ...]) -> Threat:
    """The set of perturbations of samples of this shape, or an `InputError`."""
    need = "a set of perturbations, LpBall(eps, p) or LineUnion(eps, directions),"
    checks.instance("threat", threat, (LpBall, LineUnion), need)
    checks.number("threat.eps", threat.eps, 0)
    if isinstance(threat, LineUnion):
        return _checked_lines(threat, shape)
    if not isinstance(threat.p, (int, float)) or threat.p not in (1, 2, math.inf):
        raise InputError(f"threat.p = {checks.shown(threat.p)}; 1, 2 or math.inf is needed")
    if threat.clip is not None:
        low, high = checks.finite("threat.clip", np.asarray(threat.clip), shape=(2,))
        if not low < high:
            raise InputError(
                f"threat.clip = ({low:g}, {high:g}) is crossed; the smallest value below the "
                f"largest is needed"
            )
    return threat


def _checked_lines(threat: LineUnion, shape: tuple[int, ...]) -> LineUnion:
    directions = checks.finite("threat.directions", threat.directions)
    if np.ndim(directions) < 2 or np.shape(directions)[1:] != shape:
        raise InputError(
            f"threat.directions: shape {np.shape(directions)} given, (k, "
            f"{', '.join(map(str, shape))}) is needed for samples x (signals) of shape {shape}"
        )
    if not is_traced(directions):
        flat = np.asarray(directions, np.float64).reshape(len(directions), -1)
        error = float(np.abs(flat @ flat.T - np.eye(len(flat))).max())
        if error > ORTHONORMAL:
            raise InputError(
                f"threat.directions: not orthonormal (S S^T is off by {error:.2g}); orthonormalise "
                f"them: np.linalg.qr(directions.T)[0].T"
            )
    return threat


def alignment(threat: Threat, signals: Float[ArrayLike, "n ..."]) -> Float[np.ndarray, " n"]:
    """Largest cosine between a perturbation of the set and each sample's signal direction.

    It is 1 for an l2 ball; for segments it is max_j |<signal, s_j>|; the mean over the samples is
    the paper's alignment.

    Args:
        threat: an l2 ball or a union of segments.
        signals: (n, ...) directions of the shortest way to the robust Bayes boundary; not zero.

    Returns:
        (n,) cosines.

    Raises:
        InputError: another ball, shapes that do not fit, or a signal of zeros.

    Source:
        De Bartolomeis et al. 2023, section 4.
    """
    signals = np.asarray(checks.finite("signals", signals), np.float64)
    if signals.ndim < 2:
        raise InputError(f"signals has shape {signals.shape}; (n, ...) is needed")
    checked_threat(threat, signals.shape[1:])
    flat = signals.reshape(len(signals), -1)
    length = np.linalg.norm(flat, axis=1)
    if not (length > 0).all():
        raise InputError("signals holds a row of zeros; each one needs a direction")
    if isinstance(threat, LpBall):
        if threat.p != 2:
            raise InputError(f"threat.p = {threat.p}; an l2 ball or a LineUnion is needed")
        return np.ones(len(flat))
    along = np.asarray(threat.directions, np.float64).reshape(len(threat.directions), -1)  # type: ignore[arg-type]
    return np.abs(flat @ along.T).max(1) / length
