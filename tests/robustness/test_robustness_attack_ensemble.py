"""Attacks stay in their set, find what a search finds, and never beat a certificate."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
import small_networks as small

from theorylab import robustness as rb
from theorylab.errors import InputError
from theorylab.robustness import LineUnion, LpBall, apgd
from theorylab.robustness.attack_ensemble import KINDS

N, D = 120, 6


@pytest.fixture(scope="module")
def trained():
    """(f, params, x, y): a small network that has learned three classes."""
    rng = np.random.default_rng(0)
    x = rng.uniform(size=(N, D)).astype(np.float32)
    y = (x[:, 0] > 0.5).astype(int) + (x[:, 1] > 0.5)
    params = rb.dense_params(jax.random.key(1), (D, 24, 3))
    adam = optax.adam(2e-2)

    @jax.jit
    def step(params, state):
        def loss(p):
            logits = rb.dense_network(p, jnp.asarray(x))
            return optax.softmax_cross_entropy_with_integer_labels(logits, jnp.asarray(y)).mean()

        update, state = adam.update(jax.grad(loss)(params), state)
        return optax.apply_updates(params, update), state

    state = adam.init(params)
    for _ in range(300):
        params, state = step(params, state)
    return rb.dense_network, params, x, y


BALLS = [LpBall(0.05, clip=(0.0, 1.0)), LpBall(0.1, 2, (0.0, 1.0))]


@pytest.mark.long
@pytest.mark.parametrize("threat", BALLS, ids=["linf", "l2"])
def test_no_attack_leaves_its_set_or_beats_the_certificate(trained, threat):
    f, params, x, y = trained
    clean = float((np.asarray(f(params, x)).argmax(1) != y).mean())
    certified = rb.certified_error(f, params, x, y, threat, method="alpha-crown")
    worst = {}
    for kind in KINDS:
        found = rb.attack_ensemble(
            f,
            params,
            x,
            y,
            threat,
            key=jax.random.key(0),
            effort=rb.Effort(20, attacks=(kind,), queries=100),
        )
        away = np.asarray(found.x) - x
        length = np.abs(away).max() if threat.p == np.inf else np.linalg.norm(away, axis=1).max()
        assert length <= threat.eps * (1 + 1e-5)
        assert (np.asarray(found.x) >= 0).all() and (np.asarray(found.x) <= 1).all()
        margin = np.asarray(apgd.margin(f(params, found.x), jnp.asarray(y)))
        np.testing.assert_allclose(found.margin, margin, atol=1e-5)
        worst[kind] = float(found.error)
        assert clean <= worst[kind] <= certified
    assert max(worst.values()) > clean + 0.05  # the attacks do find something


@pytest.mark.long
def test_the_ensemble_is_at_least_as_strong_as_each_of_its_attacks(trained):
    f, params, x, y = trained
    key, effort = jax.random.key(0), rb.Effort(20, queries=50)
    whole = rb.attack_ensemble(f, params, x, y, BALLS[0], key=key, effort=effort)
    for kind in ("apgd-ce", "apgd-dlr"):
        alone = dataclasses.replace(effort, attacks=(kind,))
        one = rb.attack_ensemble(f, params, x, y, BALLS[0], key=key, effort=alone)
        assert float(whole.error) >= float(one.error)
    clean = np.asarray(f(params, x)).argmax(1) != y
    assert (np.asarray(whole.by) == -2).tolist() == clean.tolist()
    assert ((np.asarray(whole.by) == -1) == np.asarray(whole.robust)).all()


@pytest.mark.long
def test_auto_pgd_finds_the_exact_minimum_of_a_linear_classifier():
    rng = np.random.default_rng(0)
    w = rng.standard_normal((5, 3))
    x, y = rng.standard_normal((10, 5)), rng.integers(0, 3, 10)
    logits = x @ w
    for p, q, eps in ((np.inf, 1, 0.1), (2, 2, 0.3)):
        found = rb.attack_ensemble(
            lambda v, z: z @ v,
            jnp.asarray(w),
            x,
            y,
            LpBall(eps, p),
            key=jax.random.key(0),
            effort=rb.Effort(40, attacks=("apgd-targeted",)),
        )
        for i in range(10):
            others = [t for t in range(3) if t != y[i]]
            lowest = min(
                logits[i, y[i]] - logits[i, t] - eps * np.linalg.norm(w[:, y[i]] - w[:, t], ord=q)
                for t in others
            )
            # a sample that is broken is left alone, so its margin need not be the smallest
            value = float(found.margin[i])
            assert value >= lowest - 1e-4
            if lowest > 0:
                assert value == pytest.approx(lowest, abs=2e-3)
            else:
                assert value <= 0 or value == pytest.approx(lowest, abs=2e-3)


@pytest.mark.long
def test_the_line_attack_finds_the_exact_minimum_over_the_segments():
    with jax.enable_x64(True):
        for seed in range(6):
            params, x = small.random_mlp(seed, (4, 8, 3))
            lines = LineUnion(
                0.5, np.linalg.qr(np.random.default_rng(seed).standard_normal((4, 2)))[0].T
            )
            label = int(small.dense_numpy(params, x).argmax())
            others = [t for t in range(3) if t != label]
            spec = np.eye(3)[label] - np.eye(3)[others]
            exact = rb.exact_minimum(small.dense, params, x, spec, lines).min()
            found = rb.line_attack(
                small.dense, params, x[None], np.array([label]), lines, points=201
            )
            assert float(found.margin[0]) >= exact - 1e-6
            assert float(found.margin[0]) == pytest.approx(exact, abs=1e-3 * (1 + abs(exact)))


def test_a_search_of_the_lines_is_weaker_than_one_of_their_hull():
    """The hull of the segments is an l1 ball at k = d: attacking it would overstate the error."""
    with jax.enable_x64(True):
        spec = np.array([[1.0, -1.0]])
        lines, ball = LineUnion(0.6, np.eye(2)), LpBall(0.6, 1)
        args = (small.example, small.EXAMPLE, small.EXAMPLE_X, spec)
        assert rb.exact_minimum(*args, lines)[0] > rb.exact_minimum(*args, ball)[0] + 0.1


def test_checkpoints_are_those_of_the_algorithm():
    flags = apgd.checkpoints(100)
    # p = 0, .22, .41, .57, .70, .80, .87, .93, .99: ends at which the step may be halved
    assert np.flatnonzero(flags).tolist() == [22, 41, 57, 70, 80, 87, 93, 99]
    assert flags[41] == 19 and flags[99] == 6


def test_the_ratio_loss_does_not_change_with_the_scale_and_the_shift_of_the_logits():
    rng = np.random.default_rng(0)
    logits, y = rng.standard_normal((20, 5)), rng.integers(0, 5, 20)
    with jax.enable_x64(True):
        one = apgd.dlr_loss(jnp.asarray(logits), jnp.asarray(y))
        other = apgd.dlr_loss(jnp.asarray(7 * logits + 3), jnp.asarray(y))
    np.testing.assert_allclose(one, other, rtol=1e-9)


def test_the_ratio_loss_is_refused_for_two_classes():
    params = {"w": jnp.ones((3, 2))}
    with pytest.raises(InputError, match="'apgd-dlr' needs three classes"):
        rb.attack_ensemble(
            lambda p, x: x @ p["w"],
            params,
            np.ones((2, 3)),
            np.array([0, 1]),
            LpBall(0.1),
            key=jax.random.key(0),
            effort=rb.Effort(attacks=("apgd-dlr",)),
        )
