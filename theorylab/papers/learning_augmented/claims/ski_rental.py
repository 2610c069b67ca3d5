"""Ski rental: the optimal trade-off, and the rules that reach it."""

from collections.abc import Callable

import numpy as np

from theorylab.lab import Claim, Evidence, Preset
from theorylab.lab.claim import Measure
from theorylab.online import (
    deterministic_lower_bound,
    randomized_worst_ratio,
    tradeoff_randomized,
    tradeoff_randomized_discrete,
)
from theorylab.papers.learning_augmented.claims.shared import BEFORE, EXACT, PAPER
from theorylab.papers.types import AllResults


def equals_lp(column: str, tolerance: float = EXACT) -> Measure:
    """|column - LP| is at most 1e-9 at every price and robustness."""

    def measure(results: AllResults, preset: Preset) -> list[Evidence]:
        return [
            Evidence(
                f"max |{column} - LP| at b={r.cell['b']}",
                np.abs(r[column] - r["lp"]).max(),
                0.0,
                tolerance,
            )
            for r in results["optimum"]
            if r.cell["lp"]
        ]

    return measure


def primal_is_dual(column: str) -> Measure:
    """The distribution's own ratio equals the dual bound to 1e-12, and it is gamma-robust to
    1e-12."""

    def measure(results: AllResults, preset: Preset) -> list[Evidence]:
        evidence = []
        for r in results["optimum"]:
            gap, b = np.abs(r["primal"] - r[column]).max(), r.cell["b"]
            evidence.append(Evidence(f"max |primal - {column}| at b={b}", gap, 0.0, 1e-12))
            evidence.append(Evidence(f"max ratio - γ at b={b}", r["excess"].max(), -1.0, 1e-12))
        return evidence

    return measure


def limit_from_below(limit: Callable[[np.ndarray], np.ndarray]) -> Measure:
    """0 < limit - beta*_b <= 1/b."""

    def measure(results: AllResults, preset: Preset) -> list[Evidence]:
        evidence = []
        for r in results["optimum"]:
            gap = r.cell["b"] * (limit(np.asarray(r.cell["gammas"])) - r["closed"])
            for what, value in (("smallest", gap.min()), ("largest", gap.max())):
                evidence.append(
                    Evidence(f"{what} b (limit - β*_b) at b={r.cell['b']}", value, 1e-6, 1.0)
                )
        return evidence

    return measure


def nothing_beats(bound: Callable[[np.ndarray, int], np.ndarray]) -> Measure:
    """Measured consistency of D, R and the optimal distribution is at least the bound at their
    robustness (1e-9)."""

    def measure(results: AllResults, preset: Preset) -> list[Evidence]:
        evidence = []
        for r in results["algorithms"]:
            for name in ("D", "R"):
                excess = r[name][:, 0] - bound(r[name][:, 1], r.cell["b"])
                evidence.append(
                    Evidence(f"least excess of {name} at b={r.cell['b']}", excess.min(), low=-EXACT)
                )
        for r in results["optimum"]:
            excess = r["primal"] - bound(np.asarray(r.cell["gammas"]), r.cell["b"])
            evidence.append(
                Evidence(
                    f"least excess of the optimum at b={r.cell['b']}", excess.min(), low=-EXACT
                )
            )
        return evidence

    return measure


def deterministic_product(shift: int) -> Measure:
    """(beta_k - 1)(gamma_k - 1) = (k-1)(b-1)/(k b) for every buying day, to 1e-12; below 1."""

    def measure(results: AllResults, preset: Preset) -> list[Evidence]:
        evidence = []
        for r in results["deterministic"]:
            b = r.cell["b"]
            k = np.arange(1, b + 1) + shift
            product = (r["consistency"] - 1) * (r["robustness"] - 1)
            error = np.abs(product - (k - 1) * (b - 1) / (k * b)).max()
            evidence.append(Evidence(f"max error over k at b={b}", error, 0.0, 1e-12))
            evidence.append(Evidence(f"max product at b={b}", product.max(), 0.0, 1.0))
        return evidence

    return measure


def deterministic_bound(at_price: bool) -> Measure:
    """No buying day is more robust than the bound at its consistency: robustness - bound >=
    -1e-9."""

    def measure(results: AllResults, preset: Preset) -> list[Evidence]:
        evidence = []
        for r in results["deterministic"]:
            b = r.cell["b"]
            lam, robustness = r["consistency"][1:] - 1, r["robustness"][1:]
            excess = robustness - np.asarray(
                deterministic_lower_bound(lam, b if at_price else None)
            )
            evidence.append(Evidence(f"least excess over k at b={b}", excess.min(), low=-EXACT))
        return evidence

    return measure


def randomized_exact(formula: Callable[[np.ndarray, int], np.ndarray]) -> Measure:
    """R's worst ratio is the formula, times k/b where the support k is beyond b; with a prediction
    >= b the ratio is the same for every season up to k, and k/b times that for long ones. All to
    1e-12."""

    def measure(results: AllResults, preset: Preset) -> list[Evidence]:
        evidence = []
        for r in results["algorithms"]:
            b, branches = r.cell["b"], r["branches"]
            exact = formula(branches[..., 0], b)
            # Seasons in (b, k] cost as many times their length, but their optimum stays b.
            worst = np.maximum(branches[..., 0] / b, 1.0) * exact
            for branch, name in enumerate(("y >= b", "y < b")):
                error = np.abs(branches[:, branch, 2] / worst[:, branch] - 1)
                evidence.append(Evidence(f"robustness, {name}, b={b}", error.max(), 0.0, 1e-12))
            flat = np.abs(branches[:, 0, 2] - branches[:, 0, 3]).max()
            late = np.abs(branches[:, 0, 1] / (branches[:, 0, 0] / b * exact[:, 0]) - 1).max()
            evidence.append(
                Evidence(f"spread over seasons up to the support, b={b}", flat, 0.0, 1e-12)
            )
            evidence.append(Evidence(f"consistency, y >= b, b={b}", late, 0.0, 1e-12))
        return evidence

    return measure


_SKI = ("optimum", "algorithms")


CLAIMS = (
    Claim(
        "lp_is_closed_form",
        "The survival formula gives the optimum of the linear program at every price",
        "our derivation, docs/derivations/ski_rental.md, statement 3",
        ("optimum",),
        equals_lp("closed"),
        {
            "the limit of large b in its place": equals_lp("limit"),
            "a hard distribution a fifth too short": equals_lp("detuned"),
        },
        kind="identity",
    ),
    Claim(
        "primal_is_dual",
        "The distribution and the hard seasons certify each other",
        (
            f"{PAPER}, randomised ski rental; at finite b our derivation, "
            "docs/derivations/ski_rental.md, statement 4"
        ),
        ("optimum",),
        primal_is_dual("dual"),
        {"a hard distribution a fifth too short": primal_is_dual("detuned")},
        kind="identity",
    ),
    Claim(
        "limit_from_below",
        "At price b the optimum is below γ ln(1 + 1/(γ-1)), by at most 1/b",
        "our check of the optimum at finite b",
        ("optimum",),
        limit_from_below(lambda g: np.asarray(tradeoff_randomized(g))),
        {
            "the deterministic curve": limit_from_below(lambda g: 1 + 1 / (g - 1)),
            "γ ln(γ/(γ-1)) at γ + 0.2": limit_from_below(
                lambda g: np.asarray(tradeoff_randomized(g + 0.2))
            ),
        },
    ),
    Claim(
        "nothing_beats_the_optimum",
        "No algorithm is more consistent than the bound at its robustness and price",
        f"{PAPER}, theorem for randomised ski rental",
        _SKI,
        nothing_beats(lambda g, b: np.asarray(tradeoff_randomized_discrete(g, b))),
        {
            "the bound of the limit, at finite b": nothing_beats(
                lambda g, b: g * np.log1p(1 / (g - 1))
            )
        },
        note=(
            "At finite b algorithms lie below the limit curve: that is no violation, and the "
            "control shows it."
        ),
    ),
    Claim(
        "deterministic_product",
        "(β-1)(γ-1) = (k-1)(b-1)/(kb) < 1 for every buying day k",
        "our derivation, docs/derivations/ski_rental.md, statement 1",
        ("deterministic",),
        deterministic_product(0),
        {"days counted from 0": deterministic_product(1)},
        kind="identity",
    ),
    Claim(
        "deterministic_bound",
        "(1+λ)-consistency forces robustness 1 + (b-1)/(λb + 1)",
        f"{PAPER}, theorem for deterministic ski rental",
        ("deterministic",),
        deterministic_bound(True),
        {"1 + 1/λ at finite b": deterministic_bound(False)},
    ),
    Claim(
        "randomized_is_exact",
        "On seasons up to its support, R is exactly 1/(1-(1-1/b)^k)-competitive",
        (
            "our derivation, docs/derivations/ski_rental.md, statement 2: the distribution "
            f"of {BEFORE} at finite b"
        ),
        ("algorithms",),
        randomized_exact(lambda k, b: np.asarray(randomized_worst_ratio(b, k))),
        {"1/(1-e^-k/b), the limit": randomized_exact(lambda k, b: -1 / np.expm1(-k / b))},
        kind="identity",
    ),
)
