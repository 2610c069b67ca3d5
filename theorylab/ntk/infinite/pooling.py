"""Read-outs and averages over positions: `flatten`, `global_avg_pool`, `avg_pool`.

Source: Novak et al. 2019; Arora et al. 2019.
"""

from dataclasses import replace
from math import prod
from typing import Any

import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from theorylab import checks
from theorylab.errors import InputError
from theorylab.ntk.infinite.layer import Layer, Shape, layer
from theorylab.ntk.infinite.state import State, positions
from theorylab.ntk.infinite.windows import Window, check_window


@layer()
class Flatten(Layer):
    """The layer that `flatten` makes."""

    def apply(
        self, params: Any, x: Float[Array, "n ..."], *, key: PRNGKeyArray | None = None
    ) -> Float[Array, "n d"]:
        """All entries of a sample in a row."""
        return x.reshape(x.shape[0], -1)

    def output_shape(self, input_shape: Shape) -> Shape:
        """Two axes: the batch, and the product of all others."""
        return (input_shape[0], prod(input_shape[1:]))

    def needs_full(self, full: bool) -> bool:
        """Equal positions suffice."""
        return False

    def propagate(self, state: State) -> State:
        """The mean of the covariances over equal positions."""
        if not state.spatial:
            return state
        state = state.at_equal_positions()
        # The coordinates of the flat vector differ in variance from position to position: no longer
        # one Gaussian law.
        return replace(_mean_over_positions(state), gaussian=False)


@layer()
class GlobalAvgPool(Layer):
    """The layer that `global_avg_pool` makes."""

    def apply(
        self, params: Any, x: Float[Array, "n ..."], *, key: PRNGKeyArray | None = None
    ) -> Float[Array, "n c"]:
        """The mean over all spatial axes."""
        return x.mean(tuple(range(1, x.ndim - 1)))

    def output_shape(self, input_shape: Shape) -> Shape:
        """Two axes: the batch and the channels."""
        return (input_shape[0], input_shape[-1])

    def needs_full(self, full: bool) -> bool:
        """All pairs of positions are needed."""
        return True

    def propagate(self, state: State) -> State:
        """The mean of the covariances over all pairs of positions that exist."""
        if state.mask1 is None and state.mask2 is None:
            return _mean_over_positions(state)
        size = positions(state.spatial)
        count1, count2 = (
            jnp.full(c.shape[0], size) if m is None else (~m).reshape(c.shape[0], -1).sum(1)
            for c, m in ((state.cov1, state.mask1), (state.cov2, state.mask2))
        )
        count1, count2 = jnp.maximum(count1, 1), jnp.maximum(count2, 1)
        mean = _mean_over_positions(state.masked())
        return replace(
            mean,
            nngp=mean.nngp * size**2 / (count1[:, None] * count2),
            ntk=mean.ntk * size**2 / (count1[:, None] * count2),
            cov1=mean.cov1 * size**2 / count1**2,
            cov2=mean.cov2 * size**2 / count2**2,
        )


@layer("window", "normalize_edges")
class AvgPool(Layer):
    """The layer that `avg_pool` makes."""

    window: Window
    normalize_edges: bool

    def apply(
        self, params: Any, x: Float[Array, "n ..."], *, key: PRNGKeyArray | None = None
    ) -> Float[Array, "n ..."]:
        """The means over windows."""
        self.window.output(x.shape[1:-1])
        return self._average(x, range(1, x.ndim - 1))

    def output_shape(self, input_shape: Shape) -> Shape:
        """Spatial sizes after the windows; the channels stay."""
        return (input_shape[0], *self.window.output(input_shape[1:-1]), input_shape[-1])

    def needs_full(self, full: bool) -> bool:
        """All pairs of positions are needed."""
        return True

    def propagate(self, state: State) -> State:
        """The means of the covariances over pairs of windows."""
        spatial = self.window.output(state.spatial)
        dims = len(spatial)

        def average(cov: Array, lead: int) -> Array:
            # Either sample has its own window: first positions, then second ones.
            cov = self._average(cov, range(lead, lead + dims))
            return self._average(cov, range(lead + dims, lead + 2 * dims))

        return state.linear(average, spatial=spatial)

    def _average(self, x: Array, axes: range) -> Array:
        groups = [(axis,) for axis in axes]
        sums = self.window.sums(x, groups)
        if not self.normalize_edges:
            return sums / prod(self.window.sizes)
        ones = jnp.ones(
            [x.shape[axis] if axis in axes else 1 for axis in range(x.ndim)], sums.dtype
        )
        return sums / self.window.sums(ones, groups)


def _mean_over_positions(state: State) -> State:
    return state.linear(
        lambda cov, lead: cov.mean(tuple(range(lead, cov.ndim))),
        spatial=(),
        full=False,
        mask1=None,
        mask2=None,
    )


def flatten() -> Layer:
    """The read-out of all positions, (n, *S, c) to (n, S·c).

    The kernel is the mean over equal positions, so it stays cheap, O(n² S). For a kernel that is
    invariant under translations use `global_avg_pool`.

    Returns:
        A `Layer`.
    """
    return Flatten()


def global_avg_pool() -> Layer:
    """The mean over all positions, (n, *S, c) to (n, c).

    The kernel is the mean over all pairs of positions, which costs O(n² S²) before this layer;
    `flatten` costs O(n² S).

    Returns:
        A `Layer`.
    """
    return GlobalAvgPool()


def avg_pool(
    window: int | tuple[int, ...],
    *,
    strides: int | tuple[int, ...] | None = None,
    padding: str = "VALID",
    normalize_edges: bool = False,
) -> Layer:
    """The mean over windows of positions.

    Like `global_avg_pool` it needs all pairs of positions before it.

    Args:
        window: 2 means 2 x 2; a tuple gives any number of dimensions.
        strides: one number for all dimensions, or a tuple; None for 1, as in neural-tangents.
        padding: "VALID"; "SAME", where missing pixels count as zeros; "CIRCULAR".
        normalize_edges: divide by the pixels that are really there; for padding "SAME" alone.

    Returns:
        A `Layer`.

    Raises:
        InputError: a window or stride below 1, an unknown padding, or `normalize_edges` without
            "SAME".
    """
    checked = check_window(window, 1 if strides is None else strides, padding)
    if checks.flag("normalize_edges", normalize_edges) and padding != "SAME":
        raise InputError(
            f"normalize_edges=True: has a meaning for padding='SAME' only, not {padding!r}"
        )
    return AvgPool(checked, normalize_edges)
