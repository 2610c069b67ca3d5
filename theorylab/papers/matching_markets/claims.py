"""Claims of the paper with their controls: what must hold exactly on every market, and the rates
that must be seen."""

import numpy as np
from scipy import stats

from theorylab.lab import Claim, Evidence, Preset, bootstrap, over_seeds
from theorylab.lab.claim import Measure
from theorylab.matching import break_even
from theorylab.papers.matching_markets.figures import one
from theorylab.papers.types import AllResults

PAPER = "Jagadeesan et al. 2021"
TINY = 1e-9
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


def of_means(
    label: str,
    top: np.ndarray,
    bottom: np.ndarray,
    low: float = -np.inf,
    high: float = np.inf,
    base: float | None = None,
) -> Evidence:
    """Evidence from the ratio of two means over the same runs, drawn again run by run; with a base,
    its logarithm."""

    def ratio(top: np.ndarray, bottom: np.ndarray) -> float:
        found = top.mean() / bottom.mean()
        return found if base is None else np.log(found) / np.log(base)

    return bootstrap(label, ratio, (top, bottom), low, high)


def _all(results: AllResults, name: str) -> np.ndarray:
    return np.concatenate([row[name] for row in results["properties"]])


def three_forms(first: str) -> Measure:
    """(a) The forms differ by at most 1e-9 on every market; minimal subsidies sum to it and leave
    nothing to gain."""

    def measure(results: AllResults, preset: Preset) -> list[Evidence]:
        form = _all(results, first)
        return [
            Evidence(
                f"max |{name} - {first}|",
                float(np.abs(_all(results, name) - form).max()),
                high=TINY,
            )
            for name in ("lp", "coalitions", "subsidies")
        ] + [
            Evidence(
                "largest gain of leaving once subsidised",
                float(_all(results, "left").max()),
                high=TINY,
            )
        ]

    return measure


def zero_iff_stable(loss: str) -> Measure:
    """The loss is 0 exactly where no agent and no pair gains by leaving: number of markets where
    the two disagree."""

    def measure(results: AllResults, preset: Preset) -> list[Evidence]:
        disagree = (_all(results, loss) <= TINY) != (_all(results, "unrest") <= TINY)
        return [
            Evidence(
                "markets where the loss is 0 and stability disagree",
                float(disagree.sum()),
                high=0.0,
            )
        ]

    return measure


def at_least_difference(form: str) -> Measure:
    """(b) Property 3: the least of I - D over all markets is at least -1e-9."""
    return lambda results, preset: [
        Evidence(
            "min (I - D)",
            float((_all(results, form) - _all(results, "difference")).min()),
            low=-TINY,
        )
    ]


def lipschitz(constant: float) -> Measure:
    """(b) Property 2: the largest change of I over constant * sum_a max |u_a - u'_a| is at most
    1."""

    def measure(results: AllResults, preset: Preset) -> list[Evidence]:
        ratio = _all(results, "change") / np.maximum(_all(results, "moved"), 1e-300)
        return [
            Evidence(
                f"max |I - I'| / ({constant:g} Σ max|u - u'|)",
                float(ratio.max()) / constant,
                high=1 + TINY,
            )
        ]

    return measure


def key_lemma(rule: str) -> Measure:
    """(b) I <= sum over matched agents of UCB - u, for decisions by `rule`."""
    return lambda results, preset: [
        Evidence(
            "max (I - excess)",
            float((_all(results, rule) - _all(results, f"{rule}_excess")).max()),
            high=TINY,
        )
    ]


def gap_lemma(with_gap: float) -> Measure:
    """(b) I <= gap + excess for any dual-feasible prices, any matching and any split of the
    surplus."""

    def measure(results: AllResults, preset: Preset) -> list[Evidence]:
        bound = with_gap * _all(results, "gap") + _all(results, "rough_excess")
        return [
            Evidence(
                "max (I - gap - excess)", float((_all(results, "rough") - bound).max()), high=TINY
            )
        ]

    return measure


def charging(by: str) -> Measure:
    """Search frictions: nobody leaves, and the profit is friction - (UCB - LCB) per matched
    agent."""
    return lambda results, preset: [
        Evidence("largest gain of leaving", float(_all(results, f"{by}_unrest").max()), high=TINY),
        Evidence(
            "error of the profit formula",
            float(_all(results, f"{by}_profit_error").max()),
            high=TINY,
        ),
    ]


def has_room(prices: str) -> Measure:
    """The prices leave every slack constraint at least (best - second-best matching) / N."""

    def measure(results: AllResults, preset: Preset) -> list[Evidence]:
        room, needed = _all(results, prices), _all(results, "needed_room")
        kept = np.isfinite(room)  # a market in which nobody is matched has no such constraint
        return [
            Evidence("min (room - gap / N)", float((room[kept] - needed[kept]).min()), low=-1e-8)
        ]

    return measure


def figure_one(cost: float) -> Measure:
    """(c) Instability 3, utility difference 2, coalition {C, P}, stable payments [5, 7]."""

    def measure(results: AllResults, preset: Preset) -> list[Evidence]:
        row = one(results["example"], cost=cost)
        return [
            Evidence("Subset Instability of C-Q", float(row["instability"]), 3 - TINY, 3 + TINY),
            Evidence("utility difference of C-Q", float(row["difference"]), 2 - TINY, 2 + TINY),
            Evidence(
                "the best coalition is {C, P}",
                float(row["coalition"].tolist() == [True, True, False]),
                1,
                1,
            ),
            Evidence("stable payments from", float(row["interval"][0]), 5 - TINY, 5 + TINY),
            Evidence("stable payments to", float(row["interval"][1]), 7 - TINY, 7 + TINY),
        ]

    return measure


def chain(narrow: bool = False) -> Measure:
    """(d) R_t <= excess_t <= widths_t <= 4P + 8c sqrt(L P M t) in all rounds of all runs whose
    intervals held."""

    def measure(results: AllResults, preset: Preset) -> list[Evidence]:
        rows = (
            [one(results["variants"], width=0.05)]
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
        rows = [one(results["variants"], width=0.05)] if narrow else list(results["regret"])
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
        row = one(results["variants"], width=8.0, clip=clip)
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
                cell = row.cell
                if (cell["k"], cell["horizon"], cell["width"]) != (k, 4000, width) or cell[
                    "prices"
                ] != "midpoint":
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


def sublinear(variant: bool) -> Measure:
    """Instability grows at most like sqrt(T): log-log slope between T/4 and T at most 0.6 in every
    market size."""

    def measure(results: AllResults, preset: Preset) -> list[Evidence]:
        last = preset["horizons"][-1]
        rows = (
            [one(results["variants"], width=0.05)]
            if variant
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
            short = one(rows, k=k, horizon=first, tuned=first)["ratio"]
            long = one(rows, k=k, horizon=last, tuned=last if tuned else first)["ratio"]
            evidence.append(
                of_means(f"ratio at T={last} over T={first}, k={k}", long, short, 0.85, 1.15)
            )
        return evidence

    return measure


def _growth(results: AllResults, rule: str) -> np.ndarray:
    row = one(results["rules"], rule=rule)
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
        total = {m: one(rows, model=m)["regret"][:, -1] for m in {typed, "linear", "unstructured"}}
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
            one(results["structured"], k=k, model=model)["regret"][:, -1]
            for k in (sizes[0], sizes[-1])
        )
        scale = np.sqrt(sizes[-1] / sizes[0])
        return [of_means(f"growth over √N, {model}", large / scale, small, high=1.5)]

    return measure


def profit_slope(subtracted: bool) -> Measure:
    """(h) Late in the run the profit per round is within 5 % of friction per matched agent, widths
    subtracted, and no round was unstable."""

    def measure(results: AllResults, preset: Preset) -> list[Evidence]:
        evidence = []
        for row in results["regret"].where(horizon=preset["horizons"][-1]):
            for f, friction in enumerate(row.cell["frictions"]):
                rate = row["late_rate"][:, f, 0 if subtracted else 1]
                evidence.append(
                    over_seeds(
                        f"profit / (ε matched), k={row.cell['k']}, ε={friction}", rate, 0.95, 1.05
                    )
                )
            evidence.append(
                Evidence(
                    f"largest gain of leaving, k={row.cell['k']}",
                    float(row["unrest"].max()),
                    high=TINY,
                )
            )
        return evidence

    return measure


def even_in_time(scale: float) -> Measure:
    """Where every round matches all, the last loss comes before the break-even of the theorem (at ε
    = 1)."""

    def measure(results: AllResults, preset: Preset) -> list[Evidence]:
        evidence = []
        for row in results["regret"].where(horizon=preset["horizons"][-1]):
            k, c = row.cell["k"], row.cell
            latest = break_even(k, k, c["horizon"], c["width"], 1.0)
            worst = float(row["earned"][:, c["frictions"].index(1.0)].max())
            evidence.append(
                Evidence(
                    f"last round in the red / guaranteed, k={k}", worst / (scale * latest), 0.0, 1.0
                )
            )
        return evidence

    return measure


def ntu_lemma(what: str) -> Measure:
    """I_NTU <= excess in every round in which the intervals held."""

    def measure(results: AllResults, preset: Preset) -> list[Evidence]:
        row = one(results["ntu"])
        if what == "breach":
            return [Evidence("max (I_NTU - excess)", float(row["breach"].max()), high=TINY)]
        # At the horizon the excess of a round is small: matchings that do not learn are far above
        # it.
        late = (row["excess"][:, -1] - row["excess"][:, -2]) / (
            row["rounds"][-1] - row["rounds"][-2]
        )
        return [Evidence("max (I_NTU - excess)", float((row[what] - late).max()), high=TINY)]

    return measure


def ntu_learns(late: str) -> Measure:
    """In the last tenth of the rounds the mean instability is below a fifth of that of random
    matchings."""

    def measure(results: AllResults, preset: Preset) -> list[Evidence]:
        row = one(results["ntu"])
        return [of_means("instability / random", row[late], row["random"], high=0.2)]

    return measure


BIG = ("quick", "full")
CLAIMS = (
    Claim(
        "three_forms",
        "Assignment, subsidy and coalition forms of Subset Instability are equal",
        f"{PAPER}, section 3",
        ("properties",),
        three_forms("assignment"),
        {
            "individual losses left out": three_forms("naive"),
            "utility difference": three_forms("difference"),
        },
        kind="identity",
    ),
    Claim(
        "zero_iff_stable",
        "Subset Instability is 0 exactly at stable outcomes",
        f"{PAPER}, proposition 3.3",
        ("properties",),
        zero_iff_stable("assignment"),
        {"utility difference": zero_iff_stable("difference")},
    ),
    Claim(
        "above_difference",
        "Instability is at least the utility difference when transfers cancel within pairs",
        f"{PAPER}, proposition 3.3",
        ("properties",),
        at_least_difference("assignment"),
        {"transfers from outside": at_least_difference("loose")},
    ),
    Claim(
        "lipschitz",
        "Instability is Lipschitz in the utilities with constant 2",
        f"{PAPER}, proposition 3.3",
        ("properties",),
        lipschitz(2.0),
        {"constant 1": lipschitz(1.0)},
    ),
    Claim(
        "key_lemma",
        "Deciding by upper bounds, instability is at most the optimism excess",
        f"{PAPER}, lemma 4.1",
        ("properties",),
        key_lemma("ucb"),
        {"deciding by lower bounds": key_lemma("lcb")},
    ),
    Claim(
        "gap_lemma",
        "An approximate solver with certified gap g costs at most g per round",
        "our derivation: any feasible prices, with their gap, bound the instability",
        ("properties",),
        gap_lemma(1.0),
        {"gap not counted": gap_lemma(0.0)},
    ),
    Claim(
        "charging",
        (
            "A platform may pay by lower bounds and charge for search frictions: stable, with "
            "known profit"
        ),
        f"{PAPER}, search frictions; profit by our derivation",
        ("properties",),
        charging("charged"),
        {"paying by upper bounds": charging("overcharged")},
    ),
    Claim(
        "max_slack_room",
        "Max-slack prices are robust by (best - second-best matching) / N",
        "our derivation: the slack of prices inside the core",
        ("properties",),
        has_room("room"),
        {"customer-optimal prices": has_room("edge_room")},
    ),
    Claim(
        "figure_1",
        "Figure 1: instability 3, utility difference 2, stable payments [5, 7]",
        f"{PAPER}, figure 1",
        ("example",),
        figure_one(5.0),
        {"provider P at a cost of 4": figure_one(4.0)},
        kind="identity",
    ),
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
        "Half-width 2σ √(log(NT)/visits) suffices",
        "our derivation: a union bound",
        ("regret", "variants"),
        intervals_hold(),
        {"intervals ten times too narrow": intervals_hold(narrow=True)},
    ),
    Claim(
        "clipping",
        "Intervals kept inside [-1, 1] never promise more than 4 a pair",
        "our check of the pseudocode",
        ("variants",),
        sensible_rounds(True),
        {"unclipped, as in the pseudocode": sensible_rounds(False)},
    ),
    Claim(
        "reference_values",
        "Regret, utility difference and excess of an independent implementation",
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
        "On hidden matchings regret is σ N^1.5 √T up to a logarithm",
        f"{PAPER}, lower bound",
        ("hidden",),
        minimax(True),
        {"a gap that does not shrink": minimax(False)},
        presets=BIG,
    ),
    Claim(
        "log_rate",
        "With interior prices instance-dependent regret is logarithmic",
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
        "With prices on the edge of the core it is not",
        "our check of the price rules",
        ("rules",),
        keeps_losing("row", "col"),
        {"midpoint prices": keeps_losing("midpoint")},
        presets=BIG,
    ),
    Claim(
        "structure",
        "Typed preferences are learnt faster than linear ones, and those than unstructured ones",
        f"{PAPER}, section 5",
        ("structured",),
        structure("typed"),
        {"wrong types": structure("mistyped")},
        presets=BIG,
    ),
    Claim(
        "typed_scaling",
        "With types, regret grows with N like √N at most",
        f"{PAPER}, section 5",
        ("structured",),
        no_growth_with_agents("typed"),
        {"unstructured": no_growth_with_agents("unstructured")},
        presets=BIG,
    ),
    Claim(
        "profit_slope",
        "Late profit per round is ε per matched agent, minus the widths",
        f"{PAPER}, search frictions; profit by our derivation",
        ("regret",),
        profit_slope(True),
        {"widths ignored": profit_slope(False)},
        presets=BIG,
    ),
    Claim(
        "break_even",
        "The platform has earned back its losses by the guaranteed round",
        f"{PAPER}, search frictions; the round by our derivation",
        ("regret",),
        even_in_time(1.0),
        {"a hundredth of the guarantee": even_in_time(0.01)},
        presets=BIG,
    ),
    Claim(
        "ntu_lemma",
        "Without transfers too, instability is at most the optimism excess",
        f"{PAPER}, section 6 in words; our proof",
        ("ntu",),
        ntu_lemma("breach"),
        {"random matchings": ntu_lemma("random"), "heaviest matchings": ntu_lemma("heaviest")},
        presets=BIG,
    ),
    Claim(
        "ntu_learns",
        "MatchNTUCB learns stable matchings",
        f"{PAPER}, section 6",
        ("ntu",),
        ntu_learns("late"),
        {"its first rounds": ntu_learns("early")},
        presets=BIG,
    ),
)
