"""Distribution shift: what it does to accuracy, and how to tell the error without labels.

Accuracy lines of linear models with a million nuisance features, which are never stored:

    found = sweep_nuisance(
        NuisanceModel(k=1_000_000), keys=keys, ns=[100, 400], etas=[0, 0.1], lams=[1e-5]
    )
    accuracy_line(1 - found.id_error(), 1 - found.ood_error(), groups=...).corr

The error of a network on shifted data from how far it moves when it is retrained on its own
predictions; true errors of some shifts give those of the others:

    recipe = FineTuning(steps=150, lr=0.02, batch_size=64)
    norms = projection_norms(f, theta0, theta_hat, (x, y), test_sets, recipe, key=key)
    calibrate(norms.values[:20], errors).predict(norms.values[20:])
"""

from typing import Any

from theorylab.deprecation import old_name
from theorylab.shift.calibration import (
    CalibrationLine,
    Extrapolation,
    calibrate,
    detection_auroc,
    mild_to_hard,
)
from theorylab.shift.colouring import (
    RED_GREEN,
    ColouredImages,
    colour_images,
    colour_noise,
    shrink_images,
)
from theorylab.shift.fine_tuning import FineTuning, batch_order
from theorylab.shift.interpolation import Interpolation, error_rate, train_to_interpolation
from theorylab.shift.learners import DescentPath, fit_descent, fit_min_norm, fit_ridge
from theorylab.shift.lines import AccuracyLine, accuracy_line
from theorylab.shift.logistic import LogisticFit, fit_logistic_path
from theorylab.shift.margin import HardMargin, fit_hard_margin
from theorylab.shift.memorisation import (
    MemorisationBound,
    memorisation_bound,
    ood_error_bound,
    shift_bound,
)
from theorylab.shift.nuisance import (
    FlippedLabels,
    NuisanceModel,
    SignalSample,
    TrainingSet,
    compress_block,
    draw_training_set,
    flip_labels,
    nuisance_factor,
    sample_signal,
)
from theorylab.shift.nuisance_sweep import NuisanceSweep, sweep_nuisance
from theorylab.shift.projection import (
    ProjectionNorms,
    projection_norm,
    projection_norms,
    pseudo_labels,
)
from theorylab.shift.projection_gram import projection_norm_gram
from theorylab.shift.projection_linear import (
    IsotropicExpectations,
    ProjectionParts,
    isotropic_expectations,
    linear_projection_norm,
    linear_test_loss,
    min_norm_fit,
    projection_parts,
)
from theorylab.shift.projection_stopped import (
    StoppedNorms,
    projection_norm_descent,
    projection_norm_flow,
)
from theorylab.shift.pseudo_training import PseudoTraining, finetune
from theorylab.shift.real_signal import Signal, SignalSweep, draw_on_signal, sweep_signal
from theorylab.shift.risk import (
    ErrorPair,
    gaussian_error,
    id_ood_error,
    margin_model_error,
    margin_points,
    nuisance_error,
)
from theorylab.shift.scores import (
    ATCThreshold,
    Rotated,
    agree_score,
    atc_score,
    atc_threshold,
    conf_score,
    cot_score,
    entropy_score,
    nuclear_norm_score,
    rotation_score,
    rotations,
)
from theorylab.shift.sweeps import NewtonOptions

__all__ = [
    "RED_GREEN",
    "ATCThreshold",
    "AccuracyLine",
    "CalibrationLine",
    "ColouredImages",
    "DescentPath",
    "ErrorPair",
    "Extrapolation",
    "FineTuning",
    "FlippedLabels",
    "HardMargin",
    "Interpolation",
    "IsotropicExpectations",
    "LogisticFit",
    "MemorisationBound",
    "NewtonOptions",
    "NuisanceModel",
    "NuisanceSweep",
    "ProjectionNorms",
    "ProjectionParts",
    "PseudoTraining",
    "Rotated",
    "Signal",
    "SignalSample",
    "SignalSweep",
    "StoppedNorms",
    "TrainingSet",
    "accuracy_line",
    "agree_score",
    "atc_score",
    "atc_threshold",
    "batch_order",
    "calibrate",
    "colour_images",
    "colour_noise",
    "compress_block",
    "conf_score",
    "cot_score",
    "detection_auroc",
    "draw_on_signal",
    "draw_training_set",
    "entropy_score",
    "error_rate",
    "finetune",
    "fit_descent",
    "fit_hard_margin",
    "fit_logistic_path",
    "fit_min_norm",
    "fit_ridge",
    "flip_labels",
    "gaussian_error",
    "id_ood_error",
    "isotropic_expectations",
    "linear_projection_norm",
    "linear_test_loss",
    "margin_model_error",
    "margin_points",
    "memorisation_bound",
    "mild_to_hard",
    "min_norm_fit",
    "nuclear_norm_score",
    "nuisance_error",
    "nuisance_factor",
    "ood_error_bound",
    "projection_norm",
    "projection_norm_descent",
    "projection_norm_flow",
    "projection_norm_gram",
    "projection_norms",
    "projection_parts",
    "pseudo_labels",
    "rotation_score",
    "rotations",
    "sample_signal",
    "shift_bound",
    "shrink_images",
    "sweep_nuisance",
    "sweep_signal",
    "train_to_interpolation",
]

_OLD = {
    "Sweep": "NuisanceSweep",
    "fit_logistic": "fit_logistic_path",
    "sweep": "sweep_nuisance",
}


def __getattr__(name: str) -> Any:
    return old_name(__name__, name, _OLD)
