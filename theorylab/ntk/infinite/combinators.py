"""Ways to put layers together: `serial`, `parallel` (sum of branches), `residual`, `identity`.

Source: Novak et al. 2020 (neural-tangents), whose `serial`, `FanOut`, `parallel` and `FanInSum`
these are.
"""

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
    """The layer that `identity` makes."""

    def apply(
        self, params: Any, x: Float[Array, "n ..."], *, key: PRNGKeyArray | None = None
    ) -> Float[Array, "n ..."]:
        """The input."""
        return x

    def propagate(self, state: State) -> State:
        """The covariances as they are."""
        return state


@layer()
class Serial(Layer):
    """The network that `serial` makes."""

    layers: tuple[Layer, ...]

    def init(self, key: PRNGKeyArray, input_shape: Shape) -> tuple[Any, ...]:
        """The parameters of every layer, in a tuple."""
        params = []
        for one, k in zip(self.layers, _keys(key, len(self.layers)), strict=True):
            params.append(one.init(k, input_shape))
            input_shape = one.output_shape(input_shape)
        return tuple(params)

    def apply(
        self, params: tuple[Any, ...], x: Float[Array, "n ..."], *, key: PRNGKeyArray | None = None
    ) -> Float[Array, "n ..."]:
        """The layers, one after the other."""
        for one, p, k in zip(self.layers, params, _keys(key, len(self.layers)), strict=True):
            x = one.apply(p, x, key=k)
        return x

    def output_shape(self, input_shape: Shape) -> Shape:
        """Shape after the last layer."""
        for one in self.layers:
            input_shape = one.output_shape(input_shape)
        return input_shape

    def needs_full(self, full: bool) -> bool:
        """What the first layer needs for what the last one needs."""
        for one in reversed(self.layers):
            full = one.needs_full(full)
        return full

    def propagate(self, state: State) -> State:
        """The covariances after the last layer."""
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
    """The network that `parallel` makes."""

    branches: tuple[Layer, ...]

    def init(self, key: PRNGKeyArray, input_shape: Shape) -> tuple[Any, ...]:
        """The parameters of every branch, in a tuple."""
        _agree([branch.output_shape(input_shape) for branch in self.branches])
        keys = _keys(key, len(self.branches))
        return tuple(
            branch.init(k, input_shape) for branch, k in zip(self.branches, keys, strict=True)
        )

    def apply(
        self, params: tuple[Any, ...], x: Float[Array, "n ..."], *, key: PRNGKeyArray | None = None
    ) -> Float[Array, "n ..."]:
        """The sum of the branches."""
        keys = _keys(key, len(self.branches))
        outputs = [
            b.apply(p, x, key=k) for b, p, k in zip(self.branches, params, keys, strict=True)
        ]
        return reduce(jnp.add, outputs)

    def output_shape(self, input_shape: Shape) -> Shape:
        """The shape that all branches share."""
        shapes = [branch.output_shape(input_shape) for branch in self.branches]
        # the number of channels is of no concern to the kernel
        _agree([shape[:-1] for shape in shapes])
        return shapes[0]

    def needs_full(self, full: bool) -> bool:
        """Whether any branch needs covariances between different positions."""
        return any(branch.needs_full(full) for branch in self.branches)

    def propagate(self, state: State) -> State:
        """The sum of the covariances of the branches."""
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
    """The layer that gives its input back.

    Returns:
        A `Layer`.
    """
    return Identity()


def serial(*layers: Layer) -> Layer:
    """A network of one layer after the other.

    Use `residual` for a skip connection and `parallel` for a sum of branches; both give layers that
    fit in here.

    Args:
        *layers: at least one `Layer`.

    Returns:
        A `Layer` with `kernel` (infinite width) and `init`, `apply` (finite width).

    Raises:
        InputError: no layers, or something that is no layer.

    Examples:
        >>> import numpy as np
        >>> from theorylab.ntk.infinite import dense, relu
        >>> net = serial(dense(sigma_w=2**0.5), relu(), dense())
        >>> x = np.array([[1.0, 0.0], [0.0, 1.0]])
        >>> kernels = net.kernel(x, get="both")
        >>> np.round(kernels.nngp, 4).tolist()
        [[0.5, 0.1592], [0.1592, 0.5]]
        >>> np.round(kernels.ntk, 4).tolist()
        [[1.0, 0.1592], [0.1592, 1.0]]
    """
    return Serial(_checked("layers", layers))


def parallel(*branches: Layer) -> Layer:
    """One input fed to every branch, and the sum of their outputs.

    All branches but one have to end in fresh weights (a dense or conv, possibly pooled or
    normalised): only then are their outputs uncorrelated. The sum is Gaussian, and may enter a
    nonlinearity, if every branch is. It is FanOut, parallel and FanInSum of neural-tangents.

    Args:
        *branches: at least one `Layer`, all with outputs of one shape.

    Returns:
        A `Layer`.

    Raises:
        InputError: no branches, or something that is no layer; when used, branches of different
            shapes or without fresh weights.
    """
    return Parallel(_checked("branches", branches))


def residual(*layers: Layer, skip: Layer | None = None) -> Layer:
    """The skip connection x + serial(*layers)(x).

    Args:
        *layers: at least one `Layer`; the last has fresh weights.
        skip: replaces the identity, for instance by a strided `conv` that matches shapes; None for
            x itself.

    Returns:
        A `Layer`.

    Raises:
        InputError: no layers, or something that is no layer.
    """
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
