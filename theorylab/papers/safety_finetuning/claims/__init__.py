"""The claims of the room with their controls, by subject."""

from theorylab.papers.safety_finetuning.claims import clusters, mechanism, protocols

CLAIMS = (*protocols.CLAIMS, *clusters.CLAIMS, *mechanism.CLAIMS)
