"""The networks with convolutions, and published numbers."""

from theorylab.lab import Claim
from theorylab.papers.corrective_unlearning.claims.shared import (
    DROPPED,
    NETS,
    OURS,
    PAPER,
    POTION,
    C,
    P,
    poison,
    span,
)
from theorylab.papers.corrective_unlearning.measures import (
    INF,
    Measure,
    both,
    differences,
    mean_share,
    shares,
)


def _nets(world: str, confused: tuple[str, ...]) -> tuple[Claim, ...]:
    early = (0.1, 0.5)
    return (
        Claim(
            f"{world}_poison",
            "ResNet-9: retraining heals less than half of the gap up to half identified, SSD more "
            "than .6 already",
            f"{PAPER}, abstract; bounds of an independent reading of its figure",
            ("sweep",),
            poison(world, "rewod", early),
            {DROPPED: poison(world, "clean", early)},
            presets=NETS,
        ),
        Claim(
            f"{world}_confusion",
            "ResNet-9: SSD heals less than a quarter of the gap of interclass confusion",
            f"{PAPER}, abstract: SSD fails for interclass confusion",
            ("sweep",),
            shares(world, C, "ssd", span(early, high=0.25)),
            {"RewoD": shares(world, C, "rewod", span(early, high=0.25))},
            presets=confused,
        ),
    )


def _published(retraining: str, dampening: str) -> Measure:
    return both(
        mean_share("cifar10", P, retraining, 0.257, 0.557),
        mean_share("cifar10", P, dampening, 0.684, 0.984),
    )


NETWORKS = (
    *_nets("cifar10", ("full",)),
    *_nets("fashion_mnist", NETS),
    Claim(
        "cifar10_confusion_opens_a_gap",
        "ResNet-9 on 8,000 images of CIFAR-10: swapping 600 labels of cats and dogs lowers "
        "Acc_corr by at least .1, a gap that methods could heal",
        f"{OURS}: what the comparison of methods needs",
        ("sweep",),
        differences("cifar10", C, "clean", "none", {0.1: (0.1, INF)}),
        kind="finding",
        note="At an accuracy of .6 the two classes are told apart too badly for swapped labels "
        "to show, and the reference has fewer of their images. So nothing is said at this size of "
        "what heals the confusion.",
        presets=("medium",),
    ),
    Claim(
        "published_shares",
        "ResNet-9 on CIFAR-10: mean healed share over γ within .15 of the published .407 of "
        "retraining and .834 of SSD",
        POTION,
        ("sweep",),
        _published("rewod", "ssd"),
        {"the two exchanged": _published("ssd", "rewod")},
        presets=("full",),
    ),
    Claim(
        "published_shares_up_to_half",
        "ResNet-9 on CIFAR-10: the mean healed share over γ = .1 and .5 is already within .15 of "
        "the published averages over all shares, .407 of retraining and .834 of SSD",
        POTION,
        ("sweep",),
        _published("rewod", "ssd"),
        kind="finding",
        note="The published averages are over shares from a single sample to all, three sizes of "
        "the poison and two networks; near γ = 1 retraining heals everything. With up to half "
        "identified it heals next to nothing here.",
        presets=("medium",),
    ),
)
