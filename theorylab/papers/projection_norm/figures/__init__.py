"""The figures: tables of numbers, how they are drawn, and their captions."""

from theorylab.papers.projection_norm.figures import attacks, linear, networks

FIGURES = (*networks.FIGURES, *attacks.FIGURES, *linear.FIGURES)
