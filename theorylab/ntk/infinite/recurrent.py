"""Weights shared over time: `recurrent`; and tokens as inputs: `one_hot`.

The states of a recurrent network at two times are correlated through the weights that they share,
so that all pairs of times are followed, step by step.

Source: Yang 2019 ("Tensor programs I"); Alemohammad et al. 2021 ("The recurrent neural tangent
kernel", arXiv 2006.10246).
"""

from dataclasses import replace
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, PRNGKeyArray

from theorylab import checks
from theorylab.errors import InputError
from theorylab.ntk.infinite.activations import Activation, erf
from theorylab.ntk.infinite.layer import Layer, Shape, check_drawing, layer
from theorylab.ntk.infinite.state import State


@layer("width")
class Recurrent(Layer):
    """The layer that `recurrent` makes."""

    width: int
    activation: Activation
    sigma_w: Any
    sigma_u: Any
    sigma_b: Any

    def init(self, key: PRNGKeyArray, input_shape: Shape) -> dict[str, Array]:
        """Weights and biases, standard normal."""
        check_drawing(key, input_shape)
        _require_times(input_shape[1:-1])
        key_w, key_u, key_b = jax.random.split(key, 3)
        return {
            "w": jax.random.normal(key_w, (self.width, self.width)),
            "u": jax.random.normal(key_u, (input_shape[-1], self.width)),
            "b": jax.random.normal(key_b, (self.width,)),
        }

    def apply(
        self, params: dict[str, Array], x: Float[Array, "n ..."], *, key: PRNGKeyArray | None = None
    ) -> Float[Array, "n ..."]:
        """The states at all times, (n, times, width)."""
        _require_times(x.shape[1:-1])
        fed = self.sigma_u / x.shape[-1] ** 0.5 * (x @ params["u"]) + self.sigma_b * params["b"]
        scale = self.sigma_w / self.width**0.5

        def step(h: Array, now: Array) -> tuple[Array, Array]:
            h = self.activation.function(scale * (h @ params["w"]) + now)
            return h, h

        start = jnp.zeros((x.shape[0], self.width), fed.dtype)
        return jnp.moveaxis(jax.lax.scan(step, start, jnp.moveaxis(fed, 1, 0))[1], 0, 1)

    def output_shape(self, input_shape: Shape) -> Shape:
        """One state for each time."""
        _require_times(input_shape[1:-1])
        return (*input_shape[:-1], self.width)

    def needs_full(self, full: bool) -> bool:
        """Equal times follow from equal times before."""
        return full

    def propagate(self, state: State) -> State:
        """The covariances of the states."""
        _require_times(state.spatial)
        var1, var2 = state.variances()[2:]
        own1, own2 = self._own(var1), self._own(var2)
        nngp, ntk = self._pairs(state, state.nngp, state.ntk, own1, own2, state.same)
        if not state.full:
            cov1, cov2 = self._after(own1), self._after(own2)
        else:
            cov1, cov2 = (
                jax.vmap(lambda c, v: self._within(state, c, v))(cov, own)
                for cov, own in ((state.cov1, own1), (state.cov2, own2))
            )
        return replace(state, nngp=nngp, ntk=ntk, cov1=cov1, cov2=cov2, gaussian=False, fresh=-1)

    def _own(self, fed: Array) -> Array:
        """(n, times) variances before the nonlinearity."""

        def step(before: Array, now: Array) -> tuple[Array, Array]:
            variance = self._linear(before, now)
            return self.activation.dual_equal(variance)[0], variance

        rows = jnp.moveaxis(fed, 1, 0)
        return jnp.moveaxis(jax.lax.scan(step, jnp.zeros_like(rows[0]), rows)[1], 0, 1)

    def _linear(self, before: Array, fed: Array) -> Array:
        return self.sigma_w**2 * before + self.sigma_u**2 * fed + self.sigma_b**2

    def _after(self, variances: Array) -> Array:
        return self.activation.dual_equal(variances)[0]

    def _within(self, state: State, cov: Array, own: Array) -> Array:
        """(times, times) covariances of one sample with itself."""
        same = jnp.ones((1, 1), bool)
        zero = jnp.zeros_like(cov)[None, None]
        return self._pairs(state, cov[None, None], zero, own[None], own[None], same)[0][0, 0]

    def _pairs(
        self,
        state: State,
        fed: Array,
        fed_ntk: Array,
        own1: Array,
        own2: Array,
        identical: Array | None,
    ) -> tuple[Array, Array]:
        """Covariances and tangent kernels of the states, of all pairs of times or of equal ones."""
        full = state.full

        def earlier(row: Array) -> Array:
            """Entries one time before, zero before the first; equal times are at hand already."""
            if not full:
                return row
            return jnp.concatenate([jnp.zeros_like(row[..., :1]), row[..., :-1]], -1)

        def step(before: Any, now: Any) -> Any:
            fed, fed_ntk, var1, var2, time = now
            moment, tangent = (earlier(part) for part in before)
            linear = self._linear(moment, fed)
            slope_free = linear + self.sigma_w**2 * tangent + self.sigma_u**2 * fed_ntk
            left = var1[:, None, None] if full else var1[:, None]
            right = own2[None] if full else var2[None]
            value, slope = self.activation.dual(
                jnp.broadcast_to(left, linear.shape), jnp.broadcast_to(right, linear.shape), linear
            )
            if identical is not None:
                at = identical[..., None] if full else identical
                if full:
                    at = at & (jnp.arange(linear.shape[-1]) == time)
                equal = self.activation.dual_equal(jnp.broadcast_to(left, linear.shape))
                value, slope = jnp.where(at, equal[0], value), jnp.where(at, equal[1], slope)
            after = (value, slope * slope_free)
            return after, after

        rows = [jnp.moveaxis(part, 2, 0) for part in (fed, fed_ntk)]
        times = jnp.arange(rows[0].shape[0])
        start = (jnp.zeros_like(rows[0][0]), jnp.zeros_like(rows[0][0]))
        _, found = jax.lax.scan(step, start, (*rows, own1.T, own2.T, times))
        return tuple(jnp.moveaxis(part, 0, 2) for part in found)  # type: ignore[return-value]


def _require_times(spatial: tuple[int, ...]) -> None:
    if len(spatial) != 1:
        raise InputError(
            f"recurrent: inputs with spatial shape {spatial}; (n, times, channels) is needed"
        )


def recurrent(
    width: int = 512,
    activation: Layer | None = None,
    *,
    sigma_w: Any = 1.0,
    sigma_u: Any = 1.0,
    sigma_b: Any = 0.0,
) -> Layer:
    """An Elman network h_t = φ(σ_w/√width W h_(t-1) + σ_u/√n U x_t + σ_b b), at all times.

    W, U and b are the same at all times; h starts at 0. What follows sees times as positions:
    `dense` reads out every time, `flatten` and `global_avg_pool` all of them.

    Args:
        width: of the finite network's states; irrelevant to the kernel.
        activation: the nonlinearity φ, an elementwise layer; None for `erf()`.
        sigma_w: standard deviation of the recurrent weights.
        sigma_u: standard deviation of the input weights.
        sigma_b: standard deviation of the biases.

    Returns:
        A `Layer`, for inputs (n, times, channels).

    Raises:
        InputError: a width below 1, or an activation that is not elementwise.

    Source:
        Alemohammad et al. 2021, theorem 1.
    """
    checks.count("width", width)
    chosen: Any = erf() if activation is None else activation
    checks.instance("activation", chosen, Activation, "an elementwise layer, or None,")
    for name, value in (("sigma_w", sigma_w), ("sigma_u", sigma_u), ("sigma_b", sigma_b)):
        checks.finite(name, value, ndim=0)
    return Recurrent(width, chosen, sigma_w, sigma_u, sigma_b)


def one_hot(tokens: Int[Array, "n ..."], vocabulary: int) -> Float[Array, "n ... vocabulary"]:
    """Tokens as inputs, so that `dense` is a table of embeddings, drawn from N(0, σ_w²).

    Entries are √vocabulary where the token is, else 0, which cancels the division of `dense` by the
    root of its inputs: equal tokens have covariance σ_w², different ones none. A negative token is
    padding: it has no embedding.

    Args:
        tokens: (n, ...) whole numbers below `vocabulary`.
        vocabulary: how many tokens there are.

    Returns:
        (n, ..., vocabulary).

    Raises:
        InputError: numbers that are not whole, or a vocabulary that does not hold them.
    """
    checks.count("vocabulary", vocabulary)
    given = checks.within("tokens", tokens, high=vocabulary - 1.0, whole=True)
    return vocabulary**0.5 * jax.nn.one_hot(jnp.asarray(given).astype(int), vocabulary)


__all__ = ["Recurrent", "one_hot", "recurrent"]
