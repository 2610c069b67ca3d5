"""Figures: the schematic of the paper, computed, what accounting costs, and what it is worth."""

from theorylab.papers.private_preprocessing.figures import costs, learning, movement

FIGURES = (*movement.FIGURES[:1], *costs.FIGURES, *movement.FIGURES[1:], *learning.FIGURES)
