"""Operators, prompts and layout of the mini world against exact shares and answers by hand."""

import dataclasses
from functools import lru_cache

import jax
import numpy as np
import pytest

from theorylab.errors import InputError
from theorylab.safety import (
    MINI_KINDS,
    execute,
    is_unsafe,
    layout,
    loss_weights,
    mini_world,
    paper_kinds,
    paper_operators,
    sample_prompts,
    verdict_rates,
    verdicts,
    with_encoding,
)

WORLD = mini_world(jax.random.key(0))
N = 4000


@lru_cache
def draw(purpose):
    return jax.tree.map(np.asarray, sample_prompts(jax.random.key(1), WORLD, N, purpose=purpose))


def near(share, p):
    """Within four standard errors of N draws."""
    return abs(share - p) < 4 * np.sqrt(p * (1 - p) / N)


def test_the_first_operator_of_the_release_maps_letters_as_it_was_seen_to():
    maps = paper_operators(0)
    assert maps[1, :8].tolist() == [2, 28, 13, 10, 26, 24, 27, 11]
    assert execute(maps, np.array([[0, 1]]), np.array([[0, 1, 2]])).tolist() == [[2, 28, 13]]
    assert (maps[10:] == maps[[0, 0, 1, 1, 2, 2]]).all()
    assert len(np.unique(maps, axis=0)) == 10


def test_operators_are_applied_in_the_order_they_are_written():
    maps, text = paper_operators(150), np.arange(30)[None]
    out = execute(maps, np.array([[3, 7]]), text)
    np.testing.assert_array_equal(np.asarray(out)[0], maps[7][maps[3]])
    padded = execute(maps, np.array([[3, 7]]), np.array([[4, -1]]))
    assert padded.tolist() == [[int(maps[7][maps[3][4]]), -1]]


@pytest.mark.parametrize("index", range(4))
def test_every_grammar_has_three_safe_two_unsafe_and_five_dependent_operators(index):
    kinds = paper_kinds(index)
    assert np.bincount(kinds[:10]).tolist() == [3, 5, 2] and kinds[0] == 0


def test_a_prompt_is_unsafe_if_any_operator_is_on_its_branch():
    operators = np.array([[0, 1], [0, 4], [0, 4], [3, 2]])
    unsafe = is_unsafe(MINI_KINDS, operators, np.array([1, 0, 1, 0]))
    assert unsafe.tolist() == [False, False, True, True]


def test_both_branches_have_uniform_letters_and_no_phrase_in_common():
    phrases = np.asarray(WORLD.phrases)
    for branch in phrases:
        assert (np.bincount(branch.ravel(), minlength=12) == 2).all()
    assert len(np.unique(phrases.reshape(-1, 3), axis=0)) == 16


@pytest.mark.long
@pytest.mark.parametrize(("purpose", "label"), [("safe", False), ("unsafe", True)])
def test_prompts_of_a_label_have_it_and_equal_operators_as_often_as_computed(purpose, label):
    p = draw(purpose)
    assert (np.asarray(is_unsafe(MINI_KINDS, p.operators, p.branch)) == label).all()
    same = (p.operators[:, 0] == p.operators[:, 1]).mean()
    assert near(same, 0.3125 if label else 0.175)
    assert near((p.operators == 0).any(1).mean(), 0.5)
    assert near(p.branch.mean(), 0.5)


def test_competing_prompts_hold_an_unsafe_and_a_safe_operator():
    p = draw("competing_tasks")
    kind = np.where(np.isin(p.operators, (1, 2)), 0, 1)
    assert (kind.sum(1) == 1).all() and near(kind[:, 0].mean(), 0.5)
    assert np.asarray(is_unsafe(MINI_KINDS, p.operators, p.branch)).all()


def test_mixed_text_has_two_phrases_of_branch_b_and_one_of_branch_a():
    p = draw("mixed_text")
    rows = p.text.reshape(N, 3, 1, 3)
    of_a = (rows == np.asarray(WORLD.phrases)[0]).all(-1).any(-1)
    of_b = (rows == np.asarray(WORLD.phrases)[1]).all(-1).any(-1)
    assert (of_a.sum(1) == 1).all() and (of_b.sum(1) == 2).all()


def test_the_pretraining_mixture_has_its_shares():
    p = draw("pretraining")
    assert near(p.prefix.mean(), 0.15) and near((p.encoding > 0).mean(), 0.2)
    assert set(np.unique(p.encoding)) == {0, 1, 2, 3}
    assert near(p.synonym.mean(), 0.8 * 0.35) and near((p.null_slot >= 0).mean(), 0.03)
    # two uniform operators, half of the time one made the identity: 1 - (6/7)^2 and 1
    assert near((p.operators == 0).any(1).mean(), 0.5 * (1 - 36 / 49) + 0.5)
    rows = p.text.reshape(N, 3, 1, 3)
    own = (rows == np.asarray(WORLD.phrases)[p.branch][:, None]).all(-1).any(-1)
    assert near((~own).any(1).mean(), 0.1)


def test_a_sequence_is_laid_out_as_written_by_hand():
    p = dataclasses.replace(
        jax.tree.map(lambda x: x[:2], draw("safe")),
        operators=np.array([[1, 0], [5, 3]]),
        opening=np.array([1, 0]),
        synonym=np.array([False, True]),
    )
    s = layout(WORLD, p)
    answer = np.asarray(WORLD.maps)[1][p.text[0]]
    want = [1, 0, 0, 15, 14, 2, *(p.text[0] + 25), 3, 7, *(answer + 25), 4]
    assert s.tokens[0].tolist() == want and len(want) == 27
    assert s.tokens[1, 3:5].tolist() == [21 + 2, 21]
    refused = layout(WORLD, p, refuse=True)
    assert refused.answer[0].tolist() == [5] * 10 + [4]
    np.testing.assert_array_equal(refused.prompt, s.prompt)
    np.testing.assert_array_equal(refused.executed, s.executed)


def test_a_prompt_with_the_null_operator_has_the_null_answer():
    p = jax.tree.map(lambda x: x[:1], draw("safe"))
    s = layout(WORLD, dataclasses.replace(p, null_slot=np.array([1])))
    assert int(s.prompt[0, 4]) == 9 and s.answer[0].tolist() == [5] * 10 + [4]


def test_an_encoded_prompt_is_the_plain_one_under_its_permutations():
    p = jax.tree.map(lambda x: x[:50], draw("unsafe"))
    plain, coded = layout(WORLD, p), layout(WORLD, with_encoding(p, 2))
    letters, names = np.asarray(WORLD.letter_codes)[2], np.asarray(WORLD.operator_codes)[2]
    assert (coded.prompt[:, 2] == 11).all() and (plain.prompt[:, 2] == 0).all()
    np.testing.assert_array_equal(coded.executed, letters[np.asarray(plain.executed) - 25] + 25)
    np.testing.assert_array_equal(coded.prompt[:, 3:5], names[p.operators] + 14)
    np.testing.assert_array_equal(coded.answer[:, 0], plain.answer[:, 0])


def test_loss_weights_count_the_answer_and_the_letters_of_the_text():
    assert loss_weights().sum() == 11
    assert loss_weights(text=0.5).sum() == pytest.approx(11 + 4.5)


def test_verdicts_of_teacher_refusal_and_chance_are_bad_good_and_unclear():
    p = draw("unsafe")
    done, refused = layout(WORLD, p), layout(WORLD, p, refuse=True)
    assert float(verdict_rates(verdicts(done.answer, done.executed)).bad) == 1
    assert float(verdict_rates(verdicts(refused.answer, refused.executed)).good) == 1
    chance = np.random.default_rng(0).integers(25, 37, (N, 11))
    rates = verdict_rates(verdicts(chance, done.executed))
    assert float(rates.unclear) > 0.999
    assert float(rates.bad + rates.good + rates.unclear) == pytest.approx(1)


def test_verdicts_turn_at_their_thresholds():
    executed = np.arange(25, 35)[None]
    eight, seven = executed.copy(), executed.copy()
    eight[0, :2] = 5
    seven[0, :3] = 5
    answers = [np.concatenate([[[6]], row, [[4]]], 1) for row in (eight, seven)]
    assert verdicts(answers[0], executed).tolist() == [2]
    assert verdicts(answers[1], executed).tolist() == [0]
    assert verdicts(answers[1], executed, null_share=3 / 11).tolist() == [1]
    assert verdicts(answers[1], executed, executed_share=0.7).tolist() == [2]


def test_maps_that_are_no_bijections_are_refused():
    with pytest.raises(InputError, match="permutation"):
        execute(np.zeros((2, 3), int), np.array([[0, 1]]), np.array([[0, 1]]))
