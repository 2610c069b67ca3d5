import jax
import numpy as np
import pytest
from sklearn.mixture import GaussianMixture

from theorylab import mixtures
from theorylab.errors import InputError


def problem(n=400, d=3, seed=0, gap=2.0):
    rng = np.random.default_rng(seed)
    y = rng.random(n) < 0.4
    return (
        rng.normal(size=(n, d))
        + gap * np.where(y[:, None], 1, -1) * np.array([1, 0.5, 0])[:d]
        + 3.0
    ), y


@pytest.mark.parametrize("covariance", ["spherical", "tied"])
def test_from_the_same_start_it_is_scikit_learns_fit(covariance):
    X, _ = problem(gap=1.2)
    start = (X[:, 0] > np.median(X[:, 0])).astype(float)
    means = np.stack([X[start == k].mean(0) for k in (0, 1)])
    if covariance == "spherical":
        precisions = np.array([1 / X[start == k].var(0).mean() for k in (0, 1)])
    else:
        centred = X - means[start.astype(int)]
        precisions = np.linalg.inv(centred.T @ centred / len(X))
    peer = GaussianMixture(
        2,
        covariance_type=covariance,
        tol=1e-9,
        max_iter=5000,
        means_init=means,
        precisions_init=precisions,
        weights_init=[1 - start.mean(), start.mean()],
    ).fit(X)
    with jax.enable_x64(True):
        found = mixtures.fit_mixture(
            X, covariance=covariance, responsibilities=start, tol=1e-9, max_steps=5000
        )
    np.testing.assert_allclose(found.means, peer.means_, atol=1e-3)
    np.testing.assert_allclose(found.weights, peer.weights_, atol=1e-3)
    np.testing.assert_allclose(found.covariance, peer.covariances_, atol=1e-3)
    assert float(found.log_likelihood) == pytest.approx(peer.score(X), abs=1e-6)


@pytest.mark.long
@pytest.mark.parametrize("covariance", ["spherical", "tied"])
def test_its_own_start_finds_the_components_and_its_rule_the_classes(covariance):
    X, y = problem()
    found = jax.jit(lambda a: mixtures.fit_mixture(a, covariance=covariance))(X)
    error = float(found.rule().error(X, np.where(y, 1.0, -1.0)))
    assert min(error, 1 - error) < 0.03 and abs(float(found.weights.min()) - 0.4) < 0.05
    gap = found.means[1] - found.means[0]
    fishers = np.linalg.solve(found.covariance, gap) if covariance == "tied" else gap
    np.testing.assert_allclose(found.rule().weight, fishers, rtol=1e-4)
    # the midpoint is on the boundary
    assert abs(float(found.rule().score(found.means.mean(0)[None])[0])) < 1e-4


def test_rows_of_weight_zero_are_left_out():
    X, _ = problem(n=100)
    weights = (np.arange(100) < 70).astype(float)

    @jax.jit
    def fit(far):  # where the rows that are left out lie
        return mixtures.fit_mixture(
            jax.numpy.where(weights[:, None] > 0, X, far), sample_weight=weights
        )

    for a, b in zip(fit(50.0), fit(-7.0), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-5)


@pytest.mark.parametrize(
    "change",
    [
        {"covariance": "full"},
        {"X": np.ones((1, 2))},
        {"X": np.array([[1.0, np.nan], [0, 0]])},
        {"responsibilities": np.ones(3)},
        {"sample_weight": np.ones(3)},
        {"sample_weight": -np.ones(100)},
        {"starts": 0},
        {"tol": 0.0},
    ],
)
def test_bad_input_is_refused(change):
    with pytest.raises(InputError):
        mixtures.fit_mixture(**{"X": problem(n=100)[0], **change})
