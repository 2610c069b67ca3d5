"""What the claims measure: functions of the results that give evidence, the numbers and the bounds
of each."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from theorylab.lab import Evidence, Preset, Results, over_seeds
from theorylab.papers.more_than_a_toy.figures import curves
from theorylab.papers.types import AllResults
from theorylab.rmt import fit_exponents, power_law_kappa
from theorylab.rmt.scaling import log_slope

BAND = (0.88, 1.15)  # of GCV / test risk on real data
# rms of GCV/R - 1 by N and ridge, and ridgeless omniscient slopes by (alpha, delta): the reference
# values
RATE = {
    50: (0.397, 0.359, 0.282),
    100: (0.254, 0.203, 0.161),
    200: (0.156, 0.107, 0.092),
    400: (0.108, 0.074, 0.060),
}
SLOPES = {
    (1.5, 1.5): (-0.502, -0.517),
    (1.3, 2.0): (-1.006, -1.022),
    (2.0, 1.8): (-0.797, -0.804),
    (1.2, 3.0): (-1.95, -2.06),
    (1.2, 4.5): (-2.41, -2.51),
}


def rms(draws: np.ndarray) -> np.ndarray:
    """Root mean square over the draws, the first axis."""
    return np.sqrt((draws**2).mean(0))


def jackknifed(
    label: str,
    statistic: Callable[[np.ndarray], Any],
    draws: np.ndarray,
    low: float = -np.inf,
    high: float = np.inf,
) -> Evidence:
    """Evidence from a smooth statistic of independent draws (draws, ...).

    Its sample are Tukey's pseudo-values, one a draw: their mean is the statistic, less its bias of
    order 1 / draws.
    """
    count = len(draws)
    without = np.array([statistic(np.delete(draws, i, 0)) for i in range(count)])
    return over_seeds(label, count * statistic(draws) - (count - 1) * without, low, high)


def _errors(rows: Results, estimate: str, truth: str) -> np.ndarray:
    """(draws, ridges): estimate / truth - 1."""
    ratio = rows.stack(estimate) / rows.stack(truth)
    return ratio.reshape(-1, ratio.shape[-1]) - 1


def gcv_rate(estimate: str) -> Callable[[AllResults, Preset], Sequence[Evidence]]:
    """Claim 1: rms of estimate/risk - 1 within 35 % of the reference, its log-log slope in N at
    most -0.35.

    The theorem bounds the error from above: a steeper fall does not speak against it.
    """

    def measure(results: AllResults, preset: Preset) -> list[Evidence]:
        group = results["gcv_rate"]
        sizes = group.unique("n")
        errors = np.stack([_errors(group.where(n=n), estimate, "risk") for n in sizes], 1)
        ridges = next(iter(group)).cell["ridges"]
        evidence = [
            jackknifed(
                f"rms at N={n}, ridge {r:g}, relative to {RATE[n][j]}",
                rms,
                errors[:, i, j] / RATE[n][j],
                0.65,
                1.35,
            )
            for i, n in enumerate(sizes)
            for j, r in enumerate(ridges)
        ]
        return evidence + [
            jackknifed(
                f"slope at ridge {r:g}",
                lambda e: log_slope(np.asarray(sizes, float), rms(e))[0],
                errors[:, :, j],
                high=-0.35,
            )
            for j, r in enumerate(ridges)
        ]

    return measure


def kappa_estimate(scale: float) -> Callable[[AllResults, Preset], Sequence[Evidence]]:
    """Claim 2: N times the rms relative error of scale * kappa-hat at the smallest ridge is at most
    6."""

    def measure(results: AllResults, preset: Preset) -> list[Evidence]:
        evidence = []
        for n in results["gcv_rate"].unique("n"):
            rows = results["gcv_rate"].where(n=n)
            error = scale * rows.stack("kappa_hat") / rows.stack("kappa")[:, None, :] - 1
            label = f"N rms(κ̂/κ - 1) at N={n}"
            evidence.append(jackknifed(label, rms, n * error[..., 0].ravel(), high=6.0))
        return evidence

    return measure


def design_ratio(design: str) -> Callable[[AllResults, Preset], Sequence[Evidence]]:
    """Claim 3: the mean of GCV / risk lies in [0.9, 1.25] at every ridge."""

    def measure(results: AllResults, preset: Preset) -> list[Evidence]:
        rows = results["gcv_controls"].where(design=design)
        ratio = (rows.stack("gcv") / rows.stack("risk")).mean(1)
        return [
            over_seeds(f"GCV / risk, {design}, ridge {r:g}", ratio[:, j], 0.9, 1.25)
            for j, r in enumerate(next(iter(rows)).cell["ridges"])
        ]

    return measure


def failure(limits: Mapping[str, float]) -> Callable[[AllResults, Preset], Sequence[Evidence]]:
    """Claim 3b: at the smallest ridge GCV / risk falls below a limit, by design."""

    def measure(results: AllResults, preset: Preset) -> list[Evidence]:
        evidence = []
        for design, limit in limits.items():
            rows = results["gcv_controls"].where(design=design)
            ratio = (rows.stack("gcv") / rows.stack("risk")).mean(1)[:, 0]
            evidence.append(over_seeds(f"GCV / risk, {design}, smallest ridge", ratio, high=limit))
        return evidence

    return measure


def real_ratio(
    estimate: str, control: str | None = None, others: bool = False
) -> Callable[[AllResults, Preset], Sequence[Evidence]]:
    """Claim 4: the mean over splits of estimate / test risk lies in the band, at every N >= 250 and
    every ridge.

    On the first data set, or on all others.
    """

    def measure(results: AllResults, preset: Preset) -> list[Evidence]:
        rows = results["spoiled"].where(control=control) if control else results["analytic"]
        evidence = []
        for name in rows.unique("data")[1:] if others else rows.unique("data")[:1]:
            group = rows.where(data=name)
            ratio = group.stack(estimate) / group.stack("test")
            cell = next(iter(group)).cell
            for i, n in enumerate([cell["n"]] if control else cell["sizes"]):
                for j, r in enumerate(cell["ridges"]):
                    if n >= 250:
                        label = f"{estimate.upper()} / test, {name}, N={n}, ridge {r:g}"
                        evidence.append(over_seeds(label, ratio[:, i, j], *BAND))
        return evidence

    return measure


def _ridgeless(results: AllResults, quantity: str) -> tuple[list[int], np.ndarray, np.ndarray]:
    """Sizes, and (splits, sizes) of a quantity and of the test risk for the ReLU kernel at ridge
    0."""
    rows = results["analytic"].where(data=results["analytic"].unique("data")[0])
    cell = next(iter(rows)).cell
    zero = cell["ridges"].index(0.0)
    return cell["sizes"], rows.stack(quantity)[:, :, zero], rows.stack("test")[:, :, zero]


def norm_is_flat(quantity: str) -> Callable[[AllResults, Preset], Sequence[Evidence]]:
    """Claim 5a: over all N the bound varies by less than 15 % of its mean while the test risk falls
    by over 30 %."""

    def measure(results: AllResults, preset: Preset) -> list[Evidence]:
        sizes, bound, test = _ridgeless(results, quantity)
        label = f"N={sizes[0]}..{sizes[-1]}"
        return [
            over_seeds(
                f"range of {quantity} / mean, {label}",
                np.ptp(bound, axis=1) / bound.mean(1),
                high=0.15,
            ),
            over_seeds(f"fall of the test risk, {label}", 1 - test[:, -1] / test[:, 0], 0.3),
        ]

    return measure


def too_optimistic(quantity: str) -> Callable[[AllResults, Preset], Sequence[Evidence]]:
    """Claim 5b: the estimate is below 0.7 times the test risk at every N."""

    def measure(results: AllResults, preset: Preset) -> list[Evidence]:
        sizes, estimate, test = _ridgeless(results, quantity)
        return [
            over_seeds(f"{quantity} / test at N={n}", (estimate / test)[:, i], high=0.7)
            for i, n in enumerate(sizes)
        ]

    return measure


def collapses(quantity: str) -> Callable[[AllResults, Preset], Sequence[Evidence]]:
    """Claim 5c: at N = 2/3 of the samples that it was made from, the estimate is below half the
    test risk."""

    def measure(results: AllResults, preset: Preset) -> list[Evidence]:
        sizes, estimate, test = _ridgeless(results, quantity)
        return [
            over_seeds(f"{quantity} / test at N={sizes[-1]}", (estimate / test)[:, -1], high=0.5)
        ]

    return measure


def capacity(quantity: str) -> Callable[[AllResults, Preset], Sequence[Evidence]]:
    """Claim 6: the capacity exponent fitted from kappa-hat is 1.20 +- 0.05."""

    def measure(results: AllResults, preset: Preset) -> list[Evidence]:
        sizes, values, _ = _ridgeless(results, quantity)
        slopes = [fit_exponents(np.asarray(sizes), row).alpha for row in values]
        return [over_seeds(f"-slope of {quantity}", slopes, 1.15, 1.25)]

    return measure


def constants(wrong: float) -> Callable[[AllResults, Preset], Sequence[Evidence]]:
    """Claim 6b: kappa = C_alpha N^-alpha and its derivative is alpha, within 2 % at N = 1,000."""

    def measure(results: AllResults, preset: Preset) -> list[Evidence]:
        evidence = []
        for alpha in (1.5, 2.0, 3.0):
            row = next(iter(results["exponents"].where(alpha=alpha)))
            at = row.cell["sizes"].index(1000)
            ratio = row["kappa"][at] / (wrong * float(power_law_kappa(alpha, 1000)))
            evidence.append(Evidence(f"κ / C_α N^-α at α={alpha}", ratio, 0.98, 1.02))
            evidence.append(
                Evidence(f"∂κ/∂λ / α at α={alpha}", row["dkappa"][at] / alpha / wrong, 0.98, 1.02)
            )
        return evidence

    return measure


def exponent_table(shift: float) -> Callable[[AllResults, Preset], Sequence[Evidence]]:
    """Claim 7: ridgeless slopes of the deterministic risk over N = 1e2..1e3 and 1e3..1e4, to
    0.02."""

    def measure(results: AllResults, preset: Preset) -> list[Evidence]:
        evidence = []
        for (alpha, delta), known in SLOPES.items():
            row = next(iter(results["exponents"].where(alpha=alpha, delta=delta)))
            slopes = np.diff(np.log(row["risk"])) / np.diff(
                np.log(np.asarray(row.cell["sizes"], float))
            )
            for slope, reference in zip(slopes, known, strict=True):
                label = f"slope at α={alpha}, δ={delta}, expected {reference}"
                evidence.append(Evidence(label, slope + shift - reference, -0.02, 0.02))
        return evidence

    return measure


def training_helps(selector: str) -> Callable[[AllResults, Preset], Sequence[Evidence]]:
    """Claim 8: at the ridge of the least `selector`, the test risk of a kernel after training
    (here, or on ImageNet) is below that of the initial one at its ridge of the least GCV, by 3 % at
    every N.

    The splits of one run share the networks and the test images: they give one value a base seed,
    their mean.
    """

    def measure(results: AllResults, preset: Preset) -> list[Evidence]:
        evidence = []
        group = results["network_curves"]
        for name, network in group.unique("data", "network"):
            rows = group.where(data=name, network=network)
            initial = _selected(rows.where(weights="init"), "gcv")
            for weights in sorted({"trained", "pretrained"} & set(rows.unique("weights"))):
                trained = _selected(rows.where(weights=weights), selector)
                for i, n in enumerate(next(iter(rows)).cell["sizes"]):
                    label = f"{network} on {name}, {weights} / init, N={n}"
                    evidence.append(
                        over_seeds(label, (trained[:, i] / initial[:, i]).mean(), high=0.97)
                    )
        return evidence

    return measure


def _selected(rows: Results, selector: str) -> np.ndarray:
    """(splits, sizes): test risk at the ridge of the least `selector`."""
    best = rows.stack(selector).argmin(2)
    return np.take_along_axis(rows.stack("test"), best[..., None], axis=2)[..., 0]


def loo_is_right(quantity: str) -> Callable[[AllResults, Preset], Sequence[Evidence]]:
    """Claim 8b: leave-one-out is within 12 % of the test risk for every kernel, N >= 250 and
    ridge."""

    def measure(results: AllResults, preset: Preset) -> list[Evidence]:
        evidence = []
        for kernel, name, rows in curves(results):
            ratio = rows.stack(quantity) / rows.stack("test")
            cell = next(iter(rows)).cell
            for i, n in enumerate(cell["sizes"]):
                for j, r in enumerate(cell["ridges"]):
                    if n >= 250:
                        label = f"{quantity.upper()} / test, {kernel} on {name}, N={n}, ridge {r:g}"
                        evidence.append(over_seeds(label, ratio[:, i, j], 0.88, 1.12))
        return evidence

    return measure


def _large(results: AllResults) -> Iterator[tuple[str, Results, int]]:
    """Label, rows and index of the size of every kernel at every N >= 1,000."""
    for kernel, name, rows in curves(results):
        for i, n in enumerate(next(iter(rows)).cell["sizes"]):
            if n >= 1000:
                yield f"{kernel} on {name}, N={n}", rows, i


def gcv_where_selected(
    estimate: str, data: str = "cifar10"
) -> Callable[[AllResults, Preset], Sequence[Evidence]]:
    """Claim 8c: at the ridge of least GCV the estimate is within 10 % of the test risk, N >= 1,000,
    on this data."""

    def measure(results: AllResults, preset: Preset) -> list[Evidence]:
        evidence = []
        for label, rows, i in _large(results):
            if next(iter(rows)).cell["data"] != data:
                continue
            ratio = (rows.stack(estimate) / rows.stack("test"))[:, i]
            chosen = ratio[np.arange(len(ratio)), rows.stack("gcv")[:, i].argmin(1)]
            evidence.append(
                over_seeds(f"{estimate.upper()} / test, {label}, selected ridge", chosen, 0.9, 1.1)
            )
        return evidence

    return measure


def gcv_everywhere(results: AllResults, preset: Preset) -> list[Evidence]:
    """The same at every ridge. Beside each number, LOO / test, GCV / LOO and the spread of diag K
    tell why."""
    evidence = []
    for label, rows, i in _large(results):
        test, gcv, loo = (rows.stack(q)[:, i] for q in ("test", "gcv", "loo"))
        spread = rows.stack("diag_cv")[:, i].mean()
        for j, r in enumerate(next(iter(rows)).cell["ridges"]):
            ratio = (gcv / test)[:, j]
            why = (
                f"LOO / test {(loo / test)[:, j].mean():.3f}, GCV / LOO "
                f"{(gcv / loo)[:, j].mean():.3f}, diag K varies by {spread:.2f}"
            )
            evidence.append(
                over_seeds(f"GCV / test, {label}, ridge {r:g} ({why})", ratio, 0.9, 1.1)
            )
    return evidence


def uneven_leverage(explained: bool) -> Callable[[AllResults, Preset], Sequence[Evidence]]:
    """Claim 8d: GCV / LOO is 1 + the squared variation of 1 - leverage over samples, within 25 %,
    at N >= 1,000."""

    def measure(results: AllResults, preset: Preset) -> list[Evidence]:
        evidence = []
        for label, rows, i in _large(results):
            ratio = (rows.stack("gcv") / rows.stack("loo"))[:, i]
            if explained:
                ratio = ratio / (1 + rows.stack("leverage_spread")[:, i])
            evidence += [
                over_seeds(
                    f"GCV / LOO over 1 + spread, {label}, ridge {r:g}", ratio[:, j], 0.8, 1.25
                )
                for j, r in enumerate(next(iter(rows)).cell["ridges"])
            ]
        return evidence

    return measure


def pretrained_ratio(
    experiment: str, low: float, high: float, weights: str = "pretrained"
) -> Callable[[AllResults, Preset], Sequence[Evidence]]:
    """GCV / LOO without ridge of networks' kernels, at the largest N."""

    def measure(results: AllResults, preset: Preset) -> list[Evidence]:
        evidence = []
        for network, name in results[experiment].where(weights=weights).unique("network", "data"):
            rows = results[experiment].where(weights=weights, network=network, data=name)
            cell = next(iter(rows)).cell
            ratio = (rows.stack("gcv") / rows.stack("loo"))[..., cell["ridges"].index(0.0)].reshape(
                len(rows), -1
            )
            n = cell["n"] if "n" in cell else cell["sizes"][-1]
            label = f"GCV / LOO, {network}, {weights}, on {name}, {experiment}, N={n}, ridge 0"
            evidence.append(over_seeds(label, ratio[:, -1], low, high))
        return evidence

    return measure


def law_slopes(design: str) -> Callable[[AllResults, Preset], Sequence[Evidence]]:
    """The residuals fall with N. At a fixed ridge: slope of (A) <= -0.9, of (B) <= -0.4, where the
    law says -1 and -1/2 at most; at the moving one, both fall by at least a fifth from the smallest
    N to the largest."""

    def measure(results: AllResults, preset: Preset) -> list[Evidence]:
        rows = results["local_law"].where(design=design)
        sizes = np.asarray([r.cell["n"] for r in rows], float)
        averaged, anisotropic = (
            np.stack([r[law] for r in rows], 1) for law in ("averaged", "anisotropic")
        )
        ends = f"N={sizes[0]:g}..{sizes[-1]:g}, {design}"

        def slope(draws: np.ndarray) -> float:
            return log_slope(sizes, rms(draws))[0]

        def fall(draws: np.ndarray) -> float:
            return float(rms(draws[:, -1]) / rms(draws[:, 0]))

        evidence = [
            jackknifed(f"slope of (A), {ends}", slope, averaged[..., 0], high=-0.9),
            jackknifed(
                f"(A) at the moving ridge, last / first, {ends}", fall, averaged[..., 1], high=0.8
            ),
        ]
        for k, mode in enumerate(next(iter(rows)).cell["modes"]):
            fixed, moving = anisotropic[:, :, 0, k], anisotropic[:, :, 1, k]
            evidence.append(
                jackknifed(f"slope of (B) at mode {mode}, {ends}", slope, fixed, high=-0.4)
            )
            label = f"(B) at mode {mode}, moving ridge, last / first, {ends}"
            evidence.append(jackknifed(label, fall, moving, high=0.8))
        return evidence

    return measure


def selects_well(rule: str) -> Callable[[AllResults, Preset], Sequence[Evidence]]:
    """The mean over draws of the risk at the selected ridge is at most 5 % above the best on the
    grid."""

    def measure(results: AllResults, preset: Preset) -> list[Evidence]:
        group = results["selection"]
        return [
            over_seeds(f"risk / best, noise {v:g}", group.where(noise=v).stack(rule), high=1.05)
            for v in group.unique("noise")
        ]

    return measure
