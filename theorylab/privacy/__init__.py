"""Differential privacy: what a private algorithm costs, and whether it is as private as it says.

theorylab.privacy.online      # private online learning: mistakes, adversaries, exact audits
"""

from theorylab.privacy import online

__all__ = ["online"]
