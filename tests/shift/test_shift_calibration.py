import numpy as np
import pytest
from scipy import stats
from sklearn.metrics import roc_auc_score

from theorylab.errors import InputError
from theorylab.shift import calibrate, detection_auroc, mild_to_hard

RNG = np.random.default_rng(0)
SCORES = RNG.uniform(1, 4, 30)
ERRORS = np.clip(0.2 * SCORES - 0.1 + 0.05 * RNG.normal(size=30), 0, 1)


def test_the_line_is_least_squares_and_r2_the_squared_correlation():
    line = calibrate(SCORES, ERRORS)
    slope, intercept = np.polyfit(SCORES, ERRORS, 1)
    assert (line.slope, line.intercept) == (pytest.approx(slope), pytest.approx(intercept))
    assert line.r2 == pytest.approx(
        1 - (line.residuals**2).sum() / ((ERRORS - ERRORS.mean()) ** 2).sum()
    )
    assert line.spearman == pytest.approx(stats.spearmanr(SCORES, ERRORS)[0])
    np.testing.assert_allclose(line.predict(SCORES) + line.residuals, ERRORS)


def test_a_score_that_falls_with_the_error_has_a_negative_rank_correlation_and_the_same_r2():
    up, down = calibrate(SCORES, ERRORS), calibrate(-SCORES, ERRORS)
    assert down.spearman == pytest.approx(-up.spearman) and down.r2 == pytest.approx(up.r2)


def test_errors_that_do_not_vary_have_no_correlation():
    line = calibrate([1.0, 2.0, 3.0], [0.5, 0.5, 0.5])
    assert line.slope == 0 and np.isnan(line.r2) and np.isnan(line.spearman)


def test_extrapolation_fits_mild_shifts_and_asks_about_hard_ones():
    severities = np.array([1, 2, 4, 5, 3])
    scores, errors = np.array([1.0, 2, 3, 4, 9]), np.array([0.1, 0.2, 0.4, 0.3, 0.9])
    found = mild_to_hard(scores, errors, severities)  # the line is 0.1 score: 0.3 and 0.4 predicted
    assert found.mse == pytest.approx(100.0) and found.bias == pytest.approx(0.0)
    assert found.line.slope == pytest.approx(0.1)


def test_detection_is_the_area_under_the_curve():
    ordinary, attacked = np.array([1.0, 2, 3, 3]), np.array([3.0, 4, 0])
    labels = np.r_[np.zeros(4), np.ones(3)]
    assert detection_auroc(ordinary, attacked) == pytest.approx(
        roc_auc_score(labels, np.r_[ordinary, attacked])
    )


@pytest.mark.parametrize(
    "call, named",
    [
        (lambda: calibrate(SCORES, ERRORS[:3]), "shapes scores"),
        (lambda: calibrate(SCORES, 100 * ERRORS), "errors"),
        (lambda: calibrate([1.0], [0.5]), "scores"),
        (lambda: calibrate([1.0, 1.0], [0.1, 0.2]), "scores"),
        (lambda: calibrate([1.0, np.nan], [0.1, 0.2]), "scores"),
        (lambda: mild_to_hard(SCORES, ERRORS, [1, 2]), "shapes scores"),
        (lambda: mild_to_hard(SCORES, ERRORS, np.ones(30)), "hard"),
        (lambda: mild_to_hard(SCORES, ERRORS, np.full(30, 5)), "mild"),
        (lambda: detection_auroc([], [1.0]), "ordinary"),
    ],
)
def test_bad_input_is_named(call, named):
    with pytest.raises(InputError, match=f"^{named}\\b"):
        call()
