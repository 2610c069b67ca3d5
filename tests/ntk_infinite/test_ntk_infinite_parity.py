"""Random compositions of all combinators agree with neural-tangents 0.6.5 (values made by
golden/generate.py)."""

import json
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from theorylab.ntk import infinite as inf

GOLDEN = np.load(Path(__file__).parent / "golden" / "parity.npz")
NETWORKS = sorted({name.split("/")[0] for name in GOLDEN.files}, key=int)
QUICK = {"0", "2", "6", "8", "12"}  # compiling all of them takes minutes
FUNCTIONS = {"tanh": jnp.tanh, "softplus": jax.nn.softplus, "sigmoid": jax.nn.sigmoid}


def build(spec):
    return inf.serial(*[one(name, dict(arguments)) for name, arguments in spec])


def one(name, arguments):
    if name == "parallel":
        return inf.parallel(*[build(branch) for branch in arguments["branches"]])
    if name == "elementwise":
        return inf.elementwise(FUNCTIONS[arguments["fn"]])
    arguments.pop("axes", None)
    positional = {"conv": [4], "avg_pool": []}.get(name, [])
    if "window" in arguments:
        positional = [*positional, arguments.pop("window")]
    return getattr(inf, name)(*positional, **arguments)


@pytest.mark.long
@pytest.mark.parametrize(
    "number", [n if n in QUICK else pytest.param(n, marks=pytest.mark.slow) for n in NETWORKS]
)
def test_random_composition_agrees_with_neural_tangents(number):
    net = build(json.loads(str(GOLDEN[f"{number}/spec"])))
    x1, x2 = GOLDEN[f"{number}/x1"], GOLDEN[f"{number}/x2"]
    for name, other in (("self", None), ("cross", x2)):
        both = net.kernel(x1, other, get="both")
        for get in ("nngp", "ntk"):
            expected = GOLDEN[f"{number}/{name}/{get}"]
            ours = np.asarray(getattr(both, get))[: expected.shape[0]]
            assert ours.dtype == np.float64
            scale = np.abs(expected).max()
            np.testing.assert_allclose(
                ours, expected, rtol=1e-6, atol=1e-6 * scale, err_msg=f"{name} {get}"
            )
