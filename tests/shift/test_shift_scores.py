import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from theorylab.errors import InputError
from theorylab.shift import (
    agree_score,
    atc_score,
    atc_threshold,
    conf_score,
    cot_score,
    entropy_score,
    nuclear_norm_score,
    rotation_score,
    rotations,
)

RNG = np.random.default_rng(0)
LOGITS = 2 * RNG.normal(size=(12, 3))
P = np.exp(LOGITS) / np.exp(LOGITS).sum(1, keepdims=True)


def test_confidence_and_entropy_are_their_formulas():
    assert conf_score(LOGITS) == pytest.approx(P.max(1).mean())
    assert entropy_score(LOGITS) == pytest.approx(np.mean([stats.entropy(p) for p in P]))
    assert entropy_score(np.zeros((4, 3))) == pytest.approx(np.log(3))
    assert conf_score(1e4 * np.eye(3)) == 1.0 and entropy_score(1e4 * np.eye(3)) == 0.0


@given(st.integers(0, 10_000), st.integers(1, 40))
def test_atc_estimates_the_validation_error_exactly_without_ties(seed, n):
    rng = np.random.default_rng(seed)
    logits, labels = rng.normal(size=(n, 4)), rng.integers(0, 4, n)
    threshold = atc_threshold(logits, labels)
    error = (logits.argmax(1) != labels).mean()
    assert threshold.errors == threshold.achieved == round(error * n)
    assert atc_score(logits, threshold) == pytest.approx(error)


def test_ties_at_the_threshold_are_told():
    logits = np.repeat([[1.0, 0.0]], 4, 0)
    found = atc_threshold(logits, [0, 0, 1, 1])
    assert (found.errors, found.achieved) == (2, 0) and atc_score(logits, found) == 0.0


def test_a_threshold_above_all_samples_counts_them_all():
    """Where no prediction is right the threshold is infinite: the estimate is 1 on any set."""
    found = atc_threshold(LOGITS, (LOGITS.argmax(1) + 1) % 3)
    assert (found.value, found.errors, found.achieved) == (np.inf, 12, 12)
    assert atc_score(3 * LOGITS, found) == 1.0 and atc_score(LOGITS, -np.inf) == 0.0
    with pytest.raises(InputError, match=r"^threshold = nan"):
        atc_score(LOGITS, np.nan)


def test_agreement_counts_different_classes():
    second = LOGITS.copy()
    second[:3] = -second[:3]
    assert (
        agree_score(LOGITS, second) == pytest.approx(3 / 12)
        and agree_score(LOGITS, 5 * LOGITS) == 0.0
    )


def test_rotations_come_turn_by_turn_and_are_scored_in_that_order():
    x = RNG.normal(size=(2, 4, 4, 1)).astype(np.float32)
    turned, labels = rotations(x)
    for i, turn in itertools.product(range(2), range(4)):
        np.testing.assert_array_equal(turned[2 * turn + i, :, :, 0], np.rot90(x[i, :, :, 0], turn))
    right = np.eye(4)[np.asarray(labels)]
    assert rotation_score(right) == 0.0 and rotation_score(np.roll(right, 1, axis=1)) == 1.0


def test_the_nuclear_norm_is_largest_for_confident_spread_predictions():
    assert nuclear_norm_score(1e4 * np.tile(np.eye(3), (5, 1))) == pytest.approx(1.0)
    assert nuclear_norm_score(LOGITS) == pytest.approx(np.linalg.svd(P)[1].sum() / np.sqrt(12 * 3))
    assert nuclear_norm_score(1e4 * np.repeat([[1.0, 0, 0]], 6, 0)) == pytest.approx(1 / np.sqrt(3))


def test_cot_is_the_best_of_all_assignments():
    """Six samples, two of each class: every assignment of labels, by brute force."""
    labels = [0, 0, 1, 1, 2, 2]
    costs = [1 - P[range(6), order].mean() for order in set(itertools.permutations(labels))]
    assert cot_score(LOGITS[:6], np.full(3, 1 / 3)) == pytest.approx(min(costs), abs=1e-7)


@given(st.integers(0, 1000))
def test_cot_is_above_the_missing_confidence_and_at_least_the_gap_of_the_class_shares(seed):
    rng = np.random.default_rng(seed)
    logits, shares = 3 * rng.normal(size=(9, 4)), rng.dirichlet(np.ones(4))
    p = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    found = cot_score(logits, shares)
    assert found >= 1 - conf_score(logits) - 1e-7
    # total variation of the class marginals
    assert found >= np.abs(p.mean(0) - shares).sum() / 2 - 1e-7


@pytest.mark.parametrize(
    "call, named",
    [
        (lambda: conf_score(LOGITS[0]), "logits"),
        (lambda: conf_score(LOGITS * np.nan), "logits"),
        (lambda: entropy_score(LOGITS[:, :1]), "logits"),
        (lambda: conf_score(LOGITS[:0]), "logits"),
        (lambda: atc_threshold(LOGITS, np.zeros(3, int)), "shapes logits"),
        (lambda: atc_threshold(LOGITS, np.full(12, 3)), "labels"),
        (lambda: atc_score(LOGITS, np.nan), "threshold"),
        (lambda: agree_score(LOGITS, LOGITS[:4]), "first, second"),
        (lambda: rotations(np.ones((1, 3, 4))), "x"),
        (lambda: rotation_score(LOGITS), "logits"),
        (lambda: cot_score(LOGITS, [0.5, 0.6, 0.1]), "class_shares"),
    ],
)
def test_bad_input_is_named(call, named):
    with pytest.raises(InputError, match=f"^{named}\\b"):
        call()


@pytest.mark.parametrize("cast", [np.float16, np.float32, lambda p: p.round(2)])
@pytest.mark.parametrize(
    "score",
    [
        conf_score,
        entropy_score,
        nuclear_norm_score,
        lambda p: atc_threshold(p, np.zeros(len(p), int)),
        lambda p: atc_score(p, -0.5),
        lambda p: cot_score(p, np.full(p.shape[1], 1 / p.shape[1])),
    ],
)
def test_probabilities_are_refused_in_every_precision_and_their_logarithm_serves(score, cast):
    p = np.random.default_rng(0).dirichlet(np.ones(10), 30)
    with pytest.raises(InputError, match="holds probabilities"):
        score(cast(p))
    logarithm = np.log(p)
    assert conf_score(logarithm) == pytest.approx(p.max(1).mean(), rel=1e-12)
    # a shift changes nothing, and logits that are none of these pass
    assert conf_score(p + 1) == pytest.approx(conf_score(3 + p), rel=1e-12)
