"""Figures 3 to 6 of the paper on abstract tokens, the scoreboard of defences, and what is ours."""

from theorylab.papers.covert_finetuning.figures import defences, stages

FIGURES = (*stages.FIGURES, *defences.FIGURES)
