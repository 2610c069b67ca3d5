import numpy as np
import pytest

from theorylab.errors import InputError
from theorylab.online import (
    consistency_lp,
    measure_ski_rule,
    optimal_buy_distribution,
    optimal_ski_rule,
    ski_ratios,
    ski_rental_curve,
    smallest_robustness,
    tradeoff_randomized_discrete,
)


@pytest.mark.parametrize(("b", "gamma"), [(2, 2.0), (5, 1.6), (8, 2.5)])
def test_it_is_robust_and_as_consistent_as_can_be_at_every_prediction(b, gamma):
    measured = measure_ski_rule(optimal_ski_rule(b, gamma), b)
    assert measured.robustness <= gamma * (1 + 1e-7)
    for y, (consistency, _) in zip(measured.predictions, measured.by_prediction, strict=True):
        if y <= 4 * b:  # also where the rule takes the closed form, the programme's optimum is met
            best = consistency_lp(b, int(y), gamma).consistency
            assert consistency == pytest.approx(best, abs=1e-7)
    closed = float(tradeoff_randomized_discrete(gamma, b))
    assert measured.consistency == pytest.approx(closed, abs=1e-7)
    # the closed form for large predictions, measured where it is not meant
    alone = measure_ski_rule(lambda y, b: optimal_buy_distribution(b, gamma), b)
    assert alone.consistency > measured.consistency + 0.1


def test_a_family_of_them_lies_on_the_curve():
    curve = ski_rental_curve(lambda g: optimal_ski_rule(5, g), [1.6, 2.0, 3.0], 5)
    np.testing.assert_allclose(curve.excess, 0.0, atol=1e-6)


def test_each_answer_is_a_distribution_that_is_solved_for_once():
    rule = optimal_ski_rule(4, 2.0)
    for y in (0, 1, 3, 7, 8, 100, 10**6):
        q = rule(y, 4)
        assert q.min() >= 0 and q.sum() == pytest.approx(1.0)
        assert ski_ratios(q, 4, np.arange(1, 40)).max() <= 2 * (1 + 1e-7)
    assert sorted(rule.solved) == [1, 3, 7] and rule(3) is rule(3)


def test_rules_of_one_price_and_robustness_are_equal_whatever_they_have_solved():
    asked, fresh = optimal_ski_rule(4, 2.0), optimal_ski_rule(4, 2.0)
    asked(3)
    assert asked == fresh and asked.solved and not fresh.solved
    assert asked != optimal_ski_rule(4, 2.5) and "solved" not in repr(asked)


def test_other_prices_and_what_no_rule_can_do_are_refused():
    with pytest.raises(InputError):
        optimal_ski_rule(5, float(smallest_robustness(5)) - 1e-3)
    rule = optimal_ski_rule(5, 2.0)
    for given in ((3, 6), (-1, 5), (2.5, 5), (np.nan, 5)):
        with pytest.raises(InputError):
            rule(*given)
    with pytest.raises(InputError):
        optimal_ski_rule(5, 2.0, max_days=9)
