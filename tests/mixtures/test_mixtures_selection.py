import numpy as np
import pytest

from theorylab import mixtures
from theorylab.errors import InputError
from theorylab.mixtures import LinearRule

RNG = np.random.default_rng(0)
Y = RNG.choice([-1.0, 1.0], 4000)
X = Y[:, None] * np.array([1.0, 1.0]) + RNG.normal(size=(4000, 2))
GOOD, POOR = (
    LinearRule(np.array([2.0, 1.6]), np.asarray(0.0)),
    LinearRule(np.array([-1.0, 9.0]), np.asarray(5.0)),
)


def test_mixing_takes_rules_of_unit_length():
    found = mixtures.mix(GOOD, POOR, [0.0, 0.5, 1.0])
    a, b = GOOD.normalised(), POOR.normalised()
    np.testing.assert_allclose(
        found.weight, [b.weight, (a.weight + b.weight) / 2, a.weight], rtol=1e-6
    )
    np.testing.assert_allclose(found.intercept, [b.intercept, b.intercept / 2, 0], rtol=1e-6)


@pytest.mark.long
@pytest.mark.parametrize("criterion", ["labelled", "oracle"])
def test_labels_choose_a_weight_of_least_error(criterion):
    found = mixtures.select_weight(GOOD, POOR, X, Y, criterion=criterion)
    mixed = mixtures.mix(GOOD, POOR, np.linspace(0, 1, 21))
    errors = [
        (np.sign(X @ np.asarray(w) + float(b)) != Y).mean()
        for w, b in zip(mixed.weight, mixed.intercept, strict=True)
    ]
    assert (
        float(found.rule.error(X, Y)) == pytest.approx(min(errors), abs=1e-6)
        and float(found.weight) > 0.5
    )


def test_ties_go_to_the_middle():
    found = mixtures.select_weight(GOOD, GOOD, X, Y, criterion="labelled")
    assert float(found.weight) == 0.5


def test_the_margin_needs_no_labels_and_takes_the_longest_direction():
    wide = X * np.array([1.0, 5.0])
    first, second = (
        LinearRule(np.array([1.0, 0.0]), np.asarray(0.0)),
        LinearRule(np.array([0.0, 1.0]), np.asarray(0.0)),
    )
    found = mixtures.select_weight(first, second, wide, criterion="unlabelled-margin")
    margins = [
        np.abs(wide @ np.array([t, 1 - t])).mean() / np.hypot(t, 1 - t)
        for t in np.linspace(0, 1, 21)
    ]
    assert (
        float(found.weight) == pytest.approx(np.argmax(margins) / 20) and float(found.weight) < 0.3
    )


def test_weights_leave_points_out():
    weight = (np.arange(4000) < 2000).astype(float)
    spoiled = np.where(weight > 0, Y, -Y)
    found = mixtures.select_weight(
        GOOD, POOR, X, spoiled, criterion="labelled", sample_weight=weight
    )
    expected = mixtures.select_weight(GOOD, POOR, X[:2000], Y[:2000], criterion="labelled")
    assert float(found.weight) == float(expected.weight)


def test_orientation_follows_the_majority_of_labels():
    turned = LinearRule(-GOOD.weight, -GOOD.intercept)
    for rule in (GOOD, turned):
        np.testing.assert_allclose(mixtures.oriented(rule, X[:50], Y[:50]).weight, GOOD.weight)
    # one vote each: the mean score decides
    two = np.array([[1.0, 0.0], [3.0, 0.0]]), np.array([1.0, -1.0])
    np.testing.assert_allclose(mixtures.oriented(GOOD, *two).weight, turned.weight)
    masked = mixtures.oriented(GOOD, *two, sample_weight=np.array([1.0, 0.0]))
    np.testing.assert_allclose(masked.weight, GOOD.weight)


@pytest.mark.parametrize(
    "arguments", [{"criterion": "luck"}, {"criterion": "labelled"}, {"criterion": "oracle"}]
)
def test_bad_input_is_refused(arguments):
    with pytest.raises(InputError):
        mixtures.select_weight(GOOD, POOR, X, **arguments)
