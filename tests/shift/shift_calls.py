"""Every public function of the package with small valid arguments, for the tests of bad input."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import nnx

from theorylab import shift

KEY = jax.random.key(0)
RNG = np.random.default_rng(0)
X, XT = RNG.normal(size=(6, 3)), RNG.normal(size=(5, 3))
Y = np.asarray([1.0, -1.0, 1.0, -1.0, 1.0, -1.0])
NOISY = np.asarray([1.0, -1.0, -1.0, -1.0, 1.0, -1.0])
LOGITS, CLASSES = RNG.normal(size=(8, 4)), np.asarray([0, 1, 2, 3, 0, 1, 2, 3])
IMAGES = RNG.uniform(size=(3, 4, 4)).astype(np.float32)
MODEL = shift.NuisanceModel(d_s=3, k=20)
SCORES, ERRORS = np.asarray([0.1, 0.4, 0.5, 0.9, 1.2]), np.asarray([0.05, 0.1, 0.3, 0.35, 0.6])
ALL = np.ones(6, bool)
FIT = {"lams": np.asarray([1.0, 0.1]), "mask": ALL, "tol": 1e-6, "max_steps": 50}
SWEEP = {
    "keys": jax.random.split(KEY, 2),
    "ns": np.asarray([8]),
    "etas": np.asarray([0.1]),
    "lams": np.asarray([0.1]),
}
SOLVER = shift.NewtonOptions(tol=1e-6, max_steps=50)
SWEPT = shift.sweep_nuisance(MODEL, **SWEEP, smallest_pad=8)
LINE = shift.calibrate(SCORES, ERRORS)
RECIPE = shift.FineTuning(steps=3, lr=0.1, batch_size=4)
THETA = {"w": jnp.asarray(RNG.normal(size=(3, 2)), jnp.float32)}
LABELS = np.asarray([0, 1, 0, 1, 1, 0])
SETS = RNG.normal(size=(2, 6, 3)).astype(np.float32)
X32 = X.astype(np.float32)


def linear(params, x):
    return x @ params["w"]


def memorised(energy, **arguments):
    """Without energy the approximation is NaN, as its docstring says."""
    found = shift.memorisation_bound(**arguments, energy=energy)
    return found if energy is not None else (found.norm_w_n, found.bound)


def bounded(bound, **arguments):
    """A bound that is NaN, for a rule that does not interpolate, stays so, as its docstring
    says."""
    found = shift.ood_error_bound(bound=bound, **arguments)
    return 0.0 if isinstance(bound, float) and np.isnan(bound) else found


def drawn(**arguments):
    """Its direction is NaN, as promised."""
    return shift.draw_on_signal(**arguments).noisy


SIGNAL = {"x": X, "y": Y, "x_test": XT, "y_test": np.where(XT[:, 0] > 0, 1.0, -1.0)}
PROGRAM = shift.PseudoTraining(linear, RECIPE, set_axis="map")
NETWORK = shift.Interpolation(linear, THETA, 3, np.zeros(1))
PARTS = {"X": X, "Xt": XT, "theta_star": X[0], "theta0": X[1]}
STOPPED = {"X": X, "Xt": XT, "theta_hat": X[0], "theta0": X[1]}

# name: what is called, with small valid arguments, and those that the caller answers for
CALLS = {
    "CalibrationLine.predict": (LINE.predict, {"scores": SCORES}),
    "FineTuning": (
        shift.FineTuning,
        {
            "steps": 3,
            "lr": 0.1,
            "momentum": 0.9,
            "batch_size": 4,
            "schedule": "cosine",
            "period": 3,
        },
    ),
    "Interpolation.error": (NETWORK.error, {"x": X32, "labels": LABELS}),
    "NewtonOptions": (
        shift.NewtonOptions,
        {"tol": 1e-6, "max_steps": 50, "precision": "float64"},
    ),
    "NuisanceModel": (
        shift.NuisanceModel,
        {"d_s": 3, "gap": 0.2, "k": 20, "energy": 5.0, "tau": 0.5, "shortcut": 0.1, "agree": 0.9},
    ),
    "NuisanceSweep.ood_error": (SWEPT.ood_error, {"tau": 0.3}),
    "NuisanceSweep.error": (SWEPT.error, {"scale": 0.3, "agree": 0.9}),
    "accuracy_line": (
        shift.accuracy_line,
        {
            "id_accuracy": 1 - ERRORS,
            "ood_accuracy": 1 - ERRORS[::-1],
            "transform": "probit",
            "clip": 1e-3,
            "groups": np.asarray([0, 0, 1, 1, 2]),
        },
    ),
    "agree_score": (shift.agree_score, {"first": LOGITS, "second": LOGITS[::-1]}),
    "atc_score": (shift.atc_score, {"logits": LOGITS, "threshold": -0.5}),
    "atc_threshold": (shift.atc_threshold, {"logits": LOGITS, "labels": CLASSES}),
    "batch_order": (shift.batch_order, {"key": KEY, "n": 6, "steps": 3, "batch_size": 4}),
    "calibrate": (shift.calibrate, {"scores": SCORES, "errors": ERRORS}),
    "colour_images": (
        shift.colour_images,
        {
            "images": IMAGES,
            "labels": np.asarray([0, 1, 0]),
            "key": KEY,
            "agree": 0.9,
            "palette": np.eye(2),
        },
    ),
    "colour_noise": (shift.colour_noise, {"images": IMAGES[..., None], "key": KEY, "scale": 0.1}),
    "compress_block": (shift.compress_block, {"x_n": X}),
    "conf_score": (shift.conf_score, {"logits": LOGITS}),
    "cot_score": (shift.cot_score, {"logits": LOGITS, "class_shares": np.full(4, 0.25)}),
    "detection_auroc": (shift.detection_auroc, {"ordinary": SCORES, "attacked": SCORES + 0.3}),
    "draw_training_set": (
        shift.draw_training_set,
        {"key": KEY, "model": MODEL, "n": 5, "eta": 0.1},
    ),
    "entropy_score": (shift.entropy_score, {"logits": LOGITS}),
    "error_rate": (shift.error_rate, {"f": linear, "params": THETA, "x": X32, "labels": LABELS}),
    "fit_descent": (
        shift.fit_descent,
        {"X": X, "y": Y, "steps": np.asarray([0, 2]), "loss": "logistic", "learning_rate": 0.1},
    ),
    "fit_logistic_path": (
        shift.fit_logistic_path,
        {"X": X, "y": Y, **FIT, "batch_size": 1, "precision": "float64"},
    ),
    "fit_min_norm": (shift.fit_min_norm, {"X": X, "y": Y}),
    "fit_ridge": (shift.fit_ridge, {"X": X, "y": Y, "alphas": np.asarray([0.1, 1.0])}),
    "flip_labels": (shift.flip_labels, {"key": KEY, "y": Y, "eta": 0.1}),
    "gaussian_error": (
        shift.gaussian_error,
        {"w_s": X, "norm_w_n": np.ones(6), "mean": X[0], "scale": 0.3},
    ),
    "id_ood_error": (
        shift.id_ood_error,
        {"w_s": XT, "norm_w_n": np.ones(5), "x_s": X, "y": Y, "sigma": 0.1, "tau": 0.5},
    ),
    "isotropic_expectations": (shift.isotropic_expectations, {"X": X, "Xt": XT, "r": 1.0}),
    "linear_projection_norm": (shift.linear_projection_norm, PARTS),
    "linear_test_loss": (shift.linear_test_loss, PARTS),
    "margin_model_error": (
        shift.margin_model_error,
        {
            "w_s": X,
            "norm_w_n": np.ones(6),
            "direction": np.asarray([1.0, 1.0, 0.0]),
            "gap": 0.2,
            "scale": 0.3,
            "offset": 0.1,
        },
    ),
    "margin_points": (
        shift.margin_points,
        {"w_s": X[0], "direction": np.asarray([1.0, 1.0, 0.0]), "gap": 0.2},
    ),
    "Signal": (shift.Signal, SIGNAL),
    "draw_on_signal": (
        drawn,
        {
            "key": KEY,
            "x": X,
            "y": Y,
            "model": shift.NuisanceModel(d_s=3, k=20, energy=1.0),
            "n": 4,
            "eta": 0.2,
        },
    ),
    "fit_hard_margin": (
        shift.fit_hard_margin,
        {"X": np.hstack([X, np.eye(6)]), "y": NOISY, "mask": ALL},
    ),
    "memorisation_bound": (
        memorised,
        {
            "w": np.asarray([-0.1, 0, 0, *(5 * NOISY)]),
            "x_s": X,
            "nuisance": np.eye(6),
            "y": Y,
            "noisy": NOISY,
            "mask": ALL,
            "energy": 5.0,
        },
    ),
    "mild_to_hard": (
        shift.mild_to_hard,
        {
            "scores": SCORES,
            "errors": ERRORS,
            "severities": np.asarray([1, 2, 2, 4, 5]),
            "mild": (1, 2),
            "hard": (4, 5),
        },
    ),
    "min_norm_fit": (shift.min_norm_fit, {"X": X, "y": Y, "theta0": X[1]}),
    "nuclear_norm_score": (shift.nuclear_norm_score, {"logits": LOGITS}),
    "nuisance_error": (
        shift.nuisance_error,
        {"gamma": X, "norm_w_n": np.ones(6), "scale": 0.3, "kappa": 0.1},
    ),
    "nuisance_factor": (shift.nuisance_factor, {"key": KEY, "n": 4, "k": 20, "sigma": 0.1}),
    "ood_error_bound": (bounded, {"gamma": X[:, 0], "bound": 1.0, "scale": 0.3}),
    "projection_norm": (
        shift.projection_norm,
        {"theta_ref": THETA, "theta_tilde": {"w": 2 * THETA["w"]}},
    ),
    "projection_norm_descent": (
        shift.projection_norm_descent,
        {**STOPPED, "steps": np.asarray([1, 5]), "step_size": 0.1},
    ),
    "projection_norm_flow": (shift.projection_norm_flow, {**STOPPED, "t": np.asarray([0.5, 2.0])}),
    "projection_norm_gram": (
        shift.projection_norm_gram,
        {"K11": X @ X.T, "K21": XT @ X.T, "K22": XT @ XT.T, "residuals": Y, "rcond": 1e-10},
    ),
    "projection_parts": (shift.projection_parts, PARTS),
    "pseudo_labels": (
        shift.pseudo_labels,
        {"f": linear, "params": THETA, "x": X32, "batch_size": 4},
    ),
    "rotation_score": (shift.rotation_score, {"logits": LOGITS}),
    "rotations": (shift.rotations, {"x": IMAGES}),
    "sample_signal": (
        shift.sample_signal,
        {"key": KEY, "n": 5, "d_s": 3, "gap": 0.2, "direction": np.asarray([1.0, 1.0, 0.0])},
    ),
    "shift_bound": (
        shift.shift_bound,
        {
            "kappa": np.asarray([1.0, 2.0]),
            "margin": np.asarray([0.5, 0.7]),
            "sigma": 0.1,
            "norm_w_n": np.asarray([1.0, 2.0]),
        },
    ),
    "shrink_images": (shift.shrink_images, {"images": IMAGES}),
}


def interpolate(**arguments):
    """A new network each time: training changes it."""
    model = nnx.Linear(3, 2, rngs=nnx.Rngs(0))
    return shift.train_to_interpolation(**{"model": model, **arguments}).train_error


HEAVY = {
    "sweep_signal": (
        shift.sweep_signal,
        {
            "signal": shift.Signal(**SIGNAL),
            "model": shift.NuisanceModel(d_s=3, k=20, energy=1.0),
            **{"keys": SWEEP["keys"], "ns": np.asarray([4, 6]), "etas": np.asarray([0.0, 0.2])},
            **{"lams": np.asarray([0.1]), "solver": SOLVER},
        },
    ),
    "PseudoTraining": (
        lambda **options: shift.PseudoTraining(**options)(THETA, X32, LABELS, KEY),
        {"f": linear, "recipe": RECIPE, "set_axis": "map", "mesh": None},
    ),
    "PseudoTraining.__call__": (
        PROGRAM.__call__,
        {"theta0": THETA, "x": X32, "y": LABELS, "key": KEY},
    ),
    "PseudoTraining.many": (
        PROGRAM.many,
        {"theta0": THETA, "x": SETS, "y": np.stack([LABELS, LABELS]), "key": KEY},
    ),
    "finetune": (
        shift.finetune,
        {"f": linear, "theta0": THETA, "x": X32, "y": LABELS, "key": KEY, "recipe": RECIPE},
    ),
    "projection_norms": (
        shift.projection_norms,
        {
            "f": linear,
            "theta0": THETA,
            "theta_hat": THETA,
            "train": (X32, LABELS),
            "test_sets": SETS,
            "key": KEY,
            "recipe": RECIPE,
            "target": None,
            "eval_batch_size": 4,
        },
    ),
    "sweep_nuisance": (
        shift.sweep_nuisance,
        {
            "model": MODEL,
            **SWEEP,
            "solver": SOLVER,
            "smallest_pad": 8,
            "batch_size": 1,
        },
    ),
    "train_to_interpolation": (
        interpolate,
        {
            "data": (X32, LABELS),
            "key": KEY,
            "optimizer": optax.sgd(0.1),
            "batch_size": 4,
            "max_epochs": 2,
            "round_epochs": 1,
        },
    ),
}
