"""The figures: tables of numbers, how they are drawn, and their captions."""

from theorylab.papers.more_than_a_toy.figures import controls, risk, scaling

FIGURES = (*risk.FIGURES, *scaling.FIGURES, *controls.FIGURES)
