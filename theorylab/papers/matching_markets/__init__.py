"""Learning Equilibria in Matching Markets from Bandit Feedback (Jagadeesan, Wei, Wang, Jordan,
Steinhardt 2021)."""

from theorylab.lab import Paper
from theorylab.papers.matching_markets.claims import CLAIMS
from theorylab.papers.matching_markets.experiments import EXPERIMENTS
from theorylab.papers.matching_markets.figures import FIGURES
from theorylab.papers.matching_markets.presets import PRESETS

PAPER = Paper(
    slug="matching_markets",
    title="Learning Equilibria in Matching Markets from Bandit Feedback",
    authors="Meena Jagadeesan, Alexander Wei, Yixin Wang, Michael I. Jordan, Jacob Steinhardt",
    venue="NeurIPS 2021",
    arxiv="2108.08843",
    summary=(
        "Matching markets with money, where the platform learns what agents want only from "
        "what they report of the matches they get. Subset Instability measures how far an "
        "outcome is from stable, and optimistic algorithms keep its sum over rounds near the "
        "square root of their number."
    ),
    presets=PRESETS,
    experiments=EXPERIMENTS,
    figures=FIGURES,
    claims=CLAIMS,
)
