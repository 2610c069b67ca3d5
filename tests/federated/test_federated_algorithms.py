"""Every algorithm against a loop written by hand in NumPy float64; the ways to run clients against
each other."""

import os
import subprocess
import sys
from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import nnx

from theorylab.errors import InputError
from theorylab.federated import (
    Algorithm,
    LocalSGD,
    centralized,
    fedadam,
    fedavg,
    fedavgm,
    federated_fit,
    fednova,
    fedprox,
    pad_clients,
    scaffold,
)
from theorylab.federated.local import epoch_orders
from theorylab.federated.rounds import _SAMPLING, _Rule

RNG = np.random.default_rng(0)
KEY = jax.random.key(3)
SIZES = [5, 9, 3]
PARTS = [np.arange(0, 5), np.arange(5, 14), np.arange(14, 17)]
X = RNG.normal(size=(17, 4)).astype(np.float32)
T = (X @ RNG.normal(size=(4, 2)) + 0.3 * RNG.normal(size=(17, 2))).astype(np.float32)
DATA = pad_clients(X, T, PARTS)
P = np.array(SIZES) / 17
START = RNG.normal(size=(4, 2)).astype(np.float32)
LR, BATCH, ROUNDS = 0.1, 4, 3


def linear(theta, x):
    return x @ theta


def half_squares(output, y):
    return jnp.square(output - y).sum(-1) / 2


def run(algorithm, clients=DATA, rounds=ROUNDS, **options):
    return federated_fit(
        linear,
        clients,
        params=START,
        algorithm=algorithm,
        rounds=rounds,
        key=KEY,
        loss=half_squares,
        **options,
    )


def batches(number, i, mask, epochs):
    """The batches of client i in a round: its shuffled places, four at a time, the last one short;
    or all, twice."""
    if epochs is None:
        yield from [slice(None)] * 2
        return
    key = jax.random.fold_in(jax.random.fold_in(KEY, number), i)
    for order in np.asarray(epoch_orders(key, epochs, mask)):
        order = order[: int(mask.sum())]
        assert set(order) == set(range(len(order)))  # every example once an epoch
        for start in range(0, len(order), BATCH):
            yield order[start : start + BATCH]


def local_loop(w, x, y, steps, lr, momentum=0.0, mu=0.0, shift=0.0, decay=0.0, buffer=0.0):  # noqa: PLR0913
    v = w
    for picked in steps:
        g = (
            x[picked].T @ (x[picked] @ v - y[picked]) / len(y[picked])
            + mu * (v - w)
            + shift
            + decay * v
        )
        buffer = momentum * buffer + g
        v = v - lr * buffer
    return v, buffer


def by_hand(
    server, *, epochs=2, momentum=0.0, carry=False, rounds=ROUNDS, lr=lambda number: LR, **options
):
    """`server(w, v_i of the clients, number) -> w`."""
    w, buffers = START.astype(float), [0.0] * 3
    for number in range(rounds):
        after = []
        for i, part in enumerate(PARTS):
            v, buffer = local_loop(
                w,
                X[part].astype(float),
                T[part].astype(float),
                batches(number, i, DATA.mask[i], epochs),
                lr(number),
                momentum,
                buffer=buffers[i] if carry else 0.0,
                **options,
            )
            buffers[i] = buffer
            after.append(v)
        w = server(w, after, number)
    return w


def average(w, after, number):
    return sum(p * v for p, v in zip(P, after, strict=True))


def close(found, expected):
    # float32 against float64
    np.testing.assert_allclose(found.params, expected, rtol=2e-5, atol=2e-6)


@pytest.mark.long
def test_fedavg_is_the_weighted_average_of_local_sgd():
    close(run(fedavg(lr=LR, epochs=2, batch_size=BATCH)), by_hand(average))


def test_fedavg_with_momentum_decay_and_a_schedule():
    schedule = optax.exponential_decay(LR, 1, 0.5)
    algorithm = fedavg(lr=schedule, steps=2, momentum=0.9, weight_decay=0.2)
    expected = by_hand(
        average, epochs=None, momentum=0.9, decay=0.2, lr=lambda number: LR * 0.5**number
    )
    close(run(algorithm), expected)


def test_carried_momentum_survives_the_round():
    algorithm = fedavg(lr=LR, steps=2, momentum=0.9, carry_momentum=True)
    expected = by_hand(average, epochs=None, momentum=0.9, carry=True)
    close(run(algorithm), expected)
    assert np.abs(expected - by_hand(average, epochs=None, momentum=0.9)).max() > 1e-2


def test_fedprox_pulls_towards_the_start_of_the_round():
    close(run(fedprox(mu=0.5, lr=LR, steps=2)), by_hand(average, epochs=None, mu=0.5))


@pytest.mark.long
@pytest.mark.parametrize("momentum", [pytest.param(0.0, marks=pytest.mark.slow), 0.5])
def test_fednova_divides_by_the_effective_number_of_steps(momentum):
    taus = [2 * -(-n // BATCH) for n in SIZES]
    # a_i: the coefficients of a constant gradient, summed step by step
    a = np.array([sum(sum(momentum**j for j in range(k + 1)) for k in range(tau)) for tau in taus])

    def server(w, after, number):
        return w - (P @ a) * sum(p * (w - v) / s for p, v, s in zip(P, after, a, strict=True))

    found = run(fednova(lr=LR, epochs=2, batch_size=BATCH, momentum=momentum))
    close(found, by_hand(server, momentum=momentum))


@pytest.mark.long
@pytest.mark.parametrize("momentum", [pytest.param(0.0, marks=pytest.mark.slow), 0.5])
def test_scaffold_is_option_ii(momentum):
    steps = 3
    a = sum(sum(momentum**j for j in range(k + 1)) for k in range(steps))
    w, c_i, c = START.astype(float), [np.zeros((4, 2))] * 3, np.zeros((4, 2))
    for number in range(ROUNDS):
        after = []
        for i, part in enumerate(PARTS):
            picked = [
                b
                for _, b in zip(range(steps), batches(number, i, DATA.mask[i], steps), strict=False)
            ]
            x, y = X[part].astype(float), T[part].astype(float)
            after.append(local_loop(w, x, y, picked, LR, momentum, shift=c - c_i[i])[0])
        new = [own - c + (w - v) / (a * LR) for own, v in zip(c_i, after, strict=True)]
        c = c + sum(p * (n - o) for p, n, o in zip(P, new, c_i, strict=True))
        c_i, w = new, average(w, after, number)
    found = run(scaffold(lr=LR, steps=steps, batch_size=BATCH, momentum=momentum))
    close(found, w)
    np.testing.assert_allclose(found.federated_state.control, c, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(found.federated_state.controls, c_i, rtol=1e-4, atol=1e-5)


def test_server_momentum_and_adam_work_on_the_pseudo_gradient():
    m, v = np.zeros((4, 2)), np.zeros((4, 2))

    def momentum(w, after, number):
        nonlocal m
        m = 0.9 * m + (w - average(w, after, number))
        return w - 0.5 * m

    close(run(fedavgm(lr=LR, steps=2, server_lr=0.5)), by_hand(momentum, epochs=None))
    m = np.zeros((4, 2))

    def adam(w, after, number):
        nonlocal m, v
        d = w - average(w, after, number)
        m, v = 0.9 * m + 0.1 * d, 0.99 * v + 0.01 * d**2
        return w - 0.1 * (m / (1 - 0.9 ** (number + 1))) / (
            np.sqrt(v / (1 - 0.99 ** (number + 1))) + 1e-3
        )

    close(run(fedadam(lr=LR, steps=2, server_lr=0.1)), by_hand(adam, epochs=None))


@pytest.mark.long
def test_centralized_is_one_sgd_run_on_all_the_data():
    w, buffer = START.astype(float), 0.0
    for number in range(ROUNDS):
        steps = batches(number, 0, jnp.ones(17, bool), 1)
        w, buffer = local_loop(w, X.astype(float), T.astype(float), steps, LR, 0.9, buffer=buffer)
    close(run(centralized(lr=LR, epochs=1, batch_size=BATCH, momentum=0.9)), w)


FEW = scaffold(lr=LR, epochs=1, batch_size=BATCH, clients_per_round=2)


@pytest.mark.long
def test_partial_participation_averages_over_the_chosen_and_leaves_the_others_alone():
    found = run(FEW, rounds=1)
    key = jax.random.fold_in(jax.random.fold_in(KEY, 0), _SAMPLING)
    chosen = sorted(np.asarray(jax.random.permutation(key, 3))[:2].tolist())
    w, after, taus = START.astype(float), {}, {}
    for i in chosen:
        steps = list(batches(0, i, DATA.mask[i], 1))
        after[i], taus[i] = (
            local_loop(w, X[PARTS[i]].astype(float), T[PARTS[i]].astype(float), steps, LR)[0],
            len(steps),
        )
    weights = P[chosen] / P[chosen].sum()
    close(found, sum(p * after[i] for p, i in zip(weights, chosen, strict=True)))
    (idle,) = set(range(3)) - set(chosen)
    assert not np.asarray(found.federated_state.controls[idle]).any()
    # c = sum_i p_i c_i over all clients
    expected = sum(P[i] * (w - after[i]) / (taus[i] * LR) for i in chosen)
    np.testing.assert_allclose(found.federated_state.control, expected, rtol=1e-4, atol=1e-5)


def full_batch(w, x, y, steps):
    for _ in range(steps):
        w = w - LR * x.T @ (x @ w - y) / len(x)
    return w


def test_every_client_is_chosen_equally_often():
    federated = FEW.bind(lambda p, s, x: (x @ p, s), half_squares, DATA)
    rule = _Rule(FEW, 3)
    state, counts = federated.init(START, {}), np.zeros(3)
    draw = jax.jit(jax.vmap(lambda number: rule.prepare(replace(state, round=number), KEY)[2]))
    counts = np.bincount(np.asarray(draw(jnp.arange(300))).ravel(), minlength=3)
    # binomial, four standard deviations
    np.testing.assert_allclose(counts, 200, atol=4 * np.sqrt(300 * 2 / 9))


def test_local_gives_the_client_models_before_the_average():
    algorithm = fedavg(lr=LR, steps=2)
    federated = algorithm.bind(lambda p, s, x: (x @ p, s), half_squares, DATA)
    results = federated.local(federated.init(START, {}), DATA, KEY)
    assert results.steps.tolist() == [2, 2, 2]
    for i, part in enumerate(PARTS):
        np.testing.assert_allclose(
            results.params[i], full_batch(START, X[part], T[part], 2), rtol=1e-5, atol=1e-6
        )


class Normed(nnx.Module):
    """Batch norm and dropout: state of both kinds."""

    def __init__(self, rngs):
        self.norm = nnx.BatchNorm(4, momentum=0.9, rngs=rngs)
        self.dropout = nnx.Dropout(0.3, rngs=rngs)
        self.layer = nnx.Linear(4, 2, rngs=rngs)

    def __call__(self, x):
        return self.layer(self.dropout(self.norm(x)))


@pytest.mark.long
def test_mapped_vmapped_and_host_driven_clients_give_equal_results():
    one, *others = [run(FEW, rounds=1, client_axis=axis) for axis in (None, "vmap", "host")]
    for other in others:
        np.testing.assert_allclose(one.params, other.params, rtol=1e-4, atol=1e-6)
        np.testing.assert_allclose(
            one.federated_state.controls, other.federated_state.controls, rtol=1e-3, atol=1e-5
        )
        np.testing.assert_allclose(one.loss, other.loss, rtol=1e-5)


@pytest.mark.slow
def test_batch_statistics_dropout_and_carried_momentum_agree_too():
    labels = np.array([0, 1] * 8 + [0])
    clients = pad_clients(X, labels, PARTS)
    algorithm = fedavg(
        lr=LR, epochs=1, batch_size=BATCH, momentum=0.9, carry_momentum=True, clients_per_round=2
    )
    runs = [
        federated_fit(
            Normed(nnx.Rngs(0)),
            clients,
            algorithm=algorithm,
            rounds=2,
            key=KEY,
            client_axis=axis,
        )
        for axis in ("map", "vmap", "host")
    ]
    for other in runs[1:]:
        for a, b in zip(
            jax.tree.leaves(runs[0].params), jax.tree.leaves(other.params), strict=True
        ):
            np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6)
        np.testing.assert_allclose(runs[0].loss, other.loss, rtol=1e-5)
    mean = runs[0].state["norm"]["mean"]
    assert np.abs(mean).max() > 0  # statistics are averaged, not dropped
    np.testing.assert_allclose(runs[0].f(runs[0].params, X), runs[0].model(X), rtol=1e-5)


MESH = """
import jax, jax.numpy as jnp, numpy as np
from theorylab.federated import federated_fit, iid_partition, pad_clients, scaffold
assert len(jax.devices()) == 2
rng = np.random.default_rng(0)
x, t = rng.normal(size=(31, 3)), rng.normal(size=(31, 2))
clients = pad_clients(x, t, iid_partition(np.zeros(31, int), 5, key=jax.random.key(1)))
run = lambda axis: federated_fit(
    lambda p, x: x @ p, clients, params=jnp.zeros((3, 2)), algorithm=scaffold(lr=0.1, steps=2),
    loss=lambda f, y: jnp.square(f - y).sum(-1), rounds=2, key=jax.random.key(0),
    client_axis=axis).params
np.testing.assert_allclose(run(jax.make_mesh((2,), ("clients",))), run("map"), rtol=1e-5, atol=1e-6)
print("equal")
"""


@pytest.mark.slow  # a process of its own, with two devices
def test_clients_spread_over_a_mesh_give_equal_results():
    env = {**os.environ, "JAX_PLATFORMS": "cpu"}
    env["XLA_FLAGS"] = env.get("XLA_FLAGS", "") + " --xla_force_host_platform_device_count=2"
    done = subprocess.run([sys.executable, "-c", MESH], env=env, capture_output=True, text=True)
    assert done.stdout == "equal\n", done.stderr


@pytest.mark.long
def test_augmentation_and_batch_size_above_the_client_are_possible():
    doubled = run(
        fedavg(lr=LR, epochs=1, batch_size=50, augment=lambda key, x: 2 * x), rounds=1
    ).params
    after = [full_batch(START, 2 * X[part], T[part], 1) for part in PARTS]
    np.testing.assert_allclose(doubled, average(None, after, 0), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: fedavg(epochs=1), "lr: the step size"),
        (lambda: fedavg(lr=0.1), "exactly one of the two"),
        (lambda: fedavg(lr=0.1, epochs=1, steps=1), "exactly one of the two"),
        (lambda: fedavg(lr=-1, epochs=1), "lr = -1"),
        (lambda: fedavg(lr=0.1, epochs=0), "epochs = 0"),
        (lambda: fedavg(lr=0.1, epochs=1, batch_size=1.5), "batch_size = 1.5"),
        (lambda: fedavg(lr=0.1, epochs=1, momentum=1.0), "momentum = 1"),
        (lambda: fedprox(lr=0.1, epochs=1, mu=-1.0), "mu = -1"),
        (lambda: fedavg(lr=0.1, epochs=1, carry_momentum=True), "no momentum to carry"),
        (
            lambda: fednova(lr=0.1, epochs=1, momentum=0.9, carry_momentum=True),
            "leave carry_momentum out",
        ),
        (
            lambda: run(fedavg(lr=0.1, epochs=1, clients_per_round=4)),
            "clients_per_round = 4; .* at most 3",
        ),
        (lambda: run(fedavg(lr=0.1, epochs=1), client_axis="rows"), "client_axis = 'rows'"),
    ],
)
def test_impossible_algorithms_are_refused(call, message):
    with pytest.raises(InputError, match=message):
        call()


def test_local_options_can_be_given_as_one_object():
    local = LocalSGD(lr=LR, epochs=1, batch_size=4)
    assert fedprox(local, mu=0.1).local == LocalSGD(lr=LR, epochs=1, batch_size=4, prox_mu=0.1)
    assert isinstance(fedavg(local), Algorithm)
