import jax
import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.semi_supervised import SelfTrainingClassifier

from theorylab import mixtures
from theorylab.errors import InputError
from theorylab.mixtures.self_training import SelfTrainingSchedule, most_of

THREE_ROUNDS = SelfTrainingSchedule(rounds=3)


def problem(n_l=12, n_u=100, d=3, seed=0):
    rng = np.random.default_rng(seed)
    y = rng.choice([-1.0, 1.0], n_l + n_u)
    X = y[:, None] * np.array([1.0, 0.3, 0.0])[:d] + rng.normal(size=(len(y), d))
    return X[:n_l], y[:n_l], X[n_l:]


@pytest.mark.long
@pytest.mark.parametrize(
    ("rounds", "intercept"), [(10, True), pytest.param(3, False, marks=pytest.mark.slow)]
)
def test_it_is_scikit_learns_self_training(rounds, intercept):
    X_l, y_l, X_u = problem()
    base = LogisticRegression(C=1.0, fit_intercept=intercept, tol=1e-10, max_iter=5000)
    peer = SelfTrainingClassifier(base, criterion="k_best", k_best=10, max_iter=rounds)
    # 0 and 1, as -1 means unlabelled there
    peer.fit(np.r_[X_l, X_u], np.r_[(y_l > 0).astype(int), -np.ones(len(X_u), int)])
    with jax.enable_x64(True):
        found = mixtures.self_training(
            X_l, y_l, X_u, schedule=SelfTrainingSchedule(rounds, 0.1), intercept=intercept
        )
    np.testing.assert_allclose(found.weight, peer.estimator_.coef_[0], atol=1e-5)
    if intercept:
        assert float(found.intercept) == pytest.approx(peer.estimator_.intercept_[0], abs=1e-5)


@pytest.mark.slow
def test_more_rounds_than_points_end_with_all_labelled_once():
    X_l, y_l, X_u = problem(n_u=7)
    found = mixtures.self_training(X_l, y_l, X_u, schedule=SelfTrainingSchedule(12, 0.3))
    again = mixtures.self_training(X_l, y_l, X_u, schedule=SelfTrainingSchedule(4, 0.3))
    np.testing.assert_allclose(found.weight, again.weight, atol=1e-4)


def test_masks_leave_rows_out():
    X_l, y_l, X_u = problem()
    mask_l, mask_u = (np.arange(12) < 8).astype(float), (np.arange(100) < 60).astype(float)

    @jax.jit
    def weight(far):  # where the rows that are left out lie
        a, b = (jax.numpy.where(m[:, None] > 0, X, far) for m, X in ((mask_l, X_l), (mask_u, X_u)))
        return mixtures.self_training(
            a, y_l, b, schedule=THREE_ROUNDS, labelled_weight=mask_l, unlabelled_weight=mask_u
        ).weight

    np.testing.assert_allclose(weight(50.0), weight(-7.0), atol=1e-6)


@pytest.mark.slow
def test_masked_rows_might_as_well_not_be_there():
    X_l, y_l, X_u = problem()
    mask_l, mask_u = (np.arange(12) < 8).astype(float), (np.arange(100) < 60).astype(float)
    found = mixtures.self_training(
        X_l, y_l, X_u, schedule=THREE_ROUNDS, labelled_weight=mask_l, unlabelled_weight=mask_u
    )
    expected = mixtures.self_training(X_l[:8], y_l[:8], X_u[:60], schedule=THREE_ROUNDS)
    np.testing.assert_allclose(found.weight, expected.weight, atol=1e-4)


def test_the_largest_are_found_bit_by_bit_with_ties():
    values = np.array([0.5, -1.0, 3.0, 0.5, 0.0, 2.0], np.float32)
    for count, chosen in ((1, [2]), (2, [2, 5]), (3, [0, 2, 3, 5]), (6, [0, 2, 3, 4, 5])):
        assert np.flatnonzero(most_of(values, count)).tolist() == chosen


@pytest.mark.parametrize("change", [{"schedule": 10}, {"l2": 0.0}])
def test_bad_input_is_refused(change):
    with pytest.raises(InputError):
        mixtures.self_training(*problem(), **change)


def test_a_schedule_adds_a_tenth_in_each_of_ten_rounds_unless_told():
    """Ten times a tenth: every unlabelled point is labelled once, and no round is left over."""
    assert SelfTrainingSchedule() == SelfTrainingSchedule(10, 0.1)


@pytest.mark.parametrize("change", [{"rounds": 0}, {"fraction": 0.0}, {"fraction": 1.5}])
def test_a_bad_schedule_is_refused(change):
    with pytest.raises(InputError):
        SelfTrainingSchedule(**change)
