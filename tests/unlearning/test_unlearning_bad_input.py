"""Malformed calls of every public function end in a finite value or in a refusal that names the
argument."""

from functools import partial

import bad_input
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from theorylab import unlearning as u
from theorylab.data.augmentation import CropFlip
from theorylab.errors import InputError
from theorylab.unlearning.batches import descending

KEY = jax.random.key(0)
X = np.random.default_rng(0).normal(size=(12, 4, 4)).astype(np.float32)
Y = np.arange(12) % 3


def f(params, x):
    return x.reshape(len(x), -1) @ params["w"] + params["b"]


def init(key):
    return {"w": 0.1 * jax.random.normal(key, (16, 3)), "b": jnp.zeros(3)}


NET = u.of_function(f, init)
MODEL = NET.init(KEY)
DATA = u.manipulate(X, Y, u.BackdoorPatch(2, 3.0), 4, key=KEY)
FORGET = np.asarray(DATA.manipulated)
BUDGET = u.Budget(2, 4, 0.1)
PARAMS = {"w": np.array([1.0, -2.0]), "b": np.array([0.5])}
IMPORTANT = {"w": np.array([1.0, 2.0]), "b": np.array([0.5])}
EXAM = u.exam(u.BackdoorPatch(2, 3.0), X, Y, X, Y)
VALUES = np.array([0.2, 0.5, 0.9])
SCORES = u.Scores(VALUES, VALUES, VALUES, VALUES, VALUES)
COMMON = {"network": NET, "data": DATA, "forget": FORGET, "budget": BUDGET, "key": KEY}
TUNED = COMMON | {"model": MODEL}
READ = {"network": NET, "model": MODEL, "data": DATA}

CALLS = [
    (u.manipulate, {"x": X, "y": Y, "manipulation": u.BackdoorPatch(), "size": 4, "key": KEY}),
    (
        u.manipulate,
        {"x": X, "y": Y, "manipulation": u.InterclassConfusion(0, 1), "size": 4, "key": KEY},
    ),
    (
        u.manipulate,
        {"x": X, "y": Y, "manipulation": u.RandomLabelPermutation(), "size": 4, "key": KEY},
    ),
    (u.BackdoorPatch, {"size": 2, "value": 1.0, "target": 1, "corner": "top_left"}),
    (u.BackdoorPatch().apply, {"x": X}),
    (u.InterclassConfusion, {"a": 1, "b": 2}),
    (CropFlip, {"pad": 2, "flip": True}),
    (u.identified_count, {"size": 10, "gamma": 0.3}),
    (u.identified_subset, {"manipulated": FORGET, "gamma": 0.3, "key": KEY}),
    (u.linear_budget_schedule, {"steps": 10, "learning_rate": 0.1}),
    (
        u.Budget,
        {
            "steps": 3,
            "batch_size": 2,
            "learning_rate": 0.1,
            "momentum": 0.9,
            "weight_decay": 0.1,
            "loop": "device",
        },
    ),
    (u.network, {"make": lambda rngs: __import__("theorylab.nets").nets.MLP((16, 3), rngs=rngs)}),
    (u.of_function, {"f": f, "init": init}),
    (NET.last, {"k": 1}),
    (u.pretrain, {k: v for k, v in COMMON.items() if k != "forget"}),
    (u.retrain_without_deletion, COMMON),
    (u.exact_unlearn, TUNED | {"layers": 1}),
    (u.fine_tune, TUNED | {"layers": 1}),
    (u.ScrubOptions, {"ascent_steps": 1, "ascend": "kl", "temperature": 4.0}),
    (u.scrub, TUNED | {"weight": 0.1, "options": u.ScrubOptions(1, "kl")}),
    (u.bad_teacher, TUNED | {"reduction": "mean"}),
    (
        u.train,
        {
            "network": NET,
            "data": DATA,
            "model": MODEL,
            "budget": BUDGET,
            "key": KEY,
            "batches": descending(~DATA.manipulated, 2, 4, KEY),
            "goal": u.Goal(),
        },
    ),
    (
        u.ImportanceOptions,
        {"of": "loss", "power": 2, "chunk": 2, "structured": True, "loop": "device"},
    ),
    (
        u.gradient_importance,
        READ
        | {
            "mask": FORGET,
            "batch_size": 2,
            "most": 4,
            "key": KEY,
            "options": u.ImportanceOptions(chunk=2),
        },
    ),
    (
        u.selective_synaptic_dampening,
        {
            "params": PARAMS,
            "forget_importance": IMPORTANT,
            "retain_importance": IMPORTANT,
            "alpha": 0.5,
            "lam": 0.1,
        },
    ),
    (u.TriggerSearch, {"stop": 0.2, "start": 0.1, "factor": 1.2, "tries": 3}),
    (u.potion, READ | {"forget": FORGET, "batch_size": 4, "search": u.TriggerSearch(tries=3)}),
    (
        u.tangent_newton_step,
        READ | {"forget": FORGET, "damping": 0.1, "steps": 2, "target": "retain", "loss": "mse"},
    ),
    (
        u.exam,
        {
            "manipulation": u.BackdoorPatch(2, 3.0),
            "x_test": X,
            "y_test": Y,
            "x_validation": X,
            "y_validation": Y,
        },
    ),
    (
        u.exam,
        {
            "manipulation": u.InterclassConfusion(0, 1),
            "x_test": X,
            "y_test": Y,
            "x_validation": X,
            "y_validation": Y,
        },
    ),
    (u.scores, READ | {"questions": EXAM, "forget": FORGET, "most": 4}),
    (u.deletion_agreement, READ | {"forget": FORGET, "most": 4}),
    (u.select, {"found": SCORES, "rule": "oracle"}),
    (u.healed_share, {"corrected": VALUES, "original": 0.1, "clean": 0.9}),
    (
        u.identification_requirement,
        {"gammas": np.array([0.1, 0.5, 1.0]), "corrected": VALUES, "clean": 0.9, "share": 0.9},
    ),
]
EXCUSED = {
    "Batches": "a record",
    "Exam": "a record",
    "Goal": "a record",
    "Model": "a record",
    "NewtonStep": "a record",
    "Potion": "a record",
    "RandomLabelPermutation": "takes nothing",
    "Scores": "a record",
    "TrainingSet": "a record",
}


@pytest.mark.long
@pytest.mark.parametrize("function, arguments", CALLS, ids=lambda v: getattr(v, "__name__", ""))
def test_malformed_calls_are_refused_by_name(function, arguments):
    campaign = bad_input.Campaign()
    # a function that is no model of these data is the caller's
    bad_input.attack(campaign, function, skip=("f", "init", "make"), **arguments)
    assert not campaign.faults, str(campaign)


def test_every_public_name_is_attacked_or_excused():
    assert not bad_input.uncovered(u, CALLS, EXCUSED)


ALL_BUT = {k: v for k, v in TUNED.items() if k != "forget"}
LEARNERS = (  # what learns from the samples that are left, of which there must be one
    (u.retrain_without_deletion, {k: v for k, v in ALL_BUT.items() if k != "model"}),
    (u.fine_tune, ALL_BUT),
    (u.exact_unlearn, ALL_BUT | {"layers": 1}),
    (u.scrub, ALL_BUT | {"weight": 0.1}),
    (u.tangent_newton_step, READ | {"damping": 1.0}),
    (u.potion, READ),
)


@pytest.mark.parametrize(
    "call, says",
    [
        (lambda: u.manipulate(X, Y, u.InterclassConfusion(0, 1), 3, key=KEY), "even"),
        (lambda: u.manipulate(X, Y, u.InterclassConfusion(0, 1), 10, key=KEY), "has 4"),
        (lambda: u.manipulate(X, Y, u.BackdoorPatch(5), 3, key=KEY), "smaller size"),
        (lambda: u.exam(u.InterclassConfusion(7, 8), X, Y, X, Y), "some inside"),
        (lambda: u.healed_share(0.5, 0.9, 0.9), "no gap"),
        (lambda: u.network(lambda rngs: 3), "Flax NNX module"),
        *[(partial(call, **given, forget=np.ones(12, bool)), "all 12") for call, given in LEARNERS],
    ],
)
def test_refusals_say_what_is_needed(call, says):
    with pytest.raises(InputError, match=says):
        call()
