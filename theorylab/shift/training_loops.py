"""Compiled loops of stochastic gradient descent with momentum, on one data set or many.

Networks are `apply(params, state, x) -> (outputs, state)`; learning rates and batches are data, so
one program serves every schedule and order.
"""

from collections.abc import Callable
from functools import lru_cache, partial
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array

from theorylab.nets.functional import Apply, Params, State
from theorylab.ntk.convolutions import small_products

Classifier = Callable[[Params, Any], Array]
Loss = Callable[[Array, Array], Array]
Carry = tuple[Params, Params, State]  # parameters, velocity, statistics


# Compiled functions are found again by the identity of `apply`, so these remember what they made.
@lru_cache(maxsize=32)
def stateless(f: Classifier) -> Apply:
    """`f(params, x)` as a function with statistics, of which it has none."""
    g = small_products(f)
    return lambda params, state, x: (g(params, x), state)


@lru_cache(maxsize=32)
def in_train_mode(apply: Apply) -> Apply:
    """`apply(params, state, x)` with small convolutions as products."""
    return small_products(apply)


def _step(
    carry: Carry, x: Array, y: Array, rate: Array, *, apply: Apply, loss: Loss, momentum: float
) -> Carry:
    params, velocity, state = carry

    def objective(params: Params) -> tuple[Array, State]:
        output, new = apply(params, state, x)
        return loss(output, y).mean(), new

    gradient, new = jax.grad(objective, has_aux=True)(params)
    velocity = jax.tree.map(lambda v, g: momentum * v + g, velocity, gradient)
    params = jax.tree.map(lambda p, v: p - (rate * v).astype(p.dtype), params, velocity)
    return params, velocity, jax.tree.map(lambda a, b: a.astype(b.dtype), new, state)


def _steps(
    theta0: Params,
    state: State,
    x: Array,
    y: Array,
    order: Array,
    rates: Array,
    steps: Any,
    **static: Any,
) -> Params:
    def body(t: Any, carry: Carry) -> Carry:
        return _step(carry, x[order[t]], y[order[t]], rates[t], **static)

    return jax.lax.fori_loop(0, steps, body, (theta0, jax.tree.map(jnp.zeros_like, theta0), state))[
        0
    ]


@jax.jit
def batch(x: Array, y: Array, rows: Array) -> tuple[Array, Array]:
    """The samples and labels of these rows."""
    return x[rows], y[rows]


_compile = partial(jax.jit, static_argnames=("apply", "loss", "momentum"))
one_step = _compile(_step)
train = _compile(_steps)


@_compile
def train_in_turn(
    theta0: Params,
    state: State,
    x: Array,
    y: Array,
    order: Array,
    rates: Array,
    steps: Any,
    **static: Any,
) -> Params:
    """`train` on many data sets, one after the other in one loop."""
    return jax.lax.map(
        lambda s: _steps(theta0, state, s[0], s[1], order, rates, steps, **static), (x, y)
    )


@_compile
def train_at_once(
    theta0: Params,
    state: State,
    x: Array,
    y: Array,
    order: Array,
    rates: Array,
    steps: Any,
    **static: Any,
) -> Params:
    """`train` on many data sets at once."""
    return jax.vmap(lambda x, y: _steps(theta0, state, x, y, order, rates, steps, **static))(x, y)
