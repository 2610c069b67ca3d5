"""More Than a Toy: GCV predicts how ridge regression on real representations generalises (Wei, Hu,
Steinhardt 2022)."""

from theorylab.lab import Paper
from theorylab.papers.more_than_a_toy.claims import CLAIMS
from theorylab.papers.more_than_a_toy.experiments import EXPERIMENTS
from theorylab.papers.more_than_a_toy.figures import FIGURES
from theorylab.papers.more_than_a_toy.presets import PRESETS

PAPER = Paper(
    slug="more_than_a_toy",
    title="More Than a Toy: Random Matrix Models Predict How Real-World Neural Representations "
    "Generalize",
    authors="Alexander Wei, Wei Hu, Jacob Steinhardt",
    venue="ICML 2022",
    arxiv="2203.06176",
    summary=(
        "Generalised cross-validation, computed from the training set alone, predicts the "
        "test risk of kernel regression on real network representations, where norm-based "
        "bounds and the spectrum alone do not. Random-matrix theory says why, and when it "
        "must fail."
    ),
    presets=PRESETS,
    experiments=EXPERIMENTS,
    figures=FIGURES,
    claims=CLAIMS,
)
