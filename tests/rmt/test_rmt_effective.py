"""κ against closed forms, bisection in NumPy, finite differences and the facts of the theory."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import brentq

from theorylab.rmt import PowerLawTail, d_kappa, degrees_of_freedom, effective_regularization

PROPERTY = settings(max_examples=40, deadline=None)
spectra = st.lists(st.floats(1e-6, 1e3), min_size=6, max_size=6).map(np.array)
ridges = st.floats(1e-8, 1e3)
samples = st.floats(0.5, 50)


def kappa(*args, **kwargs) -> float:
    return float(effective_regularization(*args, **kwargs))


def by_bracketing(eigenvalues: np.ndarray, n: float, alpha: float) -> float:
    """The defining equation solved in log κ by SciPy."""

    def excess(log_kappa: float) -> float:
        k = np.exp(log_kappa)
        return alpha / k + np.sum(eigenvalues / (eigenvalues + k)) / n - 1

    top = np.log(alpha + eigenvalues.sum() / n) + 1e-9
    return float(np.exp(brentq(excess, top - 80, top, xtol=1e-14, rtol=1e-14)))


@pytest.mark.parametrize("gamma", [0.3, 1.0, 2.5])
@pytest.mark.parametrize("alpha", [1e-6, 0.1, 10.0])
def test_isotropic_kappa_is_the_root_of_a_quadratic(gamma, alpha):
    b = alpha + gamma - 1
    root = np.sqrt(b * b + 4 * alpha)
    exact = (b + root) / 2 if b >= 0 else 2 * alpha / (root - b)
    np.testing.assert_allclose(kappa(np.ones(50), 50 / gamma, alpha), exact, rtol=1e-12)


def test_silverstein_golden_value():
    np.testing.assert_allclose(
        kappa([1.0, 8.0], 1 / 0.4, 0.5, weights=[0.7, 0.3]), 0.690681, atol=5e-7
    )


def test_no_digits_are_lost_at_the_interpolation_threshold():
    # n = rank, Σ = 1: κ = (α + sqrt(α² + 4α))/2, where 1 - dof1/n is 1e-8.
    exact = (1e-16 + np.sqrt(1e-32 + 4e-16)) / 2
    np.testing.assert_allclose(kappa(np.ones(100), 100, 1e-16), exact, rtol=1e-12)


@pytest.mark.parametrize(("n", "positive"), [(2, True), (3, False), (7, False)])
def test_ridgeless_kappa_is_positive_exactly_when_n_is_below_the_rank(n, positive):
    assert (kappa([1.0, 0.5, 0.1, 0.0], n, 0.0) > 0) is positive


@PROPERTY
@given(spectra, samples, ridges)
def test_kappa_solves_its_equation(eigenvalues, n, alpha):
    np.testing.assert_allclose(
        kappa(eigenvalues, n, alpha), by_bracketing(eigenvalues, n, alpha), rtol=1e-9
    )


@PROPERTY
@given(spectra, samples, ridges, st.floats(1.01, 10))
def test_kappa_exceeds_alpha_grows_with_it_and_falls_with_n(eigenvalues, n, alpha, factor):
    k, more_alpha, more_n = np.asarray(
        effective_regularization(
            eigenvalues, np.array([n, n, n * factor]), np.array([alpha, alpha * factor, alpha])
        )
    )
    # 1e-12: rounding of sums of 6 terms where the spectrum spans 9 decades.
    assert alpha <= k <= alpha + eigenvalues.sum() / n * (1 + 1e-12)
    assert more_alpha > k * (1 - 1e-12) and more_n <= k * (1 + 1e-12)


@PROPERTY
@given(spectra, samples, ridges, st.floats(1e-3, 1e3), st.permutations(range(6)))
def test_kappa_scales_with_the_problem_and_ignores_the_order(eigenvalues, n, alpha, scale, order):
    k = kappa(eigenvalues, n, alpha)
    np.testing.assert_allclose(kappa(scale * eigenvalues, n, scale * alpha), scale * k, rtol=1e-9)
    np.testing.assert_allclose(kappa(eigenvalues[np.array(order)], n, alpha), k, rtol=1e-9)


gradient = jax.jit(jax.grad(lambda e, n, a: effective_regularization(e, n, a), argnums=(0, 1, 2)))


@pytest.mark.long
@settings(max_examples=15, deadline=None)
@given(spectra, samples, st.floats(1e-3, 10))
def test_derivatives_are_finite_differences(eigenvalues, n, alpha):
    with jax.enable_x64(True):
        slopes = gradient(eigenvalues, n, alpha)
    h, k = 1e-5, kappa(eigenvalues, n, alpha)
    moves = {"alpha": h * alpha, "n": h * n, "eigenvalue": h * eigenvalues[2]}
    up, down = (
        (
            kappa(eigenvalues, n, alpha + sign * moves["alpha"]),
            kappa(eigenvalues, n + sign * moves["n"], alpha),
            kappa(eigenvalues + sign * moves["eigenvalue"] * np.eye(6)[2], n, alpha),
        )
        for sign in (1, -1)
    )
    exact = (float(slopes[2]), float(slopes[1]), float(slopes[0][2]))
    for name, slope, high, low in zip(moves, exact, up, down, strict=True):
        # Rounding of κ (1e-14 relative) over the move, and O(h²) = 1e-10 truncation (1e-7 leaves
        # room for curvature).
        rounding = 1e-14 * k / moves[name]
        np.testing.assert_allclose(
            slope, (high - low) / (2 * moves[name]), rtol=1e-7, atol=rounding, err_msg=name
        )
    np.testing.assert_allclose(exact[0], float(d_kappa(eigenvalues, n, alpha)), rtol=1e-9)


def test_derivative_at_a_zero_eigenvalue_is_the_one_sided_limit():
    with jax.enable_x64(True):
        slope = jax.grad(lambda e: effective_regularization(e, 2.0, 0.1))(
            jnp.array([1.0, 0.5, 0.1, 0.0])
        )[3]
    forward = (
        kappa([1.0, 0.5, 0.1, 1e-7], 2.0, 0.1) - kappa([1.0, 0.5, 0.1, 0.0], 2.0, 0.1)
    ) / 1e-7
    np.testing.assert_allclose(float(slope), forward, rtol=1e-5)


@pytest.mark.long
def test_forward_reverse_second_order_jit_and_vmap_agree_in_float32_programs():
    e = jnp.array([1.0, 0.5, 0.1])
    assert e.dtype == jnp.float32

    def f(alpha):
        return effective_regularization(e, 2.0, alpha)

    forward, reverse = jax.jacfwd(f)(0.1), jax.grad(f)(0.1)
    np.testing.assert_allclose(float(forward), float(reverse), rtol=1e-6)
    batch = jax.jit(jax.vmap(jax.grad(f)))(jnp.array([0.1, 0.2]))
    np.testing.assert_allclose(float(batch[0]), float(reverse), rtol=1e-6)
    second = (float(jax.grad(f)(0.101)) - float(jax.grad(f)(0.099))) / 0.002
    np.testing.assert_allclose(float(jax.grad(jax.grad(f))(0.1)), second, rtol=1e-3)


def test_grid_of_n_and_alpha_equals_scalar_calls():
    e, n, alpha = np.array([3.0, 1.0, 0.2]), np.array([[1.0], [4.0]]), np.array([0.0, 0.1, 1.0])
    grid = np.asarray(effective_regularization(e, n, alpha))
    assert grid.shape == (2, 3)
    single = [[kappa(e, a, b) for b in alpha] for a in n[:, 0]]
    np.testing.assert_allclose(grid, single, rtol=1e-14)


def test_weights_are_multiplicities():
    assert kappa([2.0, 1.0], 2.0, 0.1, weights=[1, 3]) == pytest.approx(
        kappa([2.0, 1, 1, 1], 2.0, 0.1), rel=1e-14
    )


@pytest.mark.long
@pytest.mark.parametrize("alpha", [1.2, 1.5, 2.0, 3.0])
def test_tail_of_2000_modes_replaces_two_hundred_thousand(alpha):
    # The exact sum of 2e5 modes plus its own (much smaller) tail is the reference for the tail from
    # 2000.
    modes = np.arange(1, 200_001) ** -alpha
    short = kappa(modes[:2000], 300, 1e-4, tail=PowerLawTail(alpha, 2000))
    long = kappa(modes, 300, 1e-4, tail=PowerLawTail(alpha, 200_000))
    np.testing.assert_allclose(short, long, rtol=1e-7)  # midpoint rule: relative error ~ 1/2000²


def test_degrees_of_freedom_are_traces():
    dof1, dof2 = degrees_of_freedom(np.array([1.0, 0.5]), 0.5)
    np.testing.assert_allclose(
        [float(dof1), float(dof2)], [1 / 1.5 + 0.5, (1 / 1.5) ** 2 + 0.25], rtol=1e-14
    )


@pytest.mark.parametrize(
    ("args", "word"),
    [
        (([1.0, -0.5], 2, 0.1), "eigenvalues"),
        (([1.0, np.nan], 2, 0.1), "eigenvalues"),
        (([], 2, 0.1), "eigenvalues"),
        (([[1.0]], 2, 0.1), "eigenvalues"),
        (([1.0], 0, 0.1), "n"),
        (([1.0], 2, -0.1), "alpha"),
        (([1.0], 2, np.nan), "alpha"),
    ],
)
def test_bad_input_is_named(args, word):
    with pytest.raises(ValueError, match=rf"^{word} (has shape|=|holds) "):
        effective_regularization(*args)


def test_weights_of_another_shape_are_refused():
    with pytest.raises(ValueError, match=r"eigenvalues \(2,\), weights \(1,\)"):
        effective_regularization([1.0, 2.0], 2, 0.1, weights=[1.0])
