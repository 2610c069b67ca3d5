"""Accuracy on the wrong line: label noise and nuisance features turn the ID-OOD accuracy line
around (Sanyal 2025)."""

from theorylab.lab import Paper
from theorylab.papers.wrong_line.claims import CLAIMS
from theorylab.papers.wrong_line.experiments import EXPERIMENTS
from theorylab.papers.wrong_line.figures import FIGURES
from theorylab.papers.wrong_line.presets import PRESETS

PAPER = Paper(
    slug="wrong_line",
    title="Accuracy on the Wrong Line: On the Pitfalls of Noisy Data for Out-of-Distribution "
    "Generalisation",
    authors="Amartya Sanyal, Yaxi Hu, Yaodong Yu, Yian Ma, Yixin Wang, Bernhard Schölkopf",
    venue="AISTATS 2025",
    arxiv="2406.19049",
    summary=(
        "Accuracy in and out of distribution usually rise together. Label noise and nuisance "
        "features suffice to turn the line around: a model that memorises wrong labels does "
        "so with features that harm it after the shift."
    ),
    presets=PRESETS,
    experiments=EXPERIMENTS,
    figures=FIGURES,
    claims=CLAIMS,
)
