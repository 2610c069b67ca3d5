"""Malformed calls of every public function end in a finite value or in a refusal that names the
argument."""

import bad_input
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from theorylab import collective as co
from theorylab.errors import InputError

KEY = jax.random.key(0)
P0 = np.array([[0.1, 0.2], [0.2, 0.1], [0.1, 0.3]])
G = np.array([1, 1, 2])
PHI = np.array([0, 1, 1])
WORLD = {"P0": P0, "g": G, "y_star": 1}
LOSSES = np.array([0.3, 0.1, 2.0, 0.7])
LOGITS = np.array([[0.3, 0.1], [1.0, -1.0], [0.0, 0.5]])
LABELS = np.array([0, 1, 1])
X = np.random.default_rng(0).normal(size=(8, 3)).astype(np.float32)
Y = np.arange(8) % 2
IMAGES = jnp.zeros((2, 4, 4))
MEMBERS = np.arange(8) < 3
START = {"w": jnp.zeros((3, 2))}
PATH = {"w": jnp.zeros((2, 3, 2))}
SIGNAL = co.coordinate_trigger(2, 1.0)
SGD = optax.sgd(0.1)
COSTS = np.array([0.2, 0.4])


def linear(params, x):
    return x @ params["w"]


def init(key):
    return START


def sample(key):
    return co.Sample(jnp.asarray(X), jnp.asarray(Y), jnp.asarray(X), jnp.asarray(Y))


CALLS = [
    (co.base_bound, {"alpha": COSTS, "delta": 0.1, "xi": 0.1, "eps": 0.1}),
    (co.feature_only_bound, {"alpha": 0.2, "p": COSTS, "xi": 0.1, "eps": 0.1}),
    (co.critical_mass, {"success": 0.5, "delta": 0.1, "xi": COSTS, "eps": 0.1}),
    (co.effective_size, {"alpha": COSTS, "e_c": 0.2, "e_0": 0.1, "lam": 5.0}),
    (
        co.effective_size_from_weights,
        {"weights": LOSSES, "members": np.array([True, False, False, True])},
    ),
    (co.uniqueness, {"P0": P0, "g": G, "phi": PHI}),
    (co.suboptimality_gap, {**WORLD, "phi": PHI}),
    (co.label_floor, {"P0": P0, "y_star": 1}),
    (co.thresholds, {"P0": P0, "g": np.arange(3), "y_star": 1, "phi": np.arange(3)}),
    (co.success_staircase, {**WORLD, "alpha": COSTS, "phi": PHI}),
    (co.planted_law, {**WORLD, "strategy": "feature_only"}),
    (co.bayes_labels, {"P": P0, "y_star": 1}),
    (co.success_of, {"P": P0, **WORLD, "goal": "erasure"}),
    (co.reweighted_size, {**WORLD, "alpha": COSTS, "weights": P0}),
    (co.reweighted_success, {**WORLD, "alpha": 0.2, "weights": P0}),
    (co.reweighted_bound, {**WORLD, "alpha": 0.2, "weights": P0, "corrected": True}),
    (co.population_jtt, {**WORLD, "alpha": COSTS, "lam": 5.0}),
    (
        co.gaussian_classes,
        {"key": KEY, "n": 5, "classes": 2, "dim": 3, "separation": 2.0, "xi": 0.1},
    ),
    (co.parity_data, {"key": KEY, "n": 6, "bits": 2, "dim": 3, "margin": 0.3}),
    (co.random_world, {"key": KEY, "points": 4, "labels": 3, "concentration": 0.5}),
    (co.cvar_weights, {"losses": LOSSES, "size": 0.5}),
    (co.chi2_weights, {"losses": LOSSES, "rho": 0.5}),
    (co.cvar_risk, {"losses": LOSSES, "size": 0.5}),
    (co.chi2_risk, {"losses": LOSSES, "rho": 0.5}),
    (co.jtt_weights, {"wrong": np.array([True, False]), "lam": 5.0}),
    (co.gce_loss, {"logits": LOGITS, "labels": LABELS, "q": 0.7}),
    (
        co.lff_weights,
        {"biased": LOSSES[:3], "debiased": LOSSES[1:], "labels": LABELS, "num_classes": 2},
    ),
    (
        co.group_weights,
        {"q": np.array([0.4, 0.6]), "losses": LOSSES[:3], "groups": LABELS, "step": 0.1},
    ),
    (co.coordinate_trigger, {"index": 2, "value": 1.0}),
    (SIGNAL, {"x": jnp.asarray(X)}),
    (co.pixel_trigger, {"pixels": np.array([[0, 1], [2, 3]]), "value": 1.0}),
    (co.pixel_trigger([(0, 1)], 1.0), {"x": IMAGES}),
    (co.block_signal, {"corner": (0, 1), "shape": (2, 2), "value": 1.0, "other": 0.0}),
    (co.block_signal((0, 1), (2, 2), 1.0), {"x": IMAGES}),
    (co.parity_signal, {"bits": np.array([0, 1])}),
    (co.parity_signal([0, 1]), {"x": jnp.sign(jnp.asarray(X))}),
    (co.choose_members, {"key": KEY, "n": 8, "alpha": 0.3}),
    (
        co.plant,
        {
            "x": X,
            "y": Y,
            "members": MEMBERS,
            "signal": SIGNAL,
            "y_star": 1,
            "strategy": "feature_label",
        },
    ),
    (
        co.plant,
        {
            "x": X,
            "y": Y,
            "members": MEMBERS,
            "signal": SIGNAL,
            "y_star": 1,
            "strategy": "erasure",
            "label_of": lambda x: jnp.ones(len(x), int),
        },
    ),
    (co.success, {"f": linear, "params": START, "x": X, "signal": SIGNAL, "y_star": 1}),
    (co.select_by_validation, {"f": linear, "path": PATH, "x": X, "y": Y, "criterion": jnp.mean}),
    (co.JTT, {"stage1_steps": 2, "lam": 5.0}),
    (co.LfF, {"q": 0.7, "ema": 0.7, "twin_rate": 1.0}),
    (co.CVaR, {"size": 0.5}),
    (co.Chi2, {"rho": 0.5}),
    (co.GroupDRO, {"step": 0.01, "num_groups": 2}),
    (
        co.Training,
        {"optimizer": SGD, "steps": 2, "rule": co.ERM(), "batch_size": 4, "every": 1},
    ),
    (
        co.Setting,
        {
            "f": linear,
            "init": init,
            "sample": sample,
            "signal": SIGNAL,
            "y_star": 1,
            "strategy": "feature_label",
        },
    ),
]
EXCUSED = {
    "ERM": "no arguments",
    "Batch": "made by `fit`",
    "Start": "made by `fit`",
    "Problem": "made by `fit`",
    "Rule": "a protocol",
    "Run": "a result",
    "Curve": "a result",
    "Selection": "a result",
    "GroupWeights": "a result",
    "LabelledPoints": "a result",
    "Planted": "a result",
    "World": "a result",
    "PopulationJTT": "a result",
    "Sample": "a tuple, checked where it is used",
    "Signal": "a type",
    "fit": "attacked below",
    "success_curve": "attacked below",
    "selected_success": "attacked below",
}


@pytest.mark.long
def test_malformed_calls_end_in_a_finite_value_or_a_refusal():
    assert bad_input.faults_in(CALLS) == []


def test_every_public_name_is_in_the_table():
    assert bad_input.uncovered(co, CALLS, EXCUSED) == set()


def share_of(**options):
    return co.fit(**options).weights  # the share is NaN without members, as documented


def training_calls():
    fit = {
        "f": linear,
        "params": START,
        "x": X,
        "y": Y,
        "training": co.Training(SGD, steps=2, batch_size=4, every=1),
        "key": KEY,
        "members": MEMBERS,
        "groups": Y,
    }
    curve = {
        "setting": co.Setting(linear, init, sample, SIGNAL, 1),
        "training": co.Training(SGD, steps=1, batch_size=4, every=1),
        "alphas": COSTS,
        "keys": jax.random.split(KEY, 2),
    }
    select = {**curve, "criterion": jnp.mean}
    return [
        (share_of, fit),
        (co.selected_success, select),
        (co.success_curve, {**curve, "runs_at_once": 1, "mesh": None}),
    ]


@pytest.mark.long
def test_malformed_training_is_refused():
    assert bad_input.faults_in(training_calls()) == []


LAZY = (training_calls,)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: co.success(linear, START, X, SIGNAL, 5), "y_star = 5"),
        (lambda: co.success(linear, START, X, SIGNAL, -1), "y_star = -1"),
        (lambda: co.plant(X, Y[:, None], MEMBERS, SIGNAL, 1), "y has shape"),
        (lambda: co.plant(X, Y, MEMBERS, SIGNAL, -1), "y_star = -1"),
        (lambda: co.gce_loss(LOGITS, np.array([0, 1, 2])), "labels holds 2"),
        (
            lambda: co.lff_weights(LOSSES, LOSSES, np.array([0, 1, 1, 7]), num_classes=2),
            "labels holds 7",
        ),
        (
            lambda: co.group_weights(np.ones(2) / 2, LOSSES, np.array([0, 1, 1, -1]), 0.1),
            "groups .*holds -1",
        ),
        (lambda: co.jtt_weights(np.array([0.2, 0.7]), 2.0), "wrong"),
        (lambda: co.cvar_weights(LOSSES * np.nan, 0.5), "losses holds nan"),
        (lambda: co.coordinate_trigger([1, 1], [0.0, 1.0]), "index"),
        (lambda: co.parity_signal([1, 1]), "bits"),
        (lambda: co.effective_size(1.0, 1.0, 0.0, 0.0), "lam = 0"),
        (
            lambda: co.fit(
                linear,
                START,
                X,
                Y,
                co.Training(SGD, steps=1, rule=co.GroupDRO(num_groups=2)),
                key=KEY,
                groups=Y - 1,
            ),
            "groups holds -1",
        ),
    ],
)
def test_what_gave_wrong_numbers_is_refused(call, message):
    with pytest.raises(InputError, match=message):
        call()
