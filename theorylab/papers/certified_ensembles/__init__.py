"""Certifying Ensembles: A General Certification Theory with S-Lipschitzness (Petrov, Eiras, Sanyal,
Torr, Bibi 2023)."""

from theorylab.lab import Paper
from theorylab.papers.certified_ensembles.claims import CLAIMS
from theorylab.papers.certified_ensembles.experiments import EXPERIMENTS
from theorylab.papers.certified_ensembles.figures import FIGURES
from theorylab.papers.certified_ensembles.presets import PRESETS

PAPER = Paper(
    slug="certified_ensembles",
    title="Certifying Ensembles: A General Certification Theory with S-Lipschitzness",
    authors="Aleksandar Petrov, Francisco Eiras, Amartya Sanyal, Philip H. S. Torr, Adel Bibi",
    venue="ICML 2023",
    arxiv="2304.13019",
    summary=(
        "When is an ensemble of robust classifiers more robust than each member, and when "
        "less? A theory of Lipschitz continuity with respect to convex sets gives the "
        "exact certificate."
    ),
    presets=PRESETS,
    experiments=EXPERIMENTS,
    figures=FIGURES,
    claims=CLAIMS,
)
