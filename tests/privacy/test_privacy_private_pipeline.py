"""Pipelines: what they cost by hand, what they release, and what they refuse."""

import jax
import numpy as np
import pytest

from theorylab.errors import InputError
from theorylab.privacy import (
    meta_theorem,
    online,
    pipelines,
    preprocessing,
    renyi,
    sensitivity,
    smooth,
)
from theorylab.privacy.private_pipeline import PrivatePipeline
from theorylab.privacy.propose_test_release import MarginTest, missing_margin

N, MISSING, STD = 200, 20, 0.05
RNG = np.random.default_rng(0)
ROWS = RNG.normal(size=(N, 3))
ROWS /= np.linalg.norm(ROWS, axis=1, keepdims=True)
SIGNS = np.where(ROWS[:, 0] > 0, 1.0, -1.0)
ROWS[:10] = np.nan
MOVED = sensitivity.mean_imputation(N, missing=MISSING)
DESCENT = smooth.dp_gradient_descent(
    N, steps=5, gradient_norm=1.0, smoothness=smooth.logistic_smoothness(2.0), noise_std=STD
)


def learn(images, key):
    return pipelines.private_logistic_regression(
        images, SIGNS, steps=5, step_size=1.0, radius=2.0, noise_std=STD, key=key
    )


PLAIN = PrivatePipeline(preprocessing.impute_mean, MOVED, DESCENT, learn)
TEST = MarginTest(1.0, 1e-6)
TESTED = PrivatePipeline(
    preprocessing.impute_mean,
    MOVED,
    DESCENT,
    learn,
    test=TEST,
    margin=lambda rows: missing_margin(rows, missing=MISSING),
)


def test_its_cost_is_that_of_the_closed_form():
    alone = 2 * 5 / (N * STD) ** 2
    moved = 5 * (1.5 * MOVED.total) ** 2 / (2 * (N * STD) ** 2)
    rho = meta_theorem.preprocessed_zcdp(alone, moved)
    np.testing.assert_allclose(PLAIN.privacy([2.0, 8.0]).divergences, [2 * rho, 8 * rho])
    orders = np.arange(1.5, 20, 0.5)
    spent = PLAIN.spent(delta=1e-5, orders=orders)
    by_hand = renyi.to_epsilon(renyi.zcdp_curve(rho), delta=1e-5, orders=orders)
    assert spent.epsilon == pytest.approx(by_hand.epsilon) and spent.delta == 1e-5


def test_the_test_is_paid_for():
    plain, tested = (p.spent(delta=1e-5, orders=[2.0, 4.0]) for p in (PLAIN, TESTED))
    assert tested.epsilon == pytest.approx(plain.epsilon + 1.0)
    assert tested.delta == pytest.approx(1e-5 + np.e * 1e-6)


def test_it_releases_what_the_learner_learns_from_the_images():
    with online.separate_ledger():
        key = jax.random.key(900)
        found = PLAIN.release(ROWS, key=key)
        (own,) = jax.random.split(key, 1)
    with online.separate_ledger():
        by_hand = learn(preprocessing.impute_mean(ROWS), own)
    assert found.passed
    np.testing.assert_array_equal(found.value, by_hand)


def test_data_far_from_the_collection_are_not_released():
    full = ROWS.copy()
    full[:MISSING] = np.nan  # a margin of 1 needs noise of 12
    with online.separate_ledger():
        passed = [
            TESTED.release(full, key=key).passed for key in jax.random.split(jax.random.key(1), 20)
        ]
    assert not any(passed)


@pytest.mark.parametrize("pipeline", [PLAIN, TESTED])
def test_a_key_used_twice_is_refused(pipeline):
    with online.separate_ledger():
        key = jax.random.key(902)
        pipeline.release(ROWS, key=key)
        with pytest.raises(InputError, match="key was used"):
            pipeline.release(ROWS, key=key)


def longest_mean(images, key):
    return float(np.linalg.norm(images, axis=-1).max())


@pytest.mark.parametrize("test", [None, TEST])
def test_images_that_the_mechanism_was_not_made_for_are_refused(test):
    """A scaled column leaves the unit ball, and a mean with noise for records of the ball then
    costs more than is printed: the sum moves by 4 where 2 were accounted for."""
    column = np.where(np.arange(40) % 2, 0.5, -0.5)
    column[0] = -1.0
    scale = {
        "apply": lambda x: preprocessing.standardise(x)[:, None],
        "sensitivity": sensitivity.standard_scaling(40, min_std=0.5),
        "run": longest_mean,
        "test": test,
        "margin": test and (lambda x: 1e6),
    }
    short = smooth.gaussian_mechanism(lipschitz=1 / 40, noise_std=0.1)
    with online.separate_ledger(), pytest.raises(InputError, match="image_norm = 1 ") as caught:
        PrivatePipeline(mechanism=short, **scale).release(column, key=jax.random.key(903))
    assert "\n" not in str(caught.value)
    long = smooth.gaussian_mechanism(lipschitz=1 / 40, noise_std=0.1, sensitivity=2 * 4 / 40)
    pipeline = PrivatePipeline(mechanism=long, image_norm=4.0, **scale)
    with online.separate_ledger():
        assert 1 < pipeline.release(column, key=jax.random.key(903)).value <= 4


def test_images_with_gaps_are_refused():
    """A NaN would go into all that is released, and say that a record was missing."""
    raw = PrivatePipeline(np.asarray, MOVED, DESCENT, learn)
    with online.separate_ledger(), pytest.raises(InputError, match="holds nan"):
        raw.release(ROWS, key=jax.random.key(904))
