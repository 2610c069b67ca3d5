"""Claims of the paper with their controls."""

from theorylab.papers.corrective_unlearning.claims.confusion import CONFUSION
from theorylab.papers.corrective_unlearning.claims.identities import IDENTITIES
from theorylab.papers.corrective_unlearning.claims.networks import NETWORKS
from theorylab.papers.corrective_unlearning.claims.others import OTHERS
from theorylab.papers.corrective_unlearning.claims.poison import POISON

CLAIMS = (*IDENTITIES, *POISON, *CONFUSION, *OTHERS, *NETWORKS)
