"""Layer normalisation and dropout: `layer_norm` and `dropout`.

Source: Novak et al. 2020 (neural-tangents), whose `LayerNorm` and `Dropout` these are.
"""

from dataclasses import replace
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from theorylab import checks
from theorylab.errors import InputError
from theorylab.ntk.infinite.layer import Layer, check_gaussian, layer
from theorylab.ntk.infinite.state import State


@layer("axis")
class LayerNorm(Layer):
    """The layer that `layer_norm` makes."""

    axis: str
    eps: Any

    def apply(
        self, params: Any, x: Float[Array, "n ..."], *, key: PRNGKeyArray | None = None
    ) -> Float[Array, "n ..."]:
        """Entries less their mean, over their standard deviation."""
        axes = -1 if self.axis == "channels" else tuple(range(1, x.ndim))
        x = x - x.mean(axes, keepdims=True)
        return x / jnp.sqrt(self.eps + (x**2).mean(axes, keepdims=True))

    def propagate(self, state: State) -> State:
        """The covariances over the standard deviations of both sides."""
        # Channels are many and centred: their mean is 0 and their variance is the field's own.
        check_gaussian(state, "layer_norm")
        var1, var2 = state.variances()[2:]
        if self.axis == "all":
            var1, var2 = (
                mean_seen(v, m, tuple(range(1, v.ndim)))
                for v, m in ((var1, state.mask1), (var2, state.mask2))
            )
        return scaled(state, 1 / jnp.sqrt(var1 + self.eps), 1 / jnp.sqrt(var2 + self.eps))


def scaled(state: State, scale1: Array, scale2: Array) -> State:
    """The covariances of signals that are multiplied by numbers per sample and position."""
    pair = state.left(scale1)[:, None] * state.right(scale2)[None]
    return replace(
        state,
        nngp=state.nngp * pair,
        ntk=state.ntk * pair,
        cov1=state.cov1 * state.left(scale1) * state.right(scale1),
        cov2=state.cov2 * state.left(scale2) * state.right(scale2),
    )


def mean_seen(values: Array, mask: Array | None, axes: tuple[int, ...]) -> Array:
    """Means over axes of the entries that are not masked, in the shape of `values`."""
    if mask is None:
        return jnp.broadcast_to(values.mean(axes, keepdims=True), values.shape)
    seen = ~mask
    count = jnp.maximum(seen.sum(axes, keepdims=True), 1)
    return jnp.broadcast_to((values * seen).sum(axes, keepdims=True) / count, values.shape)


@layer()
class Dropout(Layer):
    """The layer that `dropout` makes."""

    keep: Any

    def apply(
        self, params: Any, x: Float[Array, "n ..."], *, key: PRNGKeyArray | None = None
    ) -> Float[Array, "n ..."]:
        """Entries times a random mask, over the share that is kept."""
        if key is None:
            raise InputError(
                "key=None: a network with dropout needs a PRNG key; call apply(params, x, key=...)"
            )
        return jnp.where(jax.random.bernoulli(key, self.keep, x.shape), x / self.keep, 0)

    def propagate(self, state: State) -> State:
        """The covariances, with 1/keep where a scalar meets itself."""
        # A kept-or-dropped scalar meets itself with E[mask²]/keep² = 1/keep; two different masks
        # are independent.
        same = (state if state.met is None else replace(state, same=state.met)).same_value()
        pair = 1.0 if same is None else jnp.where(same, 1 / self.keep, 1.0)
        own = jnp.where(state.same_position(), 1 / self.keep, 1.0)
        return replace(
            state,
            nngp=state.nngp * pair,
            ntk=state.ntk * pair,
            cov1=state.cov1 * own,
            cov2=state.cov2 * own,
            gaussian=False,
        )


def layer_norm(axis: str = "channels", *, eps: Any = 1e-12) -> Layer:
    """The normalisation (x - mean)/√(variance + eps) per sample, without trained scale and shift.

    It follows a dense or conv layer.

    Args:
        axis: "channels" normalises every position by itself (axis=-1), "all" the whole sample at
            once.
        eps: at least 0, added to the variance.

    Returns:
        A `Layer`.

    Raises:
        InputError: another axis, or an `eps` that is not one number of at least 0.
    """
    checks.nonnegative("eps", eps, ndim=0)
    return LayerNorm(checks.choice("axis", axis, ("channels", "all")), eps)


def dropout(keep: Any) -> Layer:
    """Dropout that keeps each entry with probability `keep` and divides by it.

    Masks of different samples are independent. With `kernel(x)` a sample meets itself under one and
    the same mask; `kernel(x, x)` takes them for two samples. It is `Dropout(rate=keep)` of
    neural-tangents in train mode.

    Args:
        keep: probability in (0, 1].

    Returns:
        A `Layer`, whose `apply` needs a `key`.

    Raises:
        InputError: a probability outside (0, 1].
    """
    checks.within("keep", keep, 0.0, 1.0, open_low=True, ndim=0)
    return Dropout(keep)
