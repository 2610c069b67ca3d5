"""`theorylab doctor`: what is installed, what it computes on, and how fast."""

import time

from theorylab.cli.data_commands import where
from theorylab.cli.layout import tell_pairs


def matmul_rate(size: int = 2048, repeats: int = 3) -> float:
    """The best of `repeats` measured rates of float32 matrix products, in GFLOP/s.

    On the default device, at full precision.
    """
    import jax
    import jax.numpy as jnp

    a = jnp.ones((size, size), jnp.float32)
    product = jax.jit(lambda x: jnp.matmul(x, x, precision="highest"))
    product(a).block_until_ready()
    best = float("inf")
    for _ in range(repeats):
        start = time.perf_counter()
        product(a).block_until_ready()
        best = min(best, time.perf_counter() - start)
    return 2 * size**3 / best / 1e9


def doctor() -> None:
    """Print versions, devices, data sets and speed of this machine."""
    import jax
    import jax.numpy as jnp

    from theorylab import data
    from theorylab.lab import provenance

    wide = jnp.result_type(float) == jnp.float64
    tell_pairs(
        [
            *provenance.versions().items(),
            ("commit", provenance.commit() or "not a checkout"),
            ("devices", ", ".join(str(d) for d in jax.devices())),
            ("computing on", provenance.device()),
            ("float64 by default", "yes" if wide else "no (used locally where theory needs it)"),
            ("float32 matrix product", f"{matmul_rate():.0f} GFLOP/s"),
            ("data folder", str(data.cache_dir())),
            *((f"data: {name}", where(name)) for name in data.CATALOGUE),
        ]
    )
