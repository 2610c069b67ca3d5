"""Training: the losses against their definitions, the schedules, and what a run must do."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from theorylab import robustness as rb
from theorylab.errors import InputError
from theorylab.robustness import LineUnion, LpBall, Recipe, Schedule, Watch
from theorylab.robustness.evaluation import errors_of_many
from theorylab.robustness.objectives import KINDS, Batch, Moment, objective, worst_case_loss
from theorylab.robustness.regularisers import fast_ibp_penalty

KEY = jax.random.key(0)


@pytest.fixture(scope="module")
def setting():
    x, y = rb.concentric_spheres(KEY, 40, 5, 1.0, 4.0)
    return rb.dense_params(jax.random.key(1), (5, 16, 2)), x, y


def batch(setting, threat, ramp=1.0):
    params, x, y = setting
    return Batch(rb.dense_network, params, x, y, threat, Moment(threat.eps, 1.0, ramp, KEY))


@pytest.mark.long
def test_with_no_perturbation_every_loss_is_the_cross_entropy(setting):
    params, x, y = setting
    clean = optax.softmax_cross_entropy_with_integer_labels(rb.dense_network(params, x), y)
    for kind in KINDS:
        recipe = Recipe(kind, regulariser_weight=0.0)
        got = objective(recipe, batch(setting, LpBall(0.0, 2)))
        np.testing.assert_allclose(got, clean, atol=1e-5, err_msg=kind)


@pytest.mark.long
def test_certified_losses_are_above_the_adversarial_one_and_that_above_the_clean(setting):
    params, x, y = setting
    clean = optax.softmax_cross_entropy_with_integer_labels(rb.dense_network(params, x), y)
    for threat in (LpBall(0.3), LpBall(0.5, 2), LineUnion(0.7, np.eye(5)[:2])):
        found = {
            kind: np.asarray(objective(Recipe(kind, clean_share=0.0), batch(setting, threat)))
            for kind in ("adversarial", "ibp", "coap", "crown-ibp")
        }
        assert (found["adversarial"] >= clean - 1e-5).all()
        for kind in ("ibp", "coap", "crown-ibp"):
            assert (found[kind] >= found["adversarial"] - 1e-5).all(), (threat, kind)


@pytest.mark.long
def test_the_certified_loss_of_two_classes_is_the_softplus_of_the_margin(setting):
    params, x, y = setting
    lower = rb.certified_margins(
        rb.dense_network, params, x, y, LpBall(0.5, 2), method="coap"
    ).lower
    got = objective(Recipe("coap"), batch(setting, LpBall(0.5, 2)))
    np.testing.assert_allclose(got, jax.nn.softplus(-lower[:, 0]), rtol=1e-5)
    np.testing.assert_allclose(worst_case_loss(lower), jax.nn.softplus(-lower[:, 0]), rtol=1e-5)


@pytest.mark.long
def test_gradients_of_every_loss_are_finite_also_with_dead_neurons(setting):
    params, *_ = setting
    dead = [{"w": params[0]["w"], "b": params[0]["b"] - 1e3}, params[1]]
    for kind in KINDS:
        for p in (params, dead):
            b = batch(setting, LpBall(0.3, 2))._replace(params=p)
            gradient = jax.grad(
                lambda q, b=b, k=kind: objective(Recipe(k), b._replace(params=q)).mean()
            )(p)
            assert all(bool(jnp.isfinite(a).all()) for a in jax.tree.leaves(gradient)), kind


@pytest.mark.long
def test_mixtures_are_the_sums_they_say(setting):
    b = batch(setting, LpBall(0.3), ramp=1.0)
    adversarial, ibp = (
        np.asarray(objective(Recipe(k, clean_share=0.0), b)) for k in ("adversarial", "ibp")
    )
    mixed = np.asarray(objective(Recipe("mtl-ibp", ibp_share=0.3), b))
    np.testing.assert_allclose(mixed, 0.7 * adversarial + 0.3 * ibp, rtol=1e-5)
    half = np.asarray(objective(Recipe("ibp", clean_share=0.5), b))
    clean = np.asarray(objective(Recipe("standard"), b))
    np.testing.assert_allclose(half, 0.5 * clean + 0.5 * ibp, rtol=1e-5)
    # the small box of SABR with share 1 is the whole set
    whole = objective(Recipe("sabr", box_share=1.0), b)
    np.testing.assert_allclose(whole, ibp, rtol=1e-4)


def test_the_penalty_vanishes_where_intervals_do_not_grow_and_neurons_balance():
    params = [
        {"w": jnp.array([[0.2, -0.2]]), "b": jnp.zeros(2)},
        {"w": jnp.eye(2), "b": jnp.zeros(2)},
    ]
    x = jnp.array([[5.0], [4.0]])
    assert float(fast_ibp_penalty(rb.dense_network, params, x, LpBall(0.01), 0.5)) == 0
    wide = [{"w": 100 * params[0]["w"], "b": params[0]["b"]}, params[1]]
    # half-width grows 20 fold: relu(.5 - 1 / 20) / .5
    got = float(fast_ibp_penalty(rb.dense_network, wide, x, LpBall(0.01), 0.5))
    assert got == pytest.approx(0.9, abs=1e-5)


@pytest.mark.long
def test_ibp_initial_weights_keep_the_mean_width_of_intervals():
    params = rb.ibp_init(KEY, rb.dense_params(KEY, (200, 400, 400, 400, 10)))
    x = jax.random.uniform(KEY, (20, 200))
    found = rb.activation_bounds(rb.dense_network, params, x, LpBall(0.1), method="ibp")
    widths = [float((u - l).mean()) for l, u in zip(found.lower, found.upper, strict=True)]
    assert max(widths) / min(widths) < 1.6


def test_the_ramp_of_eps_is_linear_or_smooth_and_ends_at_the_target():
    schedule = Schedule(epochs=10, warmup=1, ramp=4, start=0.1, shape="linear")
    assert float(schedule.eps_share(9, 10)) == 0
    assert float(schedule.eps_share(10, 10)) == pytest.approx(0.1)
    assert float(schedule.eps_share(30, 10)) == pytest.approx(0.55)
    assert float(schedule.eps_share(50, 10)) == float(schedule.eps_share(90, 10)) == 1.0
    # the smoothed one is continuous with one slope at the quarter, and ends at 1
    h = 1e-4
    with jax.enable_x64(True):
        r = [float(rb.smooth_ramp(s)) for s in (0.25 - h, 0.25, 0.25 + h, 1.0)]
    assert r[3] == pytest.approx(1.0)
    assert (r[2] - r[1]) / h == pytest.approx((r[1] - r[0]) / h, rel=2e-3)


@pytest.mark.long
def test_adversarial_training_lowers_the_robust_error_that_standard_training_leaves(setting):
    x, y = rb.linear_signal(KEY, 60, 20, 2.0)
    params = rb.dense_params(KEY, (20, 32, 2))
    threat, schedule = LpBall(1.0, 2), Schedule(60, 60, 0.05, optimizer="sgd", momentum=0.9)
    error = {}
    for kind in ("standard", "adversarial", "coap"):
        found = rb.train_robust(
            rb.dense_network,
            params,
            (x, y),
            threat,
            Recipe(kind),
            schedule,
            key=KEY,
            watch=Watch((x, y), 60, certify="coap"),
        )
        error[kind] = found.robust[-1]
        assert found.robust.shape == (60,)
        assert (found.standard <= found.robust).all() and (
            found.robust <= found.certified + 1e-6
        ).all()
        assert found.loss[-1] < found.loss[0]
    assert error["adversarial"] < error["standard"] - 0.05 or error["standard"] == 0


@pytest.mark.long
def test_a_run_among_many_is_the_run_alone():
    x, y = rb.concentric_spheres(KEY, 30, 4, 1.0, 3.0)
    keys = jax.random.split(KEY, 3)
    starts = [rb.dense_params(k, (4, 12, 2)) for k in keys]
    threat, schedule = LpBall(0.2, 2), Schedule(5, 10, optimizer="sgd", momentum=0.9, ramp=3)
    eps, rates = [0.1, 0.2, 0.3], [0.05, 0.02, 0.01]
    many = rb.train_robust_many(
        rb.dense_network,
        jax.tree.map(lambda *a: jnp.stack(a), *starts),
        (jnp.stack([x] * 3), jnp.stack([y] * 3)),
        threat,
        Recipe("coap"),
        schedule,
        runs=rb.Runs(keys, eps, rates),
    )
    for i in range(3):
        alone = rb.train_robust(
            rb.dense_network,
            starts[i],
            (x, y),
            LpBall(eps[i], 2),
            Recipe("coap"),
            dataclasses.replace(schedule, learning_rate=rates[i]),
            key=keys[i],
        )
        np.testing.assert_allclose(many.loss[i], alone.loss, rtol=1e-4)
        for a, b in zip(jax.tree.leaves(many.params), jax.tree.leaves(alone.params), strict=True):
            np.testing.assert_allclose(a[i], b, atol=1e-5)


@pytest.mark.long
def test_a_run_that_diverges_is_said_to():
    x, y = rb.concentric_spheres(KEY, 20, 4, 1.0, 3.0)
    with pytest.raises(InputError, match="learning_rate: the loss is not finite"):
        rb.train_robust(
            rb.dense_network,
            rb.dense_params(KEY, (4, 8, 2)),
            (x, y),
            LpBall(0.1),
            Recipe("trades"),
            Schedule(20, 20, 1e20, optimizer="sgd"),
            key=KEY,
        )


@pytest.mark.long
def test_a_network_that_is_not_a_number_is_wrong_everywhere():
    params = jax.tree.map(
        lambda a: jnp.full_like(a, jnp.nan)[None], rb.dense_params(KEY, (4, 8, 2))
    )
    x, y = rb.concentric_spheres(KEY, 10, 4, 1.0, 3.0)
    found = errors_of_many(
        rb.dense_network, params, (x[None], y[None]), LpBall(1.0, 2), np.array([0.1]), key=KEY
    )
    assert float(found.standard[0]) == float(found.robust[0]) == 1.0


def test_spheres_and_the_linear_signal_are_where_they_should_be():
    x, y = rb.concentric_spheres(KEY, 500, 7, 2.0, 5.0)
    np.testing.assert_allclose(jnp.linalg.norm(x, axis=1), jnp.where(y == 1, 5.0, 2.0), rtol=1e-5)
    x, y = rb.linear_signal(KEY, 4000, 4, 3.0, 0.5)
    np.testing.assert_array_equal(x[:, 0], jnp.where(y == 1, 3.0, -3.0))
    # 12,000 normal entries: a standard deviation is off by .5 / sqrt(24000) = .0032
    assert float(x[:, 1:].std()) == pytest.approx(0.5, abs=0.013)
