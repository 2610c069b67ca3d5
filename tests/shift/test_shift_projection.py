from fractions import Fraction

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from theorylab.errors import InputError
from theorylab.nets import cross_entropy, functional, functional_train
from theorylab.shift import (
    FineTuning,
    PseudoTraining,
    batch_order,
    finetune,
    projection_norm,
    projection_norms,
    pseudo_labels,
)

KEY = jax.random.key(0)
RNG = np.random.default_rng(0)
X, Y = RNG.normal(size=(20, 5)).astype(np.float32), RNG.integers(0, 3, 20)
THETA0 = {"w": jnp.asarray(RNG.normal(size=(5, 3)), jnp.float32), "b": jnp.zeros(3)}
RECIPE = FineTuning(steps=7, lr=0.1, batch_size=8)


def linear(params, x):
    return x @ params["w"] + params["b"]


def by_hand(recipe, x, y, period=None):
    """The same training of softmax regression, in NumPy: momentum, and half a cosine over the
    period."""
    w, b, vw, vb = np.asarray(THETA0["w"], float), np.zeros(3), 0.0, 0.0
    for t, rows in enumerate(np.asarray(batch_order(KEY, len(x), recipe.steps, recipe.batch_size))):
        z = np.asarray(x, float)[rows] @ w + b
        p = np.exp(z) / np.exp(z).sum(1, keepdims=True)
        residual = (p - np.eye(3)[y[rows]]) / len(rows)
        vw, vb = recipe.momentum * vw + x[rows].T @ residual, recipe.momentum * vb + residual.sum(0)
        rate = recipe.lr * (1 + np.cos(np.pi * t / (period or recipe.steps))) / 2
        w, b = w - rate * vw, b - rate * vb
    return {"w": jnp.asarray(w, jnp.float32), "b": jnp.asarray(b, jnp.float32)}


def close(a, b, tolerance=1e-5):
    assert float(projection_norm(a, b)) < tolerance * max(1.0, float(projection_norm(a, THETA0)))


@pytest.mark.long
def test_fine_tuning_is_gradient_descent_with_momentum_and_cosine():
    close(finetune(linear, THETA0, X, Y, RECIPE, key=KEY), by_hand(RECIPE, X, Y))
    other = FineTuning(steps=7, lr=0.1, batch_size=8, period=28)
    close(finetune(linear, THETA0, X, Y, other, key=KEY), by_hand(RECIPE, X, Y, period=28))
    assert np.ptp(FineTuning(5, schedule="constant").rates()) == 0


def test_batches_are_epochs_of_a_permutation():
    order = np.asarray(batch_order(KEY, 10, 7, 3))
    assert order.shape == (7, 3)
    assert all(len(set(epoch.ravel().tolist())) == epoch.size for epoch in (order[:3], order[3:6]))


@pytest.mark.parametrize("set_axis", [None, "threads", "host", "map", "vmap"])
def test_many_sets_are_each_alone_however_they_are_run(set_axis):
    sets, labels = np.stack([X, 2 * X, X + 1]), np.stack([Y, Y[::-1], Y])
    many = PseudoTraining(linear, RECIPE, set_axis=set_axis).many(THETA0, sets, labels, key=KEY)
    for s in range(3):
        close(jax.tree.map(lambda a, s=s: a[s], many), by_hand(RECIPE, sets[s], labels[s]))


def test_the_norm_is_the_distance_of_all_parameters():
    a, b = {"w": np.ones((2, 2)), "b": np.zeros(3)}, {"w": np.zeros((2, 2)), "b": np.full(3, 2.0)}
    assert float(projection_norm(a, b)) == pytest.approx(4.0)
    assert float(projection_norm(a, a)) == 0.0


def test_the_norm_of_float64_trees_has_their_digits():
    rng = np.random.default_rng(0)
    a = {"w": 1 + rng.normal(size=(40, 3)), "b": 1e3 + rng.normal(size=3)}
    change = {"w": 1e-9 * rng.normal(size=(40, 3)), "b": 1e-9 * rng.normal(size=3)}
    b = jax.tree.map(np.add, a, change)
    # what is left of the change after its rounding in b, in exact arithmetic
    left = [Fraction(v) - Fraction(u) for k in a for u, v in zip(a[k].flat, b[k].flat, strict=True)]
    wanted = float(sum(d * d for d in left)) ** 0.5
    found = projection_norm(a, b)
    assert float(found) == pytest.approx(wanted, rel=1e-12) and np.asarray(found).dtype == float
    # squares beyond the range of the numbers, of either precision
    for size in (1e-30, 1e-200, 1e200):
        far = {"w": np.array([3 * size, 0.0]), "b": np.array([4 * size])}
        zero = jax.tree.map(np.zeros_like, far)
        assert float(projection_norm(far, zero)) == pytest.approx(5 * size, rel=1e-14)
    single = jax.tree.map(lambda v: jnp.asarray(v, jnp.float32), (a, b))
    traced = jax.jit(projection_norm)(*single)
    np.testing.assert_allclose(traced, projection_norm(*single), rtol=1e-6)
    with pytest.raises(InputError, match="two different trees"):
        projection_norm(a, {"w": a["w"]})


@pytest.mark.long
def test_projection_norms_are_steps_1_to_4_by_hand():
    hat = jax.tree.map(lambda a: a + 0.3, by_hand(RECIPE, X, Y))
    sets = np.stack([X, X[::-1] * 1.5])
    found = projection_norms(linear, THETA0, hat, (X, Y), sets, RECIPE, key=KEY)
    reference = by_hand(RECIPE, X, Y)
    for s, x in enumerate(sets):
        labels = np.asarray(linear(hat, x)).argmax(1)
        np.testing.assert_array_equal(found.labels[s], labels)
        np.testing.assert_array_equal(pseudo_labels(linear, hat, x, batch_size=7), labels)
        tilde = by_hand(RECIPE, x, labels)
        assert found.values[s] == pytest.approx(float(projection_norm(reference, tilde)), rel=1e-4)
    base = projection_norms(
        linear, THETA0, hat, (X, Y), sets[:1], RECIPE, key=KEY, target="theta_hat"
    )
    tilde = by_hand(RECIPE, X, found.labels[0])
    assert base.values[0] == pytest.approx(float(projection_norm(hat, tilde)), rel=1e-4)
    again = projection_norms(
        linear, THETA0, hat, (X, Y), sets, RECIPE, key=KEY, target=found.target
    )
    np.testing.assert_allclose(again.values, found.values, rtol=1e-6)


def test_without_shift_and_with_its_own_labels_the_norm_is_zero():
    """theta_hat that labels the training set rightly: theta~ on the training inputs is the
    reference itself."""
    w = np.linalg.lstsq(np.c_[X, np.ones(20)], np.eye(20), rcond=None)[0]
    hat = {"w": jnp.asarray(w[:5, :3], jnp.float32), "b": jnp.asarray(w[5, :3], jnp.float32)}
    y = np.asarray(linear(hat, X)).argmax(1)
    found = projection_norms(linear, THETA0, hat, (X, y), [X], RECIPE, key=KEY)
    assert found.values[0] == 0.0


class Normed(nnx.Module):
    def __init__(self, rngs):
        self.norm, self.head = nnx.BatchNorm(5, rngs=rngs), nnx.Linear(5, 3, rngs=rngs)

    def __call__(self, x):
        return self.head(self.norm(x))


@pytest.mark.long
def test_batch_norm_trains_in_train_mode_and_its_statistics_are_no_parameters():
    model = Normed(nnx.Rngs(0))
    f, theta0 = functional(model)
    apply, params, state = functional_train(model)
    found = finetune(
        f, theta0, X, Y, FineTuning(1, 0.1, batch_size=20), key=KEY, train_mode=(apply, state)
    )
    assert jax.tree.structure(found) == jax.tree.structure(params)
    rows = batch_order(KEY, 20, 1, 20)[0]
    standard = (X - X.mean(0)) / np.sqrt(X.var(0) + 1e-5)

    def loss(p):
        z = (standard[rows] * p["norm"]["scale"] + p["norm"]["bias"]) @ p["head"]["kernel"] + p[
            "head"
        ]["bias"]
        return cross_entropy(z, jnp.asarray(Y)[rows]).mean()

    expected = jax.tree.map(lambda p, g: p - 0.1 * g, theta0, jax.jit(jax.grad(loss))(theta0))
    assert float(projection_norm(found, expected)) < 1e-5


@pytest.mark.parametrize(
    "call, named",
    [
        (lambda: FineTuning(steps=0), "steps"),
        (lambda: FineTuning(lr=-1.0), "lr"),
        (lambda: FineTuning(schedule="linear"), "schedule"),
        (lambda: FineTuning(period=0), "period"),
        (lambda: PseudoTraining(linear, RECIPE, set_axis="rows"), "set_axis"),
        (lambda: finetune(linear, THETA0, X[:4], Y[:4], RECIPE, key=KEY), "batch_size"),
        (lambda: finetune(linear, THETA0, X, Y[:4], RECIPE, key=KEY), "x, y"),
        (lambda: finetune(linear, THETA0, X, Y * 1.0, RECIPE, key=KEY), "x, y"),
        (lambda: finetune(linear, THETA0, X, Y, RECIPE, key=0), "key"),
        (lambda: finetune(linear, THETA0, X * np.nan, Y, RECIPE, key=KEY), "x"),
        (lambda: projection_norm(THETA0, {"w": 1.0}), "theta_ref, theta_tilde"),
        (
            lambda: projection_norm(THETA0, {"w": jnp.ones(2), "b": jnp.ones(3)}),
            "theta_ref, theta_tilde",
        ),
    ],
)
def test_bad_input_is_named(call, named):
    with pytest.raises(InputError, match=f"^{named}( =| holds|:)"):
        call()


def test_trees_that_differ_and_shapes_that_differ_are_told_apart():
    one = {"w": np.ones((2, 3)), "b": np.ones(3)}
    with pytest.raises(InputError, match=r"arrays \(3,\) and \(2,\); equal shapes"):
        projection_norm(one, {**one, "b": np.ones(2)})
    with pytest.raises(InputError, match="two different trees"):
        projection_norm(one, {"w": one["w"]})


@pytest.mark.slow  # a process of its own with two devices
def test_sets_spread_over_devices_are_those_of_one_device():
    import os
    import subprocess
    import sys

    code = """
import jax, numpy as np
from jax.sharding import Mesh
from theorylab.shift import FineTuning, PseudoTraining
x = np.random.default_rng(0).normal(size=(3, 20, 5)).astype(np.float32)
y = (x.sum(2) > 0).astype(int)
theta0 = {"w": np.zeros((5, 3), np.float32)}
f = lambda p, x: x @ p["w"]
def run(**options):
    training = PseudoTraining(f, FineTuning(5, 0.1, batch_size=8), **options)
    return training.many(theta0, x, y, key=jax.random.key(0))["w"]
mesh = Mesh(np.array(jax.devices()), ("s",))
np.testing.assert_allclose(run(mesh=mesh), run(set_axis="host"), atol=1e-6)
"""
    env = os.environ | {"XLA_FLAGS": "--xla_force_host_platform_device_count=2"}
    assert subprocess.run([sys.executable, "-c", code], env=env, check=False).returncode == 0
