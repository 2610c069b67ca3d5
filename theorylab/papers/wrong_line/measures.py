"""What the claims measure, and the bounds that they state.

Reference values of means by n come from an independent NumPy computation of the same model with
other random numbers. A side on which a quantity has a natural limit (a correlation, an accuracy, a
ratio of norms) has no bound.
"""

from collections.abc import Callable, Mapping

import numpy as np

from theorylab.lab import Evidence, Preset, Results, bootstrap, correlation, over_seeds
from theorylab.lab.claim import Measure
from theorylab.papers.types import AllResults
from theorylab.papers.wrong_line.tables import axis, line_of, pair_name, search_lines

# means by n = 100 ... 1600 of (ID, OOD) accuracy, over REFERENCE_SEEDS seeds
REFERENCE_SEEDS, BASE_SEEDS = 4, 5
MEANS = {
    0.0: ((0.921, 0.975, 0.991, 0.999, 1.0), (0.882, 0.925, 0.943, 0.960, 0.972)),
    0.02: ((0.898, 0.945, 0.972, 0.990, 0.997), (0.846, 0.880, 0.859, 0.854, 0.806)),
    0.05: ((0.880, 0.923, 0.956, 0.980, 0.991), (0.829, 0.832, 0.778, 0.755, 0.696)),
    0.1: ((0.835, 0.876, 0.935, 0.953, 0.976), (0.775, 0.758, 0.716, 0.663, 0.625)),
    0.2: ((0.715, 0.790, 0.878, 0.910, 0.931), (0.658, 0.664, 0.631, 0.594, 0.568)),
    0.3: ((0.646, 0.711, 0.789, 0.824, 0.873), (0.597, 0.602, 0.580, 0.553, 0.541)),
}


def _noise(
    results: AllResults, eta: float, tau: float | None = None
) -> tuple[Results, int, int, int]:
    """Rows of the noise experiment with the indices of eta, of the smallest penalty and of tau (the
    model's)."""
    rows = results["noise"]
    tau = next(iter(rows)).cell["model"]["tau"] if tau is None else tau
    return (
        rows,
        axis(rows, "etas").index(eta),
        int(np.argmin(axis(rows, "lams"))),
        axis(rows, "taus").index(tau),
    )


def noise_line(eta: float, tau: float | None = None, *, blind: bool = False) -> Callable:
    """A getter of (id, ood, sizes) at one noise rate and shift; `blind` evaluates OOD with the ID
    noise scale."""

    def get(results: AllResults) -> tuple[np.ndarray, np.ndarray, list[float]]:
        rows, e, l, t = _noise(results, eta, tau)
        inside = rows.stack("id")[:, :, e, l]
        return inside, inside if blind else rows.stack("ood")[:, :, e, l, t], axis(rows, "ns")

    return get


def penalty_line(lam: float) -> Callable:
    def get(results: AllResults) -> tuple[np.ndarray, np.ndarray, list[float]]:
        rows = results["penalty"]
        l = axis(rows, "lams").index(lam)
        return rows.stack("id")[:, :, 0, l], rows.stack("ood")[:, :, 0, l, 0], axis(rows, "ns")

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
                line_of(inside, outside, ns)[0],
                inside.size,
                *corr,
                len(inside),
            ),
            bootstrap(
                f"correlation of the means by n{name}",
                lambda i, o: line_of(i, o, ns)[2],
                (inside, outside),
                *corr,
            ),
        ]
        if np.isfinite(slope).any():
            found.append(
                bootstrap(
                    "slope d probit(OOD) / d probit(ID)",
                    lambda i, o: line_of(i, o, ns)[1],
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


def non_interpolating(lam: float) -> Measure:
    """The training error on the observed labels is above 0 for every n >= 200."""

    def measure(results: AllResults, preset: Preset) -> list[Evidence]:
        rows = results["penalty" if lam in axis(results["penalty"], "lams") else "noise"]
        e, l, ns = axis(rows, "etas").index(0.1), axis(rows, "lams").index(lam), axis(rows, "ns")
        error = rows.stack("train_error")[:, :, e, l]
        return [
            over_seeds(f"training error at λ = {lam:g}, n = {n}", error[:, i], 1e-12)
            for i, n in enumerate(ns)
            if n >= 200
        ]

    return measure


def sensitivity(with_noise: float, without: float) -> Measure:
    """rho grows at least threefold in n under noise, and does not grow without."""

    def measure(results: AllResults, preset: Preset) -> list[Evidence]:
        growth = {}
        for eta in (with_noise, without):
            rows, e, l, _ = _noise(results, eta)
            rho = rows.stack("sensitivity")[:, :, e, l]
            growth[eta] = rho[:, -1] / rho[:, 0]
        return [
            over_seeds("rho(largest n) / rho(smallest n), noisy", growth[with_noise], 3.0),
            over_seeds("rho(largest n) / rho(smallest n), clean", growth[without], high=1.0),
        ]

    return measure


def means_agree(shuffle: bool) -> Measure:
    """Means lie within 0.02 of the reference, at every noise rate and n; a control takes the next
    noise rate's."""

    def measure(results: AllResults, preset: Preset) -> list[Evidence]:
        rows = results["noise"]
        etas = [eta for eta in axis(rows, "etas") if eta in MEANS]
        found = []
        for i, eta in enumerate(etas):
            reference = MEANS[etas[(i + 1) % len(etas)] if shuffle else eta]
            inside, outside, ns = noise_line(eta)(results)
            for name, values, expected in zip(
                ("ID", "OOD"), (inside, outside), reference, strict=True
            ):
                found += [
                    over_seeds(
                        f"{name} - reference, η = {eta:g}, n = {n}",
                        _with_reference_error(values[:, j] - expected[j]),
                        -0.02,
                        0.02,
                    )
                    for j, n in enumerate(ns)
                ]
        return found

    return measure


def _with_reference_error(gaps: np.ndarray) -> np.ndarray:
    """Gaps (seeds,) to the reference, spread so that the interval of their mean has the reference's
    error in it.

    The reference is a mean over REFERENCE_SEEDS seeds of the same model: its variance is sd^2 /
    REFERENCE_SEEDS, with our own sd. Over N pooled seeds the variance of the mean gap is sd^2 (1/N
    + 1/REFERENCE_SEEDS), which is that of a mean of N values sqrt(1 + N/REFERENCE_SEEDS) times as
    far apart. N is that of a replication, BASE_SEEDS times our seeds, as the reference stays the
    same however often we draw; in a single run the interval is wider than needed.
    """
    spread = np.sqrt(1 + BASE_SEEDS * len(gaps) / REFERENCE_SEEDS)
    return gaps.mean() + spread * (gaps - gaps.mean())


def _memorised(results: AllResults, factor: float) -> tuple[np.ndarray, np.ndarray, list[float]]:
    """||w_N|| / (factor x bound) (seeds, sizes, noise rates), noise rates, sizes.

    NaN without wrong labels, or without interpolation.
    """
    rows = results["noise"]
    etas, l = np.asarray(axis(rows, "etas")), int(np.argmin(axis(rows, "lams")))
    norm, bound = (rows.stack(q)[..., l] for q in ("norm_n", "memorised"))
    return norm / np.where(bound > 0, factor * bound, np.nan), etas, axis(rows, "ns")


def memorisation(factor: float) -> Measure:
    """||w_N|| / bound, the least of all interpolated training sets; the bound grows with sqrt|B|, 4
    |B| doubles it."""

    def measure(results: AllResults, preset: Preset) -> list[Evidence]:
        ratio, etas, _ = _memorised(results, factor)
        return [
            Evidence(
                "smallest ‖w_N‖ / bound, all η > 0", float(np.nanmin(ratio[:, :, etas > 0])), 1.0
            )
        ]

    return measure


def memorisation_tight(factor: float) -> Measure:
    """||w_N|| / bound, its mean over seeds, lies between 1 and 2 for eta >= 0.1 and every n."""

    def measure(results: AllResults, preset: Preset) -> list[Evidence]:
        ratio, etas, ns = _memorised(results, factor)
        return [
            over_seeds(f"mean ‖w_N‖ / bound, η = {eta:g}, n = {n}", at[np.isfinite(at)], 1.0, 2.0)
            for e, eta in enumerate(etas)
            if eta >= 0.1
            for i, n in enumerate(ns)
            for at in (ratio[:, i, e],)
        ]

    return measure


def ood_bound(*, blind: bool) -> Measure:
    """OOD error minus its lower bound, the smallest over all interpolated training sets; `blind`
    uses the ID error."""

    def measure(results: AllResults, preset: Preset) -> list[Evidence]:
        rows, _, l, t = _noise(results, 0.1)
        noisy = np.asarray(axis(rows, "etas")) > 0
        error = 1 - (rows.stack("id")[..., l] if blind else rows.stack("ood")[..., l, t])
        gap = (error - rows.stack("ood_bound"))[:, :, noisy]
        return [Evidence("smallest OOD error - bound", float(np.nanmin(gap)), 0.0)]

    return measure


def shift_holds(bound: str) -> Measure:
    """P(error | x) minus its bound, smallest over margins, with 4 standard errors of the draws.

    Where the bound is met with equality, one of the 8 margins x 3 seeds is off by that much once in
    1,300 runs.
    """

    def measure(results: AllResults, preset: Preset) -> list[Evidence]:
        found = []
        for row in results["mean_shift"]:
            noise = 4 * np.sqrt(row["true"] * (1 - row["true"]) / row.cell["draws"])
            gap = float((row["true"] + noise - row[bound]).min())
            found.append(
                Evidence(f"smallest P(error) + 4 s.e. - bound, seed {row.cell['seed']}", gap, 0.0)
            )
        return found

    return measure


def approximation(wrong: float) -> Measure:
    """(1 + mean margin) sqrt(|B| / k) / sigma equals the exact bound within 5 % where |B| < k /
    100."""

    def measure(results: AllResults, preset: Preset) -> list[Evidence]:
        rows, e, l, _ = _noise(results, 0.1)
        rough, exact = (rows.stack(q)[:, :, e, l] for q in ("approximation", "memorised"))
        ratio = wrong * rough / np.where(exact > 0, exact, np.nan)
        return [
            over_seeds(f"approximation / bound, n = {n}", ratio[:, i], 0.95, 1.05)
            for i, n in enumerate(axis(rows, "ns"))
        ]

    return measure


def closed_form(which: str) -> Measure:
    """Errors in closed form and on explicit draws, in standard errors of the draws.

    One of the four numbers is beyond 4 by chance once in 4,000 runs.
    """

    def measure(results: AllResults, preset: Preset) -> list[Evidence]:
        found = []
        for row in results["compression"]:
            for i, name in enumerate(("ID", "OOD")):
                compared = row["exact"][::-1] if which == "swapped" else row["exact"]
                z = float((row["sampled"][i] - compared[i]) / row["standard_error"][i])
                found.append(
                    Evidence(
                        f"{name}: (explicit - closed form) / s.e., seed {row.cell['seed']}",
                        z,
                        -4.0,
                        4.0,
                    )
                )
        return found

    return measure


def compression(halved: bool) -> Measure:
    """Largest difference of (w_S, ||w_N||) between explicit and compressed features, relative to
    the largest entry."""

    def measure(results: AllResults, preset: Preset) -> list[Evidence]:
        gaps = []
        for row in results["compression"]:
            other = row["compressed"].copy()
            other[-1] *= 0.999 if halved else 1.0
            gaps.append(np.abs(row["explicit"] - other).max() / np.abs(row["explicit"]).max())
        return [Evidence("largest relative difference", float(np.max(gaps)), 0.0, 1e-6)]

    return measure


def gradients(arrays: Mapping[str, str]) -> Measure:
    """The largest gradient norm of any fit of these experiments is below 1e-6."""

    def measure(results: AllResults, preset: Preset) -> list[Evidence]:
        return [
            Evidence(
                f"largest gradient norm, {name}",
                max(float(row[array].max()) for row in results[name]),
                0.0,
                1e-6,
            )
            for name, array in arrays.items()
        ]

    return measure


def single_precision(variant: str) -> Measure:
    """Largest relative difference of the ID and OOD errors of a variant from float64."""

    def measure(results: AllResults, preset: Preset) -> list[Evidence]:
        row, found = next(iter(results["precision"])), []
        for risk in ("id", "ood"):
            gap = float(np.abs(row[f"{risk}_{variant}"] / row[f"{risk}_float64"] - 1).max())
            found.append(
                Evidence(f"largest relative difference of the {risk.upper()} error", gap, 0.0, 0.01)
            )
        return found

    return measure


def pair_line(index: int, eta: float, lam: float) -> Callable:
    def get(results: AllResults) -> tuple[np.ndarray, np.ndarray, list[float]]:
        rows = results["pairs"]
        first = list(dict.fromkeys(pair_name(row.cell) for row in rows))[index]
        rows = Results(tuple(row for row in rows if pair_name(row.cell) == first))
        e, l = axis(rows, "etas").index(eta), axis(rows, "lams").index(lam)
        return rows.stack("id")[:, :, e, l], rows.stack("ood")[:, :, e, l], axis(rows, "ns")

    return get


def least_squares(eta: float, learner: int) -> Measure:
    """Growth of rho in n of the last learner (minimum norm) or of another: by 30 % or more."""

    def measure(results: AllResults, preset: Preset) -> list[Evidence]:
        rows = results["learners"]
        e = axis(rows, "etas").index(eta)
        rho = rows.stack("sensitivity")[:, :, e, learner]
        return [
            over_seeds(
                f"rho(largest n) / rho(smallest n), η = {eta:g}", rho[:, -1] / rho[:, 0], 1.3
            )
        ]

    return measure


def early_stopping(eta: float, look: int) -> Measure:
    """Correlation of the line of gradient descent at one look (pooled)."""

    def measure(results: AllResults, preset: Preset) -> list[Evidence]:
        rows = results["learners"]
        e = axis(rows, "etas").index(eta)
        inside, outside = rows.stack("id")[:, :, e, look], rows.stack("ood")[:, :, e, look]
        corr = line_of(inside, outside, axis(rows, "ns"))[0]
        return [
            correlation(
                "pooled correlation of probits", corr, inside.size, 0.8, np.inf, len(inside)
            )
        ]

    return measure


def network_slope(stage: int, eta: float) -> Measure:
    """How much lower the OOD accuracy is than the ID accuracy at the largest n, noisy minus clean
    labels."""

    def measure(results: AllResults, preset: Preset) -> list[Evidence]:
        rows = results["mlp"]
        gap = rows.stack("id")[..., stage] - rows.stack("ood")[..., stage]
        e, clean = axis(rows, "etas").index(eta), axis(rows, "etas").index(0.0)
        return [
            over_seeds(
                "extra loss of accuracy out of distribution",
                (gap[:, -1, e] - gap[:, -1, clean]),
                0.02,
            )
        ]

    return measure


def colour_drop(name: str, noisy: float = 0.25) -> Measure:
    """Correlation with clean labels minus correlation at noise `noisy`, at least 0.5; resampled
    over seeds."""

    def measure(results: AllResults, preset: Preset) -> list[Evidence]:
        rows = results["coloured"].where(name=name)
        ns, (first, last) = (
            axis(rows, "ns"),
            (axis(rows, "etas").index(eta) for eta in (0.0, noisy)),
        )

        def drop(inside: np.ndarray, outside: np.ndarray) -> float:
            clean, wrong = (line_of(inside[..., e], outside[..., e], ns)[0] for e in (first, last))
            return clean - wrong

        return [
            bootstrap(
                f"corr(η = 0) - corr(η = {noisy:g}), {name}",
                drop,
                (rows.stack("id"), rows.stack("ood")),
                0.5,
                np.inf,
            )
        ]

    return measure


def searched(name: str, eta: float) -> Measure:
    """Each seed's correlation over sizes: the mean over seeds is below 0."""

    def measure(results: AllResults, preset: Preset) -> list[Evidence]:
        each = next(each for n, e, each, *_ in search_lines(results) if n == name and e == eta)
        return [over_seeds("correlation over n, mean over seeds", each, high=0.0)]

    return measure
