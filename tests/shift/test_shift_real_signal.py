"""A real signal with nuisance features, against scikit-learn's fits and sampled test features."""

import jax
import numpy as np
import pytest
from scipy import stats
from sklearn.linear_model import LogisticRegression

from theorylab.errors import InputError
from theorylab.shift import NewtonOptions, NuisanceModel, Signal, draw_on_signal, sweep_signal

MODEL = NuisanceModel(d_s=3, k=5000, energy=4.0, tau=0.3)


def signal(N=80, m=50):
    rng = np.random.default_rng(0)
    y = rng.choice([-1.0, 1.0], N + m)
    x = 1.5 * y[:, None] * np.array([1.0, 0.5, 0.0]) + rng.normal(size=(N + m, 3))
    return Signal(x[:N], y[:N], x[N:], y[N:])


@pytest.mark.long
def test_errors_are_those_of_scikit_learns_fits_of_the_same_training_sets():
    data, lam = signal(), 1e-2
    keys = jax.random.split(jax.random.key(0), 2)
    found = sweep_signal(data, MODEL, keys=keys, ns=[30, 60], etas=[0.0, 0.2], lams=[lam, 1.0])
    assert found.converged.all()
    for s, i, j in np.ndindex(2, 2, 2):
        n, eta = int(found.ns[i]), found.etas[j]
        key = jax.random.fold_in(keys[s], n)
        sample = draw_on_signal(key, data.x, data.y, MODEL, n, eta)
        peer = LogisticRegression(C=1 / (n * lam), fit_intercept=False, tol=1e-10, max_iter=5000)
        w = peer.fit(sample.x, sample.noisy).coef_[0]
        norm = np.linalg.norm(w[3:])
        np.testing.assert_allclose(found.w_s[s, i, j, 0], w[:3], atol=1e-4)
        assert found.norm_w_n[s, i, j, 0] == pytest.approx(norm, abs=1e-4)
        gamma = data.y_test * (data.x_test @ w[:3])
        for error, scale in (
            (found.id_error(), MODEL.sigma),
            (found.ood_error(), MODEL.sigma_ood),
            (found.ood_error(0.1), np.hypot(MODEL.sigma, 0.1)),
        ):
            wanted = stats.norm.cdf(-gamma / (scale * norm)).mean()
            assert error[s, i, j, 0] == pytest.approx(wanted, abs=1e-4)
        wrong = (sample.noisy * (np.asarray(sample.x) @ w) <= 0).mean()
        assert found.train_error[s, i, j, 0] == pytest.approx(wrong)
    assert (found.sensitivity[:, :, 1] > found.sensitivity[:, :, 0]).all()  # noise is memorised


def test_a_draw_takes_rows_of_the_signal_and_noise_rates_share_them():
    data, key = signal(), jax.random.key(3)
    clean, noisy = (draw_on_signal(key, data.x, data.y, MODEL, 40, eta) for eta in (0.0, 0.3))
    rows = [int(np.flatnonzero((data.x == row).all(1))[0]) for row in clean.x_s]
    assert len(set(rows)) == 40 and (data.y[rows] == clean.y).all()
    np.testing.assert_array_equal(clean.x_s, noisy.x_s)
    np.testing.assert_array_equal(clean.nuisance, noisy.nuisance)
    assert (clean.noisy == clean.y).all() and 0 < (noisy.noisy != noisy.y).mean() < 0.6
    square = np.linalg.norm(clean.nuisance, axis=1) ** 2  # energy: mean 4, sd 4 sqrt(2 / 5000)
    np.testing.assert_allclose(square.mean(), MODEL.energy, rtol=0.03)


@pytest.mark.parametrize(
    "change",
    [
        {"ns": [81]},
        {"ns": [0]},
        {"etas": [1.5]},
        {"lams": [0.0]},
        {"model": NuisanceModel(d_s=4)},
        {"model": NuisanceModel(d_s=3, shortcut=1.0)},
        {"keys": jax.random.key(0)},
        {"signal": (1, 2)},
    ],
)
def test_bad_input_is_refused(change):
    options = {
        "signal": signal(),
        "model": MODEL,
        "keys": jax.random.split(jax.random.key(0), 1),
        "ns": [20],
        "etas": [0.1],
        "lams": [0.1],
    }
    with pytest.raises(InputError):
        sweep_signal(**options | change)


@pytest.mark.parametrize("y", [[0, 1], [[1], [-1]], [1, 2], [1]])
def test_a_signal_needs_signs(y):
    with pytest.raises(InputError):
        Signal(np.eye(2), y, np.eye(2), [1, -1])


@pytest.mark.long
def test_a_fit_that_stops_early_is_announced():
    data, keys = signal(), jax.random.split(jax.random.key(0), 1)
    once = NewtonOptions(max_steps=1)
    with pytest.warns(RuntimeWarning, match="logistic fits"):
        found = sweep_signal(data, MODEL, keys=keys, ns=[20], etas=[0.1], lams=[1e-6], solver=once)
    assert not found.converged.all()
