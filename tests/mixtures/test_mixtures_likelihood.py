import jax
import numpy as np
import pytest
from scipy import optimize

from theorylab import mixtures
from theorylab.errors import InputError
from theorylab.mixtures.likelihood import Problems, _Information, maximise


def problem(seed, d=5, n_l=20, n_u=300, s=0.8):
    rng = np.random.default_rng(seed)
    centre = np.zeros(d)
    centre[0] = s
    y_l, y_u = rng.choice([-1.0, 1.0], n_l), rng.choice([-1.0, 1.0], n_u)
    X_l, X_u = (y[:, None] * centre + rng.normal(size=(len(y), d)) for y in (y_l, y_u))
    return X_l, y_l, X_u


def minus_likelihood(theta, X_l, y_l, X_u):
    u = X_u @ theta
    height = (
        (y_l @ X_l) @ theta
        + np.sum(np.logaddexp(u, -u))
        - (len(X_l) + len(X_u)) * theta @ theta / 2
    )
    return -height


def test_it_is_the_maximum_that_scipy_finds():
    data = [problem(0, s=s) for s in (0.3, 1.5)]
    start = np.stack([y_l @ X_l / len(X_l) for X_l, y_l, _ in data])
    with jax.enable_x64(True):
        fit = jax.jit(jax.vmap(lambda *a: mixtures.ssl_em(*a, tol=1e-10)))
        found = np.asarray(fit(*(np.stack(x) for x in zip(*data, strict=True)), start))
    for theta, one, first in zip(found, data, start, strict=True):
        best = optimize.minimize(minus_likelihood, first, args=one, method="BFGS", tol=1e-10).x
        np.testing.assert_allclose(theta, best, atol=2e-6)


@pytest.mark.slow
def test_ems_own_steps_lead_there_too():
    data = problem(0, s=0.3)
    start = data[1] @ data[0] / len(data[0])
    best = optimize.minimize(minus_likelihood, start, args=data, method="BFGS", tol=1e-10).x
    with jax.enable_x64(True):
        plain = mixtures.ssl_em(*data, start, tol=1e-10, max_steps=5000, scoring=False)
    np.testing.assert_allclose(plain, best, atol=2e-6)


def test_it_works_in_float32_and_under_vmap_and_a_bad_start_cannot_lower_the_likelihood():
    data = [problem(seed) for seed in range(3)]
    X_l, y_l, X_u = (np.stack(x).astype(np.float32) for x in zip(*data, strict=True))
    start = np.stack([b @ a / len(a) for a, b, _ in data]).astype(np.float32)
    start[2] = 20
    X_l[1] = 0  # without labels zero is a fixed point
    start[1] = 0
    found = np.asarray(jax.jit(jax.vmap(mixtures.ssl_em))(X_l, y_l, X_u, start))
    best = optimize.minimize(
        minus_likelihood, start[0].astype(float), args=data[0], method="BFGS"
    ).x
    np.testing.assert_allclose(found[0], best, atol=2e-4)
    np.testing.assert_allclose(found[1], 0)
    assert minus_likelihood(found[2], *data[2]) < minus_likelihood(start[2], *data[2])


def columns(data, dtype=np.float32):
    """What `maximise` takes of one problem: the points, and the problem without a shift."""
    X_l, y_l, X_u = data
    points = np.concatenate([X_u, np.ones((len(X_u), 1))], axis=1).T[None].astype(dtype)
    return points, Problems(
        n_u=np.array([len(X_u)]),
        shift=np.zeros(1, dtype),
        labelled_sum=(y_l @ X_l)[None].astype(dtype),
        n_l=np.array([len(X_l)]),
        moment=(X_u.T @ X_u / len(X_u))[None].astype(dtype),
    )


def test_scoring_takes_far_fewer_steps_where_em_crawls():
    data = problem(1, s=0.3, n_u=2000)
    start = np.asarray(mixtures.sl_estimator(*data[:2]))[None]
    quick, plain = (
        maximise(
            *jax.tree.map(jax.numpy.asarray, (*columns(data), start)),
            max_steps=2000,
            tol=1e-5,
            scoring=scoring,
        )
        for scoring in (True, False)
    )
    assert quick.error[0] <= 1e-5 and plain.steps[0] > 3 * quick.steps[0]
    np.testing.assert_allclose(quick.theta, plain.theta, atol=1e-4)


@pytest.mark.long
def test_problems_that_share_their_noise_are_solved_as_alone():
    """Two shifts, two numbers of points, in blocks of 100."""
    rng, d = np.random.default_rng(3), 4
    noise, shift, n_u = rng.normal(size=(d, 300)), np.array([0.9, 1.4]), np.array([170, 300])
    start, n_l = np.tile(np.eye(d)[0], (2, 1)), np.array([5, 8])
    labelled = n_l[:, None] * (start * shift[:, None] + rng.normal(size=(2, d)) / 3)
    lifted = np.concatenate([noise, np.ones((1, 300))]).reshape(d + 1, 3, 100).transpose(1, 0, 2)
    X = [(noise[:, :n] + s * np.eye(d)[:, :1]).T for n, s in zip(n_u, shift, strict=True)]
    with jax.enable_x64(True):
        moment = np.stack([x.T @ x / len(x) for x in X])
        arrays = (lifted, Problems(n_u, shift, labelled, n_l, moment), start)
        found = maximise(*jax.tree.map(jax.numpy.asarray, arrays), max_steps=50, tol=1e-9)
    for j, x in enumerate(X):
        # one labelled point stands for the sum: its label times it is all that counts
        best = optimize.minimize(
            lambda t, x=x, j=j: (
                -(
                    labelled[j] @ t
                    + np.logaddexp(x @ t, -x @ t).sum()
                    - (n_l[j] + n_u[j]) * t @ t / 2
                )
            ),
            start[j],
            method="BFGS",
            tol=1e-10,
        ).x
        np.testing.assert_allclose(found.theta[j], best, atol=2e-6)
    assert (found.steps < 25).all()  # EM alone takes a hundred


@pytest.mark.parametrize(
    "change",
    [
        {"theta0": np.ones(4)},
        {"theta0": np.full(5, np.nan)},
        {"max_steps": 0},
        {"tol": -1.0},
    ],
)
def test_bad_input_is_refused(change):
    X_l, y_l, X_u = problem(0)
    arguments = {"theta0": np.ones(5), **change}
    with pytest.raises(InputError):
        mixtures.ssl_em(X_l, y_l, X_u, **arguments)


def test_fishers_information_is_inverted_where_the_observed_one_is_not_sound_or_not_trusted():
    rng = np.random.default_rng(0)
    gradient, unit = rng.normal(size=(2, 2, 3))
    unit /= np.linalg.norm(unit, axis=1, keepdims=True)
    across, along = np.array([2.0, 3.0]), np.array([5.0, 0.5])
    observed = np.broadcast_to(7 * np.eye(3), (2, 3, 3))
    information = _Information(observed, np.array([False, True]), unit, across, along)
    found = information.solve(gradient, np.array([True, False]))
    for g, u, a, b, step in zip(gradient, unit, across, along, found, strict=True):
        fisher = a * (np.eye(3) - np.outer(u, u)) + b * np.outer(u, u)
        np.testing.assert_allclose(step, np.linalg.solve(fisher, g), rtol=1e-5)
