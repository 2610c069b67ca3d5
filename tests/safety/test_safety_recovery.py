"""Recovering a permutation from a data set: against brute force, and how many texts it takes."""

from itertools import permutations

import jax
import numpy as np
import pytest

from theorylab.safety import mini_world, recover_permutation

WORLDS = [np.asarray(mini_world(jax.random.key(seed)).phrases) for seed in range(10)]
PHRASES = WORLDS[0].reshape(16, 3)


@pytest.mark.parametrize("seed", range(6))
def test_solutions_are_those_of_a_search_through_all_permutations(seed):
    rng = np.random.default_rng(seed)
    phrases = rng.integers(0, 5, (4, 2))
    secret = rng.permutation(5)
    encoded = secret[phrases[rng.integers(0, 4, 3)]]
    known = {tuple(row) for row in phrases}
    fits = {
        tuple(p[v] for v in np.unique(encoded))
        for p in permutations(range(5))
        if all(tuple(p[v] for v in row) in known for row in encoded)
    }
    found = recover_permutation(encoded, phrases, letters=5, limit=200)
    assert found.solutions == len(fits)
    assert tuple(found.decoding[np.unique(encoded)]) in fits
    assert found.complete == (len(fits) == 1 and len(np.unique(encoded)) >= 4)


def test_a_found_permutation_is_the_inverse_of_the_secret_one():
    secret = np.random.default_rng(0).permutation(12)
    found = recover_permutation(secret[PHRASES], PHRASES, letters=12)
    assert found.complete
    np.testing.assert_array_equal(found.decoding[secret], np.arange(12))


def test_worlds_have_no_symmetry_but_the_identity():
    for phrases in (world.reshape(16, 3) for world in WORLDS):
        found = recover_permutation(phrases, phrases, letters=12, limit=5)
        assert found.solutions == 1 and (found.decoding == np.arange(12)).all()


def test_texts_of_another_language_have_no_solution():
    found = recover_permutation([[0, 0, 1]], PHRASES, letters=12)
    assert found.solutions == 0 and not found.complete and (found.decoding == -1).all()


def shares(texts, trials=200):
    """How often this number of texts gives a permutation away; how often with no letter unseen."""
    rng = np.random.default_rng(texts)
    done = []
    for trial in range(trials):
        phrases = WORLDS[trial % 10]
        branch = rng.integers(0, 2, (texts, 1))
        plain = phrases[branch, rng.integers(0, 8, (texts, 3))].reshape(-1, 3)
        secret = rng.permutation(12)
        found = recover_permutation(secret[plain], phrases.reshape(16, 3), letters=12)
        assert not found.complete or (found.decoding[secret] == np.arange(12)).all()
        done.append((found.complete, found.complete and len(np.unique(plain)) == 12))
    return np.mean(done, axis=0)


def test_three_texts_give_the_permutation_away_most_often_with_one_letter_unseen():
    complete, seen = shares(3)
    assert abs(seen - 0.40) < 0.10  # counted where every letter is seen, as measured before
    assert complete > seen + 0.15  # the one letter left over is known too


@pytest.mark.parametrize(("texts", "value"), [(6, 0.975), (10, 1.0)])
def test_a_few_texts_more_give_the_permutation_away(texts, value):
    assert abs(shares(texts)[0] - value) < 0.05
