import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import nnx

from theorylab.errors import InputError
from theorylab.nets import CNN, MLP, DivergenceError, cross_entropy, fit, fit_seeds, functional, mse
from theorylab.nets.checkpoint import Checkpoints

RNG = np.random.default_rng(0)
X = RNG.normal(size=(24, 3)).astype(np.float32)
Y = (X[:, 0] + X[:, 1] > 0).astype(int)
KEY = jax.random.key(0)
OPTIONS = {"optimizer": optax.sgd(0.2, momentum=0.9), "batch_size": 8, "key": KEY}


def linear(params, x):
    return x @ params["w"] + params["b"]


START = {"w": jnp.zeros((3, 1)), "b": jnp.zeros(1)}


def mlp(rngs, **options):
    return MLP((3, 5, 2), rngs=rngs, **options)


class Normed(nnx.Module):
    """Batch norm and dropout: a module with state of both kinds."""

    def __init__(self, rngs):
        self.norm = nnx.BatchNorm(3, momentum=0.9, rngs=rngs)
        self.dropout = nnx.Dropout(0.3, rngs=rngs)
        self.layer = nnx.Linear(3, 2, rngs=rngs)

    def __call__(self, x):
        return self.layer(self.dropout(self.norm(x)))


def same(a, b, **tolerance):
    compare = np.testing.assert_allclose if tolerance else np.testing.assert_array_equal
    jax.tree.map(lambda u, v: compare(u, v, **tolerance), a, b)


@pytest.mark.parametrize("loop", ["device", "host"])
def test_full_batch_descent_is_numpys(loop):
    weights = RNG.uniform(0, 2, 24)
    target = RNG.normal(size=24).astype(np.float32)
    run = fit(
        linear,
        (X, target),
        params=START,
        loss=mse,
        optimizer=optax.sgd(0.1),
        batch_size=24,
        steps=7,
        key=KEY,
        weights=weights,
        loop=loop,
        chunk=3,
    )
    a, theta, losses = np.c_[X, np.ones(24)].astype(float), np.zeros(4), []
    for _ in range(7):
        residual = a @ theta - target
        losses.append((weights * residual**2).mean())
        theta -= 0.1 * 2 * a.T @ (weights * residual) / 24
    np.testing.assert_allclose(run.loss, losses, rtol=1e-5)
    np.testing.assert_allclose(
        np.r_[run.params["w"][:, 0], run.params["b"]], theta, rtol=1e-4, atol=1e-6
    )
    same(START, {"w": np.zeros((3, 1)), "b": np.zeros(1)})  # what was given is not consumed


@pytest.mark.long
def test_every_epoch_visits_every_sample_once_in_a_new_order():
    # loss -p[i] for sample i: a step of size b adds one to p at each visited index
    ids = np.arange(10)
    seen = []
    for steps in (1, 3, 4, 6):
        run = fit(
            lambda p, x: p[x][:, None],
            (ids, ids),
            params=jnp.zeros(10),
            loss=lambda out, y: -out[:, 0],
            optimizer=optax.sgd(3.0),
            batch_size=3,
            steps=steps,
            key=KEY,
        )
        seen.append(np.round(np.asarray(run.params)).astype(int))
    one, two = seen[1], seen[3] - seen[1]  # 10 // 3 = 3 steps an epoch, one sample left out
    for epoch in (one, two):
        assert sorted(epoch) == [0] + [1] * 9
    assert not np.array_equal(seen[0], seen[2] - seen[1])  # the first batches of the two epochs


@pytest.mark.long
def test_seeds_at_once_equal_single_runs():
    keys = jax.random.split(KEY, 3)
    options = {
        "optimizer": optax.sgd(0.2, momentum=0.9),
        "batch_size": 8,
        "epochs": 2,
        "eval_data": (X, Y),
    }
    many = fit_seeds(Normed, (X, Y), keys=keys, **options)
    assert many.loss.shape == (3, 6)
    assert many.eval_accuracy.shape == (3, 2)
    outputs = many.f(many.params, X)
    for s in (2,):
        one = fit(Normed(nnx.Rngs(keys[s])), (X, Y), key=keys[s], **options)
        # batched and single matrix products may round differently: a few ulps over 6 steps
        np.testing.assert_allclose(many.loss[s], one.loss, rtol=1e-4)
        same(jax.tree.map(lambda a, s=s: a[s], many.params), one.params, rtol=1e-3, atol=1e-5)
        np.testing.assert_allclose(outputs[s], one.f(one.params, X), rtol=1e-3, atol=1e-4)
        np.testing.assert_allclose(many.eval_loss[s], one.eval_loss, rtol=1e-4)
    assert not np.allclose(many.loss[0], many.loss[1])


def test_seeds_of_a_function_start_from_their_own_parameters():
    starts = {"w": jnp.stack([jnp.zeros((3, 1)), jnp.ones((3, 1))]), "b": jnp.zeros((2, 1))}
    options = {"loss": mse, "optimizer": optax.sgd(0.1), "batch_size": 24, "steps": 2}
    device = fit_seeds(
        linear, (X, X[:, 0]), params=starts, keys=jax.random.split(KEY, 2), **options
    )
    host = fit_seeds(
        linear, (X, X[:, 0]), params=starts, keys=jax.random.split(KEY, 2), loop="host", **options
    )
    np.testing.assert_allclose(
        device.loss[:, 0], [(X[:, 0] ** 2).mean(), ((X[:, 1] + X[:, 2]) ** 2).mean()], rtol=1e-5
    )
    np.testing.assert_allclose(device.loss, host.loss, rtol=1e-5)
    same(device.params, host.params, rtol=1e-5, atol=1e-6)
    with pytest.raises(InputError, match="leading axis of 3"):
        fit_seeds(linear, (X, X[:, 0]), params=starts, keys=jax.random.split(KEY, 3), **options)


@pytest.mark.long
def test_a_killed_run_resumed_equals_the_undisturbed_one(tmp_path, monkeypatch):
    options = {**OPTIONS, "epochs": 4, "eval_data": (X, Y)}
    whole = fit(Normed(nnx.Rngs(0)), (X, Y), **options)
    save, saved = Checkpoints.save, []

    def dies_after_two(self, step, *rest):
        if len(saved) == 2:
            raise KeyboardInterrupt
        saved.append(step)
        save(self, step, *rest)

    monkeypatch.setattr(Checkpoints, "save", dies_after_two)
    with pytest.raises(KeyboardInterrupt):
        fit(Normed(nnx.Rngs(0)), (X, Y), checkpoint=tmp_path / "run", **options)
    assert saved == [3, 6]
    monkeypatch.setattr(Checkpoints, "save", save)
    resumed = fit(Normed(nnx.Rngs(0)), (X, Y), checkpoint=tmp_path / "run", **options)
    same(
        (whole.params, whole.loss, whole.eval_steps),
        (resumed.params, resumed.loss, resumed.eval_steps),
    )
    same((whole.eval_loss, whole.eval_accuracy), (resumed.eval_loss, resumed.eval_accuracy))
    np.testing.assert_array_equal(whole.f(whole.params, X), resumed.f(resumed.params, X))
    # asked for more steps: continued; other data or fewer steps: refused
    more = fit(Normed(nnx.Rngs(0)), (X, Y), checkpoint=tmp_path / "run", **{**options, "epochs": 5})
    np.testing.assert_array_equal(more.loss[:12], whole.loss)
    assert more.steps == len(more.loss) == 15
    with pytest.raises(InputError, match="data was"):
        fit(Normed(nnx.Rngs(0)), (2 * X, Y), checkpoint=tmp_path / "run", **options)
    with pytest.raises(InputError, match="15 already"):
        fit(Normed(nnx.Rngs(0)), (X, Y), checkpoint=tmp_path / "run", **options)


def test_divergence_names_the_step_and_the_mend():
    with pytest.raises(DivergenceError, match=r"step \d+ of 90.*smaller learning rate") as caught:
        fit(
            linear,
            (X, X[:, 0]),
            params=START,
            loss=mse,
            optimizer=optax.sgd(1e3),
            batch_size=24,
            steps=90,
            key=KEY,
        )
    assert isinstance(caught.value, FloatingPointError)
    run = fit(
        linear,
        (X, X[:, 0]),
        params=START,
        loss=mse,
        optimizer=optax.sgd(1e3),
        batch_size=24,
        key=KEY,
        steps=caught.value.step - 1,
    )
    assert np.isfinite(run.loss).all()


@pytest.mark.long
def test_weight_zero_leaves_a_sample_out():
    weights = np.r_[np.full(12, 2.0), np.zeros(12)]
    options = {"loss": mse, "optimizer": optax.sgd(0.1), "steps": 3, "key": KEY, "params": START}
    weighted = fit(linear, (X, X[:, 1]), batch_size=24, weights=weights, **options)
    half = fit(linear, (X[:12], X[:12, 1]), batch_size=12, **options)
    same(weighted.params, half.params, rtol=1e-5, atol=1e-6)


@pytest.mark.long
def test_batch_statistics_and_dropout_follow_the_training():
    model = Normed(nnx.Rngs(0))
    run = fit(model, (X + 5, Y), **{**OPTIONS, "batch_size": 24}, steps=40)
    # exponential average towards the mean of the data: 1 - .9^40 of the way
    np.testing.assert_allclose(
        run.state["norm"]["mean"], (1 - 0.9**40) * (X + 5).mean(0), rtol=1e-3
    )
    assert float(jnp.abs(model.norm.mean[...]).max()) == 0.0
    np.testing.assert_allclose(run.model(X), run.f(run.params, X), rtol=1e-6)
    again = fit(model, (X + 5, Y), **{**OPTIONS, "batch_size": 24}, steps=40)
    np.testing.assert_array_equal(run.loss, again.loss)
    other = fit(
        model, (X + 5, Y), **{**OPTIONS, "batch_size": 24, "key": jax.random.key(1)}, steps=40
    )
    assert not np.array_equal(run.loss, other.loss)  # full batch: only the dropout masks differ


def test_augmentation_acts_on_training_batches_only():
    zero = lambda key, x: jnp.zeros_like(x)  # noqa: E731
    run = fit(
        linear,
        (X, X[:, 0]),
        params=START,
        loss=mse,
        optimizer=optax.sgd(0.1),
        batch_size=8,
        steps=4,
        key=KEY,
        augment=zero,
        eval_data=(X, X[:, 0]),
    )
    assert float(jnp.abs(run.params["w"]).max()) == 0.0
    assert run.eval_accuracy is None
    np.testing.assert_allclose(
        run.eval_loss[-1], ((X[:, 0] - float(run.params["b"][0])) ** 2).mean(), rtol=1e-5
    )


@pytest.mark.long
def test_convolutions_on_cpu_run_on_the_host_and_learn():
    x = RNG.normal(size=(32, 6, 6, 1)).astype(np.float32)
    y = (x.mean((1, 2, 3)) > 0).astype(int)
    model = CNN((6, 6, 1), 2, channels=(3,), hidden=(), rngs=nnx.Rngs(0))
    run = fit(
        model,
        (x, y),
        key=KEY,
        optimizer=optax.adam(0.05),
        batch_size=16,
        epochs=15,
        eval_data=(x, y),
        eval_batch_size=20,
    )
    assert run.eval_accuracy[-1] > 0.9
    device = fit(
        model, (x, y), key=KEY, optimizer=optax.adam(0.05), batch_size=16, steps=3, loop="device"
    )
    np.testing.assert_allclose(device.loss, run.loss[:3], rtol=1e-4)


@pytest.mark.long
def test_float64_is_kept_where_the_user_enabled_it():
    with jax.enable_x64(True):
        start = {"w": jnp.zeros((3, 1)), "b": jnp.zeros(1)}
        x = X.astype(np.float64)
        run = fit(
            linear,
            (x, x[:, 0]),
            params=start,
            loss=mse,
            optimizer=optax.sgd(0.1),
            batch_size=8,
            steps=3,
            key=KEY,
        )
        assert run.params["w"].dtype == run.loss.dtype == np.float64


def test_no_steps_give_the_start(capsys):
    run = fit(mlp(nnx.Rngs(0)), (X, Y), **OPTIONS, steps=0, progress=True)
    same(run.params, functional(mlp(nnx.Rngs(0)))[1])
    assert run.loss.shape == (0,)
    assert capsys.readouterr().out == ""


def test_progress_bar_goes_to_stderr(capsys):
    fit(
        linear,
        (X, X[:, 0]),
        params=START,
        loss=mse,
        optimizer=optax.sgd(0.1),
        batch_size=24,
        steps=2,
        key=KEY,
        progress=True,
    )
    seen = capsys.readouterr()
    assert "100%" in seen.err
    assert seen.out == ""


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ({"batch_size": 25}, "batch_size = 25; .* at most 24"),
        ({"batch_size": 0}, "batch_size"),
        ({"epochs": None}, "exactly one"),
        ({"steps": 3}, "exactly one"),
        ({"epochs": -1}, "epochs = -1"),
        ({"data": (X, Y + 1)}, "labels from 1 to 2 given, the model has 2 outputs"),
        ({"data": (X, Y - 1)}, "labels from -1 to 0"),
        ({"data": (X, Y.astype(np.float32))}, "integer labels"),
        ({"data": (X, Y[:, None])}, "integer labels"),
        ({"data": (X, Y[:-1])}, "leading axis"),
        ({"data": X}, "pair"),
        ({"data": (X[:0], Y[:0])}, "at least one sample"),
        ({"data": (np.where(X > 0, np.nan, X), Y)}, "NaN"),
        ({"data": (X[:, :2], Y)}, r"\(any, 3\)"),
        ({"data": (X.astype(int), Y)}, "floats"),
        ({"eval_data": (X, Y + 5)}, "eval_data: labels"),
        ({"weights": np.ones(3)}, "weights"),
        ({"weights": np.full(24, np.inf)}, "weights"),
        ({"chunk": 0}, "chunk"),
        ({"loop": "scan"}, "loop"),
        ({"key": jax.random.PRNGKey(0)}, "typed key"),
        ({"key": jax.random.split(KEY)}, "typed key"),
        ({"loss": lambda out, y: cross_entropy(out, y).mean()}, "leave out the mean"),
        ({"model": linear}, "params: None given"),
    ],
)
def test_bad_input_is_named(changes, word):
    given = {"model": mlp(nnx.Rngs(0)), "data": (X, Y), "epochs": 1, **OPTIONS} | changes
    with pytest.raises(InputError, match=word):
        fit(given.pop("model"), given.pop("data"), **given)
