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
    summary=(
        "Federated learning with dissimilar clients ends far below centralised training, "
        "because the problem is not convex. Train-Convexify-Train first runs FedAvg, then "
        "replaces the network by its tangent kernel at the weights it has reached, and solves "
        "the convex problem that results with SCAFFOLD."
    ),
    presets=PRESETS,
    experiments=EXPERIMENTS,
    figures=FIGURES,
    claims=CLAIMS,
)
