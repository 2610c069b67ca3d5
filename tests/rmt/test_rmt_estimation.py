"""Exponents and spectra recovered from samples whose population is known."""

import numpy as np
import pytest

from theorylab.rmt import decay_exponent, estimate_spectrum, tail_exponent


def test_exact_decay_is_recovered_in_any_window_and_order():
    values = 3 * np.arange(1, 301.0) ** -1.3
    fit = decay_exponent(np.random.default_rng(0).permutation(values), start=20, stop=200)
    assert fit.exponent == pytest.approx(1.3, rel=1e-12) and fit.count == 181


@pytest.mark.parametrize("xmax", [10.0, 100.0, np.inf])
@pytest.mark.parametrize("exponent", [1.6, 2.5])
def test_tail_exponent_is_unbiased_under_truncation(exponent, xmax):
    rng, s = np.random.default_rng(1), exponent - 1
    draws = (1 - rng.random(4000) * (1 - xmax**-s)) ** (-1 / s)
    fit = tail_exponent(draws, 1.0, xmax)
    assert abs(fit.exponent - exponent) < 3 * fit.standard_error
    assert fit.standard_error < 0.1


def test_standard_error_is_the_spread_of_repeated_fits():
    rng = np.random.default_rng(2)
    fits = [
        tail_exponent((1 - rng.random(400) * (1 - 0.1**1.5)) ** (-1 / 1.5), 1.0, 10.0)
        for _ in range(100)
    ]
    spread = np.std([f.exponent for f in fits])
    assert 0.75 < fits[0].standard_error / spread < 1.35


def test_a_uniform_log_density_has_exponent_one():
    draws = np.exp(np.random.default_rng(3).random(3000) * np.log(50))
    assert (
        abs(tail_exponent(draws, 1.0, 50.0).exponent - 1)
        < 3 * tail_exponent(draws, 1.0, 50.0).standard_error
    )


@pytest.mark.long
@pytest.mark.parametrize("n", [800, 300])
def test_two_point_spectrum_is_recovered(n):
    rng, p = np.random.default_rng(0), 400
    population = np.repeat([1.0, 8.0], [280, 120])
    x = rng.standard_normal((n, p)) * np.sqrt(population)
    estimate = estimate_spectrum(np.linalg.eigvalsh(x.T @ x / n), n)
    t, w = estimate.eigenvalues, estimate.weights
    assert w.sum() == pytest.approx(1) and (w >= 0).all() and estimate.residual < 0.1
    # mean: s.d. sqrt(2 Σ t²/(n p²)) < 0.02; mass split between the atoms to 5 %
    assert np.sum(w * t) == pytest.approx(population.mean(), rel=0.03)
    assert np.sum(w[t < 3]) == pytest.approx(0.7, abs=0.05)


def test_own_grid_is_used():
    x = np.random.default_rng(0).standard_normal((200, 100))
    estimate = estimate_spectrum(
        np.linalg.eigvalsh(x.T @ x / 200), 200, grid=np.array([0.2, 1.0, 5.0])
    )
    assert estimate.weights[1] > 0.95


def test_bad_input_is_named():
    for call, word in [
        (lambda: decay_exponent(np.ones(5), start=4), "ranks"),
        (lambda: decay_exponent(np.array([1.0, 0.5, 0.0, 0.0])), "finite and > 0"),
        (lambda: tail_exponent(np.ones(5), 2.0, 1.0), "xmin"),
        (lambda: tail_exponent(np.ones(5), 3.0), "widen"),
        (lambda: estimate_spectrum(np.array([-1.0, 1.0]), 3), "sample_eigenvalues"),
        (lambda: estimate_spectrum(np.zeros(3), 3), "positive eigenvalue"),
    ]:
        with pytest.raises(ValueError, match=word):
            call()
