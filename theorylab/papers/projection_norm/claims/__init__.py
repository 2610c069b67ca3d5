"""The claims with their controls; the docstring of a measure states its bounds."""

from theorylab.papers.projection_norm.claims import attacks, linear, networks

CLAIMS = (*linear.CLAIMS, *networks.CLAIMS, *attacks.CLAIMS)
