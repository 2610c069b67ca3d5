"""Interclass confusion, and what choosing and searching do to it."""

from theorylab.lab import Claim
from theorylab.papers.corrective_unlearning.claims.shared import (
    BIG,
    LATE,
    OURS,
    PAPER,
    C,
    D,
    M,
    P,
    span,
)
from theorylab.papers.corrective_unlearning.measures import (
    INF,
    both,
    differences,
    levels,
    mean_difference,
    shares,
)

CONFUSION = (
    Claim(
        "confusion_retraining",
        "Retraining without all swapped samples mends the two classes: Acc_corr > .93",
        f"{PAPER}, interclass confusion; bound of an independent implementation",
        ("sweep",),
        levels(D, C, "rewod", {1.0: (0.93, INF)}),
        {"half identified": levels(D, C, "rewod", {0.5: (0.93, INF)})},
        presets=BIG,
    ),
    Claim(
        "ssd_fails_for_confusion",
        "SSD stays at least .1 below retraining from three quarters identified on",
        f"{PAPER}, abstract: SSD fails for interclass confusion",
        ("sweep",),
        differences(D, C, "ssd", "rewod", span((0.75, 1.0), high=-0.1)),
        {"poison": differences(D, P, "ssd", "rewod", span((0.75, 1.0), high=-0.1))},
        presets=BIG,
    ),
    Claim(
        "ssd_heals_little_confusion",
        "SSD, even chosen by an oracle, changes Acc_corr of the two classes by less than .1 from "
        "half identified on",
        f"{OURS}: bound of an independent implementation",
        ("sweep",),
        differences(D, C, "ssd", "none", span(LATE, -0.1, 0.1)),
        {"RewoD": differences(D, C, "rewod", "none", span(LATE, -0.1, 0.1))},
        presets=BIG,
    ),
    Claim(
        "batch_means_heal_some_confusion",
        "With importances of batch means, as in the paper, SSD heals less than a quarter of the "
        "gap of interclass confusion",
        f"{PAPER}, abstract: SSD fails for interclass confusion; {OURS}: bound of an independent "
        "implementation",
        ("sweep",),
        shares(D, C, "ssd_batch", span(LATE, high=0.25)),
        kind="finding",
        note="An oracle over the whole grid finds pairs that heal a third of it at some cost "
        "elsewhere; with importances of single samples it does not.",
        presets=BIG,
    ),
    Claim(
        "mnist_confusion",
        "On MNIST SSD heals less than a quarter of the gap of interclass confusion",
        f"{PAPER}, abstract; bound of an independent implementation",
        ("sweep",),
        shares(M, C, "ssd", span((0.1, 0.5, 1.0), high=0.25)),
        {"RewoD": shares(M, C, "rewod", span((0.1, 0.5, 1.0), high=0.25))},
        presets=BIG,
    ),
    Claim(
        "deployable_choice_harms",
        "The choice by validation accuracy and disagreement on the deletion set makes SSD worse "
        "than no unlearning by at least .1 under interclass confusion, and suits poison: above .8",
        f"{OURS}: bounds of an independent implementation",
        ("sweep",),
        both(
            mean_difference(D, C, "ssd_deployable", "none", high=-0.1),
            levels(D, P, "ssd_deployable", span((0.5, 1.0), 0.8)),
        ),
        {
            "chosen by the oracle": both(
                mean_difference(D, C, "ssd", "none", high=-0.1),
                levels(D, P, "ssd", span((0.5, 1.0), 0.8)),
            )
        },
        presets=BIG,
    ),
)
