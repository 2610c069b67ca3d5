"""What can be computed exactly: success in finite worlds, its bounds, and weights of rules."""

import numpy as np

from theorylab.lab import Claim, Evidence, Preset
from theorylab.lab.claim import Measure
from theorylab.papers.collective_action.claims.shared import BIG, EARLIER
from theorylab.papers.types import AllResults


def staircase(column: str) -> Measure:
    """The largest difference from the direct computation over all worlds is at most 1e-12."""

    def measure(results: AllResults, preset: Preset) -> list[Evidence]:
        return [
            Evidence(
                f"max difference, {r.cell['points']} points x {r.cell['labels']} labels",
                float(np.abs(r[column] - r["direct"]).max()),
                0.0,
                1e-12,
            )
            for r in results["worlds"]
        ]

    return measure


def never_violated(*pairs: tuple[str, str]) -> Measure:
    """No world in which exact success is below the bound by more than 1e-12."""

    def measure(results: AllResults, preset: Preset) -> list[Evidence]:
        evidence = []
        for success, bound in pairs:
            short = np.concatenate([r[success] - r[bound] for r in results["worlds"]])
            evidence.append(
                Evidence(
                    f"violations of {bound} in {short.size} worlds",
                    int((short < -1e-12).sum()),
                    0,
                    0,
                )
            )
        return evidence

    return measure


def population(lam: float) -> Measure:
    """JTT with lam = 4 on two points: success by size, effective sizes to 5e-5, ERM's threshold
    1/11 to 1e-12."""

    def measure(results: AllResults, preset: Preset) -> list[Evidence]:
        row = next(iter(results["population"].where(lam=lam)))
        sizes = row.cell["alphas"]
        eff = {0.05: 0.0931, 0.2: 0.0962, 0.35: 0.1864, 0.36: 0.1931, 0.6: 0.3896}
        won = {0.05: 1, 0.09: 1, 0.2: 0, 0.35: 0, 0.36: 1, 0.6: 1}
        return [
            *(
                Evidence(f"success at α={a:g}", float(row["jtt"][sizes.index(a)]), s, s)
                for a, s in won.items()
            ),
            *(
                Evidence(
                    f"α_eff at α={a:g}",
                    float(row["alpha_eff"][sizes.index(a)]),
                    e - 5.1e-5,
                    e + 5.1e-5,
                )
                for a, e in eff.items()
            ),
            Evidence(
                "threshold of ERM, times 11", 11 * float(row["threshold"]), 1 - 1e-12, 1 + 1e-12
            ),
        ]

    return measure


def dro_weights(scale: float) -> Measure:
    """Sums 1 to 1e-9; CVaR's largest weight over its cap is 1 to 1e-9; the chi^2 constraint is
    active to 1e-4; the limits a = 1 and rho = 0 are uniform to 1e-9.
    """

    def measure(results: AllResults, preset: Preset) -> list[Evidence]:
        row = next(iter(results["weights"]))
        return [
            Evidence("largest |sum - 1|", float(np.abs(row["sums"] - 1).max()), 0, 1e-9),
            Evidence(
                "largest |CVaR weight / cap - 1|",
                float(np.abs(scale * row["cap"] - 1).max()),
                0,
                1e-9,
            ),
            Evidence(
                "largest |χ² divergence / ρ - 1|",
                float(np.abs(scale * row["divergence"] - 1).max()),
                0,
                1e-4,
            ),
            Evidence("largest |n p - 1| at a=1, ρ=0", float(row["from_uniform"].max()), 0, 1e-9),
        ]

    return measure


FEATURE_LABEL = ("staircase", "base_bound")


CLAIMS = (
    Claim(
        "staircase",
        "Success against a Bayes classifier is an exact staircase in the size",
        f"our derivation, docs/derivations/collective_success.md, statement 1, after {EARLIER}",
        ("worlds",),
        staircase("staircase"),
        {"at nine tenths of the size": staircase("shifted")},
        kind="identity",
    ),
    Claim(
        "bounds",
        (
            "Success is never below its bounds: feature-label, feature-only, re-weighted "
            "(corrected), and through a feature map"
        ),
        (
            f"{EARLIER}, theorems; re-weighted and through a feature map: our derivation, "
            "docs/derivations/collective_success.md, statements 2, 3 and 4"
        ),
        ("worlds",),
        never_violated(
            FEATURE_LABEL,
            ("feature_only", "feature_only_bound"),
            ("weighted", "corrected_bound"),
            ("merged", "merged_bound"),
        ),
        {
            "α replaced by α_eff in the bound": never_violated(("weighted", "naive_bound")),
            "half the suboptimality gap": never_violated(("staircase", "half_gap_bound")),
            "square root of the label floor": never_violated(("feature_only", "high_floor_bound")),
            "features that the learner cannot see": never_violated(("merged", "blind_bound")),
        },
        presets=BIG,
    ),
    Claim(
        "population_jtt",
        "JTT's success is not monotone: it collapses when the first stage learns the signal",
        "our derivation, docs/derivations/collective_success.md, statement 5",
        ("population",),
        population(4.0),
        {"λ = 1, which is ERM": population(1.0)},
        kind="identity",
    ),
    Claim(
        "dro_weights",
        "DRO weights sum to 1, meet their constraint exactly and tend to uniform",
        "our check of their definitions",
        ("weights",),
        dro_weights(1.0),
        {"weights 1 % too large": dro_weights(1.01)},
        kind="identity",
    ),
)
