"""The claims with their controls; the docstring of a measure states its bounds."""

from theorylab.papers.learning_augmented.claims import predictions, scheduling, ski_rental

CLAIMS = (*ski_rental.CLAIMS, *scheduling.CLAIMS, *predictions.CLAIMS)
