"""The claims with their controls; the docstring of a measure states its bounds."""

from theorylab.papers.more_than_a_toy.claims import gcv, law, pretrained, rivals, scaling

CLAIMS = (*gcv.CLAIMS, *rivals.CLAIMS, *scaling.CLAIMS, *pretrained.CLAIMS, *law.CLAIMS)
