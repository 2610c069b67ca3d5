"""The figures: of the theory, and of networks."""

from theorylab.papers.certified_ensembles.figures.networks import NETWORKS
from theorylab.papers.certified_ensembles.figures.theory import THEORY

FIGURES = (*THEORY, *NETWORKS)
