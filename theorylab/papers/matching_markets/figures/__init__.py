"""The figures: tables of numbers, how they are drawn, and their captions."""

from theorylab.papers.matching_markets.figures import example, platform, regret

FIGURES = (*example.FIGURES, *regret.FIGURES, *platform.FIGURES)
