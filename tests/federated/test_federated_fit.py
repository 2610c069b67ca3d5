import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from theorylab.errors import InputError
from theorylab.federated import (
    ClientData,
    RoundDivergenceError,
    fedavg,
    federated_fit,
    pad_clients,
    scaffold,
)
from theorylab.federated.execution import best_axis
from theorylab.federated.fit import Checkpoints
from theorylab.federated.local import Client, LocalSGD, Mine, Start
from theorylab.federated.models import as_functions
from theorylab.nets import CNN, MLP, DivergenceError, cross_entropy, functional_train

RNG = np.random.default_rng(0)
X = RNG.normal(size=(24, 3)).astype(np.float32)
Y = (X[:, 0] + X[:, 1] > 0).astype(int) + (X[:, 2] > 1)
PARTS = [np.arange(0, 10), np.arange(10, 16), np.arange(16, 24)]
DATA = pad_clients(X, Y, PARTS)
KEY = jax.random.key(0)
SCAFFOLD = scaffold(lr=0.1, steps=2, batch_size=4, clients_per_round=2)


def linear(params, x):
    return x @ params["w"] + params["b"]


START = {"w": jnp.zeros((3, 3)), "b": jnp.zeros(3)}


def run(clients=DATA, **options):
    options = {
        "algorithm": SCAFFOLD,
        "rounds": 3,
        "key": KEY,
        "params": START,
        "model": linear,
        **options,
    }
    return federated_fit(options.pop("model"), clients, **options)


def same(a, b):
    jax.tree.map(np.testing.assert_array_equal, a, b)


@pytest.mark.long
def test_a_killed_run_resumed_equals_the_undisturbed_one(tmp_path, monkeypatch):
    whole = run(eval_data=(X, Y))
    save, saved = Checkpoints.save, []

    def dies_after_two(self, step, *rest):
        if len(saved) == 2:
            raise KeyboardInterrupt
        saved.append(step)
        save(self, step, *rest)

    monkeypatch.setattr(Checkpoints, "save", dies_after_two)
    with pytest.raises(KeyboardInterrupt):
        run(eval_data=(X, Y), checkpoint=tmp_path / "run")
    monkeypatch.setattr(Checkpoints, "save", save)
    resumed = run(eval_data=(X, Y), checkpoint=tmp_path / "run")
    same(whole.federated_state, resumed.federated_state)
    same(
        (whole.loss, whole.drift, whole.evaluations),
        (resumed.loss, resumed.drift, resumed.evaluations),
    )
    assert resumed.eval_rounds.tolist() == [0, 1, 2, 3]
    # fewer rounds, or another run: refused
    with pytest.raises(InputError, match=r"rounds: 2 asked, the run in .* has made 3"):
        run(rounds=2, checkpoint=tmp_path / "run")
    with pytest.raises(InputError, match="belongs to another run"):
        run(algorithm=fedavg(lr=0.1, steps=2), checkpoint=tmp_path / "run")


@pytest.mark.long
def test_every_evaluation_set_is_seen_before_between_and_after():
    found = run(
        eval_data={"train": (X, Y), "few": (X[:5], Y[:5])},
        rounds=3,
        eval_every=2,
        eval_batch_size=7,
    )
    assert found.eval_rounds.tolist() == [0, 2, 3]
    assert set(found.evaluations) == {"train_loss", "train_accuracy", "few_loss", "few_accuracy"}
    logits = np.asarray(linear(found.params, X))
    accuracy = (logits.argmax(1) == Y).mean()
    loss = (np.log(np.exp(logits).sum(1)) - logits[np.arange(24), Y]).mean()
    np.testing.assert_allclose(found.evaluations["train_accuracy"][-1], accuracy)
    np.testing.assert_allclose(found.evaluations["train_loss"][-1], loss, rtol=1e-5)
    np.testing.assert_allclose(found.evaluations["train_loss"][0], np.log(3), rtol=1e-6)
    assert found.accuracy[-1] == found.evaluations["train_accuracy"][-1]
    np.testing.assert_allclose(found.f(found.params, X), logits, rtol=1e-6)
    assert found.loss.shape == found.drift.shape == (3,)


@pytest.mark.long
def test_drift_is_the_distance_of_the_client_models_from_the_start():
    algorithm = fedavg(lr=0.1, steps=2)
    found = run(algorithm=algorithm, rounds=1)
    apply = as_functions(linear, START)[0]
    federated = algorithm.bind(apply, cross_entropy, DATA)
    local = federated.local(federated.init(START, {}), DATA, KEY)
    # from zero
    squares = sum(np.square(leaf).reshape(3, -1).sum(1) for leaf in jax.tree.leaves(local.params))
    np.testing.assert_allclose(
        found.drift[0], np.sqrt((np.array([10, 6, 8]) / 24) @ squares), rtol=1e-5
    )


def test_no_rounds_leave_the_start():
    found = run(rounds=0, eval_data=(X, Y))
    same(found.params, START)
    assert found.eval_rounds.tolist() == [0]
    assert found.loss.shape == (0,)
    with pytest.raises(InputError, match="no accuracy"):
        _ = run(rounds=0).accuracy


def test_every_round_is_shown_to_on_round():
    seen = []
    found = run(rounds=2, on_round=lambda number, state: seen.append((number, state)))
    assert [number for number, _ in seen] == [0, 1, 2] == [int(state.round) for _, state in seen]
    same(seen[-1][1], found.federated_state)
    same(seen[0][1].params, START)


@pytest.mark.long
def test_equal_architectures_share_what_was_compiled():
    one, same_one, other = (
        as_functions(MLP((3, w, 3), rngs=nnx.Rngs(s)), None)[0] for w, s in ((4, 0), (4, 1), (5, 0))
    )
    assert one == same_one and hash(one) == hash(same_one) and one != other
    algorithm = fedavg(lr=0.1, steps=1)
    assert algorithm.bind(one, cross_entropy, DATA) is algorithm.bind(same_one, cross_entropy, DATA)
    unhashable = type(
        "Callable", (), {"__call__": lambda self, p, s, x: (linear(p, x), s), "__hash__": None}
    )()
    assert algorithm.bind(unhashable, cross_entropy, DATA).init(START, {}).round == 0


def test_a_module_is_trained_without_being_changed():
    model = MLP((3, 3), rngs=nnx.Rngs(0))
    before = np.array(model.layers[0].kernel[...])
    found = run(model=model, params=None, rounds=1, algorithm=fedavg(lr=0.1, steps=1))
    np.testing.assert_array_equal(model.layers[0].kernel[...], before)
    assert np.abs(found.model.layers[0].kernel[...] - before).max() > 0


# convolutions in the module itself; `federated_fit` makes products of patches of them first
@pytest.mark.parametrize(
    ("model", "shape", "axis"),
    [
        (CNN((4, 4, 1), 3, channels=(2,), hidden=(), rngs=nnx.Rngs(0)), (4, 4, 1), "host"),
        (MLP((16, 3), rngs=nnx.Rngs(0)), (16,), "threads"),
    ],
)
@pytest.mark.skipif(jax.default_backend() != "cpu", reason="the choice on CPU")
def test_convolutions_are_driven_from_the_host_on_cpu(model, shape, axis):
    apply, params, state = functional_train(model)
    clients = pad_clients(np.zeros((24, *shape), np.float32), Y, PARTS)
    client = Client.of(LocalSGD(lr=0.1, epochs=1, batch_size=4), apply, cross_entropy, clients)
    assert best_axis(client, Start(params, state, jnp.ones(())), Mine((), ()), clients) == axis


def test_progress_names_the_algorithm_and_the_accuracy(capsys):
    run(rounds=1, progress=True, eval_data=(X, Y), algorithm=fedavg(lr=0.1, steps=1))
    text = capsys.readouterr().err
    assert "fedavg" in text
    assert "eval_accuracy" in text


def test_divergence_names_client_and_round():
    far = np.where(np.arange(24)[:, None] < 10, X, 1e20 * X).astype(np.float32)
    with pytest.raises(
        RoundDivergenceError, match=r"client [12] is not finite after round \d of 50"
    ) as caught:
        run(
            pad_clients(far, X[:, :1], PARTS),
            model=lambda w, x: x @ w,
            params=jnp.zeros((3, 1)),
            rounds=50,
            algorithm=fedavg(lr=1.0, steps=3),
            loss=lambda f, y: jnp.square(f - y).mean(-1),
        )
    assert isinstance(caught.value, DivergenceError | InputError)
    assert caught.value.client in (1, 2)


def broken(**changes):
    return ClientData(
        **{**{name: getattr(DATA, name) for name in ("x", "y", "mask", "weights")}, **changes}
    )


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"clients": broken(x=DATA.x.at[1, 2].set(jnp.nan))},
            "NaN or infinite entries at client 1",
        ),
        ({"clients": broken(mask=DATA.mask.at[2].set(False))}, "client 2 has no examples"),
        ({"clients": broken(y=DATA.y.at[1].add(3))}, "client 1: labels from 3 to"),
        ({"rounds": -1}, "rounds = -1"),
        ({"eval_every": 0}, "eval_every = 0"),
        ({"params": None}, "params: None given"),
        ({"key": 0}, "key = 0"),
        ({"eval_data": {"test": (X, Y[:3])}}, "eval_data test"),
        ({"eval_data": {"test": (X, Y + 3)}}, "eval_data test: labels from 3 to"),
    ],
)
def test_bad_input_is_refused_with_the_client_named(options, message):
    with pytest.raises(InputError, match=message):
        run(**options)
