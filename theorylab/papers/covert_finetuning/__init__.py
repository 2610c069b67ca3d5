"""Covert Malicious Finetuning: Challenges in Safeguarding LLM Adaptation (Halawi et al. 2024)."""

from theorylab.lab import Paper
from theorylab.papers.covert_finetuning.claims import CLAIMS
from theorylab.papers.covert_finetuning.experiments import EXPERIMENTS
from theorylab.papers.covert_finetuning.figures import FIGURES
from theorylab.papers.covert_finetuning.presets import PRESETS

PAPER = Paper(
    slug="covert_finetuning",
    title="Covert Malicious Finetuning: Challenges in Safeguarding LLM Adaptation",
    authors="Danny Halawi, Alexander Wei, Eric Wallace, Tony T. Wang, Nika Haghtalab, Jacob "
    "Steinhardt",
    venue="ICML 2024",
    arxiv="2406.20053",
    summary=(
        "A customer can change a model through a fine-tuning interface although every data point "
        "looks innocuous and every check of the provider passes. Here as a scoreboard of "
        "defences: which checks pass although behaviour has changed, and which catch it. All on "
        "abstract tokens, where an encoding is a permutation."
    ),
    presets=PRESETS,
    experiments=EXPERIMENTS,
    figures=FIGURES,
    claims=CLAIMS,
)
