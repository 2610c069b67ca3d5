"""Provable Privacy with Non-Private Pre-Processing (Hu, Sanyal, Schölkopf 2024)."""

from theorylab.lab import Paper
from theorylab.papers.private_preprocessing.claims import CLAIMS
from theorylab.papers.private_preprocessing.experiments import EXPERIMENTS
from theorylab.papers.private_preprocessing.figures import FIGURES
from theorylab.papers.private_preprocessing.presets import PRESETS

PAPER = Paper(
    slug="private_preprocessing",
    title="Provable Privacy with Non-Private Pre-Processing",
    authors="Yaxi Hu, Amartya Sanyal, Bernhard Schölkopf",
    venue="ICML 2024",
    arxiv="2403.13041",
    summary=(
        "Imputing, scaling or PCA on private data before a differentially private algorithm "
        "couples the records, so the guarantee of the algorithm alone is wrong. The paper bounds "
        "what it really is."
    ),
    presets=PRESETS,
    experiments=EXPERIMENTS,
    figures=FIGURES,
    claims=CLAIMS,
)
