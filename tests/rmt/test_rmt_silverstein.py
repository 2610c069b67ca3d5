"""Silverstein's law: golden numbers, 50-digit arithmetic, closed forms, simulation."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from theorylab.rmt import (
    MarchenkoPastur,
    SilversteinLaw,
    bbp_covariance,
    effective_regularization,
    kolmogorov_distance,
)

TWO = SilversteinLaw(np.array([1.0, 8.0]), np.array([0.7, 0.3]), 0.4)


def mass_between(law, low, high):
    """Integral of the density by Gauss-Legendre after x = low + (high - low) sin²."""
    nodes, weights = np.polynomial.legendre.leggauss(300)
    angle, weights = (nodes + 1) * np.pi / 4, weights * np.pi / 4
    x = low + (high - low) * np.sin(angle) ** 2
    return np.sum(weights * (high - low) * np.sin(2 * angle) * np.asarray(law.density(x)))


@pytest.mark.long
def test_golden_transforms_and_edges():
    np.testing.assert_allclose(complex(TWO.companion_stieltjes(-0.5)), 1.447846, atol=5e-7)
    golden = -0.585981 + 0.130544j
    difference = complex(TWO.companion_stieltjes(2 + 0.1j)) - golden
    assert abs(difference.real) < 5e-7 and abs(difference.imag) < 5e-7
    np.testing.assert_allclose(
        TWO.edges(), [[0.164244, 2.106434], [3.763824, 14.811212]], atol=6e-7
    )


def test_bulks_carry_the_mass_of_their_atoms():
    masses = [mass_between(TWO, a, b) for a, b in TWO.edges()]
    np.testing.assert_allclose(masses, [0.7, 0.3], atol=1e-9)
    np.testing.assert_allclose(float(TWO.cdf(3.0)), 0.7, atol=1e-13)


@pytest.mark.long
@pytest.mark.parametrize("companion", [False, True])
@pytest.mark.parametrize("gamma", [0.3, 1.0, 2.5])
def test_one_atom_is_marchenko_pastur(gamma, companion):
    law, exact = (
        SilversteinLaw(np.array([1.7]), None, gamma, companion),
        MarchenkoPastur(gamma, 1.7, companion),
    )
    x = np.linspace(-0.5, 12.0, 101) + 1e-3
    for name in ("density", "cdf"):
        np.testing.assert_allclose(
            np.asarray(getattr(law, name)(x)), np.asarray(getattr(exact, name)(x)), atol=1e-12
        )
    z = x + 0.05j
    np.testing.assert_allclose(
        np.asarray(law.stieltjes(z)), np.asarray(exact.stieltjes(z)), rtol=1e-11
    )
    np.testing.assert_allclose(law.edges()[0], [float(v) for v in exact.edges()], atol=1e-12)
    assert float(law.atom()) == pytest.approx(float(exact.atom()))


@pytest.mark.long
@pytest.mark.parametrize("gamma", [0.3, 3.0])
def test_total_mass_is_one_atoms_counted(gamma):
    for companion in (False, True):
        law = SilversteinLaw(
            np.array([0.0, 0.5, 1.0, 40.0]), np.array([1, 2, 3, 1]), gamma, companion
        )
        total = sum(mass_between(law, a, b) for a, b in law.edges()) + float(law.atom())
        np.testing.assert_allclose(total, 1, atol=1e-8)
        np.testing.assert_allclose(float(law.cdf(0.0)), float(law.atom()), atol=1e-14)
        assert float(law.cdf(1e9)) == pytest.approx(1.0, abs=1e-12)


@pytest.mark.slow
def test_fifty_digit_arithmetic_agrees_at_twenty_points():
    mpmath = pytest.importorskip("mpmath")
    rng = np.random.default_rng(0)
    t = np.exp(rng.standard_normal(12))
    law = SilversteinLaw(t, None, 0.5)
    x = np.geomspace(0.02, float(law.edges().max()) * 1.2, 20)
    density, converged = np.asarray(law.density(x)), np.asarray(law.solve(x).converged)
    assert converged.all()
    with mpmath.workdps(50):
        atoms = [mpmath.mpf(float(v)) for v in t]
        for at, value in zip(x, density, strict=True):
            # Independent route: the companion fixed point by Newton in m̃, continued down in Im z
            # from far above.
            m = mpmath.mpc(0, "0.05")
            for height in [mpmath.mpf(20) / 2**k for k in range(30)] + [mpmath.mpf(0)]:
                z = mpmath.mpc(float(at), height)
                for _ in range(3 if height else 12):
                    f = 1 / m + z - sum(v / (1 + v * m) for v in atoms) / 24
                    slope = -1 / m**2 + sum((v / (1 + v * m)) ** 2 for v in atoms) / 24
                    m = m - f / slope
            assert abs(float(mpmath.im(m) / mpmath.pi) / 0.5 - value) < 1e-8


spectra = st.lists(st.floats(1e-4, 1e2), min_size=5, max_size=5).map(np.array)
points = st.builds(complex, st.floats(-50, 300), st.floats(1e-3, 20))


@pytest.mark.long
@settings(max_examples=40, deadline=None)
@given(spectra, st.floats(0.05, 10), st.floats(-50, 300), st.floats(0, 20))
def test_solution_satisfies_the_equation_in_the_upper_half_plane(t, gamma, x, y):
    solution = SilversteinLaw(t, None, gamma).solve(complex(x, y))
    assert bool(solution.converged)
    omega = complex(solution.omega)
    assert omega.imag >= y * (1 - 1e-12)
    with np.errstate(all="ignore"):
        back = omega * (1 + gamma * np.mean(t / (omega - t)))
    if x != 0 or y != 0:
        np.testing.assert_allclose(back, complex(x, y), rtol=1e-9, atol=1e-11)


@pytest.mark.long
@settings(max_examples=25, deadline=None)
@given(
    spectra,
    st.floats(0.05, 10),
    st.floats(-50, 300),
    st.floats(1e-3, 20),
    st.permutations(range(5)),
    st.floats(1e-2, 1e2),
)
def test_transforms_stay_in_the_half_plane_ignore_order_and_scale(t, gamma, x, y, order, scale):
    z = complex(x, y)
    m, other = (
        complex(SilversteinLaw(v, None, gamma).stieltjes(z)) for v in (t, t[np.array(order)])
    )
    assert m.imag > 0
    np.testing.assert_allclose(m, other, rtol=1e-9)
    np.testing.assert_allclose(
        complex(SilversteinLaw(scale * t, None, gamma).stieltjes(scale * z)), m / scale, rtol=1e-8
    )
    companion = complex(SilversteinLaw(t, None, gamma, companion=True).stieltjes(z))
    np.testing.assert_allclose(companion, gamma * m - (1 - gamma) / z, rtol=1e-9, atol=1e-12)


def test_minus_omega_at_a_negative_point_is_the_effective_regularisation():
    e = np.arange(1, 41.0) ** -1.5
    law = SilversteinLaw(e, None, 40 / 15)
    omega = np.asarray(law.solve(-np.array([1e-6, 1e-3, 1.0])).omega)
    kappa = np.asarray(effective_regularization(e, 15, np.array([1e-6, 1e-3, 1.0])))
    np.testing.assert_allclose(-omega.real, kappa, rtol=1e-11)


def test_power_law_spectra_converge_from_the_smallest_to_the_largest_scale():
    for alpha in (1.5, 3.0):
        for gamma in (0.5, 2.0):
            law = SilversteinLaw(np.arange(1, 41.0) ** -alpha, None, gamma)
            assert np.asarray(law.solve(np.geomspace(1e-10, 10, 400)).converged).all()


def test_the_steps_of_a_solution_are_those_of_its_slowest_point():
    law = SilversteinLaw([1.0, 4.0], [0.5, 0.5], 0.5)
    points = [1e4 + 1j, 1.0 + 1e-9j]  # far from the spectrum, and within it beside the axis
    far, near = (int(law.solve(z).steps) for z in points)
    assert 1 <= far < near == int(law.solve(np.array(points)).steps)


@pytest.mark.long
def test_quantile_inverts_the_cdf_and_gradients_are_right():
    p = np.array([0.1, 0.5, 0.9])
    np.testing.assert_allclose(np.asarray(TWO.cdf(TWO.quantile(p))), p, atol=1e-12)
    assert float(SilversteinLaw(np.array([1.0]), None, 2.0).quantile(0.4)) == 0
    for name, index in (("eigenvalues", 0), ("gamma", 1)):

        def f(t, gamma):
            return SilversteinLaw(t, jnp.array([0.7, 0.3]), gamma).density(4.5)

        args = [np.array([1.0, 8.0]), 0.4]
        with jax.enable_x64(True):
            slope = np.sum(np.asarray(jax.grad(f, argnums=index)(jnp.asarray(args[0]), args[1])))
        up, down = ([*args], [*args])
        up[index], down[index] = up[index] + 1e-5, down[index] - 1e-5
        np.testing.assert_allclose(
            slope, (float(f(*up)) - float(f(*down))) / 2e-5, rtol=1e-6, err_msg=name
        )
    np.testing.assert_allclose(float(jax.grad(TWO.cdf)(4.5)), float(TWO.density(4.5)), rtol=1e-5)
    np.testing.assert_allclose(
        float(jax.jit(lambda law, x: law.density(x))(TWO, 4.5)), float(TWO.density(4.5))
    )


def test_outlier_of_a_white_bulk_is_bbp():
    law, exact = SilversteinLaw(np.ones(1), None, 0.5).outlier(4.0), bbp_covariance(4.0, 0.5)
    np.testing.assert_allclose(
        [float(law.eigenvalue), float(law.overlap)], [float(exact.eigenvalue), float(exact.overlap)]
    )
    lost = SilversteinLaw(np.ones(1), None, 0.5).outlier(1.2)
    assert not bool(lost.detected) and float(lost.overlap) == 0


def sample(n: int, t: np.ndarray, seed: int) -> np.ndarray:
    x = np.random.default_rng(seed).standard_normal((n, t.size)) * np.sqrt(t)
    return np.linalg.eigvalsh(x.T @ x / n)


@pytest.mark.long
def test_random_matrix_agrees():
    t = np.repeat([1.0, 8.0], [140, 60])
    # rigidity: the Kolmogorov distance of one matrix is O(log n/n)
    assert float(kolmogorov_distance(sample(500, t, 0), TWO.cdf)) < 2 * np.log(500) / 500


@pytest.mark.slow
@pytest.mark.parametrize("gamma", [0.4, 0.9])
def test_random_matrix_of_1500_rows_agrees(gamma):
    p = int(1500 * gamma)
    t = np.arange(1, p + 1.0) ** -0.7
    distance = float(kolmogorov_distance(sample(1500, t, 1), SilversteinLaw(t, None, p / 1500).cdf))
    assert distance < 2 * np.log(1500) / 1500


def test_bad_input_is_named():
    for call, word in [
        (lambda: SilversteinLaw(np.ones(1), None, 0.0), "gamma"),
        (
            lambda: SilversteinLaw(np.array([-1.0, 2.0]), None, 0.5).density(1.0),
            "eigenvalues holds -1",
        ),
        (
            lambda: SilversteinLaw(np.array([1.0]), np.array([0.0]), 0.5).density(1.0),
            "positive sum",
        ),
        (
            lambda: SilversteinLaw(np.array([np.nan]), None, 0.5).density(1.0),
            "eigenvalues holds nan",
        ),
    ]:
        with pytest.raises(ValueError, match=word):
            call()
