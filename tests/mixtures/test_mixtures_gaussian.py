import jax
import jax.numpy as jnp
import mpmath
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from theorylab import mixtures
from theorylab.errors import InputError
from theorylab.mixtures.gaussian import excess_from_parts


def exact(s, along, across):
    """Phi(-s cos) - Phi(-s) to 40 digits."""
    with mpmath.workdps(40):
        cos = mpmath.mpf(along) / mpmath.sqrt(mpmath.mpf(along) ** 2 + mpmath.mpf(across))
        return float(mpmath.ncdf(-s * cos) - mpmath.ncdf(-s))


@given(
    st.floats(0.05, 5), st.floats(-10, 4), st.sampled_from([-1.0, 1.0]), st.floats(0.1, 10)
)  # the angle from 5e-5 to beyond a right one
def test_excess_risk_has_full_relative_precision_in_float32(s, log_tan, side, length):
    along = np.float32(side * length)
    across = np.float32((length * np.exp(log_tan)) ** 2)
    found = float(jax.jit(excess_from_parts)(np.float32(s), along, across))
    assert found == pytest.approx(
        exact(float(np.float32(s)), float(along), float(across)), rel=3e-5, abs=1e-37
    )


@pytest.mark.long
def test_excess_risk_is_the_error_rate_above_the_best_one():
    centre, theta = np.array([0.8, 0.6, 0.0]), np.array([0.5, -0.5, 0.7])
    X, y = mixtures.sample_2gmm(jax.random.key(0), centre, 100_000)
    error, best = (
        float((np.sign(np.asarray(X) @ w) != np.asarray(y)).mean()) for w in (theta, centre)
    )
    # the difference of two error rates on the same points: standard error below 0.002
    assert error - best == pytest.approx(float(mixtures.excess_risk(theta, centre)), abs=0.008)


@pytest.mark.long
def test_excess_risk_of_zero_is_a_coin_flip_and_of_the_truth_nothing():
    centre = jnp.array([0.0, 1.5])
    found = mixtures.excess_risk(jnp.array([[0.0, 0.0], [0.0, 3.0], [0.0, -1.0]]), centre)
    best = exact(1.5, 0, 1)
    np.testing.assert_allclose(found, [best, 0, 2 * best], rtol=1e-6, atol=1e-12)


def test_the_naive_formula_loses_all_digits_in_float32():
    centre, theta = jnp.array([1.0, 0.0]), jnp.array([1.0, 1e-4])
    truth = exact(1, 1, float(jnp.float32(1e-4)) ** 2)
    assert float(mixtures.excess_risk(theta, centre)) == pytest.approx(truth, rel=1e-5)
    assert float(mixtures.naive_excess_risk(theta, centre)) != pytest.approx(truth, rel=0.5)


@pytest.mark.long
def test_samples_have_the_moments_of_the_model():
    centre = jnp.array([1.0, -0.5])
    X, y = (np.asarray(a) for a in mixtures.sample_2gmm(jax.random.key(1), centre, 50_000))
    assert set(y) == {-1.0, 1.0} and abs(y.mean()) < 4 / np.sqrt(50_000)
    np.testing.assert_allclose((y[:, None] * X).mean(0), centre, atol=4 / np.sqrt(50_000))
    np.testing.assert_allclose(np.cov((y[:, None] * X).T), np.eye(2), atol=0.03)
    assert mixtures.sample_2gmm(jax.random.key(1), centre, 0)[0].shape == (0, 2)


def test_a_random_centre_has_the_length_asked_for():
    assert np.linalg.norm(mixtures.random_center(jax.random.key(3), 7, 0.3)) == pytest.approx(
        0.3, rel=1e-6
    )


@pytest.mark.parametrize(
    "call",
    [
        lambda: mixtures.excess_risk(np.ones(3), np.ones(2)),
        lambda: mixtures.excess_risk(np.ones(2), np.array([np.nan, 1])),
        lambda: mixtures.excess_risk(np.ones(2), np.ones((1, 2))),
        lambda: mixtures.sample_2gmm(jax.random.key(0), np.ones(2), -1),
        lambda: mixtures.sample_2gmm(jax.random.key(0), np.array(["a"]), 1),
        lambda: mixtures.random_center(jax.random.key(0), 0, 1.0),
    ],
)
def test_bad_input_is_one_line(call):
    with pytest.raises(InputError, match=r"^[^\n]+$"):
        call()
