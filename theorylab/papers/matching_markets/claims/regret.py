"""Regret of optimistic matching: bounds, rates, structure and price rules."""

import numpy as np
from scipy import stats

from theorylab.lab import Claim, Evidence, Preset, over_seeds
from theorylab.lab.claim import Measure
from theorylab.papers.matching_markets.claims.shared import BIG, PAPER, of_means
from theorylab.papers.matching_markets.tables import only_row, variant
from theorylab.papers.types import AllResults

# Mean and standard error over 16 markets at T = 1000 and 4000: an independent prototype's
REFERENCE = {
    (4, 1000, "regret"): (209, 21),
    (4, 4000, "regret"): (341, 48),
    (4, 4000, "difference"): (190, 24),
    (4, 4000, "excess"): (1645, 50),
    (8, 1000, "regret"): (654, 36),
    (8, 4000, "regret"): (913, 69),
    (8, 4000, "difference"): (772, 42),
    (8, 4000, "excess"): (4378, 74),
    (16, 1000, "regret"): (2135, 39),
    (16, 4000, "regret"): (3001, 77),
    (16, 4000, "difference"): (2659, 46),
    (16, 4000, "excess"): (10641, 169),
}


def chain(narrow: bool = False) -> Measure:
    """(d) R_t <= excess_t <= widths_t <= 4P + 8c sqrt(L P M t) in all rounds of all runs whose
    intervals held."""

    def measure(results: AllResults, preset: Preset) -> list[Evidence]:
        rows = (
            [variant(results["variants"], width=0.05)]
            if narrow
            else [*results["regret"], *results["arrivals"]]
        )
        worst, held = np.full(3, -np.inf), 0
        for row in rows:
            used = np.ones_like(row["covered"]) if narrow else row["covered"]
            held += int(used.sum())
            if used.any():
                worst = np.maximum(worst, row["chain"][used].max(0))
        labels = ("max (R - excess)", "max (excess - widths)", "max (widths - bound)")
        found = [
            Evidence(f"{label}, {held} runs", float(w), high=1e-6)
            for label, w in zip(labels, worst, strict=True)
        ]
        return [*found, Evidence("runs judged", float(held), low=1.0)]

    return measure


def intervals_hold(narrow: bool = False) -> Measure:
    """Half-width 2σ sqrt(log(NT)/visits) holds in all rounds with probability at least 1 - 1/T per
    run.

    The runs at hand cannot show so small a probability, but refute it: failures are within the 98 %
    quantile of 1/T.
    """

    def measure(results: AllResults, preset: Preset) -> list[Evidence]:
        rows = [variant(results["variants"], width=0.05)] if narrow else list(results["regret"])
        held = np.concatenate([row["covered"] for row in rows])
        allowed = float(
            stats.binom.isf(0.02, len(held), 1 / min(row.cell["horizon"] for row in rows))
        )
        failed = float((~held.astype(bool)).sum())
        return [
            Evidence(f"runs of {len(held)} in which an interval did not hold", failed, high=allowed)
        ]

    return measure


def sensible_rounds(clip: bool) -> Measure:
    """With the paper's constant 8, no round promises more than 4 a pair in vain, the most that
    sense allows."""

    def measure(results: AllResults, preset: Preset) -> list[Evidence]:
        row = variant(results["variants"], width=8.0, clip=clip)
        return [
            Evidence(
                "widest round / (4 k)",
                float(row["worst_width"].max() / (4 * row.cell["k"])),
                high=1.0,
            )
        ]

    return measure


def reference(width: float) -> Measure:
    """The table of reference values, in combined standard errors: 12 values within 3.5 at once, by
    chance in 99 %.

    All are of runs whose horizon, which sets the intervals, is 4,000; those at T = 1000 are read
    along the way.
    """

    def measure(results: AllResults, preset: Preset) -> list[Evidence]:
        evidence = []
        for (k, horizon, name), (mean, se) in REFERENCE.items():
            for row in [*results["regret"], *results["variants"]]:
                cell, learner = row.cell, row.cell["learner"]
                if (cell["k"], cell["horizon"], learner["width"]) != (k, 4000, width):
                    continue
                if learner["prices"] != "midpoint":
                    continue
                x = row[name][:, int(np.searchsorted(row["rounds"], horizon))]
                z = (x.mean() - mean) / np.hypot(se, x.std(ddof=1) / np.sqrt(len(x)))
                evidence.append(
                    Evidence(
                        f"{name} at k={k}, T={horizon}: {x.mean():.0f}, ref. {mean}, in s.e.",
                        float(z),
                        -3.5,
                        3.5,
                    )
                )
        return evidence

    return measure


def sublinear(narrow: bool) -> Measure:
    """Instability grows at most like sqrt(T): log-log slope between T/4 and T at most 0.6 in every
    market size."""

    def measure(results: AllResults, preset: Preset) -> list[Evidence]:
        last = preset["horizons"][-1]
        rows = (
            [variant(results["variants"], width=0.05)]
            if narrow
            else list(results["regret"].where(horizon=last))
        )
        evidence = []
        for row in rows:
            early = int(np.searchsorted(row["rounds"], last // 4))
            base, regret = last / row["rounds"][early], row["regret"]
            late, before, label = regret[:, -1], regret[:, early], f"slope of R, k={row.cell['k']}"
            evidence.append(of_means(label, late, before, high=0.6, base=base))
        return evidence

    return measure


def minimax(tuned: bool) -> Measure:
    """(e) R / (σ N^1.5 sqrt(T)) on the hard instance changes by less than 15 % between the
    horizons, at κ = 3."""

    def measure(results: AllResults, preset: Preset) -> list[Evidence]:
        rows, (first, *_, last) = results["hidden"].where(kappa=3.0), preset["hidden_horizons"]
        evidence = []
        for k in preset["hidden_sizes"]:
            short = only_row(rows, k=k, horizon=first, tuned=first)["ratio"]
            long = only_row(rows, k=k, horizon=last, tuned=last if tuned else first)["ratio"]
            evidence.append(
                of_means(f"ratio at T={last} over T={first}, k={k}", long, short, 0.85, 1.15)
            )
        return evidence

    return measure


def _growth(results: AllResults, rule: str) -> np.ndarray:
    row = only_row(results["rules"], rule=rule)
    return row["regret"][:, -1] / row["regret"][:, int(np.searchsorted(row["rounds"], 1000))]


def logarithmic(*rules: str) -> Measure:
    """(f) R(T) / R(1000) < 1.4: a logarithm grows by log T / log 1000 = 1.33 to T = 10,000, a root
    by 3.2."""
    return lambda results, preset: [
        over_seeds(
            f"R({preset['rule_horizon']}) / R(1000), {rule}", _growth(results, rule), high=1.4
        )
        for rule in rules
    ]


def keeps_losing(*rules: str) -> Measure:
    """(f) With prices on the edge of the core, R(T) / R(1000) > 1.8: beyond a logarithm's 1.33,
    below a root's 3.2."""
    return lambda results, preset: [
        over_seeds(
            f"R({preset['rule_horizon']}) / R(1000), {rule}", _growth(results, rule), low=1.8
        )
        for rule in rules
    ]


def structure(typed: str) -> Measure:
    """(g) typed < linear < unstructured on the same markets, typed at most a third of
    unstructured."""

    def measure(results: AllResults, preset: Preset) -> list[Evidence]:
        rows = results["structured"].where(
            k=12 if 12 in preset["structured_sizes"] else preset["structured_sizes"][-1]
        )
        total = {
            m: only_row(rows, model=m)["regret"][:, -1] for m in {typed, "linear", "unstructured"}
        }
        return [
            of_means("typed / unstructured", total[typed], total["unstructured"], high=1 / 3),
            of_means("typed / linear", total[typed], total["linear"], high=1.0),
            of_means("linear / unstructured", total["linear"], total["unstructured"], high=1.0),
        ]

    return measure


def no_growth_with_agents(model: str) -> Measure:
    """MatchTypedUCB's bound has no N but for the root of n: from the smallest market to the
    largest, R grows by less than 1.5 times sqrt(N ratio)."""

    def measure(results: AllResults, preset: Preset) -> list[Evidence]:
        sizes = preset["structured_sizes"]
        small, large = (
            only_row(results["structured"], k=k, model=model)["regret"][:, -1]
            for k in (sizes[0], sizes[-1])
        )
        scale = np.sqrt(sizes[-1] / sizes[0])
        return [of_means(f"growth over √N, {model}", large / scale, small, high=1.5)]

    return measure


CLAIMS = (
    Claim(
        "regret_chain",
        "In every round R_t <= excess_t <= widths_t <= the bound, also when agents come and go",
        f"{PAPER}, theorem 5.1; constants ours",
        ("regret", "arrivals", "variants"),
        chain(),
        {"intervals ten times too narrow": chain(narrow=True)},
        presets=BIG,
    ),
    Claim(
        "two_sigma",
        "A half-width of 2σ √(log(NT)/visits) suffices for the confidence intervals",
        "our derivation, docs/derivations/stable_prices.md, statement 5",
        ("regret", "variants"),
        intervals_hold(),
        {"intervals ten times too narrow": intervals_hold(narrow=True)},
    ),
    Claim(
        "clipping",
        "Intervals kept inside [-1, 1] never promise a pair more than 4",
        "our check of the pseudocode",
        ("variants",),
        sensible_rounds(True),
        {"unclipped, as in the pseudocode": sensible_rounds(False)},
    ),
    Claim(
        "reference_values",
        "Regret, utility difference and excess agree with an independent implementation",
        "our check: the averages of an independent program in NumPy",
        ("regret", "variants"),
        reference(0.5),
        {
            "intervals ten times too narrow": reference(0.05),
            "the paper's constant 8": reference(8.0),
        },
        presets=("quick",),
    ),
    Claim(
        "sublinear",
        "Cumulative instability grows no faster than about √T",
        f"{PAPER}, theorem 5.1",
        ("regret", "variants"),
        sublinear(False),
        {"no optimism (intervals ten times too narrow)": sublinear(True)},
        presets=BIG,
    ),
    Claim(
        "minimax",
        "On hidden matchings the regret is σ N^1.5 √T up to a logarithm",
        f"{PAPER}, lower bound",
        ("hidden",),
        minimax(True),
        {"a gap that does not shrink": minimax(False)},
        presets=BIG,
    ),
    Claim(
        "log_rate",
        "With prices inside the core the regret on one market is logarithmic in T",
        f"{PAPER}, section 6",
        ("rules",),
        logarithmic("midpoint", "max_slack"),
        {
            "customer-optimal prices": logarithmic("row"),
            "provider-optimal prices": logarithmic("col"),
        },
        presets=BIG,
    ),
    Claim(
        "edge_prices",
        "With prices on the edge of the core the regret on one market is not logarithmic in T",
        "our check of the price rules",
        ("rules",),
        keeps_losing("row", "col"),
        {"midpoint prices": keeps_losing("midpoint")},
        presets=BIG,
    ),
    Claim(
        "structure",
        "Typed preferences are learnt faster than linear ones, and linear ones faster than "
        "unstructured ones",
        f"{PAPER}, section 5",
        ("structured",),
        structure("typed"),
        {"wrong types": structure("mistyped")},
        presets=BIG,
    ),
    Claim(
        "typed_scaling",
        "With types, regret grows with N no faster than √N",
        f"{PAPER}, section 5",
        ("structured",),
        no_growth_with_agents("typed"),
        {"unstructured": no_growth_with_agents("unstructured")},
        presets=BIG,
    ),
)
