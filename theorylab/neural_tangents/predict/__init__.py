"""Predictions of training, with neural-tangents' names and signatures."""

from theorylab.neural_tangents.predict.closed import gradient_descent_mse, max_learning_rate
from theorylab.neural_tangents.predict.ensemble import gp_inference, gradient_descent_mse_ensemble
from theorylab.neural_tangents.predict.layout import Gaussian
from theorylab.neural_tangents.predict.ode import ODEState, gradient_descent

__all__ = [
    "Gaussian",
    "ODEState",
    "gp_inference",
    "gradient_descent",
    "gradient_descent_mse",
    "gradient_descent_mse_ensemble",
    "max_learning_rate",
]
