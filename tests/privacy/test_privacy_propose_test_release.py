"""The private test against its Laplace law, and the margins against brute force."""

import itertools

import jax
import numpy as np
import pytest
from scipy.stats import laplace

from theorylab.errors import InputError
from theorylab.privacy import online, preprocessing
from theorylab.privacy import propose_test_release as ptr

TEST = ptr.MarginTest(1.0, 1e-5)
RNG = np.random.default_rng(0)


@pytest.mark.parametrize(("margin", "expected"), [(0, 1e-5), (10, 0.2203), (20, 0.99995)])
def test_release_probabilities_are_those_of_laplace_noise(margin, expected):
    found = TEST.release_probability(margin)
    assert found == pytest.approx(expected, rel=2e-4)
    assert found == pytest.approx(laplace(margin).sf(TEST.threshold), rel=1e-12)
    assert TEST.threshold == pytest.approx(10.820, abs=5e-4)


def test_data_with_the_margin_needed_fail_as_rarely_as_promised():
    assert 1 - TEST.release_probability(TEST.margin_needed(0.01)) == pytest.approx(0.01)


def test_one_replacement_changes_the_probability_of_failing_by_no_more_than_epsilon_allows():
    for margin in np.arange(0.0, 30.0, 0.5):
        here, there = (TEST.release_probability(margin + step) for step in (0.0, 1.0))
        assert 1 - here <= np.e * (1 - there) * (1 + 1e-6)
        assert there <= np.e * here * (1 + 1e-9)
    assert TEST.release_probability(1.0) <= TEST.failure_probability * (1 + 1e-12)


def test_the_test_passes_as_often_as_it_says():
    test, margin, runs = ptr.MarginTest(1.0, 0.05), 2.0, 400
    keys = jax.random.split(jax.random.key(900), runs)
    passed = [test.release(lambda key: key, margin=margin, key=key).passed for key in keys]
    expected = test.release_probability(margin)
    error = np.sqrt(expected * (1 - expected) / runs)
    assert abs(np.mean(passed) - expected) < 4 * error


def test_a_key_is_spent_and_the_mechanism_gets_a_fresh_one():
    key = jax.random.key(901)
    with online.separate_ledger() as ledger:
        given = TEST.release(lambda child: online.spend(child), margin=100.0, key=key)
        assert given.passed and ledger.spent(key) and len(ledger) == 2
        with pytest.raises(InputError, match="key was used"):
            TEST.release(lambda child: child, margin=100.0, key=key)
        failed = TEST.release(lambda child: child, margin=0.0, key=jax.random.key(902))
    assert not failed.passed and failed.value is None


def test_one_replacement_moves_the_eigengap_margin_by_at_most_one():
    largest = 0.0
    for _ in range(300):
        rows = RNG.normal(size=(12, 3)) * [1, 0.7, 0.5]
        rows /= np.linalg.norm(rows, axis=1, keepdims=True)
        other = rows.copy()
        other[0] = RNG.permutation(np.eye(3))[0]
        pair = [ptr.eigengap_margin(x, rank=1, eigengap=1e-6) for x in (rows, other)]
        largest = max(largest, abs(pair[0] - pair[1]))
    assert 0.5 < largest <= 1 + 1e-9


def test_the_eigengap_stays_open_within_the_margin():
    rows = np.repeat(np.eye(2), [9, 3], axis=0)
    margin = ptr.eigengap_margin(rows, rank=1, eigengap=0.1)
    for replaced in range(1, 9):
        rows[replaced - 1] = [0.0, 1.0]
        gap = 2 * (9 - replaced) / 12 - 1  # first axis over second
        if replaced < margin:
            assert gap >= 0.1 and preprocessing.eigengaps(rows, rank=1) == pytest.approx(gap)
    assert margin == pytest.approx(12 * (0.5 - 0.1) / 2)


def test_one_replacement_moves_the_variance_margin_by_at_most_one():
    for _ in range(300):
        column = RNG.uniform(-1, 1, 9)
        other = column.copy()
        other[0] = RNG.choice([-1.0, 1.0])
        pair = [ptr.std_margin(x, min_std=1e-6) for x in (column, other)]
        assert abs(pair[0] - pair[1]) <= 1


def test_the_median_margin_is_the_number_of_replacements_that_brute_force_needs():
    def wide(column, gap):
        ordered = np.concatenate([[-1.0], np.sort(column), [1.0]])
        middle = 1 + (len(column) - 1) // 2
        return np.diff(ordered[middle - 1 : middle + 2]).max() > gap

    def needed(column, gap, most=2):
        places = range(len(column))
        values = (-1.0, 1.0)
        for replaced in range(most + 1):
            for where in itertools.combinations(places, replaced):
                for what in itertools.product(values, repeat=replaced):
                    other = column.copy()
                    other[list(where)] = what
                    if wide(other, gap):
                        return replaced
        return most + 1

    for trial in range(40):
        column = np.clip(RNG.normal(size=5 + trial % 3) * 0.3, -1, 1)
        gap = RNG.uniform(0.1, 0.9)
        assert min(ptr.median_margin(column, gap=gap), 3) == needed(column, gap)


def test_one_record_changes_the_missing_margin_by_one():
    rows = RNG.uniform(-0.5, 0.5, size=(10, 2))
    rows[:3] = np.nan
    assert ptr.missing_margin(rows, missing=5) == 3
    rows[3] = np.nan
    assert ptr.missing_margin(rows, missing=5) == 2
    assert ptr.missing_margin(rows, missing=2) == 0


def test_one_replacement_moves_the_centred_eigengap_margin_by_at_most_one():
    largest = 0.0
    for trial in range(400):
        n = 40
        rho = RNG.uniform(0.5, 0.98)
        side = np.sqrt(1 - rho**2) * RNG.choice([-1, 1], n - 1)
        others = np.stack([side, np.full(n - 1, -rho)], 1)
        angle = np.pi / 3 if trial % 2 else RNG.uniform(0, 2 * np.pi)
        turn = RNG.uniform(0, 2 * np.pi, 2) if trial % 3 else [np.pi / 6, np.pi / 6 + 2 * angle]
        pair = [np.vstack([others, [[np.cos(t), np.sin(t)]]]) for t in turn]
        margins = [ptr.eigengap_margin(x, rank=1, eigengap=1e-9, centred=True) for x in pair]
        largest = max(largest, abs(margins[0] - margins[1]))
    assert 0.3 < largest <= 1 + 1e-9


def test_a_test_that_may_cost_anything_guarantees_nothing():
    assert ptr.MarginTest(800.0, 1e-5).failure_probability == pytest.approx(1.0)
    assert ptr.MarginTest(1.0, 1e-5).failure_probability == pytest.approx(np.e * 1e-5, rel=1e-12)
