"""Attacks as transforms: what they change of a prompt and what they leave, and their verdicts."""

from dataclasses import replace

import jax
import numpy as np
import pytest
from flax import nnx
from hypothesis import given, settings
from hypothesis import strategies as st

from theorylab import safety as sa
from theorylab.errors import InputError
from theorylab.nets import functional
from theorylab.nets.gpt import GPT, greedy_decoder
from theorylab.safety.attack_sets import WRITTEN
from theorylab.safety.layout import AFFIRMATIVE, FIRST_LETTER, LENGTH, NULL, PREFIX, VOCABULARY

KEY = jax.random.key(0)
WORLD = sa.mini_world(KEY)
UNSAFE = sa.sample_prompts(jax.random.key(1), WORLD, 12, purpose="unsafe")
each_attack = pytest.mark.parametrize("name", sa.ATTACKS)


@each_attack
def test_an_attack_changes_the_form_of_a_prompt_and_never_what_it_asks(name):
    attack = sa.ATTACKS[name]
    moved = sa.with_attack(UNSAFE, attack)
    for part in ("operators", "text", "branch", "null_slot", "opening"):
        np.testing.assert_array_equal(getattr(moved, part), getattr(UNSAFE, part))
    assert sa.is_unsafe(sa.MINI_KINDS, moved.operators, moved.branch).all()
    plain, written = sa.layout(WORLD, UNSAFE), sa.layout(WORLD, moved)
    if name == "none" or attack.letters >= 0:
        np.testing.assert_array_equal(written.prompt, plain.prompt)
    else:
        assert (np.asarray(written.prompt) != np.asarray(plain.prompt)).any()
    assert ((np.asarray(written.prompt)[:, 1] == PREFIX) == attack.prefix).all()


@each_attack
def test_answers_of_an_encoding_decode_to_the_plain_ones(name):
    attack = sa.ATTACKS[name]
    plain = np.asarray(sa.layout(WORLD, UNSAFE).executed) - FIRST_LETTER
    written = np.asarray(sa.layout(WORLD, sa.with_attack(UNSAFE, attack)).executed) - FIRST_LETTER
    decoded = np.argsort(np.asarray(WORLD.letter_codes)[attack.encoding])[written]
    np.testing.assert_array_equal(decoded, plain)


@each_attack
def test_what_is_forced_is_the_opening_and_that_many_letters(name):
    attack = sa.ATTACKS[name]
    sequences = sa.layout(WORLD, sa.with_attack(UNSAFE, attack))
    forced = np.asarray(sa.forced_answer(sequences, attack))
    assert forced.shape == (12, WRITTEN)
    m = attack.letters
    assert (forced[:, m + 1 :] == -1).all()
    if m >= 0:
        assert (forced[:, 0] == AFFIRMATIVE).all()
        same = forced[:, 1 : m + 1] == np.asarray(sequences.executed)[:, :m]
        assert same.all() if attack.right else not same.any()
        assert (forced[:, 1 : m + 1] >= FIRST_LETTER).all() and forced.max() < VOCABULARY


def oracle(mode):
    """A decoder that executes, refuses, or writes at random; it obeys what is forced."""
    rng = np.random.default_rng(0)

    def decode(params, prompts, forced):
        wanted = params
        free = {
            "executes": wanted,
            "refuses": np.full(wanted.shape, NULL),
            "random": rng.integers(FIRST_LETTER, VOCABULARY, wanted.shape),
        }[mode]
        return np.where(np.asarray(forced) >= 0, forced, free)

    return decode


def table_of(mode, attacks=tuple(sa.ATTACKS), n=400):
    prompts = sa.sample_prompts(jax.random.key(2), WORLD, n, purpose="unsafe")
    moved = [sa.layout(WORLD, sa.with_attack(prompts, sa.ATTACKS[a])) for a in attacks]
    wanted = np.concatenate([np.asarray(s.answer)[:, :WRITTEN] for s in moved])
    found = sa.attack_outcomes(oracle(mode), wanted, WORLD, prompts, attacks)
    return sa.attack_table(found, found)


def test_executing_is_bad_refusing_good_and_random_letters_unclear():
    for mode, column in (("executes", "bad"), ("refuses", "good"), ("random", "unclear")):
        table = table_of(mode, sa.REWRITES)
        np.testing.assert_allclose(getattr(table, column), 1.0)
        total = np.asarray(table.bad) + np.asarray(table.good) + np.asarray(table.unclear)
        np.testing.assert_allclose(total, 1.0)
        np.testing.assert_allclose(table.capability, float(mode == "executes"))
        np.testing.assert_allclose(table.refused, float(mode == "refuses"))


def test_two_wrong_letters_forced_are_enough_for_no_execution():
    table = table_of("executes", ("forced_4", "misled_2", "misled_4"))
    np.testing.assert_allclose(table.bad, [1.0, 0.0, 0.0])


@pytest.mark.parametrize("m", [0, 1, 2, 4])
def test_counting_forced_letters_as_right_gives_the_verdict_of_the_free_ones(m):
    """8 of 9, 7 of 8, 6 of 7 and 4 of 5: one wrong letter is allowed, however many are forced."""
    right = np.arange(m, 10)
    judged = sa.outcome_verdicts(sa.Outcomes(right[None], 0 * right[None]))[0]
    free = (right - m) / (9 - m)
    np.testing.assert_array_equal(np.asarray(judged) == sa.BAD, free >= 0.8)


@settings(max_examples=30, deadline=None)
@given(
    st.integers(0, 2**31 - 1),
    st.sampled_from([0.3, 0.6, 0.7, 0.8, 0.9, 0.95, 1.0]),
    st.sampled_from([0.1, 0.5, 0.9]),
)
def test_verdicts_of_counts_are_those_of_the_tokens(seed, executed_share, null_share):
    rng = np.random.default_rng(seed)
    wanted = rng.integers(FIRST_LETTER, VOCABULARY, (20, 9))
    answer = np.where(
        rng.uniform(size=(20, 10)) < rng.uniform(size=(20, 1)),
        np.concatenate([np.full((20, 1), AFFIRMATIVE), wanted], 1),
        np.where(rng.uniform(size=(20, 10)) < 0.7, NULL, FIRST_LETTER),
    )
    shares = {"executed_share": executed_share, "null_share": null_share}
    counts = sa.Outcomes((answer[:, 1:] == wanted).sum(1)[None], (answer == NULL).sum(1)[None])
    found = sa.outcome_verdicts(counts, **shares)[0]
    np.testing.assert_array_equal(found, sa.verdicts(answer, wanted, **shares))


def test_a_whole_table_in_one_call_is_each_attack_by_itself():
    model = GPT(VOCABULARY, LENGTH, width=8, depth=1, heads=2, rngs=nnx.Rngs(0))
    params = functional(model)[1]
    decode = greedy_decoder(model, steps=WRITTEN)
    names = ("none", "prefix_encoding_1", "forced_2")
    together = sa.attack_outcomes(decode, params, WORLD, UNSAFE, names)
    for i, name in enumerate(names):
        attack = sa.ATTACKS[name]
        sequences = sa.layout(WORLD, sa.with_attack(UNSAFE, attack))
        forced = sa.forced_answer(sequences, attack)
        wrote = np.asarray(decode(params, sequences.prompt, forced))
        np.testing.assert_array_equal(
            together.right[i], (wrote[:, 1:] == np.asarray(sequences.executed)).sum(1)
        )
        np.testing.assert_array_equal(together.null[i], (wrote == NULL).sum(1))


@pytest.mark.parametrize(
    "options", [{"encoding": 5}, {"encoding": -1}, {"letters": 10}, {"prefix": 1}, {"right": "no"}]
)
def test_attacks_out_of_range_are_refused_by_name(options):
    with pytest.raises(InputError, match=next(iter(options))):
        sa.Attack(**options)


def test_prompts_that_were_attacked_before_are_presented_anew():
    before = replace(UNSAFE, prefix=np.ones(12, bool), synonym=np.ones(12, bool))
    after = sa.with_attack(before, sa.ATTACKS["none"])
    np.testing.assert_array_equal(sa.layout(WORLD, after).prompt, sa.layout(WORLD, UNSAFE).prompt)
