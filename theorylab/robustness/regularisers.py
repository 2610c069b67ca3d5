"""What FAST-IBP adds to IBP: weights at a scale that keeps intervals from growing, and penalties.

Penalties are on intervals that grow and on neurons that are out of balance.
Source: Shi et al. 2021, "Fast certified robust training with short warmup".
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Key, PyTree

from theorylab import checks
from theorylab.robustness.program import read
from theorylab.robustness.propagation import Flow
from theorylab.robustness.threats import Threat


def ibp_init(key: Key[Array, ""], params: PyTree) -> PyTree:
    """Weights drawn from N(0, 2 pi / fan_in^2), biases (arrays of one axis or none) kept.

    With them the mean width of intervals stays constant from layer to layer of a ReLU network.

    Args:
        key: draws the weights.
        params: parameters; of an array with two axes or more, all but the last are the fan-in.

    Returns:
        Parameters of the same layout.

    Raises:
        InputError: no key, or parameters that are not finite.

    Source:
        Shi et al. 2021, section 3.2.
    """
    checks.key("key", key)
    leaves, layout = jax.tree.flatten(params)
    drawn = []
    for i, leaf in enumerate(leaves):
        leaf = jnp.asarray(checks.finite("params", leaf))
        if leaf.ndim >= 2:
            fan_in = int(np.prod(leaf.shape[:-1]))
            z = jax.random.normal(jax.random.fold_in(key, i), leaf.shape, leaf.dtype)
            leaf = z * float(np.sqrt(2 * np.pi)) / fan_in
        drawn.append(leaf)
    return jax.tree.unflatten(layout, drawn)


def fast_ibp_penalty(
    f: Callable[[PyTree, Array], Array],
    params: PyTree,
    x: Array,
    threat: Threat,
    least_ratio: float,
) -> Float[Array, ""]:
    """L_tight + L_relu of a batch: each in [0, 1], 0 where nothing is out of balance.

    L_tight asks that the mean half-width of a layer's intervals is at most the input's over
    `least_ratio`; L_relu that active and inactive neurons agree in the mean and the variance
    of their centres up to a factor of `least_ratio`.
    """
    program = read(f, params, x.shape[1:])
    flow = Flow(program, program.constants_at(params))
    steps = program.activations

    def layer_intervals(one: Array) -> list[tuple[Array, Array]]:
        found = flow.interval(one, threat)
        return [found[program.start], *(found[s.inputs[0]] for s in steps)]

    (bottom, top), *layers = jax.vmap(layer_intervals)(x)
    width = (top - bottom).mean() / 2
    tight, balance = [], []
    for low, high in layers:
        reach = (high - low).mean() / 2
        tight.append(jax.nn.relu(least_ratio - _ratio(width, reach)))
        balance += [jax.nn.relu(least_ratio - r) for r in _balances(low, high)]
    count = max(len(layers), 1)
    total = jnp.stack(tight).sum() + jnp.stack(balance).sum() if layers else jnp.zeros(())
    return total / (least_ratio * count)


def _balances(low: Array, high: Array) -> list[Array]:
    """The balance of active and inactive neurons, min(rho, 1 / rho) of two ratios rho.

    They are of the mean sizes, and of the variances, of the centres of the two kinds.
    """
    centre = (low + high) / 2
    active, inactive = (low > 0).astype(low.dtype), (high < 0).astype(low.dtype)
    whole = centre.mean()
    found = []
    for value in (jnp.abs(centre), jnp.square(centre - whole)):
        a = (value * active).sum() / jnp.maximum(active.sum(), 1)
        b = (value * inactive).sum() / jnp.maximum(inactive.sum(), 1)
        ratio = _ratio(a, b)
        both = (active.sum() > 0) & (inactive.sum() > 0)
        found.append(jnp.where(both, jnp.minimum(ratio, _ratio(b, a)), 1.0))
    return found


def _ratio(a: Array, b: Any) -> Array:
    """The ratio a / b, 1 where b is 0, with a finite gradient."""
    some = b > 0
    return jnp.where(some, a / jnp.where(some, b, 1.0), 1.0)
