"""Subset Instability and the lemmas on one market."""

import numpy as np

from theorylab.lab import Claim, Evidence, Preset
from theorylab.lab.claim import Measure
from theorylab.papers.matching_markets.claims.shared import PAPER, TINY
from theorylab.papers.matching_markets.tables import only_row
from theorylab.papers.types import AllResults


def _all_markets(results: AllResults, name: str) -> np.ndarray:
    return np.concatenate([row[name] for row in results["properties"]])


def three_forms(first: str) -> Measure:
    """(a) The forms differ by at most 1e-9 on every market; minimal subsidies sum to it and leave
    nothing to gain."""

    def measure(results: AllResults, preset: Preset) -> list[Evidence]:
        form = _all_markets(results, first)
        return [
            Evidence(
                f"max |{name} - {first}|",
                float(np.abs(_all_markets(results, name) - form).max()),
                high=TINY,
            )
            for name in ("lp", "coalitions", "subsidies")
        ] + [
            Evidence(
                "largest gain of leaving once subsidised",
                float(_all_markets(results, "left").max()),
                high=TINY,
            )
        ]

    return measure


def zero_iff_stable(loss: str) -> Measure:
    """The loss is 0 exactly where no agent and no pair gains by leaving: number of markets where
    the two disagree."""

    def measure(results: AllResults, preset: Preset) -> list[Evidence]:
        disagree = (_all_markets(results, loss) <= TINY) != (
            _all_markets(results, "unrest") <= TINY
        )
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
            float((_all_markets(results, form) - _all_markets(results, "difference")).min()),
            low=-TINY,
        )
    ]


def lipschitz(constant: float) -> Measure:
    """(b) Property 2: the largest change of I over constant * sum_a max |u_a - u'_a| is at most
    1."""

    def measure(results: AllResults, preset: Preset) -> list[Evidence]:
        ratio = _all_markets(results, "change") / np.maximum(_all_markets(results, "moved"), 1e-300)
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
            float((_all_markets(results, rule) - _all_markets(results, f"{rule}_excess")).max()),
            high=TINY,
        )
    ]


def gap_lemma(with_gap: float) -> Measure:
    """(b) I <= gap + excess for any dual-feasible prices, any matching and any split of the
    surplus."""

    def measure(results: AllResults, preset: Preset) -> list[Evidence]:
        bound = with_gap * _all_markets(results, "gap") + _all_markets(results, "rough_excess")
        return [
            Evidence(
                "max (I - gap - excess)",
                float((_all_markets(results, "rough") - bound).max()),
                high=TINY,
            )
        ]

    return measure


def charging(by: str) -> Measure:
    """Search frictions: nobody leaves, and the profit is friction - (UCB - LCB) per matched
    agent."""
    return lambda results, preset: [
        Evidence(
            "largest gain of leaving", float(_all_markets(results, f"{by}_unrest").max()), high=TINY
        ),
        Evidence(
            "error of the profit formula",
            float(_all_markets(results, f"{by}_profit_error").max()),
            high=TINY,
        ),
    ]


def has_room(prices: str) -> Measure:
    """The prices leave every slack constraint at least (best - second-best matching) / N."""

    def measure(results: AllResults, preset: Preset) -> list[Evidence]:
        room, needed = _all_markets(results, prices), _all_markets(results, "needed_room")
        kept = np.isfinite(room)  # a market in which nobody is matched has no such constraint
        return [
            Evidence("min (room - gap / N)", float((room[kept] - needed[kept]).min()), low=-1e-8)
        ]

    return measure


def figure_one(cost: float) -> Measure:
    """(c) Instability 3, utility difference 2, coalition {C, P}, stable payments [5, 7]."""

    def measure(results: AllResults, preset: Preset) -> list[Evidence]:
        row = only_row(results["example"], cost=cost)
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


CLAIMS = (
    Claim(
        "three_forms",
        "The assignment, subsidy and coalition forms of Subset Instability are equal",
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
        "When upper bounds decide, instability is at most the optimism excess",
        f"{PAPER}, lemma 4.1",
        ("properties",),
        key_lemma("ucb"),
        {"deciding by lower bounds": key_lemma("lcb")},
    ),
    Claim(
        "gap_lemma",
        "An approximate solver with certified gap g costs at most g per round",
        "our derivation, docs/derivations/stable_prices.md, statement 2",
        ("properties",),
        gap_lemma(1.0),
        {"gap not counted": gap_lemma(0.0)},
    ),
    Claim(
        "charging",
        (
            "A platform may pay by lower bounds and charge for search frictions: the outcome is "
            "stable and the profit known"
        ),
        (
            f"{PAPER}, search frictions; profit by our derivation, "
            "docs/derivations/stable_prices.md, statement 3"
        ),
        ("properties",),
        charging("charged"),
        {"paying by upper bounds": charging("overcharged")},
    ),
    Claim(
        "max_slack_room",
        "Max-slack prices are robust by (best - second-best matching) / N",
        "our derivation, docs/derivations/stable_prices.md, statement 4",
        ("properties",),
        has_room("room"),
        {"customer-optimal prices": has_room("edge_room")},
    ),
    Claim(
        "figure_1",
        "In Figure 1 the instability is 3, the utility difference 2, and payments in [5, 7] are "
        "stable",
        f"{PAPER}, figure 1",
        ("example",),
        figure_one(5.0),
        {"provider P at a cost of 4": figure_one(4.0)},
        kind="identity",
    ),
)
