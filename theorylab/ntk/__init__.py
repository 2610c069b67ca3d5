"""Tangent kernels: empirical, infinite-width and sketched ones, and training in closed form."""

from theorylab.ntk import infinite
from theorylab.ntk.axes import from_neural_tangents, to_neural_tangents
from theorylab.ntk.convolutions import convolutions_as_products
from theorylab.ntk.dynamics import KernelTraining, kernel_training
from theorylab.ntk.empirical import empirical_ntk
from theorylab.ntk.large import TilePlan, plan_tiles, tiled_ntk
from theorylab.ntk.linearization import linearize
from theorylab.ntk.operator import NTKOperator, ntk_operator
from theorylab.ntk.sketches import Sketch, sketch_ntk
from theorylab.ntk.surrogates import (
    entk_features,
    nystrom_features,
    random_head,
    sample_coordinates,
)
from theorylab.ntk.training import GradientFlow, Prediction, gradient_flow, max_learning_rate

__all__ = [
    "GradientFlow",
    "KernelTraining",
    "NTKOperator",
    "Prediction",
    "Sketch",
    "TilePlan",
    "convolutions_as_products",
    "empirical_ntk",
    "entk_features",
    "from_neural_tangents",
    "gradient_flow",
    "infinite",
    "kernel_training",
    "linearize",
    "max_learning_rate",
    "ntk_operator",
    "nystrom_features",
    "plan_tiles",
    "random_head",
    "sample_coordinates",
    "sketch_ntk",
    "tiled_ntk",
    "to_neural_tangents",
]
