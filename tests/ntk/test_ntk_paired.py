"""Blocks contracted pair by pair of samples, against Jacobians in float64."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax
from ntk_zoo import dense_kernel

from theorylab.ntk import empirical_ntk
from theorylab.ntk.empirical import _engine
from theorylab.ntk.paired import multiply
from theorylab.ntk.workers import Scratch


def _r(seed: int, *shape: int) -> jax.Array:
    return jnp.asarray(np.random.default_rng(seed).standard_normal(shape)) / 3


def network() -> tuple:
    """A convolution with a bias, a matrix used twice, and scanned layers: all of few positions."""
    p = {
        "conv": _r(0, 3, 3, 4, 24),
        "bias": _r(1, 24),
        "twice": _r(2, 24, 24),
        "layers": (_r(3, 3, 24, 24), _r(4, 3, 24)),
        "v": _r(5, 24, 12),
    }

    def f(p: Any, x: Any) -> Any:
        x = lax.conv_general_dilated(
            x, p["conv"], (2, 2), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC")
        )
        x = jnp.tanh(x + p["bias"]).reshape(len(x), 4, 24)
        x = jnp.tanh(jnp.tanh(x @ p["twice"]) @ p["twice"])
        x, _ = lax.scan(lambda h, wb: (jnp.tanh(h @ wb[0] + wb[1]), None), x, p["layers"])
        return x.mean(1) @ p["v"]

    return f, p, _r(9, 7, 4, 4, 4)


def test_few_positions_are_contracted_pair_by_pair():
    with jax.enable_x64(True):
        f, p, x = network()
        engine = _engine(f, "full", "auto", None, "highest")
        layout = engine.layout(p, x, None, None)
        analysis = engine.analysis(p, x)
        names = {analysis.names[analysis.blocks[i].leaf] for i in layout.plan.paired}
        assert names == {"['conv']", "['twice']", "['layers'][0]"}
        trace = _engine(f, "trace", "auto", None, "highest").layout(p, x, None, None)
        assert not trace.plan.paired


@pytest.mark.parametrize("memory_gb", [None, 0.002])
@pytest.mark.parametrize("columns", [None, 5])
def test_kernels_pair_by_pair_are_those_of_jacobians(memory_gb, columns):
    with jax.enable_x64(True):
        f, p, x = network()
        x2 = None if columns is None else _r(8, columns, 4, 4, 4)
        both = x if x2 is None else jnp.concatenate([x, x2])
        expected = dense_kernel(f, p, both)[: len(x), (0 if x2 is None else len(x)) :]
        if memory_gb is not None:
            layout = _engine(f, "full", "auto", None, "highest").layout(p, x, x2, memory_gb)
            assert layout.tile < len(x) and layout.plan.paired
        kernel = empirical_ntk(f, p, x, x2, reduce="full", memory_gb=memory_gb)
        np.testing.assert_allclose(kernel, expected, rtol=1e-9, atol=1e-9)


def test_products_of_pairs_are_those_of_gradients_also_of_one_half():
    rng = np.random.default_rng(0)
    a, e = rng.normal(size=(4, 3, 5)), rng.normal(size=(6, 3, 5))
    d, h = rng.normal(size=(4, 2, 3, 7)), rng.normal(size=(6, 2, 3, 7))
    for right, same in (((e, h), False), ((a, d), True)):
        left = np.einsum("nsc,nqsf->nqcf", a, d).reshape(8, -1)
        expected = left @ np.einsum("nsc,nqsf->nqcf", *right).reshape(2 * len(right[0]), -1).T
        out = np.full(expected.shape, np.nan)
        multiply((a, d), right, same, out, Scratch())
        np.testing.assert_allclose(out, expected, rtol=1e-12, atol=1e-12)
