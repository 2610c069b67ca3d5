import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from theorylab.errors import InputError
from theorylab.nets import cross_entropy
from theorylab.robustness import fgsm, pgd, project

RNG = np.random.default_rng(0)
W = RNG.normal(size=(6, 3)).astype(np.float32)
X = RNG.uniform(0.3, 0.7, size=(9, 6)).astype(np.float32)
Y = RNG.integers(0, 3, 9)


def linear(params, x):
    return x.reshape(len(x), -1) @ params


def input_gradient():
    """Gradient of the cross-entropy of softmax(x W) by hand: W (p - e_y)."""
    z = X @ W
    p = np.exp(z - z.max(1, keepdims=True))
    p /= p.sum(1, keepdims=True)
    return (p - np.eye(3)[Y]) @ W.T


def test_one_step_is_the_sign_of_the_gradient_or_the_gradient_itself():
    g = input_gradient()
    np.testing.assert_allclose(fgsm(linear, W, X, Y, eps=0.1), X + 0.1 * np.sign(g), atol=1e-6)
    unit = g / np.linalg.norm(g, axis=1, keepdims=True)
    np.testing.assert_allclose(fgsm(linear, W, X, Y, eps=0.1, norm="l2"), X + 0.1 * unit, atol=1e-5)


def test_on_two_classes_the_linear_attack_is_the_dual_norm():
    """For two classes the worst l2 step is along the weights' difference, the worst l-inf step
    along its signs."""
    w, y = W[:, :2], np.zeros(9, int)
    along = w[:, 1] - w[:, 0]
    for norm, fall in (("l2", np.linalg.norm(along)), ("linf", np.abs(along).sum())):
        found = pgd(linear, w, X, y, eps=0.05, norm=norm, steps=8)
        margin = (np.asarray(found) - X) @ along
        np.testing.assert_allclose(margin, 0.05 * fall, rtol=1e-4)


@given(st.sampled_from(["linf", "l2"]), st.floats(0, 0.6), st.booleans())
def test_attacks_stay_in_the_ball_and_in_the_bounds(norm, eps, random):
    found = np.asarray(
        pgd(linear, W, X, Y, eps=eps, norm=norm, steps=3, key=jax.random.key(1) if random else None)
    )
    away = (found - X).reshape(9, -1)
    size = np.abs(away).max(1) if norm == "linf" else np.linalg.norm(away, axis=1)
    assert size.max() <= eps * (1 + 1e-5) + 1e-6 and found.min() >= 0 and found.max() <= 1


def test_the_loss_rises_with_eps_and_falls_when_targeted():
    def loss(x):
        return float(cross_entropy(linear(W, x), jnp.asarray(Y)).sum())

    losses = [loss(pgd(linear, W, X, Y, eps=e)) for e in (0.0, 0.05, 0.2)]
    assert losses[0] == pytest.approx(loss(X)) and losses[0] < losses[1] < losses[2]
    assert loss(pgd(linear, W, X, Y, eps=0.2, targeted=True)) < losses[0]


def test_batches_and_outer_jit_change_nothing():
    whole = pgd(linear, W, X, Y, eps=0.1)
    np.testing.assert_allclose(pgd(linear, W, X, Y, eps=0.1, batch_size=4), whole, atol=1e-6)
    inside = jax.jit(lambda x: pgd(linear, W, x, jnp.asarray(Y), eps=0.1))(jnp.asarray(X))
    np.testing.assert_allclose(inside, whole, atol=1e-6)


def test_a_flat_loss_and_a_tiny_gradient_give_numbers():
    still = pgd(linear, 0 * W, X, Y, eps=0.1, norm="l2")
    np.testing.assert_allclose(still, X, atol=1e-6)
    tiny = pgd(
        lambda p, x: 1e-25 * linear(p, x), W, X, Y, eps=0.1, norm="l2", steps=1, step_size=0.1
    )
    assert np.linalg.norm(np.asarray(tiny) - X, axis=1).min() > 0.09


def test_projection_is_the_nearest_point_of_the_ball():
    x = RNG.normal(size=(5, 4))
    for norm in ("linf", "l2"):
        found = np.asarray(project(x, np.zeros_like(x), 0.5, norm=norm))
        expected = (
            x.clip(-0.5, 0.5)
            if norm == "linf"
            else x / np.maximum(1, np.linalg.norm(x, axis=1, keepdims=True) * 2)
        )
        np.testing.assert_allclose(found, expected, atol=1e-6)


@pytest.mark.parametrize(
    "change, named",
    [
        ({"x": X.astype(int)}, "x"),
        ({"y": Y[:3]}, "x, y"),
        ({"y": Y.astype(float)}, "y"),
        ({"eps": -1.0}, "eps"),
        ({"eps": np.nan}, "eps"),
        ({"norm": "l1"}, "norm"),
        ({"steps": 0}, "steps"),
        ({"step_size": -1.0}, "step_size"),
        ({"x": X + 5}, "x"),
        ({"x": X * np.nan}, "x"),
        ({"batch_size": 0}, "batch_size"),
        ({"x": X[:0], "y": Y[:0]}, "x"),
    ],
)
def test_bad_input_is_named(change, named):
    given_ = {"x": X, "y": Y, "eps": 0.1} | change
    with pytest.raises(InputError, match=f"^{named}"):
        pgd(linear, W, given_.pop("x"), given_.pop("y"), **given_)
