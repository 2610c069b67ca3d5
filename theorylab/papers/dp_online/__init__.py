"""On the Growth of Mistakes in Differentially Private Online Learning: A Lower Bound Perspective
(Dmitriev, Szabó, Sanyal 2024)."""

from theorylab.lab import Paper
from theorylab.papers.dp_online.claims import CLAIMS
from theorylab.papers.dp_online.experiments import EXPERIMENTS
from theorylab.papers.dp_online.figures import FIGURES
from theorylab.papers.dp_online.presets import PRESETS

PAPER = Paper(
    slug="dp_online",
    title=(
        "On the Growth of Mistakes in Differentially Private Online Learning: A Lower Bound "
        "Perspective"
    ),
    authors="Daniil Dmitriev, Kristóf Szabó, Amartya Sanyal",
    venue="COLT 2024",
    arxiv="2402.16778",
    summary=(
        "Without privacy the number of mistakes of an online learner need not grow with the "
        "number of rounds. With differential privacy it must, as the logarithm, for every "
        "learner of a wide class."
    ),
    presets=PRESETS,
    experiments=EXPERIMENTS,
    figures=FIGURES,
    claims=CLAIMS,
)
