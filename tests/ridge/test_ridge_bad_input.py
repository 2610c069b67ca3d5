"""Every public function of `theorylab.ridge` refuses malformed arguments by name, or gives the
right finite number."""

from itertools import chain

import bad_input
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from theorylab import ridge
from theorylab.errors import InputError

RNG = np.random.default_rng(0)
X = RNG.normal(size=(6, 3))
Y = X[:, 0] + 0.1 * RNG.normal(size=6)
K = X @ X.T + np.eye(6)
ALPHAS = np.array([0.1, 1.0])
KEY = jax.random.key(0)
KERNEL_PATH = ridge.KernelRidgePath.fit(K, Y, center=True)
PATH = ridge.RidgePath.fit(X, Y, center=True)

OF_PENALTIES = (
    *(
        "train_risk",
        "gcv",
        "gcv_per_output",
        "kare",
        "loo",
        "loo_per_output",
        "gcv_loo_ratio",
        "kappa",
        "dkappa",
    ),
    *("dof", "leverage", "norm2", "dual", "summary", "intercept"),
)
FIT = {"weights": np.ones(6), "center": True, "check": True}


def sklearn_fit(name):
    def fit(**parameters):
        return getattr(ridge, name)(**parameters).fit(X, Y).alpha_

    return fit


# Name: valid calls, each a function and its arguments.
CALLS = {
    "KernelRidgePath": [
        (ridge.KernelRidgePath.fit, {"K": K, "Y": Y, **FIT}),
        (KERNEL_PATH.predict, {"K_test": K[:2], "alphas": ALPHAS}),
        (KERNEL_PATH.kfold, {"alphas": ALPHAS, "k": 3, "key": KEY}),
        (KERNEL_PATH.select, {"criterion": "gcv", "alphas": ALPHAS, "per_output": False}),
        (KERNEL_PATH.default_alphas, {"num": 4}),
        *((getattr(KERNEL_PATH, method), {"alphas": ALPHAS}) for method in OF_PENALTIES),
    ],
    "RidgePath": [
        (ridge.RidgePath.fit, {"X": X, "Y": Y, **FIT}),
        (PATH.predict, {"X_test": X[:2], "alphas": ALPHAS}),
        (PATH.coef, {"alphas": ALPHAS}),
    ],
    "fold_labels": [(ridge.fold_labels, {"n": 6, "k": 3, "key": KEY})],
    "gcv_score": [(ridge.gcv_score, {"K": K, "Y": Y, "alpha": 0.1})],
    "gcv_slq": [
        (
            ridge.gcv_slq,
            {"K": K, "Y": Y, "alphas": ALPHAS, "key": KEY, "num_probes": 2, "depth": 3},
        ),
        (ridge.gcv_slq, {"K": lambda v: jnp.asarray(K) @ v, "Y": Y, "alphas": ALPHAS, "key": KEY}),
    ],
    "leverage_spread": [(ridge.leverage_spread, {"path": KERNEL_PATH, "alphas": ALPHAS})],
    "loo_score": [(ridge.loo_score, {"K": K, "Y": Y, "alpha": 0.1})],
    "norm_bound": [(ridge.norm_bound, {"K": K, "Y": Y, "alphas": ALPHAS, "variant": "arora"})],
    "path_norm_bound": [
        (ridge.path_norm_bound, {"path": PATH, "alphas": ALPHAS, "variant": "arora"})
    ],
    "solve_ridge": [(ridge.solve_ridge, {"K": K, "Y": Y, "alpha": 0.1, "block": 4, "mesh": None})],
    "KernelRidgeGCV": [
        (
            sklearn_fit("KernelRidgeGCV"),
            {
                "alphas": ALPHAS,
                "criterion": "gcv",
                "alpha_per_target": False,
                "fit_intercept": True,
            },
        )
    ],
    "RidgeGCV": [
        (
            sklearn_fit("RidgeGCV"),
            {
                "alphas": ALPHAS,
                "criterion": "loo",
                "alpha_per_target": False,
                "fit_intercept": True,
            },
        )
    ],
}
# What the functions above return; nobody makes one by hand.
RESULTS = {"GCVEstimate", "PathSummary", "RidgeSolution", "Selection"}


def test_every_public_name_is_attacked():
    assert CALLS.keys() | RESULTS == set(ridge.__all__)


@pytest.mark.long
def test_malformed_arguments_are_refused_by_name():
    assert bad_input.faults_in(chain.from_iterable(CALLS.values())) == []


def test_folds_that_are_no_number_are_not_rounded():
    with pytest.raises(InputError, match=r"k = 2\.5; a whole number"):
        ridge.fold_labels(6, 2.5, KEY)


@pytest.mark.long
@pytest.mark.parametrize("as_function", [False, True])
def test_lanczos_refuses_a_kernel_with_a_negative_eigenvalue(as_function):
    bent = K - 2 * np.eye(6)
    assert np.linalg.eigvalsh(bent)[0] < -0.9
    with pytest.raises(InputError, match="K is not positive semi-definite: smallest eigenvalue -1"):
        ridge.gcv_slq((lambda v: jnp.asarray(bent) @ v) if as_function else bent, Y, ALPHAS, KEY)


def test_gcv_and_loo_of_zero_targets_agree():
    """0 / 0 was NaN."""
    np.testing.assert_array_equal(
        ridge.KernelRidgePath.fit(K, 0 * Y).gcv_loo_ratio(ALPHAS), [1.0, 1.0]
    )


@pytest.mark.parametrize("kernel", [None, "seven", 3, ["linear"]])
def test_an_unknown_kernel_of_the_estimator_is_refused(kernel):
    with pytest.raises(InputError, match=r"kernel = .*; choose one of: precomputed, .*rbf"):
        ridge.KernelRidgeGCV(kernel=kernel).fit(X, Y)


@pytest.mark.parametrize(
    "parameter",
    [{"gamma": "x"}, {"gamma": np.nan}, {"degree": [2]}, {"coef0": True}, {"kernel_params": 3}],
)
def test_parameters_of_an_estimators_kernel_are_checked(parameter):
    with pytest.raises(InputError, match=next(iter(parameter))):
        ridge.KernelRidgeGCV(kernel="poly", **parameter).fit(X, Y)
