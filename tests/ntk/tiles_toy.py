"""A small network, its kernel, and what is on the disk: for the tests of kernels in tiles."""

from pathlib import Path
from typing import Any

import jax.numpy as jnp
import numpy as np

RNG = np.random.default_rng(0)
X = RNG.standard_normal((11, 4)).astype(np.float32)
Y = RNG.standard_normal((6, 4)).astype(np.float32)
W = RNG.standard_normal((4, 3)).astype(np.float32)


def net(w: Any, x: Any) -> Any:
    return jnp.tanh(x @ w) ** 2


# 3 x 3 tiles, of which the last ones hold three samples
NETWORK: dict[str, Any] = {"f": net, "params": W, "x1": X, "tile": 4, "progress": False}


def files(folder: Path) -> dict[str, bytes]:
    """The chunks and the header, by their names."""
    found = [path for path in folder.rglob("*") if path.is_file() and ".tiles" not in path.parts]
    return {str(path.relative_to(folder)): path.read_bytes() for path in found}


def journal(folder: Path) -> list[bytes]:
    return (folder / ".tiles" / "journal.txt").read_bytes().splitlines()
