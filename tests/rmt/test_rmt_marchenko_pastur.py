"""Marchenko-Pastur: golden transforms, quadrature, moments, random matrices."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.integrate import quad

from theorylab.rmt import MarchenkoPastur, kolmogorov_distance


@pytest.mark.parametrize(
    ("gamma", "golden"), [(0.5, -0.48200 + 1.00838j), (2.0, -0.40022 + 0.46047j)]
)
def test_golden_transforms(gamma, golden):
    m = complex(MarchenkoPastur(gamma).stieltjes(1.3 + 0.2j))
    assert abs(m.real - golden.real) < 5.1e-6 and abs(m.imag - golden.imag) < 5.1e-6


@pytest.mark.parametrize("companion", [False, True])
@pytest.mark.parametrize("gamma", [0.3, 1.0, 2.5])
def test_total_mass_mean_and_cdf_are_those_of_the_density(gamma, companion):
    law = MarchenkoPastur(gamma, 1.7, companion)
    a, b = (float(v) for v in law.edges())
    angle, weights = np.polynomial.legendre.leggauss(200)
    angle, weights = (angle + 1) * np.pi / 4, weights * np.pi / 4
    x = a + (b - a) * np.sin(angle) ** 2  # takes away the square roots at the edges
    mass = weights * (b - a) * np.sin(2 * angle) * np.asarray(law.density(x))
    np.testing.assert_allclose(mass.sum() + float(law.atom()), 1, atol=1e-12)
    np.testing.assert_allclose((mass * x).sum(), float(law.moments(1)[0]), rtol=1e-12)
    np.testing.assert_allclose((mass * x**3).sum(), float(law.moments(3)[2]), rtol=1e-12)
    middle = a + 0.37 * (b - a)
    part = quad(lambda t: float(law.density(middle + t)), 0, b - middle, epsabs=1e-10)[0]
    np.testing.assert_allclose(float(law.cdf(middle)), 1 - part, atol=1e-7)


@pytest.mark.long
def test_transform_has_the_right_branch_everywhere():
    law = MarchenkoPastur(0.5)
    z = np.array([-3.0 + 0.01j, 0.1 + 0.3j, 2.0 + 2j, 6.0 + 0.01j, -1.0])
    a, b = (float(v) for v in law.edges())
    nodes, weights = np.polynomial.legendre.leggauss(400)
    angle, weights = (nodes + 1) * np.pi / 4, weights * np.pi / 4
    x = a + (b - a) * np.sin(angle) ** 2
    mass = weights * (b - a) * np.sin(2 * angle) * np.asarray(law.density(x))
    np.testing.assert_allclose(
        np.asarray(law.stieltjes(z)), (mass / (x - z[:, None])).sum(axis=1), rtol=1e-10
    )
    np.testing.assert_allclose(
        np.asarray(law.stieltjes(np.conj(z[:4]))), np.conj(np.asarray(law.stieltjes(z[:4])))
    )
    np.testing.assert_allclose(
        np.imag(complex(law.stieltjes(1.2))) / np.pi, float(law.density(1.2)), rtol=1e-12
    )


@settings(max_examples=30, deadline=None)
@given(st.floats(0.05, 20), st.floats(-5, 30), st.floats(1e-3, 5), st.floats(0.1, 10))
def test_upper_half_plane_maps_to_itself_and_scale_is_equivariant(gamma, x, y, s2):
    m = complex(MarchenkoPastur(gamma, s2).stieltjes(complex(x, y)))
    assert m.imag > 0
    unit = complex(MarchenkoPastur(gamma).stieltjes(complex(x, y) / s2))
    np.testing.assert_allclose(m, unit / s2, rtol=1e-10)


@settings(max_examples=20, deadline=None)
@given(st.floats(0.05, 5), st.floats(0.01, 0.99), st.booleans())
def test_quantile_inverts_the_cdf(gamma, p, companion):
    law = MarchenkoPastur(gamma, 1.0, companion)
    x = float(law.quantile(p))
    if p <= float(law.atom()):
        assert x == 0
    else:
        np.testing.assert_allclose(float(law.cdf(x)), p, atol=1e-12)


def test_outside_the_support_everything_is_constant():
    law = MarchenkoPastur(0.25)
    np.testing.assert_array_equal(np.asarray(law.density([-1.0, 0.1, 3.0])), 0)
    np.testing.assert_array_equal(np.asarray(law.cdf([-1.0, 0.1, 3.0])), [0, 0, 1])
    assert np.isnan(float(law.quantile(1.5)))
    assert float(MarchenkoPastur(1.0).density(0.0)) == np.inf


def test_samples_follow_the_law():
    law = MarchenkoPastur(0.5)
    sample = law.sample(jax.random.key(0), (2000,))
    # 1 % Kolmogorov-Smirnov
    assert float(kolmogorov_distance(sample, law.cdf)) < 1.63 / np.sqrt(2000)


def test_zero_eigenvalues_meet_the_atom_at_zero():
    # Half of the law sits at 0: half zeros and the quantiles between are as near as n = 100 numbers
    # can be.
    law = MarchenkoPastur(2.0)
    sample = np.concatenate([np.zeros(50), law.quantile(0.5 + (np.arange(50) + 0.5) / 100)])
    assert float(kolmogorov_distance(sample, law.cdf)) == pytest.approx(0.005, abs=1e-9)


def test_derivatives_in_x_gamma_and_p():
    law = MarchenkoPastur(0.5)
    np.testing.assert_allclose(float(jax.grad(law.cdf)(1.1)), float(law.density(1.1)), rtol=1e-5)
    np.testing.assert_allclose(
        float(jax.grad(law.quantile)(0.4)), 1 / float(law.density(law.quantile(0.4))), rtol=1e-5
    )
    slope = float(jax.grad(lambda g: MarchenkoPastur(g).density(1.1))(0.5))
    up, down = (float(MarchenkoPastur(0.5 + h).density(1.1)) for h in (1e-5, -1e-5))
    np.testing.assert_allclose(slope, (up - down) / 2e-5, rtol=1e-5)
    batch = jax.jit(jax.vmap(lambda g: MarchenkoPastur(g).density(1.1)))(jnp.array([0.5, 0.8]))
    np.testing.assert_allclose(float(batch[0]), float(law.density(1.1)), rtol=1e-6)


def test_random_matrix_agrees():
    n, p = 400, 200  # Kolmogorov distance is O(log n/n) by rigidity: 0.005 at most here
    values = np.linalg.eigvalsh(np.cov(np.random.default_rng(0).standard_normal((p, n)), bias=True))
    assert float(kolmogorov_distance(values, MarchenkoPastur(0.5).cdf)) < 4 * np.log(n) / n / 2


def test_bad_parameters_are_refused():
    with pytest.raises(ValueError, match="gamma = -1; finite numbers above 0"):
        MarchenkoPastur(-1.0)
    with pytest.raises(ValueError, match="sample has shape"):
        kolmogorov_distance(np.zeros((2, 2)), MarchenkoPastur(1.0).cdf)


@pytest.mark.parametrize("companion", [False, True])
@pytest.mark.parametrize("gamma", [0.3, 2.0])
def test_quantiles_have_derivatives_in_what_the_law_is_made_of(gamma, companion):
    with jax.enable_x64(True):

        def quantile(gamma, s2):
            return MarchenkoPastur(gamma, s2, companion=companion).quantile(0.8)

        found = jax.grad(quantile, argnums=(0, 1))(gamma, 1.5)
        h = 1e-5
        expected = (
            (quantile(gamma + h, 1.5) - quantile(gamma - h, 1.5)) / (2 * h),
            (quantile(gamma, 1.5 + h) - quantile(gamma, 1.5 - h)) / (2 * h),
        )
        np.testing.assert_allclose(found, expected, rtol=1e-7)
