"""The claims with their controls; the docstring of a measure states its bounds."""

from theorylab.papers.collective_action.claims import reweighting, signals, theory

CLAIMS = (*theory.CLAIMS, *reweighting.CLAIMS, *signals.CLAIMS)
