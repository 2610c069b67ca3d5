"""What claims of several subjects share."""

from typing import Any

PAPER = "Tifrea, Yüce, Sanyal, Yang 2023"

BIG = ("quick", "full")


def enough_labels(s: Any, d: float, n_l: Any, n_u: Any) -> Any:
    """Whether the information n_l + n_u s²/(1+s²) is the 10 d/s² that leading order needs."""
    return n_l + n_u * s**2 / (1 + s**2) >= 10 * d / s**2 * (1 - 1e-9)
