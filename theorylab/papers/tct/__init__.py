"""TCT: train a network federatedly, convexify it by its tangent kernel, train that by SCAFFOLD (Yu
et al. 2022)."""

from theorylab.lab import Paper
from theorylab.papers.tct.claims import CLAIMS
from theorylab.papers.tct.experiments import EXPERIMENTS
from theorylab.papers.tct.figures import FIGURES
from theorylab.papers.tct.presets import PRESETS

PAPER = Paper(
    slug="tct",
    title="TCT: Convexifying Federated Learning using Bootstrapped Neural Tangent Kernels",
    authors="Yaodong Yu, Alexander Wei, Sai Praneeth Karimireddy, Yi Ma, Michael I. Jordan",
    venue="NeurIPS 2022",
    arxiv="2207.06343",
    presets=PRESETS,
    experiments=EXPERIMENTS,
    figures=FIGURES,
    claims=CLAIMS,
)
