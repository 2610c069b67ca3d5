"""Weights inside `lax.scan`: steps are positions, or groups; the kernel is that of Jacobians."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax
from ntk_zoo import dense_kernel, reduced

from theorylab.ntk import empirical_ntk
from theorylab.ntk.analysis import analyse

STEPS, WIDTH = 6, 4


def _r(seed: int, *shape: int) -> jax.Array:
    return jnp.asarray(np.random.default_rng(seed).standard_normal(shape) / 2, jnp.float32)


def recurrent() -> tuple:
    """A learned first state, a bias, and a read-out of every step's state."""
    p = {"w": _r(0, 4, 4), "u": _r(1, 3, 4), "b": _r(2, 4), "h": _r(3, 4), "v": _r(4, 4, 2)}

    def f(p: Any, x: Any) -> Any:
        def step(h: Any, now: Any) -> Any:
            h = jnp.tanh(h @ p["w"] + now @ p["u"] + p["b"])
            return h, h @ p["v"]

        first = jnp.broadcast_to(p["h"], (len(x), 4))
        return lax.scan(step, first, x.swapaxes(0, 1))[1].mean(0)

    sizes = {"w": (1, STEPS, 4, 4), "u": (1, STEPS, 3, 4), "v": (1, STEPS, 4, 2)}
    return f, p, _r(9, 5, STEPS, 3), sizes


def gated() -> tuple:
    """One matrix for all gates, backwards in time, each step rematerialised and jitted."""
    p = {"w": _r(0, 7, 12), "v": _r(1, 4, 2)}

    def f(p: Any, x: Any) -> Any:
        @jax.jit
        @jax.checkpoint
        def step(h: Any, now: Any) -> Any:
            a, b, c = jnp.split(jnp.concatenate([h, now], -1) @ (0.5 * p["w"]), 3, -1)
            return jax.nn.sigmoid(a) * h + jax.nn.silu(b) * jnp.tanh(c), None

        x = x.swapaxes(0, 1)
        return lax.scan(step, jnp.zeros((x.shape[1], 4)), x, reverse=True)[0] @ p["v"]

    return f, p, _r(9, 5, STEPS, 3), {"w": (1, STEPS, 7, 12)}


def stacked() -> tuple:
    """Layers one after the other, each with weights of its own, over several tokens."""
    p = {"w": _r(0, STEPS, WIDTH, WIDTH), "g": _r(1, STEPS, WIDTH), "v": _r(2, WIDTH, 2)}

    def f(p: Any, x: Any) -> Any:
        @jax.checkpoint
        def block(h: Any, layer: Any) -> Any:
            w, g = layer
            return h + jax.nn.relu(h @ w.T) * g, None

        return lax.scan(block, x, (p["w"], p["g"]))[0].mean(1) @ p["v"]

    return f, p, _r(9, 5, 3, WIDTH), {"w": (STEPS, 3, WIDTH, WIDTH)}


def own_derivative() -> tuple:
    """A weight beside a function with a derivative of its own in every step."""

    @jax.custom_jvp
    def clipped(h: Any) -> Any:
        return jnp.clip(h, -1, 1)

    clipped.defjvp(lambda primals, tangents: (clipped(*primals), tangents[0]))
    p = {"w": _r(0, 4, 4), "v": _r(1, 4, 2)}

    def f(p: Any, x: Any) -> Any:
        return lax.fori_loop(0, STEPS, lambda _, h: clipped(h @ p["w"] + x), x) @ p["v"]

    return f, p, _r(9, 5, 4), {"w": (1, STEPS, 4, 4)}


def inside_and_outside() -> tuple:
    """The same matrix in a loop, after it, and in a second loop by another name."""
    p = {"w": _r(0, 4, 4), "v": _r(1, 4, 2)}

    def f(p: Any, x: Any) -> Any:
        h = lax.scan(lambda h, _: (jnp.tanh(h @ p["w"]), None), x, None, STEPS)[0]
        h = jnp.tanh(h @ p["w"])
        rows = jnp.tanh(lax.map(lambda row: row @ p["w"], h))
        return rows @ p["v"]

    return f, p, _r(9, 5, 4), {"w": (1, STEPS + 2, 4, 4)}


def tokens() -> tuple:
    """Rows of a table looked up step by step, and a convolution in every step."""
    p = {"table": _r(0, 7, 6), "k": _r(1, 3, 1, 1), "v": _r(2, 6, 2)}

    def f(p: Any, ids: Any) -> Any:
        def step(h: Any, now: Any) -> Any:
            h = jnp.tanh(h + p["table"][now])
            h = lax.conv_general_dilated(
                h[..., None], p["k"], (1,), "SAME", dimension_numbers=("NWC", "WIO", "NWC")
            )
            return h[..., 0], None

        return lax.scan(step, jnp.zeros((len(ids), 6)), ids.T)[0] @ p["v"]

    ids = jnp.asarray(np.random.default_rng(1).integers(0, 7, (5, STEPS)))
    return f, p, ids, {"table": (1, STEPS, 7, 6), "k": (1, STEPS * 6, 3, 1)}


def other_uses() -> tuple:
    """Nothing of these is a product of a weight and data: a scale, a norm, a loop in a loop, an
    output of weights alone, a weight that is carried."""
    p = {name: _r(i, 4, 4) for i, name in enumerate("abcde")}

    def f(p: Any, x: Any) -> Any:
        def inner(h: Any, _: Any) -> Any:
            return jnp.tanh(h @ p["c"]), None

        def step(carry: Any, _: Any) -> Any:
            h, e = carry
            h = h * p["a"][0] + h @ (p["b"] / jnp.linalg.norm(p["b"])) + h @ e
            return (lax.scan(inner, h, None, 2)[0], 0.9 * e), p["d"][0]

        (h, _), d = lax.scan(step, (x, p["e"]), None, 3)
        return h + d.sum(0)

    return f, p, _r(9, 5, 4), {}


CASES: dict[str, Callable[[], tuple]] = {
    g.__name__: g
    for g in (
        recurrent,
        gated,
        stacked,
        own_derivative,
        inside_and_outside,
        tokens,
        other_uses,
    )
}


@pytest.mark.parametrize("name", CASES)
def test_weights_in_loops_are_taken_apart(name: str) -> None:
    f, params, x, sizes = CASES[name]()
    analysis = analyse(f, params, x)
    apart = {
        analysis.names[block.leaf].strip("[']"): block.sizes
        for block in analysis.blocks
        if "in a loop" in block.kind
    }
    assert apart == sizes


@pytest.mark.long
@pytest.mark.parametrize("name", CASES)
def test_the_kernel_of_a_loop_is_that_of_jacobians(name: str) -> None:
    f, params, x, _ = CASES[name]()
    reference = dense_kernel(f, params, x)
    full = empirical_ntk(f, params, x, reduce="full", dtype="float64")
    assert np.abs(full - reference).max() < 1e-11 * np.abs(reference).max()
    for reduce in ("trace", "sum_logits", "diagonal"):
        wanted = reduced(reference, reduce)
        kernel = empirical_ntk(f, params, x, x[:3], reduce=reduce)
        np.testing.assert_allclose(kernel, wanted[:, :3], atol=1e-5 * np.abs(wanted).max())
    traced = jax.jit(lambda p, x: empirical_ntk(f, p, x))(params, x)
    wanted = reduced(reference, "trace")
    np.testing.assert_allclose(traced, wanted, atol=1e-5 * np.abs(wanted).max())
