"""Ways to put layers together: `serial`, `parallel` (sum of branches), `residual`, `identity`."""

from dataclasses import replace
from functools import reduce
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from theorylab import checks
from theorylab.errors import InputError
from theorylab.ntk.infinite.layer import Layer, Shape, layer
from theorylab.ntk.infinite.state import State


def _keys(key: PRNGKeyArray | None, count: int) -> list[Any]:
    return [None] * count if key is None else list(jax.random.split(checks.key("key", key), count))


@layer()
class Identity(Layer):
    """See `identity`."""

    def apply(
        self, params: Any, x: Float[Array, "n ..."], *, key: PRNGKeyArray | None = None
    ) -> Float[Array, "n ..."]:
        return x

    def propagate(self, state: State) -> State:
        return state


@layer()
class Serial(Layer):
    """See `serial`."""

    layers: tuple[Layer, ...]

    def init(self, key: PRNGKeyArray, input_shape: Shape) -> tuple[Any, ...]:
        params = []
        for one, k in zip(self.layers, _keys(key, len(self.layers)), strict=True):
            params.append(one.init(k, input_shape))
            input_shape = one.output_shape(input_shape)
        return tuple(params)

    def apply(
        self, params: tuple[Any, ...], x: Float[Array, "n ..."], *, key: PRNGKeyArray | None = None
    ) -> Float[Array, "n ..."]:
        for one, p, k in zip(self.layers, params, _keys(key, len(self.layers)), strict=True):
            x = one.apply(p, x, key=k)
        return x

    def output_shape(self, input_shape: Shape) -> Shape:
        for one in self.layers:
            input_shape = one.output_shape(input_shape)
        return input_shape

    def needs_full(self, full: bool) -> bool:
        for one in reversed(self.layers):
            full = one.needs_full(full)
        return full

    def propagate(self, state: State) -> State:
        wanted = [state.wanted]
        for one in reversed(self.layers):
            wanted.append(one.needs_full(wanted[-1]))
        after = wanted[-2::-1]
        for one, before, then in zip(self.layers, wanted[::-1], after, strict=False):
            state = state if before else state.at_equal_positions()
            state = one.propagate(replace(state, wanted=then))
        return state


@layer()
class Parallel(Layer):
    """See `parallel`."""

    branches: tuple[Layer, ...]

    def init(self, key: PRNGKeyArray, input_shape: Shape) -> tuple[Any, ...]:
        _agree([branch.output_shape(input_shape) for branch in self.branches])
        keys = _keys(key, len(self.branches))
        return tuple(
            branch.init(k, input_shape) for branch, k in zip(self.branches, keys, strict=True)
        )

    def apply(
        self, params: tuple[Any, ...], x: Float[Array, "n ..."], *, key: PRNGKeyArray | None = None
    ) -> Float[Array, "n ..."]:
        keys = _keys(key, len(self.branches))
        outputs = [
            b.apply(p, x, key=k) for b, p, k in zip(self.branches, params, keys, strict=True)
        ]
        return reduce(jnp.add, outputs)

    def output_shape(self, input_shape: Shape) -> Shape:
        shapes = [branch.output_shape(input_shape) for branch in self.branches]
        # the number of channels is of no concern to the kernel
        _agree([shape[:-1] for shape in shapes])
        return shapes[0]

    def needs_full(self, full: bool) -> bool:
        return any(branch.needs_full(full) for branch in self.branches)

    def propagate(self, state: State) -> State:
        inside = replace(state, depth=state.depth + 1)
        parts = [branch.propagate(inside) for branch in self.branches]
        _agree([part.spatial for part in parts])
        if not all(part.full for part in parts):
            parts = [part.at_equal_positions() for part in parts]
        if sum(part.fresh < inside.depth for part in parts) > 1:
            raise InputError(
                "parallel: two branches do not end in fresh weights, so their outputs are "
                "correlated and the covariance of the sum is not the sum of covariances; end all "
                "branches but one with a dense or conv"
            )
        total = parts[0]
        for part in parts[1:]:
            names = ("nngp", "ntk", "cov1", "cov2")
            total = replace(
                total, **{name: getattr(total, name) + getattr(part, name) for name in names}
            )
        return replace(
            total,
            gaussian=all(part.gaussian for part in parts),
            depth=state.depth,
            fresh=min(state.depth, *(part.fresh for part in parts)),
        )


def _agree(shapes: list[Shape]) -> None:
    if any(shape != shapes[0] for shape in shapes):
        raise InputError(
            f"parallel: branches give {shapes}; a sum needs equal shapes: match widths and strides"
        )


def identity() -> Layer:
    """x itself."""
    return Identity()


def serial(*layers: Layer) -> Layer:
    """One layer after the other."""
    return Serial(_checked("layers", layers))


def parallel(*branches: Layer) -> Layer:
    """Feed one input to every branch and add up their outputs (FanOut, parallel, FanInSum of
    neural-tangents).

    All branches but one have to end in fresh weights (a dense or conv, possibly pooled or
    normalised): only then are their outputs uncorrelated. The sum is Gaussian, and may enter a
    nonlinearity, if every branch is.
    """
    return Parallel(_checked("branches", branches))


def residual(*layers: Layer, skip: Layer | None = None) -> Layer:
    """x + serial(*layers)(x); `skip` replaces the identity, for instance by a strided `conv` that
    matches shapes."""
    if skip is not None:
        checks.instance("skip", skip, Layer, "a layer, or None for x itself,")
    return parallel(identity() if skip is None else skip, serial(*_checked("layers", layers)))


def _checked(name: str, layers: tuple[Any, ...]) -> tuple[Layer, ...]:
    if not layers:
        raise InputError(f"{name}: no layers given; give at least one")
    for one in layers:
        if not isinstance(one, Layer):
            raise InputError(
                f"{name}: got a {type(one).__name__}, needs layers; did you forget the call, as "
                "in relu()?"
            )
    return layers
