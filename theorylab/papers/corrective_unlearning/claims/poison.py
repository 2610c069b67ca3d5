"""What of poison is healed, and by whom."""

from theorylab.lab import Claim
from theorylab.papers.corrective_unlearning.claims.shared import (
    BIG,
    CODE,
    DROPPED,
    EARLY,
    OURS,
    PAPER,
    D,
    M,
    P,
    poison,
    span,
)
from theorylab.papers.corrective_unlearning.measures import (
    INF,
    both,
    differences,
    implanted,
    levels,
    mean_difference,
    requirement,
)

_REWOD = {0.5: (-INF, 0.45), 1.0: (0.85, INF)}

POISON = (
    Claim(
        "poisoned",
        "The original model takes triggered images for the target class: Acc_corr < .35",
        f"{OURS}: bound of an independent implementation; {PAPER}, poisoning",
        ("sweep",),
        both(levels(D, P, "none", {1.0: (-INF, 0.35)}), levels(M, P, "none", {1.0: (-INF, 0.35)})),
        {
            "never manipulated": both(
                levels(D, P, "clean", {1.0: (-INF, 0.35)}),
                levels(M, P, "clean", {1.0: (-INF, 0.35)}),
            )
        },
        presets=BIG,
    ),
    Claim(
        "trigger_after_augmentation",
        "With random crops the backdoor works when the trigger is set after them: Acc_corr < .35",
        f"{CODE}: the patch is set after the augmentation",
        ("order",),
        implanted("augment_first", 0.35),
        {"trigger before augmentation": implanted("patch_first", 0.35)},
        presets=BIG,
    ),
    Claim(
        "retraining_needs_all",
        "Retraining without half of the poison fails (Acc_corr < .45), without all of it it "
        "succeeds (> .85)",
        f"{PAPER}, abstract; bounds of an independent implementation",
        ("sweep",),
        levels(D, P, "rewod", _REWOD),
        {DROPPED: levels(D, P, "clean", _REWOD), "no unlearning": levels(D, P, "none", _REWOD)},
        presets=BIG,
    ),
    Claim(
        "ssd_needs_a_tenth",
        "SSD with a tenth of the poison identified reaches Acc_corr > .8",
        f"{PAPER}, abstract; bound of an independent implementation",
        ("sweep",),
        levels(D, P, "ssd", {0.1: (0.8, INF)}),
        {
            "alpha moved between batch sizes": levels(D, P, "ssd_moved", {0.1: (0.8, INF)}),
            "RewoD": levels(D, P, "rewod", {0.1: (0.8, INF)}),
        },
        presets=BIG,
    ),
    Claim(
        "ssd_beats_retraining",
        "SSD exceeds retraining by at least .4 while at most half of the poison is identified",
        f"{PAPER}, abstract; bound of an independent implementation",
        ("sweep",),
        differences(D, P, "ssd", "rewod", span(EARLY, 0.4)),
        {DROPPED: differences(D, P, "ssd", "clean", span(EARLY, 0.4))},
        presets=BIG,
    ),
    Claim(
        "fine_tuning_is_no_better",
        "Fine-tuning heals no more than retraining, on average over identified shares",
        f"{PAPER}, abstract: most methods need most of the manipulated data",
        ("sweep",),
        mean_difference(D, P, "cf", "rewod", high=0.0),
        {"the two exchanged": mean_difference(D, P, "rewod", "cf", high=0.0)},
        presets=BIG,
    ),
    Claim(
        "fine_tuning_keeps_the_trigger",
        "Fine-tuning on nearly everything changes Acc_corr by less than .03",
        f"{OURS}: tolerance of an independent implementation",
        ("sweep",),
        differences(D, P, "cf", "none", {0.1: (-0.03, 0.03)}),
        {"SSD": differences(D, P, "ssd", "none", {0.1: (-0.03, 0.03)})},
        presets=BIG,
    ),
    Claim(
        "all_identified_is_clean",
        "With all of the poison identified, retraining is within .02 of a model that never saw it",
        "our derivation: the same training set",
        ("sweep",),
        differences(D, P, "rewod", "clean", {1.0: (-0.02, 0.02)}),
        {"three quarters identified": differences(D, P, "rewod", "clean", {0.75: (-0.02, 0.02)})},
        presets=BIG,
    ),
    Claim(
        "mnist_poison",
        "On MNIST retraining heals less than half of the gap with half of the poison identified, "
        "SSD more than .6 with a tenth",
        f"{PAPER}, abstract; bounds of an independent implementation",
        ("sweep",),
        poison(M, "rewod", (0.1, 0.5, 1.0)),
        {DROPPED: poison(M, "clean", (0.1, 0.5, 1.0))},
        presets=BIG,
    ),
    Claim(
        "requirements",
        "Nine tenths of the clean Acc_corr need more than three quarters of the poison for "
        "retraining, and a tenth for SSD",
        f"{PAPER}, abstract",
        ("sweep",),
        both(requirement(D, P, "rewod", 0.76, 2.0), requirement(D, P, "ssd", 0.0, 0.1)),
        {DROPPED: both(requirement(D, P, "clean", 0.76, 2.0), requirement(D, P, "ssd", 0.0, 0.1))},
        presets=BIG,
    ),
)
