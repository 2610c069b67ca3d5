"""`theorylab doctor`: what is installed, what it computes on, and how fast."""

import time

from rich.console import Console
from rich.table import Table


def matmul_rate(size: int = 2048, repeats: int = 3) -> float:
    """Measured float32 matrix-product rate of the default device at full precision, in GFLOP/s (best of `repeats`)."""
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
    """Versions, devices, precision, data present and the measured speed of this machine."""
    import jax
    import jax.numpy as jnp

    from theorylab import data
    from theorylab.lab import provenance

    table = Table("what", "found", title="theorylab doctor", title_justify="left")
    for name, version in provenance.versions().items():
        table.add_row(name, version)
    table.add_row("commit", provenance.commit() or "not a checkout")
    table.add_row("devices", ", ".join(str(d) for d in jax.devices()))
    table.add_row("computing on", provenance.device())
    wide = jnp.result_type(float) == jnp.float64
    table.add_row("float64 by default", "yes" if wide else "no (used locally where theory needs it)")
    table.add_row("float32 matrix product", f"{matmul_rate():.0f} GFLOP/s")
    table.add_row("data folder", str(data.cache_dir()))
    for name in data.CATALOGUE:
        table.add_row(f"data: {name}", "here" if data.status(name).cached else "not fetched")
    Console(highlight=False).print(table)
