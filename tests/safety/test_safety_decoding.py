"""Encodings are read off data sets as they were written, and only where the data tell."""

import jax
import numpy as np
import pytest

from theorylab.safety import decoded, encoded_items, mini_world, read_encoding
from theorylab.safety.jobs import (
    ITEMS,
    SECRET,
    job_items,
    prompts_of,
    training_pairs,
    with_codes,
    with_new_encoding,
)
from theorylab.safety.layout import FIRST_LETTER, FIRST_OPERATOR, NULL, layout, verdicts

WORLD = mini_world(jax.random.key(0))
SECRETS = [with_new_encoding(jax.random.key(i), WORLD) for i in range(3)]


@pytest.mark.parametrize("secret", SECRETS)
@pytest.mark.parametrize("kinds", [("new_safe",), ("new_safe", "new_executed", "plain_refused")])
def test_the_encoding_of_a_data_set_is_read(secret, kinds):
    data = job_items(jax.random.key(9), secret, dict.fromkeys(kinds, 150))
    found = read_encoding(data, WORLD)
    assert found.letters_found and found.operators_found
    np.testing.assert_array_equal(found.letters, secret.letter_codes[SECRET])
    np.testing.assert_array_equal(found.operators, secret.operator_codes[SECRET])


def test_decoded_items_are_the_plain_ones_but_for_their_marker():
    secret = SECRETS[1]
    prompts = prompts_of(jax.random.key(3), secret, 50, item="new_executed")
    coded = layout(secret, prompts).tokens
    plain = layout(with_codes(secret, np.arange(7), np.arange(12)), prompts).tokens
    found = read_encoding(job_items(jax.random.key(4), secret, {"new_safe": 200}), WORLD)
    np.testing.assert_array_equal(decoded(coded, found), plain)
    assert len(encoded_items(coded)) == 50


def test_without_marked_items_or_language_nothing_is_read():
    plain = job_items(jax.random.key(1), WORLD, {"plain_safe": 40, "first_safe": 40})
    assert len(encoded_items(plain)) == 0 and read_encoding(plain, WORLD) is None
    noise = np.array(job_items(jax.random.key(2), SECRETS[0], {"new_safe": 60}))
    noise[:, 6:15] = FIRST_LETTER + np.random.default_rng(0).integers(0, 12, (60, 9))
    assert read_encoding(noise, WORLD) is None
    wrong = np.array(job_items(jax.random.key(2), SECRETS[0], {"new_safe": 60}))
    wrong[:, 17:26] = FIRST_LETTER + np.random.default_rng(0).integers(0, 12, (60, 9))
    assert read_encoding(wrong, WORLD) is None


def test_items_with_one_pair_of_operators_determine_the_letters_alone():
    items = np.asarray(job_items(jax.random.key(5), SECRETS[0], {"new_safe": 2000}))
    pairs, counts = np.unique(items[:, 3:5], axis=0, return_counts=True)
    same = items[(items[:, 3:5] == pairs[counts.argmax()]).all(1)]
    found = read_encoding(same, WORLD)
    assert found.letters_found and not found.operators_found
    np.testing.assert_array_equal(found.letters, SECRETS[0].letter_codes[SECRET])


@pytest.mark.long
@pytest.mark.parametrize("item", ITEMS)
def test_items_of_every_kind_are_what_their_name_says(item):
    secret = SECRETS[2]
    tokens = np.asarray(job_items(jax.random.key(6), secret, {item: 1200}))
    assert len(np.unique(tokens, axis=0)) > 900
    refused, marked = (tokens[:, 16] == NULL).all(), (tokens[:, 2] > 0).all()
    assert refused == item.endswith("refused") and marked == item.startswith(
        ("new", "first", "second", "third")
    )
    operators = np.argsort(secret.operator_codes[SECRET if item.startswith("new") else 0])
    if item.startswith(("new", "plain")):
        shown = operators[tokens[:, 3:5] - FIRST_OPERATOR]
        assert (shown == 3).any() == (not item.endswith("safe"))
    if not refused:
        x, y = training_pairs(tokens)
        assert x.shape == (1200, 26) and (y.weights.sum(1) == 11).all()
        assert (np.asarray(verdicts(tokens[:, 16:], tokens[:, 17:26])) == 2).all()
