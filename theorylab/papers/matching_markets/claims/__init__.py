"""The claims with their controls; the docstring of a measure states its bounds."""

from theorylab.papers.matching_markets.claims import instability, platform, regret

CLAIMS = (*instability.CLAIMS, *regret.CLAIMS, *platform.CLAIMS)
