"""Predictions of training: against explicit training of the linearised network, step by step."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import linalg

from theorylab import neural_tangents as nt
from theorylab.errors import InputError
from theorylab.neural_tangents import predict, stax

RNG = np.random.default_rng(0)
X, XT = (RNG.normal(size=(n, 3)).astype(np.float32) for n in (6, 4))
Y = RNG.normal(size=(6, 2)).astype(np.float32)
INIT, APPLY, KERNEL = stax.serial(stax.Dense(32), stax.Erf(), stax.Dense(2))
PARAMS = INIT(jax.random.key(0), X.shape)[1]
LINEAR = nt.linearize(APPLY, PARAMS)
F0, FT0 = APPLY(PARAMS, X), APPLY(PARAMS, XT)
NTK_FN = nt.empirical_ntk_fn(APPLY, trace_axes=())
K_DD, K_TD = NTK_FN(X, None, PARAMS), NTK_FN(XT, X, PARAMS)  # (n, n, 2, 2)
TIMES = np.array([[0.0, 3.0, 40.0], [7.0, 1.0, 2.0]])


def mse(f, y):
    return 0.5 * jnp.mean((f - y) ** 2)


def cross_entropy(f, y):
    return -jnp.mean(jnp.sum(jax.nn.softmax(3 * y) * jax.nn.log_softmax(f), -1))


def trained(loss, rate, steps, momentum=0.0):
    """Outputs of the linearised network after gradient descent on its parameters."""
    slope = jax.jit(jax.grad(lambda p: loss(LINEAR(p, X), Y)))

    def step(_, state):
        p, v = state
        v = jax.tree.map(lambda v, g: momentum * v + g, v, slope(p))
        return jax.tree.map(lambda p, v: p - rate * v, p, v), v

    state = (PARAMS, jax.tree.map(jnp.zeros_like, PARAMS))
    p = jax.lax.fori_loop(0, steps, step, state)[0]
    return LINEAR(p, X), LINEAR(p, XT)


@pytest.mark.parametrize("loss", [mse, cross_entropy])
def test_flow_is_the_limit_of_descent_in_short_steps(loss):
    predict_fn = predict.gradient_descent(loss, K_DD, Y, trace_axes=())
    ours = predict_fn(20.0, F0, FT0, K_TD)
    # Euler's method errs in proportion to its step: extrapolated from two of them
    coarse, fine = (trained(loss, 20.0 / n, n) for n in (1000, 2000))
    for a, b, c in zip(ours, coarse, fine, strict=True):
        np.testing.assert_allclose(a, 2 * c - b, rtol=2e-4, atol=2e-4)


def test_momentum_is_that_of_short_steps():
    rate, momentum, steps = 0.01, 0.9, 300
    predict_fn = predict.gradient_descent(mse, K_DD, Y, rate, momentum, trace_axes=())
    ours = predict_fn(float(steps), F0, FT0, K_TD)
    for a, b in zip(ours, trained(mse, rate, steps, momentum), strict=True):
        # the flow is a first-order picture of steps whose friction is 1 - momentum = 0.1 each
        np.testing.assert_allclose(a, b, atol=0.06 * np.abs(Y - F0).max())


def test_training_goes_on_from_a_state():
    predict_fn = predict.gradient_descent(mse, K_DD, Y, 0.5, 0.7, trace_axes=())
    start = predict.ODEState(F0, FT0)
    half = predict_fn(3.0, start, None, K_TD)
    whole = predict_fn(np.array([3.0, 8.0]), start, None, K_TD)
    resumed = predict_fn(5.0, half, None, K_TD)
    for name in ("fx_train", "fx_test", "qx_train", "qx_test"):
        np.testing.assert_allclose(
            getattr(resumed, name), getattr(whole, name)[1], rtol=1e-3, atol=1e-4
        )
    with pytest.raises(InputError, match="momentum"):
        predict.gradient_descent(mse, K_DD, Y, 0.5, trace_axes=())(1.0, half, None, K_TD)


def test_squared_loss_in_closed_form_is_the_flow():
    closed = predict.gradient_descent_mse(K_DD, Y, 0.7, trace_axes=())
    ode = predict.gradient_descent(mse, K_DD, Y, 0.7, trace_axes=())
    for a, b in zip(closed(TIMES, F0, FT0, K_TD), ode(TIMES, F0, FT0, K_TD), strict=True):
        assert a.shape[:2] == TIMES.shape
        np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-4)


def test_vectors_of_times_compile_and_map():
    predict_fn = predict.gradient_descent_mse(K_DD, Y, trace_axes=())
    whole = predict_fn(TIMES, F0, FT0, K_TD)
    compiled = jax.jit(predict_fn)(TIMES, F0, FT0, K_TD)
    mapped = jax.vmap(lambda t: predict_fn(t, F0, FT0, K_TD))(TIMES.ravel())
    for a, b, c in zip(whole, compiled, mapped, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5)
        np.testing.assert_allclose(a.reshape(c.shape), c, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(predict_fn(None, F0), Y, atol=1e-4)
    assert predict_fn(1.0, None, FT0, K_TD).shape == (4, 2)


@pytest.mark.parametrize("get", ["nngp", "ntk"])
@pytest.mark.parametrize("t", [0.0, 5.0, None])
def test_ensembles_have_the_mean_and_covariance_of_their_formulas(get, t):
    both = ("nngp", "ntk")
    with jax.enable_x64(True):
        dd, td, tt = (
            jax.tree.map(np.asarray, KERNEL(*pair, both))
            for pair in ((X, None), (XT, X), (XT, None))
        )
        found = predict.gradient_descent_mse_ensemble(KERNEL, X, Y)(t, XT, get, True)
    k = getattr(dd, get)
    if t is None:
        gone, gone2 = np.linalg.inv(k), np.linalg.inv(k)
    else:  # half the mean square over 12 entries
        eye = np.eye(6)
        gone, gone2 = (np.linalg.solve(k, eye - linalg.expm(-c * t * k / Y.size)) for c in (1, 2))
    mean = getattr(td, get) @ gone @ Y
    if get == "nngp":
        covariance = tt.nngp - td.nngp @ gone2 @ td.nngp.T
    else:
        a = td.ntk @ gone
        covariance = tt.nngp - a @ td.nngp.T - td.nngp @ a.T + a @ dd.nngp @ a.T
    np.testing.assert_allclose(found.mean, mean, rtol=1e-6, atol=1e-8)
    np.testing.assert_allclose(found.covariance, covariance, rtol=1e-6, atol=1e-8)


def test_inference_is_the_end_of_training():
    with jax.enable_x64(True):
        both = ("nngp", "ntk")
        dd, td, tt = KERNEL(X, None, both), KERNEL(XT, X, both), KERNEL(XT, None, both)
        infer = predict.gp_inference(dd, Y, diag_reg=1e-3)
        out = infer(("nngp", "ntk", "ntkgp"), td, tt)
        regular = np.asarray(dd.ntk) + 1e-3 * np.trace(dd.ntk) / 6 * np.eye(6)
        np.testing.assert_allclose(out.ntk.mean, td.ntk @ np.linalg.solve(regular, Y), rtol=1e-8)
        np.testing.assert_allclose(
            out.ntkgp.covariance,
            tt.ntk - td.ntk @ np.linalg.solve(regular, td.ntk.T),
            rtol=1e-6,
            atol=1e-9,
        )
        absolute = predict.gp_inference(dd, Y, 0.3, diag_reg_absolute_scale=True)
        np.testing.assert_allclose(
            absolute("nngp", td), td.nngp @ np.linalg.solve(dd.nngp + 0.3 * np.eye(6), Y), rtol=1e-8
        )
        with pytest.raises(ValueError, match="NNGP"):
            predict.gp_inference(dd.ntk, Y)("ntk", td.ntk, tt.nngp)


def test_ensembles_of_batched_kernels_with_keyword_arguments():
    nodes, others = RNG.normal(size=(6, 4, 3)), RNG.normal(size=(4, 4, 3))
    nodes, others = nodes.astype(np.float32), others.astype(np.float32)
    p, q = RNG.random((6, 4, 4)), RNG.random((4, 4, 4))
    kernel_fn = stax.serial(
        stax.Dense(8), stax.Relu(), stax.Aggregate(), stax.GlobalAvgPool(), stax.Dense(1)
    )[2]
    answers = [
        predict.gradient_descent_mse_ensemble(fn, nodes, Y, diag_reg=1e-3, pattern=(p, p))(
            5.0, others, ("ntk", "nngp"), True, pattern=(q, q)
        )
        for fn in (kernel_fn, nt.batch(kernel_fn, 2))
    ]
    for a, b in zip(*map(jax.tree.leaves, answers), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5)


def test_the_largest_step_is_where_descent_stops_to_converge():
    with jax.enable_x64(True):
        kernel = jnp.asarray(KERNEL(X, None, "ntk"))
        for momentum in (0.0, 0.6):
            limit = predict.max_learning_rate(kernel, Y.size, momentum)
            for factor, converges in ((0.98, True), (1.02, False)):
                f, v = jnp.zeros(Y.shape), jnp.zeros(Y.shape)
                for _ in range(400):
                    v = momentum * v + (f - Y) / Y.size
                    f = f - factor * limit * kernel @ v
                assert (float(jnp.abs(f).max()) < 1e2) == converges
    assert predict.max_learning_rate(K_DD) > 0


@pytest.mark.parametrize(
    "use",
    [
        lambda: predict.gradient_descent_mse(K_DD, Y),
        lambda: predict.gradient_descent_mse(K_DD, Y, trace_axes=())(1.0, F0, FT0),
        lambda: predict.gradient_descent(mse, K_DD, Y, trace_axes=())(None, F0),
        lambda: predict.gradient_descent_mse_ensemble(KERNEL, X, Y)(1.0, XT, "cov1"),
        lambda: predict.gradient_descent_mse(np.ones((6, 6)), Y)(None, F0),
        lambda: predict.max_learning_rate(np.zeros((3, 3))),
    ],
)
def test_what_does_not_fit_is_refused(use):
    with pytest.raises(InputError):
        use()
