"""Every public function of the package, called with every argument malformed: a right value or a
refusal naming it."""

from dataclasses import replace

import bad_input
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from theorylab import mixtures
from theorylab.errors import InputError

KEY = jax.random.key(0)
X = np.asarray(
    [[1.0, 0.5], [-1.2, 0.1], [0.7, -0.4], [-0.3, -1.0], [1.5, 0.2], [-0.9, 0.8]], np.float32
)
Y = np.asarray([1.0, -1.0, 1.0, -1.0, 1.0, -1.0], np.float32)
X_U = np.concatenate([1.5 * X, X[::-1] + 0.1])
ONES, THETA = np.ones(6, np.float32), np.asarray([1.0, 0.3], np.float32)
DATA = {"X_l": X, "y_l": Y, "X_u": X_U}
SETTING = {"s": 0.8, "n_l": 10, "n_u": 30}
SCHEDULE = mixtures.SelfTrainingSchedule(rounds=2, fraction=0.1)
SL = mixtures.LinearRule(jnp.asarray([1.0, 0.1]), jnp.asarray(0.0))
UL = mixtures.LinearRule(jnp.asarray([0.7, -0.5]), jnp.asarray(0.2))
SWEPT = mixtures.MixtureSweep(
    s=np.ones(2),
    n_l=np.full(2, 5),
    n_u=np.full(2, 9),
    d=2,
    excess={"sl": np.ones((2, 3))},
    estimation={},
    wrong_sign=np.zeros((2, 3), bool),
)

# name: what is called, with small valid arguments
CALLS = {
    "Learners": (
        mixtures.Learners,
        {
            "methods": ("sl", "ssl_em"),
            "weight": 0.5,
            "schedule": SCHEDULE,
            "l2": 1.0,
            "max_steps": 5,
            "tol": 1e-4,
        },
    ),
    "SelfTrainingSchedule": (mixtures.SelfTrainingSchedule, {"rounds": 2, "fraction": 0.1}),
    "Simulation": (
        mixtures.Simulation,
        {"route": "auto", "dtype": np.float32, "memory_gb": 0.25, "chunk": 2, "mesh": None},
    ),
    "assouad_bound": (
        mixtures.assouad_bound,
        {**SETTING, "d": 5, "information": 0.3, "factor": 1.0},
    ),
    "excess_risk": (mixtures.excess_risk, {"theta": X, "theta_star": THETA}),
    "gain_limits": (mixtures.gain_limits, {"c": 2.0, "information": 0.5}),
    "gaussian_expect": (mixtures.gaussian_expect, {"f": jnp.tanh, "mean": 0.5, "std": 1.0}),
    "labelled_kl": (mixtures.labelled_kl, {"s": 0.8, "angle": 0.3}),
    "method_information": (mixtures.method_information, {"method": "ul", **SETTING}),
    "mix": (mixtures.mix, {"sl": SL, "ulp": UL, "weights": np.asarray([0.0, 0.4, 1.0])}),
    "mixture_kl": (mixtures.mixture_kl, {"s": 0.8, "angle": 0.3}),
    "naive_excess_risk": (mixtures.naive_excess_risk, {"theta": X, "theta_star": THETA}),
    "nishimori_gap": (mixtures.nishimori_gap, {"s": 0.8, "drift": 0.3}),
    "optimal_weight": (mixtures.optimal_weight, SETTING),
    "oriented": (mixtures.oriented, {"rule": SL, "X_l": X, "y_l": Y, "sample_weight": ONES}),
    "predicted_excess": (mixtures.predicted_excess, {"method": "ssl_em", **SETTING, "d": 5}),
    "random_center": (mixtures.random_center, {"key": KEY, "d": 3, "s": 0.8}),
    "rate_table": (mixtures.rate_table, {**SETTING, "d": 5}),
    "regime": (mixtures.regime, {**SETTING, "d": 5, "factor": 10.0}),
    "sample_2gmm": (mixtures.sample_2gmm, {"key": KEY, "theta_star": THETA, "n": 4}),
    "select_weight": (
        mixtures.select_weight,
        {
            "sl": SL,
            "ulp": UL,
            "X": X,
            "y": Y,
            "criterion": "labelled",
            "weights": np.asarray([0.0, 0.4, 1.0]),
            "sample_weight": ONES,
        },
    ),
    "sl_estimation_exact": (mixtures.sl_estimation_exact, {"d": 5, "n": 10}),
    "sl_estimator": (mixtures.sl_estimator, {"X_l": X, "y_l": Y}),
    "sl_excess_exact": (mixtures.sl_excess_exact, {"s": 0.8, "d": 5, "n": 10}),
    "spectral_information": (mixtures.spectral_information, {"s": 0.8}),
    "spectral_ul": (mixtures.spectral_ul, {"X_u": X_U}),
    "ssl_switch": (mixtures.ssl_switch, {**DATA, "s": 0.8, "sign_rule": "mean"}),
    "ssl_weighted": (mixtures.ssl_weighted, {"theta_sl": THETA, "theta_ulp": X[0], "t": 0.3}),
    "ul_plus": (mixtures.ul_plus, {**DATA, "sign_rule": "vote"}),
    "unlabelled_information": (mixtures.unlabelled_information, {"s": 0.8}),
    "wrong_sign_probability": (mixtures.wrong_sign_probability, {"s": 0.8, "n_l": 10, "cos": 0.9}),
    "LinearRule.score": (SL.score, {"X": X}),
    "LinearRule.error": (SL.error, {"X": X, "y": Y, "sample_weight": ONES}),
    "MixtureSweep.mean": (SWEPT.mean, {"method": "sl"}),
    "MixtureSweep.standard_error": (SWEPT.standard_error, {"method": "sl"}),
}
HEAVY = {
    "fit_logistic": (
        mixtures.fit_logistic,
        {
            "X": X,
            "y": Y,
            "l2": 1.0,
            "sample_weight": ONES,
            "intercept": True,
            "start": SL,
            "max_steps": 20,
        },
    ),
    "fit_mixture": (
        mixtures.fit_mixture,
        {
            "X": X,
            "covariance": "tied",
            "responsibilities": (Y + 1) / 2,
            "sample_weight": ONES,
            "starts": 1,
            "max_steps": 5,
            "tol": 1e-4,
            "floor": 1e-2,
        },
    ),
    "self_training": (
        mixtures.self_training,
        {
            **DATA,
            "schedule": SCHEDULE,
            "l2": 1.0,
            "intercept": True,
            "labelled_weight": ONES,
            "unlabelled_weight": np.ones(12, np.float32),
        },
    ),
    "ssl_em": (
        mixtures.ssl_em,
        {**DATA, "theta0": THETA, "max_steps": 5, "tol": 1e-5, "scoring": True},
    ),
    "sweep_mixture": (
        mixtures.sweep_mixture,
        {
            "key": KEY,
            "s": 0.8,
            "n_l": 10,
            "n_u": 30,
            "d": 3,
            "replicates": 2,
            "methods": ("sl", "ssl_em"),
            "simulation": mixtures.Simulation(chunk=2),
        },
    ),
}
# Constants, and what functions give back: tuples of arrays that JAX takes apart and rebuilds.
NO_CALL = {
    "MixtureSample",
    "DATA_METHODS",
    "METHODS",
    "MOMENT_METHODS",
    "GainLimits",
    "LowerBound",
    "Mixture",
    "Rates",
    "Selected",
    "Spectral",
}


def test_no_public_function_is_forgotten():
    called = {name.partition(".")[0] for name in CALLS | HEAVY}
    assert called | NO_CALL == set(mixtures.__all__)
    assert not called & NO_CALL


@pytest.mark.long
def test_malformed_arguments_are_refused_by_name():
    assert bad_input.faults_in(CALLS.values()) == []


@pytest.mark.parametrize(
    ("named", "call"),
    [
        ("theta ", lambda: mixtures.excess_risk([np.inf, 1.0], THETA)),
        ("y_l", lambda: mixtures.sl_estimator(X, (Y + 1) / 2)),
        ("y_l", lambda: mixtures.sl_estimator(X, Y[:, None])),
        ("y ", lambda: SL.error(X, (Y + 1) / 2)),
        ("t ", lambda: mixtures.ssl_weighted(THETA, THETA, 1.5)),
        ("theta_sl", lambda: mixtures.ssl_weighted(THETA, np.ones(1), 0.5)),
        ("weights", lambda: mixtures.mix(SL, UL, [0.5, -0.5])),
        ("sample_weight", lambda: mixtures.fit_mixture(X, sample_weight=np.zeros(6))),
        ("responsibilities", lambda: mixtures.fit_mixture(X, responsibilities=Y)),
        (
            "floor",
            lambda: mixtures.fit_mixture(X[:1].repeat(6, axis=0), covariance="tied", floor=0.0),
        ),
        ("y_l", lambda: mixtures.self_training(X, np.ones(6), X_U, intercept=True)),
        ("labelled_weight", lambda: mixtures.self_training(X, Y, X_U, labelled_weight=ONES / 2)),
        ("rounds", lambda: mixtures.SelfTrainingSchedule(rounds=2.5)),
        ("information", lambda: mixtures.gain_limits(np.inf, 0.0)),
        ("cos", lambda: mixtures.wrong_sign_probability(0.8, 10, 2.0)),
        ("f ", lambda: mixtures.gaussian_expect(jnp.sum, 0.0, 1.0)),
        ("d ", lambda: mixtures.sweep_mixture(KEY, 0.8, 10, 30, d=2.5, replicates=2)),
        (
            "weight",
            lambda: mixtures.sweep_mixture(
                KEY, 0.8, 10, 30, d=3, replicates=2, methods=mixtures.Learners(weight=[0.1, 0.2])
            ),
        ),
        ("replicates", lambda: replace(SWEPT, excess={"sl": np.ones((2, 1))}).standard_error("sl")),
    ],
)
def test_finite_input_that_gave_wrong_numbers_is_refused(named, call):
    with pytest.raises(InputError, match=named):
        call()


def test_whole_numbers_are_mixed_as_the_floats_they_are():
    np.testing.assert_allclose(mixtures.ssl_weighted([2, 0], [0, 4], 0.25), [0.5, 3.0])


def test_no_direction_is_a_coin_flip_by_subtraction_too():
    expected = mixtures.excess_risk(np.zeros(2), THETA)
    np.testing.assert_allclose(mixtures.naive_excess_risk(np.zeros(2), THETA), expected, rtol=1e-5)


@pytest.mark.long
def test_what_fits_refuses_malformed_arguments_by_name():
    assert bad_input.faults_in(HEAVY.values()) == []
