"""`LayerNorm`, `Dropout` and `Identity`."""

from typing import Any

import jax.numpy as jnp

from theorylab.errors import InputError
from theorylab.neural_tangents.kernel import Kernel
from theorylab.neural_tangents.masks import masking
from theorylab.neural_tangents.requirements import Layer, finished
from theorylab.neural_tangents.stax.common import keep_shape, kernel_of
from theorylab.neural_tangents.stax.pooling import require_positions
from theorylab.neural_tangents.trees import axes_of, typed
from theorylab.ntk import infinite
from theorylab.ntk.infinite.regularisation import mean_seen, scaled
from theorylab.ntk.infinite.state import State


def Identity() -> Layer:
    """The input."""

    def apply_fn(params: Any, inputs: Any, **kwargs: Any) -> Any:
        return inputs

    def kernel_fn(k: Kernel, **kwargs: Any) -> Kernel:
        return k

    return finished("Identity", *masking(keep_shape, apply_fn, kernel_fn, remask_kernel=False))


def LayerNorm(
    axis: Any = -1, eps: float = 1e-12, batch_axis: int = 0, channel_axis: int = -1
) -> Layer:
    """Entries less their mean, over their standard deviation, along `axis`."""

    def apply_fn(params: Any, inputs: Any, mask: Any = None, **kwargs: Any) -> Any:
        axes = axes_of(axis, inputs.ndim)
        hidden = None if mask is None else jnp.broadcast_to(mask, inputs.shape)
        centred = inputs - mean_seen(inputs, hidden, axes)
        variance = mean_seen(centred**2, hidden, axes)
        return centred / jnp.sqrt(eps + variance)

    def op(state: State, k: Kernel) -> State:
        if not state.gaussian:
            raise NotImplementedError(
                "LayerNorm: its input must be Gaussian; put a Dense or Conv right before it"
            )
        ndim = len(k.shape1)
        axes = axes_of(axis, ndim)
        if k.channel_axis not in axes:
            raise InputError(
                f"axis = {axes}: the channel axis, {k.channel_axis}, must be among them; without "
                "it there is no limit at infinite width"
            )
        for mask in (k.mask1, k.mask2):
            if mask is not None:
                require_positions(mask, k.channel_axis)
        spatial = [a for a in range(ndim) if a not in (k.batch_axis, k.channel_axis)]
        over = tuple(1 + spatial.index(a) for a in axes if a in spatial)
        over = ((0,) if k.batch_axis in axes else ()) + over
        scales = [
            1 / jnp.sqrt(eps + mean_seen(var, mask, over))
            for var, mask in zip(state.variances()[2:], (state.mask1, state.mask2), strict=True)
        ]
        return scaled(state, *scales)

    kernel_fn = kernel_of(op, batch_axis=batch_axis, channel_axis=channel_axis)
    return finished("LayerNorm", *masking(keep_shape, apply_fn, kernel_fn, remask_kernel=False))


def Dropout(rate: float, mode: str = "train") -> Layer:
    """Entries kept with probability `rate`; `mode="test"` keeps all."""
    if mode not in ("test", "train"):
        raise InputError(f"mode = {mode!r}; 'train' or 'test' is needed")
    if not 0.0 < rate <= 1.0:
        raise InputError(f"rate = {rate}; the probability of being kept, in (0, 1], is needed")
    if mode == "test":
        init_fn, apply_fn, kernel_fn = Identity()
        return finished("Dropout", init_fn, apply_fn, kernel_fn)
    layer = infinite.dropout(rate)

    def apply_train(params: Any, inputs: Any, rng: Any = None, **kwargs: Any) -> Any:
        if rng is None:
            raise InputError("Dropout: apply_fn(params, x, rng=key) is needed in mode 'train'")
        return layer.apply((), inputs, key=typed(rng))

    kernel_train = kernel_of(layer, use_dropout=True)
    return finished("Dropout", *masking(keep_shape, apply_train, kernel_train, remask_kernel=False))
