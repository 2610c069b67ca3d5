"""Sensitivity, memorisation and their bounds."""

import numpy as np

from theorylab.lab import Claim, Evidence, Preset, over_seeds
from theorylab.lab.claim import Measure
from theorylab.papers.types import AllResults
from theorylab.papers.wrong_line.claims.shared import BIG, PAPER, noise_line, noise_results
from theorylab.papers.wrong_line.tables import grid_of

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


def sensitivity(with_noise: float, without: float) -> Measure:
    """rho grows at least threefold in n under noise, and does not grow without."""

    def measure(results: AllResults, preset: Preset) -> list[Evidence]:
        growth = {}
        for eta in (with_noise, without):
            rows, e, l, _ = noise_results(results, eta)
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
        etas = [eta for eta in grid_of(rows, "etas") if eta in MEANS]
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
                        with_reference_error(values[:, j] - expected[j]),
                        -0.02,
                        0.02,
                    )
                    for j, n in enumerate(ns)
                ]
        return found

    return measure


def with_reference_error(gaps: np.ndarray) -> np.ndarray:
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
    etas, l = np.asarray(grid_of(rows, "etas")), int(np.argmin(grid_of(rows, "lams")))
    norm, bound = (rows.stack(q)[..., l] for q in ("norm_w_n", "memorised"))
    return norm / np.where(bound > 0, factor * bound, np.nan), etas, grid_of(rows, "ns")


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
        rows, _, l, t = noise_results(results, 0.1)
        noisy = np.asarray(grid_of(rows, "etas")) > 0
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
        rows, e, l, _ = noise_results(results, 0.1)
        rough, exact = (rows.stack(q)[:, :, e, l] for q in ("approximation", "memorised"))
        ratio = wrong * rough / np.where(exact > 0, exact, np.nan)
        return [
            over_seeds(f"approximation / bound, n = {n}", ratio[:, i], 0.95, 1.05)
            for i, n in enumerate(grid_of(rows, "ns"))
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


CLAIMS = (
    Claim(
        "sensitivity_grows",
        (
            "The nuisance sensitivity ‖w_N‖ / ‖w_S‖ grows at least threefold with n under noise, "
            "and does not grow without noise"
        ),
        (
            "our derivation, docs/derivations/memorisation.md, statement 3, whose bound "
            "grows with the number of wrong labels; the factor is measured"
        ),
        ("noise",),
        sensitivity(0.1, 0.0),
        {"noise and no noise exchanged": sensitivity(0.0, 0.1)},
        presets=BIG,
    ),
    Claim(
        "means",
        "Mean ID and OOD accuracies lie within 0.02 of the reference table, for every η and n",
        "our check: an independent NumPy simulation of the same model",
        ("noise",),
        means_agree(False),
        {"the next noise rate's reference": means_agree(True)},
        presets=("quick", "medium"),
        note="The table is itself a mean over 4 seeds. Its standard error, taken from the spread "
        "of ours, is in the interval and reaches over 0.02 at the smaller sizes: what cannot be "
        "told there is undecided.",
    ),
    Claim(
        "memorisation_bound",
        "‖w_N‖ at margin 1 is never below the memorisation bound",
        "our derivation, docs/derivations/memorisation.md, statement 1",
        ("noise",),
        memorisation(1.0),
        {"4 |B| wrong labels": memorisation(2.0)},
    ),
    Claim(
        "memorisation_tight",
        "The memorisation bound is tight within a factor of 2: for η >= 0.1 and every n, the mean "
        "over seeds of ‖w_N‖ / bound lies between 1 and 2",
        "our check of our derivation, docs/derivations/memorisation.md, statement 1",
        ("noise",),
        memorisation_tight(1.0),
        {"4 |B| wrong labels": memorisation_tight(2.0)},
        presets=BIG,
    ),
    Claim(
        "memorisation_approximation",
        "The bound is (1 + mean margin) sqrt(|B| / k) / σ within 5 %",
        "our derivation, docs/derivations/memorisation.md, statement 2",
        ("noise",),
        approximation(1.0),
        {"k halved": approximation(2**0.5)},
    ),
    Claim(
        "ood_bound",
        "The OOD error is never below the bound that memorisation implies",
        "our derivation, docs/derivations/memorisation.md, statement 4",
        ("noise",),
        ood_bound(blind=False),
        {"error with the ID noise scale": ood_bound(blind=True)},
    ),
    Claim(
        "mean_shift_bound",
        "Under a misaligned mean shift P(error | x) is never below the sub-Gaussian bound",
        (
            "our derivation, docs/derivations/memorisation.md, statement 5, in the form of "
            f"the theorem of {PAPER}"
        ),
        ("mean_shift",),
        shift_holds("bound"),
        {"σ taken four times too small": shift_holds("bound_half_sigma")},
    ),
    Claim(
        "closed_form",
        "The closed-form errors agree with explicit nuisance features within 4 standard errors",
        "our check: Gaussian closed forms against draws of every nuisance coordinate",
        ("compression",),
        closed_form("exact"),
        {"ID and OOD exchanged": closed_form("swapped")},
    ),
    Claim(
        "compression",
        "Fits on explicit and on compressed nuisance features are the same to 1e-6",
        "our derivation, docs/derivations/memorisation.md, statement 6",
        ("compression",),
        compression(False),
        {"‖w_N‖ off by 0.1 %": compression(True)},
        kind="identity",
    ),
)
