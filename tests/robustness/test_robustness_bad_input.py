"""Malformed calls of every public function end in a finite value or in a refusal that names the
argument."""

import bad_input
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from theorylab import robustness
from theorylab import robustness as rb
from theorylab.errors import InputError
from theorylab.nets import cross_entropy

X = np.random.default_rng(0).uniform(size=(4, 3)).astype(np.float32)
Y = np.array([0, 1, 1, 0])
PARAMS = {"w": jnp.array([[1.0, -1.0], [0.5, 0.0], [0.0, 2.0]])}


def linear(params, x):
    return x @ params["w"]


ATTACK = {
    "f": linear,
    "params": PARAMS,
    "x": X,
    "y": Y,
    "eps": 0.1,
    "norm": "linf",
    "bounds": (0.0, 1.0),
    "targeted": False,
    "loss": cross_entropy,
    "batch_size": 3,
}
CALLS = [
    (robustness.pgd, {**ATTACK, "steps": 2, "step_size": 0.05, "key": jax.random.key(0)}),
    (
        robustness.pgd,
        {**ATTACK, "norm": "l2", "bounds": None, "steps": 1, "step_size": None, "key": None},
    ),
    (robustness.fgsm, ATTACK),
    (
        robustness.project,
        {"x": X, "centre": X[::-1].copy(), "eps": 0.1, "norm": "l2", "bounds": None},
    ),
    (
        robustness.project,
        {
            "x": X,
            "centre": 0 * X,
            "eps": np.full((4, 1), 0.1),
            "norm": "linf",
            "bounds": (0.0, 1.0),
        },
    ),
]
DENSE = rb.dense_params(jax.random.key(0), (3, 4, 2))
BALL = rb.LpBall(0.1)
CERTIFY = {
    "f": rb.dense_network,
    "params": DENSE,
    "x": X[:2],
    "threat": BALL,
    "method": "ibp",
    "outward": False,
    "memory_gb": 1.0,
}
SPEC = np.array([[1.0, -1.0]])
ORACLE = {
    "f": rb.dense_network,
    "params": DENSE,
    "x": X[0],
    "spec": SPEC,
    "threat": BALL,
    "method": "ibp",
}
NEURON = rb.OneNeuron()
TRAIN = {
    "f": rb.dense_network,
    "params": DENSE,
    "data": (X, Y),
    "threat": BALL,
    "recipe": rb.Recipe("standard"),
    "schedule": rb.Schedule(1, 4, loop="device"),
    "key": jax.random.key(0),
    "watch": None,
}
MANY = {
    "f": rb.dense_network,
    "params": jax.tree.map(lambda a: a[None], DENSE),
    "data": (X[None], Y[None]),
    "threat": BALL,
    "recipe": rb.Recipe("standard"),
    "schedule": rb.Schedule(1, 4),
    "runs": rb.Runs(jax.random.split(jax.random.key(0), 1), np.array([0.1]), np.array([0.1])),
    "watch": None,
}
LINES = rb.LineUnion(0.1, np.eye(3)[:2])
CALLS += [
    (
        rb.certified_margins,
        {**CERTIFY, "y": Y[:2]},
    ),
    (rb.certified_error, {**CERTIFY, "y": Y[:2]}),
    (rb.output_bounds, {**CERTIFY, "spec": SPEC}),
    (rb.activation_bounds, CERTIFY),
    (
        rb.estimated_margins,
        {
            "f": rb.dense_network,
            "params": DENSE,
            "x": X[:2],
            "y": Y[:2],
            "threat": BALL,
            "key": jax.random.key(0),
            "projections": 3,
        },
    ),
    (rb.lp_minimum, ORACLE),
    (rb.exact_minimum, ORACLE),
    (rb.alignment, {"threat": LINES, "signals": X}),
    (
        rb.attack_ensemble,
        {
            "f": rb.dense_network,
            "params": DENSE,
            "x": X,
            "y": Y,
            "threat": BALL,
            "key": jax.random.key(0),
            "effort": rb.Effort(1, attacks=("apgd-ce",)),
            "batch_size": 4,
        },
    ),
    (
        rb.line_attack,
        {
            "f": rb.dense_network,
            "params": DENSE,
            "x": X,
            "y": Y,
            "threat": LINES,
            "points": 5,
            "batch_size": 4,
        },
    ),
    (rb.dense_params, {"key": jax.random.key(0), "widths": (3, 4, 2)}),
    (rb.ibp_init, {"key": jax.random.key(0), "params": DENSE}),
    (
        rb.concentric_spheres,
        {"key": jax.random.key(0), "n": 4, "d": 3, "inner": 1.0, "outer": 2.0},
    ),
    (rb.linear_signal, {"key": jax.random.key(0), "n": 4, "d": 3, "gamma": 1.0, "sigma": 1.0}),
    (rb.worst_margin, {"neuron": NEURON, "s": X[:, 0], "y": 2.0 * Y - 1, "training": "coap"}),
    (rb.gradient, {"neuron": NEURON, "s": X[:, 0], "y": 2.0 * Y - 1, "training": "coap"}),
    (rb.population_gradient, {"neuron": NEURON, "training": "coap"}),
    (rb.robust_risk, {"neuron": NEURON}),
    (rb.proof_function, {"r": np.array([1.0, 2.0]), "gamma": 6.0, "eps": 5.0, "sigma": 1.0}),
    (rb.sharp_threshold, {"ratio": 0.8}),
    (rb.corrected_threshold, {"ratio": 0.8}),
    (rb.printed_threshold, {"gamma": 6.0, "sigma": 1.0}),
    (rb.smooth_ramp, {"share": 0.5}),
    (rb.train_robust, TRAIN),
    (rb.train_robust_many, MANY),
    (
        rb.OneNeuron,
        {"theta1": 1.0, "norm": 2.0, "a": 1.0, "b": -1.0, "gamma": 1.0, "sigma": 1.0, "eps": 0.5},
    ),
    (rb.Recipe, {"kind": "sabr", "attack_steps": 3, "box_share": 0.5, "least_ratio": 0.5}),
    (rb.Certifier, {"method": "crown", "alpha_mode": "zero", "alpha_steps": 2}),
    (rb.Effort, {"steps": 2, "restarts": 1, "attacks": ("square",), "queries": 2, "targets": 1}),
    (rb.Schedule, {"epochs": 2, "batch_size": 3, "ramp": 1, "start": 0.1, "momentum": 0.5}),
]
EXCUSED = {
    "ensembles": "a package: what it refuses is tested beside its functions",
    "dense_network": "a network: what it is given is checked by those who call it",
    "LpBall": "checked where it is used, since its radius may be traced",
    "LineUnion": "checked where it is used, since its radius may be traced",
    "Margins": "a record of results",
    "OutputBounds": "a record of results",
    "ActivationBounds": "a record of results",
    "Estimate": "a record of results",
    "AttackResult": "a record of results",
    "Trained": "a record of results",
    "Runs": "checked where it is used, against the data",
    "Watch": "checked where it is used, against the network",
}
BAD = [
    (rb.LpBall(-0.1), "threat.eps = -0.1"),
    (rb.LpBall(np.nan), "threat.eps"),
    (rb.LpBall(0.1, 3), "threat.p = 3"),
    (rb.LpBall(0.1, clip=(1.0, 0.0)), "threat.clip = .* is crossed"),
    (rb.LineUnion(0.1, np.ones((2, 3))), "not orthonormal"),
    (rb.LineUnion(0.1, np.eye(4)), "threat.directions: shape"),
]


@pytest.mark.parametrize(("threat", "message"), BAD)
def test_a_set_that_is_none_is_refused_in_one_line(threat, message):
    for function, arguments in (
        (rb.certified_margins, {**CERTIFY, "y": Y[:2]}),
        (rb.lp_minimum, ORACLE),
    ):
        with pytest.raises(InputError, match=message) as caught:
            function(**{**arguments, "threat": threat})
        assert "\n" not in str(caught.value)


def test_weights_that_are_not_finite_and_specifications_that_do_not_fit_are_refused():
    bad = [{**DENSE[0], "w": DENSE[0]["w"].at[0, 0].set(np.nan)}, DENSE[1]]
    with pytest.raises(InputError, match="params"):
        rb.certified_margins(**{**CERTIFY, "y": Y[:2], "params": bad})
    with pytest.raises(InputError, match="spec has shape"):
        rb.output_bounds(**{**CERTIFY, "spec": np.eye(3)})


@pytest.mark.long
def test_malformed_calls_end_in_a_finite_value_or_a_refusal():
    campaign = bad_input.Campaign()
    for function, arguments in CALLS:
        bad_input.attack(campaign, function, **arguments)
    print(campaign)
    assert campaign.faults == []


def test_every_public_name_is_in_the_table():
    assert bad_input.uncovered(robustness, CALLS, EXCUSED) == set()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"y": Y + 5}, "y holds 5"),
        ({"y": Y - 1}, "y holds -1"),
        ({"y": Y[:, None]}, r"shapes \(4, 3\), \(4, 1\)"),
        ({"bounds": (1.0, 0.0)}, "bounds = "),
        ({"bounds": (0.0, np.nan)}, "bounds holds nan"),
        ({"steps": 2.0}, "steps = 2.0"),
    ],
)
def test_what_gave_wrong_numbers_is_refused(change, message):
    with pytest.raises(InputError, match=message):
        robustness.pgd(**{**ATTACK, **change})


def coupled(params, x):  # as batch norm in training mode
    return (x - x.mean(0)) @ params["w"]


BALL = rb.LpBall(0.1)


@pytest.mark.parametrize(
    "call",
    [
        lambda f: rb.output_bounds(f, PARAMS, X, BALL),
        lambda f: rb.certified_margins(f, PARAMS, X, Y, BALL),
        lambda f: rb.certified_error(f, PARAMS, X, Y, BALL),
        lambda f: rb.activation_bounds(f, PARAMS, X, BALL),
        lambda f: rb.fgsm(f, PARAMS, X, Y, eps=0.1),
        lambda f: rb.pgd(f, PARAMS, X, Y, eps=0.1, steps=1, key=jax.random.key(0)),
        lambda f: rb.attack_ensemble(f, PARAMS, X, Y, BALL, key=jax.random.key(0)),
        lambda f: rb.train_robust(
            f,
            PARAMS,
            (X, Y),
            BALL,
            rb.Recipe("ibp"),
            rb.Schedule(1, 2, 0.1),
            key=jax.random.key(0),
        ),
    ],
    ids=["outputs", "margins", "error", "activations", "fgsm", "pgd", "ensemble", "training"],
)
def test_a_network_that_couples_samples_is_refused(call):
    with pytest.raises(InputError, match="couples the samples of a batch"):
        call(coupled)
