"""What claims of several subjects share."""

from collections.abc import Callable

import numpy as np

from theorylab.lab import Evidence, Preset, Results, bootstrap, correlation, over_seeds
from theorylab.lab.claim import Measure
from theorylab.papers.types import AllResults
from theorylab.papers.wrong_line.tables import grid_of, line_of

BIG = ("quick", "medium", "full")

PAPER = "Sanyal et al. 2025"


def noise_results(
    results: AllResults, eta: float, tau: float | None = None
) -> tuple[Results, int, int, int]:
    """Rows of the noise experiment with the indices of eta, of the smallest penalty and of tau (the
    model's)."""
    rows = results["noise"]
    tau = next(iter(rows)).cell["model"]["tau"] if tau is None else tau
    return (
        rows,
        grid_of(rows, "etas").index(eta),
        int(np.argmin(grid_of(rows, "lams"))),
        grid_of(rows, "taus").index(tau),
    )


def noise_line(eta: float, tau: float | None = None, *, blind: bool = False) -> Callable:
    """A getter of (id, ood, sizes) at one noise rate and shift; `blind` evaluates OOD with the ID
    noise scale."""

    def get(results: AllResults) -> tuple[np.ndarray, np.ndarray, list[float]]:
        rows, e, l, t = noise_results(results, eta, tau)
        inside = rows.stack("id")[:, :, e, l]
        return inside, inside if blind else rows.stack("ood")[:, :, e, l, t], grid_of(rows, "ns")

    return get


def line(
    get: Callable,
    corr: tuple[float, float],
    slope: tuple[float, float] = (-np.inf, np.inf),
    name: str = "",
) -> Measure:
    """Pooled correlation, the correlation of the means by n, and the slope.

    Every point is a training set of its own, so that the pooled correlation has Fisher's interval:
    it is wide rather than narrow, as the sizes are chosen and not drawn. The others are resampled
    over seeds.
    """

    def measure(results: AllResults, preset: Preset) -> list[Evidence]:
        inside, outside, ns = get(results)
        found = [
            correlation(
                f"pooled correlation of probits{name}",
                line_of(inside, outside, ns).corr,
                inside.size,
                *corr,
                len(inside),
            ),
            bootstrap(
                f"correlation of the means by n{name}",
                lambda i, o: line_of(i, o, ns).corr_of_means,
                (inside, outside),
                *corr,
            ),
        ]
        if np.isfinite(slope).any():
            found.append(
                bootstrap(
                    "slope d probit(OOD) / d probit(ID)",
                    lambda i, o: line_of(i, o, ns).slope,
                    (inside, outside),
                    *slope,
                )
            )
        return found

    return measure


def more_data_hurts(get: Callable, fall: float, rise: float) -> Measure:
    """From the smallest to the largest n, OOD accuracy falls by at least `fall` while ID rises by
    at least `rise`."""

    def measure(results: AllResults, preset: Preset) -> list[Evidence]:
        inside, outside, ns = get(results)
        span = f"n = {ns[0]} to {ns[-1]}"
        return [
            over_seeds(f"fall of OOD accuracy, {span}", outside[:, 0] - outside[:, -1], fall),
            over_seeds(f"rise of ID accuracy, {span}", inside[:, -1] - inside[:, 0], rise),
        ]

    return measure
