"""Operating points and areas against scikit-learn and by counting."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binom
from sklearn.metrics import roc_auc_score, roc_curve

from theorylab.errors import InputError
from theorylab.safety import scoreboard, tpr_at_fpr, zero_failure_bound

SCORES = st.lists(st.integers(0, 6), min_size=4, max_size=40)


@given(SCORES, st.integers(0, 2**16), st.sampled_from([0.0, 0.01, 0.2, 0.5]))
def test_a_threshold_flags_as_much_as_the_false_alarms_allow(values, seed, fpr):
    scores = np.array(values, float)
    labels = np.random.default_rng(seed).integers(0, 2, len(scores))
    labels[:2] = 0, 1
    point = tpr_at_fpr(scores, labels, fpr=fpr)
    false, true, _ = roc_curve(labels, scores, drop_intermediate=False)
    assert point.tpr == pytest.approx(true[false <= fpr + 1e-12].max())
    assert point.fpr <= fpr + 1e-12
    assert point.fpr == pytest.approx((scores[labels == 0] > point.threshold).mean())
    line = scoreboard({"a": scores}, labels, fpr=fpr)["a"]
    assert line.auroc == pytest.approx(roc_auc_score(labels, scores)) and line.point == point


def test_bounds_of_the_rates_are_those_of_clopper_and_pearson():
    scores, labels = np.r_[np.zeros(30), np.ones(8)], np.r_[np.zeros(30), np.ones(8)]
    point = tpr_at_fpr(scores, labels)
    assert (point.tpr, point.fpr) == (1.0, 0.0)
    assert point.fpr_high == pytest.approx(zero_failure_bound(30))
    assert binom.sf(7, 8, point.tpr_low) == pytest.approx(0.05)
    mixed = tpr_at_fpr(np.r_[scores[:-1], 0.0, 2.0], np.r_[labels, 0.0], fpr=0.1)
    assert binom.cdf(1, 31, mixed.fpr_high) == pytest.approx(0.05)


def test_a_class_without_a_member_is_refused():
    with pytest.raises(InputError, match="positive"):
        scoreboard({"a": [1.0, 2.0]}, [1, 1])
