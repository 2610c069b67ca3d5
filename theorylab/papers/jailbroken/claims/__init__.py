"""The claims of the room with their controls, by subject."""

from theorylab.papers.jailbroken.claims import coverage, forms, scale

CLAIMS = (*coverage.CLAIMS, *scale.CLAIMS, *forms.CLAIMS)
