"""The training loop, signals and success curves, against gradient descent written out in NumPy."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from theorylab import collective, nets
from theorylab.collective import (
    ERM,
    JTT,
    Chi2,
    CVaR,
    GroupDRO,
    LfF,
    Sample,
    Setting,
    Training,
)
from theorylab.errors import InputError

SGD = optax.sgd(0.5)
RULES = (ERM(), JTT(5, 4.0), LfF(ema=0.0, twin_rate=2.0), CVaR(0.3), Chi2(0.5), GroupDRO(0.1))
TRIGGER = collective.coordinate_trigger(6, 1.0)


def f(params, x):
    return x @ params[0] + params[1]


def zeros(key):
    return jnp.zeros((7, 3)), jnp.zeros(3)


def sample(key):
    a, b = jax.random.split(key)
    world = {"classes": 3, "dim": 6, "xi": 0.1}
    return Sample(
        *collective.gaussian_classes(a, 60, **world), *collective.gaussian_classes(b, 40, **world)
    )


SETTING = Setting(f, zeros, sample, TRIGGER, 0)


def fit(f, params, x, y, *, key, members=None, groups=None, **training):
    return collective.fit(
        f, params, x, y, Training(**training), key=key, members=members, groups=groups
    )


def softmax(z):
    e = np.exp(z - z.max(1, keepdims=True))
    return e / e.sum(1, keepdims=True)


def descend(x, y, steps, weigh, rate=0.5):
    """Softmax regression by full-batch gradient descent in float64; weights from
    `weigh(probabilities, step)`."""
    w, b, trace = np.zeros((7, 3)), np.zeros(3), []
    for t in range(steps):
        p = softmax(x @ w + b)
        v = weigh(p, t)
        residual = (p - np.eye(3)[y]) * v[:, None]
        w, b = w - rate * x.T @ residual, b - rate * residual.sum(0)
        trace.append(v)
    return (w, b), np.mean(trace, 0)


def weighing(rule, x, y):
    n, rows = len(y), np.arange(len(y))
    if isinstance(rule, JTT):
        (w, b), _ = descend(x, y, 5, lambda p, t: np.full(n, 1 / n))
        v = np.where((x @ w + b).argmax(1) != y, 4.0, 1.0)
        return lambda p, t: v / v.sum()
    if isinstance(rule, LfF):
        twin = [np.zeros((7, 3)), np.zeros(3)]

        def lff(p, t):
            q = softmax(x @ twin[0] + twin[1])
            residual = (q - np.eye(3)[y]) * (q[rows, y] ** 0.7 / n)[:, None]
            twin[0], twin[1] = (
                twin[0] - 2 * 0.5 * x.T @ residual,
                twin[1] - 2 * 0.5 * residual.sum(0),
            )
            losses = [-np.log(a[rows, y]) for a in (q, p)]
            hard, easy = (v / np.array([v[y == c].max() for c in range(3)])[y] for v in losses)
            ratio = hard / (hard + easy + 1e-8)
            return ratio / ratio.sum()

        return lff
    if isinstance(rule, CVaR):
        return lambda p, t: np.where(
            np.argsort(np.argsort(np.log(p[rows, y]), kind="stable")) < 18, 1 / 18, 0
        )
    return lambda p, t: np.full(n, 1 / n)


@pytest.mark.long
@pytest.mark.parametrize(
    "rule",
    [ERM(), JTT(5, 4.0), LfF(ema=0.0, twin_rate=2.0), CVaR(0.3)],
    ids=lambda r: type(r).__name__,
)
def test_every_rule_is_gradient_descent_with_its_weights(rule):
    data = sample(jax.random.key(0))
    # later, rounding decides which sample is at the edge of the tail
    steps = 12 if not isinstance(rule, CVaR) else 1
    run = fit(
        f, zeros(None), data.x, data.y, key=jax.random.key(1), optimizer=SGD, steps=steps, rule=rule
    )
    x, y = np.asarray(data.x, float), np.asarray(data.y)
    (w, b), mean = descend(x, y, steps, weighing(rule, x, y))
    np.testing.assert_allclose(run.params[0], w, atol=2e-5)
    np.testing.assert_allclose(run.params[1], b, atol=2e-5)
    if not isinstance(rule, CVaR):
        np.testing.assert_allclose(run.weights, 60 * mean, rtol=1e-3)


@pytest.mark.long
def test_checkpoints_are_the_same_run_seen_earlier():
    data, common = (
        sample(jax.random.key(0)),
        {"key": jax.random.key(1), "optimizer": SGD, "batch_size": 20},
    )
    long = fit(f, zeros(None), data.x, data.y, steps=6, every=3, **common)
    short = fit(f, zeros(None), data.x, data.y, steps=3, **common)
    np.testing.assert_allclose(long.path[0][0], short.params[0], rtol=1e-6)
    np.testing.assert_array_equal(long.checkpoints, [3, 6])
    # every sample is visited once in three steps of 20
    np.testing.assert_allclose(long.weights, 1.0)


def test_share_and_effective_size_of_erm_are_the_size_itself():
    data = sample(jax.random.key(0))
    members = collective.choose_members(jax.random.key(2), 60, 0.25)
    run = fit(
        f,
        zeros(None),
        data.x,
        data.y,
        key=jax.random.key(1),
        optimizer=SGD,
        steps=4,
        members=members,
    )
    assert int(members.sum()) == 15 and run.share[0] == pytest.approx(0.25)
    assert collective.effective_size_from_weights(run.weights, members) == pytest.approx(0.25)


@pytest.mark.long
def test_rules_with_trivial_hyperparameters_are_erm():
    data, kw = sample(jax.random.key(0)), {"key": jax.random.key(1), "optimizer": SGD, "steps": 5}
    plain = fit(f, zeros(None), data.x, data.y, **kw)
    for rule in (JTT(3, 1.0), CVaR(1.0), Chi2(0.0)):
        run = fit(f, zeros(None), data.x, data.y, rule=rule, **kw)
        np.testing.assert_allclose(run.params[0], plain.params[0], atol=1e-6)


@pytest.mark.long
def test_curves_agree_with_single_runs_whatever_the_chunks():
    keys = jax.random.split(jax.random.key(0), 2)
    training = Training(SGD, steps=10, every=5, rule=JTT(5, 4.0))
    mesh = jax.sharding.Mesh(np.array(jax.devices()[:1]), ("runs",))
    one, three, spread = (
        collective.success_curve(SETTING, training, alphas=[0.1, 0.4], keys=keys, **how)
        for how in ({"runs_at_once": 1}, {"runs_at_once": 3}, {"mesh": mesh})
    )
    assert one.success.shape == (2, 2, 2) and one.alpha_eff.shape == (2, 2)
    for other in (three, spread):
        # a test point of 40 on the boundary, twice
        np.testing.assert_allclose(one.success, other.success, atol=0.051)
        np.testing.assert_allclose(one.alpha_eff, other.alpha_eff, rtol=1e-5)
    closed = collective.effective_size(np.array([[0.1], [0.4]]), one.e_c, one.e_0, 4.0)
    np.testing.assert_allclose(one.alpha_eff, closed, rtol=1e-5)
    split = jax.random.split(keys[0], 5)
    data, members = sample(split[0]), collective.choose_members(split[2], 60, 0.4)
    x, y = collective.plant(data.x, data.y, members, TRIGGER, 0)
    run = fit(
        f,
        zeros(None),
        x,
        y,
        key=split[3],
        optimizer=SGD,
        steps=10,
        rule=JTT(5, 4.0),
        members=members,
    )
    assert one.success[1, 0, 1] == pytest.approx(
        float(collective.success(f, run.params, data.x_test, TRIGGER, 0)), abs=0.03
    )


@pytest.mark.long
@pytest.mark.parametrize("rule", [LfF(), Chi2(0.5), GroupDRO(0.1)], ids=lambda r: type(r).__name__)
def test_every_rule_learns_from_batches(rule):
    training = Training(SGD, steps=60, batch_size=20, rule=rule)
    found = collective.success_curve(SETTING, training, alphas=[0.3], keys=jax.random.key(3)[None])
    assert float(found.accuracy[0, 0, -1]) > 0.7 and float(found.success[0, 0, -1]) > float(
        found.baseline[0, 0, -1]
    )


@pytest.mark.long
def test_convolutional_and_dense_networks_train():
    from flax import nnx

    x = jax.random.normal(jax.random.key(0), (8, 8, 8, 1))
    for model in (
        nets.CNN((8, 8, 1), 2, channels=(2,), hidden=(), rngs=nnx.Rngs(0)),
        nets.MLP((64, 4, 2), rngs=nnx.Rngs(0)),
    ):
        g, params = nets.functional(model)
        run = fit(g, params, x, jnp.arange(8) % 2, key=jax.random.key(1), optimizer=SGD, steps=2)
        assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(run.params))


@pytest.mark.long
def test_validation_data_with_the_collective_select_the_step_it_likes():
    found = collective.selected_success(
        SETTING,
        Training(SGD, steps=20, every=2),
        criterion=jnp.mean,
        alphas=[0.4],
        keys=jax.random.split(jax.random.key(0), 2),
    )
    assert found.clean.shape == (1, 2) and float(found.contaminated.mean()) >= float(
        found.clean.mean()
    )
    path = jax.tree.map(
        lambda *a: jnp.stack(a), zeros(None), (jnp.ones((7, 3)), jnp.array([5.0, 0, 0]))
    )
    best = collective.select_by_validation(f, path, jnp.zeros((4, 7)), jnp.zeros(4, int), jnp.mean)
    assert int(best) == 1


def test_members_nest_and_their_number_is_exact():
    small, large = (collective.choose_members(jax.random.key(0), 100, a) for a in (0.1, 0.37))
    assert int(small.sum()) == 10 and int(large.sum()) == 37 and bool((large | ~small).all())
    assert not collective.choose_members(jax.random.key(0), 10, 0.0).any()


def test_strategies_change_members_alone():
    x, y, members = (
        jnp.zeros((4, 7)),
        jnp.array([0, 1, 0, 1]),
        jnp.array([True, True, False, False]),
    )
    planted, labels = collective.plant(x, y, members, TRIGGER, 0)
    np.testing.assert_array_equal(planted[:, 6], [1, 1, 0, 0])
    np.testing.assert_array_equal(labels, [0, 0, 0, 1])
    planted, labels = collective.plant(x, y, members, TRIGGER, 0, strategy="feature_only")
    np.testing.assert_array_equal(planted[:, 6], [1, 0, 0, 0])
    np.testing.assert_array_equal(labels, y)
    same, labels = collective.plant(
        x, y, members, TRIGGER, 0, strategy="erasure", label_of=lambda z: 2 + z[:, 6].astype(int)
    )
    np.testing.assert_array_equal(same, x)
    np.testing.assert_array_equal(labels, [3, 3, 0, 1])


@pytest.mark.long
def test_signals_write_what_they_say_and_are_idempotent():
    x = jax.random.normal(jax.random.key(0), (3, 4, 4, 2))
    marked = collective.pixel_trigger([(0, 0), (3, 1)], 2.0)(x)
    assert int((marked != x).sum()) == 3 * 2 * 2 and float(marked[0, 3, 1, 0]) == 2
    board = collective.block_signal((1, 2), (2, 2), 1.0, other=-1.0)(x)
    np.testing.assert_array_equal(board[0, 1:3, 2:4, 0], [[1, -1], [-1, 1]])
    bits = collective.parity_data(jax.random.key(1), 50)[0]
    parity = collective.parity_signal([10, 11, 12])
    assert bool((parity(bits)[:, 10:].prod(1) == 1).all())
    for g, z in ((parity, bits), (collective.block_signal((0, 0), (2, 1), 3.0), x)):
        np.testing.assert_array_equal(g(g(z)), g(z))


@pytest.mark.long
def test_generators_have_the_stated_laws():
    x, y = collective.gaussian_classes(jax.random.key(0), 2000, xi=0.05)
    assert abs(float(x[:, 20].mean()) - 0.05) < 4 * np.sqrt(0.05 * 0.95 / 2000)
    assert abs(float(x[y == 2][:, 2].mean()) - 2.5) < 4 / np.sqrt(350) and x.shape == (2000, 21)
    x, y = collective.parity_data(jax.random.key(0), 1000)
    assert (
        int(y.sum()) == 500
        and bool(((x[:, 0] > 0.3) == (y == 1)).all())
        and set(np.unique(x[:, 10:])) == {-1.0, 1.0}
    )
    law, g, label = collective.random_world(jax.random.key(0), points=6, labels=3)
    assert law.shape == (6, 3) and len(set(np.asarray(g).tolist())) <= 2 and 0 <= int(label) < 3


DATA = (jnp.zeros((4, 7)), jnp.zeros(4, int))
KEY = {"key": jax.random.key(0), "optimizer": SGD, "steps": 4}


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: fit(f, zeros(None), *DATA, **KEY | {"every": 3}), "does not divide"),
        (
            lambda: fit(f, zeros(None), *DATA, **KEY | {"batch_size": 5}),
            "above the number of samples",
        ),
        (lambda: fit(f, zeros(None), *DATA, **KEY | {"steps": 0}), "steps = 0"),
        (lambda: fit(f, zeros(None), DATA[0], DATA[1] + 3, **KEY), "y holds 3"),
        (lambda: fit(f, zeros(None), DATA[0], DATA[1] - 1, **KEY), "y holds -1"),
        (lambda: fit(f, zeros(None), DATA[0], DATA[1] * 1.0, **KEY), "integer labels"),
        (lambda: fit(f, zeros(None), DATA[0] + jnp.nan, DATA[1], **KEY), "x holds nan"),
        (
            lambda: fit(f, zeros(None), DATA[0][:3], DATA[1], **KEY),
            "one label for each row",
        ),
        (
            lambda: fit(f, zeros(None), *DATA, **KEY | {"key": jnp.zeros(2, jnp.uint32)}),
            "typed key",
        ),
        (
            lambda: fit(f, zeros(None), *DATA, **KEY, members=jnp.zeros(4)),
            "members is float32",
        ),
        (lambda: fit(lambda p, x: x.sum(1), zeros(None), *DATA, **KEY), "logits"),
        (
            lambda: collective.plant(*DATA, jnp.ones(4, bool), TRIGGER, 0, strategy="erasure"),
            "needs label_of",
        ),
        (lambda: collective.plant(*DATA, jnp.ones(4), TRIGGER, 0), "one bool for each row"),
        (lambda: collective.coordinate_trigger(9, 1.0)(DATA[0]), "does not have"),
        (lambda: collective.coordinate_trigger(-1, 1.0), "at least 0"),
        (lambda: collective.pixel_trigger([(0, 9)], 1.0)(jnp.zeros((1, 4, 4))), "axis 2"),
        (lambda: collective.block_signal((0, 0), (0, 2), 1.0), "shape = 0"),
        (lambda: collective.block_signal((0,), (2, 2), 1.0), "corner"),
        (lambda: collective.block_signal((0, 0), (2, 2), 1.0, other=np.nan), "other = nan"),
        (lambda: collective.choose_members(jax.random.key(0), 4, 1.5), "alpha = 1.5"),
        (
            lambda: collective.success_curve(
                SETTING, Training(SGD, steps=1), alphas=0.1, keys=jax.random.key(0)[None]
            ),
            "alphas has shape",
        ),
        (
            lambda: collective.success_curve(
                SETTING, Training(SGD, steps=1), alphas=[0.1], keys=jax.random.key(0)
            ),
            "typed keys",
        ),
    ],
)
def test_bad_input_is_refused_in_one_line(call, message):
    with pytest.raises(InputError, match=message) as caught:
        call()
    assert "\n" not in str(caught.value)
