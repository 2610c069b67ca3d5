"""The change of weights, the slope of the outputs, balls of embeddings, and the grammars."""

import numpy as np

from theorylab.lab import Claim, Evidence, over_seeds, share
from theorylab.papers.safety_finetuning.claims.shared import (
    MINI,
    TRAINED,
    All,
    Measure,
    Preset,
    main,
)
from theorylab.papers.safety_finetuning.tables import (
    MATRICES,
    NAMES,
    excess,
    of,
    selectivity_ratio,
    slope,
    supervised_rates,
)


def null_space(results: All, p: Preset) -> list[Evidence]:
    """Mean projection of the five leading directions less a random direction's: above 0."""
    return [
        over_seeds(
            f"excess, {matrix} matrix, {NAMES[protocol]}",
            excess(main(results, p, protocol), m),
            low=0.0,
        )
        for m, matrix in enumerate(MATRICES)
        for protocol in ("unlearning", "dpo", "supervised")
    ]


def selective(results: All, p: Preset) -> list[Evidence]:
    """In every layer the change acts at least twice as strongly on unsafe prompts."""
    out = []
    for protocol in ("unlearning", "dpo", "supervised"):
        ratio = selectivity_ratio(main(results, p, protocol)).min(1)
        out.append(over_seeds(f"unsafe over safe, {NAMES[protocol]}", ratio, low=2.0, scale="log"))
    return out


def saturates(protocol: str) -> Measure:
    """SSFT from the medium rate on: the median slope of the probability on unsafe prompts falls
    at least tenfold."""

    def measure(results: All, p: Preset) -> list[Evidence]:
        base = slope(main(results, p, "none"), "prob", "unsafe")
        rates = [lr for lr in supervised_rates(p) if lr >= p["lr"]]
        out = []
        for lr in rates:
            rows = of(results["measured"], protocol, None if protocol == "none" else lr)
            fall = base / slope(rows, "prob", "unsafe")
            label = f"fall of the median slope, {lr:.0e}"
            out.append(over_seeds(label, fall, low=10.0, scale="log"))
        return out

    return measure


def steeper_on_safe(protocols: tuple[str, ...]) -> Measure:
    """Unlearning and DPO: the median slope of the probability on safe prompts rises at least 1.5
    times."""

    def measure(results: All, p: Preset) -> list[Evidence]:
        base = slope(main(results, p, "none"), "prob", "safe")
        return [
            over_seeds(
                f"rise of the median slope, {NAMES[protocol]}",
                slope(main(results, p, protocol), "prob", "safe") / base,
                low=1.5,
                scale="log",
            )
            for protocol in protocols
        ]

    return measure


def logit_falls(results: All, p: Preset) -> list[Evidence]:
    """After SSFT the median slope of the largest logit on unsafe prompts is below the base
    model's."""
    base = slope(main(results, p, "none"), "logit", "unsafe")
    found = slope(main(results, p, "supervised"), "logit", "unsafe")
    ratio = found / base
    return [over_seeds("median slope of the logit, SSFT over base", ratio, high=1.0, scale="log")]


def fragile(weak: str, strong: str) -> Measure:
    """With more soft tokens SSFT's refusals open no less often, and with all of them at least as
    often as unlearning's and .2 more often than without."""

    def measure(results: All, p: Preset) -> list[Evidence]:
        one, other = (
            main(results, p, protocol, "fragility").stack("opened") for protocol in (weak, strong)
        )
        steps = [
            over_seeds(f"opened, {i + 1} less {i} soft tokens", one[:, i + 1] - one[:, i], low=0.0)
            for i in range(one.shape[1] - 1)
        ]
        return [
            *steps,
            over_seeds("opened, SSFT less unlearning", one[:, -1] - other[:, -1], low=0.0),
            over_seeds("opened, all soft tokens less none", one[:, -1] - one[:, 0], low=0.2),
        ]

    return measure


def grammar_laws(swap: bool) -> Measure:
    """Sampled mean lengths within 4 standard errors of the exact ones, and letters in use: 29, 26,
    25 and 24."""

    def measure(results: All, p: Preset) -> list[Evidence]:
        rows = list(results["laws"])
        exact = rows[::-1] if swap else rows
        out = []
        for row, law in zip(rows, exact, strict=True):
            error = np.sqrt(law["variance"] / row.cell["samples"])
            z = float((row["sampled_mean"] - law["mean"]) / error)
            out.append(Evidence(f"standard errors, {row.cell['variant']}", z, -4.0, 4.0))
        used = (results["letters"].rows[0]["unigram"] > 0).sum(1)
        out += [
            Evidence(f"letters of G{i + 1}", float(n), want, want)
            for i, (n, want) in enumerate(zip(used, (29.0, 26.0, 25.0, 24.0), strict=True))
        ]
        return out

    return measure


def exact_moments(swap: bool) -> Measure:
    """Mean 3129/8 and variance 163935/64 of the full grammar, mean 4587/64 of the safe branch."""

    def measure(results: All, p: Preset) -> list[Evidence]:
        full, safe = (results["laws"].where(variant=v).rows[0] for v in ("full", "safe"))
        full, safe = (safe, full) if swap else (full, safe)
        numbers = {
            "mean length, full": (full["mean"], 3129 / 8),
            "variance, full": (full["variance"], 163935 / 64),
            "mean length, safe": (safe["mean"], 4587 / 64),
        }
        return [
            Evidence(name, float(value), want - 1e-6, want + 1e-6)
            for name, (value, want) in numbers.items()
        ]

    return measure


def local_branch(order: int) -> Measure:
    """Pairs of letters tell safe from unsafe windows in .955 (G1) and .87 (G2) of cases, within
    .03."""

    def measure(results: All, p: Preset) -> list[Evidence]:
        out = []
        for index, want in ((0, 0.955), (1, 0.87)):
            rows = results["locality"].where(
                index=index, one="safe", other="unsafe_trained", order=order
            )
            row = rows.rows[0]
            right, trials = int(row["right"]), int(row["trials"])
            out.append(share(f"told apart, G{index + 1}", right, trials, want - 0.03, want + 0.03))
        return out

    return measure


CLAIMS = (
    Claim(
        "null_space",
        "The change of the MLP weights lies in the null space of the base weights more than a "
        "random direction does: excess above 0",
        "Jain et al. 2024, section 4.2 and figure 4; the baseline is our derivation, "
        "docs/derivations/safety_finetuning.md, statement 2",
        ("measured",),
        null_space,
        kind="finding",
        presets=MINI,
        note="A random direction has 85 to 90 % of its length there, since the space is so large.",
    ),
    Claim(
        "selective",
        "The change of the first MLP matrix acts at least twice as strongly on unsafe prompts",
        "Jain et al. 2024, section 4.2 and figure 5; the factor is ours",
        ("measured",),
        selective,
        kind="finding",
        presets=MINI,
    ),
    Claim(
        "probability_saturates",
        "SSFT lowers the slope of the answer's probability on unsafe prompts at least tenfold",
        "Jain et al. 2024, figure 6; the factor is ours",
        ("measured",),
        saturates("supervised"),
        {"the base model": saturates("none")},
        presets=MINI,
    ),
    Claim(
        "steeper_on_safe",
        "Unlearning and DPO raise the slope of the answer's probability on safe prompts at least "
        "1.5 times",
        "Jain et al. 2024, figure 6; the factor is ours",
        ("measured",),
        steeper_on_safe(("unlearning", "dpo")),
        {"the base model": steeper_on_safe(("none",))},
        presets=MINI,
    ),
    Claim(
        "logit_falls",
        "SSFT lowers the slope of the largest logit on unsafe prompts: ratio below 1",
        "Jain et al. 2024, figure 6, with the logit that the release differentiates",
        ("measured",),
        logit_falls,
        kind="finding",
        presets=MINI,
        note="The logit of the null token grows without bound while its probability saturates.",
    ),
    Claim(
        "fragile",
        "More soft tokens break more of SSFT's refusals, and more than unlearning's",
        "Jain et al. 2024, section 5.2; the margins are ours",
        ("fragility",),
        fragile("supervised", "unlearning"),
        {"protocols exchanged": fragile("unlearning", "supervised")},
        presets=MINI,
    ),
    Claim(
        "exact_moments",
        "Lengths of yields have mean 3129/8 and variance 163935/64; of the safe branch mean "
        "4587/64",
        "our count by dynamic programming over the rules of Jain et al. 2024",
        ("laws",),
        exact_moments(False),
        {"branches exchanged": exact_moments(True)},
        kind="identity",
    ),
    Claim(
        "grammar_laws",
        "Sampled yields have the exact mean length within 4 standard errors, and the grammars use "
        "29, 26, 25 and 24 of 30 letters",
        "our check of the released grammars of Jain et al. 2024",
        ("laws", "letters"),
        grammar_laws(False),
        {"branches exchanged": grammar_laws(True)},
    ),
    Claim(
        "local_branch",
        "Pairs of letters alone tell the branches apart in .955 (G1) and .87 (G2) of windows",
        "our measurement of the released grammars of Jain et al. 2024, within .03",
        ("locality",),
        local_branch(1),
        {"letters in place of pairs": local_branch(0)},
        presets=TRAINED,
        note="So the branch of a text is to a large part a local property.",
    ),
)
