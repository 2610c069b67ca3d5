"""The equation z = Z(ω), ω in C+, behind every law of this package with one matrix of noise.

    additive          Z(ω) = ω + Σ c_k / (ω - t_k)            deformed Wigner
                      ω = z + s² m,   c_k = s² w_k
    multiplicative    Z(ω) = ω (1 + Σ b_k / (ω - t_k))        Silverstein
                      ω = -1/m̃,   b_k = γ w_k t_k,   c_k = b_k t_k

In both, Im Z = Im ω (1 - Σ c_k/|ω - t_k|²) and Z' = 1 - Σ c_k/(ω - t_k)². So Z maps D = {Im ω > 0,
Im Z > 0} one to one onto C+ and Re Z' > 0 there. Hence Newton's method started in D and damped to
stay there cannot get lost: its flow is the preimage of the straight line from Z(ω_0) to z, which
lies in C+. On the real axis it finds the limit from above, quadratically but for an edge, where Z'
= 0.

Source: Silverstein & Choi 1995; Biane 1997.
"""

from collections.abc import Callable
from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Complex, Float, Int

from theorylab.pytrees import register

_EPS = float(np.finfo(np.float64).eps)
_MAX_STEPS = 300
_SWEEPS = 200


@register()
@dataclass(frozen=True)
class PasturSolution:
    """Solution ω of Z(ω) = z, with diagnostics.

    Attributes:
        omega: of z's shape.
        residual: |Z(ω) - z|.
        converged: where the residual is rounding.
        steps: of the slowest point.
    """

    omega: Complex[Array, "..."]
    residual: Float[Array, "..."]
    converged: Bool[Array, "..."]
    steps: Int[Array, ""]


@register("multiplicative")
@dataclass(frozen=True)
class PasturMap:
    """The map Z of one law.

    It has `atoms` t (r,), `strengths` c >= 0 (r,) and, if multiplicative, `linear` b (r,) with c =
    b t.
    """

    atoms: Float[Array, "r"]
    linear: Float[Array, "r"]
    strengths: Float[Array, "r"]
    multiplicative: bool

    def __call__(self, omega: Complex[Array, "..."]) -> Complex[Array, "..."]:
        """The map Z(ω)."""
        inverse = 1 / (omega[..., None] - self.atoms)
        if self.multiplicative:
            return omega * (1 + inverse @ self.linear.astype(inverse.dtype))
        return omega + inverse @ self.strengths.astype(inverse.dtype)

    def derivative(self, omega: Complex[Array, "..."]) -> Complex[Array, "..."]:
        """The derivative Z'(ω)."""
        inverse = 1 / (omega[..., None] - self.atoms)
        return 1 - inverse**2 @ self.strengths.astype(inverse.dtype)

    def crowding(self, omega: Complex[Array, "..."]) -> Float[Array, "..."]:
        """The sum Σ c/|ω - t|²: below 1 in D, 1 on the bulk."""
        return jnp.sum(self.strengths / jnp.abs(omega[..., None] - self.atoms) ** 2, axis=-1)

    def solve_parts(
        self, x: Float[Array, "..."], y: Float[Array, "..."]
    ) -> tuple[Array, Array, PasturSolution]:
        """Real and imaginary part of ω and the diagnostics at z = x + iy, y >= 0.

        On the real axis it is the limit from above.

        Differentiable once, in z and in the map, in real arithmetic throughout (so that reverse
        mode also runs where the caller has 64-bit types off).
        """
        fixed, zx, zy = jax.lax.stop_gradient((self, x, y))
        found = _newton(fixed, zx, zy)
        wx, wy = jnp.real(found.omega), jnp.imag(found.omega)
        # One more Newton step as a function of the inputs: no change of value, the derivative of
        # the implicit function.
        re, im, sx, sy = _evaluate(self, wx, wy, _by_sum)
        fx, fy, sx, sy = re - x, im - y, jax.lax.stop_gradient(sx), jax.lax.stop_gradient(sy)
        size = sx * sx + sy * sy
        size = jnp.where(size > 0, size, 1.0)
        dx, dy = (fx * sx + fy * sy) / size, (fy * sx - fx * sy) / size
        return wx - (dx - jax.lax.stop_gradient(dx)), wy - (dy - jax.lax.stop_gradient(dy)), found

    def solve(self, z: Complex[Array, "..."]) -> PasturSolution:
        """As `solve_parts`, for complex z."""
        wx, wy, found = self.solve_parts(jnp.real(z), jnp.imag(z))
        return PasturSolution(jax.lax.complex(wx, wy), found.residual, found.converged, found.steps)


def _by_product(terms: Array, columns: tuple[Array, ...]) -> Array:
    """Weighted sums over the atoms as one matrix product: the fast way."""
    return jnp.moveaxis(jnp.matmul(terms, jnp.stack(columns, axis=1), precision="highest"), -1, 0)


def _by_sum(terms: Array, columns: tuple[Array, ...]) -> list[Array]:
    """The same, with a transpose that keeps float64 where the caller has 64-bit types off.

    That of a product does not.
    """
    return [jnp.sum(terms * column, axis=-1) for column in columns]


def _evaluate(
    zmap: PasturMap, x: Array, y: Array, sums: Callable = _by_product
) -> tuple[Array, Array, Array, Array]:
    """Re Z, Im Z, Re Z', Im Z' at x + iy: one real division per atom."""
    t, b, c = zmap.atoms, zmap.linear, zmap.strengths
    y2 = y * y
    inverse = 1 / ((x[..., None] - t) ** 2 + y2[..., None])
    # |ω-t|² = d² + y² turns every sum into sums of 1/|ω-t|² and 1/|ω-t|⁴ with weights c, ct, b (and
    # bt = c).
    c1, ct1, b1 = sums(inverse, (c, c * t, b))
    c2, ct2 = sums(inverse**2, (c, c * t))
    imag = y * (1 - c1)
    real = x * (1 + x * b1 - c1) + y2 * b1 if zmap.multiplicative else x + x * c1 - ct1
    return real, imag, 1 - c1 + 2 * y2 * c2, 2 * y * (x * c2 - ct2)


def _newton(zmap: PasturMap, zx: Array, zy: Array) -> PasturSolution:
    total = jnp.sum(zmap.strengths)
    if zmap.multiplicative:
        spread = jnp.sqrt(
            jnp.sum(
                jnp.where(
                    zmap.atoms > 0, zmap.linear / jnp.where(zmap.atoms > 0, zmap.atoms, 1.0), 0.0
                )
            )
        )
    else:
        spread = jnp.sqrt(total)

    def noise(x: Array, y: Array) -> Array:
        # Cauchy-Schwarz bounds the terms of Z by `spread` in D; a few units of rounding of the
        # largest term.
        size = jnp.hypot(x, y)
        return (
            8
            * _EPS
            * (jnp.hypot(zx, zy) + (size * (1 + spread) if zmap.multiplicative else size + spread))
        )

    def proceed(state: tuple) -> Array:
        return jnp.any(state[-2]) & (state[-1] < _MAX_STEPS)

    def advance(state: tuple) -> tuple:
        x, y, fx, fy, sx, sy, damping, active, count = state
        scale = sx * sx + sy * sy
        scale = jnp.where(scale > 0, scale, 1.0)
        dx, dy = (fx * sx + fy * sy) / scale, (fy * sx - fx * sy) / scale
        nx, ny = x - damping * dx, jnp.abs(y - damping * dy)
        re, im, tx, ty = _evaluate(zmap, nx, ny)
        gx, gy = re - zx, im - zy
        old, new = jnp.hypot(fx, fy), jnp.hypot(gx, gy)
        # A step may overshoot the boundary of D a little, for there the function goes on; from
        # beyond it must come back.
        inside = (im >= -0.02 * jnp.minimum(old, ny)) | (im > fy + zy)
        accept = active & (new <= (1 - damping / 4) * old) & inside & (tx > 0)
        x, y, fx, fy, sx, sy = (
            jnp.where(accept, a, b)
            for a, b in zip((nx, ny, gx, gy, tx, ty), (x, y, fx, fy, sx, sy), strict=True)
        )
        damping = jnp.where(accept, jnp.minimum(1.0, 4 * damping), damping / 2)
        now, floor = jnp.hypot(fx, fy), noise(x, y)
        fast = accept & (new < old / 4)
        active = active & (now > floor / 16) & (damping > 1e-12) & (fast | (now > floor))
        return x, y, fx, fy, sx, sy, damping, active, count + 1

    def descend(x: Array, y: Array) -> tuple[Array, ...]:
        re, im, sx, sy = _evaluate(zmap, x, y)
        state = (
            x,
            y,
            re - zx,
            im - zy,
            sx,
            sy,
            jnp.ones_like(x),
            jnp.ones(x.shape, bool),
            jnp.zeros((), jnp.int32),
        )
        x, y, fx, fy, *_, count = jax.lax.while_loop(proceed, advance, state)
        residual = jnp.hypot(fx, fy)
        crowded = zmap.crowding(jax.lax.complex(x, y)) > 1 + 1e-6
        return x, y, residual, (residual <= 8 * noise(x, y)) & ~crowded, count

    def sweep(state: tuple) -> tuple:
        # ω <- z - (Z(ω) - ω) maps C+ into itself and contracts, slowly near the axis: half steps,
        # as a new start.
        x, y, needed, count = state
        re, im, *_ = _evaluate(zmap, x, y)
        nx, ny = x + (zx - re) / 2, y + (zy - im) / 2
        return jnp.where(needed, nx, x), jnp.where(needed, jnp.abs(ny), y), needed, count + 1

    start = (zx, zy + jnp.sqrt(total) * jnp.ones_like(zy))
    x, y, residual, converged, count = descend(*start)
    swept = jax.lax.while_loop(
        lambda s: jnp.any(s[2]) & (s[3] < _SWEEPS), sweep, (*start, ~converged, 0 * count)
    )
    # Points that are done go in at their solution and end at once.
    x, y, residual, converged, more = descend(
        jnp.where(converged, x, swept[0]), jnp.where(converged, y, swept[1])
    )
    return PasturSolution(jax.lax.complex(x, y), residual, converged, count + swept[3] + more)


def bulk_edges(zmap: PasturMap) -> np.ndarray:
    """Ends (bulks, 2) of the support: Z at the real critical points that bound D.

    NumPy, not for use under jit.

    Source: Silverstein & Choi 1995. Between two neighbouring atoms Σ c/(ω - t)² is convex: the bulk
    splits there when its minimum falls below 1.
    """
    t, c = np.asarray(zmap.atoms), np.asarray(zmap.strengths)
    order = np.argsort(t)
    t, c = t[order][c[order] > 0], c[order][c[order] > 0]
    if t.size == 0:
        return np.zeros((0, 2))
    t, groups = np.unique(t, return_inverse=True)
    c = np.bincount(groups, c)

    def crowding(w: np.ndarray, power: int = 2) -> np.ndarray:
        return np.array([np.sum(c / (v - t) ** power) for v in w])

    def bisect(function, low: np.ndarray, high: np.ndarray) -> np.ndarray:  # type: ignore[no-untyped-def]
        """Root of an increasing function on every interval (low, high)."""
        for _ in range(100):
            middle = (low + high) / 2
            up = function(middle) > 0
            low, high = np.where(up, low, middle), np.where(up, middle, high)
        return (low + high) / 2

    reach = np.sqrt(c.sum())
    ends = [bisect(lambda w: crowding(w) - 1, t[:1] - 2 * reach, t[:1])]
    # Two atoms alone put the minimum at (a^(1/3) + b^(1/3))³/gap² or more: most gaps need no
    # search.
    split = (np.cbrt(c[:-1]) + np.cbrt(c[1:])) ** 3 < np.diff(t) ** 2
    low, high = t[:-1][split], t[1:][split]
    if low.size:
        lowest = bisect(lambda w: -crowding(w, 3), low, high)
        real_gap = crowding(lowest) < 1
        low, lowest, high = low[real_gap], lowest[real_gap], high[real_gap]
        left = bisect(lambda w: 1 - crowding(w), low, lowest)
        right = bisect(lambda w: crowding(w) - 1, lowest, high)
        ends += [np.stack([left, right], axis=1).ravel()]
    ends += [bisect(lambda w: 1 - crowding(w), t[-1:], t[-1:] + 2 * reach)]
    points = np.concatenate(ends)
    return np.real(np.asarray(zmap(jnp.asarray(points + 0j)))).reshape(-1, 2)
