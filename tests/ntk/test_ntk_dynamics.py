"""Training at many times, by steps and with other losses, against descent on parameters."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from scipy.integrate import solve_ivp

from theorylab.errors import InputError
from theorylab.nets import cross_entropy
from theorylab.ntk import gradient_flow, kernel_training, max_learning_rate

RNG = np.random.default_rng(0)
X, XT = RNG.normal(size=(6, 9)), RNG.normal(size=(4, 9))
K, CROSS = X @ X.T, XT @ X.T
Y = RNG.normal(size=(6, 2))
LABELS = np.array([0, 1, 2, 0, 1, 2])
TIMES = np.array([0.3, 0.0, 0.01, 0.3, 2.0])
STEPS = np.array([[7, 0, 1], [40, 7, 3]])


def softmax(f):
    e = np.exp(f - f.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


def descended(gradient, outputs, lr, momentum, nesterov, steps):
    """Descent on the weights of x @ w, in NumPy, looked at after these steps."""
    w, v, seen = np.zeros((9, outputs)), np.zeros((9, outputs)), []
    for _ in range(max(steps) + 1):
        seen.append(w)
        g = X.T @ gradient(X @ w)
        v = momentum * v + g
        w = w - lr * (g + momentum * v if nesterov else v)
    return np.stack([XT @ seen[s] for s in steps])


@pytest.mark.long
def test_the_flow_at_many_times_is_that_at_each_under_jit_and_vmap_too():
    nngp, cross, own = K + np.eye(6), CROSS, XT @ XT.T + np.eye(4)
    rest = {"nngp_test": cross, "nngp_test_test": own}
    flow = gradient_flow(K, Y, nngp=nngp)
    many = flow.predict(TIMES, CROSS, **rest)
    assert many.mean.shape == (5, 4, 2) and many.covariance.shape == (5, 4, 4)
    values, vectors = np.linalg.eigh(K)
    for i, t in enumerate(TIMES):  # the matrix function, with no share in the code above
        transfer = CROSS @ vectors @ np.diag((1 - np.exp(-values * t)) / values) @ vectors.T
        np.testing.assert_allclose(many.mean[i], transfer @ Y, atol=1e-11)
        mixed = transfer @ cross.T
        wanted = own - mixed - mixed.T + transfer @ nngp @ transfer.T
        np.testing.assert_allclose(many.covariance[i], wanted, atol=1e-11)
    assert flow.predict(TIMES.reshape(5, 1), CROSS, **rest).mean.shape == (5, 1, 4, 2)
    mapped = jax.vmap(lambda t: gradient_flow(K, Y).predict(t, CROSS).mean)(jnp.asarray(TIMES))
    np.testing.assert_allclose(mapped, many.mean, atol=2e-6)

    @jax.jit
    def traced(k, y, t):
        found = gradient_flow(k, y, nngp=nngp).predict(t, CROSS, **rest)
        return found.mean, found.covariance

    mean, covariance = traced(K, Y, TIMES)
    np.testing.assert_allclose(mean, many.mean, atol=1e-4)  # K comes in float32
    np.testing.assert_allclose(covariance, many.covariance, atol=1e-4)
    assert mean.dtype == jnp.float32
    slope = jax.grad(lambda t: flow.predict(t, CROSS, **rest).mean.sum())(0.1)
    around = [flow.predict(0.1 + d, CROSS, **rest).mean.sum() for d in (-1e-5, 1e-5)]
    assert float(slope) == pytest.approx((around[1] - around[0]) / 2e-5, rel=1e-4)


def test_times_that_no_training_has_are_refused_among_others():
    with pytest.raises(InputError, match="t holds -1"):
        gradient_flow(K, Y).predict([0.0, -1.0])
    singular = np.ones((2, 2))
    with pytest.raises(InputError, match="singular"):
        gradient_flow(singular, [1.0, 0.0]).predict([1.0, np.inf])
    with pytest.raises(InputError, match="f_test"):
        kernel_training(K, Y).descend(1, f_test=Y)


@pytest.mark.long
@pytest.mark.parametrize(("momentum", "nesterov"), [(0.0, False), (0.9, False), (0.9, True)])
def test_squared_loss_by_steps_is_descent_on_the_weights(momentum, nesterov):
    lr = 0.3 / np.linalg.eigvalsh(K)[-1]
    training = kernel_training(K, Y, learning_rate=lr)
    options = {"momentum": momentum, "nesterov": nesterov}
    found = training.descend(STEPS, CROSS, **options)
    wanted = descended(lambda f: f - Y, 2, lr, momentum, nesterov, STEPS.ravel())
    np.testing.assert_allclose(found.reshape(wanted.shape), wanted, rtol=0, atol=1e-12)
    # and as optax takes its steps
    optimiser = optax.sgd(lr, momentum=momentum, nesterov=nesterov)
    with jax.enable_x64(True):
        w = jnp.zeros((9, 2))
        state = optimiser.init(w)
        for _ in range(7):
            gradient = jax.grad(lambda w: jnp.sum((X @ w - Y) ** 2) / 2)(w)
            updates, state = optimiser.update(gradient, state, w)
            w = optax.apply_updates(w, updates)
        np.testing.assert_allclose(found[0, 0], XT @ w, atol=1e-12)
    traced = jax.jit(lambda s: training.descend(s, CROSS, **options))(STEPS)
    np.testing.assert_allclose(traced, found, atol=1e-5)
    # a common factor of mean loss is a shorter step
    mean = kernel_training(K, Y, learning_rate=12 * lr, mean_loss=True)
    np.testing.assert_allclose(mean.descend(STEPS, CROSS, **options), found, atol=1e-12)


@pytest.mark.parametrize("steps", [1, 5])
def test_training_goes_on_from_the_outputs_at_initialisation(steps):
    w, lr = np.arange(9.0), 0.3 / np.linalg.eigvalsh(K)[-1]
    before = {"f_train": X @ w, "f_test": XT @ w}
    training = kernel_training(K, Y[:, 0], learning_rate=lr)
    for _ in range(steps):
        w = w - lr * X.T @ (X @ w - Y[:, 0])
    for given in (before, {name: f[:, None] for name, f in before.items()}):
        found = training.descend(steps, CROSS, **given)
        np.testing.assert_allclose(np.ravel(found), XT @ w, atol=1e-12)


@pytest.mark.long
def test_a_million_steps_reach_the_interpolant_and_singular_kernels_move_on():
    lr = 0.3 / np.linalg.eigvalsh(K)[-1]
    found = kernel_training(K, Y, learning_rate=lr).descend(10**6, momentum=0.5)
    np.testing.assert_allclose(found, Y, atol=1e-8)
    ones = kernel_training(np.ones((2, 2)), [1.0, 0.0], learning_rate=0.1)
    # the mean is learned, as (1 - 0.2)^t; the difference never
    np.testing.assert_allclose(ones.descend(3)[:, 0], (1 - 0.8**3) / 2 * np.ones(2), atol=1e-14)
    test = ones.descend([5], [[1.0, 0.0]])  # a test point that the null direction reaches: t eta r
    drift = 0.1 * 5 * 0.5 + (1 - 0.8**5) / 2 * 0.5
    np.testing.assert_allclose(test[0, 0, 0], drift, atol=1e-14)


@pytest.mark.long
@pytest.mark.parametrize(("momentum", "nesterov"), [(0.0, False), (0.8, True)])
def test_cross_entropy_by_steps_is_descent_on_the_weights(momentum, nesterov):
    training = kernel_training(K, LABELS, loss=cross_entropy, outputs=3, learning_rate=0.05)
    found = training.descend(STEPS, CROSS, momentum=momentum, nesterov=nesterov)
    wanted = descended(
        lambda f: softmax(f) - np.eye(3)[LABELS], 3, 0.05, momentum, nesterov, STEPS.ravel()
    )
    np.testing.assert_allclose(found.reshape(wanted.shape), wanted, atol=1e-11)


@pytest.mark.long
def test_cross_entropy_in_continuous_time_is_scipys_solution_on_the_weights():
    training = kernel_training(K, LABELS, loss=cross_entropy, outputs=3, mean_loss=True)
    found = training.flow(TIMES, CROSS)

    def slope(_, w):
        f = X @ w.reshape(9, 3)
        return -(X.T @ (softmax(f) - np.eye(3)[LABELS])).ravel() / 6

    peer = solve_ivp(slope, (0, 2), np.zeros(27), t_eval=[0.01, 0.3, 2.0], rtol=1e-11, atol=1e-13)
    at = {t: XT @ w.reshape(9, 3) for t, w in zip(peer.t, peer.y.T, strict=True)}
    at[0.0] = np.zeros((4, 3))
    np.testing.assert_allclose(found, np.stack([at[t] for t in TIMES]), atol=1e-7)
    mapped = jax.jit(jax.vmap(lambda t: training.flow(t, CROSS)))(jnp.asarray(TIMES))
    np.testing.assert_allclose(mapped, found, atol=1e-5)


@pytest.mark.long
def test_the_solver_and_the_closed_form_agree_on_squared_loss():
    start, test = RNG.normal(size=(6, 2)), RNG.normal(size=(4, 2))
    for options in ({}, {"mean_loss": True, "learning_rate": 3.0}):
        solved = kernel_training(K, Y, **options).flow(TIMES, CROSS, f_train=start, f_test=test)
        closed = gradient_flow(K, Y, **options).predict(TIMES, CROSS, f_train=start, f_test=test)
        np.testing.assert_allclose(solved, closed.mean, atol=1e-7)


def test_heavy_balls_limit_of_short_steps_is_a_faster_flow():
    lr = 1e-6
    steps = 10**5
    found = kernel_training(K, Y, learning_rate=lr).descend(steps, CROSS, momentum=0.9)
    flow = gradient_flow(K, Y, learning_rate=1 / (1 - 0.9)).predict(lr * steps, CROSS)
    np.testing.assert_allclose(found, flow.mean, atol=2e-3)


def test_what_diverges_or_does_not_fit_is_refused():
    lr = 1.01 * max_learning_rate(K)
    with pytest.raises(InputError, match="diverges"):
        kernel_training(K, Y, learning_rate=lr).descend(10**9)
    calls = [
        lambda: kernel_training(K, Y[:3]),
        lambda: kernel_training(K[:3], Y),
        lambda: kernel_training(K, LABELS, loss=cross_entropy),
        lambda: kernel_training(K, Y, outputs=3),
        lambda: kernel_training(K, Y, learning_rate=0.0),
        lambda: kernel_training(K, Y).descend(-1),
        lambda: kernel_training(K, Y).descend(1.5),
        lambda: kernel_training(K, Y).descend(1, momentum=1.0),
        lambda: kernel_training(K, Y).descend(1, CROSS.T),
        lambda: kernel_training(K, Y).descend(1, f_train=Y[:3]),
        lambda: kernel_training(K, Y).flow(np.inf),
        lambda: kernel_training(K, Y).flow(-1.0),
    ]
    for call in calls:
        with pytest.raises(InputError):
            call()


def test_the_largest_learning_rate_under_jit():
    assert float(jax.jit(max_learning_rate)(K)) == pytest.approx(max_learning_rate(K), rel=1e-6)
