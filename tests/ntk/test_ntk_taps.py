"""Windows taken offset by offset: values, derivatives and kernels against XLA's own, in float64."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax
from ntk_zoo import dense_kernel, reduced

from theorylab.ntk import empirical_ntk, strides
from theorylab.ntk.analysis import analyse
from theorylab.ntk.graph import trace

NHWC = ("NHWC", "HWIO", "NHWC")
# data, kernel, options of a convolution in groups
GROUPED = {
    "depthwise": ((2, 6, 5, 4), (3, 3, 1, 4), {"padding": "SAME", "feature_group_count": 4}),
    "multiplier 2, strided": (
        (2, 7, 6, 3),
        (3, 2, 1, 6),
        {"padding": "SAME", "feature_group_count": 3, "window_strides": (2, 3)},
    ),
    "groups of three, dilated, strided": (
        (1, 9, 8, 6),
        (2, 3, 3, 4),
        {
            "padding": [(1, 2), (0, 1)],
            "feature_group_count": 2,
            "window_strides": (2, 1),
            "rhs_dilation": (3, 2),
        },
    ),
    "cropped": (
        (1, 6, 6, 2),
        (3, 3, 1, 2),
        {"padding": [(-1, 0), (2, -2)], "feature_group_count": 2},
    ),
    "large groups": ((1, 4, 4, 48), (3, 3, 24, 2), {"padding": "SAME", "feature_group_count": 2}),
    "large groups, dilated": (
        (1, 7, 4, 48),
        (3, 3, 24, 2),
        {"padding": "SAME", "feature_group_count": 2, "rhs_dilation": (2, 1)},
    ),
}
# operation, window, strides, padding, dilation
POOLS: dict[str, tuple] = {
    "maxima apart": (lax.max, (1, 2, 2, 1), (1, 2, 2, 1), "VALID", None),
    "maxima that overlap": (lax.max, (1, 3, 3, 1), (1, 2, 1, 1), "SAME", None),
    "sums that overlap": (lax.add, (1, 3, 2, 1), (1, 2, 1, 1), "SAME", None),
    "sums, dilated": (lax.add, (1, 2, 2, 1), (1, 1, 1, 1), "VALID", (1, 2, 3, 1)),
}


def _r(seed: int, *shape: int) -> jax.Array:
    return jnp.asarray(np.random.default_rng(seed).standard_normal(shape))


def _by_taps(f: Callable, *args: Any) -> Callable:
    """`f` with the CPU's forms of its operations."""
    graph = trace(lambda *a: [f(*a)], *args)

    def run(*args: Any) -> Any:
        env: dict[int, Any] = dict(zip((r.id for r in graph.inputs), args, strict=True))
        for op in graph.ops:
            out = strides.apply(op, *(getattr(a, "value", env.get(a[0])) for a in op.inputs))
            env.update(zip((r.id for r in op.outputs), out, strict=True))
        return env[graph.outputs[0].id]

    return run


def _convolve(options: dict[str, Any]) -> Callable:
    return lambda x, w: lax.conv_general_dilated(
        x, w, **{"window_strides": (1, 1), "dimension_numbers": NHWC} | options
    )


def _pool(case: tuple) -> Callable:
    reduce, window, steps, padding, dilation = case
    start = -jnp.inf if reduce is lax.max else 0.0
    return lambda x: lax.reduce_window(
        x, start, reduce, window, steps, padding, window_dilation=dilation
    )


@pytest.mark.parametrize("case", GROUPED)
def test_convolutions_in_groups_have_the_values_and_derivatives_of_xla(case):
    with jax.enable_x64(True):
        shape, kernel, options = GROUPED[case]
        f, x, w = _convolve(options), _r(0, *shape), _r(1, *kernel)
        g = _by_taps(f, x, w)
        assert "feature_group_count=1" in str(jax.make_jaxpr(g)(x, w)) or "conv_general" not in str(
            jax.make_jaxpr(g)(x, w)
        )
        out, pullback = jax.vjp(f, x, w)
        ours, pullback_ours = jax.vjp(g, x, w)
        ct = _r(2, *out.shape)
        for a, b in zip((out, *pullback(ct)), (ours, *pullback_ours(ct)), strict=True):
            np.testing.assert_allclose(a, b, atol=1e-12)


@pytest.mark.parametrize("case", POOLS)
@pytest.mark.parametrize("ties", [False, True])
def test_pools_have_the_values_and_derivatives_of_xla(case, ties):
    with jax.enable_x64(True):
        x = _r(0, 2, 7, 8, 3)
        x = jnp.maximum(x, 0) if ties else x  # many zeros: of equal ones the first counts
        f = _pool(POOLS[case])
        g = _by_taps(f, x)
        assert "select_and" not in str(jax.make_jaxpr(jax.grad(lambda x: g(x).sum()))(x))
        out, pullback = jax.vjp(f, x)
        ours, pullback_ours = jax.vjp(g, x)
        ct = _r(2, *out.shape)
        np.testing.assert_allclose(ours, out, atol=1e-12)
        np.testing.assert_allclose(pullback_ours(ct)[0], pullback(ct)[0], atol=1e-12)


def network() -> tuple:
    """Depthwise with a scaled kernel, pools of both kinds, groups, and channels first."""
    p = {
        "stem": _r(0, 3, 3, 2, 4) / 4,
        "depth": _r(1, 3, 3, 1, 8) / 3,
        "group": _r(2, 6, 4, 2, 2) / 3,
        "v": _r(3, 6, 3) / 2,
    }

    def f(p: Any, x: Any) -> Any:
        x = jax.nn.relu(_convolve({"padding": "SAME"})(x, p["stem"]))
        x = _pool(POOLS["maxima that overlap"])(x)
        depth = {"padding": "SAME", "feature_group_count": 4, "window_strides": (2, 1)}
        x = jnp.tanh(_convolve(depth)(x, -0.5 * p["depth"]))
        x = _pool(POOLS["sums that overlap"])(x).transpose(0, 3, 1, 2)
        x = lax.conv_general_dilated(x, p["group"], (1, 1), "SAME", feature_group_count=2)
        return jnp.tanh(x).mean((2, 3)) @ p["v"]

    return f, p, _r(9, 5, 8, 8, 2)


@pytest.mark.parametrize("reduce", ["full", "diagonal", "trace", "sum_logits"])
def test_kernels_of_networks_with_windows_are_those_of_jacobians(reduce):
    with jax.enable_x64(True):
        f, p, x = network()
        direct = [block.direct is not None for block in analyse(f, p, x).blocks]
        assert direct == [True, True, False, False]
        kernel = empirical_ntk(f, p, x, reduce=reduce)
        expected = reduced(dense_kernel(f, p, x), reduce)
        np.testing.assert_allclose(kernel, expected, rtol=1e-9, atol=1e-9)
