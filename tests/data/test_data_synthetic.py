import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.linalg

from theorylab.data import synthetic
from theorylab.data.synthetic import (
    augmented,
    duplicate,
    elliptical,
    gaussian_design,
    linear_targets,
    power_law_spectrum,
    teacher,
)
from theorylab.errors import InputError

KEY = jax.random.key(0)
SPECTRUM = jnp.array([4.0, 1.0, 0.25])


def test_power_law_is_the_power_law():
    np.testing.assert_allclose(power_law_spectrum(5, 1.5), np.arange(1, 6) ** -1.5, rtol=1e-6)
    slope = jax.grad(lambda alpha: power_law_spectrum(3, alpha).sum())(2.0)
    np.testing.assert_allclose(slope, -sum(np.log(i) * i**-2.0 for i in (2, 3)), rtol=1e-5)


def test_all_is_float64_where_the_user_asks_for_it():
    with jax.enable_x64(True):
        lam = power_law_spectrum(4, 1.5)
        np.testing.assert_allclose(lam, np.arange(1, 5) ** -1.5, rtol=1e-15)
        x = elliptical(KEY, 3, lam)
        beta = teacher(KEY, lam, lam)
        y = linear_targets(KEY, x, beta, noise_variance=0.1)
        parts = (
            lam,
            x,
            beta,
            y,
            gaussian_design(KEY, 2, lam, entries="rademacher"),
            *augmented(KEY, x, y),
        )
        assert all(part.dtype == jnp.float64 for part in parts)
    assert power_law_spectrum(4, 1.5).dtype == jnp.float32


@pytest.mark.parametrize("entries", ["gaussian", "rademacher"])
def test_designs_have_the_given_covariance(entries):
    x = gaussian_design(KEY, 20_000, SPECTRUM, entries=entries)
    # an entry of the sample covariance has standard error at most sqrt(2/n) sqrt(lam_i lam_j); 5 of
    # them
    root = np.sqrt(np.asarray(SPECTRUM))
    error = np.abs(x.T @ x / len(x) - np.diag(SPECTRUM)) / np.outer(root, root)
    assert error.max() < 5 * np.sqrt(2 / 20_000)
    if entries == "rademacher":
        np.testing.assert_allclose(np.abs(x), np.tile(root, (20_000, 1)), rtol=1e-6)


def test_elliptical_keeps_the_covariance_and_spreads_the_norms():
    sigma, n = 0.8, 100_000
    x = np.asarray(elliptical(KEY, n, SPECTRUM, sigma=sigma), np.float64)
    square = (x**2 / np.asarray(SPECTRUM)).mean(0)
    # E (s z)^4 = 3 exp(4 sigma^2), so x^2/lam has variance 3 exp(4 sigma^2) - 1: 5 standard errors
    assert np.abs(square - 1).max() < 5 * np.sqrt((3 * np.exp(4 * sigma**2) - 1) / n)
    # log|x| varies by sigma^2 more than log|z|, whose variance is pi^2/8; that of a log variance
    # estimate is small
    assert abs(np.log(np.abs(x[:, 0])).var() - (np.pi**2 / 8 + sigma**2)) < 0.06
    assert np.array_equal(elliptical(KEY, 5, SPECTRUM, sigma=0.0).shape, (5, 3))


def test_targets_have_the_given_power_in_each_mode():
    lam, b = power_law_spectrum(50, 1.5), power_law_spectrum(50, 1.6)
    beta = teacher(KEY, lam, b)
    np.testing.assert_allclose(lam * beta**2, b, rtol=1e-5)
    assert 10 < (beta > 0).sum() < 40  # signs are random: 25 expected, standard deviation 3.5
    assert teacher(KEY, jnp.array([1.0, 0.0]), jnp.array([4.0, 1.0]))[1] == 0


def test_noise_has_the_given_variance_and_none_is_exact():
    x, beta = gaussian_design(KEY, 20_000, SPECTRUM), jnp.array([1.0, -2.0, 3.0])
    exact = linear_targets(KEY, x, beta)
    np.testing.assert_allclose(exact, np.asarray(x) @ np.asarray(beta), rtol=1e-4, atol=1e-5)
    noise = linear_targets(jax.random.key(1), x, beta, noise_variance=0.25) - exact
    assert abs(noise.var() - 0.25) < 5 * 0.25 * np.sqrt(2 / 20_000) and abs(
        noise.mean()
    ) < 5 * 0.5 / np.sqrt(20_000)


def test_copies_and_augmentations_share_their_labels():
    x, y = gaussian_design(KEY, 2000, SPECTRUM), jnp.arange(2000.0)
    x2, y2 = duplicate(x, y, copies=3)
    np.testing.assert_array_equal(x2, np.tile(x, (3, 1)))
    np.testing.assert_array_equal(y2, np.tile(y, 3))
    xa, ya = augmented(KEY, x, y, noise=0.1)
    np.testing.assert_array_equal(xa[:2000], x)
    np.testing.assert_array_equal(ya, np.tile(y, 2))
    # the standard deviation of 2,000 draws is known to 1/sqrt(4000) = 1.6 %
    np.testing.assert_allclose((xa[2000:] - x).std(0), 0.1 * np.sqrt(SPECTRUM), rtol=0.08)


def test_draws_map_over_keys_under_jit():
    @jax.jit
    def draw(key):
        x = gaussian_design(key, 4, SPECTRUM)
        return x, linear_targets(key, x, teacher(key, SPECTRUM, SPECTRUM), noise_variance=0.1)

    x, y = jax.vmap(draw)(jax.random.split(KEY, 3))
    assert x.shape == (3, 4, 3) and y.shape == (3, 4)
    np.testing.assert_allclose(x[1], draw(jax.random.split(KEY, 3)[1])[0], rtol=1e-6)


def test_bad_arguments_are_named():
    x = jnp.ones((2, 3))
    for call, match in [
        (lambda: power_law_spectrum(0, 1.0), "p = 0"),
        (lambda: gaussian_design(KEY, 2, SPECTRUM, entries="cauchy"), "entries = 'cauchy'"),
        (lambda: gaussian_design(KEY, 2, jnp.ones((2, 2))), "eigenvalues must be a vector"),
        (lambda: gaussian_design(KEY, 2, jnp.arange(3)), "eigenvalues must be a vector of floats"),
        (lambda: teacher(KEY, SPECTRUM, SPECTRUM[:2]), r"power has shape \(2,\)"),
        (lambda: linear_targets(KEY, x, SPECTRUM[:2]), r"beta has shape \(2,\)"),
        (lambda: duplicate(x, x[:, 0], copies=0), "copies = 0"),
    ]:
        with pytest.raises(InputError, match=match):
            call()


# Mean of GCV / risk at ridge 1e-4 and 1e-2 (n = 300, p = 2000, alpha 1.5, b exponent 1.6), measured
# elsewhere by an independent NumPy program: see more_than_a_toy's dossier, section 2.6.
GOLDEN = {
    "iid": (1.06, 1.03),
    "duplicate": (0.011, 0.68),
    "augmented": (0.13, 0.77),
    "elliptical": (0.17, 0.48),
}


@pytest.mark.slow
@pytest.mark.parametrize("design", GOLDEN)
def test_gcv_fails_on_the_controls_as_it_should(design):
    n, p, draws = 300, 2000, 8
    lam, b = power_law_spectrum(p, 1.5), power_law_spectrum(p, 1.6)
    ratios = []
    for key in jax.random.split(KEY, draws):
        k_x, k_beta, k_y, k_aug = jax.random.split(key, 4)
        rows = n // 2 if design in ("duplicate", "augmented") else n
        x = elliptical(k_x, n, lam) if design == "elliptical" else gaussian_design(k_x, rows, lam)
        beta = teacher(k_beta, lam, b)
        y = linear_targets(k_y, x, beta)
        if design == "duplicate":
            x, y = duplicate(x, y)
        elif design == "augmented":
            x, y = augmented(k_aug, x, y)
        x, y, beta64 = (np.asarray(v, np.float64) for v in (x, y, beta))
        values, vectors = scipy.linalg.eigh(x @ x.T / n)
        c = (vectors.T @ y) ** 2
        row = []
        for ridge in (1e-4, 1e-2):
            gcv = (c / (values + ridge) ** 2).mean() / (1 / (values + ridge)).mean() ** 2
            fit = x.T @ scipy.linalg.solve(x @ x.T + n * ridge * np.eye(n), y, assume_a="pos")
            row.append(gcv / (np.asarray(lam) * (fit - beta64) ** 2).sum())
        ratios.append(row)
    # one draw scatters by at most a third of its mean (seen over draws): 8 draws by an eighth, 3 of
    # them
    np.testing.assert_allclose(np.mean(ratios, axis=0), GOLDEN[design], rtol=3 / 8)


def test_the_package_reaches_its_generators():
    import theorylab.data

    assert theorylab.data.synthetic is synthetic
    with pytest.raises(AttributeError, match="nonsense"):
        _ = theorylab.data.nonsense
