"""Every optax optimizer trains in every loop that takes one: also those that ask for the loss."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from scipy.optimize import minimize

from theorylab import collective, federated
from theorylab.errors import InputError
from theorylab.nets import fit, fit_seeds, mse

ASKING = {
    "lbfgs": optax.lbfgs(),
    "polyak_sgd": optax.polyak_sgd(max_learning_rate=0.5),
    "reduce_on_plateau": optax.chain(optax.sgd(0.1), optax.contrib.reduce_on_plateau()),
}
RNG = np.random.default_rng(0)
X = RNG.normal(size=(32, 3)).astype(np.float32)
Y = X @ np.array([[1.0], [2.0], [-1.0]], np.float32)


def line(params, x):
    return x @ params["w"]


def start():
    return {"w": jnp.zeros((3, 1))}


@pytest.mark.parametrize("loop", ["device", "host"])
@pytest.mark.parametrize("name", ASKING)
def test_optimizers_that_ask_for_the_loss_find_the_least_squares_solution(name, loop):
    run = fit(
        line,
        (X, Y),
        params=start(),
        key=jax.random.key(1),
        optimizer=ASKING[name],
        batch_size=32,
        steps=60,
        loss=mse,
        loop=loop,
    )
    expected = np.linalg.lstsq(X.astype(float), Y.astype(float), rcond=None)[0]
    np.testing.assert_allclose(run.params["w"], expected, atol=2e-2)


def test_lbfgs_of_several_seeds_equals_each_alone():
    keys = jax.random.split(jax.random.key(2), 2)
    starts = {"w": jax.random.normal(jax.random.key(3), (2, 3, 1))}
    options = {"optimizer": optax.lbfgs(), "batch_size": 16, "steps": 5, "loss": mse}
    together = fit_seeds(line, (X, Y), keys=keys, params=starts, **options)
    for s in range(2):
        alone = fit(line, (X, Y), key=keys[s], params={"w": starts["w"][s]}, **options)
        np.testing.assert_allclose(together.params["w"][s], alone.params["w"], rtol=1e-3, atol=1e-5)


def test_lbfgs_weighs_samples_in_its_line_search():
    weights = np.linspace(0.1, 2.0, 32).astype(np.float32)
    y = Y + RNG.normal(size=Y.shape).astype(np.float32)
    run = fit(
        line,
        (X, y),
        params=start(),
        key=jax.random.key(1),
        optimizer=optax.lbfgs(),
        batch_size=32,
        steps=30,
        loss=mse,
        weights=weights,
    )
    root = np.sqrt(weights)[:, None]
    expected = np.linalg.lstsq((root * X).astype(float), (root * y).astype(float), rcond=None)[0]
    np.testing.assert_allclose(run.params["w"], expected, atol=1e-4)


@pytest.mark.parametrize(
    "rule", [collective.ERM(), collective.CVaR(0.5), collective.LfF(twin_rate=0.5)], ids=repr
)
@pytest.mark.parametrize("name", ASKING)
def test_rules_train_with_optimizers_that_ask_for_the_loss(name, rule):
    labels = (X[:, 0] + 0.3 * X[:, 1] > 0).astype(int)
    run = collective.fit(
        lambda p, x: x @ p,
        jnp.zeros((3, 2)),
        X,
        labels,
        key=jax.random.key(0),
        optimizer=ASKING[name],
        steps=25,
        rule=rule,
    )
    before = optax.softmax_cross_entropy_with_integer_labels(jnp.zeros((32, 2)), labels).mean()
    after = optax.softmax_cross_entropy_with_integer_labels(X @ run.params, labels).mean()
    assert after < 0.7 * before


def test_collective_lbfgs_reaches_scipys_optimum():
    labels = (X[:, 0] + RNG.normal(size=32) > 0).astype(int)  # not separable: an optimum exists

    def risk(w):
        logits = X.astype(float) @ w
        return np.mean(np.logaddexp(0, logits) - labels * logits)

    run = collective.fit(
        lambda w, x: jnp.stack([jnp.zeros(len(x)), x @ w], 1),
        jnp.zeros(3),
        X,
        labels,
        key=jax.random.key(0),
        optimizer=optax.lbfgs(),
        steps=30,
    )
    np.testing.assert_allclose(run.params, minimize(risk, np.zeros(3)).x, atol=2e-3)


@pytest.mark.parametrize("name", ASKING)
def test_a_server_optimizer_that_asks_for_the_loss_is_refused(name):
    server = federated.fedavg(federated.LocalSGD(lr=0.1, steps=1), server_optimizer=ASKING[name])
    clients = federated.pad_clients(X, Y, [np.arange(16), np.arange(16, 32)])
    pair = server.bind(lambda p, s, x: (line(p, x), s), mse, clients)
    with pytest.raises(InputError, match="server: this optimizer asks for the loss"):
        pair.init(start(), {})
