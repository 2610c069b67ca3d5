"""Every public function of the package, called with every argument malformed: a right value or a
refusal naming it."""

import bad_input
import numpy as np
import pytest
from shift_calls import ALL, CALLS, HEAVY, KEY, LABELS, LOGITS, RECIPE, THETA, X32, XT, X, Y, linear

from theorylab import shift
from theorylab.errors import InputError

# A constant, and what functions give back: dataclasses that JAX takes apart and rebuilds.
NO_CALL = {
    "ColouredImages",
    "ErrorPair",
    "FlippedLabels",
    "Rotated",
    "SignalSample",
    "StoppedNorms",
    "RED_GREEN",
    "ATCThreshold",
    "AccuracyLine",
    "DescentPath",
    "Extrapolation",
    "HardMargin",
    "IsotropicExpectations",
    "LogisticFit",
    "MemorisationBound",
    "ProjectionNorms",
    "ProjectionParts",
    "SignalSweep",
    "TrainingSet",
}


def test_no_public_function_is_forgotten():
    called = {name.partition(".")[0] for name in CALLS | HEAVY}
    assert called | NO_CALL == set(shift.__all__)
    assert not called & NO_CALL


# As promised, NaN: the correlation of the means of no groups, and the memorisation bound of more
# samples (10^6) than features, which a classifier does not interpolate; both have tests of their
# own, and so have bad sizes.
SKIP = {shift.accuracy_line: ("groups",), shift.sweep_nuisance: ("ns",)}


@pytest.mark.filterwarnings("ignore:.*logistic fits:RuntimeWarning")
@pytest.mark.long
def test_malformed_arguments_are_refused_by_name():
    assert bad_input.faults_in(CALLS.values(), SKIP) == []


@pytest.mark.parametrize(
    ("named", "call"),
    [
        ("tol", lambda: shift.fit_logistic_path(X, Y, [0.1], tol=np.nan)),
        ("y ", lambda: shift.fit_logistic_path(X, Y[:, None], [0.1])),
        ("mask", lambda: shift.fit_logistic_path(X, Y, [0.1], mask=~ALL)),
        ("y ", lambda: shift.id_ood_error(X[0], 1.0, X, (Y + 1) / 2, sigma=0.1, tau=0.5)),
        ("norm_w_n", lambda: shift.nuisance_error(X, -np.ones(6), 0.3)),
        ("direction", lambda: shift.margin_points(X[0], direction=np.zeros(3), gap=0.2)),
        ("direction", lambda: shift.sample_signal(KEY, 5, 3, 0.2, direction=np.zeros(3))),
        ("theta0", lambda: shift.projection_parts(X, XT, X[:1].T, np.ones(3))),
        (
            "step_size",
            lambda: shift.projection_norm_descent(X, XT, X[0], 0.0, [10**6], step_size=1e3),
        ),
        ("rcond", lambda: shift.projection_norm_gram(X @ X.T, XT @ X.T, XT @ XT.T, Y, rcond=-1.0)),
        ("X ", lambda: shift.fit_descent(np.zeros((6, 3)), Y, [3])),
        (
            "learning_rate",
            lambda: shift.fit_descent(X, Y, [2000], loss="squared", learning_rate=1e3),
        ),
        ("labels", lambda: shift.error_rate(linear, THETA, X32, LABELS[:, None])),
        ("labels", lambda: shift.error_rate(linear, THETA, X32, LABELS + 5)),
        ("y", lambda: shift.finetune(linear, THETA, X32, LABELS + 5, RECIPE, key=KEY)),
        ("params", lambda: shift.pseudo_labels(linear, {"w": THETA["w"] * np.nan}, X32)),
        ("logits", lambda: shift.conf_score(np.full((8, 4), 0.25))),
        (
            "logits",
            lambda: shift.cot_score(np.tile([0.1, 0.2, 0.3, 0.4], (8, 1)), np.full(4, 0.25)),
        ),
        ("class_shares", lambda: shift.cot_score(LOGITS, [0.5, 0.5, 0.5, -0.5])),
        ("steps", lambda: shift.FineTuning(steps=2.5)),
        ("batch_size", lambda: shift.batch_order(KEY, 3, 2, 4)),
    ],
)
def test_finite_input_that_gave_wrong_numbers_is_refused(named, call):
    with pytest.raises(InputError, match=named):
        call()


def test_nothing_missed_has_an_infinite_kappa():
    assert shift.projection_parts(X, X, np.zeros(3)).kappa == np.inf


@pytest.mark.long
def test_what_trains_refuses_malformed_arguments_by_name():
    assert bad_input.faults_in(HEAVY.values(), SKIP) == []
