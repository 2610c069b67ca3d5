"""Tracy-Widom: published constants and quantiles, an independent Painlevé solution, simulation."""

import jax
import numpy as np
import pytest
from scipy.integrate import solve_ivp
from scipy.special import airy

from theorylab.rmt import TracyWidom, goe_edge, kolmogorov_distance, wishart_edge

MOMENTS = {1: (-1.2065336, 1.6077810), 2: (-1.7710868, 0.8131948), 4: (-2.3068849, 0.5177237)}


@pytest.mark.parametrize("beta", [1, 2, 4])
def test_published_mean_and_variance(beta):
    law = TracyWidom(beta)
    np.testing.assert_allclose((law.mean(), law.variance()), MOMENTS[beta], atol=6e-8)


def test_golden_quantiles_and_values():
    one, two = TracyWidom(1), TracyWidom(2)
    np.testing.assert_allclose(
        np.asarray(one.quantile([0.95, 0.99])), [0.97932, 2.02345], atol=5.1e-6
    )
    np.testing.assert_allclose(
        np.asarray(two.quantile([0.95, 0.99])), [-0.23247, 0.47764], atol=5.1e-6
    )
    np.testing.assert_allclose(
        [float(one.cdf(-2.0)), float(two.cdf(-2.0))], [0.27432, 0.41322], atol=5.1e-6
    )


def test_hastings_mcleod_solution_of_painleve_agrees():
    # q'' = sq + 2q³, q ~ Ai; F2 = exp(-I), I'' = q², F1 = exp(-J/2) √F2, J' = -q; F4 = cosh(J/2)
    # √F2.
    start = 6.0
    ai, dai = airy(start)[:2]
    first = dai**2 - start * ai**2  # ∫_s^∞ Ai²
    second = (2 * start**2 * ai**2 - 2 * start * dai**2 - ai * dai) / 3  # ∫_s^∞ (x-s) Ai²
    grid = np.linspace(-4, 5, 10)
    nodes, weights = np.polynomial.legendre.leggauss(60)
    tail = float(np.sum(weights * 5 * airy(start + 5 * (nodes + 1))[0]))

    def flow(s, y):
        q, dq, i0, _, _ = y
        return [dq, s * q + 2 * q**3, -(q**2), -i0, -q]

    out = solve_ivp(
        flow, (start, -4), [ai, dai, first, second, tail], t_eval=grid[::-1], rtol=1e-12, atol=1e-16
    )
    f2, j = np.exp(-out.y[3]), out.y[4]
    x = out.t
    np.testing.assert_allclose(np.asarray(TracyWidom(2).cdf(x)), f2, atol=1e-8)
    np.testing.assert_allclose(
        np.asarray(TracyWidom(1).cdf(x)), np.exp(-j / 2) * np.sqrt(f2), atol=1e-8
    )
    np.testing.assert_allclose(
        np.asarray(TracyWidom(4).cdf(x / np.sqrt(2))), np.cosh(j / 2) * np.sqrt(f2), atol=1e-8
    )


@pytest.mark.parametrize("beta", [1, 2, 4])
def test_cdf_rises_from_zero_to_one_with_slope_pdf(beta):
    law, x = TracyWidom(beta), np.linspace(-11, 15, 400)
    f = np.asarray(law.cdf(x))
    assert (
        (np.diff(f) >= -1e-13).all()
        and f[0] == 0
        and f[-1] == 1
        and (np.asarray(law.pdf(x)) >= 0).all()
    )
    np.testing.assert_allclose(float(jax.grad(law.cdf)(-1.5)), float(law.pdf(-1.5)), rtol=1e-5)
    np.testing.assert_allclose(
        np.asarray(law.cdf(law.quantile([1e-6, 0.5, 0.999]))), [1e-6, 0.5, 0.999], atol=1e-12
    )
    np.testing.assert_allclose(
        float(jax.jit(lambda law, s: law.cdf(s))(law, -1.0)), float(law.cdf(-1.0))
    )


def test_edges_of_random_matrices_follow_beta_one():
    rng, n, p, draws = np.random.default_rng(0), 60, 30, 300
    mu, sigma = wishart_edge(n, p)
    tops = [
        (np.linalg.norm(rng.standard_normal((n, p)), 2) ** 2 - mu) / sigma for _ in range(draws)
    ]
    # Kolmogorov-Smirnov at 1 % (1.63/√300 = .094), plus the O(p^-2/3) bias of the scaling (.02 at p
    # = 30).
    assert float(kolmogorov_distance(np.array(tops), TracyWidom(1).cdf)) < 0.094 + 0.02
    assert float(kolmogorov_distance(np.array(tops), TracyWidom(2).cdf)) > 0.15
    centre, width = goe_edge(64)
    assert centre == 16.0 and width == pytest.approx(0.5)


def test_bad_parameters_are_refused():
    for call in (lambda: TracyWidom(3), lambda: wishart_edge(1, 5), lambda: goe_edge(0)):
        with pytest.raises(ValueError, match=r"beta = 3|n = 1|n = 0"):
            call()
