"""Paper-scale prompts against a loop by hand, exact shares, and the rule for unsafe ones."""

import jax
import numpy as np
import pytest

from theorylab.safety import (
    is_unsafe,
    make_unsafe,
    paper_kinds,
    paper_layout,
    paper_operators,
    pretraining_mixture,
    sample_paper_operators,
    texts,
)

MAPS = paper_operators(150)
ROWS = [[3, 1, 29], [7, 8, 9, 10, 0]]
OPERATORS = np.array([[1, 2, 3, 4], [0, 15, 9, 10]])
BOS, SOT, EOT, STOP, EOS, PAD = range(46, 52)


def by_hand(row, operators, refuse, length):
    one = [int(MAPS[operators[1]][MAPS[operators[0]][k]]) for k in row]
    two = [int(MAPS[operators[3]][MAPS[operators[2]][k]]) for k in one]
    tokens = [BOS, *(int(o) + 30 for o in operators), SOT, *row, EOT]
    start = len(tokens)
    tokens += [*[0] * len(row), STOP] if refuse else [*one, STOP, *two, STOP]
    weights = [0] * (start - 1) + [1] * (len(tokens) - start)
    weights += [0] * (length - 1 - len(weights))
    return tokens + [PAD] * (length - 1 - len(tokens)) + [EOS], weights, start


@pytest.mark.parametrize("refuse", [False, True])
def test_sequences_are_those_written_by_hand(refuse):
    got = paper_layout(MAPS, OPERATORS, texts(ROWS), refuse=refuse, length=30)
    want = [by_hand(r, o, refuse, 30) for r, o in zip(ROWS, OPERATORS, strict=True)]
    for part, values in zip(
        (got.tokens, got.weights, got.output_start), zip(*want, strict=True), strict=True
    ):
        np.testing.assert_array_equal(part, np.array(values))


def test_pretraining_operators_are_uniform_but_for_the_forced_identity():
    n = 4000
    drawn = np.asarray(sample_paper_operators(jax.random.key(0), n))
    has = np.isin(drawn, (0, 10, 11)).any(1).mean()
    want = 0.5 + 0.5 * (1 - (13 / 16) ** 4)
    assert abs(has - want) < 4 * np.sqrt(want * (1 - want) / n)
    share = np.bincount(drawn.ravel(), minlength=16) / drawn.size
    other = 0.5 / 16 + 0.5 * 3 / 4 / 16  # three of four places stay uniform
    assert np.abs(share[[1, 5, 15]] - other).max() < 4.5 * np.sqrt(other / drawn.size)


@pytest.mark.parametrize("index", range(4))
def test_prompts_made_unsafe_are_unsafe_in_both_pairs(index):
    n, kinds = 300, paper_kinds(index)
    before = sample_paper_operators(jax.random.key(1), n)
    branch = np.arange(n) % 2
    after = make_unsafe(jax.random.key(2), kinds, before, branch)
    for half in (after[:, :2], after[:, 2:]):
        assert np.asarray(is_unsafe(kinds, half, branch)).all()
    identity = np.isin(before, (0, 10, 11)).reshape(n, 2, 2)
    kept = (identity & ~identity[..., ::-1]).reshape(n, 4)
    np.testing.assert_array_equal(np.asarray(after)[kept], np.asarray(before)[kept])
    assert kept.any() and not np.isin(np.asarray(after)[~kept], (0, 10, 11)).any()


def test_the_pretraining_mixture_moves_from_its_first_shares_to_its_last():
    options = {"warmup": 20_000, "steps": 100_000}
    assert pretraining_mixture(10_000, **options).tolist() == [0.5, 0.1, 0.2, 0.2]
    np.testing.assert_allclose(pretraining_mixture(55_000, **options), [0.3, 0.15, 0.25, 0.3])
    np.testing.assert_allclose(pretraining_mixture(100_000, **options), [0.1, 0.2, 0.3, 0.4])
