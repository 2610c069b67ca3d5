"""The figures: tables of numbers, how they are drawn, and their captions."""

from theorylab.papers.tct.figures import ablations, accuracy, theory

FIGURES = (*accuracy.FIGURES, *ablations.FIGURES, *theory.FIGURES)
