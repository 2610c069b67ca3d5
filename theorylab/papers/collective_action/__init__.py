"""The Role of Learning Algorithms in Collective Action (Ben-Dov, Fawkes, Samadi, Sanyal 2024)."""

from theorylab.lab import Paper
from theorylab.papers.collective_action.claims import CLAIMS
from theorylab.papers.collective_action.experiments import EXPERIMENTS
from theorylab.papers.collective_action.figures import FIGURES
from theorylab.papers.collective_action.presets import PRESETS

PAPER = Paper(
    slug="collective_action",
    title="The Role of Learning Algorithms in Collective Action",
    authors="Omri Ben-Dov, Jake Fawkes, Samira Samadi, Amartya Sanyal",
    venue="ICML 2024",
    arxiv="2405.06582",
    summary=(
        "A few people who agree on a signal can steer a classifier trained on everybody's "
        "data. How much they can depends on the learning algorithm: re-weighting learners "
        "amplify small collectives."
    ),
    presets=PRESETS,
    experiments=EXPERIMENTS,
    figures=FIGURES,
    claims=CLAIMS,
)
