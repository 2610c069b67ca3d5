"""Claims of the theory and of the trained networks, with their controls."""

from theorylab.papers.certified_ensembles.claims.networks import NETWORKS
from theorylab.papers.certified_ensembles.claims.theory import THEORY

CLAIMS = (*THEORY, *NETWORKS)
