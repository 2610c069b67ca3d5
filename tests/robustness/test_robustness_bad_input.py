"""Malformed calls of every public function end in a finite value or in a refusal that names the
argument."""

import bad_input
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from theorylab import robustness
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


def test_malformed_calls_end_in_a_finite_value_or_a_refusal():
    campaign = bad_input.Campaign()
    for function, arguments in CALLS:
        bad_input.attack(campaign, function, **arguments)
    print(campaign)
    assert campaign.faults == []


def test_every_public_name_is_in_the_table():
    assert bad_input.uncovered(robustness, CALLS, {}) == set()


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
