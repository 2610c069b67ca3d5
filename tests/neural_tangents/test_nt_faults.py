"""What neural-tangents' own tests found wrong here, each against an independent computation."""

import os
import subprocess
import sys

import jax
import numpy as np
import pytest

from theorylab import neural_tangents as nt
from theorylab.neural_tangents import stax

DEVICES = """
import jax
import numpy as np
from theorylab import neural_tangents as nt
from theorylab.neural_tangents import stax

x1, x2 = (jax.random.normal(jax.random.key(n), (n, 4, 3, 2)) for n in (8, 4))
init_fn, f, _ = stax.serial(
    stax.Conv(1, (3, 3)), stax.Relu(), stax.Flatten(), stax.Dense(2, 2.0, 0.5)
)
params = init_fn(jax.random.key(1), x1.shape)[1]
rows = [
    np.concatenate([np.asarray(r).reshape(len(x), 2, -1) for r in jax.tree.leaves(found)], -1)
    for x in (x1, x2)
    for found in [jax.jacrev(f)(params, x)]
]
expected = np.einsum("iop,jop->ij", *rows) / 2
alone = np.einsum("iop,jop->ij", rows[0], rows[0]) / 2
ntk_fn = nt.empirical_ntk_fn(f)
for size in (0, 3):
    for count in (0, 2, -1):
        for store in (True, False):
            batched = nt.batch(ntk_fn, size, count, store)
            np.testing.assert_allclose(batched(x1, x2, params), expected, rtol=2e-5, atol=2e-5)
            np.testing.assert_allclose(batched(x1, None, params), alone, rtol=2e-5, atol=2e-5)
print("equal")
"""


# With one channel the correlation of inputs u, v is the sign of uv. Dense, ReLU: covariance and
# tangent kernel are max(uv, 0)/2. Dense, ReLU again: the kernel max(uv, 0) times 1/2, the slope at
# correlation 1.
MOMENT = """
import jax
import jax.numpy as jnp
import numpy as np
from theorylab.neural_tangents import stax

def relu_moment(s12, s11, s22):
    root = jnp.sqrt(jnp.maximum(s11 * s22 - s12**2, 1e-30))  # of what rounding leaves
    angle = jnp.arctan2(root, s12)
    return root / (2 * jnp.pi) + (1 - angle / jnp.pi) / 2 * s12

x = jax.random.normal(jax.random.key(1), (5, 4, 3, 1))
net = stax.serial(*[stax.Dense(1), stax.Elementwise(nngp_fn=relu_moment)] * 2)
u = np.asarray(x)[..., 0]
at_equal = np.maximum(u[:, None] * u[None], 0) / 2
pairs = np.maximum(np.einsum("iab,jcd->ijacbd", u, u), 0) / 2
for full, expected in ((False, at_equal), (True, pairs)):
    found = net[2](x, None, "ntk", diagonal_spatial=not full)
    np.testing.assert_allclose(found, expected, atol=5e-3)
    with jax.enable_x64(True):
        wide = net[2](jnp.asarray(x, jnp.float64), None, "ntk", diagonal_spatial=not full)
    np.testing.assert_allclose(wide, expected, atol=1e-6)
print("equal")
"""


@pytest.mark.long
@pytest.mark.parametrize(
    ("script", "flags"),
    [(DEVICES, "--xla_force_host_platform_device_count=2"), (MOMENT, "")],
    ids=["kernels over two devices", "derivatives of a given moment at correlation 1"],
)
def test_values_of_a_program_compiled_as_users_do(script, flags):
    env = {**os.environ, "JAX_PLATFORMS": "cpu", "XLA_FLAGS": flags}
    done = subprocess.run(
        [sys.executable, "-c", script], env=env, capture_output=True, text=True, check=False
    )
    assert done.stdout == "equal\n", done.stderr


def test_a_pair_of_axes_of_samples_is_for_a_pair_of_inputs():
    init_fn, f, _ = stax.parallel(stax.Dense(3), stax.serial(stax.Dense(4), stax.Erf()))
    keys = jax.random.split(jax.random.key(0), 4)
    x1 = (jax.random.normal(keys[0], (3, 5)), jax.random.normal(keys[1], (2, 3)))
    x2 = (jax.random.normal(keys[2], (4, 5)), jax.random.normal(keys[3], (2, 4)))
    params = init_fn(jax.random.key(1), ((3, 5), (3, 2)))[1]

    def moved(params, x):  # the samples of the second input and output are on axis 1
        first, second = f(params, (x[0], x[1].T))
        return first, second.T

    found = nt.empirical_ntk_fn(moved, trace_axes=(), vmap_axes=(0, 1))(x1, x2, params)
    for number, swap in ((0, False), (1, True)):
        rows = []
        for x in (x1, x2):
            jacobians = jax.tree.leaves(jax.jacrev(moved)(params, x)[number])
            shape = moved(params, x)[number].shape
            rows.append(np.concatenate([np.asarray(j).reshape(*shape, -1) for j in jacobians], -1))
        how = "aip,bjp->abij" if swap else "iap,jbp->ijab"
        np.testing.assert_allclose(found[number], np.einsum(how, *rows), rtol=1e-5, atol=1e-5)


def test_pooling_takes_positions_that_do_not_covary_as_such():
    # a local convolution has weights of its own at every position, so that a pool of its outputs
    # sums variances: by hand from the covariances at equal positions
    x = jax.random.normal(jax.random.key(2), (3, 5, 6, 2))
    local = stax.serial(stax.ConvLocal(8, (2, 3), W_std=1.3, b_std=0.4), stax.Erf())
    again = stax.ConvLocal(8, (1, 2))
    first = stax.serial(local, again)[2](x, None, ("nngp", "ntk"), diagonal_spatial=True)
    pool = stax.AvgPool((2, 2), (1, 2))
    for read_out in (stax.GlobalAvgPool(), stax.GlobalSumPool()):
        net = stax.serial(local, again, read_out)
        scale = 1.0 if read_out[0].__name__ == "GlobalSumPool" else 12.0**-2
        for diagonal in (True, False, None):
            found = net[2](x, None, ("nngp", "ntk"), diagonal_spatial=diagonal)
            for k, before in zip(found, first, strict=True):
                np.testing.assert_allclose(k, before.sum((2, 3)) * scale, rtol=2e-5)
    pooled = stax.serial(local, again, pool)
    held = pooled[2](x, None, ("nngp", "ntk"), diagonal_spatial=True)
    whole = pooled[2](x, None, ("nngp", "ntk"), diagonal_spatial=False)
    for k, everything, before in zip(held, whole, first, strict=True):
        windows = [before[:, :, i : i + 3, j : j + 2 : 2] for i in (0, 1) for j in (0, 1)]
        np.testing.assert_allclose(k[..., :1], sum(w[..., :1] for w in windows) / 16, rtol=2e-5)
        np.testing.assert_allclose(np.einsum("ijaabb->ijab", everything), k, rtol=2e-5)
