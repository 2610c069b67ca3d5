"""Networks written for neural-tangents give the values that neural-tangents 0.6.5 gave for them.

The values are those of tests/ntk_infinite/golden; `generate.py` there says how they were made.
"""

import json
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from theorylab.neural_tangents import stax

GOLDEN = np.load(Path(__file__).parents[1] / "ntk_infinite" / "golden" / "parity.npz")
NETWORKS = sorted({name.split("/")[0] for name in GOLDEN.files}, key=int)
QUICK = {"0", "2", "6", "8"}
FUNCTIONS = {"tanh": jnp.tanh, "softplus": jax.nn.softplus, "sigmoid": jax.nn.sigmoid}


def build(spec):
    return stax.serial(*[one(name, dict(arguments)) for name, arguments in spec])


def one(name, a):
    scales = {"W_std": a.get("sigma_w", 1.0), "b_std": a.get("sigma_b", 0.0)}
    window = {"strides": tuple(a.get("strides", ())) or None, "padding": a.get("padding")}
    if name == "parallel":
        branches = [build(branch) for branch in a["branches"]]
        return stax.serial(stax.FanOut(len(branches)), stax.parallel(*branches), stax.FanInSum())
    return {
        "dense": lambda: stax.Dense(4, **scales),
        "conv": lambda: stax.Conv(4, tuple(a["window"]), **window, **scales),
        "identity": stax.Identity,
        "relu": stax.Relu,
        "abs": stax.Abs,
        "gelu": stax.Gelu,
        "leaky_relu": lambda: stax.LeakyRelu(a["negative_slope"]),
        "erf": lambda: stax.Erf(a["a"], a["b"], a["c"]),
        "sin": lambda: stax.Sin(a["a"], a["b"], a["c"]),
        "cos": lambda: stax.Cos(a["a"], a["b"], a["c"]),
        "gaussian": lambda: stax.Gaussian(a["a"], -a["b"]),
        "polynomial": lambda: stax.Polynomial(a["coefficients"]),
        "elementwise": lambda: stax.ElementwiseNumerical(FUNCTIONS[a["fn"]], deg=64),
        "flatten": stax.Flatten,
        "global_avg_pool": stax.GlobalAvgPool,
        "avg_pool": lambda: stax.AvgPool(
            tuple(a["window"]), normalize_edges=a["normalize_edges"], **window
        ),
        "layer_norm": lambda: stax.LayerNorm(axis=-1 if a["axis"] == "channels" else a["axes"]),
        "dropout": lambda: stax.Dropout(a["keep"]),
    }[name]()


@pytest.mark.long
@pytest.mark.parametrize(
    "number", [n if n in QUICK else pytest.param(n, marks=pytest.mark.slow) for n in NETWORKS]
)
def test_a_random_composition_has_the_values_of_neural_tangents(number):
    kernel_fn = build(json.loads(str(GOLDEN[f"{number}/spec"])))[2]
    x1, x2 = GOLDEN[f"{number}/x1"], GOLDEN[f"{number}/x2"]
    with jax.enable_x64(True):
        for name, other in (("self", None), ("cross", x2)):
            both = kernel_fn(x1, other, ("nngp", "ntk"))
            for get in ("nngp", "ntk"):
                expected = GOLDEN[f"{number}/{name}/{get}"]
                ours = np.asarray(getattr(both, get))
                if ours.ndim == 6:  # stored as (n, n, h, w, h, w), one row of pairs
                    ours = ours.transpose(0, 1, 2, 4, 3, 5)[:1]
                scale = np.abs(expected).max()
                np.testing.assert_allclose(
                    ours, expected, rtol=1e-6, atol=1e-6 * scale, err_msg=f"{name} {get}"
                )
