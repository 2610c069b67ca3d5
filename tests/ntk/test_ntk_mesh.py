"""The kernel sharded over eight simulated devices equals the kernel on one."""

import os
import subprocess
import sys

import pytest

SCRIPT = """
import jax, numpy as np
from theorylab.ntk import empirical_ntk
assert len(jax.devices()) == 8
x = np.random.default_rng(0).standard_normal((21, 6)).astype(np.float32)
w = [np.random.default_rng(1).standard_normal(s).astype(np.float32) for s in ((6, 9), (9, 2))]
f = lambda w, x: jax.numpy.tanh(x @ w[0]) @ w[1]
mesh = jax.make_mesh((4, 2), ("a", "b"))
for reduce in ("trace", "full"):
    for x2 in (None, x[:5]):
        one, eight = (
            empirical_ntk(f, w, x, x2, reduce=reduce, mesh=m, memory_gb=3e-4) for m in (None, mesh)
        )
        np.testing.assert_allclose(eight, one, rtol=1e-5, atol=1e-5 * abs(one).max())
print("equal")
"""


@pytest.mark.long
def test_eight_devices_give_the_kernel_of_one() -> None:
    env = {
        **os.environ,
        "JAX_PLATFORMS": "cpu",
        "XLA_FLAGS": "--xla_force_host_platform_device_count=8",
    }
    done = subprocess.run([sys.executable, "-c", SCRIPT], env=env, capture_output=True, text=True)
    assert done.stdout == "equal\n", done.stderr
