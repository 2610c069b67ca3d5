"""What every federated algorithm must satisfy: found by what the package exports, so that a new
one is asked too.

An algorithm is a public function of `theorylab.federated` that returns an `Algorithm`. Arguments of
its own that it cannot do without stand in `OWN`; what it leaves out of the common rules, and why,
in `EXEMPT`, which may only shrink.
"""

import inspect

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from theorylab import federated
from theorylab.federated import Algorithm, federated_fit, pad_clients
from theorylab.federated.fit import RoundDivergenceError
from theorylab.federated.rounds import check_finite

CONSTRUCTORS = {
    name: function
    for name, function in vars(federated).items()
    if name in federated.__all__
    and inspect.isfunction(function)
    and inspect.signature(function).return_annotation is Algorithm
}
OWN = {"fedprox": {"mu": 0.5}, "fedadam": {"server_lr": 0.05}, "fedavgm": {"server_momentum": 0.5}}
ADAPTIVE = "its server takes steps of its own size"
MOMENTUM = "its server carries momentum over rounds"
EXEMPT = {
    ("fedprox", "sgd"): "the pull to the start of the round shortens the second step",
    ("fedavgm", "sgd"): MOMENTUM,
    ("fedadam", "sgd"): ADAPTIVE,
    ("centralized", "clients"): "it pools all examples: no round depends on how they are dealt out",
}
RNG = np.random.default_rng(5)
X = RNG.normal(size=(12, 3)).astype(np.float32)
T = (X @ RNG.normal(size=(3, 2)) + 0.3 * RNG.normal(size=(12, 2))).astype(np.float32)
PARTS = [np.arange(0, 2), np.arange(2, 7), np.arange(7, 12)]
START = RNG.normal(size=(3, 2)).astype(np.float32)
LR, STEPS, ROUNDS = 0.1, 2, 3
KEY = jax.random.key(1)

each = pytest.mark.parametrize("name", CONSTRUCTORS)


def linear(theta, x):
    return x @ theta


def half_squares(output, y):
    return jnp.square(output - y).sum(-1) / 2


def make(name, lr=LR, **options):
    return CONSTRUCTORS[name](lr=lr, steps=STEPS, **OWN.get(name, {}), **options)


def run(algorithm, clients, rounds=ROUNDS, **options):
    return federated_fit(
        linear,
        clients,
        params=START,
        algorithm=algorithm,
        rounds=rounds,
        key=KEY,
        loss=half_squares,
        client_axis="vmap",  # the quickest to compile; that all ways agree is tested elsewhere
        **options,
    )


def dealt(parts=PARTS, x=X, t=T):
    return pad_clients(x, t, parts)


def close(found, expected, tolerance=2e-5):
    np.testing.assert_allclose(found, expected, rtol=tolerance, atol=tolerance)


def gradient_descent(x, t, steps, w=START):
    w, x, t = (np.asarray(a, float) for a in (w, x, t))
    for _ in range(steps):
        w = w - LR * x.T @ (x @ w - t) / len(x)
    return w


def test_the_algorithms_of_today_are_found():
    assert {"fedavg", "fedprox", "scaffold", "fednova", "centralized"} <= set(CONSTRUCTORS)
    assert {name for name, _ in EXEMPT} | set(OWN) <= set(CONSTRUCTORS)


@each
def test_it_bears_its_name_and_takes_the_common_options(name):
    algorithm = make(name, momentum=0.5, weight_decay=0.01)
    assert algorithm.name == name and isinstance(algorithm, Algorithm)
    assert (algorithm.local.lr, algorithm.local.steps, algorithm.local.momentum) == (LR, STEPS, 0.5)
    assert inspect.getdoc(CONSTRUCTORS[name])


@each
def test_one_client_with_full_batches_is_gradient_descent(name):
    found = run(make(name), dealt([np.arange(12)])).params
    expected = gradient_descent(X, T, STEPS * ROUNDS)
    exempt = (name, "sgd") in EXEMPT
    if exempt:  # still descent, of another length
        assert np.abs(found - expected).max() > 1e-3
        before, after = (half_squares(linear(w, X), T).mean() for w in (START, found))
        assert after < before
    else:
        close(found, expected)


@each
def test_clients_with_equal_data_are_one_client(name):
    twice, targets = np.concatenate([X, X]), np.concatenate([T, T])
    two = run(make(name), dealt([np.arange(12), np.arange(12, 24)], twice, targets))
    close(two.params, run(make(name), dealt([np.arange(12)])).params)
    assert name == "centralized" or two.drift.shape == (ROUNDS,)


@each
def test_the_order_of_clients_does_not_matter(name):
    found = run(make(name), dealt())
    turned = run(make(name), dealt(PARTS[::-1]))
    close(turned.params, found.params)
    close(turned.loss, found.loss)


@pytest.mark.long
@each
def test_a_client_weighs_by_its_examples(name):
    """Three copies of every example change no share, so they change nothing."""
    tripled = [np.concatenate([part] * 3) for part in PARTS]
    close(run(make(name), dealt(tripled)).params, run(make(name), dealt()).params)
    even = [np.arange(0, 4), np.arange(4, 8), np.arange(8, 12)]
    moved = np.abs(run(make(name), dealt(even)).params - run(make(name), dealt()).params).max()
    assert (moved < 1e-5) == ((name, "clients") in EXEMPT)
    weights = np.asarray(dealt().weights)
    close(weights / weights.sum(), [2 / 12, 5 / 12, 5 / 12])


@pytest.mark.long
@each
def test_a_run_that_was_cut_off_goes_on_to_the_same_result(name, tmp_path):
    options = {"algorithm": make(name, batch_size=4), "clients": dealt()}
    whole = run(options["algorithm"], options["clients"])
    run(options["algorithm"], options["clients"], rounds=1, checkpoint=tmp_path)
    resumed = run(options["algorithm"], options["clients"], checkpoint=tmp_path)
    for a, b in zip(*map(jax.tree.leaves, (whole.federated_state, resumed.federated_state))):  # noqa: B905
        np.testing.assert_array_equal(a, b)
    np.testing.assert_array_equal(whole.loss, resumed.loss)


@each
def test_rounds_inside_of_one_scan_are_those_of_the_loop(name):
    algorithm = make(name)
    clients = dealt().pooled() if algorithm.pooled else dealt()
    bound = algorithm.bind(
        lambda p, s, x: (linear(p, x), s), half_squares, clients, client_axis="vmap"
    )

    @jax.jit
    def scanned(state):
        step = lambda state, _: bound.round(state, clients, KEY)  # noqa: E731
        return jax.lax.scan(step, state, None, length=ROUNDS)

    last, metrics = scanned(bound.init(START, {}))
    looped = run(algorithm, dealt())
    close(last.params, looped.params)
    close(metrics.loss, looped.loss)
    assert int(last.round) == ROUNDS


@pytest.mark.long
@each
def test_equal_keys_give_equal_runs_and_other_keys_other_batches(name):
    algorithm = make(name, batch_size=2)
    one, same = run(algorithm, dealt()), run(algorithm, dealt())
    np.testing.assert_array_equal(one.params, same.params)
    other = federated_fit(
        linear,
        dealt(),
        params=START,
        algorithm=algorithm,
        rounds=ROUNDS,
        key=jax.random.key(2),
        loss=half_squares,
        client_axis="vmap",
    )
    assert np.abs(np.asarray(other.params) - np.asarray(one.params)).max() > 1e-4


@each
def test_divergence_is_reported_with_its_round(name):
    with pytest.raises(RoundDivergenceError, match="is not finite after round") as caught:
        run(make(name, lr=1e30), dealt(), rounds=20)
    assert 0 <= caught.value.step < 20 and 0 <= caught.value.client < 3


@each
def test_metrics_name_the_clients_that_took_part(name):
    algorithm = make(name)
    clients = dealt().pooled() if algorithm.pooled else dealt()
    bound = algorithm.bind(lambda p, s, x: (linear(p, x), s), half_squares, clients)
    _, metrics = bound.round(bound.init(START, {}), clients, KEY)
    assert np.asarray(metrics.chosen).tolist() == list(range(clients.n_clients))
    assert check_finite(metrics) is None and float(metrics.drift) > 0
