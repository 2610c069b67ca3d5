"""Markov chains of texts against counts by hand; how well they tell the branches apart."""

import jax
import numpy as np
import pytest

from theorylab.safety import fit_markov, log_likelihood, paper_grammar, sample_windows, texts


def test_a_chain_is_the_raised_counts_of_pairs():
    chain = fit_markov(texts([[0, 1, 1], [1, 0]]), letters=2)
    np.testing.assert_allclose(np.exp(chain.first), [3 / 7, 4 / 7], rtol=1e-6)
    np.testing.assert_allclose(np.exp(chain.then), [[1 / 3, 2 / 3], [1 / 2, 1 / 2]], rtol=1e-6)


def test_the_likelihood_of_a_text_is_the_product_of_its_steps():
    chain = fit_markov(texts([[0, 1, 1], [1, 0]]), letters=2)
    values = np.exp(log_likelihood(chain, texts([[0, 1, 1, 0], [1]])))
    np.testing.assert_allclose(values, [3 / 7 * 2 / 3 / 2 / 2, 4 / 7], rtol=1e-6)


def accuracy(index, one, other, order, keys):
    """Of naive Bayes from 1000 windows of each kind, on 500 others of each."""
    right = []
    for key in keys:
        for_one, for_other = jax.random.split(key)
        a = sample_windows(for_one, paper_grammar(index, one), 1500)
        b = sample_windows(for_other, paper_grammar(index, other), 1500)
        train = [jax.tree.map(lambda t: t[:1000], s) for s in (a, b)]
        test = [jax.tree.map(lambda t: t[1000:], s) for s in (a, b)]
        p, q = (fit_markov(s, letters=30, order=order) for s in train)
        odds = [np.asarray(log_likelihood(p, s) - log_likelihood(q, s)) for s in test]
        right += [(odds[0] > 0).mean(), (odds[1] < 0).mean()]
    return float(np.mean(right))


# the range measured before on other draws. One run scatters by .016 (letters alone) about its
# mean, mostly by which 1,000 windows it learnt from, so several are averaged: 0.03 beyond the range
# is then above five standard errors
@pytest.mark.parametrize(
    ("index", "one", "other", "order", "low", "high"),
    [
        pytest.param(0, "safe", "unsafe_trained", 1, 0.955, 0.955, marks=pytest.mark.long),
        pytest.param(1, "safe", "unsafe_trained", 1, 0.87, 0.87, marks=pytest.mark.long),
        pytest.param(0, "safe", "unsafe_trained", 0, 0.66, 0.69, marks=pytest.mark.long),
        pytest.param(1, "safe", "unsafe_trained", 0, 0.66, 0.69, marks=pytest.mark.long),
        pytest.param(0, "full", "safe", 1, 0.55, 0.55, marks=pytest.mark.long),
        (0, "unsafe_trained", "unsafe_held_out", 1, 0.71, 0.75),
    ],
)
def test_letters_and_pairs_tell_the_branches_apart_as_measured_before(
    index, one, other, order, low, high
):
    value = accuracy(index, one, other, order, jax.random.split(jax.random.key(0), 8))
    assert low - 0.03 < value < high + 0.03
