"""What fuzzing found, each with its right value or its refusal."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from theorylab import collective, federated, matching, mixtures, ridge, rmt, shift
from theorylab.errors import InputError
from theorylab.ntk import infinite

RNG = np.random.default_rng(0)
X = RNG.normal(size=(6, 3))
Y = X[:, 0] + 0.1 * RNG.normal(size=6)
K = X @ X.T + np.eye(6)
E = np.array([4.0, 2.0, 1.0])
KEY = jax.random.key(0)
PATH = ridge.KernelRidgePath.fit(K, Y, center=True)


@pytest.mark.parametrize("quantity", ["train_risk", "gcv", "loo", "dof", "leverage", "dkappa"])
def test_penalties_may_be_a_jax_array(quantity):
    """The least of them was taken by JAX inside a trace: every quantity failed."""
    alphas = np.array([0.125, 1.0])
    found = getattr(PATH, quantity)(jnp.asarray(alphas, jnp.float32))
    np.testing.assert_allclose(found, getattr(PATH, quantity)(alphas), rtol=1e-12)


def test_folds_may_be_counted_in_eight_bits():
    np.testing.assert_array_equal(PATH.kfold([0.5], np.uint8(3), KEY), PATH.kfold([0.5], 3, KEY))


def test_the_block_of_a_solve_may_be_a_jax_integer():
    found = ridge.solve_ridge(K, Y, 0.1, block=jnp.asarray(4))
    np.testing.assert_allclose(found.dual[:, 0], np.linalg.solve(K + 0.6 * np.eye(6), Y))


def test_gcv_of_no_kernel_is_the_mean_square():
    """Eigenvalues of 0 leave nothing learnt: GCV is mean y² at every penalty."""
    found = ridge.gcv_slq(np.zeros((6, 6)), Y, [0.5], KEY, depth=1)
    np.testing.assert_allclose(found.gcv, [np.mean(Y**2)])


@pytest.mark.parametrize("scale", [1e-30, 1.0, 1e30])
def test_the_length_of_a_classifier_does_not_matter(scale):
    theta, star = np.array([1.0, 1.0]), np.array([1.0, 0.0])
    expected = mixtures.excess_risk(theta, star)
    np.testing.assert_allclose(mixtures.excess_risk(scale * theta, star), expected, rtol=1e-6)


def test_the_spectral_information_tends_to_one():
    np.testing.assert_allclose(
        mixtures.spectral_information([1e-200, 0.5, 2.0, 1e200]), [0.0, 0.2, 0.8, 1.0], rtol=1e-15
    )


def test_a_tail_below_the_type_is_the_largest_loss():
    losses = np.array([0.25, 2.0, 0.5], np.float32)
    assert float(collective.cvar_risk(losses, 1e-300)) == 2.0


def test_the_spike_of_a_huge_eigenvalue_is_itself():
    """Far above the bulk ℓ = x (1 + γ s2/x + ...): the square of 1e300 overflowed."""
    np.testing.assert_allclose(rmt.spike_from_sample(9e300, 0.5), 9e300)
    # x = ℓ (1 + γ/(ℓ - 1)) at ℓ = 3
    np.testing.assert_allclose(rmt.spike_from_sample(3 * 1.25, 0.5), 3.0, rtol=1e-14)


def test_memory_without_end_is_memory():
    net = infinite.serial(infinite.dense(4), infinite.relu(), infinite.dense(1))
    found, expected = (net.kernel(X, get="ntk", memory_gb=m) for m in (1e300, 1.0))
    np.testing.assert_allclose(found, expected)


def test_the_length_of_a_direction_does_not_matter():
    w, u = np.array([1.0, 2.0, 0.5]), np.array([1.0, 1.0, 0.0])
    expected = shift.margin_points(w, direction=u, gap=0.2)
    for scale in (1e-300, 1e300):
        found = shift.margin_points(w, direction=scale * u, gap=0.2)
        np.testing.assert_allclose(found, expected, rtol=1e-12)


def test_the_spectral_estimate_of_half_precision_is_that_of_its_moment():
    samples = jnp.asarray(X, jnp.bfloat16)
    found = mixtures.ul_plus(samples, jnp.sign(jnp.asarray(Y)), samples)
    single = samples.astype(jnp.float32)
    expected = mixtures.ul_plus(single, jnp.sign(jnp.asarray(Y)), single)
    np.testing.assert_allclose(found, expected, atol=0.03)


@pytest.mark.parametrize("alpha", [5e-324, 1e-200])
def test_nothing_is_lost_where_the_signal_was_never_there(alpha):
    """At xi = 0 the inverse of a tiny collective overflowed: infinity times 0."""
    assert float(collective.base_bound(alpha, 0.5, 0.0, 0.1)) == 1 - 0.1 / 0.9
    assert float(collective.base_bound(alpha, 0.0, 0.5, 0.1)) == 1 - 0.1 / 0.9
    assert float(collective.feature_only_bound(alpha, 1e-200, 0.0)) == 1.0


LAW = rmt.DiscreteLaw(E)
BEYOND = [
    ("values", lambda: rmt.DeformedWigner(E * 1e300, s2=1e300).edges()),
    ("z", lambda: LAW.stieltjes(np.array([1.0, 2.0 + 1j]))),
    ("gamma", lambda: rmt.MarchenkoPastur(1e300).moments(3)),
    ("s2", lambda: rmt.bbp_covariance(3.0, 0.5, s2=5e-324)),
    ("s2", lambda: rmt.spike_from_sample(3.0, 0.5, s2=5e-324)),
    ("weights", lambda: rmt.effective_regularization(E, 2, 0.1, weights=[1.7e308, 1e308, 1.0])),
    ("vectors", lambda: rmt.local_law_residuals(X, E, 0.1, 1e300 * np.eye(3))),
    ("Y", lambda: rmt.plugin_spectrum(K, 1e300 * Y)),
    ("theta_star", lambda: mixtures.excess_risk(X, [1e300, 0.0, 0.0])),
    ("X_l", lambda: mixtures.sl_estimator(1e300 * X, np.sign(Y))),
    ("X_u", lambda: mixtures.spectral_ul(np.float32(1e30) * X.astype(np.float32))),
    ("s", lambda: mixtures.random_center(KEY, 3, 1e300)),
    ("s", lambda: mixtures.rate_table(1e-300, 2, 1, 1)),
    ("losses", lambda: collective.cvar_weights([1e300, 1.0], 0.5)),
    ("logits", lambda: collective.gce_loss(1e300 * X, np.zeros(6, int))),
    ("biased", lambda: collective.lff_weights(
        [1e300, 1.0], [1.0, 1.0], np.array([0, 0]), num_classes=1)),
    ("step", lambda: collective.group_weights(
        np.ones(2) / 2, np.float32([1e30, 1.0]), np.array([0, 1]), 3e38)),
    ("x", lambda: collective.coordinate_trigger(1, 1.0)(1e300 * X)),
    ("separation", lambda: collective.gaussian_classes(KEY, 5, separation=1e300)),
    ("concentration", lambda: collective.random_world(
        KEY, points=4, labels=3, concentration=1e-40)),
    ("F", lambda: federated.client_moments(1e160 * X)),
    ("Phi", lambda: federated.max_curvatures([1e300 * X])),
    ("friction", lambda: matching.break_even(3, 4, 100, 0.5, 5e-324)),
    ("weights", lambda: matching.soft_assignment_duals([[1.0, 1e300]], eps=1e-40)),
    ("X", lambda: ridge.RidgePath.fit(1e300 * X, Y)),
    ("X", lambda: shift.fit_min_norm(1e300 * X, Y)),
    ("images", lambda: shift.colour_noise(np.full((1, 2, 2, 1), 1e300), key=KEY, scale=0.1)),
    ("theta_star", lambda: shift.linear_projection_norm(X, X[:2], 1e300 * np.ones(3), np.ones(3))),
    ("theta0", lambda: shift.projection_norm_flow(X, X[:2], X[0], 1e160 * X[1], [1.0])),
    ("x", lambda: shift.rotations(1e300 * np.ones((1, 2, 2)))),
    ("theta_ref", lambda: shift.projection_norm(0.5, {"w": np.ones(2)})),
]  # fmt: skip


@pytest.mark.parametrize(
    ("named", "call"), BEYOND, ids=[f"{n}-{i}" for i, (n, _) in enumerate(BEYOND)]
)
def test_numbers_beyond_the_arithmetic_are_refused_by_name(named, call):
    with pytest.raises(InputError, match=rf"\b{named}\b|the law"):
        call()
