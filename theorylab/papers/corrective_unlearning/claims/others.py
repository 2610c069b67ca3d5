"""Accuracy elsewhere, and methods that came after the paper."""

from theorylab.lab import Claim
from theorylab.papers.corrective_unlearning.claims.shared import BIG, OURS, POTION, C, D, P, span
from theorylab.papers.corrective_unlearning.measures import (
    INF,
    both,
    differences,
    levels,
    mean_difference,
    mean_share,
    shares,
)

_LOSS = (-0.02, INF)
OTHERS = (
    Claim(
        "accuracy_elsewhere",
        "Retraining loses less than .02 of Acc_retain, and SSD stays above .9",
        f"{OURS}: bounds of an independent implementation, relative to the original model",
        ("sweep",),
        both(
            differences(D, P, "rewod", "none", span((0.1, 0.5, 1.0), *_LOSS), "retained"),
            differences(D, C, "rewod", "none", span((0.1, 0.5, 1.0), *_LOSS), "retained"),
            levels(D, P, "ssd", span((0.1, 0.5, 1.0), 0.9), "retained"),
            levels(D, C, "ssd", span((0.1, 0.5, 1.0), 0.9), "retained"),
        ),
        {
            "deployable choice": both(
                differences(D, P, "ssd_deployable", "none", span((0.1, 0.5), *_LOSS), "retained"),
                levels(D, C, "ssd_deployable", span((0.1, 0.5), 0.9), "retained"),
            )
        },
        presets=BIG,
    ),
    Claim(
        "potion_heals_poison",
        "Potion heals at least .8 of the poison without an oracle",
        f"{POTION}: 93.7 %; our bound",
        ("sweep",),
        mean_share(D, P, "potion", 0.8),
        {"RewoD": mean_share(D, P, "rewod", 0.8)},
        presets=BIG,
    ),
    Claim(
        "potion_harms_confusion",
        "Potion lowers Acc_corr of confused classes by at least .1: its search ends when the wrong "
        "labels are gone, and with them the classes",
        f"{OURS}: the stopping rule of {POTION}",
        ("sweep",),
        mean_difference(D, C, "potion", "none", high=-0.1),
        {"BadT": mean_difference(D, C, "badt", "none", high=-0.1)},
        presets=BIG,
    ),
    Claim(
        "newton_follows_retraining",
        "A Newton step of the linearised network heals less than half of the poison while half of "
        "it is unidentified, and more than half when all is identified",
        "our derivation, docs/derivations/tangent_unlearning.md, statement 1: the step aims at "
        "the retrained model",
        ("sweep",),
        shares(D, P, "newton", {0.25: (-INF, 0.5), 0.5: (-INF, 0.5), 1.0: (0.5, INF)}),
        {
            "SSD": shares(D, P, "ssd", {0.25: (-INF, 0.5), 0.5: (-INF, 0.5), 1.0: (0.5, INF)}),
            "fine-tuning": shares(
                D, P, "cf", {0.25: (-INF, 0.5), 0.5: (-INF, 0.5), 1.0: (0.5, INF)}
            ),
        },
        presets=BIG,
    ),
)
