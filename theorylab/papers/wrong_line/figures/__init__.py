"""The figures: tables of numbers, how they are drawn, and their captions."""

from theorylab.papers.wrong_line.figures import learners, linear

FIGURES = (*linear.FIGURES, *learners.FIGURES)
