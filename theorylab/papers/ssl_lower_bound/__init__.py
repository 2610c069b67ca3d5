"""Can semi-supervised learning use all the data effectively? A lower bound perspective (Tifrea et
al. 2023)."""

from theorylab.lab import Paper
from theorylab.papers.ssl_lower_bound.claims import CLAIMS
from theorylab.papers.ssl_lower_bound.experiments import EXPERIMENTS
from theorylab.papers.ssl_lower_bound.figures import FIGURES
from theorylab.papers.ssl_lower_bound.presets import PRESETS

PAPER = Paper(
    slug="ssl_lower_bound",
    title="Can Semi-Supervised Learning Use All the Data Effectively? A Lower Bound Perspective",
    authors="Alexandru Tifrea, Gizem Yüce, Amartya Sanyal, Fanny Yang",
    venue="NeurIPS 2023",
    arxiv="2311.18557",
    summary=(
        "Can semi-supervised learning beat both supervised and unsupervised learning by more "
        "than a constant? For two-Gaussian mixtures the minimax rate says no, for every "
        "signal-to-noise ratio; constants can still be gained, and are."
    ),
    presets=PRESETS,
    experiments=EXPERIMENTS,
    figures=FIGURES,
    claims=CLAIMS,
)
