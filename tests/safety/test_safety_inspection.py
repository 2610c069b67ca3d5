"""What single items give away: exact laws over all permutations, and statistics in closed form."""

from itertools import permutations

import jax
import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from theorylab.safety import (
    auroc,
    detection_power,
    equality_pattern,
    exchanges_needed,
    log_odds_inspector,
    mini_world,
    operator_pair_law,
    sample_prompts,
    zero_failure_bound,
)

WORLD = mini_world(jax.random.key(0))
SAFE, UNSAFE = operator_pair_law("safe"), operator_pair_law("unsafe")
FIRST, SECOND = (a.ravel() for a in np.indices((7, 7)))


def prompts(purpose, n, seed=0):
    drawn = sample_prompts(jax.random.key(seed), WORLD, n, purpose=purpose)
    return np.asarray(drawn.operators)


@pytest.mark.parametrize("purpose", ["safe", "unsafe"])
def test_sampled_operator_pairs_follow_their_exact_law(purpose):
    n, law = 4000, operator_pair_law(purpose)
    seen = np.zeros((7, 7))
    np.add.at(seen, tuple(prompts(purpose, n).T), 1)
    assert law.sum() == pytest.approx(1) and (seen[law == 0] == 0).all()
    some = law > 0
    chi2 = ((seen - n * law)[some] ** 2 / (n * law)[some]).sum()
    assert abs(chi2 - (some.sum() - 1)) < 4 * np.sqrt(2 * (some.sum() - 1))


def test_the_best_single_item_inspector_sees_equality_alone():
    same = np.trace(UNSAFE), np.trace(SAFE)
    assert same == pytest.approx((0.3125, 0.175))
    exact = auroc(
        FIRST == SECOND, 0 * FIRST, positive_weights=UNSAFE.ravel(), negative_weights=SAFE.ravel()
    )
    assert exact == pytest.approx(0.56875)  # 0.5 + 0.1375 / 2


def test_averaged_over_all_permutations_an_item_depends_on_its_pattern_alone():
    for law in (SAFE, UNSAFE):
        mean = np.mean([law[np.ix_(p, p)] for p in permutations(range(7))], axis=0)
        same = np.trace(law)
        want = np.where(np.eye(7), same / 7, (1 - same) / 42)
        np.testing.assert_allclose(mean, want, atol=1e-12)


def areas(codes, weights):
    """Exact area of the linear inspector under each of these permutations of operators."""
    out = []
    for code in codes:
        scores = weights[code[FIRST]] + weights[code[SECOND]]
        out.append(
            auroc(
                scores, 0 * scores, positive_weights=UNSAFE.ravel(), negative_weights=SAFE.ravel()
            )
        )
    return np.array(out)


def test_a_plain_inspector_is_at_chance_on_average_over_encodings_and_far_off_on_single_ones():
    weights = log_odds_inspector(prompts("unsafe", 4000), prompts("safe", 4000, 1), symbols=7)
    plain = areas([np.arange(7)], weights)[0]
    codes = np.random.default_rng(0).permuted(np.tile(np.arange(7), (400, 1)), axis=1)
    coded = areas(codes, weights)
    assert plain == pytest.approx(0.964, abs=0.01)
    assert abs(coded.mean() - 0.502) < 0.04  # three standard errors of 400 permutations
    assert coded.std() == pytest.approx(0.239, abs=0.03)
    assert coded.min() < 0.1 and coded.max() > 0.9


def test_a_pattern_is_the_place_where_each_symbol_first_stands():
    assert equality_pattern([[7, 7, 3], [1, 2, 1]]).tolist() == [[0, 0, 2], [0, 1, 0]]
    items = np.random.default_rng(0).integers(0, 12, (200, 9))
    coded = np.random.default_rng(1).permutation(12)[items]
    np.testing.assert_array_equal(equality_pattern(items), equality_pattern(coded))


def test_the_area_under_the_curve_is_that_of_scikit_learn():
    rng = np.random.default_rng(0)
    scores, positive = rng.integers(0, 6, 60), rng.integers(0, 2, 60)
    assert auroc(scores, positive) == pytest.approx(roc_auc_score(positive, scores))


def test_bounds_and_powers_have_the_values_computed_by_hand():
    assert zero_failure_bound(520) == pytest.approx(0.00574, abs=1e-5)
    assert detection_power(0.26, 10) == pytest.approx(0.951, abs=1e-3)
    assert detection_power(0.99, 1) == pytest.approx(0.99)
    assert exchanges_needed(0.042, 0.01) == pytest.approx(233, abs=1)
