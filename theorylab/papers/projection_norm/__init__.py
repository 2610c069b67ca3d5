"""Projection Norm: predict the error on a shifted test set without its labels (Yu, Yang, Wei, Ma,
Steinhardt 2022)."""

from theorylab.lab import Paper
from theorylab.papers.projection_norm.claims import CLAIMS
from theorylab.papers.projection_norm.experiments import EXPERIMENTS
from theorylab.papers.projection_norm.figures import FIGURES
from theorylab.papers.projection_norm.presets import PRESETS

PAPER = Paper(
    slug="projection_norm",
    title="Predicting Out-of-Distribution Error with the Projection Norm",
    authors="Yaodong Yu, Zitong Yang, Alexander Wei, Yi Ma, Jacob Steinhardt",
    venue="ICML 2022",
    arxiv="2202.05834",
    summary=(
        "How wrong is a classifier on shifted data without labels? Fine-tune a fresh copy on "
        "its own pseudo-labels and measure how far its weights end from those of a reference: "
        "the farther, the larger the error out of distribution."
    ),
    presets=PRESETS,
    experiments=EXPERIMENTS,
    figures=FIGURES,
    claims=CLAIMS,
)
