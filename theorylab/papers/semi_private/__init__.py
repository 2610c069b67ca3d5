"""PILLAR: How to make semi-private learning more effective (Pinto, Hu, Yang, Sanyal 2024)."""

from theorylab.lab import Paper
from theorylab.papers.semi_private.claims import CLAIMS
from theorylab.papers.semi_private.experiments import EXPERIMENTS
from theorylab.papers.semi_private.figures import FIGURES
from theorylab.papers.semi_private.presets import PRESETS

PAPER = Paper(
    slug="semi_private",
    title="PILLAR: How to Make Semi-Private Learning More Effective",
    authors="Francesco Pinto, Yaxi Hu, Fanny Yang, Amartya Sanyal",
    venue="IEEE SaTML 2024",
    arxiv="2306.03962",
    summary=(
        "A little private labelled data and public unlabelled data: project the private "
        "features on the principal components of the public ones, at no cost in privacy, "
        "and private training gains accuracy."
    ),
    presets=PRESETS,
    experiments=EXPERIMENTS,
    figures=FIGURES,
    claims=CLAIMS,
)
