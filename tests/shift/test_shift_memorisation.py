import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from theorylab.errors import InputError
from theorylab.shift import (
    compress_block,
    fit_logistic_path,
    memorisation_bound,
    ood_error_bound,
    shift_bound,
)


def sample(n=10, d=2, k=60, seed=0, wrong=3):
    rng = np.random.default_rng(seed)
    x_s, x_n = rng.normal(size=(n, d)), rng.normal(size=(n, k)) / 4
    y = np.where(x_s[:, 0] > 0, 1.0, -1.0)
    noisy = y.copy()
    noisy[:wrong] *= -1
    return x_s, x_n, y, noisy


@pytest.mark.long
def test_the_bound_is_its_formula_and_holds():
    x_s, x_n, y, noisy = sample()
    w = fit_logistic_path(np.concatenate([x_s, x_n], 1), noisy, [1e-4]).coef[0]
    found = memorisation_bound(w, x_s, x_n, y, noisy, energy=60 / 16)
    margins = noisy * (x_s @ w[:2] + x_n @ w[2:])
    v = w / margins.min()
    demanded = sum(1 + y[i] * (x_s[i] @ v[:2]) for i in range(3))
    expected = demanded / np.linalg.norm(sum(noisy[i] * x_n[i] for i in range(3)))
    assert found.bound == pytest.approx(expected) and found.norm_w_n == pytest.approx(
        np.linalg.norm(v[2:])
    )
    assert found.approximation == pytest.approx(demanded / np.sqrt(3 * 60 / 16))
    assert found.wrong == 3 and found.norm_w_n >= found.bound > 0


@given(st.integers(0, 30), st.integers(1, 5))
def test_no_interpolating_classifier_is_below_the_bound(seed, wrong):
    x_s, x_n, y, noisy = sample(seed=seed, wrong=wrong)
    rng = np.random.default_rng(seed)
    X = np.concatenate([x_s, x_n], 1)
    # interpolates with margins of its own
    w = np.linalg.pinv(X) @ (noisy * rng.uniform(1, 3, len(noisy)))
    found = memorisation_bound(w, x_s, x_n, y, noisy)
    assert found.norm_w_n >= found.bound * (1 - 1e-9)


@pytest.mark.long
def test_compressed_and_masked_samples_give_the_same_bound():
    x_s, x_n, y, noisy = sample()
    L = compress_block(x_n)
    w_l = fit_logistic_path(np.concatenate([x_s, L], 1), noisy, [1e-4]).coef[0]
    found = memorisation_bound(w_l, x_s, L, y, noisy)
    # the same classifier in explicit coordinates: w_N = X_N^T (X_N X_N^T)^-1 L w_L
    w_n = x_n.T @ np.linalg.solve(x_n @ x_n.T, L @ w_l[2:])
    explicit = memorisation_bound(np.append(w_l[:2], w_n), x_s, x_n, y, noisy)
    np.testing.assert_allclose(
        [found.norm_w_n, found.bound], [explicit.norm_w_n, explicit.bound], rtol=1e-8
    )
    pad = lambda a, value: np.concatenate([a, np.full((2, *a.shape[1:]), value)])  # noqa: E731
    masked = memorisation_bound(
        w_l, pad(x_s, 9.0), pad(L, 9.0), pad(y, 1.0), pad(noisy, -1.0), mask=np.arange(12) < 10
    )
    assert masked.bound == pytest.approx(found.bound) and masked.wrong == 3


def test_clean_labels_demand_nothing_and_a_misfit_has_no_bound():
    x_s, x_n, y, noisy = sample(wrong=0)
    w = np.linalg.pinv(np.concatenate([x_s, x_n], 1)) @ y
    assert memorisation_bound(w, x_s, x_n, y, noisy).bound == 0
    assert np.isnan(memorisation_bound(-w, x_s, x_n, y, noisy).bound)
    assert np.isnan(memorisation_bound(w, x_s, x_n, y, noisy).approximation)


def test_the_ood_bound_is_the_error_at_that_norm_and_one_half_behind_the_boundary():
    from scipy.stats import norm

    gamma = np.array([1.0, 2.0, -3.0])
    expected = (norm.cdf(-1 / 1.5) + norm.cdf(-2 / 1.5) + 0.5) / 3
    assert ood_error_bound(gamma, 3.0, 0.5) == pytest.approx(expected)
    assert ood_error_bound(gamma, 0.0, 0.5) == pytest.approx(0.5 / 3)
    assert np.isnan(ood_error_bound(gamma, np.nan, 0.5))


def test_the_shift_bound_holds_for_bounded_noise_and_has_its_limits():
    rng = np.random.default_rng(0)
    w = rng.normal(size=40)
    margins = np.array([0.5, 1.5, 3.0, 4.0])
    error = (margins[:, None] + rng.uniform(-0.5, 0.5, (20_000, 40)) @ w < 3.0).mean(1)
    bound = shift_bound(margins, np.linalg.norm(w), 0.5, kappa=3.0)
    assert (
        (bound <= error + 4 * np.sqrt(0.25 / 20_000)).all()
        and bound[0] > 0.1
        and (bound[2:] == 0).all()
    )
    np.testing.assert_allclose(shift_bound([0.0, 2.0], 1.0, 0.0, kappa=1.0), [1.0, 0.0])


def test_bad_input_is_refused_by_name():
    x_s, x_n, y, noisy = sample()
    with pytest.raises(InputError, match="w has shape"):
        memorisation_bound(np.ones(3), x_s, x_n, y, noisy)
    with pytest.raises(InputError, match="nuisance has 9 rows"):
        memorisation_bound(np.ones(62), x_s, x_n[:9], y, noisy)
    with pytest.raises(InputError, match="kappa"):
        shift_bound([1.0], 1.0, 1.0, kappa=np.nan)
