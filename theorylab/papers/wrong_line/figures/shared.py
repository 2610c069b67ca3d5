"""What figures of several subjects share."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import FixedFormatter, FixedLocator, NullLocator
from scipy.special import ndtri

from theorylab.papers.wrong_line.tables import CLIP

TICKS = (
    0.1,
    0.2,
    0.3,
    0.4,
    0.5,
    0.55,
    0.6,
    0.65,
    0.7,
    0.75,
    0.8,
    0.85,
    0.9,
    0.95,
    0.97,
    0.98,
    0.99,
    0.999,
)

# where fewer than three of the others are in sight
CLOSE_TICKS = tuple(k / 100 for k in range(1, 100))


def probit_axes(axes: Axes, x: np.ndarray, y: np.ndarray) -> None:
    """Probit scales on both axes, drawn by hand so that the ticks are accuracies."""
    for which, values in ((axes.xaxis, x), (axes.yaxis, y)):
        z = ndtri(np.clip(values, CLIP, 1 - CLIP))
        low, high = z.min() - 0.15 * np.ptp(z) - 0.05, z.max() + 0.15 * np.ptp(z) + 0.05
        shown = [t for t in TICKS if low <= ndtri(t) <= high]
        if len(shown) < 3:
            shown = [t for t in CLOSE_TICKS if low <= ndtri(t) <= high]
        for t in tuple(shown):  # labels closer than an eighth of the axis would run into each other
            before = [s for s in shown if s < t]
            if before and ndtri(t) - ndtri(before[-1]) < (high - low) / 8:
                shown.remove(t)
        which.set_major_locator(FixedLocator(ndtri(np.asarray(shown)).tolist()))
        which.set_major_formatter(FixedFormatter([f"{t:g}" for t in shown]))
        which.set_minor_locator(NullLocator())
        (axes.set_xlim if which is axes.xaxis else axes.set_ylim)(low, high)
