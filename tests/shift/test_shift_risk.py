import numpy as np
import pytest
from scipy.integrate import quad
from scipy.special import owens_t
from scipy.stats import norm

from theorylab.errors import InputError
from theorylab.shift import (
    gaussian_error,
    id_ood_error,
    margin_model_error,
    margin_points,
    nuisance_error,
)


@pytest.mark.parametrize(("c", "r", "s"), [(1.0, 0.5, 0.3), (0.2, 1.0, 2.0), (-0.5, 0.1, 0.1)])
def test_the_margin_models_error_is_its_integral(c, r, s):
    gap = 0.25
    width = np.hypot(r, 0.7 * s)
    expected = quad(
        lambda g: 2 * norm.pdf(g) * norm.cdf(-c * (g + gap) / width), 0, 12, epsabs=1e-13
    )[0]
    error = margin_model_error([c, r], s, direction=[1.0, 0.0], gap=gap, scale=0.7)
    assert error == pytest.approx(expected, abs=1e-10)


def test_without_a_gap_the_error_is_owens_angle():
    # P(sign<w,x> != sign<u,x>) = angle / pi: 1/2 - arctan(c / width) / pi, which Owen's T gives as
    # well
    c, width = 0.8, 0.6
    error = margin_model_error([c, width], 0.0, direction=[2.0, 0.0], gap=0.0, scale=1.0)
    assert error == pytest.approx(0.5 - np.arctan(c / width) / np.pi, abs=1e-12)
    assert error == pytest.approx(0.5 - 2 * owens_t(0, c / width), abs=1e-12)


def test_closed_form_agrees_with_explicit_nuisance_draws():
    rng = np.random.default_rng(0)
    k, m, sigma, tau = 300, 4000, 0.2, 0.5
    w_s, w_n, x_s = rng.normal(size=3), rng.normal(size=k) / 10, rng.normal(size=(m, 3))
    y = np.sign(rng.normal(size=m))
    inside, outside = id_ood_error(w_s, np.linalg.norm(w_n), x_s, y, sigma=sigma, tau=tau)
    for error, scale in ((inside, sigma), (outside, np.hypot(sigma, tau))):
        drawn = (y * (x_s @ w_s) + scale * rng.normal(size=(m, k)) @ w_n < 0).mean()
        assert abs(drawn - error) < 4 * np.sqrt(drawn * (1 - drawn) / m)


def test_without_nuisance_weights_the_error_counts_signs():
    np.testing.assert_allclose(nuisance_error([[1.0, -1.0, 0.0, 2.0]], [0.0], 1.0), [(1 + 0.5) / 4])


@pytest.mark.long
def test_a_shift_of_the_mean_moves_every_margin():
    gamma = np.array([0.5, 1.5])
    error = nuisance_error(gamma, 2.0, 0.5, kappa=1.0)
    assert error == pytest.approx(norm.cdf(-(gamma - 1.0)).mean(), abs=1e-12)
    whole = margin_model_error(
        [1.0, 0.0], 2.0, direction=[1.0, 0.0], gap=0.25, scale=0.5, offset=-1.0
    )
    points = margin_points([1.0, 0.0], direction=[1.0, 0.0], gap=0.25)
    assert whole == pytest.approx(norm.cdf(-(points - 1.0)).mean(), abs=2e-5)


def test_gaussian_signal_has_its_closed_form():
    rng = np.random.default_rng(1)
    w, mean = np.array([1.0, 0.5]), np.array([0.7, -0.2])
    error = gaussian_error(w, 0.4, mean=mean, scale=0.9)
    draws = (rng.normal(size=(200_000, 2)) + mean) @ w + 0.36 * rng.normal(size=200_000)
    assert error == pytest.approx((draws < 0).mean(), abs=4 * np.sqrt(0.25 / 200_000))


def test_errors_are_computed_for_whole_batches():
    w = np.random.default_rng(0).normal(size=(3, 2, 4))
    norms = np.abs(np.random.default_rng(1).normal(size=(3, 2)))
    error = margin_model_error(w, norms, direction=np.eye(4)[0], gap=0.1, scale=1.0)
    assert error.shape == (3, 2)
    assert error[2, 1] == pytest.approx(
        margin_model_error(w[2, 1], norms[2, 1], direction=np.eye(4)[0], gap=0.1, scale=1.0)
    )


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda: nuisance_error([[1.0]], [1.0, 2.0], 1.0), "norm_w_n has shape"),
        (lambda: nuisance_error([1.0], 1.0, -1.0), "scale = -1"),
        (
            lambda: id_ood_error([1.0], 1.0, [[1.0, 2.0]], [1.0], sigma=1.0, tau=1.0),
            "w_s has shape",
        ),
        (
            lambda: margin_model_error([1.0], 1.0, direction=[1.0, 0.0], gap=0.1, scale=1.0),
            "direction has shape",
        ),
        (
            lambda: margin_model_error([np.nan], 1.0, direction=[1.0], gap=0.1, scale=1.0),
            "w_s holds nan",
        ),
    ],
)
def test_bad_input_is_refused_by_name(call, said):
    with pytest.raises(InputError, match=said):
        call()


@pytest.mark.parametrize("scale", [1e-300, 1e-200, 1e200, 1e300])
def test_the_length_of_a_classifier_does_not_matter(scale):
    """Squares of its weights left the range: the error was that of a wrong angle, or NaN."""
    w, u, mean = np.array([1.0, -0.3, 0.5]), np.array([1.0, 0.2, 0.0]), np.array([0.4, 0.0, 1.0])
    noise = 0.7 * 0.3
    expected = norm.cdf(-(w @ mean) / np.sqrt(w @ w + noise**2))
    found = gaussian_error(scale * w, 0.3 * scale, mean=mean, scale=0.7)
    assert found == pytest.approx(expected, rel=1e-13)
    along = w @ u / np.linalg.norm(u)
    width = np.sqrt(w @ w - along**2 + noise**2)
    expected = quad(
        lambda g: 2 * norm.pdf(g) * norm.cdf(-along * (g + 0.25) / width), 0, 12, epsabs=1e-13
    )[0]
    for length in (1e-300, 1.0, 1e300):
        found = margin_model_error(
            scale * w, 0.3 * scale, direction=length * u, gap=0.25, scale=0.7
        )
        assert found == pytest.approx(expected, abs=1e-10)
    np.testing.assert_allclose(
        margin_points(scale * w, direction=u, gap=0.2) / scale,
        margin_points(w, direction=u, gap=0.2),
        rtol=1e-9,
        atol=1e-12,
    )


def test_margins_beyond_the_range_are_refused():
    with pytest.raises(InputError, match="w_s holds"):
        margin_points([1.7e308, 1e308], direction=[1.0, 1.0], gap=0.2)
