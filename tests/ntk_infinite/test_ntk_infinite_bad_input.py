"""Every public function of `theorylab.ntk.infinite` refuses malformed arguments by name."""

from itertools import chain

import bad_input
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from theorylab.errors import InputError
from theorylab.ntk import infinite as inf

RNG = np.random.default_rng(0)
X = RNG.normal(size=(3, 2))
KEY = jax.random.key(0)
NET = inf.serial(inf.dense(4), inf.relu(), inf.dense(1))
ABC = {"a": 1.0, "b": 0.5, "c": 0.1}
WINDOW = {"window": 2, "strides": 1, "padding": "SAME"}

# Name: valid calls, each a function and its arguments.
CALLS = {
    "Layer": [
        (
            NET.kernel,
            {
                **{
                    "x1": X,
                    "x2": X,
                    "get": "ntk",
                    "positions": "all",
                    "dtype": None,
                    "memory_gb": 1.0,
                },
                **{"mesh": None},
            },
        ),
        (NET.init, {"key": KEY, "input_shape": (3, 2)}),
    ],
    "attention": [
        (
            inf.attention,
            {
                **{"width": 4, "heads": 2, "scaling": "linear", "mechanism": "softmax"},
                **{"sigma_qk": 1.0, "sigma_ov": 1.0, "sigma_b": 0.1},
            },
        )
    ],
    "avg_pool": [(inf.avg_pool, {**WINDOW, "normalize_edges": True})],
    "conv": [(inf.conv, {"width": 2, **WINDOW, "sigma_w": 1.0, "sigma_b": 0.1})],
    "conv_local": [(inf.conv_local, {"width": 2, **WINDOW, "sigma_w": 1.0, "sigma_b": 0.1})],
    "conv_transpose": [
        (inf.conv_transpose, {"width": 2, **WINDOW, "sigma_w": 1.0, "sigma_b": 0.1})
    ],
    "cos": [(inf.cos, ABC)],
    "dense": [(inf.dense, {"width": 2, "sigma_w": 1.0, "sigma_b": 0.1})],
    "dropout": [(inf.dropout, {"keep": 0.5})],
    "elementwise": [(inf.elementwise, {"fn": jnp.tanh, "degree": 4})],
    "erf": [(inf.erf, ABC)],
    "exp": [(inf.exp, {"a": 1.0, "b": 0.5})],
    "exp_normalized": [(inf.exp_normalized, {"gamma": 1.0, "shift": -1.0})],
    "gaussian": [(inf.gaussian, {"a": 1.0, "b": 0.5})],
    "hermite": [(inf.hermite, {"degree": 2})],
    "layer_norm": [(inf.layer_norm, {"axis": "all", "eps": 1e-6})],
    "leaky_relu": [(inf.leaky_relu, {"negative_slope": 0.1})],
    "monomial": [(inf.monomial, {"degree": 2})],
    "one_hot": [(inf.one_hot, {"tokens": np.array([[0, 2], [1, 1]]), "vocabulary": 3})],
    "parallel": [(lambda branches: inf.parallel(inf.dense(), branches), {"branches": inf.dense()})],
    "polynomial": [(inf.polynomial, {"coefficients": np.array([0.0, 1.0, 0.5])})],
    "rbf": [(inf.rbf, {"gamma": 1.0})],
    "rectified_monomial": [(inf.rectified_monomial, {"degree": 2})],
    "recurrent": [(inf.recurrent, {"width": 4, "sigma_w": 1.0, "sigma_u": 1.0, "sigma_b": 0.1})],
    "residual": [
        (lambda layers, skip=None: inf.residual(layers, skip=skip), {"layers": inf.dense()})
    ],
    "serial": [(lambda layers: inf.serial(inf.dense(), layers), {"layers": inf.relu()})],
    "sin": [(inf.sin, ABC)],
}
# Results, layers without a parameter, and one that takes functions alone.
OTHERS = {"Embedding", "Kernels", "abs", "dual_activation", "flatten", "gabor", "gelu"}
OTHERS |= {"global_avg_pool", "identity", "relu", "sign"}


def test_every_public_name_is_attacked():
    assert CALLS.keys() | OTHERS == set(inf.__all__)


def test_malformed_arguments_are_refused_by_name():
    assert bad_input.faults_in(chain.from_iterable(CALLS.values())) == []


@pytest.mark.parametrize("sigma", [np.nan, np.inf, np.array([1.0, 2.0]), "1"])
def test_a_layer_refuses_a_scale_that_is_no_number(sigma):
    with pytest.raises(InputError, match="sigma_w"):
        inf.dense(sigma_w=sigma)


@pytest.mark.parametrize("skip", ["seven", inf.dense, 3])
def test_the_skip_of_a_residual_is_a_layer(skip):
    with pytest.raises(InputError, match=r"skip = .*; a layer"):
        inf.residual(inf.dense(), skip=skip)


def test_scales_may_be_traced_and_layers_hold_anything():
    slope = jax.grad(lambda s: jnp.sum(inf.dense(1, sigma_w=s).kernel(X)))(1.5)
    assert np.isfinite(slope)
    marks = jax.tree.map(lambda _: object(), inf.dense(1))
    assert isinstance(marks, type(inf.dense(1)))
