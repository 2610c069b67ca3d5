"""Sources, worlds and statements that several claims need."""

from theorylab.papers.corrective_unlearning.measures import INF, Measure, both, shares

PAPER = "Goel et al. 2024"
CODE = "the code of Goel et al. 2024"
POTION = "Schoepf et al. 2024 (arXiv 2406.09173), abstract"
OURS = "our check"
BIG, NETS = ("quick", "medium", "full"), ("medium", "full")
D, M = "digits", "mnist"
P, C = "poison", "confusion"
DROPPED = "unidentified samples dropped silently"
EARLY = (0.1, 0.25, 0.5)
LATE = (0.5, 0.75, 1.0)


def span(gammas: tuple[float, ...], low: float = -INF, high: float = INF) -> dict:
    return dict.fromkeys(gammas, (low, high))


def poison(world: str, retraining: str, dampened: tuple[float, ...]) -> Measure:
    """Retraining heals less than half of the gap with up to half identified, SSD more than .6."""
    return both(
        shares(world, P, retraining, span((0.1, 0.5), high=0.5)),
        shares(world, P, "ssd", span(dampened, 0.6)),
    )
