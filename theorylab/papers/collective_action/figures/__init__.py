"""The figures: tables of numbers, how they are drawn, and their captions."""

from theorylab.papers.collective_action.figures import curves, signals, theory

FIGURES = (*curves.FIGURES, *theory.FIGURES, *signals.FIGURES)
