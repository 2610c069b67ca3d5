"""What the claims measure, each with the variant that its controls take."""

from collections.abc import Callable, Iterator, Mapping, Sequence

import numpy as np

from theorylab.lab import Evidence, Preset, Results, Row, over_seeds
from theorylab.lab.claim import Measure
from theorylab.online import (
    deterministic_lower_bound,
    prr_consistency,
    prr_robustness,
    prr_share,
    randomized_guarantees,
    scheduling_lower_bound,
    two_stage_hard_ratios,
)
from theorylab.papers.learning_augmented.ski import RULES
from theorylab.papers.types import AllResults

EXACT = 1e-9
# Averages over 10,000 seasons by sigma, and over 40 instances of 50 jobs by sigma: the reference
# values.
SKI_TABLE = {
    "D": {0: 1.3675, 50: 1.3971, 100: 1.4431, 200: 1.5468, 300: 1.6271},
    "R": {0: 1.1791, 50: 1.2260, 100: 1.3111, 200: 1.4449, 300: 1.5310},
    "trust": {0: 1.0, 50: 1.0716, 100: 1.2829, 200: 1.6034, 300: 1.7035},
}
JOB_TABLE = {
    "round robin": {0: 1.867},
    "shortest predicted first": {0: 1.0, 10_000: 3.14},
    "PRR(0.5)": {0: 1.289, 10_000: 2.19},
    "two-stage(0.1)": {0: 1.1, 10_000: 1.867},
}


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


def guarantees(factor: float) -> Measure:
    """D is (1+lam)-consistent and (1+1/lam)-robust; R keeps its published robustness where lam >
    1/b. `factor` scales what is promised above 1."""

    def measure(results: AllResults, preset: Preset) -> list[Evidence]:
        evidence = []
        for r in results["algorithms"]:
            b, lam = r.cell["b"], np.asarray(r.cell["lams"])
            wide = lam > 2 / b
            promised = np.asarray(randomized_guarantees(b, lam[wide])[0])
            for label, value, bound in (
                ("consistency of D", r["D"][:, 0], 1 + lam),
                ("robustness of D", r["D"][:, 1], 1 + 1 / lam),
                ("robustness of R", r["R"][wide, 1], promised),
            ):
                share = ((value - 1) / (bound - 1)).max()
                evidence.append(
                    Evidence(
                        f"{label} - 1, of what is promised, b={b}", share / factor, 0.0, 1 + EXACT
                    )
                )
        return evidence

    return measure


def searches(results: AllResults, **where: object) -> Iterator[Row]:
    """Search cells with these parameters, none if there are none."""
    return (r for r in results["search"] if all(r.cell[k] == v for k, v in where.items()))


def _sup(
    rows: Sequence[Row], bound: Callable[[int, float], float], near: float | None
) -> list[Evidence]:
    evidence = []
    for r in rows:
        n, p = r.cell["n"], r.cell["parameter"]
        label = (
            f"n={n}, {r.cell['policy']}({p:.4g}), {int(r['evaluated']):,} instances: worst - bound"
        )
        low = -np.inf if near is None else -near
        evidence.append(Evidence(label, float(r["ratio"]) - bound(n, p), low, EXACT))
    return evidence


def two_stage_sup(policy: str, sizes: Sequence[int], largest: float = 1.0) -> Measure:
    """The worst ratio found is within 1e-3 below the lower bound for n jobs, and not above it by
    more than 1e-9. Consistencies up to 1 + `largest`."""

    def measure(results: AllResults, preset: Preset) -> list[Evidence]:
        rows = [r for n in sizes for r in searches(results, policy=policy, n=n, perfect=False)]
        rows = [r for r in rows if r.cell["parameter"] <= largest]
        return _sup(rows, lambda n, lam: float(scheduling_lower_bound(n, lam)), 1e-3)

    return measure


def small_job(n: int) -> Measure:
    """No instance with one small right job is worse than the lower bound (1e-9)."""

    def measure(results: AllResults, preset: Preset) -> list[Evidence]:
        return [
            Evidence(f"worst - bound, n={n}, λ={lam:.4g}", ratio - bound, high=EXACT)
            for r in results["hard"].where(n=n)
            for lam, ratio, bound in zip(r.cell["lams"], r["small_job"], r["bound"], strict=True)
        ]

    return measure


def lifted(n: int) -> Measure:
    """At the best lambda, instances with one small right job are worse than the bound by at least
    0.03."""

    def measure(results: AllResults, preset: Preset) -> list[Evidence]:
        r = next(iter(results["hard"].where(n=n)))
        excess = r["small_job"] - r["bound"]
        at = int(np.argmax(excess))
        return [
            Evidence(
                f"worst - bound, n={n}, λ={r.cell['lams'][at]:.4g}", float(excess[at]), low=0.03
            )
        ]

    return measure


def two_stage_consistency(policy: str) -> Measure:
    """On correct predictions the worst ratio found is 1 + lam: within 1e-6 below, not above by more
    than 1e-9."""

    def measure(results: AllResults, preset: Preset) -> list[Evidence]:
        return _sup(
            list(searches(results, policy=policy, perfect=True)), lambda n, lam: 1 + lam, 1e-6
        )

    return measure


def gap(n: int) -> Measure:
    """The two-stage schedule's worst ratio is above the lower bound by at least 0.03, as its known
    hard instance is."""

    def measure(results: AllResults, preset: Preset) -> list[Evidence]:
        evidence = []
        for r in searches(results, policy="two_stage", n=n, perfect=False):
            lam = r.cell["parameter"]
            known, bound = (
                float(two_stage_hard_ratios(n, lam).max()),
                float(scheduling_lower_bound(n, lam)),
            )
            ratio = float(r["ratio"])
            evidence.append(
                Evidence(f"worst - bound {bound:.5f} at n={n}, λ={lam}", ratio - bound, low=0.03)
            )
            evidence.append(
                Evidence(f"worst - known {known:.5f} at n={n}, λ={lam}", ratio - known, low=-1e-3)
            )
        return evidence

    return measure


def prr_worst(formula: Callable[[int, float], float]) -> Measure:
    """The worst ratio found is within 1e-3 below the formula and never above it (1e-9)."""

    def measure(results: AllResults, preset: Preset) -> list[Evidence]:
        return _sup(list(searches(results, policy="prr", perfect=False)), formula, 1e-3)

    return measure


def hard_instances(scale: float) -> Measure:
    """Simulated ratios of the stated hard instances equal their formulas to 1e-9 relative."""

    def measure(results: AllResults, preset: Preset) -> list[Evidence]:
        evidence = []
        for r in results["hard"]:
            for name, run in (("two_stage", "simulated"), ("prr", "prr_simulated")):
                error = np.abs(r[run] / (scale * r[name]) - 1).max()
                evidence.append(Evidence(f"{name}, n={r.cell['n']}", error, 0.0, EXACT))
        return evidence

    return measure


def theorem_c(scale: float) -> Measure:
    """The proof's adversary drives the two-stage schedule and preferential round robin to the bound
    for their consistency or above (1e-9)."""

    def measure(results: AllResults, preset: Preset) -> list[Evidence]:
        evidence = []
        for r in (r for r in results["hard"] if r.cell["n"] <= 10):
            for i, name in enumerate(("two-stage", "PRR")):
                excess = np.min(r["attacked"][:, i] / (scale * r["bound"]) - 1)
                evidence.append(
                    Evidence(
                        f"least ratio / bound - 1, {name}, n={r.cell['n']}",
                        float(excess),
                        low=-EXACT,
                    )
                )
        return evidence

    return measure


def bound_ends(tilt: float) -> Measure:
    """LB_n is n at lam = 0, and 2n/(n+1), round robin's ratio, at lam = (n-1)/(n+1); to 1e-12."""

    def measure(results: AllResults, preset: Preset) -> list[Evidence]:
        evidence = []
        for n in results["hard"].unique("n"):
            ends = np.asarray(scheduling_lower_bound(n, np.array([0.0, (n - 1) / (n + 1)])))
            error = np.abs(ends / np.array([n, 2 * n / (n + 1) * tilt]) - 1).max()
            evidence.append(Evidence(f"n={n}", error, 0.0, 1e-12))
        return evidence

    return measure


def prr_is_optimal(n: int) -> Measure:
    """Exact robustness of preferential round robin equals the lower bound at its consistency, to
    1e-9."""

    def measure(results: AllResults, preset: Preset) -> list[Evidence]:
        lam = np.linspace(0.05, 0.95, 7) * (n - 1) / (n + 1)
        share = np.asarray(prr_share(n, lam))
        off = np.abs(np.asarray(prr_consistency(n, share)) - 1 - lam).max()
        excess = np.abs(
            np.asarray(prr_robustness(n, share)) - np.asarray(scheduling_lower_bound(n, lam))
        ).max()
        measured = [
            float(r["ratio"])
            - float(scheduling_lower_bound(n, float(prr_consistency(n, r.cell["parameter"])) - 1))
            for r in searches(results, policy="prr", n=n, perfect=False)
        ]
        found = (
            [Evidence(f"largest |searched - bound|, n={n}", np.abs(measured).max(), 0.0, 1e-3)]
            if measured
            else []
        )
        return [
            Evidence(f"consistency, n={n}", off, 0.0, EXACT),
            Evidence(f"exact - bound, n={n}", excess, 0.0, EXACT),
            *found,
        ]

    return measure


def identity(kind: str, wrong: float) -> Measure:
    """Simulated over closed-form cost is 1 to 1e-12 on every random instance."""

    def measure(results: AllResults, preset: Preset) -> list[Evidence]:
        evidence = []
        for r in results["identities"]:
            if kind == "round robin":
                error = r["round_robin"] / (2 * r["opt"] - wrong * r["total"]) - 1
            else:
                a = wrong * np.asarray(r.cell["shares"])[:, None]
                error = (
                    r["simulated"] / ((2 * r["opt"] - (1 - a) * r["total"]) / (1 + a) / r["opt"])
                    - 1
                )
            evidence.append(
                Evidence(f"max relative error, n={r.cell['n']}", np.abs(error).max(), 0.0, 1e-12)
            )
        return evidence

    return measure


def table(
    experiment: str,
    known: Mapping[str, Mapping[int, float]],
    names: Sequence[str],
    swap: Mapping[str, str],
) -> Measure:
    """(average - reference) is within 4 of their joint standard errors, rounding of the reference
    included.

    One normal deviation is beyond 4 with a chance of 6e-5, one of the 15 or 7 of a table with less
    than 1e-3.
    """

    def measure(results: AllResults, preset: Preset) -> list[Evidence]:
        rows = results[experiment]
        sigmas = next(iter(rows)).cell["sigmas"]
        evidence = []
        for name, values in known.items():
            at = list(names).index(swap.get(name, name))
            for sigma, reference in values.items():
                mean, here, there, rounding = _moments(rows, at, sigmas.index(sigma), reference)
                z = (mean - reference) / np.sqrt(here**2 + there**2 + rounding**2)
                evidence.append(
                    Evidence(f"{name} at σ={sigma}: {mean:.4f} against {reference}", z, -4.0, 4.0)
                )
        return evidence

    return measure


def _moments(
    rows: Results, at: int, column: int, reference: float
) -> tuple[float, float, float, float]:
    """Average, its standard error, the reference's standard error (from its own sample size), and
    its rounding."""
    if "mean" in next(iter(rows)).arrays:  # seasons
        mean, error = rows.stack("mean")[:, at, column], rows.stack("error")[:, at, column]
        trials = next(iter(rows)).cell["trials"]
        there = error.mean() * np.sqrt(trials / 10_000)
        return float(mean.mean()), float(error.mean() / np.sqrt(len(mean))), float(there), 5e-5
    ratios = rows.stack("ratio")[:, at, column].ravel()
    sd = ratios.std(ddof=1)
    return (
        float(ratios.mean()),
        float(sd / np.sqrt(ratios.size)),
        float(sd / np.sqrt(40)),
        5e-3 if reference > 2 else 5e-4,
    )


def beats_baselines(names: Sequence[str], noise: int) -> Measure:
    """At sigma = noise * b the average ratio is below the break-even rule's and the classical
    randomised rule's."""

    def measure(results: AllResults, preset: Preset) -> list[Evidence]:
        rows = results["psk_ski"]
        cell = next(iter(rows)).cell
        column = cell["sigmas"].index(noise * cell["b"])
        mean = rows.stack("mean")[:, :, column]
        evidence = []
        for name in names:
            for other in ("break-even", "classical"):
                lead = mean[:, RULES.index(name)] - mean[:, RULES.index(other)]
                evidence.append(over_seeds(f"{name} - {other} at σ={noise}b", lead, high=0.0))
        return evidence

    return measure
