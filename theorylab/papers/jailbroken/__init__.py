"""Jailbroken: How Does LLM Safety Training Fail? (Wei et al. 2023), on abstract tokens."""

from theorylab.lab import Paper
from theorylab.papers.jailbroken.claims import CLAIMS
from theorylab.papers.jailbroken.experiments import EXPERIMENTS
from theorylab.papers.jailbroken.figures import FIGURES
from theorylab.papers.jailbroken.presets import PRESETS

PAPER = Paper(
    slug="jailbroken",
    title="Jailbroken: How Does LLM Safety Training Fail?",
    authors="Alexander Wei, Nika Haghtalab, Jacob Steinhardt",
    venue="NeurIPS 2023",
    arxiv="2307.02483",
    summary=(
        "Two failure modes of safety training predict which inputs break it: objectives that "
        "compete, and capability that generalises further than safety does. An attacker who may "
        "try several attacks succeeds nearly always. Here on abstract tokens, from the side of the "
        "defender: which coverage of safety training leaves which hole, and what closes it."
    ),
    presets=PRESETS,
    experiments=EXPERIMENTS,
    figures=FIGURES,
    claims=CLAIMS,
)
