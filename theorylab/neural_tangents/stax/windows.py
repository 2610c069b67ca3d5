"""What becomes of masks under sliding windows."""

from typing import Any

import jax.numpy as jnp

from theorylab.ntk.infinite.transposed import spread
from theorylab.ntk.infinite.windows import Window


def _any(seen: Any, window: Window) -> Any:
    axes = [(1 + d,) for d in range(len(window.sizes))]
    return window.sums(seen.astype(jnp.float32), axes) > 0


def mask_windows(mask: Any, window: Window) -> Any:
    """(n, *S, c): what no window sees anything of is masked."""
    return ~_any(~mask, window) if window.sizes else mask


def spread_mask_windows(mask: Any, window: Window) -> Any:
    """The same for transposed convolutions: masked where only what is masked arrives."""
    dims = len(window.sizes)
    if not dims:
        return mask
    axes = [(1 + d,) for d in range(dims)]
    slide = Window(window.sizes, (1,) * dims, "VALID")
    arrives, hidden = (
        _any(spread(part.astype(jnp.float32), window, axes) > 0, slide) for part in (~mask, mask)
    )
    return hidden & ~arrives
