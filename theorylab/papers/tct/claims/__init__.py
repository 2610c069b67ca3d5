"""The claims with their controls; the docstring of a measure states its bounds."""

from theorylab.papers.tct.claims import accuracy, theory

CLAIMS = (*theory.CLAIMS, *accuracy.CLAIMS)
