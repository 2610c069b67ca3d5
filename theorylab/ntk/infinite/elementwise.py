"""Any elementwise function, by its Hermite series at the variance at hand."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from theorylab.errors import InputError
from theorylab.ntk.infinite.activations import Activation
from theorylab.ntk.infinite.layer import Layer, layer

# Gauss-Legendre panels between -13 and 13, where the normal density has fallen to 1e-37. Unlike Gauss-Hermite nodes
# they stay accurate for many coefficients, for large variances, and for kinks at 0 (a panel boundary).
PANELS = 26
REACH = 13.0
NODES_PER_PANEL = 16


@layer("fn", "degree")
class Elementwise(Activation):
    """See `elementwise`. T = Σ_k a_k(s11) a_k(s22) c^k with a_k(s) = E φ(√s z) h_k(z), h_k normalised Hermite."""

    fn: Callable[[Array], Array]
    degree: int

    def function(self, x: Float[Array, "..."]) -> Float[Array, "..."]:
        return self.fn(x)

    def dual(self, s11: Array, s22: Array, s12: Array) -> tuple[Array, Array]:
        scale = _root(s11) * _root(s22)
        inside = scale > 0
        safe = jnp.where(inside, scale, 1.0)
        correlation = jnp.where(inside, s12 / safe, 0.0)
        terms = (self._coefficients(s11), self._coefficients(s22))
        moment = slope = jnp.zeros_like(s12)
        for k in reversed(range(self.degree)):  # Horner, for the polynomial in c and its derivative together
            slope = slope * correlation + moment
            moment = moment * correlation + terms[0][k] * terms[1][k]
        return moment, jnp.where(inside, slope / safe, 0.0)

    def dual_equal(self, s: Array) -> tuple[Array, Array]:
        def integrand(z: Array, weight: Array) -> tuple[Array, Array]:
            value, derivative = jax.jvp(self.fn, (z * _root(s)[..., None],), (jnp.ones((*s.shape, z.size), s.dtype),))
            return value**2 @ weight, derivative**2 @ weight

        return _integrate(integrand, s)

    def _coefficients(self, s: Array) -> Array:
        """a_0(s) ... a_{degree-1}(s), on a new leading axis."""

        def integrand(z: Array, weight: Array) -> Array:
            h = [jnp.ones_like(z), z]
            for k in range(1, self.degree - 1):
                h.append((z * h[-1] - k**0.5 * h[-2]) / (k + 1) ** 0.5)
            return jnp.tensordot(jnp.stack(h[: self.degree]) * weight, self.fn(z * _root(s)[..., None]), (1, -1))

        return _integrate(integrand, s)


def _root(s: Array) -> Array:
    positive = s > 0
    return jnp.where(positive, jnp.sqrt(jnp.where(positive, s, 1.0)), 0.0)


def _integrate(integrand: Callable[[Array, Array], Any], like: Array) -> Any:
    """Sum of integrand(nodes, weights) over panels, weights including the normal density."""
    nodes, weights = np.polynomial.legendre.leggauss(NODES_PER_PANEL)
    edges = np.linspace(-REACH, REACH, PANELS + 1)
    z = (edges[:-1, None] + edges[1:, None] + np.diff(edges)[:, None] * nodes) / 2
    w = np.diff(edges)[:, None] / 2 * weights * np.exp(-(z**2) / 2) / np.sqrt(2 * np.pi)
    panels = jnp.asarray(z, like.dtype), jnp.asarray(w, like.dtype)

    def step(total: Any, panel: tuple[Array, Array]) -> tuple[Any, None]:
        return jax.tree.map(jnp.add, total, integrand(*panel)), None

    zero = jax.tree.map(jnp.zeros_like, jax.eval_shape(integrand, panels[0][0], panels[1][0]))
    return jax.lax.scan(step, zero, panels)[0]


def elementwise(fn: Callable[[Array], Array], *, degree: int = 64) -> Layer:
    """φ(x) = fn(x) for any weakly differentiable function of one variable that JAX can trace (tanh, softplus, elu ...).

    degree: terms of the Hermite series (2 or more).
    """
    if not callable(fn):
        raise InputError(f"fn={fn!r}: needs a function of one array, such as jnp.tanh")
    if not isinstance(degree, int) or degree < 2:
        raise InputError(f"degree={degree!r}: the number of Hermite terms must be an integer of at least 2")
    return Elementwise(fn, degree)
