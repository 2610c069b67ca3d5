import numpy as np
import pytest

from theorylab.errors import InputError
from theorylab.shift import fit_descent, fit_min_norm, fit_ridge


def problem(n=10, p=25, seed=0):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(n, p)), rng.choice([-1.0, 1.0], n)


def test_ridge_and_minimum_norm_are_their_normal_equations():
    X, y = problem()
    np.testing.assert_allclose(
        fit_ridge(X, y, [0.2])[0], np.linalg.solve(X.T @ X / 10 + 0.2 * np.eye(25), X.T @ y / 10)
    )
    np.testing.assert_allclose(fit_min_norm(X, y), np.linalg.pinv(X) @ y, atol=1e-10)


@pytest.mark.parametrize("shape", [(10, 25), (25, 6)])
@pytest.mark.parametrize("loss", ["logistic", "squared"])
def test_descent_is_gradient_descent_by_hand(shape, loss):
    X, y = problem(*shape)
    path = fit_descent(X, y, [0, 1, 7], loss=loss, learning_rate=0.05)
    w = np.zeros(shape[1])
    for step in range(8):
        if step in (0, 1, 7):
            row = [0, 1, 7].index(step)
            np.testing.assert_allclose(path.coef[row], w, atol=1e-12)
            assert path.train_error[row] == (y * (X @ w) <= 0).mean()
        f = X @ w
        w = w + 0.05 * X.T @ (y / (1 + np.exp(y * f)) if loss == "logistic" else y - f) / shape[0]
    assert path.loss[0] == pytest.approx(np.log(2) if loss == "logistic" else 0.5)


def test_squared_loss_descends_to_the_minimum_norm_fit():
    X, y = problem()
    path = fit_descent(X, y, [3000], loss="squared")
    np.testing.assert_allclose(path.coef[0], np.linalg.pinv(X) @ y, atol=1e-8)
    assert path.learning_rate == pytest.approx(10 / np.linalg.norm(X, 2) ** 2)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"steps": [3, 3]}, "increasing"),
        ({"steps": [0.5]}, "steps holds 0.5"),
        ({"steps": []}, "steps"),
        ({"loss": "hinge"}, "loss = "),
        ({"learning_rate": 0.0}, "learning_rate"),
        ({"y": [0] * 10}, r"-1 and \+1"),
    ],
)
def test_bad_input_is_refused_by_name(changes, said):
    X, y = problem()
    given = {"X": X, "y": y, "steps": [1]} | changes
    with pytest.raises(InputError, match=said):
        fit_descent(**given)
