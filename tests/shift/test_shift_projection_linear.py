import jax
import numpy as np
import pytest
from scipy.linalg import expm, orth

from theorylab.errors import InputError
from theorylab.shift import (
    isotropic_expectations,
    linear_projection_norm,
    linear_test_loss,
    min_norm_fit,
    projection_norm_descent,
    projection_norm_flow,
    projection_norm_gram,
    projection_parts,
)

N, M, D = 12, 9, 30


def projector(X):
    basis = orth(X.T)
    return basis @ basis.T


@pytest.fixture(scope="module")
def draw():
    rng = np.random.default_rng(0)
    scales = np.linspace(0.3, 2, D)
    X, Xt = rng.normal(size=(N, D)) * scales, rng.normal(size=(M, D)) * scales[::-1]
    return X, Xt, rng.normal(size=D), rng.normal(size=D)


def test_the_fit_is_the_interpolator_closest_to_its_start(draw):
    X, _, theta_star, theta0 = draw
    y = X @ theta_star
    found = min_norm_fit(X, y, theta0)
    np.testing.assert_allclose(
        found, theta0 + np.linalg.lstsq(X, y - X @ theta0, rcond=None)[0], atol=1e-10
    )
    np.testing.assert_allclose(X @ found, y, atol=1e-10)
    both = min_norm_fit(X, np.stack([y, 2 * y], 1), np.stack([theta0, theta0], 1))
    np.testing.assert_allclose(both[:, 0], found, atol=1e-12)


def test_proposition_1_the_norm_and_the_loss_are_those_of_the_two_fits(draw):
    X, Xt, theta_star, theta0 = draw
    theta_hat = min_norm_fit(X, X @ theta_star, theta0)
    tilde = min_norm_fit(Xt, Xt @ theta_hat, theta0)
    assert linear_projection_norm(*draw) == pytest.approx(
        np.linalg.norm(theta_hat - tilde), rel=1e-12
    )
    assert linear_test_loss(*draw) == pytest.approx(
        ((Xt @ (theta_hat - theta_star)) ** 2).mean(), rel=1e-12
    )


def test_propositions_2_and_4_bound_the_loss(draw):
    X, Xt, theta_star, theta0 = draw
    p = projection_parts(*draw)
    P, Pt, s = projector(X), projector(Xt), np.linalg.svd(Xt)[1]
    missed = np.linalg.norm(Pt @ (np.eye(D) - P) @ (theta_star - theta0))
    assert p.missed == pytest.approx(missed, rel=1e-12) and p.kappa == pytest.approx(
        p.pn / missed, rel=1e-12
    )
    assert p.lower == pytest.approx(s[-1] ** 2 / M * missed**2) and p.upper == pytest.approx(
        s[0] ** 2 / M * missed**2
    )
    assert p.lower <= p.loss <= p.upper and p.upper == pytest.approx(
        s[0] ** 2 / (M * p.kappa**2) * p.pn**2
    )


def test_a_signal_that_training_never_saw_has_norm_0_and_a_loss(draw):
    X, Xt, theta, _ = draw
    hidden = theta - projector(X) @ theta
    assert linear_projection_norm(X, Xt, hidden) < 1e-12 and linear_test_loss(X, Xt, hidden) > 0.1


@pytest.mark.long
# 40 > d: the test rows span everything
@pytest.mark.parametrize("n, m", [(12, 9), (9, 9), (6, 40)])
def test_proposition_3_is_the_average_over_an_orthonormal_frame(n, m):
    """The mean over r e_i is that over any law with E theta theta^T = (r^2 / d) I: nothing needs to
    be sampled."""
    rng = np.random.default_rng(n + m)
    X, Xt, r = rng.normal(size=(n, D)), rng.normal(size=(m, D)) * np.linspace(0.2, 1.5, D), 1.7
    found = isotropic_expectations(X, Xt, r)
    parts = [projection_parts(X, Xt, r * e) for e in np.eye(D)]
    mean = {name: np.mean([getattr(p, name) ** 2 for p in parts]) for name in ("pn", "missed")}
    assert found.pn2 == pytest.approx(mean["pn"], rel=1e-10, abs=1e-12)
    assert found.missed2 == pytest.approx(mean["missed"], rel=1e-10)
    assert found.missed2 == pytest.approx(found.pn2 + r**2 * (min(m, D) - n) / D, rel=1e-10)
    assert found.loss == pytest.approx(np.mean([p.loss for p in parts]), rel=1e-10)
    assert found.lower <= found.loss <= found.upper


@pytest.mark.long
def test_proposition_6_the_norm_falls_with_more_test_rows_and_is_0_at_full_rank():
    rng = np.random.default_rng(3)
    X, rows, theta = rng.normal(size=(N, D)), rng.normal(size=(D + 5, D)), rng.normal(size=D)
    norms = np.array([linear_projection_norm(X, rows[:m], theta) for m in (4, 17, 30)])
    assert (np.diff(norms) <= 1e-12).all() and linear_projection_norm(X, rows, theta) < 1e-10


def test_repeated_and_zero_rows_change_nothing(draw):
    X, Xt, theta, _ = draw
    more = np.concatenate([Xt, Xt[:3], np.zeros((2, D))])
    assert linear_projection_norm(X, more, theta) == pytest.approx(
        linear_projection_norm(X, Xt, theta), rel=1e-10
    )


@pytest.mark.long
def test_proposition_7_flow_is_the_matrix_exponential_and_descent_the_iteration(draw):
    X, Xt, theta_star, theta0 = draw
    theta_hat = min_norm_fit(X, X @ theta_star, theta0)
    C, Ct, v = X.T @ X / N, Xt.T @ Xt / M, theta_hat - theta0
    times = np.array([0.0, 0.1, 1.0, 10.0])
    ref, base = projection_norm_flow(X, Xt, theta_hat, theta0, times)
    np.testing.assert_allclose(
        ref, [np.linalg.norm((expm(-t * Ct) - expm(-t * C)) @ v) for t in times], atol=1e-10
    )
    np.testing.assert_allclose(base, [np.linalg.norm(expm(-t * Ct) @ v) for t in times], atol=1e-10)
    limit = linear_projection_norm(X, Xt, theta_star, theta0)
    np.testing.assert_allclose(
        projection_norm_flow(X, Xt, theta_hat, theta0, 1e8), [limit, limit], rtol=1e-8
    )

    eta = 1.2 / np.linalg.norm(Ct, 2)  # beyond 1 / ||C||: some factors are negative
    tilde, reference = theta0.copy(), theta0.copy()
    for _ in range(7):
        tilde = tilde - eta * Ct @ (tilde - theta_hat)
        reference = reference - eta * C @ (reference - theta_hat)
    ref, base = projection_norm_descent(X, Xt, theta_hat, theta0, [0, 7], step_size=eta)
    expected = [
        [0, np.linalg.norm(reference - tilde)],
        [np.linalg.norm(v), np.linalg.norm(theta_hat - tilde)],
    ]
    np.testing.assert_allclose([ref, base], expected, atol=1e-12)


def test_without_shift_the_reference_removes_the_floor_at_every_time(draw):
    X, _, theta_star, theta0 = draw
    theta_hat = min_norm_fit(X, X @ theta_star, theta0)
    ref, base = projection_norm_flow(X, X, theta_hat, theta0, [0.01, 1.0, 100.0])
    assert ref.max() < 1e-12 and base[0] > 0.5 * np.linalg.norm(theta_hat - theta0)


@pytest.mark.long
def test_the_gram_form_is_the_primal_one(draw):
    X, Xt, theta_star, theta0 = draw
    resid = X @ (theta_star - theta0)
    expected = linear_projection_norm(*draw)
    assert projection_norm_gram(X @ X.T, Xt @ X.T, Xt @ Xt.T, resid) == pytest.approx(
        expected, abs=1e-8
    )
    single = [K.astype(np.float32) for K in (X @ X.T, Xt @ X.T, Xt @ Xt.T)]
    assert projection_norm_gram(*single, resid) == pytest.approx(expected, rel=1e-3)
    two = projection_norm_gram(X @ X.T, Xt @ X.T, Xt @ Xt.T, np.stack([resid, 2 * resid], 1))
    assert two == pytest.approx(np.sqrt(5) * expected, rel=1e-8)


def test_it_works_under_vmap_and_whatever_the_callers_precision(draw):
    X, Xt, theta, _ = draw
    signals = np.stack([theta, 2 * theta]).astype(np.float32)
    batched = jax.vmap(lambda s: linear_projection_norm(X, Xt, s))(signals)
    expected = linear_projection_norm(X, Xt, theta)
    np.testing.assert_allclose(batched, [expected, 2 * expected], rtol=1e-5)
    with jax.enable_x64(True):
        assert linear_projection_norm(X, Xt, theta) == expected
    outputs = np.stack([theta, theta], 1)
    assert linear_projection_norm(X, Xt, outputs) == pytest.approx(np.sqrt(2) * expected)


@pytest.mark.parametrize(
    "call, named",
    [
        (lambda X, Xt, t: linear_projection_norm(X[0], Xt, t), "X"),
        (lambda X, Xt, t: linear_test_loss(X, Xt[:, 1:], t), "Xt"),
        (lambda X, Xt, t: linear_projection_norm(X, Xt, t[1:]), "theta_star"),
        (lambda X, Xt, t: linear_projection_norm(X * np.nan, Xt, t), "X"),
        (lambda X, Xt, t: linear_projection_norm(0 * X, Xt, t), "X"),
        (lambda X, Xt, t: isotropic_expectations(X, Xt, -1.0), "r"),
        (lambda X, Xt, t: min_norm_fit(X, t), "y"),
        (lambda X, Xt, t: projection_norm_flow(X, Xt, t, 0.0, -1.0), "t"),
        (lambda X, Xt, t: projection_norm_descent(X, Xt, t, 0.0, 0.5, step_size=0.1), "steps"),
        (lambda X, Xt, t: projection_norm_gram(X @ X.T, X @ X.T, Xt @ Xt.T, X @ t), "K11"),
        (lambda X, Xt, t: projection_norm_gram(X @ X.T, Xt @ X.T, Xt @ Xt.T, t), "residuals"),
    ],
)
def test_bad_input_is_named(draw, call, named):
    X, Xt, theta, _ = draw
    with pytest.raises(InputError, match=f"^{named} "):
        call(X, Xt, theta)


def test_signals_whose_squares_leave_float64_are_refused_by_name():
    designs = np.eye(2, 3), np.eye(2, 3)[:, ::-1]
    with pytest.raises(InputError, match=r"^theta_star holds"):
        projection_parts(*designs, np.full(3, 1.7e308), np.full(3, -1.0))
