"""The claims with their controls; the docstring of a measure states its bounds."""

from theorylab.papers.ssl_lower_bound.claims import bounds, numerics, rates, real

CLAIMS = (*bounds.CLAIMS, *rates.CLAIMS, *numerics.CLAIMS, *real.CLAIMS)
