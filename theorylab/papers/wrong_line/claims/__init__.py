"""The claims with their controls; the docstring of a measure states its bounds."""

from theorylab.papers.wrong_line.claims import images, line, solvers, theory

CLAIMS = (*line.CLAIMS, *theory.CLAIMS, *solvers.CLAIMS, *images.CLAIMS)
