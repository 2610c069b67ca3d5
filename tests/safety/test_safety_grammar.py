"""Exact laws of grammars against closed forms and enumeration, samplers against exact laws."""

from collections import Counter
from fractions import Fraction
from itertools import product

import jax
import numpy as np
import pytest

from theorylab.errors import InputError
from theorylab.safety import (
    Grammar,
    length_distribution,
    length_moments,
    letter_counts,
    paper_grammar,
    parse_grammar,
    sample_windows,
    sample_yields,
)

# a grammar of mixed depth, small enough to list all its yields
SMALL = Grammar(
    {"v": [("a", 3, "b"), ("b",)], "a": [("b", "b"), (0,)], "b": [(1, 2), (2,)]}, "v", 4
)


def listed(grammar, symbol):
    """Every yield of a symbol with its probability, by enumeration."""
    if not isinstance(symbol, str):
        return {(symbol,): 1.0}
    law = Counter()
    rows = dict(grammar.rules)[symbol]
    for row in rows:
        for parts in product(*(listed(grammar, s).items() for s in row)):
            text = sum((part[0] for part in parts), ())
            law[text] += np.prod([part[1] for part in parts]) / len(rows)
    return law


def test_laws_of_a_small_grammar_are_those_of_the_list_of_its_yields():
    law = listed(SMALL, "v")
    lengths = Counter()
    for text, p in law.items():
        lengths[len(text)] += p
    exact = length_distribution(SMALL)
    assert set(exact) == set(lengths)
    np.testing.assert_allclose([float(p) for p in exact.values()], [lengths[n] for n in exact])
    counts = sum(p * np.bincount(text, minlength=4) for text, p in law.items())
    np.testing.assert_allclose(letter_counts(SMALL), counts, rtol=1e-12)


def test_sampled_yields_of_a_small_grammar_occur_as_often_as_they_should():
    n, law = 4000, listed(SMALL, "v")
    sample = sample_yields(jax.random.key(0), SMALL, n)
    seen = Counter(
        tuple(int(t) for t in row[:length])
        for row, length in zip(np.asarray(sample.tokens), np.asarray(sample.lengths), strict=True)
    )
    assert set(seen) == set(law)
    chi2 = sum((seen[text] - n * p) ** 2 / (n * p) for text, p in law.items())
    degrees = len(law) - 1
    assert abs(chi2 - degrees) < 4 * np.sqrt(2 * degrees)


def test_the_full_grammar_has_the_exact_moments_and_support():
    law = length_distribution(paper_grammar(0))
    mean = sum(n * p for n, p in law.items())
    assert mean == Fraction(3129, 8)
    assert sum(n * n * p for n, p in law.items()) - mean**2 == Fraction(163935, 64)
    assert list(law) == list(range(261, 487, 9)) and len(law) == 26


def test_the_safe_branch_has_the_exact_mean_and_support():
    law = length_distribution(paper_grammar(2, "safe"))
    assert sum(n * p for n, p in law.items()) == Fraction(4587, 64)
    assert set(law) == {54, 72, 81}


@pytest.mark.parametrize(
    "variant", ["full", "safe", "unsafe", "unsafe_trained", "unsafe_held_out", "mixed"]
)
def test_linear_systems_agree_with_dynamic_programming(variant):
    grammar = paper_grammar(1, variant)
    law = length_distribution(grammar)
    mean = float(sum(n * p for n, p in law.items()))
    variance = float(sum(n * n * p for n, p in law.items())) - mean**2
    moments = length_moments(grammar)
    assert sum(law.values()) == 1
    np.testing.assert_allclose([moments.mean, moments.variance], [mean, variance], rtol=1e-10)
    np.testing.assert_allclose(letter_counts(grammar).sum(), mean, rtol=1e-12)


def test_the_four_grammars_use_29_26_25_and_24_letters():
    used = [letter_counts(paper_grammar(i)) > 0 for i in range(4)]
    assert [int(u.sum()) for u in used] == [29, 26, 25, 24]
    assert np.flatnonzero(~used[0]).tolist() == [6]


def test_sampled_yields_have_the_exact_mean_length_and_letters():
    n, grammar = 2000, paper_grammar(0)
    sample = sample_yields(jax.random.key(1), grammar, n)
    moments, exact = length_moments(grammar), letter_counts(grammar)
    mean = float(np.asarray(sample.lengths, np.float64).mean())
    assert abs(mean - moments.mean) < 4 * np.sqrt(moments.variance / n)
    assert set(np.unique(sample.lengths)) <= set(length_distribution(grammar))
    counts = np.stack(
        [np.bincount(row[row >= 0], minlength=30) for row in np.asarray(sample.tokens)]
    )
    error = counts.std(0) / np.sqrt(n)
    assert (np.abs(counts.mean(0) - exact) <= 4.5 * error + 1e-12).all()


def test_windows_are_stretches_of_yields_with_uniform_lengths_and_places():
    # the one yield of this grammar is 0 1 ... 39, so a window shows where it begins
    line = Grammar({"v": [tuple(range(40))]}, "v", 40)
    sample = sample_windows(jax.random.key(2), line, 3000)
    tokens, lengths = np.asarray(sample.tokens), np.asarray(sample.lengths)
    place = np.arange(35)
    want = np.where(place < lengths[:, None], tokens[:, :1] + place, -1)
    np.testing.assert_array_equal(tokens, want)
    seen = np.bincount(lengths - 25, minlength=11)
    assert seen.size == 11 and abs(((seen - 3000 / 11) ** 2 / (3000 / 11)).sum() - 10) < 18
    middle = (tokens[:, 0] / (40 - lengths)).mean()  # uniform over 0..40 - length
    assert abs(middle - 0.5) < 4 * 0.35 / np.sqrt(3000)


def test_windows_of_a_paper_grammar_hold_its_letters_and_nothing_else():
    sample = sample_windows(jax.random.key(3), paper_grammar(3, "unsafe_trained"), 500)
    tokens, lengths = np.asarray(sample.tokens), np.asarray(sample.lengths)
    assert tokens.shape == (500, 35)
    assert ((tokens >= 0).sum(1) == lengths).all()
    assert set(np.unique(tokens[tokens >= 0])) <= set(
        np.flatnonzero(letter_counts(paper_grammar(3, "unsafe_trained")) > 0)
    )


def test_a_grammar_is_read_from_text():
    text = "v -> a 3 b | b; a -> b b | 0\nb -> 1 2 | 2; unused -> 9"
    assert parse_grammar(text, 4) == SMALL


@pytest.mark.parametrize(
    ("rules", "part"),
    [
        ({"v": [("w",)]}, "no rule"),
        ({"v": [(7,)]}, "letter 7"),
        ({"v": [()]}, "at least one"),
        ({"v": [("w",)], "w": [("v",)]}, "cycle"),
        ({"w": [(0,)]}, "root"),
    ],
)
def test_what_is_no_grammar_is_refused_with_the_reason(rules, part):
    with pytest.raises(InputError, match=part):
        Grammar(rules, "v", 4)


def test_windows_longer_than_a_yield_are_refused():
    with pytest.raises(InputError, match="longest"):
        sample_windows(jax.random.key(0), paper_grammar(0, "safe"), 2, longest=60)
