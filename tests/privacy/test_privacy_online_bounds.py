"""Lower bounds by hand, their limits, and against learners whose mistakes are known."""

import numpy as np
import pytest

from theorylab.privacy import online as po

EPS = po.REFERENCE_EPSILON


def test_the_bisection_bound_is_its_formula():
    for k, delta in ((10, 0.0), (20, 1e-3), (60, 1e-4)):
        found = po.bisection_bound(po.adversary_for(EPS), 2**k - 1, delta, 0.05)
        values = [j * (1 - 0.15 - 2 * j * delta) for j in range(k + 1)]
        assert found.value == pytest.approx(max(values), rel=1e-12)
        assert found.steps == int(np.argmax(values)) and found.repeats == 1


def test_it_stays_at_the_order_of_one_over_delta():
    delta, beta = 0.02, 0.1
    small = [po.mistake_lower_bound(2**k, EPS, delta, beta).value for k in (5, 10, 60, 140)]
    assert small[2] == small[3]  # no growth beyond
    # the vertices of k (1 - 3 beta - 2 k delta) and k (1 - 2 beta - 4 k delta)
    found = po.bisection_bound(po.adversary_for(EPS), 2**140, delta, beta)
    assert found.value <= (1 - 3 * beta) ** 2 / (8 * delta)
    assert found.value == pytest.approx((1 - 3 * beta) ** 2 / (8 * delta), rel=0.02)
    large = po.bisection_bound(po.weighted_adversary(1.0), 2**140, delta, beta)
    assert large.value == pytest.approx((1 - 2 * beta) ** 2 / (16 * delta), rel=0.02)


def test_ones_alone_by_hand():
    eps, delta, beta = 0.7, 0.01, 0.02
    left = [
        1 - beta * np.exp(i * eps) - delta * sum(np.exp(j * eps) for j in range(i))
        for i in range(30)
    ]
    found = po.concentration_bound(30, eps, delta, beta)
    assert found.value == pytest.approx(np.maximum(left, 0).sum(), rel=1e-12)
    assert po.concentration_bound(2, eps, delta, beta).value == pytest.approx(sum(left[:2]))


def test_a_deterministic_learner_never_moves():
    found = po.mistake_lower_bound(2**70, 0.5, 0.0, 0.0)
    assert found.value == 2.0**70 and found.case == "concentration"


def test_the_printed_constants_are_weaker():
    for k in (10, 40, 60):
        printed = po.printed_lower_bounds(2**k, 1e-4, 0.1)
        ours = po.mistake_lower_bound(2**k, EPS, 1e-4, 0.1).value
        assert printed.horizon > 2.0**k and ours > max(printed.bisection, printed.concentration)
    assert po.printed_lower_bounds(8, 0.01, np.exp(-16)).concentration == pytest.approx(1 / EPS)
    assert po.printed_lower_bounds(8, 0.01, 0.1).horizon == pytest.approx(np.exp(1 / 0.32))


@pytest.mark.long
@pytest.mark.parametrize("epsilon", [0.2, EPS, 1.0, 2.5])
@pytest.mark.parametrize("beta", [0.1, 1e-3])
def test_no_private_learner_errs_less(epsilon, beta):
    for rounds in (20, 2**12, 2**40):
        learner = po.calibrate(rounds, beta, threshold_scale=1 / epsilon, test_scale=1 / epsilon)
        bound = po.mistake_lower_bound(rounds, epsilon, 0.0, beta)
        assert bound.value <= learner.expected_front_loaded(rounds)


def test_name_and_shame_obeys_the_bound_of_its_delta():
    for delta in (0.1, 0.01):
        bound = po.mistake_lower_bound(2**100, 1e-3, delta, 0.0)
        assert 1 <= bound.value <= 1 / delta


def test_more_rounds_and_less_slack_never_lower_it():
    values = [po.mistake_lower_bound(2**k, 0.3, 1e-3, 0.05).value for k in range(0, 100, 7)]
    assert (np.diff(values) >= -1e-12).all()
    for change in ({"delta": 2e-3}, {"beta": 0.06}):
        base = {"rounds": 2**30, "epsilon": 0.3, "delta": 1e-3, "beta": 0.05}
        weaker = po.mistake_lower_bound(**{**base, **change}).value
        assert weaker <= po.mistake_lower_bound(**base).value
