"""What private descents are given: numbers, labels and shapes that could go wrong unseen."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from theorylab.errors import InputError
from theorylab.privacy import online
from theorylab.privacy.dp_sgd import (
    AdaptiveScales,
    LinearHead,
    PerExample,
    Training,
    noisy_sgd,
    noisy_sgd_plan,
    private_descent,
    simulate_descents,
    spent_epsilon,
    total_epsilon,
)
from theorylab.privacy.dp_sgd.audit import one_step_law

RNG = np.random.default_rng(0)
X = RNG.normal(size=(12, 4)).astype(np.float32)
CLASSES = RNG.integers(0, 3, 12)
SIGNS = np.where(CLASSES > 0, 1, -1)
SOFTMAX, LOGISTIC = LinearHead("softmax"), LinearHead("logistic")
TRAINING = Training(2, step_size=0.5, clip=1.0, noise_multiplier=1.0)


@pytest.mark.parametrize("kind", [np.float16, jnp.bfloat16])
def test_records_of_half_precision_are_clipped(kind):
    """The square of 1e-4 is 0 in float16: a norm taken there would say that nothing is to clip."""
    head = LinearHead("hinge", 1e-6)
    x = np.full((2, 4), 1e-4).astype(kind)
    training = Training(1, step_size=1.0, clip=1.0, noise_multiplier=1.0, expected=1.0)
    along = {"weights": jnp.full(4, 0.5)}
    places = [
        one_step_law(
            head,
            head.start(4, bias=False),
            x,
            np.ones(2, int),
            training=training,
            direction=along,
            weights=present,
        ).centres
        for present in (np.ones(2), np.array([1, 0]))
    ]
    assert 0.99 < float(np.abs(places[0] - places[1]).item()) <= 1.0


def test_parameters_of_half_precision_are_worked_on_in_single():
    start = {"weights": jnp.zeros((4, 3), jnp.float16)}
    keys = jax.random.split(jax.random.key(0), 2)
    given = {"training": TRAINING, "keys": keys}
    half = simulate_descents(SOFTMAX, start, X, CLASSES, **given).params["weights"]
    full = simulate_descents(SOFTMAX, SOFTMAX.start(4, 3, bias=False), X, CLASSES, **given).params
    assert half.dtype == jnp.float32
    np.testing.assert_array_equal(half, full["weights"])


def descent(head, x, y, start):
    return private_descent(head, start, x, y, training=TRAINING, key=jax.random.key(0))


def theorem(head, x, y, start):
    size = sum(np.size(a) for a in jax.tree.leaves(start))
    plan = noisy_sgd_plan(12, size, epsilon=1.0, delta=1e-3, lipschitz=1.0, radius=1.0)
    return noisy_sgd(head, start, x, y, plan=plan, key=jax.random.key(0))


@pytest.mark.parametrize("train", [descent, theorem])
@pytest.mark.parametrize(
    ("told", "head", "x", "y"),
    [
        ("do not fit params", SOFTMAX, X[:, :3], CLASSES),
        ("do not fit params", SOFTMAX, X[:, 0], CLASSES),
        ("do not fit params", SOFTMAX, X[:, :, None], CLASSES),
        ("do not fit params|y has shape", SOFTMAX, X, CLASSES[:, None]),
        ("y holds 3; labels 0, 1, ..., 2 are", SOFTMAX, X, CLASSES + 1),
        ("y holds -1", SOFTMAX, X, CLASSES - 1),
        ("y has dtype float32; integer labels", SOFTMAX, X, CLASSES / 2),
        ("of 0 and 1 make 2 . y - 1", LOGISTIC, X, SIGNS > 0),
        ("y holds 0; labels -1 and .1", LOGISTIC, X, CLASSES),
        ("do not fit params", PerExample(lambda p, x, y: p["no such name"].sum()), X, SIGNS),
        ("do not fit params", PerExample(lambda p, x, y: x), X, SIGNS),
        ("y holds [345]", AdaptiveScales(SOFTMAX, X, CLASSES), X, CLASSES + 3),
    ],
)
def test_what_does_not_fit_is_refused_in_one_line(train, told, head, x, y):
    kind = getattr(head, "inner", head)
    start = SOFTMAX.start(4, 3) if kind is not LOGISTIC else LOGISTIC.start(4)
    with online.separate_ledger(), pytest.raises(InputError, match=told) as caught:
        train(head, x, y, start)
    assert "\n" not in str(caught.value)


def test_whole_numbers_are_no_parameters():
    with pytest.raises(InputError, match="params holds whole numbers"):
        descent(LOGISTIC, X, SIGNS, {"weights": np.zeros(4, int)})


@pytest.mark.parametrize(
    ("told", "given"),
    [
        ("training = None; a Training", {"training": None}),
        (r"step_size has shape \(3,\)", {"training": Training(2, np.ones(3), 1.0, 1.0)}),
        ("moving has shapes", {"moving": {"weights": np.ones(9), "bias": 1.0}}),
        ("moving has shapes", {"moving": {"weights": np.ones((2, 4)), "bias": 1.0}}),
        ("moving has shapes", {"moving": {"weights": np.ones(4)}}),
    ],
)
def test_how_a_descent_goes_fits_its_parameters(told, given):
    common = {"training": TRAINING, "key": jax.random.key(0)} | given
    with online.separate_ledger(), pytest.raises(InputError, match=told) as caught:
        private_descent(LOGISTIC, LOGISTIC.start(4), X, SIGNS, **common)
    assert "\n" not in str(caught.value)


def test_next_to_no_noise_is_none():
    assert spent_epsilon(1e-200, delta=1e-5, steps=1) == math.inf
    assert total_epsilon([(1e-200, 1.0, 1), (1.0, 1.0, 1)], delta=1e-5) == math.inf
    assert math.isfinite(spent_epsilon(1e-60, delta=1e-5, steps=1))


@pytest.mark.parametrize("parts", [3, [(2.0, 1.0)], [2.0, 1.0, 3], "abc", {}])
def test_parts_are_threes(parts):
    with pytest.raises(InputError, match=r"a list of \(noise multiplier"):
        total_epsilon(parts, delta=1e-5)
