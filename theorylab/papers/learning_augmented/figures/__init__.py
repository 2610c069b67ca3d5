"""The figures: tables of numbers, how they are drawn, and their captions."""

from theorylab.papers.learning_augmented.figures import (
    predictions,
    scheduling,
    ski_rental,
    tradeoffs,
)

FIGURES = (*tradeoffs.FIGURES, *scheduling.FIGURES, *predictions.FIGURES, *ski_rental.FIGURES)
