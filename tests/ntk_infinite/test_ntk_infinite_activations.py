"""Closed forms and Hermite series against brute-force integration, at variances other than one."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from theorylab.errors import InputError
from theorylab.ntk import infinite as inf

LAYERS = {
    "relu": inf.relu(),
    "leaky_relu": inf.leaky_relu(-0.3),
    "abs": inf.abs(),
    "erf": inf.erf(1.3, 0.7, 0.2),
    "gelu": inf.gelu(),
    "sin": inf.sin(1.1, 1.2, 0.3),
    "cos": inf.cos(0.9, 0.8, 0.1),
    "gaussian": inf.gaussian(1.2, 0.6),
    "polynomial": inf.polynomial([0.3, -0.5, 0.2, 0.1]),
    "tanh": inf.elementwise(jnp.tanh),
    "softplus": inf.elementwise(jax.nn.softplus),
    "swish": inf.elementwise(jax.nn.silu, degree=128),
}
VARIANCES = [(1.0, 1.0, 0.3), (0.2, 2.0, -0.5), (1.5, 0.7, 0.9)]  # s11, s22, correlation


def brute_force(layer, s11, s22, c):
    """(T, T') on a fine rectangular grid over the independent (z1, z2); trapezia converge
    spectrally where smooth."""
    z = np.linspace(-9, 9, 3001)
    w = np.exp(-(z**2) / 2) * (z[1] - z[0]) / np.sqrt(2 * np.pi)
    u = np.sqrt(s11) * z
    with jax.enable_x64(True):
        phi = jax.jit(layer.function)
        dphi = jax.jit(jax.vmap(jax.grad(layer.function)))
        out = []
        for f in (lambda t: np.asarray(phi(t)), lambda t: np.asarray(dphi(t))):
            inner = np.array(
                [(w * f(np.sqrt(s22) * (c * a + np.sqrt(1 - c**2) * z))).sum() for a in z[::10]]
            )
            out.append((10 * w[::10] * f(u[::10]) * inner).sum())
    return out


@pytest.mark.long
@pytest.mark.parametrize("name", LAYERS)
def test_dual_is_the_integral_over_two_gaussians(name):
    layer = LAYERS[name]
    s11, s22, c = map(np.array, zip(*VARIANCES, strict=True))
    with jax.enable_x64(True):
        ours = np.array(
            layer.dual(jnp.asarray(s11), jnp.asarray(s22), jnp.asarray(c * np.sqrt(s11 * s22)))
        )
    expected = np.array([brute_force(layer, *v) for v in VARIANCES]).T
    # The grid integrates smooth functions to rounding; at a kink it errs by the square of its
    # coarser step, 0.06, for the function, and by the step times the jump for the derivative (as
    # large as 0.06² and 0.06·density·jump²).
    kinked = name in ("relu", "leaky_relu", "abs")
    np.testing.assert_allclose(ours[0], expected[0], atol=4e-3 if kinked else 1e-8)
    np.testing.assert_allclose(ours[1], expected[1], atol=6e-2 if kinked else 1e-7)


@pytest.mark.long
@pytest.mark.parametrize("name", LAYERS)
def test_value_at_full_correlation_is_the_integral_over_one_gaussian(name):
    layer = LAYERS[name]
    s = np.array([0.3, 1.0, 4.0])
    z = np.linspace(-10, 10, 40001)
    w = np.exp(-(z**2) / 2) * (z[1] - z[0]) / np.sqrt(2 * np.pi)
    with jax.enable_x64(True):
        ours = np.array(layer.dual_equal(jnp.asarray(s)))
        points = jnp.sqrt(s)[:, None] * z
        expected = (
            np.asarray(layer.function(points)) ** 2 @ w,
            np.asarray(_slope(layer, points)) ** 2 @ w,
        )
    # Kinks at the grid point 0: the slope there is one-sided, worth one step (5e-4) of density 0.4
    # times slope² <= 1.
    np.testing.assert_allclose(ours[0], expected[0], rtol=1e-7)
    np.testing.assert_allclose(
        ours[1], expected[1], rtol=1e-9, atol=2e-4 if name in ("relu", "leaky_relu", "abs") else 0
    )


def _slope(layer, points):
    return jax.jvp(layer.function, (points,), (jnp.ones_like(points),))[1]


@pytest.mark.long
def test_quadrature_of_relu_approaches_its_closed_form_away_from_the_diagonal():
    net = [
        inf.serial(inf.dense(), phi, inf.dense())
        for phi in (inf.relu(), inf.elementwise(jax.nn.relu, degree=256))
    ]
    x = np.random.default_rng(0).normal(size=(5, 40))
    exact, series = (net_.kernel(x, get="both") for net_ in net)
    # Correlations are below 0.5: the series converges geometrically; the diagonal comes from its
    # own integral.
    np.testing.assert_allclose(series.ntk, exact.ntk, rtol=1e-9)
    np.testing.assert_allclose(series.nngp, exact.nngp, rtol=1e-9)


@settings(max_examples=20, deadline=None)
@given(scale=st.floats(1e-3, 1e3), seed=st.integers(0, 100))
def test_relu_kernels_are_homogeneous_of_degree_two_and_positive(scale, seed):
    x = np.random.default_rng(seed).normal(size=(6, 3))
    net = inf.serial(inf.dense(), inf.relu(), inf.dense(), inf.relu(), inf.dense())
    k = np.asarray(net.kernel(x))
    np.testing.assert_allclose(net.kernel(scale * x), scale**2 * k, rtol=1e-7)
    assert np.linalg.eigvalsh(k)[0] > -1e-10 * np.linalg.eigvalsh(k)[-1]


def test_zero_and_opposite_and_repeated_inputs_give_the_known_limits():
    x = np.array([[1.0, 2.0], [0.0, 0.0], [-1.0, -2.0], [1.0, 2.0]])
    k = np.asarray(inf.serial(inf.dense(), inf.relu(), inf.dense()).kernel(x))
    s = 2.5
    assert np.all(k[1] == 0)
    # Θ = T + Σ T': parallel s/2 + s/2, opposite 0. Repeats off the diagonal are exact because
    # rounding is snapped.
    np.testing.assert_allclose(k[0, [0, 2, 3]], [s, 0, s], atol=1e-15)


@pytest.mark.parametrize(
    "make",
    [
        lambda: inf.gaussian(1.0, -1.0),
        lambda: inf.polynomial([]),
        lambda: inf.elementwise(3),
        lambda: inf.elementwise(jnp.tanh, degree=1),
    ],
)
def test_impossible_activations_are_refused(make):
    with pytest.raises(InputError):
        make()
