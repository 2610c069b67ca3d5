import jax
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from theorylab.errors import InputError
from theorylab.shift import (
    NuisanceModel,
    compress_block,
    draw_training_set,
    flip_labels,
    nuisance_factor,
    sample_signal,
)
from theorylab.shift.nuisance import chi


def test_the_label_is_the_sign_along_the_direction_and_classes_are_a_gap_apart():
    u = np.array([3.0, 4.0, 0.0])
    x, y = sample_signal(jax.random.key(0), 500, 3, 0.25, direction=u)
    along = x @ (u / 5)
    assert set(y) == {-1.0, 1.0} and (y * along >= 0.25).all() and x.dtype == np.float64
    # the rest of the distribution is standard normal: 4 standard errors of a variance and of a mean
    # over 500 draws
    assert abs(x[:, 2].var() - 1) < 4 * (2 / 500) ** 0.5 and abs(y.mean()) < 4 / 500**0.5


@pytest.mark.long
def test_the_bartlett_factor_has_the_moments_of_a_wishart_matrix():
    n, k, sigma, draws = 4, 7, 0.5, 400
    keys = jax.random.split(jax.random.key(1), draws)
    grams = (
        np.stack([(lambda f: f @ f.T)(nuisance_factor(key, n, k, sigma)) for key in keys])
        / sigma**2
    )
    # E W = k I; Var W_ii = 2k, Var W_ij = k (Wishart moments); 5 standard errors over the draws
    assert np.abs(grams.mean(0) - k * np.eye(n)).max() < 5 * np.sqrt(2 * k / draws)
    off = grams[:, np.tril_indices(n, -1)[0], np.tril_indices(n, -1)[1]]
    assert np.abs(off.var(0) / k - 1).max() < 5 * np.sqrt(8 / draws)
    assert np.abs(grams[:, range(n), range(n)].var(0) / (2 * k) - 1).max() < 5 * np.sqrt(8 / draws)


def test_chi_variates_have_their_law():
    freedom = np.array([1.0, 2.0, 3.0, 50_000.0], np.float32)
    found = np.asarray(
        jax.jit(jax.vmap(lambda key: chi(key, freedom)))(jax.random.split(jax.random.key(0), 4000))
    )
    for k, column in zip(freedom, found.T, strict=True):
        assert stats.kstest(column.astype(float), stats.chi(k).cdf).pvalue > 1e-3


@pytest.mark.long
def test_the_factor_is_lower_triangular_and_has_at_most_k_columns():
    assert nuisance_factor(jax.random.key(0), 4, 7, 1.0).shape == (4, 4)
    factor = nuisance_factor(jax.random.key(0), 4, 2, 1.0)
    assert factor.shape == (4, 2) and factor[0, 1] == 0


@pytest.mark.long
@given(st.integers(1, 6), st.integers(1, 6), st.integers(0, 100))
def test_compression_keeps_all_inner_products(n, k, seed):
    x = np.random.default_rng(seed).normal(size=(n, k))
    factor = compress_block(x)
    assert factor.shape == (n, min(n, k))
    np.testing.assert_allclose(factor @ factor.T, x @ x.T, atol=1e-12)


def test_a_larger_noise_rate_flips_a_superset_of_labels():
    y = np.where(np.arange(200) % 2, 1, -1)
    few, which = flip_labels(jax.random.key(3), y, 0.1)
    _, more = flip_labels(jax.random.key(3), y, 0.4)
    assert (which <= more).all() and 0 < which.sum() < more.sum()
    np.testing.assert_array_equal(few, np.where(which, -y, y))
    np.testing.assert_array_equal(flip_labels(jax.random.key(3), y, 1.0)[0], -y)
    assert not flip_labels(jax.random.key(3), y, 0.0)[1].any()


@pytest.mark.long
def test_a_training_set_has_the_shortcut_as_last_signal_coordinate():
    sample = draw_training_set(
        jax.random.key(0), NuisanceModel(d_s=3, k=100, shortcut=2.0), 300, 0.1
    )
    agrees = sample.x_s[:, 3] * sample.y
    assert (
        set(agrees) == {-2.0, 2.0}
        and abs((agrees > 0).mean() - 0.95) < 4 * (0.95 * 0.05 / 300) ** 0.5
    )
    assert sample.x.shape == (300, 4 + 100) and sample.direction.tolist() == [1, 0, 0, 0]


def test_the_energy_is_the_mean_squared_length_of_the_nuisance_block():
    model = NuisanceModel(d_s=2, k=900, energy=9.0, tau=0.2)
    assert (model.sigma, model.sigma_ood) == pytest.approx((0.1, 0.05**0.5))
    factor = np.asarray(draw_training_set(jax.random.key(0), model, 40, 0.0).nuisance)
    # 9/900 times a chi-squared variate of 900: 4 standard errors of its mean over 40 draws
    assert abs((factor**2).sum(1).mean() - 9.0) < 4 * 9.0 * (2 / 900 / 40) ** 0.5


def test_the_model_of_the_paper_is_the_default():
    """50 signal coordinates, a gap of 1/4, and 50,000 of the nuisance with an energy of 25."""
    model = NuisanceModel()
    assert (model.d_s, model.gap, model.k, model.energy) == (50, 0.25, 50_000, 25.0)
    assert (model.tau, model.shortcut, model.agree) == (0.5, 0.0, 0.95)
    assert model.sigma == pytest.approx(1 / 2000**0.5)


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda: NuisanceModel(k=0), "k = 0"),
        (lambda: NuisanceModel(tau=-1.0), "tau = -1"),
        (lambda: NuisanceModel(agree=1.5), "agree"),
        (lambda: sample_signal(jax.random.key(0), 0, 2, 0.1), "n = 0"),
        (lambda: sample_signal(jax.random.key(0), 2, 2, 0.1, direction=[1.0]), "direction"),
        (lambda: flip_labels(jax.random.key(0), [0, 1], 0.1), r"-1 and \+1"),
        (lambda: flip_labels(jax.random.key(0), [-1, 1], 1.1), "eta"),
        (lambda: nuisance_factor(jax.random.key(0), 2, 2, np.nan), "sigma"),
        (lambda: compress_block(np.zeros((0, 3))), "x_n"),
        (lambda: compress_block([["a"]]), "x_n"),
        (lambda: compress_block([[1.0], [1.0, 2.0]]), "x_n"),
    ],
)
def test_bad_input_is_refused_by_name(call, said):
    with pytest.raises(InputError, match=said):
        call()
