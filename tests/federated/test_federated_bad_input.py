"""Malformed calls of every public function end in a finite value or in a refusal that names the
argument."""

import bad_input
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import nnx

from theorylab import federated as fl
from theorylab.errors import InputError
from theorylab.nets import MLP, cross_entropy, functional

RNG = np.random.default_rng(0)
X = RNG.normal(size=(12, 3)).astype(np.float32)
Y = np.arange(12) % 3
PARTS = [np.arange(0, 5), np.arange(5, 12)]
DATA = fl.pad_clients(X, Y, PARTS)
KEY = jax.random.key(0)
PHI, TARGETS = [X[:5], X[5:]], [np.eye(3)[Y[:5]], np.eye(3)[Y[5:]]]
TERMS = fl.least_squares_terms(PHI, TARGETS)
G = fl.gram(X)
LOCAL = fl.LocalSGD(lr=0.1, steps=2)
FEDAVG = fl.fedavg(LOCAL)
START = {"w": jnp.zeros((3, 3)), "b": jnp.zeros(3)}
OPTIONS = {"eta": 0.1, "local_steps": 2, "rounds": 2}
LABELS = np.repeat(np.arange(4), 10)


def linear(params, x):
    return x @ params["w"] + params["b"]


HIDDEN = functional(MLP((3, 4, 3), rngs=nnx.Rngs(0)), method="features")[0]


def model():
    return MLP((3, 4, 3), rngs=nnx.Rngs(0))


BOUND = FEDAVG.bind(lambda params, state, x: (linear(params, x), state), cross_entropy, DATA)
FIRST = BOUND.init(START, {})
MOMENTS = [fl.client_moments(X[:5]), fl.client_moments(X[5:])]
STANDARDIZER = fl.federated_standardizer(PHI)

CALLS = [
    (
        fl.pad_clients,
        {"x": X, "y": Y, "parts": PARTS, "weights": np.ones(2), "allow_missing": False},
    ),
    (fl.pad_clients, {"x": X, "y": Y, "parts": PARTS, "weights": "size"}),
    (DATA.client, {"i": 1}),
    (DATA.take, {"chosen": np.array([1, 0])}),
    (
        fl.LocalSGD,
        {
            "lr": 0.1,
            "epochs": 2,
            "batch_size": 3,
            "momentum": 0.5,
            "weight_decay": 0.1,
            "prox_mu": 0.1,
            "augment": None,
        },
    ),
    (fl.LocalSGD, {"lr": 0.1, "steps": 2}),
    (LOCAL.batches, {"counts": np.array([3, 4])}),
    (LOCAL.step_counts, {"counts": np.array([3, 4])}),
    (fl.LocalSGD(lr=0.1, steps=2, momentum=0.5).effective_steps, {"tau": np.array([3, 4])}),
    (
        fl.Algorithm,
        {
            "name": "mine",
            "local": LOCAL,
            "server": optax.sgd(1.0),
            "controls": False,
            "normalised": False,
            "carry_momentum": False,
            "clients_per_round": 1,
            "pooled": False,
        },
    ),
    (
        fl.fedavg,
        {
            "local": LOCAL,
            "server_optimizer": optax.sgd(1.0),
            "clients_per_round": 1,
            "carry_momentum": False,
        },
    ),
    (fl.fedprox, {"local": LOCAL, "mu": 0.1}),
    (fl.scaffold, {"local": LOCAL}),
    (fl.fednova, {"local": LOCAL}),
    (fl.fedavgm, {"local": LOCAL, "server_lr": 1.0, "server_momentum": 0.9}),
    (fl.fedadam, {"local": LOCAL, "server_lr": 0.1, "b1": 0.9, "b2": 0.99, "tau": 1e-3}),
    (fl.centralized, {"local": LOCAL}),
    (
        FEDAVG.bind,
        {
            "apply": lambda params, state, x: (x, state),
            "loss": cross_entropy,
            "clients": DATA,
            "client_axis": "map",
        },
    ),
    (fl.gram, {"Phi": X, "other": X, "columns": 2}),
    (
        fl.scaffold_gram,
        {"G": G, "Y": TARGETS[0][[0] * 12], "sizes": [5, 7], "weights": "size", **OPTIONS},
    ),
    (
        fl.scaffold_gram,
        {"G": G, "Y": X[:, 0], "sizes": np.array([5, 7]), "weights": np.ones(2), **OPTIONS},
    ),
    (
        fl.fedavg_gram,
        {"G": G, "Y": X[:, 0], "sizes": np.array([5, 7]), "weights": np.ones(2), **OPTIONS},
    ),
    (fl.fedavg_gram(G, X[:, 0], [5, 7], **OPTIONS).predict, {"G_eval": G[:4]}),
    (
        fl.scaffold_least_squares,
        {
            "Phi": PHI,
            "Y": TARGETS,
            "weights": "size",
            "state": None,
            "keep": fl.EachRound(X, trajectory=True),
            **OPTIONS,
        },
    ),
    (
        fl.scaffold_least_squares,
        {"Phi": np.stack([X[:6], X[6:]]), "Y": np.ones((2, 6)), "weights": np.ones(2), **OPTIONS},
    ),
    (
        fl.fedavg_least_squares,
        {
            "Phi": np.stack([X[:6], X[6:]]),
            "Y": np.ones((2, 6, 1)),
            "weights": np.ones(2),
            **OPTIONS,
        },
    ),
    (fl.EachRound, {"trajectory": True}),
    (fl.Stage1, {"algorithm": FEDAVG, "rounds": 0}),
    (
        fl.FeatureOptions,
        {
            "head": "random",
            "hidden": HIDDEN,
            "n_coords": 5,
            "standardize": True,
            "batch_size": 4,
        },
    ),
    (
        fl.Stage2,
        {
            "rounds": 2,
            "local_steps": 2,
            "algorithm": "scaffold",
            "c": 1.0,
            "eta": None,
            "method": "gram",
        },
    ),
    (fl.iid_partition, {"labels": LABELS, "n_clients": 3, "key": KEY}),
    (
        fl.label_partition,
        {
            "labels": LABELS,
            "n_clients": 4,
            "classes_per_client": 2,
            "key": KEY,
            "allow_missing": False,
        },
    ),
    (
        fl.consecutive_pairs_partition,
        {
            "labels": LABELS,
            "n_clients": 4,
            "classes_per_client": 2,
            "stride": 1,
            "key": KEY,
            "allow_missing": False,
        },
    ),
    (
        fl.dirichlet_partition,
        {"labels": LABELS, "n_clients": 3, "alpha": 10.0, "key": KEY, "min_size": 2},
    ),
    (fl.client_moments, {"F": X}),
    (fl.combine_moments, {"moments": MOMENTS}),
    (fl.federated_standardizer, {"feature_blocks": PHI}),
    (STANDARDIZER.apply, {"F": X}),
    (fl.max_curvatures, {"Phi": np.stack([X[:6], X[6:]])}),
    (fl.stable_step_size, {"Phi": PHI, "c": 1.0}),
    (fl.least_squares_terms, {"Phi": PHI, "Y": TARGETS}),
    (fl.local_operators, {"H": TERMS.H, "eta": 0.1, "local_steps": 2}),
    (fl.global_optimum, {"H": TERMS.H, "b": TERMS.b, "weights": np.ones(2)}),
    (
        fl.fedavg_fixed_point,
        {"H": TERMS.H, "b": TERMS.b, "eta": 0.1, "local_steps": 2, "weights": "uniform"},
    ),
    (fl.fedavg_round_matrix, {"H": TERMS.H, "eta": 0.1, "local_steps": 2, "weights": np.ones(2)}),
    (fl.scaffold_round_matrix, {"H": TERMS.H, "eta": 0.1, "local_steps": 2, "weights": "uniform"}),
    (fl.fedavg_spectral_radius, {"H": TERMS.H, "eta": 0.1, "local_steps": 2, "weights": "uniform"}),
    (
        fl.scaffold_spectral_radius,
        {"H": TERMS.H, "eta": 0.1, "local_steps": 2, "weights": "uniform"},
    ),
    (fl.min_norm_interpolator, {"Phi": PHI, "Y": TARGETS}),
    (fl.min_norm_interpolator, {"Phi": X, "Y": X[:, :2]}),
]
EXCUSED = {
    "ClientData": "a PyTree, checked where it is used; its methods are in the table",
    "FederatedState": "a PyTree that `Federated.init` makes",
    "Federated": "made by `Algorithm.bind`, its functions are attacked below",
    "FederatedFit": "a result",
    "Examples": "a result",
    "LocalOperators": "a result",
    "Terms": "a result",
    "GramRun": "a result",
    "LeastSquaresRun": "a result",
    "LeastSquaresState": "a PyTree",
    "LocalResult": "a result",
    "Moments": "a result",
    "RoundMetrics": "a result",
    "RoundDivergenceError": "an error",
    "Standardizer": "a result",
    "ConvexFit": "a result",
    "Convexified": "a result",
    "TCT": "a result",
    "TangentMap": "a result",
    "federated_fit": "attacked below",
    "convexify": "attacked below",
    "solve_convex": "attacked below",
    "tct": "attacked below",
}


@pytest.mark.long
def test_malformed_calls_end_in_a_finite_value_or_a_refusal():
    assert bad_input.faults_in(CALLS) == []


def test_every_public_name_is_in_the_table():
    assert bad_input.uncovered(fl, CALLS, EXCUSED) == set()


def fit(**options):
    return fl.federated_fit(linear, options.pop("clients"), params=START, **options)


def training_calls():
    options = {"clients": DATA, "algorithm": FEDAVG, "rounds": 1, "key": KEY}
    evaluated = {"eval_every": 1, "eval_batch_size": 5, "checkpoint_every": 1, "eval_data": (X, Y)}
    rest = {
        "loss": cross_entropy,
        "client_axis": "map",
        "on_round": lambda number, state: None,
        "progress": None,
    }
    arguments = {"state": FIRST, "clients": DATA, "key": KEY}
    return [
        (fit, {**options, **evaluated, **rest}),
        (
            fl.federated_fit,
            {"model": model(), "clients": DATA, "algorithm": FEDAVG, "rounds": 1, "key": KEY},
        ),
        (lambda state, clients, key: BOUND.round(state, clients, key), arguments),
        (lambda state, clients, key: BOUND.local(state, clients, key), arguments),
    ]


@pytest.mark.long
def test_malformed_federated_training_is_refused():
    assert bad_input.faults_in(training_calls()) == []


def convexification_calls():
    problem = fl.convexify(model(), DATA, key=KEY)
    by_class = fl.convexify(model(), DATA, fl.FeatureOptions(head="per_class"), key=KEY)
    stage1 = fl.Stage1(FEDAVG, rounds=0)
    stage2 = fl.Stage2(rounds=2, local_steps=2, method="gram")
    small = fl.Stage2(rounds=2, local_steps=2, eta=1e-4)
    features = fl.FeatureOptions(hidden=HIDDEN, n_coords=5, batch_size=4)
    solved = fl.solve_convex(problem, stage2)
    whole = fl.tct(model(), DATA, stage1=stage1, stage2=fl.Stage2(rounds=1), key=KEY)
    return [
        (
            fl.convexify,
            {
                "start": model(),
                "clients": DATA,
                "features": features,
                "key": KEY,
            },
        ),
        (fl.convexify, {"start": (linear, START), "clients": DATA, "key": KEY}),
        (problem.tangent.__call__, {"x": X}),
        (problem.map, {"x": X}),
        (whole.predict, {"x": X}),
        (solved.logits, {"features": problem.map(X)}),
        (fl.solve_convex, {"problem": problem, "stage2": stage2, "eval_data": (X, Y)}),
        (
            fl.solve_convex,
            {
                "problem": by_class,
                "stage2": small,
                "eval_data": (X, Y),
                "eval_features": by_class.map(X),
            },
        ),
        (
            fl.tct,
            {
                "model": model(),
                "clients": DATA,
                "stage1": stage1,
                "features": features,
                "stage2": stage2,
                "key": KEY,
                "eval_data": (X, Y),
            },
        ),
    ]


@pytest.mark.long
def test_malformed_convexification_is_refused():
    assert bad_input.faults_in(convexification_calls()) == []


LAZY = (training_calls, convexification_calls)


BAD_STATE = fl.LeastSquaresState(np.zeros((3, 2)), np.zeros((2, 3, 3)), np.zeros((2, 3, 3)))


@pytest.mark.long
@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: fl.gram(X, columns=-1), "columns = -1"),
        (lambda: fl.gram(X * np.nan), "Phi holds nan"),
        (
            lambda: fl.local_operators(-TERMS.H, eta=0.1, local_steps=2),
            "H has a negative eigenvalue",
        ),
        (lambda: fl.global_optimum(TERMS.H * np.inf, TERMS.b), "H holds"),  # LAPACK never came back
        (
            lambda: fl.scaffold_least_squares(PHI, TARGETS, state=BAD_STATE, **OPTIONS),
            "state.theta has shape",
        ),
        (
            lambda: fl.solve_convex(
                fl.convexify(model(), DATA, key=KEY),
                fl.Stage2(rounds=1, local_steps=1),
                eval_data=(X, Y[:, None]),
            ),
            r"eval_data labels has shape \(12, 1\)",
        ),
        (
            lambda: fit(clients=DATA, algorithm=FEDAVG, rounds=1, key=KEY, checkpoint=3),
            "checkpoint = 3",
        ),
        (lambda: DATA.client(-1), "i = -1"),
        (lambda: DATA.take(np.array([2])), "chosen holds 2"),
        (lambda: fl.pad_clients([], Y, PARTS), "x = "),
        (
            lambda: fl.pad_clients(X, Y, PARTS, weights=np.array([[1.0], [1.0]])),
            "weights has shape",
        ),
    ],
)
def test_what_gave_wrong_numbers_is_refused(call, message):
    with pytest.raises(InputError, match=message):
        call()
