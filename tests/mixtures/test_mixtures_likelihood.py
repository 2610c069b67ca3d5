import jax
import numpy as np
import pytest
from scipy import optimize

from theorylab import mixtures
from theorylab.errors import InputError
from theorylab.mixtures.likelihood import maximise


def problem(seed, d=5, n_l=20, n_u=300, s=0.8):
    rng = np.random.default_rng(seed)
    centre = np.zeros(d)
    centre[0] = s
    y_l, y_u = rng.choice([-1.0, 1.0], n_l), rng.choice([-1.0, 1.0], n_u)
    X_l, X_u = (y[:, None] * centre + rng.normal(size=(len(y), d)) for y in (y_l, y_u))
    return X_l, y_l, X_u


def minus_likelihood(theta, X_l, y_l, X_u):
    u = X_u @ theta
    height = (y_l @ X_l) @ theta + np.sum(np.logaddexp(u, -u)) - (len(X_l) + len(X_u)) * theta @ theta / 2
    return -height


@pytest.mark.parametrize("s", [0.3, 1.5])
def test_it_is_the_maximum_that_scipy_finds_by_either_step(s):
    data = problem(0, s=s)
    start = data[1] @ data[0] / len(data[0])
    best = optimize.minimize(minus_likelihood, start, args=data, method="BFGS", tol=1e-10).x
    with jax.enable_x64(True):
        quick = mixtures.ssl_em(*data, start, tolerance=1e-10)
        plain = mixtures.ssl_em(*data, start, tolerance=1e-12, iterations=5000, scoring=False)
    np.testing.assert_allclose(quick, best, atol=2e-6)
    np.testing.assert_allclose(plain, best, atol=2e-6)


def test_it_works_in_float32_and_under_vmap():
    data = [problem(seed) for seed in range(3)]
    X_l, y_l, X_u = (np.stack(x).astype(np.float32) for x in zip(*data, strict=True))
    fit = jax.jit(jax.vmap(lambda a, b, c: mixtures.ssl_em(a, b, c, mixtures.sl_estimator(a, b))))
    found = fit(X_l, y_l, X_u)
    for theta, (a, b, c) in zip(found, data, strict=True):
        best = optimize.minimize(minus_likelihood, b @ a / len(a), args=(a, b, c), method="BFGS").x
        np.testing.assert_allclose(theta, best, atol=2e-4)


def test_scoring_takes_a_tenth_of_the_steps_where_em_crawls():
    X_l, y_l, X_u = problem(1, s=0.3, n_u=2000)
    count = {}
    for scoring in (True, False):
        found = maximise(
            (y_l @ X_l).astype(np.float32), len(X_l), X_u.astype(np.float32), np.ones(len(X_u), np.float32), 0.0,
            np.asarray(mixtures.sl_estimator(X_l, y_l)), iterations=2000, tolerance=1e-6, scoring=scoring,
        )  # fmt: skip
        count[scoring] = int(found.iterations)
        assert float(found.step) <= 1e-6 or count[scoring] == 2000
    assert count[True] < 40 and count[False] > 5 * count[True]


def test_zero_is_a_fixed_point_without_labels_and_a_bad_start_cannot_lower_the_likelihood():
    X_l, y_l, X_u = (a.astype(np.float32) for a in problem(2))
    zero = maximise(
        np.zeros(5, np.float32), 0.0, X_u, np.ones(len(X_u), np.float32), 0.0, np.zeros(5, np.float32), iterations=50,
        tolerance=1e-6,
    )  # fmt: skip
    np.testing.assert_allclose(zero.theta, 0)
    far = 20 * np.ones(5, np.float32)
    found = np.asarray(mixtures.ssl_em(X_l, y_l, X_u, far, iterations=3))
    assert minus_likelihood(found, X_l, y_l, X_u) < minus_likelihood(far, X_l, y_l, X_u)


@pytest.mark.parametrize(
    "change", [{"theta0": np.ones(4)}, {"theta0": np.full(5, np.nan)}, {"iterations": 0}, {"tolerance": -1.0}]
)
def test_bad_input_is_refused(change):
    X_l, y_l, X_u = problem(0)
    arguments = {"theta0": np.ones(5), **change}
    with pytest.raises(InputError):
        mixtures.ssl_em(X_l, y_l, X_u, **arguments)
