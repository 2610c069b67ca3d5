"""Semicircle and its deformation: golden transform, quadrature, simulation."""

import jax
import numpy as np
import pytest

from theorylab.rmt import DeformedWigner, Semicircle, kolmogorov_distance

LAW = DeformedWigner(np.array([-1.0, 2.0]), None, 0.49)


def wigner(n: int, s2: float, seed: int) -> np.ndarray:
    w = np.random.default_rng(seed).standard_normal((n, n))
    return (w + w.T) * np.sqrt(s2 / (2 * n))


def mass_between(law, low, high):
    nodes, weights = np.polynomial.legendre.leggauss(200)
    angle, weights = (nodes + 1) * np.pi / 4, weights * np.pi / 4
    x = low + (high - low) * np.sin(angle) ** 2
    return np.sum(weights * (high - low) * np.sin(2 * angle) * np.asarray(law.density(x)))


def test_golden_transform_of_the_deformed_law():
    difference = complex(LAW.stieltjes(0.4 + 0.1j)) - (-0.055736 + 0.057844j)
    assert abs(difference.real) < 5e-7 and abs(difference.imag) < 5e-7
    assert complex(LAW.stieltjes(0.4 - 0.1j)).imag < 0


@pytest.mark.long
def test_deformed_law_has_two_bulks_of_half_mass():
    edges = LAW.edges()
    np.testing.assert_allclose([mass_between(LAW, a, b) for a, b in edges], [0.5, 0.5], atol=1e-9)
    np.testing.assert_allclose(np.asarray(LAW.cdf(edges)), [[0, 0.5], [0.5, 1]], atol=1e-12)
    np.testing.assert_allclose(
        np.asarray(LAW.cdf(LAW.quantile([0.2, 0.9]))), [0.2, 0.9], atol=1e-12
    )
    np.testing.assert_allclose(float(jax.grad(LAW.cdf)(2.2)), float(LAW.density(2.2)), rtol=1e-5)


@pytest.mark.long
def test_deformation_of_zero_is_the_semicircle():
    x = np.linspace(-4, 4, 41)
    for s2 in (0.3, 2.0):
        law, exact = DeformedWigner(np.zeros(1), None, s2), Semicircle(s2)
        np.testing.assert_allclose(
            np.asarray(law.density(x)), np.asarray(exact.density(x)), atol=1e-12
        )
        np.testing.assert_allclose(np.asarray(law.cdf(x)), np.asarray(exact.cdf(x)), atol=1e-12)
        np.testing.assert_allclose(
            np.asarray(law.stieltjes(x + 0.1j)), np.asarray(exact.stieltjes(x + 0.1j)), rtol=1e-11
        )


def test_semicircle_is_a_law():
    law = Semicircle(2.0)
    low, high = (float(v) for v in law.edges())
    np.testing.assert_allclose(mass_between(law, low, high), 1, atol=1e-13)
    np.testing.assert_allclose(float(law.cdf(1.0)), mass_between(law, low, 1.0), atol=1e-8)
    np.testing.assert_allclose(float(law.quantile(law.cdf(1.0))), 1.0, rtol=1e-12)
    m = complex(law.stieltjes(0.3 + 0.1j))
    np.testing.assert_allclose(2 * m**2 + (0.3 + 0.1j) * m + 1, 0, atol=1e-14)
    assert float(
        kolmogorov_distance(law.sample(jax.random.key(0), (1000,)), law.cdf)
    ) < 1.63 / np.sqrt(1000)


@pytest.mark.parametrize("n", [300, pytest.param(1500, marks=pytest.mark.slow)])
def test_random_matrices_agree(n):
    # rigidity: Kolmogorov distance O(log n/n)
    assert (
        float(kolmogorov_distance(np.linalg.eigvalsh(wigner(n, 1.0, 0)), Semicircle().cdf))
        < 2 * np.log(n) / n
    )
    signal = np.diag(np.repeat([-1.0, 2.0], n // 2))
    assert (
        float(kolmogorov_distance(np.linalg.eigvalsh(signal + wigner(n, 0.49, 1)), LAW.cdf))
        < 2 * np.log(n) / n
    )


def test_bad_parameters_are_refused():
    with pytest.raises(ValueError, match="s2"):
        Semicircle(0.0)
    with pytest.raises(ValueError, match="s2"):
        DeformedWigner(np.ones(2), None, -1.0)
