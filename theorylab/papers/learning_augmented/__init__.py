"""Optimal Robustness-Consistency Trade-offs for Learning-Augmented Online Algorithms (Wei, Zhang
2020)."""

from theorylab.lab import Paper
from theorylab.papers.learning_augmented.claims import CLAIMS
from theorylab.papers.learning_augmented.experiments import EXPERIMENTS
from theorylab.papers.learning_augmented.figures import FIGURES
from theorylab.papers.learning_augmented.presets import PRESETS

PAPER = Paper(
    slug="learning_augmented",
    title="Optimal Robustness-Consistency Trade-offs for Learning-Augmented Online Algorithms",
    authors="Alexander Wei, Fred Zhang",
    venue="NeurIPS 2020",
    arxiv="2010.11443",
    summary=(
        "Online algorithms with predictions trade consistency (good predictions) for "
        "robustness (bad ones). The paper finds the best possible trade-off for ski rental "
        "and for scheduling two jobs."
    ),
    presets=PRESETS,
    experiments=EXPERIMENTS,
    figures=FIGURES,
    claims=CLAIMS,
)
