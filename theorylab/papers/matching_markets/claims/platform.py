"""A platform that charges, and matches without transfers."""

from theorylab.lab import Claim, Evidence, Preset, over_seeds
from theorylab.lab.claim import Measure
from theorylab.matching import break_even
from theorylab.papers.matching_markets.claims.shared import BIG, PAPER, TINY, of_means
from theorylab.papers.matching_markets.tables import only_row
from theorylab.papers.types import AllResults


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
            latest = break_even(k, k, c["horizon"], c["learner"]["width"], 1.0)
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
        row = only_row(results["ntu"])
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
        row = only_row(results["ntu"])
        return [of_means("instability / random", row[late], row["random"], high=0.2)]

    return measure


CLAIMS = (
    Claim(
        "profit_slope",
        "Late in the run the profit per round is ε per matched agent, minus the widths of the "
        "intervals",
        (
            f"{PAPER}, search frictions; profit by our derivation, "
            "docs/derivations/stable_prices.md, statement 3"
        ),
        ("regret",),
        profit_slope(True),
        {"widths ignored": profit_slope(False)},
        presets=BIG,
    ),
    Claim(
        "break_even",
        "By the guaranteed round the platform has earned back its losses",
        (
            f"{PAPER}, search frictions; the round by our derivation, "
            "docs/derivations/stable_prices.md, statement 7"
        ),
        ("regret",),
        even_in_time(1.0),
        {"a hundredth of the guarantee": even_in_time(0.01)},
        presets=BIG,
    ),
    Claim(
        "ntu_lemma",
        "Without transfers, too, instability is at most the optimism excess",
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
