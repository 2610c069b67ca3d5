"""More closed forms against integrals over two Gaussians, which Gauss-Legendre quadrature takes."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from theorylab.errors import InputError
from theorylab.ntk import infinite as inf

SMOOTH = {
    "exp": inf.exp(0.7, 0.4),
    "gabor": inf.gabor(),
    "rbf": inf.rbf(0.6),
    "monomial": inf.monomial(3),
}
KINKED = {f"rectified monomial {d}": inf.rectified_monomial(d) for d in (0, 1, 2, 3, 4)}
KINKED["sign"] = inf.sign()
S11, S22, C = 0.8, 1.7, 0.35


def pairs(layer):
    with jax.enable_x64(True):
        s12 = C * np.sqrt(S11 * S22)
        return [float(k) for k in layer.dual(jnp.asarray(S11), jnp.asarray(S22), jnp.asarray(s12))]


def expectation(f):
    """E f(u) f(v), by Gauss-Legendre rules that are split at 0, where functions have kinks."""
    nodes, weights = np.polynomial.legendre.leggauss(160)
    a = np.concatenate([6 * (nodes - 1), 6 * (nodes + 1)])
    outer = 6 * np.concatenate([weights, weights]) * stats.norm.pdf(a) * f(np.sqrt(S11) * a)
    # v = √s22 (c a + √(1 - c²) b) changes its sign at one b
    edge = np.clip(-C * a / np.sqrt(1 - C**2), -12, 12)
    ends = np.stack([np.stack([-12 + 0 * edge, edge]), np.stack([edge, 12 + 0 * edge])])
    half, middle = np.diff(ends, axis=1)[:, 0] / 2, ends.mean(1)  # (2, points)
    b = half[..., None] * nodes + middle[..., None]
    v = np.sqrt(S22) * (C * a[:, None] + np.sqrt(1 - C**2) * b)
    return outer @ (half[..., None] * weights * stats.norm.pdf(b) * f(v)).sum((0, 2))


@pytest.mark.parametrize("name", [*SMOOTH, *KINKED])
def test_dual_is_the_integral(name):
    layer = {**SMOOTH, **KINKED}[name]
    with jax.enable_x64(True):
        phi = lambda x: np.asarray(layer.function(jnp.asarray(x)))  # noqa: E731
        slope = lambda x: np.asarray(  # noqa: E731
            jax.jvp(layer.function, (jnp.asarray(x),), (jnp.ones(x.shape),))[1]
        )
        moment, derivative = pairs(layer)
        np.testing.assert_allclose(moment, expectation(phi), rtol=1e-9)
        # jumps have no derivative: none passes through the step and the sign
        np.testing.assert_allclose(derivative, expectation(slope), rtol=1e-8, atol=1e-12)


@pytest.mark.parametrize("name", [*SMOOTH, *KINKED])
def test_a_value_that_meets_itself_has_its_second_moment(name):
    layer = {**SMOOTH, **KINKED}[name]
    with jax.enable_x64(True):
        value = float(layer.dual_equal(jnp.asarray(S11))[0])
        nodes, weights = np.polynomial.legendre.leggauss(160)
        z = np.concatenate([6 * (nodes - 1), 6 * (nodes + 1)])
        square = np.asarray(layer.function(jnp.asarray(np.sqrt(S11) * z))) ** 2
    expected = 6 * np.concatenate([weights, weights]) * stats.norm.pdf(z) @ square
    np.testing.assert_allclose(value, expected, rtol=1e-9)


def test_hermite_polynomials_are_powers_of_the_correlation():
    x = np.random.default_rng(0).normal(size=(4, 6))
    correlations = np.asarray(inf.serial(inf.dense(), inf.layer_norm()).kernel(x, get="nngp"))
    for degree in (0, 1, 3):
        net = inf.serial(inf.dense(), inf.layer_norm(), inf.hermite(degree))
        np.testing.assert_allclose(net.kernel(x, get="nngp"), correlations**degree, rtol=1e-12)


def test_rbf_features_give_the_squared_exponential_kernel():
    x = np.random.default_rng(1).normal(size=(5, 3))
    kernel = inf.serial(inf.dense(), inf.rbf(0.4)).kernel(x, get="nngp")
    distances = ((x[:, None] - x[None]) ** 2).sum(-1) / 3
    np.testing.assert_allclose(kernel, np.exp(-0.4 * distances), rtol=1e-12)


def test_dual_activation_takes_the_closed_form_it_is_given():
    def arcsine(s12, s11, s22):
        return 2 / np.pi * jnp.arcsin(2 * s12 / jnp.sqrt((1 + 2 * s11) * (1 + 2 * s22)))

    x = np.random.default_rng(2).normal(size=(5, 3))
    ours, known = (
        inf.serial(inf.dense(), phi, inf.dense()).kernel(x, get="both")
        for phi in (inf.dual_activation(arcsine), inf.erf())
    )
    np.testing.assert_allclose(ours.ntk, known.ntk, rtol=1e-10)
    np.testing.assert_allclose(ours.nngp, known.nngp, rtol=1e-10)


def test_normalised_exponential_keeps_variances():
    x = np.random.default_rng(3).normal(size=(5, 3))
    before = np.asarray(inf.serial(inf.dense()).kernel(x, get="nngp"))
    after = inf.serial(inf.dense(), inf.exp_normalized(1.5)).kernel(x, get="nngp")
    scale = np.sqrt(np.outer(np.diag(before), np.diag(before)))
    np.testing.assert_allclose(after, scale * np.exp(1.5 * (before / scale - 1)), rtol=1e-10)


@pytest.mark.parametrize(
    "make",
    [
        lambda: inf.rbf(0.0),
        lambda: inf.exp(jnp.inf),
        lambda: inf.hermite(-1),
        lambda: inf.monomial(1.5),
        lambda: inf.rectified_monomial(-2),
        lambda: inf.exp_normalized(-1.0),
        lambda: inf.dual_activation(3),
    ],
)
def test_impossible_parameters_are_refused(make):
    with pytest.raises(InputError):
        make()
