"""Games with drawn noise within four standard errors of the exact law."""

import jax
import numpy as np
import pytest

from theorylab.errors import InputError
from theorylab.privacy import online as po

KEY = jax.random.key(3)
LEARNER = po.calibrate(255, 0.1, threshold_scale=2.0, test_scale=2.0)
STREAM = po.RunLengthStream(255, (1, 129, 193, 225, 241, 249, 253, 255))


def test_rounds_played_one_by_one_agree_with_the_exact_mean_and_law():
    games = po.simulate_online_game(KEY, LEARNER, STREAM, 20_000)
    exact = LEARNER.expected_mistakes(STREAM)
    assert abs(games.mean - exact) < 4 * games.standard_error
    survival = LEARNER.survival(STREAM, [1, 128, 200, 255])
    share = (games.round[:, None] > np.array([1, 128, 200, 255])).mean(0)
    assert (np.abs(share - survival) < 4 * np.sqrt(survival * (1 - survival) / 20_000)).all()
    late = [(o <= games.round).sum() for o in STREAM.ones]
    assert games.mistakes.sum() == np.sum(late)


@pytest.mark.parametrize("rounds", [255, 2**60])
def test_mistakes_drawn_by_stretches_have_the_same_mean(rounds):
    learner = po.calibrate(rounds, 0.1, threshold_scale=2.0, test_scale=2.0)
    stream = po.front_loaded(rounds, 255)
    mistakes = po.simulate_mistakes(KEY, learner, stream, 50_000)
    error = mistakes.std() / np.sqrt(50_000)
    assert abs(mistakes.mean() - learner.expected_mistakes(stream)) < 4 * error
    assert mistakes.min() >= 1  # the first one is always a mistake


@pytest.mark.parametrize("feedback", ["examples", "mistakes"])
def test_uniform_firing_agrees_with_its_exact_law(feedback):
    learner = po.UniformFiring(LEARNER, feedback)
    stream = po.RunLengthStream(255, tuple(range(1, 256, 5)))
    games = po.simulate_online_game(KEY, learner, stream, 10_000)
    assert abs(games.mean - learner.expected_mistakes(stream)) < 4 * games.standard_error


def test_counting_mistakes_alone_fires_later():
    learner, stream = (
        po.calibrate(30, 0.1, threshold_scale=1.0, test_scale=1.0),
        po.front_loaded(30, 30),
    )
    examples, mistakes = (po.UniformFiring(learner, f) for f in ("examples", "mistakes"))
    fewer, more = examples.expected_mistakes(stream), mistakes.expected_mistakes(stream)
    assert fewer == pytest.approx(learner.expected_mistakes(stream) / 2, rel=1e-12)
    assert fewer < more < 2 * fewer
    assert mistakes.expected_front_loaded(30) == pytest.approx(more, rel=1e-12)


def test_the_mechanism_on_data_follows_the_exact_law():
    learner = po.AboveThreshold(2.0, 1.0, 1.0)
    mechanism, fired = po.SparseVector(learner), []
    with po.separate_ledger():
        for key in jax.random.split(KEY, 150):
            state = mechanism.start(key)
            for one in (False, True, True):
                state = mechanism.step(state, one)
            fired.append(bool(state.fired))
    silent = learner.survival(po.RunLengthStream(3, (2, 3)), [3])[0]
    assert abs(1 - np.mean(fired) - silent) < 4 * np.sqrt(silent * (1 - silent) / 150)
    assert int(state.ones) == 2


def test_a_state_is_stepped_once():
    with po.separate_ledger():
        mechanism = po.SparseVector(LEARNER)
        state = mechanism.start(KEY)
        mechanism.step(state, True)
        with pytest.raises(InputError, match="key was used"):
            mechanism.step(state, False)
        with pytest.raises(InputError, match="key was used"):
            mechanism.start(KEY)
