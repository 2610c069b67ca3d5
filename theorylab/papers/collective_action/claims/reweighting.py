"""How re-weighting changes the effective size and the success of a collective."""

from collections.abc import Mapping, Sequence

import numpy as np

from theorylab.collective.bounds import effective_size
from theorylab.lab import Claim, Evidence, Preset, over_seeds
from theorylab.lab.claim import Measure
from theorylab.papers.collective_action.claims.shared import BIG, PAPER
from theorylab.papers.collective_action.tables import RULE_NAMES, at_the_end
from theorylab.papers.types import AllResults

SIMULATION = "our check: an independent NumPy simulation"

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


def _at_size(
    results: AllResults, experiment: str, rule: str, alpha: float, quantity: str = "success"
) -> np.ndarray:
    """One value per seed, at the end of training."""
    row = next(iter(results[experiment].where(rule=rule)))
    return at_the_end(row, quantity)[row.cell["alphas"].index(alpha)].astype(np.float64)


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
            return _at_size(results, "gaussian", rule, alpha, quantity) - _at_size(
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
        gain = _at_size(results, "gaussian", rule, 0.4, quantity) - _at_size(
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
                for alpha, least, most in ((low, 0.01, np.inf), (high, -np.inf, -0.01)):
                    gap = _at_size(results, experiment, rule, alpha, column) - alpha
                    evidence.append(
                        over_seeds(
                            f"α_eff - α at α={alpha:g}, {RULE_NAMES[rule]}, {experiment}",
                            gap,
                            low=least,
                            high=most,
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
                _at_size(results, experiment, measured or rule, a) - value,
                *((-loose, loose) if a <= 0.02 else (-tight, tight)),
            )
            for rule in rules
            for a, value in reference[rule].items()
        ]

    return measure


CLAIMS = (
    Claim(
        "closed_form",
        "α_eff of JTT follows from its first stage's two error rates",
        "our derivation, docs/derivations/collective_success.md, statement 6",
        ("gaussian", "digits"),
        closed_form(0.0),
        {"λ + 1, the official code's up-weight": closed_form(1.0)},
    ),
    Claim(
        "sign_rule",
        "JTT amplifies if and only if its first stage errs more on the collective",
        "our derivation, docs/derivations/collective_success.md, statement 6",
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
        note=(
            "It weakens the collective here too, but by less: the details of LfF behind the "
            "reference values are not recorded."
        ),
    ),
    Claim(
        "effective_size",
        "α_eff is above α by a fifth or more for small collectives, and below α for large ones",
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
        "α_eff crosses α in the stated intervals: it is above α by .01 or more before and below "
        "it by .01 or more after",
        SIMULATION,
        ("gaussian", "digits"),
        crosses("alpha_eff"),
        {"members permuted": crosses("alpha_shuffled")},
        presets=BIG,
    ),
    Claim(
        "table_gaussian",
        (
            "On Gaussian classes success by size under ERM, JTT and CVaR agrees with the "
            "reference within .08 for α <= .02 and .04 above"
        ),
        SIMULATION,
        ("gaussian",),
        table("gaussian", GAUSSIAN, ("erm", "jtt", "cvar"), 0.08, 0.04),
        {"ERM in place of JTT": table("gaussian", GAUSSIAN, ("jtt",), 0.08, 0.04, "erm")},
        presets=BIG,
    ),
    Claim(
        "table_lff",
        "On Gaussian classes success by size under LfF agrees with the reference within the same "
        "bounds",
        SIMULATION,
        ("gaussian",),
        table("gaussian", GAUSSIAN, ("lff",), 0.08, 0.04),
        {"ERM in its place": table("gaussian", GAUSSIAN, ("lff",), 0.08, 0.04, "erm")},
        kind="finding",
        presets=BIG,
        note="It agrees up to α = .1; large collectives are weakened less than in the reference, "
        "whose LfF is not fully specified.",
    ),
    Claim(
        "table_digits",
        "On handwritten digits success by size and rule agrees with the reference within .1 for α "
        "<= .02 and .04 above",
        SIMULATION,
        ("digits",),
        table("digits", DIGITS, ("erm", "jtt", "lff", "cvar"), 0.1, 0.04),
        {"ERM in place of JTT": table("digits", DIGITS, ("jtt",), 0.1, 0.04, "erm")},
        kind="finding",
        presets=BIG,
        note="JTT and CVaR at α = .005 (6 members) do not agree, as far as their seeds can tell; "
        "the reference is a mean of two seeds on another part of the same digits.",
    ),
)
