import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from theorylab.errors import InputError
from theorylab.federated import (
    FeatureOptions,
    Stage1,
    Stage2,
    convexify,
    fedavg,
    federated_fit,
    label_partition,
    min_norm_interpolator,
    pad_clients,
    solve_convex,
    tct,
)
from theorylab.federated.tangent import live_parameters
from theorylab.nets import MLP, functional

RNG = np.random.default_rng(0)
X = RNG.normal(size=(40, 4)).astype(np.float32)
Y = (X @ RNG.normal(size=(4, 3))).argmax(1)
PARTS = label_partition(Y, 3, 2, key=jax.random.key(1))
DATA = pad_clients(X, Y, PARTS)
KEY = jax.random.key(0)
MODEL = MLP((4, 6, 3), activation=jnp.tanh, rngs=nnx.Rngs(0))
ALGORITHM = fedavg(lr=0.1, epochs=1)


@pytest.fixture(scope="module")
def whole():
    return tct(
        MODEL,
        DATA,
        stage1=Stage1(ALGORITHM, rounds=2),
        features=FeatureOptions(n_coords=30),
        stage2=Stage2(rounds=4, local_steps=20),
        key=KEY,
        eval_data=(X, Y),
    )


@pytest.mark.long
def test_the_parts_in_turn_are_the_whole(whole):
    train_key, feature_key = jax.random.split(KEY)
    stage1 = federated_fit(
        MODEL, DATA, algorithm=ALGORITHM, rounds=2, key=train_key, eval_data=(X, Y)
    )
    problem = convexify(stage1, DATA, FeatureOptions(n_coords=30), key=feature_key)
    stage2 = solve_convex(problem, Stage2(rounds=4, local_steps=20), eval_data=(X, Y))
    np.testing.assert_array_equal(whole.stage2.theta, stage2.theta)
    assert whole.stage2.eval_accuracy.shape == (4,)
    np.testing.assert_allclose(
        whole.stage2.eval_accuracy[-1], (whole.predict(X).argmax(1) == Y).mean()
    )
    # all data are held
    np.testing.assert_allclose(whole.stage2.eval_accuracy, whole.stage2.train_accuracy)
    assert (np.diff(whole.stage2.train_loss) < 0).all()


@pytest.mark.long
def test_features_are_gradients_of_a_fresh_scalar_head_at_the_averaged_model(whole):
    problem = whole.problem
    hidden, params = functional(whole.stage1.model, method="features")
    tangent = problem.tangent
    head = jax.random.normal(tangent.key, (6,)) / np.sqrt(6)

    def scalar(body, weight, bias, x):
        return (hidden(body, x[None]) @ weight + bias)[0]

    raw = []
    for x in X[:5]:
        body, weight, bias = jax.grad(scalar, (0, 1, 2))(params, head, 0.0, x)
        first = body["layers"][0]
        # the trained K-way head has no part in it; the fresh head's bias and weights come last
        raw.append(np.concatenate([first["bias"], first["kernel"].ravel(), [bias], weight]))
    raw = np.array(raw)[:, tangent.coords]
    np.testing.assert_allclose(problem.tangent(X[:5]), raw, rtol=1e-4, atol=1e-6)
    standardised = (raw - problem.standardizer.mean) / problem.standardizer.scale
    np.testing.assert_allclose(problem.map(X[:5]), standardised, rtol=1e-3, atol=1e-4)


@pytest.mark.slow  # a claim of the room of TCT as well, judged at its smoke preset
def test_linearisation_error_is_of_second_order():
    with jax.enable_x64(True):
        f, params = functional(MODEL)
        params = jax.tree.map(lambda a: a.astype(jnp.float64), params)
        problem = convexify(
            (f, params),
            pad_clients(X.astype(np.float64), Y, PARTS),
            FeatureOptions(head="logit_sum", standardize=False),
            key=KEY,
        )
        flat, unravel = jax.flatten_util.ravel_pytree(params)
        u = jnp.asarray(RNG.normal(size=flat.size))
        x = jnp.asarray(X[:3], jnp.float64)
        value = lambda t: f(unravel(flat + t * u), x).sum(1) / np.sqrt(3)  # noqa: E731
        phi = problem.map(x)
        errors = [
            float(jnp.abs(value(t) - value(0.0) - t * (phi @ u)).max()) for t in (1e-1, 1e-2, 1e-3)
        ]
    slopes = np.diff(np.log10(errors)) * -1
    np.testing.assert_allclose(slopes[1:], 2, atol=0.05)


@pytest.mark.long
@pytest.mark.parametrize(
    "head", ["random", pytest.param("logit_sum", marks=pytest.mark.slow), "per_class"]
)
def test_the_two_methods_solve_the_same_problem(head, whole):
    problem = convexify(whole.stage1, DATA, FeatureOptions(head=head, n_coords=25), key=KEY)
    dual, primal = (
        solve_convex(problem, Stage2(rounds=3, local_steps=15, method=method), eval_data=(X, Y))
        for method in ("gram", "primal")
    )
    # float32 features in the primal loop: eta, theta and losses to its rounding over 45 steps
    np.testing.assert_allclose(dual.theta, primal.theta, atol=1e-4 * np.abs(dual.theta).max())
    np.testing.assert_allclose(dual.train_loss, primal.train_loss, rtol=1e-4)
    np.testing.assert_allclose(
        dual.logits(problem.map(X)), primal.logits(problem.map(X)), atol=1e-3
    )
    assert dual.theta.shape == (25, 3)
    assert dual.eta.shape == ((3,) if head == "per_class" else (1,))


def test_fedavg_and_scaffold_start_with_the_same_round(whole):
    a, b = (
        solve_convex(whole.problem, Stage2(rounds=2, local_steps=15, algorithm=algorithm))
        for algorithm in ("scaffold", "fedavg")
    )
    assert a.train_loss[0] == b.train_loss[0]  # round 1 has no correction yet
    assert a.train_loss[1] != b.train_loss[1]
    assert a.eval_accuracy is None


@pytest.mark.slow  # a claim of the room of TCT as well, judged at its smoke preset
def test_many_rounds_tend_to_the_minimum_norm_interpolator():
    few = np.concatenate([part[:2] for part in PARTS])
    data = pad_clients(
        X[few], Y[few], [np.arange(2 * i, 2 * i + 2) for i in range(3)], allow_missing=True
    )
    problem = convexify(MODEL, data, FeatureOptions(standardize=False), key=KEY)
    run = solve_convex(problem, Stage2(rounds=3000, local_steps=5))
    limit = min_norm_interpolator(problem.features, problem.targets())
    np.testing.assert_allclose(run.theta, limit, atol=2e-3 * np.abs(limit).max())
    assert run.train_loss[-1] < 1e-8


@pytest.mark.long
def test_plain_functions_and_no_bootstrap_are_possible():
    f = lambda p, x: jnp.tanh(x @ p["a"]) @ p["b"]  # noqa: E731
    params = {"a": jnp.asarray(RNG.normal(size=(4, 5))), "b": jnp.asarray(RNG.normal(size=(5, 3)))}
    run = tct(
        f,
        DATA,
        params=params,
        stage1=Stage1(ALGORITHM, rounds=0),
        features=FeatureOptions(hidden=lambda p, x: jnp.tanh(x @ p["a"]), standardize=False),
        stage2=Stage2(rounds=2, local_steps=5),
        key=KEY,
    )
    # p["b"] is not read by the hidden features
    assert run.problem.features[0].shape[1] == 4 * 5 + 5 + 1
    assert run.problem.standardizer is None
    np.testing.assert_array_equal(run.stage1.params["a"], params["a"])


def test_parameters_that_are_not_read_are_left_out():
    params = {"used": jnp.ones(2), "unused": jnp.ones(3), "indirect": jnp.ones(2)}
    f = lambda p, x: x @ (p["used"] + jnp.exp(p["indirect"]))  # noqa: E731
    g, leaves = live_parameters(f, params, X[:, :2])
    assert [leaf.size for leaf in leaves] == [2, 2]
    np.testing.assert_allclose(g(leaves, X[:, :2]), f(params, X[:, :2]))
    with pytest.raises(InputError, match="none of the parameters"):
        live_parameters(lambda p, x: x, params, X)


def test_a_diverged_model_names_the_client(whole):
    params = jax.tree.map(lambda a: a * jnp.nan, whole.stage1.params)
    with pytest.raises(InputError, match="NaN or infinite at client 0"):
        convexify((whole.stage1.f, params), DATA, key=KEY)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda w: Stage2(rounds=0), "rounds = 0"),
        (lambda w: Stage1(ALGORITHM, rounds=-1), "rounds = -1"),
        (lambda w: Stage2(rounds=1, algorithm="sgd"), "algorithm = 'sgd'"),
        (lambda w: Stage2(rounds=1, method="exact"), "method = 'exact'"),
        (
            lambda w: solve_convex(w.problem, Stage2(rounds=1, local_steps=5, eta=1.0)),
            "2 / lambda_max",
        ),
        (
            lambda w: convexify(w.stage1, DATA, FeatureOptions(n_coords=10_000), key=KEY),
            "n_coords = 10000",
        ),
        (
            lambda w: convexify(
                w.stage1, DATA, FeatureOptions(head="logit_sum", hidden=lambda p, x: x), key=KEY
            ),
            "hidden: only",
        ),
        (
            lambda w: convexify(w.stage1, pad_clients(X, X[:, 0], PARTS), key=KEY),
            "integer labels are needed",
        ),
    ],
)
def test_bad_input_is_refused(call, message, whole):
    with pytest.raises(InputError, match=message):
        call(whole)


def test_features_to_evaluate_on_may_be_lists(whole):
    problem = convexify(whole.stage1, DATA, FeatureOptions(n_coords=25), key=KEY)
    features, stage2 = np.asarray(problem.map(X)), Stage2(rounds=2, local_steps=15)
    from_array, from_list = (
        solve_convex(problem, stage2, eval_data=(X, Y), eval_features=given)
        for given in (features, features.tolist())
    )
    np.testing.assert_array_equal(from_list.eval_accuracy, from_array.eval_accuracy)
