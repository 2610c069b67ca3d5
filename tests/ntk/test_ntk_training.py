"""Closed-form training against ordinary differential equations, plain gradient descent and Gaussian
processes."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.integrate import solve_ivp
from scipy.linalg import expm

from theorylab.errors import InputError
from theorylab.ntk import empirical_ntk
from theorylab.ntk import infinite as inf
from theorylab.ntk.linearization import linearize
from theorylab.ntk.training import gradient_flow, max_learning_rate
from theorylab.ridge import KernelRidgePath

RNG = np.random.default_rng(0)
N, M, K = 7, 4, 2
X, TEST = RNG.normal(size=(N, 5)), RNG.normal(size=(M, 5))
Y = RNG.normal(size=(N, K))
NET = inf.serial(inf.dense(sigma_w=1.4), inf.erf(), inf.dense())
# NumPy arrays: JAX would do the references' arithmetic in float32.
TRAIN, CROSS, OWN = (
    jax.tree.map(np.asarray, NET.kernel(*pair, get="both")) for pair in ((X,), (TEST, X), (TEST,))
)


def test_mean_follows_the_differential_equation():
    f0, g0 = RNG.normal(size=(N, K)), RNG.normal(size=(M, K))
    flow = gradient_flow(TRAIN.ntk, Y, learning_rate=0.3)

    def velocity(_, state):
        residual = Y - state[: N * K].reshape(N, K)
        return 0.3 * np.concatenate(
            [(k @ residual).ravel() for k in (np.asarray(TRAIN.ntk), np.asarray(CROSS.ntk))]
        )

    end = solve_ivp(
        velocity, (0, 2.5), np.concatenate([f0.ravel(), g0.ravel()]), rtol=1e-10, atol=1e-12
    ).y[:, -1]
    train = flow.predict(2.5, f_train=f0).mean
    test = flow.predict(2.5, CROSS.ntk, f_train=f0, f_test=g0).mean
    np.testing.assert_allclose(train, end[: N * K].reshape(N, K), atol=1e-8)
    np.testing.assert_allclose(test, end[N * K :].reshape(M, K), atol=1e-8)


def test_time_zero_is_the_initial_network_and_the_limit_interpolates():
    f0, g0 = RNG.normal(size=(N, K)), RNG.normal(size=(M, K))
    flow = gradient_flow(TRAIN.ntk, Y)
    np.testing.assert_allclose(flow.predict(0.0, CROSS.ntk, f_train=f0, f_test=g0).mean, g0)
    np.testing.assert_allclose(flow.predict(None, f_train=f0).mean, Y, atol=1e-10)
    limit = flow.predict(np.inf, CROSS.ntk).mean
    np.testing.assert_allclose(limit, CROSS.ntk @ np.linalg.solve(TRAIN.ntk, Y), atol=1e-9)
    np.testing.assert_allclose(flow.predict(1e9, CROSS.ntk).mean, limit, atol=1e-9)


@pytest.mark.parametrize("t", [0.0, 0.7, None])
def test_ensemble_covariance_is_that_of_linear_maps_of_gaussian_initial_functions(t):
    flow = gradient_flow(TRAIN.ntk, Y, nngp=TRAIN.nngp)
    got = flow.predict(t, CROSS.ntk, nngp_test=CROSS.nngp, nngp_test_test=OWN.nngp).covariance
    theta = np.asarray(TRAIN.ntk)
    decay = np.zeros((N, N)) if t is None else expm(-theta * t)
    transfer = np.asarray(CROSS.ntk) @ np.linalg.inv(theta) @ (np.eye(N) - decay)
    # f_test(t) = g0 + transfer (Y - f0) with (f0, g0) jointly Gaussian: covariance of [-transfer,
    # 1] (f0, g0).
    joint = np.block([[TRAIN.nngp, CROSS.nngp.T], [CROSS.nngp, OWN.nngp]])
    linear = np.hstack([-transfer, np.eye(M)])
    np.testing.assert_allclose(got, linear @ joint @ linear.T, atol=1e-9)


def test_training_the_readout_alone_gives_the_gaussian_process_posterior():
    flow = gradient_flow(TRAIN.nngp, Y, nngp=TRAIN.nngp)
    got = flow.predict(None, CROSS.nngp, nngp_test=CROSS.nngp, nngp_test_test=OWN.nngp)
    solve = np.linalg.solve(TRAIN.nngp, np.asarray(CROSS.nngp).T)
    np.testing.assert_allclose(got.mean, solve.T @ Y, atol=1e-8)
    np.testing.assert_allclose(got.covariance, OWN.nngp - CROSS.nngp @ solve, atol=1e-9)


def test_trained_ensemble_has_no_variance_on_the_training_points():
    covariance = gradient_flow(TRAIN.ntk, Y, nngp=TRAIN.nngp).predict(None).covariance
    np.testing.assert_allclose(covariance, 0, atol=1e-9)


def test_ridge_is_relative_to_the_mean_of_the_diagonal():
    k = np.asarray(TRAIN.ntk)
    regularised = k + 0.1 * np.trace(k) / N * np.eye(N)
    got = gradient_flow(k, Y, ridge=0.1).predict(None, CROSS.ntk).mean
    np.testing.assert_allclose(got, CROSS.ntk @ np.linalg.solve(regularised, Y), atol=1e-10)


def test_mean_loss_slows_time_by_the_number_of_targets():
    slow = gradient_flow(TRAIN.ntk, Y, mean_loss=True).predict(3.0 * Y.size, CROSS.ntk).mean
    np.testing.assert_allclose(
        slow, gradient_flow(TRAIN.ntk, Y).predict(3.0, CROSS.ntk).mean, rtol=1e-10
    )


@pytest.mark.parametrize("momentum", [0.0, 0.5])
@pytest.mark.parametrize(("factor", "converges"), [(0.99, True), (1.01, False)])
def test_maximal_learning_rate_separates_convergence_from_divergence(momentum, factor, converges):
    k = np.asarray(TRAIN.ntk)
    rate = factor * max_learning_rate(k, momentum=momentum)
    leading = np.linalg.eigh(k)[1][:, -1]
    error, velocity = leading.copy(), np.zeros(N)
    for _ in range(3000):
        velocity = momentum * velocity - rate * k @ error
        error = error + velocity
    assert (np.linalg.norm(error) < 1) == converges
    assert max_learning_rate(k, mean_loss=True, outputs=3) == pytest.approx(
        3 * N * max_learning_rate(k)
    )


@pytest.mark.long
def test_linearised_model_is_exact_for_its_tangent_and_off_by_the_second_order():
    net = inf.serial(inf.dense(16), inf.erf(), inf.dense(3))
    params = net.init(jax.random.key(0), X.shape)
    direction = net.init(jax.random.key(1), X.shape)
    x = jnp.asarray(X, jnp.float32)
    linear = jax.jit(linearize(net.apply, params))

    def moved(size):
        return jax.tree.map(lambda p, d: p + size * d, params, direction)

    np.testing.assert_array_equal(linear(params, x), jax.jit(net.apply)(params, x))
    change = linear(moved(1.0), x) - linear(params, x)
    np.testing.assert_allclose(
        linear(moved(3.0), x) - linear(params, x), 3 * change, rtol=1e-3, atol=1e-5
    )
    errors = [
        float(jnp.abs(linear(moved(h), x) - net.apply(moved(h), x)).max()) for h in (0.2, 0.1)
    ]
    assert 3 < errors[0] / errors[1] < 5  # quadratic: 4, up to the third order


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda: gradient_flow(np.ones((2, 3)), Y), "k_train"),
        (lambda: gradient_flow(np.ones((2, 2, 2)), Y), "k_train"),
        (lambda: gradient_flow([[1, 2], [0, 1.0]], [1, 2]), "transpose"),
        (lambda: gradient_flow([[-1, 0], [0, 1.0]], [1, 2]), "eigenvalue"),
        (lambda: gradient_flow(np.eye(2), [1, np.nan]), "y"),
        (lambda: gradient_flow(np.eye(2), [1, 2, 3]), "y"),
        (lambda: gradient_flow([[np.nan]], [1]), "k_train"),
        (lambda: gradient_flow(np.eye(2), [1, 2], ridge=-1), "ridge"),
        (lambda: gradient_flow(np.eye(2), [1, 2], nngp=np.eye(3)), "nngp"),
        (lambda: gradient_flow(np.ones((2, 2)), [1, 2]).predict(None, np.ones((1, 2))), "singular"),
        (lambda: gradient_flow(np.eye(2), [1, 2]).predict(-1.0), "t = -1"),
        (lambda: gradient_flow(np.eye(2), [1, 2]).predict(1.0, np.ones((1, 3))), "k_test"),
        (lambda: gradient_flow(np.eye(2), [1, 2]).predict(1.0, f_test=[1]), "f_test"),
        (
            lambda: gradient_flow(np.eye(2), [1, 2], nngp=np.eye(2)).predict(1.0, np.ones((1, 2))),
            "nngp_test",
        ),
        (lambda: max_learning_rate(np.ones((2, 3))), "k_train"),
        (lambda: max_learning_rate(-np.eye(2)), "k_train"),
    ],
)
def test_bad_arguments_of_training_are_named(call, says):
    with pytest.raises(InputError, match=says):
        call()


def test_duplicate_points_may_be_trained_for_a_finite_time():
    flow = gradient_flow(np.ones((2, 2)), [1.0, 3.0])
    # The kernel has eigenvalues 2 and 0: only the mean of the targets is learnt.
    np.testing.assert_allclose(flow.predict(1.0).mean[:, 0], 2 * (1 - np.exp(-2.0)), rtol=1e-12)


@pytest.mark.parametrize("seed", range(8))
def test_rounding_of_a_kernel_is_not_trained_on(seed):
    rng = np.random.default_rng(seed)
    features, test, y = rng.normal(size=(40, 39)), rng.normal(size=(5, 39)), rng.normal(size=40)
    kernel, cross = features @ features.T, test @ features.T
    limit = cross @ np.linalg.pinv(kernel, rcond=1e-10) @ y
    # in float64 the direction without a kernel is known to vanish: no time moves it
    exact = gradient_flow(kernel, y)
    np.testing.assert_allclose(exact.predict(1e25, cross).mean[:, 0], limit, rtol=1e-6, atol=1e-8)
    coarse = kernel.astype(np.float32), cross.astype(np.float32)
    for flow, k_test in (
        (gradient_flow(coarse[0], y), coarse[1]),
        (gradient_flow(coarse[0].astype(np.float64), y, accuracy=1e-7), cross),
        (gradient_flow(kernel + 1e-9 * np.eye(40), y), coarse[1]),
    ):
        for t in (None, np.inf, 1e12):
            with pytest.raises(InputError, match="rounding of"):
                flow.predict(t, k_test)
        np.testing.assert_allclose(
            flow.predict(0.1, k_test).mean, exact.predict(0.1, cross).mean, rtol=1e-4, atol=1e-5
        )


def test_a_kernel_computed_in_bfloat16_says_so():
    x = jax.random.normal(jax.random.key(0), (12, 4))
    w = jax.random.normal(jax.random.key(1), (4, 64)) / 2
    f = lambda w, x: jnp.tanh(x @ w)  # noqa: E731
    half = empirical_ntk(f, w, x, dtype=jnp.bfloat16)
    exact = empirical_ntk(f, w, x, dtype=jnp.float64)
    error = np.linalg.norm(half - exact, 2) / np.linalg.norm(exact, 2)
    assert half.dtype == np.float32 and 1e-4 < error < half.accuracy < 0.05
    assert not hasattr(empirical_ntk(f, w, x), "accuracy")
    # so does a network in float32 that computes in bfloat16 inside
    mixed = lambda w, x: jnp.tanh(x.astype(jnp.bfloat16) @ w.astype(jnp.bfloat16)).astype(float)  # noqa: E731
    assert empirical_ntk(mixed, w, x).accuracy == half.accuracy
    y = np.sin(np.arange(12.0))
    for run in (
        lambda k: gradient_flow(k, y).predict(None),
        lambda k: KernelRidgePath.fit(k, y).gcv([0.0]),
    ):
        run(exact)
        with pytest.raises(InputError, match=r"rounding of|precision cannot carry"):
            run(half[:, :])
