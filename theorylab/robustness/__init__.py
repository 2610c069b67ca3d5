"""Robustness: attacks on any classifier `f(params, x)`, and certificates for it.

x_adv = pgd(f, params, x, y, eps=8 / 255)                  # l-inf, 10 steps, inside [0, 1]
x_adv = fgsm(f, params, x, y, eps=1.0, norm="l2")          # one step
found = certified_margins(f, params, x, y, LpBall(8 / 255), method="crown")
"""

from theorylab.robustness.attacks import fgsm, pgd, project
from theorylab.robustness.certify import (
    ActivationBounds,
    Margins,
    OutputBounds,
    activation_bounds,
    certified_error,
    certified_margins,
    output_bounds,
)
from theorylab.robustness.oracle import exact_minimum, lp_minimum
from theorylab.robustness.projections import Estimate, estimated_margins
from theorylab.robustness.threats import LineUnion, LpBall, alignment

__all__ = [
    "ActivationBounds",
    "Estimate",
    "LineUnion",
    "LpBall",
    "Margins",
    "OutputBounds",
    "activation_bounds",
    "alignment",
    "certified_error",
    "certified_margins",
    "estimated_margins",
    "exact_minimum",
    "fgsm",
    "lp_minimum",
    "output_bounds",
    "pgd",
    "project",
]
