"""Counters against the tree written out in NumPy, and known variances."""

import jax
import numpy as np
import pytest
from scipy.stats import norm

from theorylab.errors import InputError
from theorylab.privacy import online as po

KEY = jax.random.key(0)


@pytest.mark.parametrize("rounds", [1, 2, 5, 8, 13])
def test_the_error_of_a_prefix_is_the_sum_of_the_blocks_of_its_binary_digits(rounds):
    """Two prefixes share the noise of the dyadic blocks that both are made of: covariances."""
    errors = np.asarray(po.TreeCounter(rounds, 1.0).errors(KEY, 60_000))
    scale = po.TreeCounter(rounds, 1.0).scale
    assert scale == int(np.floor(np.log2(rounds))) + 1

    def blocks(t):
        found, start = set(), 0
        for j in reversed(range(t.bit_length())):
            if t >> j & 1:
                found.add((start, start + 2**j))
                start += 2**j
        return found

    shared = np.array(
        [[len(blocks(s) & blocks(t)) for t in range(1, rounds + 1)] for s in range(1, rounds + 1)]
    )
    got = errors.T @ errors / len(errors) / (2 * scale**2)
    # products of Laplace sums have kurtosis up to 6: 5 standard errors
    assert np.abs(got - shared).max() < 5 * np.sqrt(6.0 * shared.max() ** 2 / 60_000)


def test_ninety_per_cent_quantiles_of_the_largest_error():
    """An independent prototype's, within its 8 %."""
    for doublings, expected in ((4, 31), (6, 62), (8, 104)):
        largest = po.TreeCounter(2**doublings, 1.0).largest_errors(KEY, 4000)
        assert np.quantile(largest, 0.9) == pytest.approx(expected, rel=0.08)


def test_largest_errors_are_those_of_the_errors():
    counter = po.TreeCounter(20, 0.5, "gaussian", 1e-5)
    np.testing.assert_allclose(
        counter.largest_errors(KEY, 9), np.abs(counter.errors(KEY, 9)).max(1), rtol=1e-6
    )


def test_a_release_is_the_count_and_noise():
    bits = np.array([0, 1, 1, 0, 1])
    counter = po.TreeCounter(5, 1e6)
    with po.separate_ledger():
        np.testing.assert_allclose(counter.release(KEY, bits), [0, 1, 2, 2, 3], atol=1e-3)
        assert counter.simulate(KEY, np.stack([bits, bits])).shape == (2, 5)
        with pytest.raises(InputError, match="key was used"):
            counter.release(KEY, bits)


@pytest.mark.parametrize("epsilon, delta", [(0.1, 1e-6), (1.0, 1e-5), (8.0, 1e-3)])
def test_gaussian_noise_spends_exactly_delta(epsilon, delta):
    """The hockey stick of two shifted Gaussians, integrated by brute force."""
    sigma = po.gaussian_noise_scale(1.5, epsilon, delta)
    x = np.linspace(-40 * sigma, 40 * sigma, 2_000_001)
    p, q = norm.pdf(x, 1.5, sigma), norm.pdf(x, 0, sigma)
    spent = np.maximum(p - np.exp(epsilon) * q, 0).sum() * (x[1] - x[0])
    assert spent == pytest.approx(delta, rel=1e-3)
    if epsilon <= 1:
        assert sigma < 1.5 * np.sqrt(2 * np.log(1.25 / delta)) / epsilon


def test_gaussian_noise_errs_less_over_many_rounds():
    laplace = po.TreeCounter(2**10, 1.0).largest_errors(KEY, 200).mean()
    gaussian = po.TreeCounter(2**10, 1.0, "gaussian", 1e-6).largest_errors(KEY, 200).mean()
    assert gaussian < laplace


def test_the_first_crossing_names_the_largest_counter():
    counts = np.array([[0.0, 2.0, 5.0], [1.0, 3.5, 9.0], [0.0, 0.0, 0.0]])
    found = po.counter_to_learner(np.stack([counts, 0 * counts]), 3.0)
    assert found.round.tolist() == [2, 4] and found.label.tolist() == [1, -1]


def test_mistakes_without_noise_are_alpha():
    counter, stream = po.TreeCounter(30, 1e6), po.front_loaded(30, 20)
    mistakes = po.simulate_counter_learner(KEY, counter, stream, alpha=4.5, hypotheses=3, runs=5)
    assert mistakes.tolist() == [5] * 5  # the counter passes 4.5 after the fifth one


def test_expected_mistakes_obey_proposition_three():
    counter, stream = po.TreeCounter(128, 1.0), po.front_loaded(128, 128)
    errors = counter.errors(jax.random.key(5), 4 * 1000).reshape(1000, 4, -1)
    alpha = float(np.quantile(np.abs(errors).max((1, 2)), 0.9))
    mistakes = po.simulate_counter_learner(
        KEY, counter, stream, alpha=alpha, hypotheses=4, runs=1000
    )
    assert mistakes.mean() <= 2 * alpha + 0.1 * 128
    assert mistakes.mean() > 0.5 * alpha


def stepped(counter, key, bits):
    state, counts = counter.start(key), []
    for bit in bits:
        state, count = counter.step(state, bit)
        counts.append(float(count))
    return state, counts


@pytest.mark.long
def test_a_stream_counted_as_it_comes_has_the_noise_of_its_blocks():
    """Without noise the counts; with it, prefixes 4 and 5 share the noise of the block 1..4, and 6
    shares nothing more with 5 than that."""
    with po.separate_ledger():
        bits = [1, 0, 1, 1, 0, 1, 1]
        np.testing.assert_allclose(
            stepped(po.TreeCounter(7, 1e7), jax.random.key(8), bits)[1], np.cumsum(bits), atol=1e-3
        )
        keys = jax.random.split(KEY, 150)
        errors = np.array([stepped(po.TreeCounter(7, 1.0), k, [0] * 6)[1] for k in keys])
    scale = 2 * po.TreeCounter(7, 1.0).scale ** 2  # the variance of a block
    np.testing.assert_allclose((errors**2).mean(0) / scale, [1, 1, 2, 1, 2, 2], rtol=0.75)
    block = (errors[:, 4] - errors[:, 3]) / np.sqrt(scale)
    assert abs(np.mean(block * errors[:, 3]) / np.sqrt(scale)) < 0.5


def test_a_counter_stops_after_its_rounds_and_takes_a_state_once():
    with po.separate_ledger():
        counter = po.TreeCounter(2, 1.0)
        state, _ = stepped(counter, KEY, [1, 1])
        with pytest.raises(InputError, match="all 2 rounds"):
            counter.step(state, 1)
        first = counter.start(jax.random.key(9))
        counter.step(first, 0)
        with pytest.raises(InputError, match="key was used"):
            counter.step(first, 1)
