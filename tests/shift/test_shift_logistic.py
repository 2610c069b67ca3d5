import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.optimize import minimize
from sklearn.linear_model import LogisticRegression

from theorylab.errors import InputError
from theorylab.shift import fit_logistic_path
from theorylab.shift.kernel_logistic import fit_kernel_logistic


def problem(n, p, seed=0):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(n, p)), rng.choice([-1.0, 1.0], n)


def gradient(X, y, w, lam):
    return lam * w - X.T @ (y / (1 + np.exp(y * (X @ w)))) / len(y)


@pytest.mark.long
@pytest.mark.parametrize(("n", "p"), [(30, 8), (12, 40)])
def test_the_path_agrees_with_scikit_learn_in_either_shape(n, p):
    X, y = problem(n, p)
    lams = [1e-4, 0.3]
    fit = fit_logistic_path(X, y, lams)
    for lam, w, norm in zip(lams, fit.coef, fit.gradient_norm, strict=True):
        model = LogisticRegression(
            C=1 / (n * lam), fit_intercept=False, tol=1e-10, max_iter=10_000
        ).fit(X, y)
        # lbfgs stops at a gradient of 1e-10 n
        np.testing.assert_allclose(w, model.coef_[0], rtol=2e-4, atol=1e-5)
        assert (
            np.linalg.norm(gradient(X, y, w, lam)) == pytest.approx(norm, abs=1e-12) and norm < 1e-8
        )
    assert fit.converged.all() and fit.coef.shape == (2, p)


def test_the_order_of_penalties_does_not_matter():
    X, y = problem(12, 40)
    one, other = fit_logistic_path(X, y, [1e-4, 0.3]), fit_logistic_path(X, y, [0.3, 1e-4])
    np.testing.assert_allclose(one.coef, other.coef[::-1], rtol=1e-12)


@pytest.mark.long
def test_padding_and_batches_change_nothing():
    X, y = problem(12, 40)
    alone = fit_logistic_path(X, y, [1e-3])
    padded = np.concatenate([X, np.full((5, 40), 7.0)])
    labels = np.concatenate([y, np.ones(5)])
    mask = np.arange(17) < 12
    both = fit_logistic_path(
        np.stack([padded, padded]),
        np.stack([labels, -labels]),
        [1e-3],
        mask=np.stack([mask, mask]),
        batch_size=2,
    )
    assert both.coef.shape == (2, 1, 40) and both.train_error.shape == (2, 1)
    np.testing.assert_allclose(both.coef[0], alone.coef, atol=1e-7)
    np.testing.assert_allclose(both.coef[1], -alone.coef, atol=1e-7)  # flipping all labels flips w


@pytest.mark.long
def test_a_gram_matrix_is_enough():
    X, y = problem(12, 40)
    labels, mask = np.stack([y, -y, y[::-1]]), np.arange(12) < 9
    lams = [1e-3, 0.3]
    found = fit_kernel_logistic(X @ X.T, labels, lams, mask=mask, tol=1e-10)
    assert found["dual"].shape == (3, 2, 12) and (found["dual"][:, :, 9:] == 0).all()
    assert (found["gradient_norm"] <= 1e-10).all()
    for a, label in zip(found["dual"], labels, strict=True):
        for l, lam in enumerate(lams):
            w = X.T @ a[l]
            assert np.linalg.norm(gradient(X[:9], label[:9], w, lam)) < 1e-9
            losses = np.logaddexp(0, -label[:9] * (X[:9] @ w)).mean() + lam / 2 * w @ w
            assert losses == pytest.approx(
                found["objective"][list(labels.tolist()).index(label.tolist()), l]
            )


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"K": np.ones((2, 3))}, "square"),
        ({"y": [1, 0]}, r"-1 and \+1"),
        ({"y": [1]}, "y has shape"),
        ({"lams": [0.0]}, "lams holds 0"),
        ({"mask": [True]}, "mask has shape"),
    ],
)
def test_bad_gram_matrices_are_refused_by_name(arguments, said):
    given = {"K": np.eye(2), "y": [1, -1], "lams": [0.1]} | arguments
    with pytest.raises(InputError, match=said):
        fit_kernel_logistic(given.pop("K"), given.pop("y"), given.pop("lams"), **given)


@pytest.mark.long
def test_a_tiny_penalty_approaches_the_maximum_margin():
    X, y = problem(6, 20, seed=3)
    w = fit_logistic_path(X, y, [1e-9], tol=1e-12).coef[0]
    # hard-margin support vector machine by its dual: min |X^T (y a)|^2 / 2 - sum a, a >= 0
    G = (y[:, None] * X) @ (y[:, None] * X).T
    found = minimize(
        lambda a: (a @ G @ a / 2 - a.sum(), G @ a - 1), np.ones(6), jac=True, bounds=[(0, None)] * 6
    )
    svm = X.T @ (y * found.x)
    # the gap closes like 1 / log(1 / lam)
    assert w @ svm / np.linalg.norm(w) / np.linalg.norm(svm) > 0.999


def test_noisy_data_that_cannot_be_separated_keep_their_training_error():
    X = np.array([[1.0], [1.0], [1.0], [-1.0]])
    fit = fit_logistic_path(X, [1, 1, -1, 1], [1e-6])
    # sufficient statistics: two samples agree with w > 0, two with w < 0, so w = 0 and every sample
    # is a tie
    np.testing.assert_allclose(fit.coef, 0, atol=1e-7)
    assert fit.objective[0] == pytest.approx(np.log(2))


@pytest.mark.long
def test_it_works_under_jit_and_with_float64_on():
    X, y = problem(12, 40)
    expected = fit_logistic_path(X, y, [0.01]).coef
    inside = jax.jit(lambda a: fit_logistic_path(a, y, jnp.array([0.01])).coef)(jnp.asarray(X))
    assert inside.dtype == jnp.float32
    np.testing.assert_allclose(inside, expected, rtol=1e-4, atol=1e-6)
    with jax.enable_x64(True):
        np.testing.assert_allclose(
            fit_logistic_path(jnp.asarray(X), y, 0.01).coef, expected, rtol=1e-12
        )


@pytest.mark.long
def test_a_fit_that_stops_early_says_so():
    X, y = problem(12, 40)
    with pytest.warns(RuntimeWarning, match="gradient norm above tol"):
        fit = fit_logistic_path(X, y, [1e-6], max_steps=1)
    assert not fit.converged.any() and fit.steps.tolist() == [1]


@pytest.mark.long
def test_one_sample_and_float32_are_fitted():
    # one sample: w = t x with lam t |x|^2 = ... solved by bisection of the scalar equation lam t =
    # s(-t |x|^2)
    x = np.array([[1.0, 2.0]])
    w = fit_logistic_path(x, [1], [0.1]).coef[0]
    t = w[0]
    np.testing.assert_allclose(w, t * x[0], rtol=1e-9)
    assert 0.1 * t == pytest.approx(1 / (1 + np.exp(5 * t)), rel=1e-7)
    single = fit_logistic_path(x, [1], [0.1], precision="float32", tol=1e-5)
    assert single.coef.dtype == np.float32 and single.coef[0][0] == pytest.approx(t, rel=1e-4)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"X": np.zeros((2, 0))}, "X has shape"),
        ({"X": np.full((2, 2), np.nan)}, "X holds nan"),
        ({"y": [1, 0]}, r"-1 and \+1"),
        ({"y": [1]}, "y has shape"),
        ({"lams": [0.0]}, "lams holds 0"),
        ({"lams": [[1.0]]}, "lams has shape"),
        ({"mask": [True]}, "mask has shape"),
        ({"precision": "half"}, "precision = "),
        ({"batch_size": 0}, "batch_size = 0"),
    ],
)
def test_bad_input_is_refused_by_name(arguments, said):
    given = {"X": np.eye(2), "y": [1, -1], "lams": [0.1]} | arguments
    with pytest.raises(InputError, match=said):
        fit_logistic_path(given.pop("X"), given.pop("y"), given.pop("lams"), **given)


def test_features_whose_squares_leave_float64_are_refused_by_name():
    X, y = np.array([[1.0, 0.0], [0.0, 1.0], [-1.0, 0.0]]), np.array([1.0, 1.0, -1.0])
    with pytest.raises(InputError, match=r"^X holds"):
        fit_logistic_path(1e160 * X, y, [0.1])
