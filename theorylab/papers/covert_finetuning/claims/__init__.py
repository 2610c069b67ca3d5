"""The claims of the room with their controls, by subject."""

from theorylab.papers.covert_finetuning.claims import detectors, items, stages

CLAIMS = (*stages.CLAIMS, *items.CLAIMS, *detectors.CLAIMS)
