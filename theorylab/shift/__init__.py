"""Distribution shift: core and nuisance features, label noise, and what they do to accuracy out of distribution.

model = NuisanceModel(k=1_000_000)                        # a million nuisance features, never stored
found = sweep(model, keys=keys, ns=[100, 400], etas=[0, 0.1], lams=[1e-5])
accuracy_line(1 - found.id_error(), 1 - found.ood_error(), groups=...).corr
"""

from theorylab.shift.colouring import RED_GREEN, colour_images, colour_noise, shrink_images
from theorylab.shift.interpolation import Interpolation, error_rate, train_to_interpolation
from theorylab.shift.learners import DescentPath, fit_descent, fit_min_norm, fit_ridge
from theorylab.shift.lines import AccuracyLine, accuracy_line
from theorylab.shift.logistic import LogisticFit, fit_logistic
from theorylab.shift.memorisation import MemorisationBound, memorisation_bound, ood_error_bound, shift_bound
from theorylab.shift.nuisance import (
    NuisanceModel,
    TrainingSet,
    compress_block,
    draw_training_set,
    flip_labels,
    nuisance_factor,
    sample_signal,
)
from theorylab.shift.risk import gaussian_error, id_ood_error, margin_model_error, margin_points, nuisance_error
from theorylab.shift.sweep import Sweep, sweep

__all__ = [
    "RED_GREEN",
    "AccuracyLine",
    "DescentPath",
    "Interpolation",
    "LogisticFit",
    "MemorisationBound",
    "NuisanceModel",
    "Sweep",
    "TrainingSet",
    "accuracy_line",
    "colour_images",
    "colour_noise",
    "compress_block",
    "draw_training_set",
    "error_rate",
    "fit_descent",
    "fit_logistic",
    "fit_min_norm",
    "fit_ridge",
    "flip_labels",
    "gaussian_error",
    "id_ood_error",
    "margin_model_error",
    "margin_points",
    "memorisation_bound",
    "nuisance_error",
    "nuisance_factor",
    "ood_error_bound",
    "sample_signal",
    "shift_bound",
    "shrink_images",
    "sweep",
    "train_to_interpolation",
]
