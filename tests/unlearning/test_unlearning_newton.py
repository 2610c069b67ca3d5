"""The Newton step against dense algebra in float64, and against the tangent kernel."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.flatten_util import ravel_pytree

from theorylab import ntk
from theorylab import unlearning as u
from theorylab.unlearning.newton import conjugate_gradients

KEY = jax.random.key(13)


def jacobian(network, model, x):
    """(n, c, P) in float64, and the outputs (n, c)."""
    flat, back = ravel_pytree(model.params)
    f = lambda p: network.evaluate(back(p), model.state, x)  # noqa: E731
    return np.asarray(jax.jacobian(f)(flat), np.float64), np.asarray(f(flat), np.float64)


def softmax(z):
    p = np.exp(z - z.max(1, keepdims=True))
    return p / p.sum(1, keepdims=True)


@pytest.mark.long
@pytest.mark.parametrize("target", ["retain", "influence"])
def test_the_step_solves_the_damped_gauss_newton_system(target, mlp, poisoned):
    model = u.pretrain(mlp, poisoned, u.Budget(60, 8, 0.1), key=KEY)
    forget = np.asarray(u.identified_subset(poisoned.manipulated, 0.5, key=KEY))
    x, y = poisoned.batch(jnp.arange(40))
    j, z = jacobian(mlp, model, x)
    p = softmax(z)
    r = p - np.eye(3)[np.asarray(y)]
    curvature = p[:, :, None] * (np.eye(3) - p[:, None])
    kept = np.flatnonzero(~forget)
    h = np.einsum("ncp,ncd,ndq->pq", j[kept], curvature[kept], j[kept]) / len(kept)
    rows, sign = (kept, 1) if target == "retain" else (np.flatnonzero(forget), -1)
    g = sign * np.einsum("ncp,nc->p", j[rows], r[rows]) / len(kept)
    expected = -np.linalg.solve(h + 0.1 * np.eye(len(h)), g)
    found = u.tangent_newton_step(
        mlp, model, poisoned, forget, damping=0.1, steps=60, target=target
    )
    step = ravel_pytree(found.model.params)[0] - ravel_pytree(model.params)[0]
    np.testing.assert_allclose(step, expected, atol=2e-3 * np.abs(expected).max())
    assert float(found.residual) < 1e-3


@pytest.mark.long
def test_for_squared_loss_it_is_kernel_ridge_with_the_tangent_kernel(mlp, poisoned):
    """delta = -J^T (K / (c n) + damping / 2)^-1 r / (c n): the dual form, K from theorylab.ntk."""
    model = u.pretrain(mlp, poisoned, u.Budget(60, 8, 0.1), key=KEY)
    forget = np.asarray(poisoned.manipulated)
    x, y = poisoned.batch(jnp.flatnonzero(~forget))
    n, c = len(x), 3
    kernel = ntk.empirical_ntk(lambda p, x: mlp.evaluate(p, {}, x), model.params, x, reduce="full")
    kernel = np.asarray(kernel, np.float64).reshape(n, n, c, c).transpose(0, 2, 1, 3)
    kernel = kernel.reshape(n * c, n * c)
    j, z = jacobian(mlp, model, x)
    r = (z - np.eye(c)[np.asarray(y)]).ravel()
    dual = np.linalg.solve(kernel / (c * n) + 0.05 / 2 * np.eye(n * c), r / (c * n))
    expected = -j.reshape(n * c, -1).T @ dual
    found = u.tangent_newton_step(mlp, model, poisoned, forget, damping=0.05, steps=80, loss="mse")
    step = ravel_pytree(found.model.params)[0] - ravel_pytree(model.params)[0]
    np.testing.assert_allclose(step, expected, atol=2e-3 * np.abs(expected).max())


def test_on_a_linear_model_newton_steps_converge_to_the_retrained_one(linear, poisoned):
    """A linear network is its own linearisation: repeated steps minimise the retain loss."""
    forget = poisoned.manipulated
    model = linear.init(KEY)
    for _ in range(30):
        model = u.tangent_newton_step(linear, model, poisoned, forget, damping=0.02, steps=60).model
    x, y = poisoned.batch(jnp.flatnonzero(~forget))
    r = softmax(np.asarray(linear.logits(model, x), np.float64)) - np.eye(3)[np.asarray(y)]
    gradient = np.asarray(x, np.float64).reshape(len(x), -1).T @ r / len(x)
    first = softmax(np.zeros((len(x), 3))) - np.eye(3)[np.asarray(y)]
    start = np.asarray(x, np.float64).reshape(len(x), -1).T @ first / len(x)
    assert np.abs(gradient).max() < 0.05 * np.abs(start).max()


def test_conjugate_gradients_solve_and_then_stand_still():
    rng = np.random.default_rng(0)
    a = rng.normal(size=(6, 6)).astype("f")
    a = a @ a.T + np.eye(6, dtype="f")
    b = rng.normal(size=6).astype("f")
    expected = np.linalg.solve(a.astype(float), b)
    for steps in (12, 60):
        np.testing.assert_allclose(
            conjugate_gradients(lambda v: a @ v, b, steps), expected, rtol=1e-3, atol=1e-4
        )
    np.testing.assert_array_equal(conjugate_gradients(lambda v: a @ v, 0 * b, 5), 0 * b)
