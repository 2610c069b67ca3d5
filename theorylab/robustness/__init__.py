"""Robustness: attacks on any classifier `f(params, x)`, and certificates for it.

An attack takes a batch of samples with their labels and gives samples of the same shape:

    x_adv = pgd(f, params, x, y, eps=8 / 255)                  # l-inf, 10 steps, inside [0, 1]
    x_adv = fgsm(f, params, x, y, eps=1.0, norm="l2")          # one step
    found = certified_margins(f, params, x, y, LpBall(8 / 255), method="crown")

`theorylab.robustness.ensembles` certifies scores by the sets of their slopes.
"""

from theorylab.robustness import ensembles
from theorylab.robustness.attack_ensemble import AttackResult, Effort, attack_ensemble, line_attack
from theorylab.robustness.attacks import fgsm, pgd, project
from theorylab.robustness.certify import (
    ActivationBounds,
    Certifier,
    Margins,
    OutputBounds,
    activation_bounds,
    certified_error,
    certified_margins,
    output_bounds,
)
from theorylab.robustness.networks import dense_network, dense_params
from theorylab.robustness.objectives import Recipe
from theorylab.robustness.one_neuron import (
    OneNeuron,
    corrected_threshold,
    gradient,
    population_gradient,
    printed_threshold,
    proof_function,
    robust_risk,
    sharp_threshold,
    worst_margin,
)
from theorylab.robustness.oracle import exact_minimum, lp_minimum
from theorylab.robustness.projections import Estimate, estimated_margins
from theorylab.robustness.regularisers import ibp_init
from theorylab.robustness.samples import concentric_spheres, linear_signal
from theorylab.robustness.schedules import Schedule, smooth_ramp
from theorylab.robustness.threats import LineUnion, LpBall, alignment
from theorylab.robustness.training import Runs, Trained, Watch, train_robust, train_robust_many

__all__ = [
    "ActivationBounds",
    "AttackResult",
    "Certifier",
    "Effort",
    "Estimate",
    "LineUnion",
    "LpBall",
    "Margins",
    "OneNeuron",
    "OutputBounds",
    "Recipe",
    "Runs",
    "Schedule",
    "Trained",
    "Watch",
    "activation_bounds",
    "alignment",
    "attack_ensemble",
    "certified_error",
    "certified_margins",
    "concentric_spheres",
    "corrected_threshold",
    "dense_network",
    "dense_params",
    "ensembles",
    "estimated_margins",
    "exact_minimum",
    "fgsm",
    "gradient",
    "ibp_init",
    "line_attack",
    "linear_signal",
    "lp_minimum",
    "output_bounds",
    "pgd",
    "population_gradient",
    "printed_threshold",
    "project",
    "proof_function",
    "robust_risk",
    "sharp_threshold",
    "smooth_ramp",
    "train_robust",
    "train_robust_many",
    "worst_margin",
]
