"""Clusters of activations: how they part, in which layer, and what breaks through them."""

from itertools import pairwise

import numpy as np

from theorylab.lab import Claim, Evidence, over_seeds
from theorylab.papers.safety_finetuning.claims.shared import (
    GAPS,
    MINI,
    All,
    Measure,
    Preset,
    main,
    reaches,
)
from theorylab.papers.safety_finetuning.tables import (
    NAMES,
    gap,
    of,
    supervised_rates,
    tau_by_verdict,
)


def clusters_form(array: str) -> Measure:
    """The gap in the last layer is at least 5 times that of the base model."""

    def measure(results: All, p: Preset) -> list[Evidence]:
        base = gap(main(results, p, "none"))[:, -1]
        return [
            reaches(
                f"gap against 5 times the base model's, {NAMES[protocol]}",
                gap(main(results, p, protocol), array)[:, -1],
                5 * base,
            )
            for protocol in ("unlearning", "dpo", "supervised")
        ]

    return measure


def strong_protocols(strong: tuple[str, ...]) -> Measure:
    """The gap in the last layer after unlearning and after DPO is at least 1.5 times SSFT's."""

    def measure(results: All, p: Preset) -> list[Evidence]:
        weak = gap(main(results, p, "supervised"))[:, -1]
        return [
            reaches(
                f"gap against 1.5 times SSFT's, {NAMES[protocol]}",
                gap(main(results, p, protocol))[:, -1],
                1.5 * weak,
            )
            for protocol in strong
        ]

    return measure


def alike(other: str) -> Measure:
    """The gaps of unlearning and DPO differ by a factor of at most 1.5."""

    def measure(results: All, p: Preset) -> list[Evidence]:
        one, two = (gap(main(results, p, name))[:, -1] for name in ("unlearning", other))
        return [
            reaches("1.5 times unlearning's gap against DPO's", 1.5 * one, two),
            reaches("1.5 times DPO's gap against unlearning's", 1.5 * two, one),
        ]

    return measure


def grows_with_rate(rising: bool) -> Measure:
    """The gap of SSFT in the last layer grows at every larger learning rate."""

    def measure(results: All, p: Preset) -> list[Evidence]:
        rates = supervised_rates(p)
        gaps = [gap(of(results["measured"], "supervised", lr))[:, -1] for lr in rates]
        gaps = gaps if rising else gaps[::-1]
        return [
            reaches(f"gap against the one before, step {i + 1} of the rate", b, a)
            for i, (a, b) in enumerate(pairwise(gaps))
        ]

    return measure


def grows_with_depth(deeper: bool) -> Measure:
    """After every protocol the gap in the last layer is at least twice that in the first."""

    def measure(results: All, p: Preset) -> list[Evidence]:
        out = []
        for protocol in ("unlearning", "dpo", "supervised"):
            found = gap(main(results, p, protocol))
            first, last = (found[:, 0], found[:, -1])[:: 1 if deeper else -1]
            name = NAMES[protocol]
            out.append(reaches(f"gap, last against twice the first layer, {name}", last, 2 * first))
        return out

    return measure


def executed_look_safe(shuffle: bool) -> Measure:
    """Mean tau of executed competing tasks exceeds that of refused ones by at least half of the
    gap between safe and unsafe prompts (SSFT at its largest rate).

    A share of a gap, which may be below 0: on the linear scale. The gap that divides it is of the
    network that was trained longest to part the prompts.
    """

    def measure(results: All, p: Preset) -> list[Evidence]:
        rows = of(results["measured"], "supervised", supervised_rates(p)[-1])
        found = tau_by_verdict(rows, "competing_tasks", shuffle=shuffle)
        part = (found[:, 0] - found[:, 1]) / gap(rows)[:, -1]
        return [over_seeds("tau, executed less refused, over the gap", part, low=0.5)]

    return measure


def depth_at_scale(deeper: bool) -> Measure:
    """In the first half of the layers the gap is less than a twentieth of that in the last."""

    def measure(results: All, p: Preset) -> list[Evidence]:
        out = []
        for protocol in ("unlearning", "dpo"):
            found = gap(main(results, p, protocol))[:, :: 1 if deeper else -1]
            half, last = np.abs(found[:, : found.shape[1] // 2]).max(1), found[:, -1]
            name = NAMES[protocol]
            out.append(reaches(f"a twentieth of the last, against early, {name}", last / 20, half))
        return out

    return measure


def rates_at_scale(reference: str) -> Measure:
    """Unlearning and DPO at the medium rate: a gap at least 5 times that of SSFT at the small
    one."""

    def measure(results: All, p: Preset) -> list[Evidence]:
        lr = p["small_lr"] if reference == "supervised" else p["lr"]
        small = gap(of(results["measured"], reference, lr))[:, -1]
        return [
            reaches(
                f"gap against 5 times SSFT's at the small rate, {NAMES[protocol]}",
                gap(main(results, p, protocol))[:, -1],
                5 * small,
            )
            for protocol in ("unlearning", "dpo")
        ]

    return measure


_FIGURE = "Jain et al. 2024, figure 3"
CLAIMS = (
    Claim(
        "clusters_form",
        "Safety fine-tuning moves safe and unsafe prompts at least 5 times as far apart",
        f"{_FIGURE}; the factor is ours",
        ("measured",),
        clusters_form("gap"),
        {"labels of prompts shuffled": clusters_form("gap_shuffled")},
        presets=MINI,
        note=GAPS,
    ),
    Claim(
        "strong_protocols",
        "Unlearning and DPO part the clusters at least 1.5 times as far as SSFT",
        f"{_FIGURE}; the factor is ours",
        ("measured",),
        strong_protocols(("unlearning", "dpo")),
        {"SSFT in place of both": strong_protocols(("supervised",))},
        presets=MINI,
        note=GAPS,
    ),
    Claim(
        "unlearning_like_dpo",
        "Unlearning and DPO part the clusters equally far, within a factor of 1.5",
        f"{_FIGURE}; the factor is ours",
        ("measured",),
        alike("dpo"),
        {"SSFT in place of DPO": alike("supervised")},
        presets=MINI,
        note=GAPS,
    ),
    Claim(
        "grows_with_rate",
        "The larger the learning rate of SSFT, the farther apart the clusters",
        _FIGURE,
        ("measured",),
        grows_with_rate(True),
        {"rates in falling order": grows_with_rate(False)},
        presets=MINI,
        note=GAPS,
    ),
    Claim(
        "grows_with_depth",
        "The clusters are at least twice as far apart in the last layer as in the first",
        f"{_FIGURE}; the factor is ours",
        ("measured",),
        grows_with_depth(True),
        {"layers in reverse": grows_with_depth(False)},
        presets=MINI,
        note=GAPS,
    ),
    Claim(
        "executed_look_safe",
        "Among competing tasks those that are executed look safe: tau is higher by at least half "
        "of the gap of the clusters",
        "Jain et al. 2024, figure 7; the margin is ours",
        ("measured",),
        executed_look_safe(False),
        {"verdicts shuffled": executed_look_safe(True)},
        presets=MINI,
        note="The paper shows executed inputs alone, which makes the statement partly a tautology; "
        "here executed and refused inputs of one kind are compared.",
    ),
    Claim(
        "depth_at_scale",
        "In the first three of six layers safe and unsafe prompts hardly part",
        _FIGURE,
        ("measured",),
        depth_at_scale(True),
        {"layers in reverse": depth_at_scale(False)},
        presets=("full",),
        note=GAPS,
    ),
    Claim(
        "rates_at_scale",
        "Unlearning and DPO at 1e-4 part the clusters at least 5 times as far as SSFT at 1e-5",
        f"{_FIGURE}; the factor is ours",
        ("measured",),
        rates_at_scale("supervised"),
        {"against unlearning itself": rates_at_scale("unlearning")},
        presets=("full",),
        note=GAPS,
    ),
)
