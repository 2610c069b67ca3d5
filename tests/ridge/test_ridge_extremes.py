"""The ends of the floating range: the right number in exact arithmetic, or a refusal by name."""

import jax
import mpmath
import numpy as np
import pytest

from theorylab.errors import InputError
from theorylab.ridge import KernelRidgePath, RidgePath, gcv_slq, norm_bound

HUGE = 1.7e308
rng = np.random.default_rng(0)
X = rng.normal(size=(6, 3))
K, Y = X @ X.T + np.eye(6), X[:, 0] + 0.1 * rng.normal(size=6)
FITS = {
    "kernel": lambda y: KernelRidgePath.fit(X @ X.T, y),
    "linear": lambda y: RidgePath.fit(X, y),
}


def exact(K, y, alpha):
    """Kappa, train risk, squared norm and its bound, in 60 digits; alpha above 0."""
    with mpmath.workdps(400):
        n = len(y)
        kernel, y = mpmath.matrix(K.tolist()), mpmath.matrix(y.tolist())
        inverse = (kernel + n * mpmath.mpf(alpha) * mpmath.eye(n)) ** -1
        dual = inverse * y
        kappa = 1 / sum(inverse[i, i] for i in range(n))
        risk = n * mpmath.mpf(alpha) ** 2 * (dual.T * dual)[0]
        norm2 = (dual.T * kernel * dual)[0]
        trace = sum(kernel[i, i] for i in range(n))
        bound = risk + mpmath.sqrt(norm2 * trace) / n
        return [float(v) for v in (kappa, risk, norm2, bound)]


@pytest.mark.parametrize("fit", FITS.values(), ids=FITS)
def test_the_largest_penalties(fit):
    """N times the penalty overflowed."""
    found = fit(Y).summary(HUGE)
    kappa, risk, _, _ = exact(X @ X.T, Y, HUGE)
    np.testing.assert_allclose(found.kappa, kappa, rtol=1e-13)
    np.testing.assert_allclose(found.train_risk, risk, rtol=1e-13)
    np.testing.assert_allclose([found.gcv, found.loo], np.mean(Y**2) * np.ones((2, 1)), rtol=1e-13)


@pytest.mark.parametrize("scale", [1e-300, 1e-160, 1e160, 1e300])
def test_the_norm_of_a_fit_to_a_tiny_or_huge_kernel(scale):
    """The square of its eigenvalues left the range, and the norm was 0."""
    alpha = 0.1 * scale
    found = KernelRidgePath.fit(K * scale, Y).norm2(alpha)
    np.testing.assert_allclose(found, exact(K * scale, Y, alpha)[2], rtol=1e-12)


@pytest.mark.parametrize("scale", [1e160, 1e300])
def test_the_bound_of_huge_targets(scale):
    """It is linear in them where nothing is left over; their squares overflowed."""
    expected = exact(K, scale * Y, 1e-320)[3]
    np.testing.assert_allclose(norm_bound(K, scale * Y, 0.0), expected, rtol=1e-12)
    with pytest.raises(InputError, match=r"^Y holds"):
        norm_bound(K, scale * Y, 1.0)


@pytest.mark.parametrize("scale", [1e-300, 1e-200, 1e200, 1e300])
@pytest.mark.parametrize("fit", FITS.values(), ids=FITS)
def test_the_ratio_of_gcv_to_loo_has_no_scale(fit, scale):
    """Both sides were 0 or infinite, and the ratio 1 or NaN."""
    np.testing.assert_allclose(
        fit(scale * Y).gcv_loo_ratio([0.01, 1.0]), fit(Y).gcv_loo_ratio([0.01, 1.0]), rtol=1e-12
    )


def test_the_largest_kernel_that_float64_decomposes():
    path = KernelRidgePath.fit(HUGE * np.eye(6), Y)
    np.testing.assert_allclose(path.kappa(1.0), [HUGE / 6], rtol=1e-14)
    assert np.isfinite(path.default_alphas()).all()


@pytest.mark.parametrize("quantity", ["train_risk", "gcv", "loo", "norm2", "summary"])
@pytest.mark.parametrize("fit", FITS.values(), ids=FITS)
def test_squares_beyond_the_range_are_refused(fit, quantity):
    with pytest.raises(InputError, match=r"^Y holds"):
        getattr(fit(1e160 * Y), quantity)(1.0)


@pytest.mark.parametrize(
    ("named", "call"),
    [
        ("K", lambda: KernelRidgePath.fit(np.full((6, 6), HUGE), Y)),
        ("weights", lambda: KernelRidgePath.fit(K, Y, weights=np.full(6, HUGE))),
        ("Y", lambda: KernelRidgePath.fit(K, np.full(6, HUGE))),
        ("X_test", lambda: RidgePath.fit(X, Y * 1e10).predict(1e300 * X, 1e-3)),
        ("Y", lambda: KernelRidgePath.fit(K, 1e300 * Y).predict(1e100 * K, 1e-3)),
    ],
)
def test_what_float64_cannot_hold_is_refused_by_name(named, call):
    with pytest.raises(InputError, match=rf"^{named} holds"):
        call()


def test_an_unchecked_kernel_of_infinity_gives_nan():
    """No LinAlgError: unchecked, nothing is said."""
    path = KernelRidgePath.fit(np.full((3, 3), HUGE), np.ones(3), check=False)
    assert np.isnan(path.kappa(1.0)).all()


@pytest.mark.parametrize("kernel", [K, lambda v: K @ v], ids=["matrix", "products"])
def test_targets_whose_squares_leave_float64_have_no_stochastic_gcv(kernel):
    with pytest.raises(InputError, match=r"^Y holds"):
        gcv_slq(kernel, 1e160 * Y, [1.0], jax.random.key(0))
