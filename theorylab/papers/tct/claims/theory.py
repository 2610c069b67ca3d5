"""Least squares and tangent features: what can be computed exactly."""

from collections.abc import Callable

import numpy as np

from theorylab.lab import Claim, Evidence, Preset, over_seeds
from theorylab.lab.claim import Measure
from theorylab.papers.tct.claims.shared import BIG, FIXED, all_of
from theorylab.papers.tct.tables import main_setting, standard
from theorylab.papers.types import AllResults

ROUNDING = 1e-10


def largest(experiment: str, array: str, low: float, high: float) -> Measure:
    """The largest entry of an array over all cells of an experiment lies in [low, high]."""

    def measure(results: AllResults, preset: Preset) -> list[Evidence]:
        values = np.abs(results[experiment].stack(array))
        return [
            Evidence(
                f"{array}, largest", float(values.max()), low, high, seeds=len(results[experiment])
            )
        ]

    return measure


def _at_steps(results: AllResults, array: str, steps: int) -> np.ndarray:
    rows = results["fixed_points"]
    return rows.stack(array)[:, next(iter(rows)).cell["steps"].index(steps)]


def bias_grows(array: str) -> Measure:
    """Nothing at M = 1, then more with every M."""

    def measure(results: AllResults, preset: Preset) -> list[Evidence]:
        steps = next(iter(results["fixed_points"])).cell["steps"]
        distances = [_at_steps(results, array, m) for m in steps]
        rises = [
            over_seeds(f"M = {a} to {b}", y - x, 1e-3)
            for a, b, x, y in zip(steps, steps[1:], distances, distances[1:], strict=False)
        ]
        return [
            Evidence("at M = 1", float(distances[0].max()), 0, ROUNDING, seeds=len(distances[0])),
            *rises,
        ]

    return measure


def best_steps(array: str) -> Measure:
    """The radius is least at neither end of the grid of M."""

    def measure(results: AllResults, preset: Preset) -> list[Evidence]:
        rows = results["fixed_points"]
        steps, radii = next(iter(rows)).cell["steps"], rows.stack(array)
        inner = radii[:, 1:-1].min(1)
        return [
            over_seeds(
                f"radius at M = {steps[0]} less the least inside", radii[:, 0] - inner, 0.02
            ),
            over_seeds(
                f"radius at M = {steps[-1]} less the least inside", radii[:, -1] - inner, 0.02
            ),
        ]

    return measure


def rates(array: str) -> Measure:
    """The contraction seen is the spectral radius within 0.01."""

    def measure(results: AllResults, preset: Preset) -> list[Evidence]:
        rows = results["fixed_points"]
        gap = np.abs(rows.stack(array) - rows.stack("rate")).max()
        return [
            Evidence("largest |radius - contraction seen|", float(gap), 0, 0.01, seeds=len(rows))
        ]

    return measure


def interpolates(array: str) -> Measure:
    def measure(results: AllResults, preset: Preset) -> list[Evidence]:
        values = results["interpolation"].stack(array)
        values = values[..., -1].max() if values.ndim > 1 else values.max()
        return [
            Evidence(f"{array}: distance to the minimum-norm interpolator", float(values), 0, 1e-8)
        ]

    return measure


def refused(factor: Callable[[float], float]) -> Measure:
    """Below 2 / lambda_max steps are accepted and contract, above they are refused and diverge."""

    def measure(results: AllResults, preset: Preset) -> list[Evidence]:
        evidence = []
        for row in results["step_size"]:
            for c, accepted, growth in zip(
                row.cell["factors"], row["accepted"], row["growth"], strict=True
            ):
                stable = factor(c) < 2
                evidence.append(
                    Evidence(f"c = {c:g} accepted", float(accepted), float(stable), float(stable))
                )
                low, high = (0.0, 1.0) if stable else (1.0, np.inf)
                evidence.append(
                    Evidence(f"c = {c:g}: growth over 200 steps", float(growth), low, high)
                )
        return evidence

    return measure


def curvature_scales(tag: str) -> Measure:
    """trace(Phi Phi^T) / n is the number of live coordinates, lambda_max(H_i) 1 % to 100 % of p."""

    def measure(results: AllResults, preset: Preset) -> list[Evidence]:
        rows = standard(results, main_setting(preset))
        trace = np.abs(rows.stack(f"{tag}trace") / rows.stack(f"{tag}live") - 1).max()
        share = rows.stack(f"{tag}curvature") / rows.stack("p")[:, None]
        return [
            Evidence("|trace / live coordinates - 1|", float(trace), 0, 1e-5, seeds=len(rows)),
            Evidence("least λmax(H_i) / p", float(share.min()), 0.01, 1.0),
            Evidence("largest λmax(H_i) / p", float(share.max()), 0.01, 1.0),
        ]

    return measure


def slope(array: str) -> Measure:
    return lambda results, preset: [
        over_seeds("log-log slope", results["tangent"].stack(array), 1.95, 2.05)
    ]


def subsampled(variance: str) -> Measure:
    """The one deviation of the mean is within 4 standard errors (beyond by chance: 6e-5), the
    variance within 5 %."""

    def measure(results: AllResults, preset: Preset) -> list[Evidence]:
        rows = results["tangent"]
        return [
            Evidence(
                "mean, largest deviation in standard errors",
                float(np.abs(rows.stack("mean")).max()),
                0,
                4,
            ),
            over_seeds("variance / formula", rows.stack(variance), 0.95, 1.05),
        ]

    return measure


CLAIMS = (
    Claim(
        "option_two",
        (
            "The update of stage 2 is option II of SCAFFOLD as it runs on networks: iterates are "
            "equal over 50 rounds, to 1e-10"
        ),
        "our derivation, docs/derivations/federated_least_squares.md, statement 1",
        ("equivalence",),
        all_of(
            largest("equivalence", "difference", 0, ROUNDING),
            largest("equivalence", "invariant", 0, 1e-12),
        ),
        {
            "without the correction": largest("equivalence", "uncorrected", 0, ROUNDING),
            "corrections handed to the next client": largest(
                "equivalence", "shuffled", 0, ROUNDING
            ),
        },
        kind="identity",
    ),
    Claim(
        "fedavg_limit",
        "FedAvg on least squares converges to (Σ p_i S_i H_i)⁻¹ Σ p_i S_i b_i, for every M",
        "our derivation, docs/derivations/federated_least_squares.md, statement 2",
        FIXED,
        largest("fixed_points", "fedavg_to_formula", 0, ROUNDING),
        {
            "the optimum in place of the formula": largest(
                "fixed_points", "fedavg_to_optimum", 0, ROUNDING
            )
        },
        kind="identity",
    ),
    Claim(
        "fedavg_bias",
        "FedAvg's limit is the optimum for M = 1, and lies farther from the optimum the larger M "
        "is",
        (
            "our derivation, docs/derivations/federated_least_squares.md, statement 2; that "
            "it grows with every M is measured"
        ),
        FIXED,
        bias_grows("bias"),
        {
            "SCAFFOLD's limit": bias_grows("scaffold_to_optimum"),
            "distance to the mean of the clients' minimisers": bias_grows("to_minimisers"),
        },
    ),
    Claim(
        "scaffold_unbiased",
        "SCAFFOLD converges to the optimum, for every M",
        "our derivation, docs/derivations/federated_least_squares.md, statement 3",
        FIXED,
        largest("fixed_points", "scaffold_to_optimum", 0, ROUNDING),
        {"without the correction": largest("fixed_points", "fedavg_to_optimum", 0, ROUNDING)},
    ),
    Claim(
        "min_norm",
        "With p > n both methods started at 0 tend to the minimum-norm interpolator",
        "our derivation, docs/derivations/federated_least_squares.md, statement 4",
        ("interpolation",),
        all_of(interpolates("fedavg"), interpolates("scaffold")),
        {"started outside the row span": interpolates("outside")},
    ),
    Claim(
        "rate",
        "SCAFFOLD's contraction per round is the spectral radius on Σ h_i = 0, within 0.01",
        "our derivation, docs/derivations/federated_least_squares.md, statement 5",
        FIXED,
        rates("radius"),
        {"FedAvg's radius": rates("fedavg_radius")},
    ),
    Claim(
        "best_steps",
        "SCAFFOLD has a best M inside the grid: both fewer and more local steps are slower",
        "our check of the spectral radii of a round",
        FIXED,
        best_steps("radius"),
        {"FedAvg": best_steps("fedavg_radius")},
    ),
    Claim(
        "step_size",
        "Step sizes below 2/λmax contract and are accepted; step sizes above it diverge and are "
        "refused",
        "our derivation, docs/derivations/federated_least_squares.md, statement 6",
        ("step_size",),
        refused(lambda c: c),
        {"limit at 1/λmax": refused(lambda c: 2 * c)},
    ),
    Claim(
        "curvature",
        "With standardised features the trace of the Gram matrix over n is the number of live "
        "coordinates, and λmax(H_i) is 1 % to 100 % of p",
        (
            "our derivation, docs/derivations/federated_least_squares.md, statement 7, of "
            "the trace; 1 % to 100 % is what images give"
        ),
        ("convex",),
        curvature_scales(""),
        {"raw features": curvature_scales("raw_")},
        presets=BIG,
    ),
    Claim(
        "gram_form",
        "The Gram form equals the primal loop at every round, for M = 1, 25, 500",
        "our derivation, docs/derivations/federated_least_squares.md, statement 8",
        ("gram_form",),
        largest("gram_form", "difference", 0, ROUNDING),
        {"one local step more": largest("gram_form", "one_more", 0, ROUNDING)},
        kind="identity",
    ),
    Claim(
        "linearisation",
        "|f(w + tu) - f(w) - t⟨φ, u⟩| scales as t²: slope in [1.95, 2.05]",
        "our check of the features: Taylor's theorem",
        ("tangent",),
        slope("slope"),
        {"parameters in reverse order": slope("wrong_slope")},
    ),
    Claim(
        "kernel",
        "ΦΦᵀ is the empirical tangent kernel of the network with the scalar head",
        "our check of the features: the definition of the kernel",
        ("tangent",),
        largest("tangent", "kernel", 0, 1e-5),
        {"another head": largest("tangent", "other_head", 0, 1e-5)},
        kind="identity",
    ),
    Claim(
        "subsampling",
        (
            "p of P coordinates estimate the kernel without bias, with variance P²(1 - p/P)s²/p "
            "within 5 %"
        ),
        "our derivation, docs/derivations/federated_least_squares.md, statement 9",
        ("tangent",),
        subsampled("variance"),
        {"variance of draws with replacement": subsampled("variance_with_replacement")},
    ),
    Claim(
        "standardiser",
        "Moments that clients send give the pooled standard deviations, to 1e-6",
        "our derivation, docs/derivations/federated_least_squares.md, statement 10",
        ("tangent",),
        all_of(largest("tangent", "statistics", 0, 1e-6), largest("tangent", "trace", 0, 1e-6)),
        {"mean of the clients' variances": largest("tangent", "split_statistics", 0, 1e-6)},
        kind="identity",
    ),
)
