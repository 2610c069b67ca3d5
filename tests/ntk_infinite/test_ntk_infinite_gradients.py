"""Derivatives in inputs and hyperparameters are finite and right, also where a sample meets
itself."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from theorylab.ntk import infinite as inf

ACTIVATIONS = {
    "relu": lambda s: inf.relu(),
    "leaky_relu": inf.leaky_relu,
    "erf": lambda s: inf.erf(1.0, 1.0 + s, 0.1),
    "gelu": lambda s: inf.gelu(),
    "sin": lambda s: inf.sin(1.0, 1.0, s),
    "gaussian": lambda s: inf.gaussian(1.0, s),
    "polynomial": lambda s: inf.polynomial([0.1, s, 0.3]),
    "elementwise": lambda s: inf.elementwise(jnp.tanh, degree=32),
}
X = np.random.default_rng(3).normal(size=(3, 4))
WEIGHTS = np.random.default_rng(4).normal(size=(2, 3, 3))


def loss(name, theta, x, other):
    """A generic functional of both kernels; theta = (sigma_w, sigma_b, the activation's own
    parameter)."""
    hidden = inf.dense(sigma_w=theta[0], sigma_b=theta[1])
    net = inf.serial(hidden, ACTIVATIONS[name](theta[2]), hidden)
    both = net.kernel(x, other, get="both")
    return (WEIGHTS[0] * both.nngp).sum() + (WEIGHTS[1] * both.ntk).sum()


def differences(f, at, h=1e-5):
    out = np.zeros_like(at)
    for i in np.ndindex(at.shape):
        step = np.zeros_like(at)
        step[i] = h
        out[i] = (f(at + step) - f(at - step)) / (2 * h)
    return out


SLOW = {"leaky_relu", "sin", "gaussian", "polynomial"}
CASES = [
    pytest.param(name, marks=pytest.mark.slow) if name in SLOW else name for name in ACTIVATIONS
]


@pytest.mark.long
@pytest.mark.parametrize("name", CASES)
def test_gradients_with_the_diagonal_agree_with_central_differences(name):
    theta = np.array([1.3, 0.4, 0.3])
    with jax.enable_x64(True):
        value = jax.jit(lambda t, x: loss(name, t, x, None))
        got = jax.jit(jax.grad(lambda t, x: loss(name, t, x, None), argnums=(0, 1)))(theta, X)
        expected = (
            differences(lambda t: float(value(t, X)), theta),
            differences(lambda x: float(value(theta, x)), X),
        )
    for ours, reference in zip(got, expected, strict=True):
        # Central differences: h² times third derivatives, and rounding eps/h = 2e-11, on values of
        # order 10.
        np.testing.assert_allclose(ours, reference, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("name", ["relu", "erf", "elementwise"])
def test_gradient_in_one_argument_is_right_where_both_arguments_coincide(name):
    theta = np.array([1.3, 0.4, 0.3])
    with jax.enable_x64(True):
        value = jax.jit(lambda x: loss(name, theta, x, X))
        got = jax.jit(jax.grad(lambda x: loss(name, theta, x, X)))(X)
        expected = differences(lambda x: float(value(x)), X)
    # The NTK of relu has a cusp there, whose central difference is 0 up to its curvature: O(h).
    np.testing.assert_allclose(got, expected, rtol=1e-4, atol=1e-4)


def test_gradients_of_convolutional_kernels_agree_with_central_differences():
    images = np.random.default_rng(5).normal(size=(2, 2, 3, 1))

    def value(theta, x):
        net = inf.serial(
            inf.conv(1, 2, padding="SAME", sigma_w=theta),
            inf.relu(),
            inf.conv(1, 2),
            inf.global_avg_pool(),
            inf.dense(),
        )
        return net.kernel(x).sum()

    with jax.enable_x64(True):
        compiled = jax.jit(value)
        got = jax.jit(jax.grad(value, argnums=(0, 1)))(1.3, images)
        expected = (compiled(1.3 + 1e-5, images) - compiled(1.3 - 1e-5, images)) / 2e-5
        gradient = differences(lambda x: float(compiled(1.3, x)), images)
    np.testing.assert_allclose(got[0], expected, rtol=1e-7)
    np.testing.assert_allclose(got[1], gradient, rtol=1e-6, atol=1e-7)


@pytest.mark.long
def test_second_derivatives_of_smooth_kernels_are_finite_at_the_diagonal():
    net = inf.serial(inf.dense(), inf.gelu(), inf.dense())
    with jax.enable_x64(True):
        hessian = jax.hessian(lambda x: net.kernel(x[None], X[:1])[0, 0])(jnp.asarray(X[0]))
    assert np.isfinite(hessian).all()


def test_gradients_work_from_float32_code_and_through_several_tiles():
    net = inf.serial(inf.dense(), inf.relu(), inf.dense())
    x = jnp.asarray(X, jnp.float32)
    whole = jax.grad(lambda x: net.kernel(x).sum())(x)
    tiled = jax.grad(lambda x: net.kernel(x, memory_gb=4e-7).sum())(x)
    assert whole.dtype == tiled.dtype == jnp.float32
    np.testing.assert_allclose(whole, tiled, rtol=1e-5)
