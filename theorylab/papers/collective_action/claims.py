"""Claims of the paper with their controls. Bounds are stated in each measure's docstring."""

from collections.abc import Mapping, Sequence

import numpy as np

from theorylab.collective.bounds import effective_size
from theorylab.lab import Claim, Evidence, Preset, over_seeds
from theorylab.lab.claim import Measure
from theorylab.papers.collective_action.figures import RULE_NAMES, last
from theorylab.papers.types import AllResults

SIMULATION = "our check: an independent NumPy simulation"
PAPER, EARLIER = (
    "Ben-Dov, Fawkes, Samadi, Sanyal 2024",
    "Hardt, Mazumdar, Mendler-Dünner, Zrnic 2023",
)
# success by rule and size: the reference values, means of two seeds
GAUSSIAN = {
    "erm": {
        0.002: 0.206,
        0.005: 0.220,
        0.01: 0.244,
        0.02: 0.305,
        0.05: 0.507,
        0.1: 0.708,
        0.2: 0.861,
        0.4: 0.959,
    },
    "jtt": {
        0.002: 0.297,
        0.005: 0.436,
        0.01: 0.633,
        0.02: 0.826,
        0.05: 0.953,
        0.1: 0.981,
        0.2: 0.984,
        0.4: 0.950,
    },
    "lff": {
        0.002: 0.177,
        0.005: 0.331,
        0.01: 0.622,
        0.02: 0.869,
        0.05: 0.974,
        0.1: 0.990,
        0.2: 0.882,
        0.4: 0.784,
    },
    "cvar": {
        0.002: 0.231,
        0.005: 0.273,
        0.01: 0.339,
        0.02: 0.452,
        0.05: 0.620,
        0.1: 0.731,
        0.2: 0.820,
        0.4: 0.919,
    },
}
DIGITS = {
    "erm": {0.005: 0.137, 0.01: 0.219, 0.02: 0.448, 0.05: 0.860, 0.1: 0.975, 0.2: 0.998, 0.4: 1.0},
    "jtt": {
        0.005: 0.448,
        0.01: 0.693,
        0.02: 0.899,
        0.05: 0.990,
        0.1: 0.999,
        0.2: 0.999,
        0.4: 0.995,
    },
    "lff": {0.005: 0.219, 0.01: 0.430, 0.02: 0.742, 0.05: 0.980, 0.1: 0.987, 0.2: 0.997, 0.4: 1.0},
    "cvar": {
        0.005: 0.334,
        0.01: 0.682,
        0.02: 0.829,
        0.05: 0.983,
        0.1: 0.998,
        0.2: 0.999,
        0.4: 0.999,
    },
}
CROSSING = {
    "gaussian": {"jtt": (0.2, 0.4), "cvar": (0.05, 0.2)},
    "digits": {"jtt": (0.2, 0.4), "lff": (0.1, 0.4), "cvar": (0.02, 0.1)},
}


def _at(
    results: AllResults, experiment: str, rule: str, alpha: float, quantity: str = "success"
) -> np.ndarray:
    """One value a seed, at the end of training."""
    row = next(iter(results[experiment].where(rule=rule)))
    return last(row, quantity)[row.cell["alphas"].index(alpha)].astype(np.float64)


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


def _jtt_runs(results: AllResults) -> list[tuple[str, float, dict[str, np.ndarray]]]:
    names = ("alpha", "alpha_eff", "alpha_shuffled", "e_c", "e_0")
    found = []
    for experiment in ("gaussian", "digits"):
        for row in results[experiment].where(rule="jtt"):
            n = row.cell["world"]["n"]
            sizes = np.round(np.asarray(row.cell["alphas"]) * n)[:, None] / n + 0 * row["alpha_eff"]
            found.append(
                (
                    experiment,
                    row.cell["options"]["lam"],
                    dict(zip(names, (sizes, *(row[k] for k in names[1:])), strict=True)),
                )
            )
    return found


def closed_form(shift: float) -> Measure:
    """Measured share of the collective minus its closed form, over all JTT runs: at most 1e-6 (2e-6
    in float32)."""

    def measure(results: AllResults, preset: Preset) -> list[Evidence]:
        evidence = []
        for name, lam, v in _jtt_runs(results):
            gap = np.abs(
                effective_size(v["alpha"], v["e_c"], v["e_0"], lam + shift) - v["alpha_eff"]
            ).max()
            evidence.append(Evidence(f"max |formula - measured|, {name}", float(gap), 0, 2e-6))
        return evidence

    return measure


def sign_rule(column: str) -> Measure:
    """The sign of alpha_eff - alpha is that of e_c - e_0 in every run."""

    def measure(results: AllResults, preset: Preset) -> list[Evidence]:
        return [
            Evidence(
                f"share of {v['alpha'].size} runs, {name}",
                float((np.sign(v[column] - v["alpha"]) == np.sign(v["e_c"] - v["e_0"])).mean()),
                1,
                1,
            )
            for name, _, v in _jtt_runs(results)
        ]

    return measure


def advantage(quantity: str) -> Measure:
    """Over ERM at alpha = .02: JTT and LfF by at least .35, CVaR by .08. At .4: LfF below by .10,
    CVaR by .02, JTT not above by more than .01.
    """

    def measure(results: AllResults, preset: Preset) -> list[Evidence]:
        def gain(rule: str, alpha: float) -> np.ndarray:
            return _at(results, "gaussian", rule, alpha, quantity) - _at(
                results, "gaussian", "erm", alpha, quantity
            )

        return [
            *(
                over_seeds(f"S({RULE_NAMES[r]}) - S(ERM) at α=.02", gain(r, 0.02), low=low)
                for r, low in (("jtt", 0.35), ("lff", 0.35), ("cvar", 0.08))
            ),
            *(
                over_seeds(f"S({RULE_NAMES[r]}) - S(ERM) at α=.4", gain(r, 0.4), high=high)
                for r, high in (("cvar", -0.02), ("jtt", 0.01))
            ),
        ]

    return measure


def weakened_by_lff(quantity: str, rule: str = "lff") -> Measure:
    """At alpha = .4, S is below ERM's by at least .10 (Gaussian classes)."""

    def measure(results: AllResults, preset: Preset) -> list[Evidence]:
        gain = _at(results, "gaussian", rule, 0.4, quantity) - _at(
            results, "gaussian", "erm", 0.4, quantity
        )
        return [over_seeds("S(LfF) - S(ERM) at α=.4", gain, high=-0.10)]

    return measure


def amplified(column: str = "alpha_eff", control: str = "") -> Measure:
    """alpha_eff / alpha is above 1.2 for alpha <= .05 and below 1 at alpha = .4, for JTT, LfF and
    CVaR.

    Left out: CVaR on digits at .05, where alpha_eff crosses alpha. The margin of .2 is ours:
    members at random have a ratio of 1 on average, which no interval could tell from a bound at 1.
    """

    def measure(results: AllResults, preset: Preset) -> list[Evidence]:
        evidence = []
        for experiment in [control] if control else ["gaussian", "digits"]:
            for row in results[experiment]:
                if row.cell["rule"] not in ("jtt", "lff", "cvar"):
                    continue
                for i, a in enumerate(row.cell["alphas"]):
                    if (experiment, row.cell["rule"], a) == ("digits", "cvar", 0.05):
                        continue  # the reference's own crossing: .050 at .05
                    label = f"α_eff/α at α={a:g}, {RULE_NAMES[row.cell['rule']]}, {experiment}"
                    ratio = row[column][i].astype(np.float64) / a
                    if a <= 0.05:
                        evidence.append(over_seeds(label, ratio, low=1.2))
                    elif a == 0.4:
                        evidence.append(over_seeds(label, ratio, high=0.999))
        return evidence

    return measure


def crosses(column: str) -> Measure:
    """alpha_eff - alpha is above .01 at the lower and below -.01 at the upper end of the stated
    interval.

    The margin is ours: for members at random the difference is 0 on average, which no interval
    could tell from a bound at 0.
    """

    def measure(results: AllResults, preset: Preset) -> list[Evidence]:
        evidence = []
        for experiment, rules in CROSSING.items():
            for rule, (low, high) in rules.items():
                for alpha, bounds in ((low, {"low": 0.01}), (high, {"high": -0.01})):
                    gap = _at(results, experiment, rule, alpha, column) - alpha
                    evidence.append(
                        over_seeds(
                            f"α_eff - α at α={alpha:g}, {RULE_NAMES[rule]}, {experiment}",
                            gap,
                            **bounds,
                        )
                    )
        return evidence

    return measure


def table(
    experiment: str,
    reference: Mapping[str, Mapping[float, float]],
    rules: Sequence[str],
    loose: float,
    tight: float,
    measured: str = "",
) -> Measure:
    """Mean success within `loose` of the reference value for alpha <= .02 and within `tight` above.

    The reference is a mean of two seeds, whose own error is in these tolerances: for alpha <= .02
    one seed is off by .03 to .09.
    """

    def measure(results: AllResults, preset: Preset) -> list[Evidence]:
        return [
            over_seeds(
                f"S at α={a:g}, {RULE_NAMES[rule]}, minus {value}",
                _at(results, experiment, measured or rule, a) - value,
                *((-loose, loose) if a <= 0.02 else (-tight, tight)),
            )
            for rule in rules
            for a, value in reference[rule].items()
        ]

    return measure


def validation(stop: str, sizes: Sequence[float], low: float, high: float = np.inf) -> Measure:
    """Success of the step that the validation set `stop` selects, minus that of a clean one, in
    [low, high]."""

    def measure(results: AllResults, preset: Preset) -> list[Evidence]:
        return [
            over_seeds(
                f"S({stop}) - S(clean), a={row.cell['size']:g}, α={a:g}",
                (row[stop] - row["clean"])[row.cell["alphas"].index(a)],
                low,
                high,
            )
            for row in results["validation"]
            if row.cell["size"] == 0.05
            for a in sizes
        ]

    return measure


def parity(quantity: str) -> Measure:
    """At 1000 steps, alpha in {.3, .4}: S of one bit minus S of three is at least .12, two minus
    three .02."""

    def measure(results: AllResults, preset: Preset) -> list[Evidence]:
        evidence = []
        for a in (0.3, 0.4):
            value = {}
            for row in results["parity"]:
                step = list(row["checkpoints"]).index(1000)
                value[int(row.cell["world"]["name"][-1])] = row[quantity][
                    row.cell["alphas"].index(a), :, step
                ]
            evidence.append(
                over_seeds(f"S(1 bit) - S(3 bits) at α={a:g}", value[1] - value[3], low=0.12)
            )
            evidence.append(
                over_seeds(f"S(2 bits) - S(3 bits) at α={a:g}", value[2] - value[3], low=0.02)
            )
        return evidence

    return measure


def reliance(first: str, second: str) -> Measure:
    """AUC at the end: below .6 with the simple half permuted, above .95 with the complex one
    permuted."""

    def measure(results: AllResults, preset: Preset) -> list[Evidence]:
        row = next(iter(results["reliance"]))
        return [
            over_seeds("AUC, simple half permuted", row[first][:, -1], high=0.6),
            over_seeds("AUC, complex half permuted", row[second][:, -1], low=0.95),
        ]

    return measure


def halves(
    first: str, second: str, pattern: str, alpha: float, high: float = 0.9, low: float = 0.6
) -> Measure:
    """S after 2000 steps: at least .9 with the trigger in the simple half, at most .6 in the
    complex one."""

    def measure(results: AllResults, preset: Preset) -> list[Evidence]:
        def final(half: str) -> np.ndarray:
            row = next(iter(results["dominoes"].where(half=half, pattern=pattern)))
            return row["success"][
                row.cell["alphas"].index(alpha), :, list(row["checkpoints"]).index(2000)
            ]

        return [
            over_seeds(f"S in the simple half, α={alpha:g}", final(first), low=high),
            over_seeds(f"S in the complex half, α={alpha:g}", final(second), high=low),
        ]

    return measure


BIG = ("quick", "full")
FEATURE_LABEL = ("staircase", "base_bound")
CLAIMS = (
    Claim(
        "staircase",
        "Success against a Bayes classifier is an exact staircase in the size",
        f"our derivation, after {EARLIER}",
        ("worlds",),
        staircase("staircase"),
        {"at nine tenths of the size": staircase("shifted")},
        kind="identity",
    ),
    Claim(
        "bounds",
        (
            "Bounds on success: feature-label, feature-only, re-weighted (corrected), through a "
            "feature map"
        ),
        f"{EARLIER}, theorems; re-weighted and through a feature map: our derivation",
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
        "our derivation: a first stage that is optimal on the population",
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
    Claim(
        "closed_form",
        "α_eff of JTT follows from its first stage's two error rates",
        "our derivation",
        ("gaussian", "digits"),
        closed_form(0.0),
        {"λ + 1, the official code's up-weight": closed_form(1.0)},
    ),
    Claim(
        "sign_rule",
        "JTT amplifies if and only if its first stage errs more on the collective",
        "our derivation",
        ("gaussian", "digits"),
        sign_rule("alpha_eff"),
        {"members permuted": sign_rule("alpha_shuffled")},
    ),
    Claim(
        "small_gain",
        "Re-weighting strengthens small collectives and weakens large ones",
        f"{PAPER}, abstract; how much: {SIMULATION}",
        ("gaussian",),
        advantage("success"),
        {"success without planting the signal": advantage("baseline")},
        presets=BIG,
    ),
    Claim(
        "lff_weakens",
        "LfF weakens a large collective by at least .10",
        SIMULATION,
        ("gaussian",),
        weakened_by_lff("success"),
        {"JTT in its place": weakened_by_lff("success", "jtt")},
        kind="finding",
        presets=BIG,
        note="Weaker here, by less: LfF's details behind the reference values are not recorded.",
    ),
    Claim(
        "effective_size",
        "α_eff is above α, by a fifth, for small collectives and below for large ones",
        f"{PAPER}, effective size of a collective; the margin is ours",
        ("gaussian", "digits", "lambda_one", "interpolating"),
        amplified(),
        {
            "members permuted": amplified("alpha_shuffled"),
            "λ = 1": amplified(control="lambda_one"),
            "first stage trained to interpolation": amplified(control="interpolating"),
        },
        presets=BIG,
    ),
    Claim(
        "crossing",
        "Where α_eff crosses α: it is above by >= .01 before and below by >= .01 after",
        SIMULATION,
        ("gaussian", "digits"),
        crosses("alpha_eff"),
        {"members permuted": crosses("alpha_shuffled")},
        presets=BIG,
    ),
    Claim(
        "table_gaussian",
        (
            "Success by size and rule on Gaussian classes: ERM, JTT, CVaR, within .08 for α <= "
            ".02 and .04 above"
        ),
        SIMULATION,
        ("gaussian",),
        table("gaussian", GAUSSIAN, ("erm", "jtt", "cvar"), 0.08, 0.04),
        {"ERM in place of JTT": table("gaussian", GAUSSIAN, ("jtt",), 0.08, 0.04, "erm")},
        presets=BIG,
    ),
    Claim(
        "table_lff",
        "The same for LfF",
        SIMULATION,
        ("gaussian",),
        table("gaussian", GAUSSIAN, ("lff",), 0.08, 0.04),
        {"ERM in its place": table("gaussian", GAUSSIAN, ("lff",), 0.08, 0.04, "erm")},
        kind="finding",
        presets=BIG,
        note="Agrees up to α = .1; large collectives are weakened less than in the reference, "
        "whose LfF is not fully specified.",
    ),
    Claim(
        "table_digits",
        "Success by size and rule on handwritten digits, within .1 for α <= .02 and .04 above",
        SIMULATION,
        ("digits",),
        table("digits", DIGITS, ("erm", "jtt", "lff", "cvar"), 0.1, 0.04),
        {"ERM in place of JTT": table("digits", DIGITS, ("jtt",), 0.1, 0.04, "erm")},
        kind="finding",
        presets=BIG,
        note="Not by JTT and CVaR at α = .005 (6 members), as far as their seeds can tell; the "
        "reference is a mean of two seeds on another part of the same digits.",
    ),
    Claim(
        "validation",
        "With the collective in the validation set, a more successful step is selected",
        f"{PAPER}, iterative re-weighting and the validation set",
        ("validation",),
        validation("contaminated", (0.01,), 0.002),
        {"the signal with the true labels": validation("signal_only", (0.01,), 0.002)},
        presets=BIG,
    ),
    Claim(
        "parity",
        "The simpler the parity signal, the more success after 1000 steps",
        "our derivation of signals that a Bayes classifier tells apart equally well",
        ("parity",),
        parity("success"),
        {"success without planting the signal": parity("baseline")},
        presets=BIG,
    ),
    Claim(
        "dominoes_reliance",
        "The network ignores the complex half",
        "Shah et al. 2020, MNIST-CIFAR dominoes",
        ("reliance",),
        reliance("simple_permuted", "complex_permuted"),
        {"halves swapped": reliance("complex_permuted", "simple_permuted")},
        presets=BIG,
    ),
    Claim(
        "dominoes",
        "A trigger works in the half that the network looks at",
        f"{PAPER}, simplicity bias",
        ("dominoes",),
        halves("simple", "complex", "white", 0.02),
        {"halves swapped": halves("complex", "simple", "white", 0.02)},
        presets=BIG,
    ),
)
