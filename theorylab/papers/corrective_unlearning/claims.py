"""Claims."""

from theorylab.lab import Claim

CLAIMS: tuple[Claim, ...] = ()
